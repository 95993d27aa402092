"""Measurements of scans: what is measured, where it lies, and what restoring asks of it."""

import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.workflows.scans.conftest import blob, centroid

from veriscale.cli.main import run
from veriscale.errors import InputError
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.resize import resize
from veriscale.physics.measurement_noise import parse_noise
from veriscale.physics.slice_profile import SliceProfile
from veriscale.settings import Settings, settled
from veriscale.workflows.degrading.degradation import degrade
from veriscale.workflows.degrading.measurement import read_sidecar
from veriscale.workflows.degrading.scan_degradation import degrade_scan, in_other_units
from veriscale.workflows.degrading.scan_measurement import measure_scan
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.in_plane import slice_of
from veriscale.workflows.scans.scan_run import restore_scan

SERIES = Path(os.environ.get("VERISCALE_DATA", Path(__file__).parents[4] / "shared/data")) / "mri/dicom/epi_brain"
PICTURES = (
    *("downsample:factor=2x3,kernel=lanczos3", "blur:kernel=gaussian,std=1", "inpaint:keep=0.5", "hdr:gain=2"),
    *("nonlinear-blur:seed=0", "jpeg:quality=40", "blur:kernel=gaussian,std=1 + downsample:factor=2"),
)
# Stored axes run to P, R and I: permuted and flipped, so that stored and canonical axes are not the same.
TURNED = np.array([[0.1, 0.9, 0.0, -20], [-1.1, 0.1, 0.05, 30], [0.0, 0.05, -1.0, 15], [0, 0, 0, 1]])


@pytest.fixture
def fine(tmp_path):
    """A scan of 1 mm with a blob and texture, whose sides are no multiples of 4."""
    shape = (33, 30, 35)
    at = TURNED[:3, :3] @ (np.array(shape) - 1) / 2 + TURNED[:3, 3] + (1.3, -0.7, 0.9)
    values = 1000 * blob(shape, TURNED, at, 4.0) + np.random.default_rng(0).uniform(0, 5, shape)
    path = tmp_path / "fine.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), TURNED), path)
    return path


def thick(values, fwhm, step):
    """The last axis by a Gaussian of `fwhm` and every `step` voxels, mirrored at its ends: the definition."""
    n = values.shape[-1] // step
    std = fwhm / np.sqrt(8 * np.log(2))
    reach = int(np.ceil(5 * std)) + 1
    padded = np.pad(values[..., : n * step], [(0, 0)] * (values.ndim - 1) + [(reach, reach)], mode="symmetric")
    out = np.empty((*values.shape[:-1], n))
    for j in range(n):
        offset = np.arange(padded.shape[-1]) - reach - ((j + 0.5) * step - 0.5)
        weight = np.where(np.abs(offset) <= 4 * std, np.exp(-0.5 * (offset / std) ** 2), 0)
        out[..., j] = padded @ (weight / weight.sum())
    return out


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_thick_along_the_axis_as_stored(fine, axis):
    spacing = float(np.linalg.norm(TURNED[:3, axis]))
    target = degrade_scan(fine, None, f"slice:fwhm={4 * spacing:.9f},step={4 * spacing:.9f},axis={axis}")
    assert target.name == "fine_degraded.nii.gz"
    got, truth = nibabel.load(target), nibabel.load(fine).get_fdata()
    expected = np.moveaxis(thick(np.moveaxis(truth, axis, -1), 4, 4), -1, axis)
    np.testing.assert_allclose(got.get_fdata(), expected, atol=0.01)
    assert got.get_data_dtype() == np.float32
    np.testing.assert_allclose(np.linalg.norm(got.affine[:3, axis]), 4 * spacing, rtol=1e-6)
    np.testing.assert_allclose(got.affine[:3, 3], TURNED[:3, 3] + 1.5 * TURNED[:3, axis], atol=1e-4)
    np.testing.assert_allclose(centroid(target), centroid(fine), atol=0.3)
    told = json.loads((target.parent / "fine_degraded.json").read_text())
    assert told == {"SliceThickness": pytest.approx(4 * spacing), "SpacingBetweenSlices": pytest.approx(4 * spacing)}
    assert got.header.get_dim_info()[2] in (None, 2) if axis == 2 else got.header.get_dim_info()[2] == axis


@pytest.mark.parametrize("axis", [0, 2])
def test_restoring_needs_no_thickness(fine, tiny, axis, tmp_path):
    spacing = float(np.linalg.norm(TURNED[:3, axis]))
    target = degrade_scan(fine, None, f"slice:fwhm=3,step={4 * spacing:.9f},axis={axis}")
    wanted = ["-", "-", "-"]
    wanted[axis] = f"{spacing:.6f}"
    asked = PriorRestorer(tiny, settled(Settings(spacing=",".join(wanted))))
    said = []
    assert restore_scan(asked, target, tmp_path / "out", dry_run=True, say=said.append)["dry_run"]
    assert any("slice:fwhm=3" in line for line in said)


def test_operators_of_pictures_measure_every_slice(fine):
    target = degrade_scan(fine, None, "downsample:factor=2,kernel=bicubic")
    truth, got = read_volume(fine), read_volume(target)
    height, width = (n // 2 * 2 for n in truth.shape[:2])
    k = 7
    expected = resize(truth.values()[:height, :width, k].astype(np.float32), height // 2, width // 2)
    np.testing.assert_allclose(got.values()[..., k], expected, atol=0.01)
    assert got.shape == (height // 2, width // 2, truth.shape[2])
    np.testing.assert_allclose(centroid(target), centroid(fine), atol=0.05)
    assert not target.with_name("fine_degraded.json").exists()


def test_in_plane_the_thickness_of_the_slices_stays(fine):
    fine.with_name("fine.json").write_text('{"SliceThickness": 3.5, "PatientName": "Doe"}')
    target = degrade_scan(fine, None, "blur:kernel=gaussian,std=1")
    told = json.loads(target.with_name("fine_degraded.json").read_text())
    assert told == {"SliceThickness": 3.5, "SpacingBetweenSlices": pytest.approx(1.00125, abs=1e-3)}


def test_several_operators_come_in_turn(fine):
    truth = read_volume(fine)
    both = measure_scan(truth, "downsample:factor=2 + slice:fwhm=4,step=4,axis=2").volume
    first = measure_scan(truth, "downsample:factor=2").volume
    again = measure_scan(first, "slice:fwhm=4,step=4,axis=2")
    np.testing.assert_array_equal(both.samples, again.volume.samples)
    np.testing.assert_allclose(both.affine, again.volume.affine)
    assert again.thickness == 4


@pytest.mark.parametrize("axis, step", [(0, 2.9), (1, 3.1), (2, 2.6)])
def test_centred_slices_have_the_middle_of_what_they_measure(fine, axis, step):
    truth = read_volume(fine)
    y = measure_scan(truth, SliceProfile(3, step, axis, centred=True)).volume
    o, shape = truth.origin.orientation, list(nibabel.load(fine).shape)
    thick_affine, thick_shape = o.affine_outside(y.affine, y.shape), o.values_outside(y.shape)
    factor = step / np.linalg.norm(TURNED[:3, axis])
    shape[axis] = int(thick_shape[axis] * factor + 0.5)
    assert abs(thick_shape[axis] * factor - shape[axis]) > 0.05  # no whole number of steps
    middles = [a[:3, :3] @ (np.array(n) - 1) / 2 + a[:3, 3] for a, n in ((TURNED, shape), (thick_affine, thick_shape))]
    np.testing.assert_allclose(*middles, atol=1e-4)


def test_noise_is_in_normalised_units_of_the_truth(fine):
    truth = read_volume(fine)
    noisy = measure_scan(truth, "downsample:factor=1", 0.1, seed=3).volume
    error = noisy.samples - truth.samples
    assert float(error.std()) == pytest.approx(0.1, rel=0.02)
    assert np.array_equal(noisy.samples, measure_scan(truth, "downsample:factor=1", 0.1, seed=3).volume.samples)
    assert not np.array_equal(noisy.samples, measure_scan(truth, "downsample:factor=1", 0.1, seed=4).volume.samples)


@pytest.mark.parametrize("text", ["gaussian:0.05", "rician:0.05", "poisson:peak=50"])
def test_the_sidecar_tells_noise_in_the_measurements_own_units(fine, text):
    target = degrade_scan(fine, None, "slice:fwhm=16,step=4,axis=2", text, seed=2)
    sidecar = read_sidecar(target)
    assert (sidecar.operator, sidecar.seed) == ("slice:fwhm=16,step=4,axis=2", 2)
    ratio = read_volume(fine).levels.width / read_volume(target).levels.width
    assert ratio > 1.05
    told, stated = parse_noise(sidecar.noise), parse_noise(text)
    number = getattr(told, told.key) / getattr(stated, stated.key)
    assert number == pytest.approx(1 / ratio if told.name == "poisson" else ratio, rel=0.01)


def test_noise_in_other_units_is_the_same_noise():
    import torch

    clean = torch.full((1, 1, 400, 400), 0.3)
    for text in ("gaussian:0.1", "rician:0.1", "poisson:peak=30"):
        noise = parse_noise(text)
        scaled = in_other_units(noise, 2.0).sample(2 * clean, np.random.default_rng(0)) / 2
        assert float(scaled.std()) == pytest.approx(
            float(noise.sample(clean, np.random.default_rng(1)).std()), rel=0.02
        )


@pytest.mark.parametrize("operator", PICTURES)
def test_every_operator_of_pictures_measures_a_slice_as_it_measures_a_picture(fine, operator):
    truth = read_volume(fine)
    got = measure_scan(truth, operator).volume.samples
    for k in (0, 17):
        alone = degrade(slice_of(truth, k), operator).pixels[..., 0]
        np.testing.assert_allclose(got[:, :, k], alone, atol=1e-6)


def test_a_dicom_series_is_measured_into_nifti(tmp_path):
    if not SERIES.is_dir():
        pytest.skip("no mri/dicom in VERISCALE_DATA")
    target = degrade_scan(SERIES, tmp_path, "downsample:factor=2")
    assert nibabel.load(target).shape == (32, 32, 15)
    assert json.loads((tmp_path / "epi_brain_degraded.json").read_text())["SliceThickness"] == 3
    with pytest.raises(InputError, match="along another"):
        degrade_scan(SERIES, tmp_path, "slice:fwhm=8,step=8,axis=0", force=True)


def test_unmeasured_voxels_hold_no_noise(fine):
    y = measure_scan(read_volume(fine), "inpaint:keep=0.5,seed=1", 0.1).volume.samples
    assert float((y == 0).mean()) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("keep", [False, True])
def test_numbers_are_float_unless_told_otherwise(fine, keep):
    values = np.rint(nibabel.load(fine).get_fdata()).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, TURNED), fine)
    target = degrade_scan(fine, None, "downsample:factor=2", keep_numbers=keep)
    assert nibabel.load(target).get_data_dtype() == (np.int16 if keep else np.float32)


@pytest.mark.parametrize(
    "operator, words",
    [
        ("fourier:accel=4", "no scan"),
        ("slice:fwhm=4,step=0.5,axis=2", "finer than the grid"),
        ("slice:fwhm=400,step=400,axis=2", "too few"),
        ("downsample:factor=64", "too small"),
        ("nothing", "nothing"),
    ],
)
def test_what_cannot_be_measured(fine, operator, words):
    with pytest.raises(InputError, match=words):
        degrade_scan(fine, None, operator)
    assert [p.name for p in fine.parent.iterdir()] == ["fine.nii.gz"]


def test_what_is_there_is_not_replaced(fine, tmp_path):
    target = degrade_scan(fine, tmp_path / "out" / "a.nii", "slice:fwhm=4,step=4,axis=2")
    assert target == tmp_path / "out" / "a.nii"
    with pytest.raises(InputError, match="exists already"):
        degrade_scan(fine, target, "downsample:factor=2")
    degrade_scan(fine, target, "downsample:factor=2", force=True)
    assert not target.with_name("a.json").exists()  # it told of the slices before
    with pytest.raises(InputError, match="scan itself"):
        degrade_scan(fine, fine, "downsample:factor=2", force=True)


def test_the_command_measures_scans(fine, capsys):
    command = ["degrade", str(fine), "--operator", "slice:fwhm=4,step=4,axis=2"]
    assert run([*command, "--noise", "0.02"], lambda: False) == 0
    assert capsys.readouterr().out.strip() == str(fine.with_name("fine_degraded.nii.gz"))
    assert run([*command, "--format", "png", "--force"], lambda: False) == 2
    assert "leave out --format" in capsys.readouterr().err.replace("\n", " ")
