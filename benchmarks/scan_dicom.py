"""scan.dicom.*: DICOM series to NIfTI, to derived series and back, judged by pydicom, nibabel and highdicom."""

import gzip
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from pydicom.dataset import Dataset

from axes import loaded
from cache import measured
from dicom_headers import SERIES, affine_of, folder_of, shape_of, slices_of, values_of
from personal import quietly, repeated, told_in, words_of
from results import Row, write_results
from space import apart
from veriscale.diffusion.prior import Prior
from veriscale.imaging.dicom.derivation import Derivation
from veriscale.imaging.dicom.derived import write_derived
from veriscale.imaging.dicom.objects import write_mask, write_spread
from veriscale.imaging.dicom.series import read_series
from veriscale.imaging.nifti.write import write_volume
from veriscale.settings import Settings, settled
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.reading import read_scan
from veriscale.workflows.scans.scan_run import restore_scan

GRIDS = {"same": (1, 1, 1), "in plane ×2": (2, 2, 1), "through ×3": (1, 1, 3)}
"""How many times as many voxels along rows, columns and slices."""
ITEMS = [f"{series}/{grid}" for series in SERIES for grid in GRIDS]
GEOMETRY = "<= 1e-3"  # mm
PLACED = 2e-3  # of a voxel: where highdicom finds the voxels of a derived series
SECONDS = 15


@dataclass(frozen=True)
class Written:
    """What was written of a series on one grid.

    Attributes:
        nifti, derived: a file, a folder.
        values: (rows, columns, slices), that the derived series was made of; None where only the files know.
    """

    nifti: Path
    derived: Path
    values: np.ndarray | None


def finer_grid(affine: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """Voxel i of the fine grid sits at (i + ½)/factor − ½ of the coarse one."""
    change = np.diag([*(1 / f for f in factors), 1.0])
    change[:3, 3] = [0.5 / f - 0.5 for f in factors]
    return affine @ change


def written(name: str, factors: tuple[int, int, int], folder: Path, prior: Prior) -> Written:
    """In plane by the command's own way with a prior; on the same grid and through the plane values are repeated."""
    source, nifti, derived = folder_of(name), folder / "out.nii.gz", folder / "derived"
    if factors == (2, 2, 1):
        restore_scan(PriorRestorer(prior, settled(Settings(scale=2))), source, nifti, dicom_out=derived)
        return Written(nifti, derived, None)
    scan, series = read_scan(source), read_series(source)
    samples = np.repeat(series.samples, factors[2], axis=2)
    affine = finer_grid(series.affine, factors)
    orientation = scan.volume.origin.orientation
    shape = samples.shape
    volume = scan.volume.like(
        np.ascontiguousarray(orientation.inside(scan.volume.levels.applied(samples)))[None],
        orientation.affine_inside(affine, (shape[0], shape[1], shape[2])),
    )
    write_volume(volume, nifti)
    write_derived(series, samples, affine, derived, Derivation("none", "0" * 64, "nothing was restored"))
    return Written(nifti, derived, samples)


def measure(item: str, prior: Prior) -> dict[str, Any]:
    """Millimetres to NIfTI, to the derived series and back to NIfTI; what highdicom takes; what is personal."""
    name, grid = item.split("/")
    source, factors = slices_of(folder_of(name)), GRIDS[grid]
    shape = [n * f for n, f in zip(shape_of(source), factors, strict=True)]
    wanted = finer_grid(affine_of(source), factors)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = written(name, factors, folder, prior)
        derived = slices_of(made.derived)
        values, (first, to_nifti) = values_of(derived), loaded(made.nifti)
        write_volume(read_scan(made.derived).volume, folder / "back.nii.gz")
        again, back = loaded(folder / "back.nii.gz")
        step = abs(float(derived[0].RescaleSlope))
        for found in (first, again, *([] if made.values is None else [made.values])):
            if list(found.shape) != shape or np.abs(found - values).max() > 0.51 * step + 1e-5 * np.abs(values).max():
                raise SystemExit(f"{item}: values did not come back where they were")
        maps = written_maps(made.derived, folder)
        persons, others = words_of(source)
        told = repeated(derived, persons, others) + repeated(maps, persons, others, own_times=True)
        told += told_beside(folder, persons)
        return {
            "to NIfTI": apart(wanted, to_nifti, shape),
            "derived": apart(wanted, affine_of(derived), shape),
            "back to NIfTI": apart(wanted, back, shape),
            "volume": placed(hd.get_volume_from_series(derived), values, wanted),
            "seg": placed(maps[0].get_volume(combine_segments=True), values > values.mean(), wanted),
            "parametric_map": placed(maps[1].get_volume(), (np.abs(values) / 7).astype(np.float32), wanted),
            "private": told,
        }


def written_maps(derived: Path, folder: Path) -> list[Dataset]:
    """A mask and a spread of a derived series, as highdicom reads them."""
    series, derivation = read_series(derived), Derivation("none", "0" * 64, "nothing was restored")
    values = values_of(slices_of(derived))
    write_mask(series, values > values.mean(), folder / "mask.dcm", derivation)
    write_spread(series, np.abs(values) / 7, folder / "std.dcm", derivation)
    return [hd.seg.segread(folder / "mask.dcm"), hd.imread(folder / "std.dcm")]


def placed(volume: Any, values: np.ndarray, affine: np.ndarray) -> bool:
    """Whether highdicom's volume has the values (rows, columns, slices) where an affine says, in RAS."""
    index = np.stack(np.unravel_index(np.arange(0, values.size, 97), values.shape), axis=-1)
    lps = (index @ affine[:3, :3].T + affine[:3, 3]) * [-1, -1, 1]
    there = volume.map_reference_to_indices(lps)
    nearest = np.rint(there).astype(int)
    if np.abs(there - nearest).max() > PLACED or volume.array.size != values.size:
        return False
    return bool(np.allclose(volume.array[tuple(nearest.T)], values[tuple(index.T)], rtol=1e-6))


def told_beside(folder: Path, persons: set[str]) -> list[str]:
    """Personal values in names of files, in NIfTI headers and in run.json."""
    texts = {str(file.relative_to(folder)) for file in folder.rglob("*")}
    texts |= {gzip.decompress(file.read_bytes())[:352].decode("latin-1") for file in folder.glob("*.nii.gz")}
    texts |= {file.read_text(encoding="utf-8") for file in folder.glob("*.json")}
    words = {word for word in persons if len(word) > 4 and not re.fullmatch(r"[\d.]{1,6}", word)}
    return [f"beside: {word}" for text in texts for word in words if told_in(word, text)]


def taken_as_it_is(name: str) -> bool:
    """Whether highdicom takes the source itself for a volume."""
    try:
        hd.get_volume_from_series(slices_of(folder_of(name)))
    except (ValueError, AttributeError):
        return False
    return True


def told_in_source(name: str) -> int:
    """What the search finds in the source itself, so that it is seen to find something."""
    source = slices_of(folder_of(name))
    return len(repeated(source, *words_of(source)))


def rows_of(found: list[dict[str, Any]]) -> list[Row]:
    """Of all series on all grids."""
    rows, legs = [], ("to NIfTI", "derived", "back to NIfTI")
    for name in SERIES:
        of = [each for item, each in zip(ITEMS, found, strict=True) if item.startswith(f"{name}/")]
        worst = {leg: max(each[leg] for each in of) for leg in legs}
        what = f"DICOM {name}: corners to NIfTI, to a derived series and back, {len(GRIDS)} grids, largest error"
        rows.append(Row(f"scan.dicom.geometry.{name}", what, max(worst.values()), "mm", bar=GEOMETRY, against=worst))
    sources = sum(map(taken_as_it_is, SERIES))
    for key, what, against in (
        ("volume", "are a volume to highdicom, values where they belong", {"of the sources": sources}),
        ("seg", "take a Segmentation, read back in its place", None),
        ("parametric_map", "take a Parametric Map, read back in its place", None),
    ):
        count = sum(each[key] for each in found)
        what = f"Of {len(found)} derived series {what}"
        rows.append(Row(f"scan.dicom.{key}", what, count, "", bar=f">= {len(found)}", against=against))
    told = sum(len(each["private"]) for each in found)
    what = "Personal values in derived series, maps and files beside them, outside patient and study modules"
    beside = {"in the sources": sum(map(told_in_source, SERIES))}
    return [*rows, Row("scan.dicom.private", what, told, "", bar="<= 0", against=beside)]


def main() -> None:
    begun = time.monotonic()
    quietly()
    prior = load_prior("photo")
    settings = {"prior": prior.card.tensors_sha256}
    found = measured("scan_dicom", settings, ITEMS, lambda item: measure(item, prior), SECONDS)
    rows = rows_of(found)
    print(*rows, *{text for each in found for text in each["private"]}, sep="\n", flush=True)
    notes = (
        f"{len(SERIES)} series, each on {len(GRIDS)} grids: the same, in plane ×2 by restore_scan with the prior photo "
        "(dial 0) and its derived series, through the plane ×3 with every slice repeated. Geometry: the eight corners, "
        "against the source's headers as pydicom reads them, (i + ½)/factor − ½ on a finer grid; all values are "
        "compared too. highdicom finds the values of every 97th voxel of series, mask and spread through patient "
        "coordinates. Personal: every private element, every name, date, time or age, and every occurrence of the "
        "source's names, numbers, dates, times, UIDs, places, protocols and private texts, in every text outside "
        "the patient and study modules, file meta information, file names, NIfTI headers and run.json; of these the "
        "references to source images in SourceImageSequence are exempt, "
        "the standard's own code strings are searched for persons alone, and a Segmentation or a Parametric Map "
        "has the time of its own making. Values under four characters are looked for as whole values, and "
        "beside the DICOM files not at all, nor are numbers of up to six digits there. pydicom "
        f"{pydicom.__version__}, highdicom {hd.__version__}."
    )
    write_results("scan_dicom", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
