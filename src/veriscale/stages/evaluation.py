"""A phase's own loss on held-out batches, while it is trained."""

from collections.abc import Callable

import torch
from torch import nn

from veriscale.stages.batches import Batch

BATCHES = 8


def held_out_loss(loss: nn.Module, make_batch: Callable[[int, range], Batch], size: int) -> Callable[[], float]:
    """What gives the mean loss of the weights as they are over `BATCHES` batches, the same at every call.

    Args:
        loss: maps a batch to a scalar.
        make_batch: (number, items) -> batch, of pictures that are not trained on.
        size: items of a batch.
    """

    @torch.no_grad()
    def evaluate() -> float:
        return sum(float(loss(make_batch(k, range(size)))) for k in range(BATCHES)) / BATCHES

    return evaluate
