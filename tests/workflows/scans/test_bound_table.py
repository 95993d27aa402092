"""`evaluate --bound`: the terms over a scan's slices are those of all its places, and they add up."""

from pathlib import Path

import numpy as np
import pytest
from tests.workflows.scans.guided import finer, install, save, values, write_subject

import veriscale as library
from veriscale.errors import InputError
from veriscale.metrics.foreground import foreground
from veriscale.workflows.degrading.scan_measurement import measure_scan
from veriscale.workflows.scans import bound_table

TERMS = ("covariance", "fused", "ambiguity", "mean_risk", "gap")


@pytest.fixture
def truth(tmp_path, tiny_file, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(install(tmp_path / "priors")))
    write_subject(tmp_path / "scans", "Doe")
    matrix, shape = finer(2)
    return save(tmp_path / "scans" / "Doe_T2.nii.gz", values(shape, 0), matrix)


def two_scans(truth):
    """The truth and another, with guides of its own in the same folder."""
    write_subject(truth.parent, "Roe", seed=10)
    matrix, shape = finer(2)
    return truth, save(truth.parent / "Roe_T2.nii.gz", values(shape, 10), matrix)


def rows(truth, modalities=("T1", "FLAIR"), **asked):
    folder = (truth if isinstance(truth, Path) else truth[0]).parent
    guides = {name: "auto" if name == "edges" else folder for name in modalities}
    asked = {"scale": 2, "device": "cpu", **asked}
    return library.evaluate(truth, "grey-guided", guides=guides, bound=True, **asked).bound


def estimate(row, *keys):
    for key in keys:
        row = row[key]
    return row[0]


@pytest.mark.parametrize("asked", [{}, {"scale": None, "operator": "slice:fwhm=8,step=8,axis=2"}], ids=str)
def test_the_terms_add_up_at_every_noise_level(truth, asked):
    found = rows(truth, **asked)
    assert [row["level"] for row in found] == ([None] if not asked else []) + [4, 1, 0.25]
    for row in found:
        each = [(estimate(row, "weight", m), estimate(row, "loss", m)) for m in ("T1", "FLAIR")]
        assert sum(w for w, _ in each) == pytest.approx(1, abs=1e-12)
        fused = estimate(row, "fused")
        assert fused == pytest.approx(sum(w * loss for w, loss in each) + estimate(row, "covariance"), abs=1e-6)
        assert estimate(row, "mean_risk") == pytest.approx(fused - estimate(row, "ambiguity"), abs=1e-6)
        assert all(loss > 0 for _, loss in each)


def test_one_guide_has_no_covariance_and_no_ambiguity(truth):
    for row in rows(truth, ["T1"]):
        assert estimate(row, "weight", "T1") == pytest.approx(1)
        for term in ("covariance", "ambiguity"):
            assert estimate(row, term) == pytest.approx(0, abs=1e-9)


def test_each_loss_is_that_of_its_own_guide(truth):
    """What one alone predicts of the mean does not depend on the others."""
    both, one, other = (rows(truth, names)[0]["loss"] for names in (["T1", "edges"], ["T1"], ["edges"]))
    assert both["T1"][0] == pytest.approx(one["T1"][0])
    assert both["edges"][0] == pytest.approx(other["edges"][0])
    assert both["T1"][0] != pytest.approx(both["edges"][0])


def test_blocks_are_of_neighbouring_slices_and_change_no_estimate(truth, monkeypatch):
    whole = rows(truth)
    monkeypatch.setattr(bound_table, "BLOCK", 2)
    parts = rows(truth)
    assert [row["blocks"] for row in whole] == [1] * 4
    assert [row["blocks"] for row in parts] == [3] * 4  # of five slices
    for a, b in zip(whole, parts, strict=True):
        for term in TERMS:
            assert a[term][0] == pytest.approx(b[term][0])
        assert a["gap"][1:] == [None, None]
        assert b["gap"][1] <= b["gap"][0] <= b["gap"][2]


def test_the_gap_is_that_of_the_estimator(truth):
    """At the mean: the squared error of the very restoration, in the levels of the measurement, over those places."""
    row = rows(truth)[0]
    risk = estimate(row, "mean_risk") + estimate(row, "gap")
    volume = library.read_volume(truth)
    y = measure_scan(volume, "downsample:factor=2").volume.relevelled()
    guides = {m: truth.parent / f"Doe_{m}.nii.gz" for m in ("T1", "FLAIR")}
    result = library.restore(y, "grey-guided", guides=guides, scale=2, device="cpu")
    x = y.levels.applied(volume.values())
    known = np.zeros(x.shape, bool)
    known[:-8] = True  # the FLAIR ends 8 mm before
    inside = known & foreground(x)
    assert risk == pytest.approx(float(np.square(result.image.samples - x)[inside].mean()), rel=1e-4)


def test_without_guides_there_is_no_bound(truth):
    with pytest.raises(InputError, match="bound is on the risk of fused guides, and none is given"):
        library.evaluate(truth, "grey-guided", bound=True, device="cpu")


@pytest.mark.parametrize("left", ["T1", "FLAIR"])
def test_a_scan_that_lacks_a_guide_is_scored_and_left_out_of_the_bound(truth, left):
    pair, said = two_scans(truth), []
    alone = rows(truth)
    (truth.parent / f"Roe_{'FLAIR' if left == 'T1' else 'T1'}.nii.gz").unlink()
    guides = dict.fromkeys(("T1", "FLAIR"), truth.parent)
    asked = {"guides": guides, "bound": True, "scale": 2, "device": "cpu", "say": said.append}
    found = library.evaluate(pair, "grey-guided", **asked)
    assert (found.pictures, found.failed) == (2, [])
    assert found.bound == alone
    assert "the scan (2 of 2): It is left out of the bound, which is of scans with all guides that are given." in said


def test_every_level_is_one_table_of_all_scans_with_noise_too(truth):
    """Though σ is that of each scan: the noise is in units of its own levels."""
    found = rows(truth, noise="0.03"), rows(two_scans(truth), noise="0.03")
    assert [(row["level"], row["blocks"]) for row in found[0]] == [(at, 1) for at in (None, 4, 1, 0.25)]
    assert [(row["level"], row["blocks"]) for row in found[1]] == [(at, 2) for at in (None, 4, 1, 0.25)]
    assert all(row["gap"][1] is not None for row in found[1])


def test_scores_are_kept_where_there_is_no_bound(truth):
    """Guides whose fields of view have no part in common."""
    said, (matrix, shape) = [], finer(2)
    for name, end in (("T1", 13), ("FLAIR", -13)):
        moved = matrix.copy()
        moved[0, 3] += end
        save(truth.parent / f"Doe_{name}.nii.gz", values(shape, abs(end) + (end < 0)), moved)
    guides = dict.fromkeys(("T1", "FLAIR"), truth.parent)
    asked = {"guides": guides, "bound": True, "scale": 2, "device": "cpu", "say": said.append}
    found = library.evaluate(truth, "grey-guided", **asked)
    assert found.bound is None
    assert len(found.scores) == 2
    assert any("There is no bound" in line and "a part in common" in line for line in said)


@pytest.mark.parametrize("left", ["T1", "FLAIR"])
def test_slices_that_a_guide_lacks_do_not_count(truth, left):
    """Where it is known nowhere in a slice, that slice is left out, as are places of one that it is known in."""
    whole = rows(truth)
    path = truth.parent / f"Doe_{left}.nii.gz"
    scan = library.read_volume(path)
    save(path, scan.values()[..., :3], scan.affine)
    some = rows(truth)
    assert all(np.isfinite(row[term][0]) for row in some for term in TERMS)
    assert some[0]["loss"][left] != whole[0]["loss"][left]
    truth_of_some = save(truth, library.read_volume(truth).values()[..., :3], library.read_volume(truth).affine)
    alone = rows(truth_of_some)
    assert some[0]["weight"]["T1"][0] == pytest.approx(alone[0]["weight"]["T1"][0], abs=0.02)


def test_guides_that_are_known_in_other_slices_have_no_bound(truth):
    said, (matrix, shape) = [], finer(2)
    save(truth.parent / "Doe_T1.nii.gz", values(shape, 1)[..., :2], matrix)
    moved = matrix.copy()
    moved[2, 3] += 12
    save(truth.parent / "Doe_FLAIR.nii.gz", values(shape, 2)[..., :2], moved)
    guides = dict.fromkeys(("T1", "FLAIR"), truth.parent)
    asked = {"guides": guides, "bound": True, "scale": 2, "device": "cpu", "say": said.append}
    assert library.evaluate(truth, "grey-guided", **asked).bound is None
    assert any("There is no bound" in line for line in said)
