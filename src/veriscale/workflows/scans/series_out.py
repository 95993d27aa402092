"""A restored scan as DICOM series derived of the one it was."""

from pathlib import Path

from veriscale.imaging.atomic import appearing, make_folder
from veriscale.imaging.dicom.derivation import Derivation
from veriscale.imaging.dicom.derived import write_derived
from veriscale.imaging.dicom.objects import write_mask, write_spread
from veriscale.imaging.dicom.series import Series, read_series
from veriscale.workflows.scans.scan_restoration import ScanRestoration


def write_series(result: ScanRestoration, series: Series, folder: Path) -> list[str]:
    """Write a series for the one dial position; of several, or with a spread or a mask, each into a folder of its own.

    The spread is a Parametric Map that refers to the series of the last dial position, the mask a Segmentation that
    refers to that of the certified one.

    Args:
        result: of the series.
        series: as it was read.
        folder: new; it appears whole or not at all.

    Returns:
        Sentences for the user.

    Raises:
        InputError: as `write_derived` and `write_spread`.
    """
    make_folder(folder.parent)
    orientation = result.measurement.origin.orientation
    if len(result.images) == 1 and result.std is None and result.mask is None:
        ((f, _),) = result.images.items()
        return _write(result, series, f, folder, 0)
    notes: dict[str, None] = {}
    with appearing(folder) as whole:
        for number, f in enumerate(result.images):
            last = whole / f"dial-{f:.2f}"
            notes |= dict.fromkeys(_write(result, series, f, last, number))
        if result.std is not None:
            (whole / "std").mkdir()
            done = f"{result.run['operator']}, standard deviation of {len(result.samples)} draws"
            std = orientation.outside(result.std.values())
            write_spread(read_series(last), std, whole / "std" / "0001.dcm", _derivation(result, series, done, 0))
        if result.mask is not None:
            (whole / "trusted").mkdir()
            done = f"{result.run['operator']}, trusted at alpha {result.mask.alpha}"
            certified = read_series(whole / f"dial-{result.mask.dial:.2f}")
            trusted, file = orientation.outside(result.mask.trusted), whole / "trusted" / "0001.dcm"
            write_mask(certified, trusted, file, _derivation(result, series, done, 0))
    return list(notes)


def _write(result: ScanRestoration, series: Series, f: float, folder: Path, number: int) -> list[str]:
    orientation, volume = result.measurement.origin.orientation, result.images[f]
    samples = orientation.outside(volume.values())
    affine = orientation.affine_outside(volume.affine, volume.shape)
    title = "restored" if len(result.images) == 1 else f"restored, dial {f:g}"
    derivation = _derivation(result, series, f"{result.run['operator']}, dial {f:g}", number, title)
    return list(write_derived(series, samples, affine, folder, derivation))


def _derivation(result: ScanRestoration, series: Series, done: str, number: int, title: str = "restored") -> Derivation:
    prior, first = result.run["prior"], int(series.datasets[0].get("SeriesNumber") or 0)
    return Derivation(prior["name"], prior["sha256"], done, first + 1000 + number, title)
