"""Whether the machine has room for a plan, and what would do where it has not."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from veriscale.diffusion.card import Network
from veriscale.errors import InputError
from veriscale.imaging.canvas import IN_MEMORY
from veriscale.latent.method import Latent
from veriscale.runtime.allocation import is_out_of_memory
from veriscale.workflows.restoring.plan import Plan

_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container, on Linux


def check_room(plan: Plan, network: Network) -> None:
    """Raise `InputError`, before any work, where the pictures of a plan are more than the machine can ever hold."""
    pixels, mapped = plan.shape[0] * plan.shape[1], 0
    if plan.method.scale and pixels > IN_MEMORY:  # what the encoder makes is kept in files: `imaging.canvas`
        mapped = 4 * pixels * (network.channels + (network.encoder.features if plan.work.features else 0))
    folder = tempfile.gettempdir()
    for needed, there, what in (
        (plan.memory(network.channels) - mapped, machine_memory(), "of memory, and this machine has"),
        (mapped, shutil.disk_usage(folder).free, f"of disk in {folder}, which has"),
    ):
        if needed > there:
            raise InputError(
                f"{_size(plan)} would take about {needed / 1e9:.1f} GB {what} {there / 1e9:.1f}; {_gentler(plan)}."
            )


def machine_memory() -> int:
    """Bytes that a process may have."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _LIMIT.read_text().strip() if _LIMIT.is_file() else "max"
    return whole if limit == "max" else min(whole, int(limit))


@contextmanager
def enough_memory(plan: Plan) -> Iterator[None]:
    """Turn a failed allocation into an `InputError` that says which setting to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(f"There is not enough memory for {_size(plan)}; {_gentler(plan)}.") from error


def _size(plan: Plan) -> str:
    return f"{plan.shape[1]}×{plan.shape[0]} pixels" + (f" and {plan.samples} samples" if plan.samples else "")


def _gentler(plan: Plan) -> str:
    light = plan.method.posterior in ("conditional", "proximal") or isinstance(plan.method, Latent)
    gentler = [] if light else ["choose `--posterior` proximal"]
    if isinstance(plan.method, Latent) and plan.method.twice:
        gentler.append("leave out guidance with `--guidance` 1")
    fewer = ["ask for fewer `--samples`"] if plan.samples else []
    return ", ".join([*gentler, *fewer, "or restore parts with `--crop`"]).removeprefix("or ")
