"""Whether the machine has room for what is planned of a scan."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from veriscale.errors import InputError
from veriscale.workflows.restoring.room import machine_memory
from veriscale.workflows.scans.in_plane import PreparedSlices
from veriscale.workflows.scans.through_plane import PreparedThrough


def check_room(planned: Sequence[PreparedSlices | PreparedThrough], folder: Path) -> None:
    """Raise `InputError`, before any work, where a step takes more than the machine can ever hold.

    Args:
        planned: the steps.
        folder: of the results, which need not be there yet.
    """
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    for step in planned:
        for needed, has, what in (
            (step.memory, machine_memory(), "of memory, and this machine has"),
            (step.disk, shutil.disk_usage(there).free, "of disk for the results, and there is"),
        ):
            if needed > has:
                size = " × ".join(map(str, step.grid.shape))
                raise InputError(
                    f"A result of {size} voxels would take about {needed / 1e9:.1f} GB {what} {has / 1e9:.1f}; "
                    "give a coarser `--spacing` or a smaller `--scale`, or ask for fewer `--samples`."
                )
