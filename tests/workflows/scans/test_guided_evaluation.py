"""Scores of a guided prior: the scans are measured and their guides are not, and guides are not scored themselves."""

import nibabel
import numpy as np
import pytest
from tests.workflows.scans.guided import finer, install, save, values, write_subject

import veriscale as library
from veriscale.errors import InputError
from veriscale.imaging.nifti.read import read_volume
from veriscale.metrics.foreground import foreground
from veriscale.metrics.scan_distortion import data_range, scan_psnr
from veriscale.workflows.degrading.scan_measurement import measure_scan
from veriscale.workflows.restoring.door import restore


@pytest.fixture
def scans(tmp_path, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(install(tmp_path / "priors")))
    for seed, name in enumerate(("Doe", "Roe")):
        write_subject(tmp_path / "scans" / name, "ses", seed=10 * seed)
        matrix, shape = finer(2)
        save(tmp_path / "scans" / name / "ses_T2.nii.gz", values(shape, 10 * seed), matrix)  # a truth on the T1's grid
    return tmp_path / "scans"


def test_guides_beside_the_scans_are_found_by_name_and_change_the_scores(scans):
    said = []
    guides = {"t1": scans, "flair": scans}
    found = library.evaluate(scans, "grey-guided", guides=guides, scale=2, device="cpu", say=said.append)
    plain = library.evaluate(sorted(scans.rglob("*_T2.nii.gz")), "grey", scale=2, device="cpu")
    assert found.pictures == plain.pictures == 2
    assert any("4 scans are left out, by name guides of the others" in line for line in said)
    assert found.settings["guided_by"] == {"FLAIR": 2, "T1": 2}
    assert {"prior": "grey", "guides": "grey-guided"}.items() <= found.settings.items()
    for a, b in zip(found.scores, plain.scores, strict=True):
        assert a.sha256 == b.sha256
        assert (a.psnr == b.psnr) == (a.dial == "cubic")
    without = library.evaluate(sorted(scans.rglob("*_T2.nii.gz")), "grey-guided", scale=2, device="cpu")
    assert [s.psnr for s in without.scores] == [s.psnr for s in plain.scores]


def test_the_guides_are_not_degraded(scans):
    """The score is that of restoring the measurement with the guides' own files."""
    truth = scans / "Doe" / "ses_T2.nii.gz"
    found = library.evaluate(truth, "grey-guided", guides={"T1": scans}, scale=2, device="cpu")
    volume = read_volume(truth)
    y = measure_scan(volume, "downsample:factor=2").volume.relevelled()
    result = restore(y, "grey-guided", guides={"T1": scans / "Doe" / "ses_T1.nii.gz"}, scale=2, device="cpu")
    x = volume.samples
    mask = foreground(x)
    image = volume.levels.applied(result.image.values())
    (score,) = [s for s in found.scores if s.dial == 0]
    assert score.psnr == pytest.approx(scan_psnr(image, x, data_range(x, mask), mask), abs=1e-4)


def test_through_the_plane_too(scans):
    truth = scans / "Doe" / "ses_T2.nii.gz"
    asked = {"operator": "slice:fwhm=8,step=8,axis=2", "noise": 0.05, "device": "cpu"}
    plain, guided = (
        library.evaluate(truth, prior, guides=guides, **asked)
        for prior, guides in (("grey", None), ("grey-guided", {"T1": scans}))
    )
    assert not np.isclose(plain.scores[-1].psnr, guided.scores[-1].psnr, atol=1e-6)


def test_photographs_take_none(scans, skimage_data):
    with pytest.raises(InputError, match="guide is of scans, and this is a photograph"):
        library.evaluate(skimage_data / "brick.png", "grey-guided", guides={"T1": scans}, scale=2, device="cpu")


def test_a_truth_does_not_guide_itself(scans, tmp_path):
    truth = scans / "Doe" / "ses_T2.nii.gz"
    apart = tmp_path / "apart" / "ses_T1.nii.gz"
    apart.parent.mkdir()
    apart.write_bytes(truth.read_bytes())
    with pytest.raises(InputError, match="guide T1 is the scan itself"):
        library.evaluate(truth, "grey-guided", guides={"T1": apart}, scale=2, device="cpu")


def test_a_truth_does_not_guide_its_own_score(scans, tmp_path):
    """Of the same name in a folder apart, its samples the same and its bytes others."""
    truth = save(tmp_path / "truths" / "Doe_T2.nii.gz", values((24, 20, 5), 5), finer(2)[0])
    (tmp_path / "copies").mkdir()
    nibabel.save(nibabel.load(truth), tmp_path / "copies" / "Doe_T2.nii.gz")
    asked = {"scale": 2, "device": "cpu"}
    for guide in (tmp_path / "copies", tmp_path / "copies" / "Doe_T2.nii.gz", read_volume(truth)):
        with pytest.raises(InputError, match="The guide T1 is the scan itself"):
            library.evaluate(truth, "grey-guided", guides={"t1": guide}, **asked)
