"""A scan from file to file: in plane and through it, where it lies, cut off and gone on with, and nobody's name."""

import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.uid import UltrasoundImageStorage
from tests.imaging.dicom.synthetic import slices
from tests.workflows.scans.conftest import centroid

from veriscale.errors import InputError
from veriscale.imaging.dicom.series import read_series
from veriscale.imaging.nifti.read import read_volume
from veriscale.settings import Settings, settled
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import restore
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.asked_scan import spacings
from veriscale.workflows.scans.in_plane import slice_of
from veriscale.workflows.scans.reading import read_scan
from veriscale.workflows.scans.scan_job import scan_job
from veriscale.workflows.scans.scan_run import restore_scan

SERIES = Path(os.environ.get("VERISCALE_DATA", Path(__file__).parents[4] / "shared/data")) / "mri/dicom/epi_brain"


@pytest.fixture(scope="module")
def photo():
    return load_prior("photo")


def test_in_plane_every_slice_is_restored_as_a_picture(scan, restorer, tiny, tmp_path):
    done = restore_scan(restorer(scale=2, dial="0,1"), scan, tmp_path / "out")
    volume = read_volume(scan)
    for f in (0.0, 1.0):
        got = nibabel.load(tmp_path / "out" / f"Doe_John_1970_restored_dial-{f:.2f}.nii.gz")
        assert got.shape == (40, 36, 9)
        k = 4
        alone = restore(slice_of(volume, k), tiny, operator="downsample:factor=2,kernel=bicubic", dial=f)
        values = volume.levels.undone(alone.image.pixels[..., 0])
        stored = volume.origin.orientation.outside(np.repeat(values[:, :, None], 9, 2))[:, :, 0]
        np.testing.assert_allclose(got.get_fdata()[:, :, k], np.rint(stored).clip(-32768, 32767), atol=1)
    assert done["operator"] == "downsample:factor=2,kernel=bicubic"
    assert done["peak_memory_mb"] > 0


@pytest.mark.parametrize(
    "asked",
    [
        {"scale": 2},
        {"scale": 1.5},
        {"spacing": "1,1,-"},
        {"spacing": "1.3,0.9,-"},
        {"spacing": "-,-,1", "thickness": 4.8},
        {"spacing": "-,-,1.37", "thickness": 6},
        {"spacing": "1.1,1,1.7", "thickness": 5},
    ],
    ids=str,
)
def test_what_was_at_a_place_is_there_still(scan, photo, tmp_path, asked):
    """The centroid of a blob in the world, by nibabel."""
    target = tmp_path / "out.nii.gz"
    restore_scan(PriorRestorer(photo, settled(Settings(**asked))), scan, target)
    got = nibabel.load(target)
    np.testing.assert_allclose(centroid(target), centroid(scan), atol=0.1)
    spacing = np.linalg.norm(got.affine[:3, :3], axis=0)
    if "spacing" in asked:
        for now, wanted in zip(spacing, spacings(asked["spacing"]), strict=True):
            assert wanted is None or now == pytest.approx(wanted, abs=1e-5)
    middle = [
        a[:3, :3] @ (np.array(s) - 1) / 2 + a[:3, 3]
        for a, s in ((got.affine, got.shape), (nibabel.load(scan).affine, (20, 18, 9)))
    ]
    np.testing.assert_allclose(*middle, atol=1e-4)


@pytest.mark.parametrize("asked", [{"scale": 2, "dial": "0,1", "samples": 2}, {"spacing": "-,-,1.5", "thickness": 4.8}])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(scan, restorer, tmp_path, asked):
    whole = restore_scan(restorer(**asked), scan, tmp_path / "whole")["outputs"]
    told = []

    def killed(phase, done, of):
        told.append(done)
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_scan(restorer(**asked), scan, tmp_path / "out", tell=killed)
    assert not list((tmp_path / "out").glob("*.nii.gz"))
    first = told[-1]
    told.clear()
    again = restore_scan(restorer(**asked), scan, tmp_path / "out", tell=lambda phase, done, of: told.append(done))
    assert min(told) >= first  # what was done is not done again
    for a, b in zip(whole, again["outputs"], strict=True):
        if a.endswith(".nii.gz"):
            assert Path(a).read_bytes() == Path(b).read_bytes()
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]


def test_draws_through_the_plane_that_are_done_are_not_done_again(scan, restorer, tmp_path):
    asked = {"spacing": "-,-,1.5", "thickness": 4.8, "dial": "0,0.5,1", "samples": 3, "steps": 3}
    told = []
    whole = restore_scan(restorer(**asked), scan, tmp_path / "whole", tell=lambda *one: told.append(one))["outputs"]
    counted = [done for phase, done, _ in told if phase == "sample"]
    assert len(counted) == 9

    def killed(phase, done, of):
        if (phase, done) == ("sample", counted[7]):  # in the middle of the third draw
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_scan(restorer(**asked), scan, tmp_path / "out", tell=killed)
    told.clear()
    again = restore_scan(restorer(**asked), scan, tmp_path / "out", tell=lambda *one: told.append(one))["outputs"]
    assert [one[:2] for one in told] == [("sample", done) for done in counted[6:]]
    for a, b in zip(whole, again, strict=True):
        if a.endswith(".nii.gz"):
            assert Path(a).read_bytes() == Path(b).read_bytes()


def test_of_other_settings_it_begins_anew(scan, restorer, tmp_path):
    def killed(phase, done, of):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_scan(restorer(scale=2), scan, tmp_path / "out", tell=killed)
    told = []
    restore_scan(restorer(scale=3), scan, tmp_path / "out", tell=lambda phase, done, of: told.append(done))
    assert min(told) == 1


def test_nobodys_name_is_anywhere(scan, restorer, tmp_path):
    said = []
    asked = {"spacing": "1,1,2", "thickness": 4.8, "dial": "0,1", "samples": 2}
    restore_scan(restorer(**asked), scan, tmp_path / "out", say=said.append)
    run = (tmp_path / "out" / "Doe_John_1970_restored.run.json").read_text()
    assert "Doe" not in run
    assert "1970" not in run
    assert str(tmp_path) not in run
    assert not any("Doe" in line or str(tmp_path) in line for line in said)
    assert json.loads(run)["outputs"][0] == "_dial-0.00.nii.gz"


def test_the_spread_is_in_the_scans_units(scan, restorer, tmp_path):
    restore_scan(restorer(scale=2, samples=2), scan, tmp_path / "out")
    std = nibabel.load(tmp_path / "out" / "Doe_John_1970_restored_std.nii.gz")
    a, b = (nibabel.load(tmp_path / "out" / f"Doe_John_1970_restored_draw-{k}.nii.gz").get_fdata() for k in (0, 1))
    assert std.get_data_dtype() == np.float32
    np.testing.assert_allclose(std.get_fdata(), np.abs(a - b) / 2**0.5, atol=1.5)
    assert std.get_fdata().max() > 5


def test_in_plane_the_mean_over_turns_is_that_of_every_slice(scan, restorer, tiny, tmp_path):
    restore_scan(restorer(scale=2, ensemble=True), scan, tmp_path / "out.nii.gz")
    told = json.loads((tmp_path / "out.run.json").read_text())
    assert told["anchor"] == "ensemble"
    job = scan_job(restorer(scale=2, ensemble=True), read_scan(scan))
    volume = job.volume
    image = job.restore(job.steps()[0](volume)).image
    by_slice = restore(slice_of(volume, 4), tiny, scale=2, ensemble=True).image.pixels[..., 0]
    np.testing.assert_allclose(np.moveaxis(image.samples, volume.slice_axis, 0)[4], by_slice, atol=1e-5)
    plain = scan_job(restorer(scale=2), read_scan(scan))
    assert np.abs(plain.restore(plain.steps()[0](volume)).image.samples - image.samples).max() > 1e-3


def test_slices_told_as_one_voxel_thick_agree_with_the_measurement(scan, restorer, tmp_path):
    """Through the plane the result, measured again, is the scan."""
    from veriscale.physics.slice_profile import SliceProfile

    restore_scan(restorer(spacing="-,-,1.6", thickness=4.8), scan, tmp_path / "out.nii.gz")
    import torch

    fine, coarse = nibabel.load(tmp_path / "out.nii.gz"), nibabel.load(scan)
    operator = SliceProfile(4.8, float(np.linalg.norm(coarse.affine[:3, 2])), 2, 1.6, centred=True)
    again = operator.forward(torch.from_numpy(fine.get_fdata().astype(np.float32))[None, None])[0, 0].numpy()
    assert np.abs(again - coarse.get_fdata()).max() < 0.02 * coarse.get_fdata().max()


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"spacing": "-,-,1"}, "give `--thickness`|give thickness"),
        ({"spacing": "1,1"}, "not three numbers"),
        ({"spacing": "1,1,x"}, "not three numbers"),
        ({"spacing": "-,-,9", "thickness": 4.8}, "coarser"),
        ({"spacing": "-,-,-"}, "nothing to do"),
        ({"spacing": "1,1,1", "scale": 2, "thickness": 4.8}, "give one"),
        ({"spacing": "-,-,1", "thickness": -3.0}, "no thickness"),
        ({"spacing": "-,-,1", "thickness": 4.8, "posterior": "dps"}, "leave out"),
        ({"scale": 2, "crop": "0,0,8,8"}, "for photographs"),
        ({"spacing": "-,-,1", "thickness": 4.8, "ensemble": True}, "not for what is restored through the plane"),
        ({"spacing": "1,1,1", "thickness": 4.8, "ensemble": True}, "ensemble"),
        ({"scale": 2, "ensemble": True, "samples": 2}, "draws are asked for"),
    ],
)
def test_what_cannot_be_asked(scan, restorer, tmp_path, asked, words):
    with pytest.raises(InputError, match=words):
        restore_scan(restorer(**asked), scan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "told, words",
    [
        ({"SliceThickness": 4.8}, None),
        ({"SliceThickness": 4.8, "SpacingBetweenSlices": 4.82}, None),
        ({"SliceThickness": 4.8, "SpacingBetweenSlices": 3.0}, "3 mm apart, and its affine 4.8"),
        ({"SliceThickness": "thick"}, "no distance"),
        ({"SliceThickness": 0}, "no distance"),
        ([1], "no fields"),
        ({}, "is not known"),
    ],
)
def test_thickness_is_told_and_never_guessed(scan, restorer, tmp_path, told, words):
    (scan.parent / "Doe_John_1970.json").write_text(json.dumps(told))
    if words is None:
        assert restore_scan(restorer(spacing="-,-,2.4"), scan, tmp_path / "out", dry_run=True)["dry_run"]
        return
    with pytest.raises(InputError, match=words):
        restore_scan(restorer(spacing="-,-,2.4"), scan, tmp_path / "out")


def test_two_thicknesses_are_one_too_many(scan, restorer, tmp_path):
    (scan.parent / "Doe_John_1970.json").write_text('{"SliceThickness": 4.8}')
    with pytest.raises(InputError, match=r"says 4\.8; leave it out"):
        restore_scan(restorer(spacing="-,-,2.4", thickness=4), scan, tmp_path / "out")


def test_what_is_there_is_not_replaced(scan, restorer, tmp_path):
    restore_scan(restorer(scale=2), scan, None)
    with pytest.raises(InputError, match="exists already"):
        restore_scan(restorer(scale=2), scan, None)
    assert restore_scan(restorer(scale=2), scan, None, force=True)["outputs"]


def test_a_dicom_series_gives_a_volume_and_a_series_of_its_own(photo, tmp_path):
    if not SERIES.is_dir():
        pytest.skip("no mri/dicom in VERISCALE_DATA")
    asked = PriorRestorer(photo, settled(Settings(scale=2, dial="0,1")))
    said = []
    done = restore_scan(asked, SERIES, tmp_path / "out", dicom_out=tmp_path / "derived", say=said.append)
    first, again = read_series(SERIES), read_series(tmp_path / "derived" / "dial-0.00")
    assert again.samples.shape == (*(2 * n for n in first.samples.shape[:2]), first.samples.shape[2])
    corner = first.affine @ (-0.25, -0.25, 0, 1)
    np.testing.assert_allclose(again.affine[:3, 3], corner[:3], atol=1e-3)
    volume = nibabel.load(done["outputs"][0])
    np.testing.assert_allclose(np.asarray(volume.dataobj).sum(), again.samples.sum(), rtol=1e-3)
    a, b = read_series(tmp_path / "derived" / "dial-1.00").datasets[0], again.datasets[0]
    assert a.SeriesInstanceUID != b.SeriesInstanceUID
    assert a.SeriesNumber == b.SeriesNumber + 1
    assert b.SeriesDescription.endswith("restored, dial 0, not for diagnosis")
    assert a.SeriesDescription.endswith("restored, dial 1, not for diagnosis")
    assert not any("Regression" in line for line in [*said, json.dumps(done["input"])])


def test_a_derived_series_is_of_a_series(scan, restorer, tmp_path):
    with pytest.raises(InputError, match="no DICOM series"):
        restore_scan(restorer(scale=2), scan, tmp_path / "out", dicom_out=tmp_path / "derived")


def test_a_series_of_another_kind_is_refused_before_any_work(restorer, tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    for number, each in enumerate(slices(shape=(10, 12))):
        each.SOPClassUID = each.file_meta.MediaStorageSOPClassUID = UltrasoundImageStorage
        each.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    for dry_run in (True, False):
        with pytest.raises(InputError, match="is written for MR and CT images"):
            restore_scan(restorer(scale=2), folder, tmp_path / "out", dicom_out=tmp_path / "derived", dry_run=dry_run)
    assert [p.name for p in tmp_path.iterdir()] == ["series"]


@pytest.mark.parametrize("asked", [{"spacing": "-,2,1.6", "thickness": 4.8}, {"scale": 2}], ids=str)
def test_what_is_said_is_along_the_axes_in_which_a_spacing_is_asked(restorer, tmp_path, asked):
    coronal = np.array([[1.2, 0, 0, 0], [0, 0, 4.8, 0], [0, 2.4, 0, 0], [0, 0, 0, 1]])
    values = np.random.default_rng(0).integers(0, 900, (20, 18, 9)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, coronal), tmp_path / "scan.nii")
    said = []
    done = restore_scan(restorer(**asked), tmp_path / "scan.nii", tmp_path / "out", say=said.append)
    told, result = " ".join(said), np.linalg.norm(nibabel.load(done["outputs"][0]).affine[:3, :3], axis=0)
    assert "1.2×2.4×4.8" in told
    assert f"{result[0]:.3g}×{result[1]:.3g}×{result[2]:.3g}" in told
    if "spacing" in asked:
        assert "20×22×9 voxels of 1.2×2×4.8 mm to 20×22×27 of 1.2×2×1.6" in told
        assert done["operator"] == "slice:fwhm=4.8,step=4.8,axis=2"
        assert f"{done['operator']}, prior" in told
        assert (done["spacing"], done["before"]["spacing"]) == ([1.2, 2.0, 4.8], [1.2, 2.4, 4.8])
    else:
        assert done["spacing"] == [1.2, 2.4, 4.8]
