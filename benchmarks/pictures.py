"""The pictures that tables are measured on, and measurements of them as the literature makes them."""

import os
from pathlib import Path

import numpy as np

from results import ROOT
from veriscale.imaging.colour import as_channels
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import as_stored
from veriscale.physics.downsample import Downsample
from veriscale.workflows.degrading.degradation import degrade
from veriscale.workflows.restoring.evaluation import crop_to_multiple

DATA = Path(os.environ.get("VERISCALE_DATA") or ROOT.parent / "shared" / "data") / "natural"
CROP = 160


def files(name: str) -> list[Path]:
    """The pictures of a set: set5, set14, bsd100 or validation."""
    found = sorted(p for p in (DATA / name).glob("*") if p.suffix in (".png", ".jpg"))
    if not found:
        raise SystemExit(f"{DATA / name} holds no pictures; set VERISCALE_DATA")
    return found


def truth(path: Path, scale: int) -> np.ndarray:
    """(H, W, 3) in [0, 1], cropped at the bottom and right to a multiple of the scale."""
    return crop_to_multiple(as_channels(read_photo(path).pixels, 3), scale)


def centre(x: np.ndarray, side: int = CROP) -> np.ndarray:
    """(side, side, 3) from the middle."""
    top, left = ((n - side) // 2 for n in x.shape[:2])
    return x[top : top + side, left : left + side]


def measurement(x: np.ndarray, scale: int, noise_std: float = 0.0) -> Photo:
    """Bicubic, noise, rounded to 8 bits."""
    y = degrade(Photo(x), Downsample(scale), noise_std)
    return y.with_pixels(as_stored(y.pixels))
