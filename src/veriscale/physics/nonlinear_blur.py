"""Motion blur as a camera sees it: light is averaged, and the file holds its gamma-encoded sum."""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.errors import InputError
from veriscale.physics.gauss_newton import gauss_newton
from veriscale.physics.operator import ProximalOperator, Shape

GAMMA = 2.2
SUPPORT = 27  # pixels a side
_TOE = 0.02  # 5/255: below it the power law's inverse is too steep to follow
_POINTS = 1024
_SMOOTH = 160  # points over which the hand's speed is correlated


@dataclass(frozen=True)
class NonlinearBlur(ProximalOperator):
    """y = (k ∗ x^γ)^(1/γ), γ = 2.2, with the kernel k of a random smooth motion; edges are symmetric.

    Args:
        seed: of the motion, at least 0.

    Raises:
        InputError: the seed is negative.

    Source: ours, docs/methods.md#physics. The benchmark of the literature (Chung et al. 2023) draws its blur from a
    network trained on GoPro videos, which is not shipped here; blur in linear light is what that network imitates.
    """

    seed: int = 0

    name: ClassVar[str] = "nonlinear-blur"
    exact: ClassVar[bool] = False
    noise_std: ClassVar[float] = 0.005  # what the steps of `prox` leave: a closer fit follows their error

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"The seed of operator 'nonlinear-blur' is an integer from 0 on, not {self.seed}.")

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return from_light(_convolve(to_light(x), torch.tensor(motion_kernel(self.seed)).to(x)))

    def norm(self, shape: Shape) -> float:
        """About 1: that of a mid-grey picture."""
        return 1.0

    def prox(self, v: Tensor, y: Tensor, rho: float, weight: Tensor | None = None) -> Tensor:
        """As `ProximalOperator.prox`, by Gauss–Newton steps from v."""
        return gauss_newton(self.forward, v, y, rho, weight, partial(self._near_inverse, rho))

    def _near_inverse(self, rho: float, r: Tensor) -> Tensor:
        """About (JᵀJ + ρ)⁻¹r: that of the blur of a mid-grey picture, edges joined."""
        size = r.shape[-2:]
        gain = torch.fft.rfft2(torch.tensor(motion_kernel(self.seed)).to(r), s=size).abs().square()
        solved: Tensor = torch.fft.irfft2(torch.fft.rfft2(r) / (gain + rho), s=size)
        return solved

    def measurement_shape(self, shape: Shape) -> Shape:
        """The same shape.

        Raises:
            InputError: a volume.
        """
        if len(shape) != 3:
            raise InputError("Operator 'nonlinear-blur' is for pictures, not volumes.")
        return shape

    def __str__(self) -> str:
        return f"{self.name}:seed={self.seed}"


def to_light(x: Tensor) -> Tensor:
    """x^γ, and below x = 0.02 its tangent there, so that the inverse has a slope and negative values one too."""
    floor, slope = _TOE**GAMMA, GAMMA * _TOE ** (GAMMA - 1)
    return torch.where(x > _TOE, x.clamp(min=_TOE) ** GAMMA, floor + slope * (x - _TOE))


def from_light(light: Tensor) -> Tensor:
    """The inverse of `to_light`, for every real number."""
    floor, slope = _TOE**GAMMA, GAMMA * _TOE ** (GAMMA - 1)
    return torch.where(light > floor, light.clamp(min=floor) ** (1 / GAMMA), _TOE + (light - floor) / slope)


@lru_cache(maxsize=8)
def motion_kernel(seed: int) -> NDArray[np.float64]:
    """The trace of a shaking hand during one exposure, (27, 27), its sum 1 and its centroid in the middle.

    The velocity is an Ornstein–Uhlenbeck process, so the path is smooth and bends at random; the path is scaled to
    reach 55 % to 95 % of the support's half width and deposited bilinearly.

    Source: ours, after the random trajectories of Boracchi, Foi 2012.
    """
    generator = np.random.default_rng(seed)
    keep = 1 - 1 / _SMOOTH
    velocity = np.empty((_POINTS, 2))
    velocity[0] = generator.standard_normal(2)
    for step, push in enumerate(generator.standard_normal((_POINTS - 1, 2)) * np.sqrt(1 - keep**2)):
        velocity[step + 1] = keep * velocity[step] + push
    path = velocity.cumsum(axis=0)
    path -= path.mean(axis=0)  # no net shift: x and y stay registered
    centre = SUPPORT // 2
    path *= centre * generator.uniform(0.55, 0.95) / np.abs(path).max()
    cell = np.floor(path).astype(np.int64)
    part = path - cell
    kernel = np.zeros((SUPPORT, SUPPORT))
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - down - part[:, 0]) * np.abs(1 - right - part[:, 1])
            np.add.at(kernel, (centre + cell[:, 0] + down, centre + cell[:, 1] + right), weight)
    kernel /= kernel.sum()
    kernel.setflags(write=False)  # shared by the cache
    return kernel


def _convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """k ∗ x over the last two axes by FFT, with half-sample symmetric edges of any width."""
    radius = kernel.shape[-1] // 2
    rows, columns = (_symmetric(n, radius, x.device) for n in x.shape[-2:])
    padded = x[..., rows, :][..., columns]
    size = padded.shape[-2:]
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(kernel, s=size)
    # entry i of the circular convolution is centred at i − radius: the first 2·radius have wrapped around
    blurred: Tensor = torch.fft.irfft2(spectrum, s=size)
    return blurred[..., 2 * radius :, 2 * radius :]


def _symmetric(n: int, radius: int, device: torch.device) -> Tensor:
    period = torch.arange(-radius, n + radius, device=device) % (2 * n)  # … 1 0 | 0 1 2 …
    return torch.minimum(period, 2 * n - 1 - period)
