"""The exponential moving average of weights that is shipped."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """Averages a module's parameters in float32, with warm-up: the decay of step t is min(decay, (1 + t)/(10 + t))."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After optimiser step `step`, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)

    @torch.no_grad()
    def copy_into_module(self) -> None:
        """Replace the module's parameters by their average."""
        for p, a in zip(self.parameters, self.average, strict=True):
            p.copy_(a)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The module has the average inside, and its own parameters, to the last bit, afterwards."""
        kept = [p.detach().clone() for p in self.parameters]
        self.copy_into_module()
        try:
            yield
        finally:
            with torch.no_grad():
                for p, k in zip(self.parameters, kept, strict=True):
                    p.copy_(k)

    def state(self) -> dict[str, Tensor]:
        """The averages by position."""
        return {str(i): a for i, a in enumerate(self.average)}

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a saved state."""
        for i, a in enumerate(self.average):
            a.copy_(state[str(i)])
