"""What a restoration by a prior depends on: the part of a certificate that must be the same in use."""

from typing import Any

from veriscale.diffusion.prior import Prior
from veriscale.trust.score_name import Score
from veriscale.workflows.restoring.plan import Plan


def plan_facts(prior: Prior, plan: Plan, score: Score, dial: float) -> dict[str, Any]:
    """What the picture at a dial position and its score depend on, and nothing else."""
    method = plan.method
    facts: dict[str, Any] = {
        "prior": prior.card.tensors_sha256,
        "mode": method.name,
        "operator": plan.measured_by,
        "scale": plan.scale,
        "noise": plan.measured_with,
        "anchor": method.anchor,
        "consistent": plan.consistent,
        "dial": dial,
        "runtime": "torch",
        "dtype": str(next(prior.encoder.parameters()).dtype).removeprefix("torch."),
        "guides": [],
    }
    facts |= method.settings
    if score.name == "variance" or dial > 0:
        facts |= {"posterior": method.posterior, "sampler": method.sampler, "steps": method.steps}
    if 0 < dial < 1:
        facts["path"] = plan.path
    if score.name == "variance":
        facts["samples"] = plan.samples
    if score.name == "variance" or dial > 0 or method.settings:
        facts["seed"] = plan.seed
    if score.name == "predictor":
        facts["predictor"] = prior.card.predictor_sha256
    return facts
