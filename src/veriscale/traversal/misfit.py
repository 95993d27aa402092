"""What the stages ask of a measurement, of whatever they move: pictures, or the latents of a decoder."""

from typing import Protocol

from torch import Tensor


class Misfit(Protocol):
    """How far variables are from a measurement. `physics.data_term.DataTerm` is one, over pictures."""

    def start(self) -> Tensor:
        """A first estimate, (B, C, …)."""

    def gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The squared norm of each item's residual, (B,), and its gradient in x."""

    def norm_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The norm of each item's residual, (B,), and its gradient in x."""

    def prox(self, v: Tensor, sigma: float, estimate: Tensor | None = None) -> Tensor:
        """About argmin over x of −log p(y | x) + ‖x − v‖²/(2·sigma²); `estimate` is a guess of it."""
