"""Whether a restoration agrees with its measurement: the number, its alarm, and the least change that mends it."""

from dataclasses import dataclass, replace

from torch import Tensor

from veriscale.diffusion.card import Card
from veriscale.errors import InputError
from veriscale.physics.data_term import DataTerm
from veriscale.physics.downsample import downsample_interior
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.measurement_noise import ROUNDING, GaussianNoise
from veriscale.physics.operator import Operator

WHOLE_PIXELS = 1 << 21  # of the truth; above, consistency is that of so many in the middle
FAR = 1.5  # below what is usual by more than this factor, a value is said too
_LEAST, _MOST = 1e-4, 1e4  # levels between which `consistent` looks


@dataclass(frozen=True)
class Verdict:
    """A restoration's consistency, beside what is usual.

    Attributes:
        value: ‖Ax̂ − y‖²/(n·s²) of the anchor.
        low, high: the central 95 % on the prior's validation photographs; None where the card has no such number.
        stated: whether there was noise to be overstated, and not rounding alone.
    """

    value: float
    low: float | None = None
    high: float | None = None
    stated: bool = True

    @property
    def alarm(self) -> bool:
        """Whether the value is above what is usual: more is left of the measurement than its noise explains."""
        return self.high is not None and not self.value <= self.high

    @property
    def overstated(self) -> bool:
        """Whether it is far below: less is left than the noise would leave. A little below is no sign of anything."""
        return self.stated and self.low is not None and FAR * self.value < self.low

    def sentence(self) -> str:
        """One line for a person."""
        if self.low is None or self.high is None:
            return f"consistency {self.value:.3g}; what is usual for this operator and noise is not on the prior's card"
        usual = f"{self.low:.3g} to {self.high:.3g} on validation photographs"
        if self.alarm:
            return f"ALARM: consistency {self.value:.3g}, usually {usual}: the operator or the noise looks wrong"
        if self.overstated:
            return f"consistency {self.value:.3g}, usually {usual}: the measurement is less noisy than was said"
        return f"consistency {self.value:.3g}, not above what is usual ({usual})"


def verdict(
    card: Card, data: DataTerm, x: Tensor, *, noise_std: float, anchor: str, stored: bool, scale: int | None = None
) -> Verdict:
    """How well a picture agrees with its measurement, beside what the prior's card calls usual.

    Args:
        card: the prior's.
        data: the measurement with the picture's own channels.
        x: (1, C, H, W), the anchor.
        noise_std: s.
        anchor: which first stage made it.
        stored: whether the measurement comes from an integer file.
        scale: of bicubic downsampling, where the middle of a large picture may stand for the whole.
    """
    noise, operator = data.noise, data.operator
    if scale is not None and x.shape[-2] * x.shape[-1] > WHOLE_PIXELS:
        data, x = _middle(data, x, scale)
    value = float(data.consistency(x, stored=stored)[0])
    if not isinstance(noise, GaussianNoise) or x.shape[1] < card.network.channels:
        return Verdict(value)  # neither was measured for the card
    return judge(card, operator, noise_std, anchor, value, data.measured)


def _middle(data: DataTerm, x: Tensor, scale: int) -> tuple[DataTerm, Tensor]:
    """The middle of a large picture, measured there as in the whole: nearly as certain, at no cost to speak of."""
    side = int(WHOLE_PIXELS**0.5) // scale // 2
    (top, rows), (left, columns) = ((max(2, n // 2 - side), min(n - 2, n // 2 + side)) for n in data.y.shape[-2:])
    near = [slice((low - 2) * scale, (high + 2) * scale) for low, high in ((top, rows), (left, columns))]
    seen = downsample_interior(x[..., near[0], near[1]], scale)
    return replace(data, operator=Inpaint(keep=1.0), y=data.y[..., top:rows, left:columns]), seen


def judge(card: Card, operator: Operator, noise_std: float, anchor: str, value: float, values: int) -> Verdict:
    """Compare with the card, at the noise between those that were measured.

    Args:
        card: the prior's.
        operator: of the measurement.
        noise_std: s of Gaussian noise.
        anchor: which first stage made the picture.
        value: of `DataTerm.consistency`.
        values: how many were measured.

    Source: ours, docs/methods.md#consistency.
    """
    kind = family(operator)
    for known in card.consistency:
        if (known.operator, known.anchor) == (kind, anchor):
            low, high = known.at(noise_std, values) or (None, None)
            return Verdict(value, low, high, stated=noise_std > ROUNDING)
    return Verdict(value)


def family(operator: Operator) -> str:
    """The operator's string without its seed: masks of one kind share their statistics."""
    parts = [",".join(k for k in part.split(",") if not k.startswith("seed=")) for part in str(operator).split(" + ")]
    return " + ".join(parts)


def consistent(x: Tensor, data: DataTerm) -> Tensor:
    """The picture nearest to x whose residual is what the noise explains; x itself where it is already.

    Morozov's discrepancy principle: of the minimisers of ½‖Ax' − y‖²/s² + ½‖x' − x‖²/σ² the one with the smallest σ for
    which ‖Ax' − y‖² ≤ n·s².

    Args:
        x: (1, C, H, W).
        data: a linear measurement of it.

    Raises:
        InputError: the data's proximal map cannot be solved as far as that, or there is no such picture.

    Source: Morozov 1966; docs/methods.md#consistency.
    """
    if float(data.consistency(x).max()) <= 1:
        return x
    low = high = _LEAST
    while float(data.consistency(data.prox(x, high, x)).max()) > 1:  # from the weakest pull on: strong ones solve worse
        if high >= _MOST:
            raise InputError("No picture near the result agrees with the measurement to within its noise; state more.")
        low, high = high, 4 * high
    while high / low > 1.005:
        middle = (low * high) ** 0.5
        if float(data.consistency(data.prox(x, middle, x)).max()) <= 1:
            high = middle
        else:
            low = middle
    return data.prox(x, high, x)
