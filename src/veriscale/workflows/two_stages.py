"""Carrying out a plan: the anchor, draws and dial positions, and what is known of them."""

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.diffusion.noise_field import NoiseField, content_hash
from veriscale.diffusion.prior import Prior
from veriscale.imaging.moments import moments
from veriscale.imaging.photo import Photo
from veriscale.traversal.dial import sigma_0, weight
from veriscale.workflows.agreement import moved, verdict
from veriscale.workflows.conditional import Conditional
from veriscale.workflows.finish import Finish
from veriscale.workflows.plan import Plan
from veriscale.workflows.result import Restoration
from veriscale.workflows.scoring import score_map
from veriscale.workflows.zero_shot import ZeroShot

Array = NDArray[np.float32]

BATCH_PIXELS = 1 << 22  # of the draws that are sampled together

Progress = Callable[[str, int, int], None]
"""(phase, done, of): told after every evaluation of a network over the picture."""


def run_stages(photo: Photo, prior: Prior, plan: Plan, tile: int, batch: int | None, tell: Progress) -> Restoration:
    """Both stages, the score if the plan has one, and the facts of the run; arguments as `restoration.restore`."""
    begun = time.perf_counter()
    problem = (Conditional if plan.conditional else ZeroShot)(photo, prior, plan, tile, tell)
    anchored = time.perf_counter()
    field = NoiseField(plan.seed, content_hash(photo.pixels))

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
    mean, std = _moments([p.pixels for p in samples])
    anchor = moved(problem.anchor, photo, plan) if plan.consistent else problem.anchor
    agreement = verdict(anchor, photo, prior, plan)
    score = None
    if plan.score is not None:
        score = score_map(plan.score, problem, pictures[plan.scored_dial], samples, finish)
    result = Restoration(
        images={f: finish(x) for f, x in pictures.items()},
        measurement=photo,
        samples=samples,
        mean=None if mean is None else samples[0].with_pixels(mean, samples[0].alpha),
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
    """Mean and std (ddof 1) of the draws as delivered."""
    if len(draws) < 2:
        return None, None
    count, mean, squares = moments(draws)
    return mean.astype(np.float32), np.sqrt(squares / (count - 1)).astype(np.float32)


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
