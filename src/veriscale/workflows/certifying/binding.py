"""What a restoration by a prior depends on: the part of a certificate that must be the same in use."""

from typing import cast

from msgspec import UNSET

from veriscale.diffusion.prior import Prior
from veriscale.trust.facts import Dtype, PriorFacts
from veriscale.trust.scores.score import Score
from veriscale.workflows.restoring.plan import Plan


def plan_facts(prior: Prior, plan: Plan, score: Score, dial: float) -> PriorFacts:
    """What the picture at a dial position and its score depend on, and nothing else."""
    method, draws = plan.method, score.needs == "draws"
    sampled = draws or dial > 0
    return PriorFacts(
        prior=prior.card.tensors_sha256,
        mode=method.name,
        operator=plan.measured_by,
        scale=plan.scale,
        noise=plan.measured_with,
        anchor=method.anchor,
        consistent=plan.consistent,
        dial=dial,
        runtime="torch",
        dtype=cast(Dtype, str(next(prior.encoder.parameters()).dtype).removeprefix("torch.")),
        guides=[],
        preset=method.settings or UNSET,
        posterior=method.posterior if sampled else UNSET,
        sampler=method.sampler if sampled else UNSET,
        steps=method.steps if sampled else UNSET,
        path=plan.path if 0 < dial < 1 else UNSET,
        samples=plan.samples if draws else UNSET,
        seed=plan.seed if sampled or method.settings else UNSET,
        predictor=prior.card.predictor_sha256 if score.needs == "predictor" else UNSET,
    )
