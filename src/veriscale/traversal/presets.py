"""Settings by name: what the authors of MAP-RPS published for a task, for comparisons with their method."""

from dataclasses import dataclass

from veriscale.errors import InputError, closest


@dataclass(frozen=True)
class Preset:
    """Settings of the anchor `paper` and the posterior `dps`, for pictures.

    Attributes:
        iterations: N of the anchor.
        weight: w for the squared norm on [0, 1]; None takes `anchor.consistent_weight`.
        rate: of AdamW on [0, 1].
        sigma: noise level t₁ of the anchor's iterate on [0, 1].
        zeta: step length of dps, in the authors' units.
        steps: of dps.
    """

    iterations: int
    weight: float | None
    rate: float
    sigma: float
    zeta: float
    steps: int


@dataclass(frozen=True)
class LatentPreset:
    """The same for the latents of an autoencoder.

    Attributes:
        iterations: N of the anchor.
        weight: w for y on [0, 1]; None takes `anchor.consistent_weight`, which is for the squared norm.
        plain: whether the anchor's norm is the plain one.
        rate: of AdamW, in latents.
        timestep: t₁ of 1000, whose noise level the prior's schedule says.
        zeta: step length of dps, in the authors' units.
        steps: of dps.
        guidance: scale of classifier-free guidance where there is a prompt; 1 is none.
    """

    iterations: int
    weight: float | None
    plain: bool
    rate: float
    timestep: int
    zeta: float
    steps: int
    guidance: float


_T10, _T50 = 0.022, 0.0865  # t = 10 and t = 50 of 1000: sigma 0.044 and 0.173 on [−1, 1]

DEFAULT = Preset(200, None, 0.1, _T50, 3.0, 100)
"""Ours, chosen on validation photographs: docs/results/zeroshot_tuning.json."""


def _pixels(iterations: int, weight: float, zeta: float) -> Preset:
    # The public scripts are for [−1, 1]: learning rate 0.5, and a weight twice as large.
    return Preset(iterations, weight / 2, 0.25, _T10, zeta, 100)


def _latents(
    iterations: int, weight: float, zeta: float, rate: float = 0.5, plain: bool = False, guidance: float = 1.0
) -> LatentPreset:
    # Latents keep their range, so that rates stay; y goes from [−1, 1] to [0, 1], where its norm is half, its square a
    # quarter, and w with it. `dps_length` of latent/misfit.py does the same for zeta.
    return LatentPreset(iterations, weight / (2 if plain else 4), plain, rate, 50, zeta, 100, guidance)


def _coco(iterations: int, weight: float, zeta: float = 0.1, rate: float = 2.0, plain: bool = False) -> LatentPreset:
    return _latents(iterations, weight, zeta, rate, plain, guidance=1.5)


LATENT_DEFAULT = LatentPreset(100, None, False, 0.1, 50, 0.1, 100, 1.5)
"""Ours, and not tuned yet."""

# Source: the authors' public scripts beside LMAP-RPS (arXiv 2605.28711), for latent diffusion on FFHQ and for Stable
# Diffusion 1.5 on COCO.
LATENT_PRESETS = {
    "lmap-rps-ffhq-sr4": _latents(60, 0.25, 0.08),
    "lmap-rps-ffhq-inpainting": _latents(120, 0.3, 0.05),
    "lmap-rps-ffhq-denoising": _latents(70, 0.6, 0.015),
    "lmap-rps-ffhq-blur": _latents(100, 0.001, 0.04, rate=0.1),
    "lmap-rps-coco-sr4": _coco(100, 0.15, 0.1),
    "lmap-rps-coco-inpainting": _coco(200, 0.3, 0.01),
    "lmap-rps-coco-blur": _coco(200, 0.1, 0.1),
    # Of these no zeta is published, and that of sr4 stands in.
    "lmap-rps-coco-sensing": _coco(300, 0.005, rate=0.5, plain=True),
    "lmap-rps-coco-hdr": _coco(400, 0.005, plain=True),
    "lmap-rps-coco-nonlinear-blur": _coco(500, 0.002, plain=True),
}

# Source: those beside MAP-RPS, of the same paper.
PRESETS = {
    "map-rps-sr4": _pixels(300, 0.25, 1.0),
    "map-rps-inpainting": _pixels(400, 0.7, 1.0),
    "map-rps-denoising": _pixels(60, 2.0, 1.0),
    "map-rps-blur": _pixels(200, 0.01, 2.0),
}


def find_preset(name: str | None) -> Preset:
    """The preset for pictures of a name; the default when None.

    Raises:
        InputError: there is none.
    """
    if name is None:
        return DEFAULT
    if name in LATENT_PRESETS:
        raise InputError(f"The preset {name!r} is for latent priors, and this one is of pictures; leave it out.")
    if name not in PRESETS:
        raise InputError(f"No preset is called {name!r}; {closest(name, PRESETS)}.")
    return PRESETS[name]


def find_latent_preset(name: str | None) -> LatentPreset:
    """The preset for latents of a name; the default when None.

    Raises:
        InputError: there is none.
    """
    if name is None:
        return LATENT_DEFAULT
    if name not in LATENT_PRESETS:
        raise InputError(f"No preset for latents is called {name!r}; {closest(name, LATENT_PRESETS)}.")
    return LATENT_PRESETS[name]
