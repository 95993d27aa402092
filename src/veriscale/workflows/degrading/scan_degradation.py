"""Measurements of scans, from file to file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from veriscale.errors import InputError, untold
from veriscale.imaging.atomic import make_folder, refuse_existing
from veriscale.imaging.nifti.read import MAX_VOXELS
from veriscale.imaging.nifti.write import write_volume
from veriscale.imaging.normalisation import levels_of
from veriscale.imaging.scan_name import split_scan_name
from veriscale.imaging.slice_thickness import sidecar_of
from veriscale.imaging.stored_numbers import StoredNumbers
from veriscale.physics.measurement_noise import GaussianNoise, Noise, PoissonNoise, RicianNoise, parse_noise
from veriscale.physics.operator import Operator
from veriscale.workflows.degrading.measurement import MEASURED, read_operator, sidecar_path, write_sidecar
from veriscale.workflows.degrading.scan_measurement import measure_scan
from veriscale.workflows.factory import own_operator
from veriscale.workflows.restoring.restoration import write_json
from veriscale.workflows.scans.reading import read_scan
from veriscale.workflows.scans.scan_names import names_file, result_of


def degrade_scan(
    path: Path,
    output: Path | None,
    operator: str | Operator,
    noise: str | float | Noise | None = None,
    seed: int = 0,
    *,
    index: int | None = None,
    max_voxels: int = MAX_VOXELS,
    keep_numbers: bool = False,
    force: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Measure a scan and write the measurement, `<stem>_degraded.nii.gz`, with what `restore` asks of it beside it.

    The JSON file beside it tells how thick its slices are and how far apart, so that `restore` needs no thickness; the
    `.measurement.json` file tells operator, noise and seed, the noise in units of the measurement's own levels.

    Args:
        path: a NIfTI file, or a folder with one DICOM series.
        output: a file, a folder, or None for beside the scan.
        operator: as of `measure_scan`, or a TOML file.
        noise: in [0, 1] units of the truth's levels; what the TOML file says, else none, by default.
        seed: of the noise.
        index: which volume of a file of several; the measurement's name tells it.
        max_voxels: what a file's header may announce at most for one volume.
        keep_numbers: of the scan's own type and slope, rounded where that is one of integers; else float32.
        force: replace what is there.
        say: told what the file does not hold.

    Returns:
        The file of the measurement.

    Raises:
        InputError: something about the scan, the operator, the noise or the files.
    """
    a, stated = read_operator(own_operator(operator))
    model = noise if isinstance(noise, Noise) else parse_noise(str(stated or 0 if noise is None else noise))
    target = _target(path, output, index)
    beside = sidecar_of(target)
    if target.exists() and path.exists() and target.samefile(path):
        raise InputError("The measurement would replace the scan itself; choose another name.")
    try:
        for file in (target, beside):
            refuse_existing(file, force)
        scan = read_scan(path, index, max_voxels)
        measured = measure_scan(scan.volume, a, model, seed)
        make_folder(target.parent)
        stored = None if keep_numbers else StoredNumbers(np.dtype(np.float32))
        notes = write_volume(measured.volume, target, force, stored=stored)
        for note in [*(f"{note}." for note in notes), *scan.notes]:
            say(note)
        thickness = measured.thickness or scan.thickness
        if thickness is not None:
            apart = measured.volume.spacing[measured.volume.slice_axis]
            write_json({"SliceThickness": thickness, "SpacingBetweenSlices": round(apart, 6)}, beside, force)
        else:
            beside.unlink(missing_ok=True)  # of a measurement that was replaced
        levels = levels_of(measured.volume.values(), "the measurement")
        told = in_other_units(model, scan.volume.levels.width / levels.width)
        write_sidecar(target, a, told, seed, scan.volume.origin.orientation.values_outside(scan.volume.spacing))
    except InputError as error:
        labels = {target: "the measurement", beside: "its JSON file", sidecar_path(target): "its sidecar"}
        raise InputError(untold(error, labels)) from None
    return target


def in_other_units(noise: Noise, ratio: float) -> Noise:
    """The same noise of values that are `ratio` times as large."""
    if isinstance(noise, GaussianNoise):
        return GaussianNoise(min(1.0, noise.std * ratio))
    if isinstance(noise, RicianNoise):
        return RicianNoise(min(1.0, noise.std * ratio))
    if isinstance(noise, PoissonNoise):
        return PoissonNoise(min(1e6, noise.peak / ratio))
    raise TypeError(f"{noise} has no other units")


def _target(path: Path, output: Path | None, index: int | None) -> Path:
    if output is not None and names_file(output):
        return output
    folder, _, extension = result_of(path, output)
    return folder / f"{split_scan_name(path)[0]}{'' if index is None else f'_vol-{index}'}{MEASURED}{extension}"
