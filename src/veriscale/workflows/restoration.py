"""Restoring a photograph."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from veriscale.diffusion.checkpoint import load_checkpoint
from veriscale.diffusion.library import find_prior
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo, from_array
from veriscale.imaging.read import read_photo
from veriscale.physics.measurement_noise import Noise
from veriscale.physics.operator import Operator
from veriscale.runtime.device import choose_device, choose_dtype
from veriscale.runtime.networks import TILE
from veriscale.trust.certificate import Certificate
from veriscale.trust.facts import PriorFacts
from veriscale.trust.scores.registry import parse_score
from veriscale.workflows.certified import (
    certified_prior,
    certified_request,
    certified_settings,
    check_certified,
    find_certificate,
)
from veriscale.workflows.degradation import read_sidecar
from veriscale.workflows.mask import make_mask
from veriscale.workflows.measurement import find_measurement
from veriscale.workflows.memory import enough_memory
from veriscale.workflows.plan import Plan, make_plan
from veriscale.workflows.request import Request
from veriscale.workflows.result import Restoration
from veriscale.workflows.scoring import own_map
from veriscale.workflows.two_stages import Progress, run_stages

Array = NDArray[np.float32]

Image = Photo | NDArray[Any] | str | os.PathLike[str]


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
    score: Array | None = None,
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
        score: your own map (H, W), where the certificate's score is "files".
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
    if held is not None:
        held.threshold(held.usual_alpha if alpha is None else alpha)  # one that is none is refused before the work
    if score is not None and (held is None or parse_score(held.binding.score).needs != "maps"):
        raise InputError("A score of your own goes with a certificate whose score is 'files', and here is none.")
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
    return run_plan(
        photo, loaded, plan, certificate=held, alpha=alpha, score=score, tile=tile, batch=batch, progress=progress
    )


def load_certified(prior: str | None, certificate: Certificate | None, device: str = "auto") -> Prior:
    """The prior that is asked for, or that of a certificate, in the certificate's type.

    Raises:
        InputError: there is none.
    """
    if certificate is None:
        return load_prior(prior or "photo", device)
    name = certified_prior(certificate) if prior is None else prior
    facts = certificate.binding.restoration
    return load_prior(name, device, getattr(torch, facts.dtype) if isinstance(facts, PriorFacts) else None)


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
        result = run_stages(photo, prior, plan, tile, batch, progress or (lambda phase, done, of: None))
    return result if certificate is None else masked(result, certificate, alpha, score)


def masked(
    result: Restoration, certificate: Certificate, alpha: float | str | None, score: Array | None = None
) -> Restoration:
    """A restoration with its mask; `score` is a map of the user's own, before its smoothing."""
    scores = result.score
    if score is not None:
        shape = result.image.pixels.shape[:2]
        scores = parse_score(certificate.binding.score).smoothed(own_map(score, shape, "The score"))
    if scores is None:
        raise InputError("The certificate's score is of the user's own maps; give --score-files.")
    mask = make_mask(certificate, alpha, scores, result.measurement)
    return replace(result, score=scores, mask=mask, run={**result.run, "certificate": mask.facts()})
