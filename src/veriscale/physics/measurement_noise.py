"""The noise of a measurement: models of it, and their strings.

A model says what `degrade` adds and what a restoration assumes: mean and variance of y given the clean measurement
A(x), value by value. Everything is in [0, 1] units; values are independent of each other.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from veriscale.decimals import shortest
from veriscale.errors import InputError, closest

ROUNDING = 1 / (255 * math.sqrt(12))  # standard deviation of 8-bit rounding


class Noise(ABC):
    """y given A(x). Members are frozen dataclasses with one number, and raise `InputError` when it is out of range."""

    name: ClassVar[str]
    key: ClassVar[str]
    """The number's field, and its key in the model's string."""
    domain: ClassVar[str]
    """What the number is, with its range and an example: the end of an error."""
    signed: ClassVar[bool]
    """Whether it is meant for values that may be negative, such as the coefficients of a transform."""

    @abstractmethod
    def sample(self, clean: Tensor, generator: np.random.Generator) -> Tensor:
        """One noisy measurement of `clean`: same shape, type and device, not clipped."""

    @abstractmethod
    def variance(self, clean: Tensor) -> Tensor | None:
        """Var[y | clean], in the shape of `clean`; None where it is the same for every value."""

    @abstractmethod
    def bias(self, clean: Tensor) -> Tensor | None:
        """E[y | clean] − clean, in the shape of `clean`; None where it is zero."""

    @abstractmethod
    def typical_std(self, clean: Tensor, rounding: float = ROUNDING) -> float:
        """Root of the mean variance over the values of `clean`, at least `rounding`: s of docs/methods.md#noise."""

    @abstractmethod
    def __str__(self) -> str:
        """The canonical string; `parse_noise` of it gives an equal model."""


@dataclass(frozen=True)
class GaussianNoise(Noise):
    """White Gaussian noise: y = clean + std·n.

    Args:
        std: standard deviation in [0, 1].
    """

    std: float

    name: ClassVar[str] = "gaussian"
    key: ClassVar[str] = "std"
    domain: ClassVar[str] = "a standard deviation in [0, 1], such as 0.02 or gaussian:0.02"
    signed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.std <= 1:
            raise InputError(f"Noise {str(self)!r} is not {self.domain}.")

    def sample(self, clean: Tensor, generator: np.random.Generator) -> Tensor:
        """The clean values plus std times a unit normal."""
        return clean + self.std * _normal(clean, generator)

    def variance(self, clean: Tensor) -> None:
        """Constant: see `typical_std`."""

    def bias(self, clean: Tensor) -> None:
        """Zero."""

    def stored_power(self, clean: Tensor) -> Tensor:
        """E[(clip(y, 0, 1) − clean)²] of a y that an 8-bit file holds, like `clean`: rounding adds its own noise."""
        s = math.hypot(self.std, ROUNDING)
        low, high = -clean / s, (1 - clean) / s

        def density(t: Tensor) -> Tensor:
            return torch.exp(-t.square() / 2) / math.sqrt(2 * math.pi)

        below, above = torch.special.ndtr(low), torch.special.ndtr(-high)
        inside = s**2 * (1 - below - above - high * density(high) + low * density(low))
        power: Tensor = inside + clean.square() * below + (1 - clean).square() * above
        return power.clamp(min=ROUNDING**2)

    def typical_std(self, clean: Tensor, rounding: float = ROUNDING) -> float:
        """The std, at least `rounding`."""
        return max(self.std, rounding)

    def __str__(self) -> str:
        return f"{self.name}:{shortest(self.std)}"


@dataclass(frozen=True)
class PoissonNoise(Noise):
    """Shot noise: y = Poisson(peak·max(clean, 0))/peak.

    Args:
        peak: expected count at a clean value of 1, in (0, 10⁶].
    """

    peak: float

    name: ClassVar[str] = "poisson"
    key: ClassVar[str] = "peak"
    domain: ClassVar[str] = "a peak count in (0, 1e6], such as poisson:peak=30"
    signed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 < self.peak <= 1e6:
            raise InputError(f"Noise {str(self)!r} is not {self.domain}.")

    def sample(self, clean: Tensor, generator: np.random.Generator) -> Tensor:
        """Counts over the peak."""
        rate = self.peak * clean.detach().double().clamp(min=0).cpu().numpy()
        return torch.from_numpy(np.asarray(generator.poisson(rate) / self.peak)).to(clean)

    def variance(self, clean: Tensor) -> Tensor:
        """max(clean, 0)/peak, exactly: no floor, so that whoever divides by it sets one (`DataTerm` does)."""
        return clean.clamp(min=0) / self.peak

    def bias(self, clean: Tensor) -> None:
        """Zero for the clean values that the model is meant for, those from 0 on."""

    def typical_std(self, clean: Tensor, rounding: float = ROUNDING) -> float:
        """The std at the mean of `clean`, at least `rounding`."""
        return _root_mean(self.variance(clean), rounding)

    def __str__(self) -> str:
        return f"{self.name}:peak={shortest(self.peak)}"


@dataclass(frozen=True)
class RicianNoise(Noise):
    """Magnitude of a complex value with white noise: y = |clean + std·n₁ + i·std·n₂|, as in magnetic resonance.

    With u = |clean|/std and a = u²/4, E[y] = std·√(π/2)·e⁻ᵃ((1 + 2a)·I₀(a) + 2a·I₁(a)) and E[y²] = clean² + 2std².

    Args:
        std: standard deviation of either part, in (0, 1].

    Source: Rice 1945; Gudbjartsson, Patz 1995 for the limits.
    """

    std: float

    name: ClassVar[str] = "rician"
    key: ClassVar[str] = "std"
    domain: ClassVar[str] = "a standard deviation in (0, 1], such as rician:0.02"
    signed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 < self.std <= 1:
            raise InputError(f"Noise {str(self)!r} is not {self.domain}.")

    def sample(self, clean: Tensor, generator: np.random.Generator) -> Tensor:
        """Magnitudes: never negative."""
        real = clean + self.std * _normal(clean, generator)
        return torch.hypot(real, self.std * _normal(clean, generator))

    def variance(self, clean: Tensor) -> Tensor:
        """Between (2 − π/2)·std² at 0 and std² far above it."""
        return self.std**2 * _rice_moments(clean.abs() / self.std)[1]

    def bias(self, clean: Tensor) -> Tensor:
        """Between √(π/2)·std at 0 and std²/(2·clean) far above it."""
        return self.std * _rice_moments(clean.abs() / self.std)[0] + (clean.abs() - clean)

    def typical_std(self, clean: Tensor, rounding: float = ROUNDING) -> float:
        """Between 0.655·std and std."""
        return _root_mean(self.variance(clean), rounding)

    def __str__(self) -> str:
        return f"{self.name}:{shortest(self.std)}"


NOISES: dict[str, type[GaussianNoise | PoissonNoise | RicianNoise]] = {
    "gaussian": GaussianNoise,
    "poisson": PoissonNoise,
    "rician": RicianNoise,
}


def parse_noise(text: str) -> Noise:
    """The model that `0.02`, `gaussian:0.02`, `gaussian:std=0.02`, `poisson:peak=30` or `rician:0.02` names.

    Raises:
        InputError: the name or key is unknown, or the value is not a number or out of range.
    """
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not colon and name not in NOISES and (_parseshortest(name) is not None or not name[:1].isalpha()):
        name, value = "gaussian", name  # a number, or a slip in one
    if name not in NOISES:
        raise InputError(f"Unknown noise {text!r}; {closest(name, NOISES)}.")
    model = NOISES[name]
    before, equals, after = (part.strip() for part in value.partition("="))
    if equals and before != model.key:
        raise InputError(f"Unknown key {before!r} in noise {text!r}; {closest(before, [model.key])}.")
    parsed = _parseshortest(after if equals else before)
    if parsed is None:
        raise InputError(f"Noise {text!r} is not {model.domain}.")
    return model(parsed)


def _parseshortest(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _root_mean(variance: Tensor, least: float) -> float:
    return max(math.sqrt(float(variance.double().mean())), least) if variance.numel() else least


def _normal(like: Tensor, generator: np.random.Generator) -> Tensor:
    """Unit normals in the shape, type and device of `like`; drawn in single precision for single precision."""
    kind = np.float64 if like.dtype == torch.float64 else np.float32
    return torch.from_numpy(np.asarray(generator.standard_normal(tuple(like.shape), kind))).to(like)


_FAR = 8.0  # from here on the series is right to 1e-9 and the closed form's difference of large numbers is not
_TERMS = 7


def _rice_moments(u: Tensor) -> tuple[Tensor, Tensor]:
    """E[r] − u and Var[r] of a Rice variable with location u ≥ 0 and unit scale.

    The Laguerre function in scaled Bessel functions near 0; far away its asymptotic series in t = 1/u²,
    E[r]/u − 1 = t/2 + t²/8 + 3t³/16 + …, where (Var[r] = 2 + u² − E[r]²) would cancel.

    Source: Abramowitz, Stegun 13.5.1 for the series of ₁F₁(−½; 1; −u²/2).
    """
    near = u.clamp(max=_FAR)
    a = near.square() / 4
    mean = math.sqrt(math.pi / 2) * ((1 + 2 * a) * torch.special.i0e(a) + 2 * a * torch.special.i1e(a))
    far = u.clamp(min=_FAR)
    t = far.square().reciprocal()
    term, excess = torch.ones_like(t), torch.zeros_like(t)
    for n in range(1, _TERMS + 1):
        term = term * t * (2 * (n - 1.5) ** 2 / n)
        excess = excess + term
    is_near = u < _FAR
    bias = torch.where(is_near, mean - near, far * excess)
    # u²(2t − 2e − e²), with the u² multiplied out so that nothing large is left
    variance = torch.where(is_near, 2 + near.square() - mean.square(), 2 - far.square() * excess * (2 + excess))
    return bias, variance
