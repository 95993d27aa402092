"""What a restoration by a prior depends on: the part of a certificate that must be the same in use."""

from dataclasses import asdict
from typing import Any

from veriscale.diffusion.prior import Prior
from veriscale.trust.scores.score import Score
from veriscale.workflows.plan import Plan


def plan_facts(prior: Prior, plan: Plan, score: Score, dial: float) -> dict[str, Any]:
    """What the picture at a dial position and its score depend on, and nothing else."""
    facts: dict[str, Any] = {
        "prior": prior.card.tensors_sha256,
        "mode": "conditional" if plan.conditional else "zero-shot",
        "operator": str(plan.operator),
        "scale": plan.scale,
        "noise": str(plan.noise),
        "anchor": plan.anchor,
        "consistent": plan.consistent,
        "dial": dial,
        "runtime": "torch",
        "dtype": str(next(prior.encoder.parameters()).dtype).removeprefix("torch."),
        "guides": [],
    }
    if plan.anchor == "paper":
        facts["preset"] = asdict(plan.preset)
    if score.needs == "draws" or dial > 0:
        facts |= {"posterior": plan.posterior, "sampler": plan.sampler, "steps": plan.steps}
    if 0 < dial < 1:
        facts["path"] = plan.path
    if score.needs == "draws":
        facts["samples"] = plan.samples
    if score.needs == "draws" or dial > 0 or plan.anchor == "paper":
        facts["seed"] = plan.seed
    if score.needs == "predictor":
        facts["predictor"] = prior.card.predictor_sha256
    return facts
