"""Too little dynamic range: contrast is raised and both ends are clipped."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from veriscale.decimals import shortest
from veriscale.errors import InputError
from veriscale.physics.operator import ProximalOperator, Shape


@dataclass(frozen=True)
class Clip(ProximalOperator):
    """y = clip(gain·(x − ½) + ½, 0, 1), whose restoration recovers a high dynamic range.

    The gradient is the gain where y is not clipped and 0 elsewhere.

    Args:
        gain: in (0, 100].

    Raises:
        InputError: the gain is out of range.

    Source: Mardani et al. 2023, Chung et al. 2023 and others: clip(2x, −1, 1) for x in [−1, 1] is gain 2 here.
    """

    gain: float = 2.0

    name: ClassVar[str] = "hdr"
    dependable: ClassVar[bool] = False  # at the limit, where most is left open

    def __post_init__(self) -> None:
        if not 0 < self.gain <= 100:
            raise InputError(f"The gain of operator 'hdr' is a number in (0, 100], such as 2, not {self.gain:g}.")

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, …) → the same shape."""
        return (self.gain * (x - 0.5) + 0.5).clamp(0, 1)

    def norm(self, shape: Shape) -> float:
        """The gain."""
        return self.gain

    def prox(self, v: Tensor, y: Tensor, rho: float, weight: Tensor | None = None) -> Tensor:
        """As `ProximalOperator.prox`, exact: where y is at an end and v beyond it, v itself."""
        w, half = 1.0 if weight is None else weight, 0.5 / self.gain
        low, high = 0.5 - half, 0.5 + half  # of what is not clipped

        def cost(x: Tensor) -> Tensor:
            return w * (self.forward(x) - y).square() + rho * (x - v).square()

        inside = (v + w * self.gain * (y - self.gain * (v - 0.5) - 0.5) / (w * self.gain**2 + rho)).clamp(low, high)
        ways = torch.stack([inside, v.clamp(min=high), v.clamp(max=low)])
        best = torch.stack([cost(x) for x in ways]).argmin(0, keepdim=True)
        return ways.gather(0, best)[0]

    def __str__(self) -> str:
        return f"{self.name}:gain={shortest(self.gain)}"
