"""How the anchor `fast` goes: its noise levels, how far it trusts the measurement, and its last step."""

import math
from typing import NamedTuple

from veriscale.diffusion.card import Mode
from veriscale.diffusion.schedule import geometric
from veriscale.errors import InputError
from veriscale.physics.data_term import DataTerm
from veriscale.physics.masked import Masked
from veriscale.physics.measurement_noise import GaussianNoise, Noise
from veriscale.physics.operator import Operator, ProximalOperator, Shape, proximal
from veriscale.physics.slice_profile import SliceProfile
from veriscale.traversal.start import gap

STEPS = 16  # evaluations of the denoiser
APART, NEAR = 4.0, 1.2  # the first level over the last one, at least
MASKED = 1.5  # the last level of a mask, in units of its noise
# Holes are wide from a mean gap of so many pixels on; there a learned denoiser that starts higher drifts.
WIDE_GAP, WIDE_HIGH = 2.0, 0.2


class Rule(NamedTuple):
    """What is a prior's own, for one kind of operator.

    Attributes:
        high: the first level.
        low: the last one at least.
        trust: the measurement's noise is taken for trust · s.
        relaxation: of the splitting variable's steps.
    """

    high: float
    low: float = 0.0
    trust: float = 1.0
    relaxation: float = 1.0


EXACT, EXACT_MASKED = Rule(0.9), Rule(0.5)
"""For a denoiser that is an expectation under a log-concave prior, such as a Gaussian oracle's."""

THICK_SLICES = Rule(0.7, 0.03, relaxation=0.5)
"""For volumes of thick slices, chosen on a training subject: benchmarks/scan_through.py --tune."""


class Splitting(NamedTuple):
    """What `anchor.fast` does with one measurement.

    Attributes:
        sigmas: one evaluation at each, decreasing.
        trust: of the `Rule`.
        last: the level of a last step to the data; 0 for none.
        relaxation: of the `Rule`.
    """

    sigmas: list[float]
    trust: float = 1.0
    last: float = 0.0
    relaxation: float = 1.0


def splitting(noise_std: float, norm: float, masked: bool, rule: Rule | None = None, steps: int = STEPS) -> Splitting:
    """Levels from what the prior leaves open to what the measurement leaves open.

    With c = 1.5 for masks, whose modes are seen with precision 1/s² or not at all, and c = 1 else, the last level is
    l = c·trust·s/√‖A‖. Where that is below `rule.low` the levels end there, since below it a learned denoiser leaves
    holes as they are, and what the data still say is said by a last step with σ² = low² − l².

    The first level is at least 4 times the last one, of a learned prior under operators that mix pixels 1.2 times: with
    so much noise it would begin above `rule.high`, from where a learned denoiser drifts.

    Args:
        noise_std: s of the measurement.
        norm: ‖A‖.
        masked: whether y holds some coefficients of an orthonormal transform as they are.
        rule: the prior's; that of an exact one when None.
        steps: one evaluation each.

    Source: ours, docs/methods.md#fast; after the shift parameters of Wachspress 1962 for alternating directions.
    """
    exact = rule is None
    rule = rule or (EXACT_MASKED if masked else EXACT)
    aim = (MASKED if masked else 1.0) * rule.trust * noise_std / math.sqrt(norm)
    low = max(aim, rule.low)
    high = max(rule.high, (APART if masked or exact else NEAR) * low)
    levels, last = geometric(high, low, steps)[:-1].tolist(), math.sqrt(low**2 - aim**2)
    return Splitting(levels, rule.trust, last, rule.relaxation)


def splitting_for(data: DataTerm, shape: Shape, mode: Mode | None = None, blind: bool = False) -> Splitting:
    """`splitting` of a measurement of a picture of `shape` by the prior of a `mode`, an exact one when None.

    A blind denoiser is asked twice a level, at half as many.

    Where a whole picture is measured, with white noise, one evaluation at the level of that noise is the answer.

    Raises:
        InputError: its operator has no proximal map, or is 0.
    """
    a = proximal(data.operator, "Anchor 'fast'", "'paper'")
    if _whole(a, shape) and isinstance(data.noise, GaussianNoise):
        return Splitting([data.noise_std])
    if not (norm := a.norm(shape)):
        raise InputError(f"{a} gives 0 for every picture, so that nothing is measured; look at its parts.")
    rule = None if mode is None else rule_of(mode, a.selects)
    if rule is not None and isinstance(a, Masked) and a.picture and gap(a, tuple(data.y.shape[1:])) >= WIDE_GAP:
        rule = rule._replace(high=min(rule.high, WIDE_HIGH))
    if rule is not None and isinstance(a, SliceProfile):
        rule = THICK_SLICES
    if rule is not None and a.noise_std:  # an operator that rounds or errs says how far it can be trusted
        rule = rule._replace(low=0.0)
    if rule is not None and not a.exact:  # data trusted beyond their noise are followed where the map errs
        rule = rule._replace(trust=max(rule.trust, 1.0))
    return splitting(data.noise_std, norm, a.selects, rule, STEPS // 2 if blind else STEPS)


def rule_of(mode: Mode, masked: bool) -> Rule:
    """What a card says of one kind of operator."""
    if masked:
        return Rule(mode.mask_high, mode.mask_low, mode.mask_trust, mode.mask_relaxation)
    return Rule(mode.high, mode.low, mode.trust, mode.relaxation)


def splitting_evaluations(operator: Operator, noise: Noise, shape: Shape) -> int:
    """Of the denoiser, for a picture of `shape`."""
    whole = isinstance(operator, ProximalOperator) and _whole(operator, shape) and isinstance(noise, GaussianNoise)
    return 1 if whole else STEPS


def _whole(operator: ProximalOperator, shape: Shape) -> bool:
    if not operator.selects:
        return False
    support = operator.support(operator.measurement_shape(shape))
    return support is None or bool(support.all())
