"""A restored scan as DICOM series derived of the one it was."""

from pathlib import Path

from veriscale.imaging.atomic import make_folder
from veriscale.imaging.dicom.derivation import Derivation
from veriscale.imaging.dicom.derived import write_derived
from veriscale.imaging.dicom.series import Series
from veriscale.workflows.scans.scan_restoration import ScanRestoration


def write_series(result: ScanRestoration, series: Series, folder: Path) -> list[str]:
    """Write a series for the one dial position, or one for each into a folder.

    Args:
        result: of the series.
        series: as it was read.
        folder: new.

    Returns:
        Sentences for the user.

    Raises:
        InputError: as `write_derived`.
    """
    notes: dict[str, None] = {}
    several, orientation = len(result.images) > 1, result.measurement.origin.orientation
    make_folder(folder if several else folder.parent)
    for number, (f, volume) in enumerate(result.images.items()):
        prior, first = result.run["prior"], int(series.datasets[0].get("SeriesNumber") or 0)
        done = f"{result.run['operator']}, dial {f:g}"
        target = folder / f"dial-{f:.2f}" if several else folder
        notes |= dict.fromkeys(
            write_derived(
                series,
                orientation.outside(volume.values()),
                orientation.affine_outside(volume.affine, volume.shape),
                target,
                Derivation(prior["name"], prior["sha256"], done, first + 1000 + number),
            )
        )
    return list(notes)
