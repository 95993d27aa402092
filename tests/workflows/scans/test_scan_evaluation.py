"""A prior scored on scans that serve as truth: where results lie, what they are compared with, and nobody's name."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.workflows.degrading.test_scan_degradation import TURNED
from tests.workflows.scans.conftest import blob

from veriscale.errors import InputError
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.photo import Photo
from veriscale.imaging.write import write_photo
from veriscale.metrics.foreground import foreground, foreground_on
from veriscale.metrics.uncertainty import crps_fair, spread_skill, spread_sums
from veriscale.physics.registry import parse_operator
from veriscale.workflows.degrading.degradation import degrade
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import restore
from veriscale.workflows.restoring.evaluation import evaluate
from veriscale.workflows.scans.scan_run import restore_scan

DATA = Path(os.environ.get("VERISCALE_DATA", Path(__file__).parents[4] / "shared/data")) / "mri"


@pytest.fixture(scope="module")
def photo():
    return load_prior("photo")


@pytest.fixture
def fine(tmp_path):
    """A scan of about 1 mm with permuted and flipped axes, whose sides are no multiples of 4."""
    shape = (33, 30, 35)
    at = TURNED[:3, :3] @ (np.array(shape) - 1) / 2 + TURNED[:3, 3] + (1.3, -0.7, 0.9)
    values = 1000 * blob(shape, TURNED, at, 5.0) + np.random.default_rng(0).uniform(0, 5, shape)
    path = tmp_path / "scans" / "Doe_John_1970.nii.gz"
    path.parent.mkdir()
    nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), TURNED), path)
    return path


def numbers(found):
    return {s.dial: s for s in found.scores}


@pytest.mark.parametrize(
    "asked",
    [{"scale": 2}, {"scale": 2.5}, {"operator": "downsample:factor=3"}]
    + [{"operator": f"slice:fwhm=2,step={step},axis={k}"} for k, step in ((0, 3.4), (1, 2.7), (2, 3), (2, 3.004))],
    ids=str,
)
def test_results_lie_on_the_truth(fine, photo, asked):
    """A smooth blob comes back by the spline: half a voxel off, its PSNR would be below 33."""
    of = numbers(evaluate(fine, photo, dial="0", **asked))
    assert set(of) == {"cubic", 0.0}
    assert of["cubic"].psnr > 36
    assert of["cubic"].ssim > 0.98
    assert of[0.0].psnr > (20 if "slice" in str(asked) else 36)


def test_scores_are_those_of_files_compared_by_hand(fine, tiny, tmp_path, restorer):
    """degrade, restore, and the definitions."""
    from veriscale.workflows.degrading.scan_degradation import degrade_scan

    found = numbers(evaluate(fine, tiny, scale=2))[0.0]
    small = degrade_scan(fine, tmp_path / "small.nii.gz", "downsample:factor=2")
    restore_scan(restorer(scale=2), small, tmp_path / "large.nii.gz")
    truth, large = read_volume(fine), read_volume(tmp_path / "large.nii.gz").values()
    x = truth.values()[: large.shape[0], : large.shape[1]]
    mask = foreground(truth.samples[: large.shape[0], : large.shape[1]])
    width = np.percentile(x[mask], 99.9)
    assert found.psnr == pytest.approx(10 * np.log10(width**2 / np.mean((large - x)[mask] ** 2)), abs=1e-3)
    assert found.psnr_all == pytest.approx(10 * np.log10(width**2 / np.mean((large - x) ** 2)), abs=1e-3)


def test_draws_are_those_of_a_restoration_in_the_foreground_of_the_measurement(fine, tiny):
    """degrade, restore, and the definitions."""
    drawn = {"steps": 2, "samples": 3, "seed": 4}
    truth = read_volume(fine)
    result = restore(degrade(truth, "downsample:factor=2", 0.0), tiny, scale=2, **drawn)
    y, grid = result.measurement, result.image.grid
    x = y.levels.applied(truth.values()[tuple(map(slice, grid.shape))])
    mask = foreground_on(grid, y)
    assert 0 < mask.sum() < mask.size
    samples = np.stack([draw.samples[mask] for draw in result.samples])
    found = evaluate(fine, tiny, scale=2, **drawn).draws
    assert (len(found.rows), found.rows[0]["scan"]) == (1, 1)
    assert found.all.coverage.places == mask.sum()
    of = found.rows[0]
    assert of["crps"] == pytest.approx(crps_fair(samples, x[mask]), rel=1e-3)
    assert of["spread_skill"] == pytest.approx(spread_skill(spread_sums(samples, x[mask])), rel=1e-3)


def test_every_dial_and_the_baseline_and_no_name(fine, tiny):
    shutil.copy(fine, fine.parent / "Roe_Jane.nii.gz")
    told = []
    found = evaluate(
        fine.parent, tiny, operator="slice:fwhm=4,step=4", dial=[1, 0], progress=lambda *of: told.append(of)
    )
    assert [s.dial for s in found.scores] == ["cubic", 0, 1] * 2
    assert [s.scan for s in found.scores] == [1] * 3 + [2] * 3
    assert found.scores[0].sha256 == hashlib.sha256(fine.read_bytes()).hexdigest()
    assert [row["scans"] for row in found.summary()] == [2, 2, 2]
    assert len(found.summary()[0]["psnr_interval"]) == 2
    content = json.dumps(found.as_dict())
    assert set(found.as_dict()) == {"settings", "summary", "scans"}
    assert found.settings["operator"] == "slice:fwhm=4,step=4,axis=2"
    for secret in ("Doe", "Roe", "1970", str(fine.parent)):
        assert secret not in content
        assert secret not in str(told)
    assert told[0][0].startswith("the scan (1 of 2): ")


def test_noise_is_in_the_truths_units_and_told_to_the_prior_in_the_measurements(fine, tiny):
    operator = "slice:fwhm=12,step=4,axis=2"
    found = evaluate(fine, tiny, operator=operator, noise=0.1)
    assert found.settings["noise"] == "gaussian:0.1"
    truth = read_volume(fine)
    y = degrade(truth, operator, 0.1)
    ratio = truth.levels.width / y.levels.width
    assert abs(ratio - 1) > 0.05
    x = truth.origin.orientation.inside(truth.origin.orientation.outside(truth.values())[:, :, :32])
    width = np.percentile(x[foreground(truth.levels.applied(x))], 99.9)
    asked = {"spacing": f"-,-,{np.linalg.norm(TURNED[:3, 2]):.6f}", "thickness": 12}
    told, untold = (
        10 * np.log10(width**2 / np.mean((restore(y, tiny, noise=std, **asked).image.values() - x) ** 2))
        for std in (0.1 * ratio, 0.1)
    )
    assert numbers(found)[0.0].psnr_all == pytest.approx(told, abs=0.02)
    assert abs(told - untold) > 0.05


def test_a_dicom_series_is_a_scan(tiny):
    if not (DATA / "dicom/epi_brain").is_dir():
        pytest.skip("no mri/dicom in VERISCALE_DATA")
    of = numbers(evaluate(DATA / "dicom/epi_brain", tiny, scale=2))
    assert of["cubic"].psnr > 15
    with pytest.raises(InputError, match="along another"):
        evaluate(DATA / "dicom/epi_brain", tiny, operator="slice:fwhm=8,step=7.5,axis=0")


def test_on_a_real_head_the_prior_beats_the_spline(photo, tmp_path):
    """A training subject's middle, thick and in plane."""
    source = DATA / "multicontrast/ms07/ms07_FLAIR.nii.gz"
    if not source.is_file():
        pytest.skip("no mri/multicontrast in VERISCALE_DATA")
    image = nibabel.load(source)
    middle = tuple(slice(n // 2 - 20, n // 2 + 20) for n in image.shape)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj)[middle], image.affine), tmp_path / "x.nii.gz")
    for asked, gain in (({"scale": 2}, 1.0), ({"operator": "slice:fwhm=4,step=4"}, 0.3)):
        of = numbers(evaluate(tmp_path / "x.nii.gz", photo, **asked))
        assert of[0.0].psnr > of["cubic"].psnr + gain
        assert of[0.0].ssim > of["cubic"].ssim


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"operator": "slice:fwhm=4,step=1.0013"}, "as many slices as the scan has"),
        ({"operator": "slice:fwhm=4,step=0.5"}, "finer than the grid"),
        ({"operator": "downsample:factor=2 + slice:fwhm=4,step=4"}, "in turn"),
        ({"operator": "fourier:accel=4"}, "no scan"),
        ({"operator": "downsample:factor=2", "scale": 3}, "give one"),
        ({"operator": "nothing"}, "nothing"),
        ({"scale": 2, "spacing": "1,1,1"}, "spacing is no setting of an evaluation"),
        ({"scale": 2, "thickness": 4}, "thickness is no setting of an evaluation"),
        ({"scale": 2, "alpha": 0.1}, "alpha is no setting of an evaluation"),
        ({"scale": 2, "command": "tool {in} {out}"}, "command is no setting of an evaluation"),
        ({"scale": 2, "crop": "0,0,4,4"}, "crop is no setting of an evaluation"),
        ({"scale": 2, "index": 1}, "index 1 is not in"),
        ({"scale": 2, "dial": 2}, "outside"),
        ({"scale": 16}, "SSIM|too small|too few"),
    ],
    ids=str,
)
def test_what_cannot_be_asked(fine, tiny, asked, words):
    with pytest.raises(InputError, match=words) as caught:
        evaluate(fine, tiny, **asked)
    assert "Doe" not in str(caught.value)


def test_a_bad_one_of_several_is_told_at_the_end_by_number(fine, tiny):
    (fine.parent / "Aoe.nii.gz").write_bytes(b"\x1f\x8b no scan")
    told, parts = [], []
    found = evaluate(fine.parent, tiny, scale=2, tell=told.append, progress=lambda *of: parts.append(len(told)))
    assert found.pictures == 1
    assert found.failed == told
    assert told[0].startswith("the scan (1 of 2) cannot be read")
    assert "Aoe" not in told[0]
    assert max(parts) == 0
    assert found.scores[0].scan == 2
    fine.unlink()
    (fine.parent / "Boe.nii.gz").write_bytes(b"")
    with pytest.raises(InputError, match="None of the 2 scans"):
        evaluate(fine.parent, tiny, scale=2)


def test_photographs_and_scans_are_evaluated_in_turn(fine, tiny):
    write_photo(Photo(np.zeros((16, 16, 3), np.float32)), fine.parent / "a.png")
    with pytest.raises(InputError, match="in turn"):
        evaluate(fine.parent, tiny, scale=2)
    with pytest.raises(InputError, match="operator is no setting of an evaluation"):
        evaluate(fine.parent / "a.png", tiny, operator="blur:kernel=gaussian,std=1")
    with pytest.raises(InputError, match="index is of scans, and this is a photograph"):
        evaluate(fine.parent / "a.png", tiny, index=0)


def test_a_volume_of_several_is_chosen(fine, tiny):
    image = nibabel.load(fine)
    values = image.get_fdata(dtype=np.float32)
    nibabel.save(nibabel.Nifti1Image(np.stack([values, values**2 / 1000], -1), TURNED), fine)
    with pytest.raises(InputError, match="say which with index"):
        evaluate(fine, tiny, scale=2)
    first, second = (numbers(evaluate(fine, tiny, scale=2, index=k))["cubic"].psnr for k in (0, 1))
    assert first != pytest.approx(second, abs=0.1)


def test_an_operator_may_be_an_object_and_its_file_is_not_named(fine, tiny, tmp_path):
    text, thing = "blur:kernel=gaussian,std=1", parse_operator("blur:kernel=gaussian,std=1")
    a, b = (numbers(evaluate(fine, tiny, operator=given))[0.0].psnr for given in (text, thing))
    assert a == b
    kernel = tmp_path / "Doe_kernel.npy"
    np.save(kernel, np.full((3, 3), 1 / 9, np.float32))
    found = evaluate(fine, tiny, operator=f"blur:kernel={kernel}")
    assert found.settings["operator"] == "blur, with a file"
