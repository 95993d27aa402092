"""Which method restores a measurement, by what is asked and what the prior knows."""

from contextlib import suppress
from math import inf

from veriscale.diffusion.card import PATHS
from veriscale.diffusion.checkpoint import read_card
from veriscale.diffusion.library import known_priors
from veriscale.diffusion.prior import Prior
from veriscale.diffusion.samplers import sampler
from veriscale.errors import InputError, closest
from veriscale.latent.method import ANCHOR, Latent
from veriscale.latent.method import POSTERIORS as OF_LATENTS
from veriscale.latent.prior import LatentPrior, Prompt
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import ROUNDING, GaussianNoise, Noise
from veriscale.physics.operator import LinearOperator, Operator, ProximalOperator, Shape, proximal
from veriscale.settings import Settings
from veriscale.traversal import zero_shot
from veriscale.traversal.dial import check_sigma_0
from veriscale.traversal.method import Method
from veriscale.traversal.presets import find_latent_preset, find_preset
from veriscale.traversal.zero_shot import ZeroShot
from veriscale.trust.scores.score import Score

ANCHORS = ("mean", "fast", "draws", "paper")
POSTERIORS = ("conditional", "proximal", "dps", "covariance", "gauss-newton")


def check_values(v: Settings) -> None:
    """Raise `InputError` for what no prior and no picture can be asked for."""
    if v.path not in (None, *PATHS):
        raise InputError(f"Unknown path {v.path!r}; {closest(v.path or '', PATHS)}.")
    if v.sampler is not None:
        sampler(v.sampler)
    for name, given, known in (("anchor", v.anchor, ANCHORS), ("posterior", v.posterior, POSTERIORS)):
        if given is not None and given not in known:
            raise InputError(f"Unknown {name} {given!r}; {closest(given, known)}.")
    samples, seed = v.samples or 0, v.seed or 0
    if (v.steps is not None and v.steps < 1) or samples < 0 or seed < 0:
        raise InputError(
            f"steps {v.steps}, samples {samples}, seed {seed}: steps must be at least 1, the others at least 0."
        )
    if samples == 1:
        raise InputError("samples is 1, and one draw has no spread; ask for at least 2, or for `--dial` 1.")


def known_scale(prior: Prior, scale: float | None) -> int:
    """The scale, or the largest, that the prior's encoder knows.

    Raises:
        InputError: it does not.
    """
    scales = prior.card.network.scales
    if not scales and (scale is None or scale != int(scale)):
        raise InputError(
            f"Prior {prior.card.name!r} has no encoder and no factor of its own; say `--operator`, such as "
            "downsample:factor=2.5, or a whole `--scale`."
        )
    if scale is None:
        return max(scales)
    if scales and scale not in scales:
        known = ", ".join(f"×{s}" for s in sorted(scales))
        other = _knowing(scale, prior.card.network.channels)
        instead = "" if other is None else f", and ×{scale:g} with the encoder of `--prior` {other}"
        raise InputError(
            f"Prior {prior.card.name!r} does not know scale ×{scale:g}; it knows {known}. Any other factor can be "
            f"restored without the encoder, as `--operator` downsample:factor={scale:g}{instead}."
        )
    return int(scale)


def _knowing(scale: float, channels: int) -> str | None:
    """The first installed prior of at least so many channels whose encoder knows a scale."""
    for name, path in known_priors().items():
        with suppress(InputError):  # a broken file, or one of guides
            network = read_card(path).network
            if scale in network.scales and network.channels >= channels:
                return name
    return None


def by_encoder(
    prior: Prior, operator: Operator, factor: int | None, noise: Noise, v: Settings, estimated: bool
) -> tuple[int | None, str]:
    """The scale at which the prior's encoder knows a measurement, None where it does not, and the phrase that says why.

    Raises:
        InputError: an anchor or posterior was asked for that only the encoder has, and it cannot be used.
    """
    scales = prior.card.network.scales
    scale = factor if isinstance(operator, Downsample) and operator.kernel == "bicubic" else None
    known = scale in scales
    asked = [n for n in (v.anchor, v.posterior) if n not in (None, "mean", "conditional")]
    if v.preset:
        asked.append(v.preset)
    if known and asked:
        _refuse_conditional(v, f"{asked[0]!r} asks for the unconditional prior")
        return None, f"as {asked[0]!r} asks"
    if not known or scale is None:
        trained = ", ".join(f"×{s}" for s in sorted(scales))
        reason = f"its encoder knows bicubic {trained} only" if scales else "it has no encoder"
        reason = "it is a latent prior" if isinstance(prior, LatentPrior) else reason
        _refuse_conditional(v, f"{reason}, not {operator}" if scales else reason)
        return None, f"since {reason}"
    if not isinstance(noise, GaussianNoise):
        _refuse_conditional(v, f"its encoder knows Gaussian noise only, not {noise}")
        return None, "since its encoder knows Gaussian noise only"
    largest = prior.mode(scale).noise_std[-1]
    if noise.std > largest and not estimated:
        _refuse_conditional(v, f"its encoder knows noise up to {largest:g}, not {noise.std:g}")
        return None, f"since its encoder knows noise up to {largest:g} only"
    return scale, f"since it knows bicubic ×{scale}"


def _refuse_conditional(v: Settings, reason: str) -> None:
    asked = [n for n in (v.anchor, v.posterior) if n in ("mean", "conditional")]
    if asked:
        raise InputError(f"{asked[0]!r} cannot be had, since {reason}; leave it out.")


def check_ensemble(scale: int | None, why: str, dials: tuple[float, ...], v: Settings) -> None:
    """Raise `InputError` where a mean over flips and rotations is not what comes of the plan."""
    reason = "draws are asked for" if v.samples else None if scale else f"the prior is used without it, {why}"
    if dials != (0,):
        reason = "`--sigma0` is above 0" if v.sigma0 else "a dial position above 0 is asked for"
    if reason:
        raise InputError(f"`--ensemble` is a mean of what the prior's encoder makes, and {reason}; leave it out.")


def check_start(start: float, v: Settings, method: Method, score: Score | None) -> None:
    """Raise `InputError` for a start of the second stage that is none, or goes with nothing else that is asked."""
    if v.dial is not None:
        raise InputError("`--sigma0` and `--dial` both say how far to go; give one of them.")
    if v.path == "interpolate":
        raise InputError(
            "`--sigma0` is where path renoise begins, and interpolate begins nowhere; leave one of them out."
        )
    if v.samples or score is not None:
        raise InputError(
            "`--sigma0` is for one picture; draws for a spread and masks are of `--dial`, so leave it out."
        )
    check_sigma_0(start, method.sigma_max)


def by_denoiser(
    prior: Prior, operator: Operator, noise: Noise, shape: Shape, v: Settings, rounding: float = ROUNDING
) -> ZeroShot:
    """The method of a prior without its encoder, in the anchor and the posterior that are asked for or fit.

    Raises:
        InputError: they do not go with operator, noise or sampler.
    """
    preset = find_preset(v.preset)
    usual = isinstance(operator, ProximalOperator) and operator.dependable
    first = "paper" if v.preset or not isinstance(operator, ProximalOperator) else "fast" if usual else "draws"
    anchor = v.anchor or first
    if anchor in ("fast", "draws"):
        proximal(operator, f"Anchor {anchor!r}", "'paper'")
    posterior = v.posterior or ("dps" if v.preset or not usual else "proximal")
    if posterior == "gauss-newton":
        raise InputError("Posterior 'gauss-newton' is of latent priors, and this one is of pictures; choose 'dps'.")
    if posterior == "proximal":
        proximal(operator, "Posterior 'proximal'", "'dps'")
    if posterior == "covariance" and not isinstance(operator, LinearOperator):
        raise InputError(f"Posterior 'covariance' needs a linear operator, and {operator} is not; choose another.")
    if posterior == "covariance" and not isinstance(noise, GaussianNoise):
        raise InputError(f"Posterior 'covariance' needs Gaussian noise, not {noise}; choose 'proximal' or 'dps'.")
    if posterior == "dps" and v.sampler is not None:
        raise InputError("The posterior 'dps' is a sampler of its own; leave out `--sampler`.")
    steps = v.steps or (preset.steps if posterior == "dps" else zero_shot.STEPS)
    by = v.sampler or zero_shot.SAMPLER
    return ZeroShot(prior, operator, noise, shape, anchor, posterior, preset, by, steps, rounding)


def check_told(prior: Prior, v: Settings) -> None:
    """Raise `InputError` for a text that goes to no network."""
    asked = [n for n in ("prompt", "negative_prompt", "guidance") if getattr(v, n) is not None]
    if asked and (not isinstance(prior, LatentPrior) or prior.texts is None):
        name = asked[0].replace("_", "-")
        raise InputError(f"Prior {prior.card.name!r} was trained without texts; leave out `--{name}`.")
    if v.guidance is not None and not 0 <= v.guidance < inf:
        raise InputError(f"`--guidance` is {v.guidance:g}, and a number from 0 on is wanted; 1 is none.")


def by_latents(
    prior: LatentPrior, operator: Operator, noise: Noise, shape: Shape, v: Settings, rounding: float = ROUNDING
) -> Latent:
    """The method of a latent prior, in the posterior that is asked for.

    Raises:
        InputError: it does not go with the noise or the sampler, the picture is too large for the prior, or a prompt
            is too long for it or goes unread.
    """
    preset = find_latent_preset(v.preset)
    posterior = v.posterior or "dps"
    for what, given, known in (("anchor", v.anchor or ANCHOR, (ANCHOR,)), ("posterior", posterior, OF_LATENTS)):
        if given not in known:
            raise InputError(
                f"The {what} {given!r} is not of latent priors such as {prior.card.name!r}; {closest(given, known)}."
            )
    if posterior == "gauss-newton" and not isinstance(noise, GaussianNoise):
        raise InputError(f"Posterior 'gauss-newton' needs Gaussian noise, not {noise}; choose 'dps'.")
    if posterior == "dps" and v.sampler is not None:
        raise InputError("The posterior 'dps' is a sampler of its own; leave out `--sampler`.")
    if posterior == "gauss-newton" and v.sampler is not None and sampler(v.sampler).needs_variance:
        raise InputError(
            f"The sampler {v.sampler!r} needs v(sigma), which is not known of latent priors; choose `--sampler` heun."
        )
    prior.grid(*operator.truth_shape(shape)[-2:])
    guidance = v.guidance if v.guidance is not None else preset.guidance if v.prompt or v.negative_prompt else 1.0
    if v.negative_prompt and guidance == 1:
        raise InputError("`--negative-prompt` is not read at guidance 1; choose another `--guidance`, or leave it out.")
    told = prior.told(Prompt(v.prompt or "", v.negative_prompt or "", guidance))
    steps = v.steps or (preset.steps if posterior == "dps" else zero_shot.STEPS)
    return Latent(told, operator, noise, shape, posterior, preset, v.sampler or zero_shot.SAMPLER, steps, rounding)
