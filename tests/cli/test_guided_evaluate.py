"""`evaluate` with guides, by the command."""

import json
import shutil

import pytest
from tests.workflows.scans.guided import finer, install, save, values, write_subject
from tests.workflows.scans.test_bound_table import TERMS


@pytest.fixture
def truth(veriscale, tmp_path, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(install(tmp_path / "priors")))
    write_subject(tmp_path / "scans", "Doe")
    matrix, shape = finer(2)
    return save(tmp_path / "scans" / "Doe_T2.nii.gz", values(shape, 0), matrix)


def test_the_terms_of_the_bound_are_printed_and_written(truth, veriscale, tmp_path):
    guided = ("--prior", "grey-guided", "--device", "cpu", "--guide", f"t1={truth.parent}")
    code, out, err = veriscale("evaluate", truth, *guided, "--scale", 2, "--bound", "-o", tmp_path / "out")
    assert code == 0, err
    assert "prior grey, guided by T1" in out
    for told in (
        "the mean, 1 blocks",
        "noise level 0.25 σ_d, 1 blocks",
        "E[w]",
        "E[ℓ]",
        "Σ Cov(w, ℓ)",
        "ambiguity",
        "R(D) − R(f̄)",
    ):
        assert told in out
    kept = json.loads((tmp_path / "out" / "evaluation.json").read_text())["bound"]
    assert kept[0]["level"] is None
    assert set(kept[0]) == {"level", "blocks", "weight", "loss", *TERMS}


def test_the_bound_needs_guides_and_no_certificate(truth, refused):
    assert "--bound is on the risk of fused guides" in refused("evaluate", truth, "--prior", "grey-guided", "--bound")
    assert "--bound is of scores" in refused("evaluate", truth, "--certificate", "c.json", "--bound")


def test_scans_without_their_guide_are_counted(truth, veriscale, tmp_path):
    """Of two scans both, one or none has it."""
    write_subject(truth.parent, "Roe", seed=10)
    matrix, shape = finer(2)
    truths = tmp_path / "truths"
    for k, name in enumerate(("Doe", "Roe")):
        save(truths / f"{name}_T2.nii.gz", values(shape, 10 * k), matrix)
    for names, told in ((("Doe", "Roe"), "guided by T1\n"), (("Doe",), "T1 (1 of 2)\n"), ((), "T1 (0 of 2)\n")):
        guides = tmp_path / f"of_{len(names)}"
        guides.mkdir()
        for name in names:
            shutil.copy(truth.parent / f"{name}_T1.nii.gz", guides)
        asked = ("--prior", "grey-guided", "--device", "cpu", "--scale", 2, "--guide", f"t1={guides}", "--bound")
        code, out, err = veriscale("evaluate", truths, *asked)
        assert code == 0, err
        assert told in out
        assert ("There is no bound: no scan has all guides that are given." in err) == (not names)
