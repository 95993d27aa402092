"""Crops of real photographs as files: small enough that a restoration takes milliseconds."""

from pathlib import Path

import numpy as np

from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo
from veriscale.workflows.degrading.degradation import degrade

SOURCES = ("chelsea.png", "coffee.png", "astronaut.png")


def write_crops(folder: Path, source: Path, count: int, side: int = 48, seed: int = 0) -> list[Path]:
    """`count` crops of scikit-image's photographs, no two of one place; returns their files, sorted."""
    folder.mkdir(parents=True, exist_ok=True)
    photos = [read_photo(source / name) for name in SOURCES]
    rng = np.random.default_rng(seed)
    files = []
    for k in range(count):
        samples = photos[k % len(photos)].pixels
        top, left = (int(rng.integers(n - side)) for n in samples.shape[:2])
        crop = np.ascontiguousarray(samples[top : top + side, left : left + side])
        files.append(folder / f"{k:02}.png")
        write_photo(photos[0].with_pixels(crop), files[-1])
    return files


def write_measurement(truth: Path, target: Path, operator: str = "downsample:factor=4", noise: float = 0.0) -> Path:
    """What a user would have of a truth: its measurement as a file."""
    write_photo(degrade(read_photo(truth), operator, noise), target)
    return target
