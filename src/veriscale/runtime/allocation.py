"""Allocations that failed, by what is raised of them."""

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory: on the CPU torch's allocator raises a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
