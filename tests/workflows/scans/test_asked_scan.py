"""What a scan's sidecars say, and what the user says beside them."""

from dataclasses import replace
from pathlib import Path

import msgspec
import nibabel
import numpy as np
import pytest
import torch

from veriscale.diffusion.card import Data
from veriscale.diffusion.noise_field import NoiseField
from veriscale.errors import InputError
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.normalisation import SCAN
from veriscale.physics.measurement_noise import GaussianNoise, RicianNoise
from veriscale.traversal.method import Work
from veriscale.workflows.degrading.measurement import read_sidecar, sidecar_path
from veriscale.workflows.degrading.scan_degradation import degrade_scan
from veriscale.workflows.scans.in_plane import PreparedSlices
from veriscale.workflows.scans.reading import read_scan
from veriscale.workflows.scans.scan_job import scan_job
from veriscale.workflows.scans.scan_run import restore_scan
from veriscale.workflows.scans.through_plane import PreparedThrough

IN_PLANE = "downsample:factor=2,kernel=lanczos3"
THICK = "slice:fwhm=4,step=4,axis=2"
SIDE = np.diag([-1.2, 1.2, 1, 1.0])


@pytest.fixture
def fine(tmp_path):
    """A scan whose levels are not those of its measurements."""
    values = np.random.default_rng(0).gamma(2, 200, (20, 24, 32)).astype(np.float32)
    path = tmp_path / "Doe_John.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, SIDE), path)
    return path


def planned(restorer, path):
    job = scan_job(restorer, read_scan(path))
    return job, job.planned()


def test_operator_and_noise_of_a_measurement_need_not_be_said(fine, restorer, tmp_path):
    measured = degrade_scan(fine, None, IN_PLANE, 0.02)
    _, (slices,) = planned(restorer(), measured)
    assert slices.middle.plan.operator_string == IN_PLANE
    told = GaussianNoise(float(read_sidecar(measured).noise.removeprefix("gaussian:")))
    assert slices.middle.plan.noise == told
    assert told.std == pytest.approx(0.02 * read_volume(fine).levels.width / read_volume(measured).levels.width)
    assert told.std != pytest.approx(0.02, rel=0.05)
    restore_scan(restorer(), measured, tmp_path / "out.nii.gz")
    assert nibabel.load(tmp_path / "out.nii.gz").shape == (20, 24, 32)


def test_thick_slices_are_restored_to_the_spacing_that_they_had(fine, restorer):
    measured = degrade_scan(fine, None, THICK, 0.02)
    job, (through,) = planned(restorer(), measured)
    assert isinstance(through, PreparedThrough)
    assert through.grid.shape == (20, 24, 32)
    assert str(through.method.operator) == THICK  # whose thickness is that of the JSON file
    assert str(through.method.noise) == read_sidecar(measured).noise
    assert any("at 1.2 × 1.2 × 1 mm: that spacing is restored" in note for note in job.scan.notes)


def test_thick_and_coarse_slices_are_restored_in_two_steps(fine, restorer):
    measured = degrade_scan(fine, None, f"downsample:factor=2 + {THICK}")
    _, (slices, through) = planned(restorer(), measured)
    assert isinstance(slices, PreparedSlices)
    assert through.grid.shape == (20, 24, 32)


@pytest.mark.parametrize("asked", [{"scale": 2}, {"spacing": "-,-,2"}])
def test_the_noise_alone_is_taken_where_the_rest_is_said(fine, restorer, asked):
    measured = degrade_scan(fine, None, THICK, "rician:0.02")
    _, (step,) = planned(restorer(**asked), measured)
    noise = step.middle.plan.noise if isinstance(step, PreparedSlices) else step.method.noise
    assert isinstance(noise, RicianNoise)


def test_what_is_said_wins_and_the_contradiction_is_told(fine, restorer):
    measured = degrade_scan(fine, None, IN_PLANE, 0.02)
    job, (step,) = planned(restorer(operator="downsample:factor=2", noise="0.3"), measured)
    assert step.middle.plan.noise == GaussianNoise(0.3)
    assert any(f"the sidecar says {IN_PLANE}" in note for note in job.scan.notes)
    job, _ = planned(restorer(operator=IN_PLANE), measured)
    assert not job.scan.notes


def test_a_spacing_of_what_was_not_only_made_coarser_is_told(fine, restorer):
    measured = degrade_scan(fine, None, "blur:kernel=gaussian,std=1")
    job, _ = planned(restorer(spacing="0.6,0.6,-"), measured)
    assert any("the sidecar says blur" in note for note in job.scan.notes)


def test_thick_slices_that_no_spacing_undoes(fine, restorer):
    measured = degrade_scan(fine, None, f"blur:kernel=gaussian,std=1 + {THICK}")
    with pytest.raises(InputError, match="spacing"):
        scan_job(restorer(), read_scan(measured))


@pytest.mark.parametrize("spoil", ["edited", "other", "missing"])
def test_sidecars_that_cannot_be_believed(fine, restorer, spoil):
    measured = degrade_scan(fine, None, THICK)
    sidecar = sidecar_path(measured)
    if spoil == "edited":
        sidecar.write_text(sidecar.read_text().replace("1.0", "0.5"))  # the spacing is sealed too
    elif spoil == "other":
        measured.write_bytes(measured.read_bytes() + b"\0")  # which gzip passes over
    else:
        sidecar.unlink()
    said = {"edited": "was edited", "other": "another version", "missing": "missing"}
    with pytest.raises(InputError, match=said[spoil]):
        scan_job(restorer(), read_scan(measured))


@pytest.mark.parametrize("dtype, step", [(np.uint8, 1), (np.int16, 1), (np.float32, 0)])
def test_the_least_noise_is_the_rounding_of_the_scans_own_numbers(tmp_path, restorer, dtype, step):
    values = np.random.default_rng(0).integers(0, 200, (16, 16, 8)).astype(dtype)
    path = tmp_path / "scan.nii.gz"
    image = nibabel.Nifti1Image(values, np.diag([1, 1, 4, 1.0]))
    image.header.set_slope_inter(0.5 if step else None, 0 if step else None)
    nibabel.save(image, path)
    volume = read_volume(path)
    own = step * abs(volume.origin.stored.slope) / volume.levels.width / 12**0.5
    assert volume.rounding == pytest.approx(own if step else 1e-4)
    for asked in ({"operator": "blur:kernel=gaussian,std=1"}, {"spacing": "-,-,2", "thickness": 4.0}):
        _, (work,) = planned(restorer(**asked), path)
        method = work.middle.plan.method if isinstance(work, PreparedSlices) else work.method
        assert method.rounding == volume.rounding
        problem = method.begin(torch.zeros(1, 3, *method.shape[1:]), 1, lambda: NoiseField(0, "0"), Work(False, 1))
        assert problem.data.noise_std == pytest.approx(volume.rounding)


@pytest.fixture
def of_scans(restorer):
    """Restorers by a prior that has seen pixels of 0.5 to 1 mm."""

    def make(**asked):
        found = restorer(**asked)
        data = [Data("scans@train", 3, "0" * 64, "CC0", spacing=[0.5, 1.0])]
        card = msgspec.structs.replace(found.prior.card, normalisation=SCAN, training=data)
        return replace(found, prior=replace(found.prior, card=card))

    return make


def test_prior_of_photographs_and_stretched_pixels_are_told(fine, restorer, of_scans, tmp_path):
    job = scan_job(restorer(scale=2), read_scan(fine))
    (note,) = job.notes(job.planned())
    assert "tiny was trained on photographs" in note
    long = tmp_path / "long.nii.gz"
    nibabel.save(nibabel.Nifti1Image(nibabel.load(fine).get_fdata(), np.diag([0.75, 1.5, 6, 1.0])), long)
    job = scan_job(of_scans(scale=2), read_scan(long))
    (note,) = job.notes(job.planned())
    assert "2.0 times as long as wide" in note
    job = scan_job(of_scans(spacing="-,-,3", thickness=6.0), read_scan(long))
    far, note = job.notes(job.planned())
    assert "4.0 times" in note  # 3 mm across the slices by 0.75 within them
    assert far.startswith("The prior tiny has seen pixels of 0.5 to 1 mm, and those of the result are of 0.75 to 3 mm")
    job = scan_job(of_scans(spacing="0.5,0.5,0.5", thickness=6.0), read_scan(long))
    assert not job.notes([job.planned()[-1]])


def test_spacings_far_from_what_the_prior_saw_are_told(fine, of_scans, tmp_path):
    for edge, told in (
        (0.7, False),
        (0.6, True),
        (2.9, False),
        (3.1, True),
    ):  # halved by the factor
        path = tmp_path / f"{edge}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(nibabel.load(fine).get_fdata(), np.diag([edge, edge, 6, 1.0])), path)
        job = scan_job(of_scans(scale=2), read_scan(path))
        assert any("has seen pixels" in note for note in job.notes(job.planned())) == told


@pytest.mark.parametrize("name, second", [("Doe_John", "Doe_John_vol-1_restored"), ("sub-01_T1w", None)])
def test_volumes_of_one_file_have_results_of_their_own(tmp_path, restorer, name, second):
    path = tmp_path / f"{name}.nii.gz"
    values = np.random.default_rng(0).integers(0, 200, (12, 12, 3, 2)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    made = [restore_scan(restorer(scale=2), path, None, index=k)["outputs"] for k in (0, 1)]
    assert not set(made[0]) & set(made[1])
    second = second or "sub-01_res-0p5x0p5x1mm_desc-vol1restored_T1w"
    assert Path(made[1][0]).name == f"{second}.nii.gz"
    named = restore_scan(restorer(scale=2), path, tmp_path / "one.nii.gz", index=1)["outputs"]
    assert Path(named[0]).name == "one.nii.gz"
