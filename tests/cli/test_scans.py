"""Scans by the command."""

import json

import nibabel
import numpy as np
import pytest

from veriscale.cli.main import run


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    affine = np.diag([-1.5, 1.5, 4, 1])
    for name in ("Doe_Jane", "Roe_Jack"):
        values = np.random.default_rng(len(name)).integers(0, 900, (12, 14, 5)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(values, affine), folder / f"{name}.nii.gz")
    return folder


@pytest.fixture
def restore(tiny_file):
    return lambda *words: run(["restore", *map(str, words), "--prior", str(tiny_file)])


def test_one_scan_beside_itself(scans, restore, capsys):
    assert restore(scans / "Doe_Jane.nii.gz", "--scale", 2) == 0
    out, told = capsys.readouterr()
    assert nibabel.load(scans / "Doe_Jane_restored.nii.gz").shape == (24, 28, 5)
    assert "Doe_Jane_restored.nii.gz" in out
    assert "Doe" not in told  # what may be kept as a log


def test_a_folder_of_scans_and_a_named_file(scans, restore, tmp_path, capsys):
    asked = ("--spacing", "-,-,2", "--thickness", 4, "--report")
    assert restore(scans, *asked, "-o", tmp_path / "out") == 0
    assert nibabel.load(tmp_path / "out" / "Roe_Jack_restored.nii.gz").shape == (12, 14, 10)
    assert (tmp_path / "out" / "Roe_Jack_restored_report.html").is_file()
    assert restore(scans / "Doe_Jane.nii.gz", "--scale", 2, "-o", tmp_path / "one.nii") == 0
    assert (tmp_path / "one.nii").is_file()
    assert "Doe" not in capsys.readouterr().err


def test_a_bad_one_of_several_is_said_without_its_name(scans, restore, tmp_path, capsys):
    (scans / "Poe_Jim.nii.gz").write_bytes(b"\x1f\x8b not a scan")
    assert restore(scans, "--scale", 2, "-o", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert "the scan (2 of 3)" in told
    assert "Poe" not in told
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 2


def test_a_dry_run_says_memory_and_time_and_writes_nothing(scans, restore, capsys):
    assert restore(scans / "Doe_Jane.nii.gz", "--spacing", "1,1,1", "--thickness", 4, "--dry-run") == 0
    assert "MB" in capsys.readouterr().err
    assert not list(scans.glob("*restored*"))


@pytest.mark.parametrize(
    "words, said",
    [
        (("--scale", 2, "--volume", 1), "volume"),
        (("--scale", 2, "--format", "png"), "--format is for photographs"),
        (("--scale", 2, "--crop", "0,0,4,4"), "--crop"),
        (("--spacing", "-,-,1"), "--thickness"),
        (("--scale", 2, "--dicom-out", "derived"), "no DICOM series"),
    ],
)
def test_what_cannot_be_asked_of_a_scan(scans, restore, capsys, words, said):
    assert restore(scans / "Doe_Jane.nii.gz", *words) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Doe" not in told
    assert not list(scans.glob("*restored*"))


@pytest.fixture
def evaluate(tiny_file, scans, monkeypatch):
    for seed, file in enumerate(scans.iterdir()):  # large enough to be measured
        values = np.random.default_rng(seed).integers(0, 900, (20, 18, 16)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.5, 1.5, 4, 1])), file)
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))
    return lambda *words: run(["evaluate", str(scans), *map(str, words)])


@pytest.mark.parametrize("words", [("--scale", 2), ("--operator", "slice:fwhm=8,step=8"), ("--scale", 2, "--json")])
def test_scans_are_evaluated_without_their_names(evaluate, tmp_path, capsys, words):
    assert evaluate(*words, "--prior", "tiny", "--dial", "0,1", "-o", tmp_path / "out") == 0
    out, told = capsys.readouterr()
    written = (tmp_path / "out" / "evaluation.json").read_text()
    for text in (out, told, written):
        assert "Doe" not in text
        assert "Roe" not in text
    found = json.loads(written)
    assert [(s["scan"], s["dial"]) for s in found["scans"]] == [(k, f) for k in (1, 2) for f in ("cubic", 0, 1)]
    if "--json" in words:
        assert json.loads(out) == found["summary"]
        return
    head, titles, *rows = out.splitlines()
    assert head.startswith("2 scans, ")
    assert titles.split() == ["dial", "PSNR", "SSIM", "PSNR", "all", "SSIM", "all"]
    assert [row.split()[0] for row in rows] == ["cubic", "0", "1"]
    assert float(rows[0].split()[1]) == pytest.approx(found["summary"][0]["psnr"], abs=0.006)


def test_a_bad_one_of_several_is_left_out_of_the_scores(evaluate, scans, capsys):
    (scans / "Poe_Jim.nii.gz").write_bytes(b"\x1f\x8b not a scan")
    assert evaluate("--scale", 2, "--prior", "tiny") == 2
    out, told = capsys.readouterr()
    assert out.startswith("2 scans, ")
    assert told.splitlines()[-2].startswith("veriscale: the scan (2 of 3): ")
    assert told.splitlines()[-1] == "veriscale: 1 of 3 inputs failed."
    assert "Poe" not in told


@pytest.mark.parametrize(
    "words, said",
    [
        (("--certificate", "photo_x4_dial-0_area"), "--certificate is for photographs yet"),
        (("--certificate", "photo_x4_dial-0_area", "--volume", 0), "give one"),
        (("--alpha", "0.1"), "belong to a --certificate"),
        (("--command", "tool {in} {out}"), "belong to a --certificate"),
        (("--spacing", "1,1,1"), "Unknown option"),
        (("--scale", 2, "--volume", 1), "--volume 1 is not in"),
        (("--operator", "fourier:accel=4"), "no scan"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_of_an_evaluation(evaluate, scans, tmp_path, capsys, words, said):
    (scans / "Roe_Jack.nii.gz").unlink()
    assert evaluate(*words, "-o", tmp_path / "out") == 2
    out, told = capsys.readouterr()
    assert said in told
    assert "Doe" not in told
    assert out == ""
    assert not (tmp_path / "out").exists()
