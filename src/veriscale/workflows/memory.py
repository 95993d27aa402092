"""Running out of memory, said in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from veriscale.errors import InputError
from veriscale.workflows.plan import Plan


@contextmanager
def enough_memory(plan: Plan) -> Iterator[None]:
    """Turn a failed allocation into an `InputError` that says which setting to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On the CPU torch's allocator raises a plain RuntimeError.
        known = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        if not known:
            raise
        gentler = "" if plan.posterior in ("conditional", "proximal") else "choose --posterior proximal, "
        fewer = "ask for fewer --samples, " if plan.samples else ""
        raise InputError(
            f"There is not enough memory for {plan.shape[1]}×{plan.shape[0]} pixels; {gentler}{fewer}"
            "or restore parts with --crop."
        ) from error
