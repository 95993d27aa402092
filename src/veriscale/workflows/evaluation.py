"""How good a prior is on somebody's pictures: distortion and perception along the dial."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.diffusion.prior import Prior
from veriscale.imaging.colour import as_channels, premultiplied
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.resize import resize
from veriscale.imaging.rounding import as_stored
from veriscale.metrics.bootstrap import interval
from veriscale.metrics.distortion import mse, psnr_luma, psnr_rgb, ssim_luma
from veriscale.metrics.perception import energy_w2, sliced_w2
from veriscale.physics.downsample import Downsample
from veriscale.traversal.dial import PATH
from veriscale.traversal.renoise import SAMPLER, STEPS
from veriscale.workflows.degradation import degrade
from veriscale.workflows.restoration import load_prior, restore


def crop_to_multiple(samples: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Without the rows and columns at the bottom and right that no measurement pixel covers whole."""
    return samples[: samples.shape[0] // factor * factor, : samples.shape[1] // factor * factor]


@dataclass(frozen=True)
class Scores:
    """One picture at one dial position; `dial` is "bicubic" for the baseline."""

    picture: str
    dial: float | str
    psnr_luma: float
    ssim_luma: float
    psnr_rgb: float
    mse: float
    sliced_w2: float
    energy_w2: float


@dataclass(frozen=True)
class Evaluation:
    """All scores, picture by picture."""

    scores: list[Scores]
    settings: dict[str, Any]

    def summary(self) -> list[dict[str, Any]]:
        """Per dial position the mean over pictures of every number, with the 95 % interval of PSNR."""
        rows = []
        for dial in dict.fromkeys(s.dial for s in self.scores):
            of = [asdict(s) for s in self.scores if s.dial == dial]
            numbers = [k for k in of[0] if k not in ("picture", "dial")]
            row: dict[str, Any] = {"dial": dial, "pictures": len(of)}
            row |= {k: float(np.mean([s[k] for s in of])) for k in numbers}
            if len(of) > 1:
                bounds = interval(np.array([s["psnr_luma"] for s in of]))
                row["psnr_luma_interval"] = [bounds.low, bounds.high]
            rows.append(row)
        return rows

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "settings": self.settings,
            "summary": _finite(self.summary()),
            "pictures": _finite([asdict(s) for s in self.scores]),
        }


def evaluate_photo(
    truth: Photo,
    name: str,
    prior: Prior,
    scale: int,
    *,
    noise_std: float = 0.0,
    dials: Sequence[float] = (0.0,),
    path: str = PATH,
    sampler: str = SAMPLER,
    steps: int = STEPS,
    seed: int = 0,
) -> list[Scores]:
    """Degrade one photograph to 8 bits, restore it, and score every dial position and the bicubic baseline."""
    samples = premultiplied(truth.pixels, truth.alpha)  # colours that nobody sees are not scored
    x = crop_to_multiple(as_channels(samples, prior.card.network.channels), scale)
    y = degrade(Photo(x), Downsample(scale), noise_std, seed)
    y = y.with_pixels(as_stored(y.pixels))
    result = restore(
        y, prior, scale=scale, noise=noise_std, dial=dials, path=path, sampler=sampler, steps=steps, seed=seed
    )
    pictures: dict[float | str, Any] = {"bicubic": resize(y.pixels, *x.shape[:2])}
    pictures |= {f: photo.pixels for f, photo in result.images.items()}
    return [
        Scores(
            name,
            dial,
            psnr_luma(image, x, scale),
            ssim_luma(image, x, scale),
            psnr_rgb(image, x, scale),
            mse(image, x),
            float(sliced_w2([image], [x])[0]),
            float(energy_w2([image], [x]).mean[0]),
        )
        for dial, image in pictures.items()
    ]


def evaluate(
    files: Sequence[Path],
    prior: Prior | str = "photo",
    *,
    scale: int | None = None,
    noise: float = 0.0,
    dial: float | Sequence[float] = 0.0,
    path: str = PATH,
    sampler: str = SAMPLER,
    steps: int = STEPS,
    seed: int = 0,
) -> Evaluation:
    """Score a prior on photographs that serve as truth; arguments as `restore`.

    Raises:
        InputError: a photograph or a value cannot be used.
    """
    loaded = load_prior(prior) if isinstance(prior, str) else prior
    scale = max(loaded.card.network.scales) if scale is None else scale
    dials = [dial] if isinstance(dial, int | float) else list(dial)
    settings = {"scale": scale, "noise_std": noise, "path": path, "sampler": sampler, "steps": steps, "seed": seed}
    scores = []
    for file in files:
        scores += evaluate_photo(
            read_photo(file),
            file.name,
            loaded,
            scale,
            noise_std=noise,
            dials=dials,
            path=path,
            sampler=sampler,
            steps=steps,
            seed=seed,
        )
    return Evaluation(scores, {"prior": loaded.card.name, "sha256": loaded.card.tensors_sha256, **settings})


def _finite(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON knows no infinity: the PSNR of an exact restoration becomes null."""
    return [{k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in r.items()} for r in rows]
