"""Which way a measurement is restored: with the prior's encoder or without, by which anchor and posterior."""

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import GaussianNoise, Noise
from veriscale.physics.operator import LinearOperator, Operator
from veriscale.workflows.request import Request


def by_encoder(prior: Prior, operator: Operator, noise: Noise, request: Request) -> tuple[bool, str]:
    """Whether the prior is used conditionally, and the phrase that says why.

    Raises:
        InputError: an anchor or posterior was asked for that only the encoder has, and it cannot be used.
    """
    scales = prior.card.network.scales
    known = isinstance(operator, Downsample) and operator.kernel == "bicubic" and operator.scale in scales
    asked = [n for n in (request.anchor, request.posterior) if n not in (None, "mean", "conditional")]
    if request.preset:
        asked.append(request.preset)
    if known and asked:
        _refuse_conditional(request, f"{asked[0]!r} asks for the unconditional prior")
        return False, f"as {asked[0]!r} asks"
    trained = ", ".join(f"×{s}" for s in sorted(scales))
    if not known:
        _refuse_conditional(request, f"its encoder knows bicubic {trained} only, not {operator}")
        return False, f"since its encoder knows bicubic {trained} only"
    if not isinstance(noise, GaussianNoise):
        _refuse_conditional(request, f"its encoder knows Gaussian noise only, not {noise}")
        return False, "since its encoder knows Gaussian noise only"
    largest = largest_noise(prior, operator)
    if noise.std > largest and request.noise != "auto":
        _refuse_conditional(request, f"its encoder knows noise up to {largest:g}, not {noise.std:g}")
        return False, f"since its encoder knows noise up to {largest:g} only"
    return True, f"since it knows bicubic ×{operator.scale}"  # type: ignore[attr-defined]  # a Downsample, by `known`


def _refuse_conditional(request: Request, reason: str) -> None:
    asked = [n for n in (request.anchor, request.posterior) if n in ("mean", "conditional")]
    if asked:
        raise InputError(f"{asked[0]!r} cannot be had, since {reason}; leave it out.")


def choose_anchor(operator: Operator, request: Request) -> str:
    """The first stage of a zero-shot restoration."""
    chosen = request.anchor or ("paper" if request.preset or not isinstance(operator, LinearOperator) else "fast")
    if chosen == "fast" and not isinstance(operator, LinearOperator):
        raise InputError(f"Anchor 'fast' needs a linear operator, and {operator} is not; choose 'paper'.")
    return chosen


def choose_posterior(operator: Operator, noise: Noise, request: Request) -> str:
    """The second stage of a zero-shot restoration."""
    linear = isinstance(operator, LinearOperator)
    chosen = request.posterior or ("dps" if request.preset or not linear else "proximal")
    if chosen != "dps" and not linear:
        raise InputError(f"Posterior {chosen!r} needs a linear operator, and {operator} is not; choose 'dps'.")
    if chosen == "covariance" and not isinstance(noise, GaussianNoise):
        raise InputError(f"Posterior 'covariance' needs Gaussian noise, not {noise}; choose 'proximal' or 'dps'.")
    return chosen


def largest_noise(prior: Prior, operator: Operator) -> float:
    """The largest noise the encoder was trained for; 0 where it does not know the operator."""
    scale = operator.scale if isinstance(operator, Downsample) else None
    return prior.mode(scale).noise_std[-1] if scale else 0.0
