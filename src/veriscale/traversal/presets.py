"""Settings by name: what the authors of MAP-RPS published for a task, for comparisons with their method."""

from dataclasses import dataclass

from veriscale.errors import InputError, closest


@dataclass(frozen=True)
class Preset:
    """Settings of the anchor `paper` and the posterior `dps`.

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


_T10, _T50 = 0.022, 0.0865  # t = 10 and t = 50 of 1000: sigma 0.044 and 0.173 on [−1, 1]

DEFAULT = Preset(200, None, 0.1, _T50, 3.0, 100)
"""Ours, chosen on validation photographs: docs/results/zeroshot_tuning.json."""


def _pixels(iterations: int, weight: float, zeta: float) -> Preset:
    # The public scripts are for [−1, 1]: learning rate 0.5, and a weight twice as large.
    return Preset(iterations, weight / 2, 0.25, _T10, zeta, 100)


PRESETS = {
    "map-rps-sr4": _pixels(300, 0.25, 1.0),
    "map-rps-inpainting": _pixels(400, 0.7, 1.0),
    "map-rps-denoising": _pixels(60, 2.0, 1.0),
    "map-rps-blur": _pixels(200, 0.01, 2.0),
}


def find_preset(name: str | None) -> Preset:
    """The preset of a name; the default when None.

    Raises:
        InputError: there is none.
    """
    if name is None:
        return DEFAULT
    if name not in PRESETS:
        raise InputError(f"No preset is called {name!r}; {closest(name, PRESETS)}.")
    return PRESETS[name]
