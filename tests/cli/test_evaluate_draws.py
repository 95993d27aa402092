"""`evaluate --samples`: how far the spread can be believed, of photographs and of scans."""

import json
import re
import sys

import nibabel
import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import TINY

AFFINE = np.diag([-1.5, 1.5, 4, 1])
QUICK = (*TINY, "--scale", 2, "--sampler", "heun", "--steps", 2)
COLUMNS = ["spread_skill", "crps", *(f"{k}_{n}" for k in ("coverage", "width") for n in (50, 80, 90))]
COLUMNS += ["ause", "spearman", "rank_distance"]


@pytest.fixture
def scans(tmp_path):
    """Two bodies in air."""
    folder = tmp_path / "scans"
    folder.mkdir()
    at = np.stack(np.meshgrid(*map(np.arange, (24, 22, 8)), indexing="ij"), -1) - (11.5, 10.5, 3.5)
    for seed, name in enumerate(("Doe", "Roe")):
        values = np.random.default_rng(seed).integers(300, 900, at.shape[:3])
        values[np.linalg.norm(at / (9, 8, 3.4), axis=-1) > 1] = 0
        nibabel.save(nibabel.Nifti1Image(values.astype(np.int16), AFFINE), folder / f"{name}.nii.gz")
    return folder


@pytest.mark.parametrize("kind, one", [("pictures", "picture"), ("scans", "scan")])
def test_draws_are_scored_one_by_one_and_pooled(veriscale, few, scans, tmp_path, kind, one):
    folder = few if kind == "pictures" else scans
    options = ("evaluate", folder, *QUICK, "--quiet", "--samples", 3)
    code, out, err = veriscale(*options, "-o", tmp_path / "out")
    assert code == 0, err
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"evaluation.json", "draws.png"}
    with Image.open(tmp_path / "out" / "draws.png") as image:
        assert image.format == "PNG"
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    draws = document["draws"]
    assert (document["settings"]["samples"], draws["samples"], draws["intervals"]) == (3, 3, "t")
    assert len(draws["ranks"]) == 4
    assert sum(draws["ranks"]) == draws["places"]
    assert [row[one] for row in draws[kind]] == ([1, 2] if kind == "scans" else ["00.png", "01.png", "02.png"])

    before, after = out.split("\n\n")
    lines = after.splitlines()
    where = "voxels in the foreground of the measurements" if kind == "scans" else "pixels and channels"
    assert lines[0] == f"3 draws at dial 1, t-intervals, {draws['places']} {where}"
    assert lines[1].split()[:3] == [one, "spread–skill", "CRPS"]
    for line, row in zip(lines[2:], [*draws[kind], draws["pooled"]], strict=True):
        printed = [float(word) for word in line.split()[1:]]
        assert printed == pytest.approx([row[k] for k in COLUMNS], abs=6e-4)
    assert lines[-1].split()[0] == "pooled"
    assert not re.search("Doe|Roe", out + err + json.dumps(document))

    code, out, _ = veriscale(*options, "--json")
    assert (code, json.loads(out)) == (0, {"summary": document["summary"], "draws": draws})
    code, out, _ = veriscale("evaluate", folder, *QUICK, "--quiet")
    assert (code, out) == (0, before + "\n")
    assert isinstance(json.loads(veriscale("evaluate", folder, *QUICK, "--quiet", "--json")[1]), list)


def test_nineteen_draws_have_quantiles(veriscale, few):
    code, out, err = veriscale("evaluate", few / "00.png", *QUICK, "--quiet", "--samples", 19)
    assert code == 0, err
    assert "19 draws at dial 1, quantile-intervals, " in out


def test_thick_slices_have_draws_too(veriscale, scans):
    options = ("--operator", "slice:fwhm=4,step=8", "--steps", 2, "--samples", 2, "--json", "--quiet")
    code, out, err = veriscale("evaluate", scans / "Doe.nii.gz", *TINY, *options)
    assert code == 0, err
    assert 0 < json.loads(out)["draws"]["places"] < 24 * 22 * 8


def test_what_is_refused(refused, few, scans, place, tmp_path, monkeypatch):
    assert "one draw has no spread; ask for at least 2" in refused("evaluate", few, *QUICK, "--samples", 1)
    assert "one draw has no spread" in refused("evaluate", scans, *QUICK, "--samples", 1)
    assert "samples -1" in refused("evaluate", few, *QUICK, "--samples", -1)
    held = ("--certificate", place / "area.json", "--device", "cpu", "--samples", 2)
    assert "--samples is fixed by the certificate" in refused("evaluate", few, *held)
    out = ("-o", tmp_path / "out")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "pip install" in refused("evaluate", few, *QUICK, "--samples", 2, *out)
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "draws.png").write_text("mine")
    assert "--force" in refused("evaluate", few, *QUICK, "--samples", 2, *out)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["draws.png"]


def test_a_foreground_that_is_empty(refused, tmp_path):
    """All that is bright lies in a row, the last from left to right, that no voxel of the measurement covers whole."""
    values = np.random.default_rng(0).integers(0, 40, (25, 22, 4))
    values[0] = 30_000
    nibabel.save(nibabel.Nifti1Image(values.astype(np.int16), AFFINE), tmp_path / "Doe.nii.gz")
    sentence = refused("evaluate", tmp_path / "Doe.nii.gz", *QUICK, "--samples", 2, "--quiet")
    assert "the scan: the foreground is empty: no voxel lies above 0.05 on the way" in sentence
