"""Restoring a photograph: anchor, dial, draws."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.diffusion.checkpoint import load_checkpoint
from veriscale.diffusion.library import find_prior
from veriscale.diffusion.noise_field import NoiseField, content_hash
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo, from_array
from veriscale.imaging.read import read_photo
from veriscale.physics.measurement_noise import Noise
from veriscale.physics.operator import Operator
from veriscale.runtime.device import choose_device, choose_dtype
from veriscale.runtime.networks import TILE
from veriscale.traversal.consistency import Verdict
from veriscale.traversal.dial import sigma_0, weight
from veriscale.trust.certificate import Certificate
from veriscale.workflows.agreement import moved, verdict
from veriscale.workflows.certified import (
    certified_prior,
    certified_request,
    certified_settings,
    check_certified,
    find_certificate,
)
from veriscale.workflows.conditional import Conditional
from veriscale.workflows.degradation import read_sidecar
from veriscale.workflows.finish import Finish
from veriscale.workflows.mask import Mask, make_mask
from veriscale.workflows.measurement import find_measurement
from veriscale.workflows.memory import enough_memory
from veriscale.workflows.plan import Plan, make_plan
from veriscale.workflows.request import Request
from veriscale.workflows.scoring import score_map
from veriscale.workflows.zero_shot import ZeroShot

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
        operator: what made the measurement, bound to its grid.
        verdict: whether the anchor agrees with the measurement.
        score: (H, W), higher where the result is less trustworthy; None where none was asked for.
        mask: what a certificate says of the picture at its dial; None without one.
        run: what was done: versions, prior, operator, noise, dials, seed, device, seconds by phase.
    """

    images: dict[float, Photo]
    measurement: Photo
    samples: list[Photo]
    mean: Photo | None
    std: NDArray[np.float32] | None
    operator: Operator
    verdict: Verdict
    run: dict[str, Any]
    score: NDArray[np.float32] | None = None
    mask: Mask | None = None

    @property
    def consistency(self) -> float:
        """‖A·anchor − y‖²/(n·s²): about 1 or a little less where operator and noise are right."""
        return self.verdict.value

    @property
    def trusted(self) -> NDArray[np.bool_] | None:
        """(H, W), which pixels a certificate trusts; None without one."""
        return None if self.mask is None else self.mask.trusted

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
    prior: Prior | str | None = None,
    *,
    scale: int | None = None,
    operator: str | Operator | None = None,
    noise: str | float | Noise | None = None,
    dial: float | Sequence[float] | None = None,
    path: str | None = None,
    samples: int | None = None,
    anchor: str | None = None,
    posterior: str | None = None,
    preset: str | None = None,
    consistent: bool | None = None,
    sampler: str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    certificate: Certificate | str | os.PathLike[str] | None = None,
    alpha: float | str | None = None,
    tile: int = TILE,
    batch: int | None = None,
    progress: Progress | None = None,
) -> Restoration:
    """Restore a measurement, anywhere between closest on average (dial 0) and looks real (dial 1).

    Args:
        image: a file, an array or a `Photo`.
        prior: name, path or a loaded prior; that of the certificate by default, else `photo`.
        scale: factor of bicubic downsampling; the prior's largest by default, where no operator is given.
        operator: what made the measurement, such as "inpaint:keep=0.5"; by default what a file's sidecar says.
        noise: its noise: a standard deviation in [0, 1] units, a string such as "poisson:peak=30", or "auto"; by
            default what a file's sidecar says, else 0.
        dial: position or positions in [0, 1]; 0 by default.
        path: "renoise" or "interpolate", for positions between 0 and 1.
        samples: draws at dial 1, for mean and spread.
        anchor: "mean" (the encoder), "fast" or "paper"; by default what fits the measurement.
        posterior: "conditional", "proximal", "dps" or "covariance"; likewise.
        preset: settings of the paper for a task, a name in `traversal.presets.PRESETS`.
        consistent: move the anchor until its residual is what the noise explains.
        sampler: of the second stage, a name in `diffusion.samplers.SAMPLERS`.
        steps: of the sampler.
        seed: of all noise.
        certificate: of `calibrate`, or its file: it gives the settings that are left open, and the mask.
        alpha: risk level of the mask, fixed before the result is seen; the usual one of the certificate's loss by
            default.
        tile: side of a network's tile in output pixels; bounds memory, does not change the picture.
        batch: draws sampled together; by memory by default.
        progress: called after every evaluation of a network over the picture.

    Raises:
        InputError: the picture or a value cannot be used; see `workflows.plan.make_plan`.

    Example:
        >>> restore("small.png", scale=4, dial=[0, 1]).save("out")  # doctest: +SKIP
    """
    photo = as_photo(image)
    held = find_certificate(certificate) if isinstance(certificate, str | os.PathLike) else certificate
    if alpha is not None and held is None:
        raise InputError("alpha is the level of a certificate's mask, and no certificate is given.")
    loaded = prior if isinstance(prior, Prior) else load_certified(prior, held)
    file = Path(image) if isinstance(image, str | os.PathLike) else None
    given = {
        "dial": dial,
        "path": path,
        "samples": samples,
        "anchor": anchor,
        "posterior": posterior,
        "preset": preset,
        "consistent": consistent,
        "sampler": sampler,
        "steps": steps,
        "seed": seed,
    }
    settings = {} if held is None else certified_settings(held)
    if held is not None and operator is None and scale is None and (file is None or read_sidecar(file) is None):
        operator = settings["operator"]
        noise = settings["noise"] if noise is None else noise
    found, noise = find_measurement(file, operator, scale, noise)
    kept = {k: v for k, v in settings.items() if k not in ("operator", "noise")}
    request = Request(
        scale=scale if found is None else None,
        operator=found,
        noise=noise,
        **{**kept, **{k: v for k, v in given.items() if v is not None}},
    )
    if held is not None:
        request = certified_request(request, held)
    plan = make_plan(photo, loaded, request)
    return run_plan(photo, loaded, plan, certificate=held, alpha=alpha, tile=tile, batch=batch, progress=progress)


def load_certified(prior: str | None, certificate: Certificate | None, device: str = "auto") -> Prior:
    """The prior that is asked for, or that of a certificate, in the certificate's type.

    Raises:
        InputError: there is none.
    """
    if certificate is None:
        return load_prior(prior or "photo", device)
    name = certified_prior(certificate) if prior is None else prior
    return load_prior(name, device, getattr(torch, str(certificate.binding.restoration.get("dtype")), None))


def run_plan(
    photo: Photo,
    prior: Prior,
    plan: Plan,
    *,
    certificate: Certificate | None = None,
    alpha: float | str | None = None,
    score: Array | None = None,
    tile: int = TILE,
    batch: int | None = None,
    progress: Progress | None = None,
) -> Restoration:
    """Carry out a checked request; arguments and errors as `restore`, and `score` for a map (H, W) the user brings."""
    if certificate is not None:
        check_certified(photo, prior, plan, certificate)
    with enough_memory(plan):
        result = _run(photo, prior, plan, tile, batch, progress or (lambda phase, done, of: None))
    return result if certificate is None else masked(result, certificate, alpha, score)


def masked(
    result: Restoration, certificate: Certificate, alpha: float | str | None, score: Array | None = None
) -> Restoration:
    """A restoration with its mask."""
    scores = result.score if score is None else score
    if scores is None:
        raise InputError("The certificate's score is of the user's own maps; give --score-files.")
    mask = make_mask(certificate, alpha, scores, result.measurement)
    return replace(result, score=scores, mask=mask, run={**result.run, "certificate": mask.facts()})


def _run(photo: Photo, prior: Prior, plan: Plan, tile: int, batch: int | None, tell: Progress) -> Restoration:
    begun = time.perf_counter()
    problem = (Conditional if plan.conditional else ZeroShot)(photo, prior, plan, tile, tell)
    anchored = time.perf_counter()
    field = NoiseField(plan.seed, content_hash(photo.samples))

    def draw(numbers: Sequence[int], start: float) -> list[Tensor]:
        return [x[None] for x in problem.draw([(field, k) for k in numbers], start)]

    fitting = 1 if plan.gradient else max(1, min(8, BATCH_PIXELS // problem.anchor[0, 0].numel()))
    together = batch or fitting
    draws: list[Tensor] = []
    for first in range(0, plan.full_draws, together):
        draws += draw(range(first, min(first + together, plan.full_draws)), problem.sigma_max)
    dial = problem.dial(draws[:2], lambda start: draw([0], start)[0]) if plan.inner else None

    def at(f: float) -> Tensor:
        if f == 0:
            return problem.anchor
        if f == 1 or dial is None:
            return draws[0]
        if plan.path == "renoise":
            return draw([0], sigma_0(dial, f))[0]
        return problem.anchor + weight(dial, f) * (draws[0] - problem.anchor)

    pictures = {f: moved(at(f), photo, plan) if plan.consistent else at(f) for f in plan.dials}
    sampled = time.perf_counter()

    finish = Finish(photo, plan)
    samples = [finish(x) for x in draws[: plan.samples]]
    mean, std = _moments([p.samples for p in samples])
    anchor = moved(problem.anchor, photo, plan) if plan.consistent else problem.anchor
    agreement = verdict(anchor, photo, prior, plan)
    score = None
    if plan.score is not None:
        score = score_map(plan.score, problem, pictures[plan.scored_dial], samples, finish)
    result = Restoration(
        images={f: finish(x) for f, x in pictures.items()},
        measurement=photo,
        samples=samples,
        mean=None if mean is None else samples[0].with_samples(mean, samples[0].alpha),
        std=std,
        operator=plan.operator,
        verdict=agreement,
        run=_facts(prior, plan, {"anchor": anchored - begun, "sample": sampled - anchored}),
        score=score,
    )
    result.run["fell_back"] = problem.fell_back
    result.run["consistency"] = {"value": agreement.value, "low": agreement.low, "high": agreement.high}
    result.run["seconds"]["finish"] = round(time.perf_counter() - sampled, 3)
    return result


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
        "mode": "conditional" if plan.conditional else "zero-shot",
        "operator": str(plan.operator),
        "noise": str(plan.noise),
        "noise_std": plan.noise_std,
        "anchor": plan.anchor,
        "posterior": plan.posterior,
        "consistent": plan.consistent,
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
