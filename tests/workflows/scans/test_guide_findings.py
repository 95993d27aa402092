"""What run.json, the messages and the report say of guides."""

import re

import numpy as np
import pytest
from tests.guides.test_registration import contrast, tissues
from tests.workflows.scans.guided import install, save

from veriscale.settings import Settings, settled
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import restore
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.asked_guides import asked_guides
from veriscale.workflows.scans.guide_findings import finding_facts, finding_lines
from veriscale.workflows.scans.scan_run import restore_scan

AFFINE = np.diag([-1.0, 1.0, 3.0, 1.0])  # its first axis runs to the left


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A scan, half as fine in plane as its guides, of which the second is moved by 4 voxels to the patient's right."""
    monkeypatch.setenv("VERISCALE_PRIORS", str(install(tmp_path / "priors")))
    labels = tissues(0)[:, :, 10:18]
    coarse = contrast(labels, 0).reshape(18, 2, 20, 2, 8).mean((1, 3))
    matrix = AFFINE.copy()
    matrix[:3, :2] *= 2
    matrix[:3, 3] = AFFINE[:3, :2] @ (0.5, 0.5)
    save(tmp_path / "Doe_T2.nii.gz", coarse, matrix)
    save(tmp_path / "Doe_T1.nii.gz", contrast(labels, 1), AFFINE)
    save(tmp_path / "Doe_FLAIR.nii.gz", contrast(np.roll(labels, -4, 0), 2), AFFINE)
    return tmp_path


@pytest.mark.parametrize("asked", [{"scale": 2}, {"spacing": "-,-,1.5", "thickness": 3.0, "noise": "0.05"}], ids=str)
def test_weights_and_amount_at_several_noise_levels(place, asked):
    guides = {"T1": place / "Doe_T1.nii.gz", "FLAIR": place / "Doe_FLAIR.nii.gz"}
    levels = restore(place / "Doe_T2.nii.gz", "grey-guided", guides=guides, **asked).run["guide_findings"]["levels"]
    conditional = "scale" in asked
    sigmas = [level["sigma"] for level in levels]
    assert (sigmas[0] is None) == conditional
    assert len(sigmas) == 3 + conditional
    assert sorted(sigmas[conditional:], reverse=True) == sigmas[conditional:]
    for level in levels:
        assert 0 < level["amount"] < 1
        assert set(level["weights"]) == {"T1", "FLAIR"}
        assert sum(level["weights"].values()) == pytest.approx(1, abs=1e-3)
        assert sum(level["shares"].values()) == pytest.approx(level["amount"], abs=1e-3)


def test_a_guide_that_covers_a_slab_is_asked_there(place, monkeypatch):
    monkeypatch.setattr("veriscale.workflows.scans.guide_findings._LOOKED_AT", 2)
    save(place / "Doe_FLAIR.nii.gz", contrast(tissues(0)[:, :, 10:11], 2), AFFINE)  # of the first slice alone
    for guides in (("T1", "FLAIR"), ("FLAIR",)):
        said = []
        run = restore_scan_with(place, said, {name: f"Doe_{name}.nii.gz" for name in guides}, f"out{len(guides)}")
        for level in run["guide_findings"]["levels"]:
            assert set(level["weights"]) == set(guides)
            assert level["amount"] > 0
        assert not any("whole cell" in line for line in said)


def test_a_guide_that_fills_no_cell_is_said_to_do_nothing(place):
    save(place / "Doe_FLAIR.nii.gz", contrast(tissues(0)[20:22, 20:22, 10:18], 2), AFFINE)
    said = []
    found = restore_scan_with(place, said, {"FLAIR": "Doe_FLAIR.nii.gz"})["guide_findings"]
    assert all((level["amount"], level["weights"]) == (None, {}) for level in found["levels"])
    assert any("guide FLAIR is known in no whole cell" in line for line in said)
    assert "no amount, no weights" in (place / "out" / "Doe_T2_restored_report.html").read_text()


def test_a_shifted_guide_is_said_with_the_way_it_should_be_moved(place):
    said = []
    run = restore_scan_with(place, said, {"T1": "Doe_T1.nii.gz", "FLAIR": "Doe_FLAIR.nii.gz"})
    fits = run["guide_findings"]["registration"]
    assert not fits["T1"]["off"]
    assert fits["FLAIR"]["off"]
    assert fits["FLAIR"]["shift"] == [-4, 0, 0]
    (line,) = [line for line in said if "misregistered" in line]
    assert line.startswith(
        "The guide FLAIR looks misregistered: moved by 4 to the left (voxels of the result), it would"
    )
    page = (place / "out" / "Doe_T2_restored_report.html").read_text()
    assert "looks misregistered" in page
    assert "guides at the anchor" in page
    assert re.findall(r'<th scope="col">(.*?)</th>', page) == ["T1", "FLAIR", "amount of all"]
    assert len(re.findall(r'<img class="pixels" src="data:image/png;', page)) == 3 * 4
    assert "T1, FLAIR, by grey-guided" in page
    assert "Doe" not in page


def restore_scan_with(place, said, guides, out="out"):
    prior = load_prior("grey-guided", "cpu")
    asked = asked_guides(prior, {name: place / file for name, file in guides.items()})
    restorer = PriorRestorer(prior, settled(Settings(scale=2)))
    scan = place / "Doe_T2.nii.gz"
    return restore_scan(restorer, scan, place / out, guides=asked, report=True, say=said.append)


def test_without_guides_nothing_is_said(place):
    assert "guide_findings" not in restore(place / "Doe_T2.nii.gz", "grey-guided", scale=2).run
    assert finding_lines({}) == finding_facts({}) == []


def test_a_guide_that_hardly_counts_is_said():
    def found(*shares):
        return {
            "weighed": ["T1", "PD"],
            "levels": [{"sigma": None, "amount": 0.5, "weights": {}, "shares": {"T1": s, "PD": 0.4}} for s in shares],
        }

    (line,) = finding_lines(found(0.004, 0.01))
    assert line.startswith("The guide T1 carries almost no weight, 1.0% at most")
    assert finding_lines(found(0.004, 0.2)) == []


def test_maps_of_weights_are_turned_as_the_planes_are(place):
    """FLAIR is moved to the patient's right by 20 voxels, so that it is not known at the left, right on the page."""
    matrix = AFFINE.copy()
    matrix[0, 3] += 20
    save(place / "Doe_FLAIR.nii.gz", contrast(tissues(0)[:, :, 10:18], 2), matrix)
    guides = {"T1": place / "Doe_T1.nii.gz", "FLAIR": place / "Doe_FLAIR.nii.gz"}
    result = restore(place / "Doe_T2.nii.gz", "grey-guided", guides=guides, scale=2)
    assert result.weights[0].level == "the anchor"
    assert len(result.weights) == 4
    for each in result.weights:
        t1, flair, amount = each.maps.values()
        assert list(each.maps) == ["T1", "FLAIR", "amount of all"]
        assert t1.shape == (40, 36)
        assert each.aspect == pytest.approx(40 / 36)
        assert np.allclose(t1 + flair, 1, atol=1e-3)
        assert (flair[:, -12:] == 0).all()
        assert (flair[:, :12] > 0).all()
        assert ((amount > 0) & (amount < 1)).all()
    assert restore(place / "Doe_T2.nii.gz", "grey-guided", scale=2).weights == ()


@pytest.mark.parametrize("fusion", ["mean", "concat"])
def test_guides_that_are_fused_without_weights_have_none(place, fusion):
    install(place / "priors", fusion=fusion)
    said = []
    run = restore_scan_with(place, said, {"T1": "Doe_T1.nii.gz", "FLAIR": "Doe_FLAIR.nii.gz"})
    for level in run["guide_findings"]["levels"]:
        assert (level["amount"], level["weights"], level["shares"]) == (1, {}, {})
    assert not [line for line in said if "almost no weight" in line]
    page = (place / "out" / "Doe_T2_restored_report.html").read_text()
    assert "amount 1.00, no weights" in page
    assert re.findall(r'<th scope="col">(.*?)</th>', page) == ["amount of all"]
