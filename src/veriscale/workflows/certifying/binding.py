"""What a restoration by a prior depends on: the part of a certificate that must be the same in use."""

from typing import cast

from msgspec import UNSET

from veriscale.diffusion.prior import Prior
from veriscale.trust.facts import Dtype, PriorFacts
from veriscale.trust.scores.score import Score
from veriscale.workflows.restoring.plan import Plan


def plan_facts(prior: Prior, plan: Plan, score: Score, dial: float) -> PriorFacts:
    """What the picture at a dial position and its score depend on, and nothing else."""
    draws = score.needs == "draws"
    kept = plan.facts() | {"dial": dial}
    if not (draws or dial > 0):
        kept |= dict.fromkeys(("posterior", "sampler", "steps"), UNSET)
    if not (draws or dial > 0 or plan.method.settings):
        kept["seed"] = UNSET
    if not draws:
        kept["samples"] = UNSET
    if not 0 < dial < 1:
        kept["path"] = UNSET
    return PriorFacts(
        prior=prior.card.tensors_sha256,
        card=prior.card.deciding_sha256(plan.method.scale or 0),
        scale=plan.scale,
        runtime="torch",
        dtype=cast(Dtype, str(prior.dtype).removeprefix("torch.")),
        guides=list(prior.binding_guides),
        preset=plan.method.settings or UNSET,
        predictor=prior.card.predictor_sha256 if score.needs == "predictor" else UNSET,
        **{k: v for k, v in kept.items() if k in PriorFacts.__struct_fields__},
    )
