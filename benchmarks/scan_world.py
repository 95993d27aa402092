"""scan.world.*: where voxels lie after reading and writing, and where a blob lies after it was restored.

Everything is judged by nibabel, pydicom and scipy on the files alone. `--part N` takes about N orientations of each
setting, prints, and writes no results.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import apply_affine

from axes import AXES, loaded, saved, turned
from blobs import DICOM_SETTINGS, EXTENT, PLANES, SETTINGS, WIDTH, off, off_in_series
from cache import measured
from dicom_headers import DATA, SERIES, affine_of, folder_of, shape_of, slices_of, values_of
from results import Row, write_results
from space import apart
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.nifti.write import write_volume
from veriscale.workflows.opening import load_prior
from veriscale.workflows.scans.reading import read_scan

ODD = DATA.parent / "nifti_odd"
SEEDS = 300
ROUND_TRIP, CENTROID = "<= 1e-4", "<= 0.05"  # mm
SECONDS = 1.5  # of one orientation of one setting, their mean


def synthetic(seed: int) -> float:
    """Millimetres between where nibabel places the voxels of a file and those of it as read and written again.

    Every value is there once, so that a voxel is known by its value, in whatever order a file has them.
    """
    rng = np.random.default_rng(seed)
    shear = (0.0, 0.1, 0.4)[seed % 3]
    form = "sform" if shear else ("sform", "qform", "both")[seed // 3 % 3]
    affine = np.eye(4)
    affine[:3, :3] = turned(rng, shear) * rng.uniform(0.3, 8, 3)
    affine[:3, 3] = rng.uniform(-500, 500, 3)
    shape = tuple(int(n) for n in rng.integers(2, 10, 3))
    values = rng.permutation(np.arange(np.prod(shape))).reshape(shape)
    kind = (np.int16, np.float32, np.uint16, np.float64)[seed % 4]
    with tempfile.TemporaryDirectory() as folder:
        before = saved(values.astype(kind), affine, form, seed % 3, Path(folder) / "before.nii.gz")
        after = Path(folder) / "after.nii.gz"
        volume = read_volume(before)
        write_volume(volume, after)
        truth, *others = [places(*loaded(file)) for file in (before, after)], places(volume.samples, volume.affine)
    return max(float(np.linalg.norm(each - truth[0], axis=1).max()) for each in (truth[1], *others))


def places(values: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(n, 3) mm, of all voxels in the order of their values."""
    order = np.stack(np.unravel_index(np.argsort(values, axis=None), values.shape), axis=-1)
    return np.asarray(apply_affine(affine, order))


def odd(name: str) -> dict[str, Any]:
    """The same for a file of `mri/nifti_odd`, at its corners; of one that is refused, why, and its first volume."""
    path, told = ODD / name, ""
    values, affine = loaded(path)
    try:
        volume = read_volume(path)
    except InputError as error:
        told = str(error).replace(str(path), "").strip()
        volume, values = read_volume(path, 0), values[..., 0]
    with tempfile.TemporaryDirectory() as folder:
        write_volume(volume, Path(folder) / "after.nii.gz")
        again, there = loaded(Path(folder) / "after.nii.gz")
    check_values(again, values, name)
    return {"error": apart(affine, there, values.shape), "refused": told}


def series(name: str) -> float:
    """The same for a series of `mri/dicom`, written as NIfTI, against the headers as pydicom reads them."""
    slices = slices_of(folder_of(name))
    with tempfile.TemporaryDirectory() as folder:
        write_volume(read_scan(folder_of(name)).volume, Path(folder) / "after.nii.gz")
        again, there = loaded(Path(folder) / "after.nii.gz")
    check_values(again, values_of(slices), name)
    return apart(affine_of(slices), there, shape_of(slices))


def check_values(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    """Stop where values are not where they were, so that no error of geometry hides behind a header that is right."""
    if found.shape != wanted.shape or np.abs(found - wanted).max() > 1e-5 * np.abs(wanted).max():
        raise SystemExit(f"{name}: values did not come back where they were")


def trips() -> tuple[list[Row], str]:
    """The rows of round trips, and what the files that were refused were."""
    names = [f"seed {k}" for k in range(SEEDS)]
    made = measured("scan_world_trips", {}, names, lambda item: synthetic(int(item.removeprefix("seed "))), 0.03)
    if not ODD.is_dir():
        raise SystemExit(f"{ODD} is not there; set VERISCALE_DATA")
    names = sorted(file.name for file in ODD.iterdir() if ".nii" in file.name)
    files = measured("scan_world_odd", {}, names, odd, 0.1)
    folders = measured("scan_world_series", {}, SERIES, series, 1)
    taken = {name: found["error"] for name, found in zip(names, files, strict=True) if not found["refused"]}
    of_several = {name: found["error"] for name, found in zip(names, files, strict=True) if found["refused"]}
    why = [
        f"{name} {found['refused'].split(';')[0]}" for name, found in zip(names, files, strict=True) if found["refused"]
    ]
    what = "World coordinates read and written again, largest error"
    rows = [
        Row(
            "scan.world.roundtrip.synthetic",
            f"{what}, {SEEDS} files: oblique, flipped, sheared, anisotropic",
            max(made),
            "mm",
            bar=ROUND_TRIP,
        ),
        Row(
            "scan.world.roundtrip.nifti_odd",
            f"{what}, {len(taken)} unusual NIfTI files of three dimensions",
            max(taken.values()),
            "mm",
            bar=ROUND_TRIP,
            against={"volume 0 of those of four": max(of_several.values())},
        ),
        Row(
            "scan.world.roundtrip.dicom",
            f"{what}, {len(SERIES)} DICOM series to NIfTI",
            max(folders),
            "mm",
            bar=ROUND_TRIP,
            against=dict(zip(SERIES, folders, strict=True)),
        ),
    ]
    return rows, f"Of {len(names)} unusual files {len(why)} are refused without --volume: {', '.join(why)}."


def blobs(prior: Prior, part: int | None) -> list[Row]:
    """The rows of blobs."""
    rows, found = [], {"prior": prior.card.tensors_sha256}
    names = list(AXES)[:: 1 if part is None else max(1, len(AXES) // part)]
    for key, setting in SETTINGS.items():
        items = [f"{key}/{name}" for name in names]
        values = np.array(measured("scan_world", found, items, lambda item: off(item, prior), SECONDS))
        rows.append(
            Row(
                f"scan.world.blob.{key}",
                f"Blob restored {setting.what}, {len(items)} orientations: centroid off by at most",
                float(values[:, 0].max()),
                "mm",
                bar=CENTROID,
                against={"the measurement's": float(values[:, 1].max())},
            )
        )
        print(rows[-1], names[int(values[:, 0].argmax())], flush=True)
    items = [f"{asked}/{name}" for asked in DICOM_SETTINGS for name in PLANES]
    values = np.array(measured("scan_world_dicom", found, items, lambda item: off_in_series(item, prior), SECONDS))
    what = f"Blob in a DICOM series restored {', '.join(DICOM_SETTINGS)}, {len(PLANES)} orientations"
    return [
        *rows,
        Row(
            "scan.world.blob.dicom",
            f"{what}: centroid in the derived series off by at most",
            float(values[:, 0].max()),
            "mm",
            bar=CENTROID,
            against={"in the NIfTI file": float(values[:, 1].max())},
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", type=int, help="only so many orientations of each setting")
    asked = parser.parse_args()
    begun = time.monotonic()
    rows, refused = trips()
    print(*rows, refused, sep="\n", flush=True)
    rows += blobs(load_prior("photo"), asked.part)
    if asked.part is not None:
        print("A part of the table is no result: nothing is written.")
        return
    size = " × ".join(f"{n:g}" for n in EXTENT)
    notes = (
        "Round trips: files by nibabel with sform, qform or both; where nibabel places every voxel before and after, a "
        "voxel being known by its value; of real files the eight corners, and all values as they were; of DICOM "
        f"series against the headers as they stand, by pydicom. {refused} Blobs: a Gaussian of {WIDTH:g} mm (standard "
        f"deviation) near the middle of a volume of {size} mm, at a point that is on no grid and another for every "
        "orientation (the 48 along the body's axes, twelve oblique, six sheared; slices along each of the file's "
        "axes; sform, qform or both), measured by degrade_scan and restored by restore_scan with the prior photo at "
        "dial 0, files on disk; centroid by scipy's center_of_mass, 5 % of the maximum subtracted as background and "
        "what is below left out, through nibabel's affine."
    )
    write_results("scan_world", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
