"""Low-rank updates of convolutions (LoRA): W + B·A with W frozen, merged when the phase ends."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

from veriscale.stages.batches import Batch


def matrix_of(weight: Tensor) -> tuple[int, int]:
    """Rows and columns of a convolution's matrix, out × (in·k·k)."""
    return len(weight), weight[0].numel()


class LowRank(nn.Module):
    """A loss whose convolutions have the weights W + (α/R)·B·A with α = R; A and B are all it trains.

    A convolution is the matrix out × (in·k·k). A is Gaussian with variance 1/(in·k·k), B zero. The networks keep their
    plain weights, and a state its plain names, until `merge`.

    Args:
        loss: of a phase; all of it is frozen.
        names: of the convolutions' weights that have an update, as the loss names its parameters.
        rank: R; of a matrix whose smaller side is less, that side.
        generator: on the CPU; draws A.

    Source: Hu et al. 2022, "LoRA: Low-rank adaptation of large language models", section 4.1.
    """

    def __init__(self, loss: nn.Module, names: list[str], rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.loss = loss.requires_grad_(False)
        self.names = names
        pairs = []
        for name in names:
            weight = loss.get_parameter(name)
            rows, columns = matrix_of(weight)
            low = min(rank, rows, columns)
            a = torch.randn(low, columns, generator=generator) / columns**0.5
            pairs += [a.to(weight.device), torch.zeros(rows, low, device=weight.device)]
        self.pairs = nn.ParameterList(pairs)  # A and B in turn

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch with the updated weights."""
        value: Tensor = functional_call(self.loss, self.weights(), (batch,))
        return value

    def weights(self) -> dict[str, Tensor]:
        """W + B·A by name, in the type of W under autocast too."""
        found = {}
        with torch.autocast(next(self.parameters()).device.type, enabled=False):
            for name, a, b in zip(self.names, self.pairs[::2], self.pairs[1::2], strict=True):
                weight = self.loss.get_parameter(name)
                found[name] = weight + (b @ a).view(weight.shape)
        return found

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The networks have W + B·A inside, and W, to the last bit, afterwards."""
        kept = {name: self.loss.get_parameter(name).detach().clone() for name in self.names}
        self.merge()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, weight in kept.items():
                    self.loss.get_parameter(name).copy_(weight)

    @torch.no_grad()
    def merge(self) -> None:
        """Put W + B·A in the place of W."""
        for name, weight in self.weights().items():
            self.loss.get_parameter(name).copy_(weight)
