"""How many evaluations of its network a restoration has made, told as it goes on."""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from veriscale.traversal.method import Work

Out = TypeVar("Out")


class Evaluations:
    """A count of pictures evaluated, and who is told of it.

    Args:
        work: told after every evaluation.
        first: how many belong to the first stage.

    Attributes:
        done: so far; what an earlier run has made is added by whoever takes it up.
    """

    def __init__(self, work: Work, first: int = 0) -> None:
        self.work, self.first, self.done = work, first, 0

    def counted(self, network: Callable[[Tensor, float], Out]) -> Callable[[Tensor, float], Out]:
        """The same function of (B, C, H, W) and a level, each call counted as B."""

        def evaluate(x: Tensor, sigma: float) -> Out:
            out = network(x, sigma)
            self.done += len(x)
            phase = "sample" if self.done > self.first else "anchor"
            self.work.tell(phase, self.done, self.work.evaluations)
            return out

        return evaluate
