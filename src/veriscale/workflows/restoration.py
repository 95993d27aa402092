"""Restoring a photograph with a conditional prior: anchor, dial, draws."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.diffusion.card import DialTable
from veriscale.diffusion.checkpoint import load_checkpoint
from veriscale.diffusion.library import find_prior
from veriscale.diffusion.noise_field import NoiseField, content_hash
from veriscale.diffusion.prior import Prior
from veriscale.imaging.colour import as_channels, premultiplied, unpremultiplied
from veriscale.imaging.photo import Photo, from_array
from veriscale.imaging.read import read_photo
from veriscale.imaging.resize import resize
from veriscale.runtime.device import choose_device, choose_dtype
from veriscale.runtime.networks import TILE, ConditionalDenoiser, encode, padding
from veriscale.traversal.dial import PATH, find_table, sigma_0, weight
from veriscale.traversal.renoise import SAMPLER, STEPS, renoise
from veriscale.workflows.plan import Plan, make_plan

Array = NDArray[np.float32]

BATCH_PIXELS = 1 << 22  # of the draws that are sampled together

Progress = Callable[[str, int, int], None]
"""(phase, done, of): told after every evaluation of a network over the picture."""

Image = Photo | NDArray[Any] | str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Restoration:
    """What comes back.

    Attributes:
        images: a photograph per dial position: the anchor at 0, else draw 0 on its way.
        measurement: what was restored.
        samples: draws at dial 1.
        mean, std: of the samples, per pixel and channel; None without samples.
        run: what was done: versions, prior, operator, noise, dials, seed, device, seconds by phase.
    """

    images: dict[float, Photo]
    measurement: Photo
    samples: list[Photo]
    mean: Photo | None
    std: NDArray[np.float32] | None
    run: dict[str, Any]

    @property
    def image(self) -> Photo:
        """The photograph at the first dial position asked for."""
        return next(iter(self.images.values()))

    def save(self, folder: str | os.PathLike[str], stem: str = "restored", force: bool = False) -> list[Path]:
        """Write all pictures and run.json into a folder; returns the files.

        Raises:
            InputError: a file exists and `force` is not set, or cannot be written.
        """
        from veriscale.workflows.outputs import save_restoration

        return save_restoration(self, Path(folder), stem, force=force)[0]


def load_prior(name: str, device: str = "auto", dtype: torch.dtype | None = None) -> Prior:
    """A prior by name or path, ready to run.

    Args:
        name: of a shipped or installed prior, or a file.
        device: "auto", "cuda", "mps" or "cpu".
        dtype: of the networks; bfloat16 where the hardware has it by default.

    Raises:
        InputError: there is none, or its file is not sound.
    """
    place = choose_device(device)
    return load_checkpoint(find_prior(name), place, dtype or choose_dtype(place))


def as_photo(image: Image) -> Photo:
    """A photograph from a file, an array (H, W) or (H, W, C) in [0, 1] (or uint8, uint16), or itself.

    Raises:
        InputError: it cannot be read, or holds NaN.
    """
    if isinstance(image, Photo):
        return image
    if isinstance(image, np.ndarray):
        return from_array(image, "image")
    return read_photo(image)


def restore(
    image: Image,
    prior: Prior | str = "photo",
    *,
    scale: int | None = None,
    noise: str | float = 0.0,
    dial: float | Sequence[float] = 0.0,
    path: str = PATH,
    samples: int = 0,
    sampler: str = SAMPLER,
    steps: int = STEPS,
    seed: int = 0,
    tile: int = TILE,
    batch: int | None = None,
    progress: Progress | None = None,
) -> Restoration:
    """Upscale a photograph, anywhere between closest on average (dial 0) and looks real (dial 1).

    Args:
        image: a file, an array or a `Photo`.
        prior: name, path or a loaded prior.
        scale: factor; the prior's largest by default.
        noise: standard deviation of the measurement's noise in [0, 1] units, or "auto".
        dial: position or positions in [0, 1].
        path: "renoise" or "interpolate", for positions between 0 and 1.
        samples: draws at dial 1, for mean and spread.
        sampler: of the second stage, a name in `diffusion.samplers.SAMPLERS`.
        steps: of the sampler.
        seed: of all noise.
        tile: side of a tile in output pixels; bounds memory, does not change the picture.
        batch: draws sampled together; by memory by default.
        progress: called after every evaluation of a network over the picture.

    Raises:
        InputError: the picture or a value cannot be used; see `workflows.plan.make_plan`.

    Example:
        >>> restore("small.png", scale=4, dial=[0, 1]).save("out")  # doctest: +SKIP
    """
    photo = as_photo(image)
    loaded = load_prior(prior) if isinstance(prior, str) else prior
    plan = make_plan(
        photo,
        loaded,
        scale=scale,
        noise=noise,
        dial=dial,
        path=path,
        samples=samples,
        sampler_name=sampler,
        steps=steps,
        seed=seed,
    )
    return run_plan(photo, loaded, plan, tile=tile, batch=batch, progress=progress)


def run_plan(
    photo: Photo,
    prior: Prior,
    plan: Plan,
    *,
    tile: int = TILE,
    batch: int | None = None,
    progress: Progress | None = None,
) -> Restoration:
    """Carry out a checked request; arguments as `restore`."""
    tell = progress or (lambda phase, done, of: None)
    begun = time.perf_counter()
    y = _measurement(photo, prior, plan.scale)
    condition = encode(
        prior,
        y,
        plan.scale,
        plan.noise_std,
        features=plan.chains > 0,
        tile=tile,
        tell=lambda done, of: tell("encode", done, of),
    )
    anchor = condition.mean
    encoded = time.perf_counter()

    denoise = _Counted(ConditionalDenoiser(prior, condition, plan.scale, plan.noise_std, tile), plan.evaluations, tell)
    field = NoiseField(plan.seed, content_hash(photo.samples))
    mode = prior.mode(plan.scale)

    def draw(numbers: Sequence[int], start: float) -> list[Tensor]:
        pictures = renoise(
            anchor,
            denoise,
            start,
            sigma_min=mode.sigma_min,
            sampler=plan.sampler,
            steps=plan.steps,
            variance=lambda s: mode.variance_at(s, plan.noise_std),
            fields=[(field, k) for k in numbers],
        )
        return [x[None] for x in pictures]

    together = batch or max(1, min(8, BATCH_PIXELS // (anchor.shape[-1] * anchor.shape[-2])))
    draws: list[Tensor] = []
    for first in range(0, plan.samples, together):
        draws += draw(range(first, min(first + together, plan.samples)), mode.sigma_max)
    first_draw = draws[:1]

    def at(f: float) -> Tensor:
        if f == 0:
            return anchor
        if f < 1 and plan.path == "renoise":
            return draw([0], sigma_0(table(), f))[0]
        if not first_draw:
            first_draw.extend(draw([0], mode.sigma_max))
        return first_draw[0] if f == 1 else anchor + weight(table(), f) * (first_draw[0] - anchor)

    def table() -> DialTable:
        return find_table(prior.card, plan.scale, plan.noise_std, plan.sampler, plan.steps)

    images = {f: at(f) for f in plan.dials}
    sampled = time.perf_counter()

    finish = _Finish(photo, plan)
    samples = [finish(x) for x in draws]
    mean, std = _moments([p.samples for p in samples])
    result = Restoration(
        images={f: finish(x) for f, x in images.items()},
        measurement=photo,
        samples=samples,
        mean=None if mean is None else samples[0].with_samples(mean, samples[0].alpha),
        std=std,
        run=_facts(prior, plan, {"encode": encoded - begun, "sample": sampled - encoded}),
    )
    result.run["seconds"]["finish"] = round(time.perf_counter() - sampled, 3)
    return result


def _measurement(photo: Photo, prior: Prior, scale: int) -> Tensor:
    samples = as_channels(premultiplied(photo.samples, photo.alpha), prior.card.network.channels)
    rows, columns = padding(prior, photo.height, photo.width, scale)
    if rows or columns:
        samples = np.pad(samples, ((0, rows), (0, columns), (0, 0)), mode="symmetric")
    return torch.from_numpy(np.ascontiguousarray(samples.transpose(2, 0, 1), np.float32))[None]


class _Finish:
    """From the padded truth grid to a photograph like the measurement."""

    def __init__(self, photo: Photo, plan: Plan) -> None:
        self.photo = photo
        self.height, self.width = plan.shape
        self.alpha = None
        if photo.alpha is not None:
            self.alpha = resize(photo.alpha, self.height, self.width).clip(0, 1)
        self.dpi = None if photo.dpi is None else (photo.dpi[0] * plan.scale, photo.dpi[1] * plan.scale)

    def crop(self, x: Tensor) -> NDArray[np.float32]:
        """(1, C, H', W') to (H, W, C) with the photograph's channels."""
        samples = x[0, :, : self.height, : self.width].permute(1, 2, 0).numpy()
        return as_channels(samples, self.photo.channels)

    def __call__(self, x: Tensor) -> Photo:
        samples = unpremultiplied(self.crop(x), self.alpha)
        return Photo(samples, self.alpha, self.photo.bit_depth, self.photo.icc, self.dpi, self.photo.format)


class _Counted:
    """A denoiser that tells of every evaluation."""

    def __init__(self, denoise: ConditionalDenoiser, of: int, tell: Progress) -> None:
        self.denoise = denoise
        self.of = of
        self.tell = tell
        self.done = 0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        out = self.denoise(x, sigma)
        self.done += len(x)
        self.tell("sample", self.done, self.of)
        return out


def _moments(draws: Sequence[Array]) -> tuple[Array | None, Array | None]:
    """Mean and std (ddof 1) of the draws as delivered, by Welford's recurrence in float64."""
    if len(draws) < 2:
        return None, None
    mean = np.zeros(draws[0].shape)
    squares = np.zeros_like(mean)
    for k, x in enumerate(draws, start=1):
        step = x - mean
        mean += step / k
        squares += step * (x - mean)
    return mean.astype(np.float32), np.sqrt(squares / (len(draws) - 1)).astype(np.float32)


def _facts(prior: Prior, plan: Plan, seconds: dict[str, float]) -> dict[str, Any]:
    weights = next(prior.encoder.parameters())
    return {
        "versions": {"veriscale": version("veriscale"), "torch": torch.__version__, "numpy": np.__version__},
        "prior": {"name": prior.card.name, "sha256": prior.card.tensors_sha256},
        "mode": "conditional",
        "operator": f"downsample:factor={plan.scale},kernel=bicubic",
        "noise_std": plan.noise_std,
        "dial": list(plan.dials),
        "path": plan.path,
        "samples": plan.samples,
        "sampler": plan.sampler,
        "steps": plan.steps,
        "evaluations": plan.evaluations,
        "seed": plan.seed,
        "device": str(weights.device),
        "dtype": str(weights.dtype).removeprefix("torch."),
        "seconds": {k: round(v, 3) for k, v in seconds.items()},
    }
