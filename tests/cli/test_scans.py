"""Scans by the command."""

import json
import re
import sys

import nibabel
import numpy as np
import pytest
from tests.conftest import write_tiny
from tests.imaging.dicom.synthetic import slices, write

from veriscale.cli.main import run
from veriscale.imaging.dicom.series import read_series


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    affine = np.diag([-1.5, 1.5, 4, 1])
    for seed, name in enumerate(("Doe_Jane", "Roe_Jack")):
        values = np.random.default_rng(seed).integers(0, 900, (12, 14, 5)).astype(np.int16)
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


def test_scans_and_photographs_have_priors_of_their_own(scans, restore, tmp_path, monkeypatch, skimage_data, capsys):
    (tmp_path / "priors").mkdir()
    for name, channels in (("photo", 3), ("mri", 1)):
        write_tiny(tmp_path / "priors" / f"{name}.safetensors", channels=channels)
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path / "priors"))
    coffee = skimage_data / "coffee.png"
    crop = ("--crop", "0,0,16,16")
    for given, prior in (((scans,), "mri"), ((coffee, *crop), "photo")):
        assert run(["restore", *map(str, given), "--scale", "2", "-o", str(tmp_path / "out"), "--dry-run"]) == 0
        assert f"prior {prior} used" in capsys.readouterr().err
    mixed = ["restore", str(scans), str(coffee), "--scale", "2", "-o", str(tmp_path / "mixed")]
    assert run(mixed) == 2
    told = capsys.readouterr().err
    assert "photographs and scans, which have priors of their own, photo and mri; restore them in turn, or" in told
    assert not (tmp_path / "mixed").exists()
    assert restore(scans, coffee, "--scale", 2, "-o", tmp_path / "mixed") == 0


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


@pytest.mark.parametrize(
    "asked",
    [
        ("--scale", 2, "--samples", 2),
        ("--operator", "blur:kernel=gaussian,std=1"),
        ("--spacing", "-,-,1", "--thickness", 4),
        ("--spacing", "1,1,1", "--thickness", 4),
    ],
    ids=str,
)
def test_a_dry_run_says_memory_and_time_and_writes_nothing(scans, restore, capsys, asked):
    assert restore(scans / "Doe_Jane.nii.gz", *asked, "--dry-run", "--json") == 0
    out, told = capsys.readouterr()
    steps = 2 if asked[1] == "1,1,1" else 1
    assert len(re.findall(r"about \d+ MB of .* about [\d.]+ (?:seconds|minutes) on this machine\.", told)) == steps
    (said,) = json.loads(out)
    assert said["dry_run"]
    assert said["seconds"] > 0
    assert said["memory_mb"] >= 0
    assert not list(scans.glob("*restored*"))
    assert not list(scans.glob(".*"))


def test_what_is_asked_of_the_second_step_is_refused_before_the_first(scans, restore, capsys):
    asked = ("--spacing", "1,1,1", "--thickness", 4, "--posterior", "dps")
    assert restore(scans / "Doe_Jane.nii.gz", *asked) == 2
    assert "leave out --anchor and --posterior" in capsys.readouterr().err
    assert len(list(scans.iterdir())) == 2


@pytest.mark.parametrize("name", ["{}", "sub-{}_T1w"])
@pytest.mark.parametrize("beside", [True, False])
def test_results_that_are_there_are_skipped(scans, restore, tmp_path, capsys, name, beside):
    for number, path in enumerate(sorted(scans.iterdir())):
        path.rename(scans / f"{name.format(path.name.split('_')[0] + str(number))}.nii.gz")
    asked = (scans, "--scale", 2, "--skip-existing", *(() if beside else ("-o", tmp_path / "out")))
    assert restore(*asked) == 0
    place = scans if beside else tmp_path / "out"
    made = {p: p.read_bytes() for p in place.iterdir()}
    images = [p for p in made if "restored" in p.name and p.name.endswith(".nii.gz")]
    assert len(images) == 2
    capsys.readouterr()
    assert restore(*asked) == 0
    out, told = capsys.readouterr()
    assert out == ""
    assert told.count("done already, skipped.") == 2
    assert "Doe" not in told
    images[0].unlink()  # half of a set is made again
    assert restore(*asked) == 0
    assert {p: p.read_bytes() for p in place.iterdir() if not p.name.endswith(".run.json")} == {
        p: held for p, held in made.items() if not p.name.endswith(".run.json")
    }
    capsys.readouterr()
    assert restore(*asked, "--seed", 1) == 2
    told = capsys.readouterr().err
    assert "was made with another --seed; add --force" in told
    assert "Doe" not in told
    assert restore(*asked, "--seed", 1, "--force") == 0


def test_what_is_not_ours_is_not_skipped_and_an_other_scan_neither(scans, restore, capsys):
    scan, result = scans / "Doe_Jane.nii.gz", scans / "Doe_Jane_restored.nii.gz"
    result.write_text("mine")
    assert restore(scan, "--scale", 2, "--skip-existing") == 2
    told = capsys.readouterr().err
    assert "the result ….nii.gz exists already" in told
    assert "Doe" not in told
    assert result.read_text() == "mine"
    assert restore(scan, "--scale", 2, "--force") == 0
    scan.write_bytes((scans / "Roe_Jack.nii.gz").read_bytes())
    assert restore(scan, "--scale", 2, "--skip-existing") == 2
    assert "was made of another picture than the scan is" in capsys.readouterr().err


def test_a_result_that_is_there_is_named_without_the_scans_name(scans, restore, capsys):
    assert restore(scans / "Doe_Jane.nii.gz", "--scale", 2) == 0
    capsys.readouterr()
    assert restore(scans / "Doe_Jane.nii.gz", "--scale", 2) == 2
    told = capsys.readouterr().err
    assert "the result ….nii.gz exists already" in told
    assert "Doe" not in told


def test_a_run_is_repeated_on_a_scan_that_is_given_again(scans, restore, tmp_path, capsys):
    four = tmp_path / "Moe.nii.gz"
    values = np.random.default_rng(0).integers(0, 900, (12, 14, 5, 2)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.5, 1.5, 4, 1])), four)
    assert restore(four, "--scale", 2, "--dial", 1, "--seed", 3, "--volume", 1, "-o", tmp_path / "a") == 0
    run = tmp_path / "a" / "Moe_vol-1_restored.run.json"
    capsys.readouterr()
    assert restore("--from", run, "-o", tmp_path / "b") == 2
    assert "is of a scan, whose name it does not tell; give the scan again" in capsys.readouterr().err
    assert restore(four, "--from", run, "-o", tmp_path / "b") == 0
    assert "repeated run" not in capsys.readouterr().err
    name = "Moe_vol-1_restored.nii.gz"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert restore(four, "--from", run, "-o", tmp_path / "a", "--skip-existing") == 0
    assert "done already" in capsys.readouterr().err
    assert restore(four, "--from", run, "-o", tmp_path / "a", "--skip-existing", "--volume", 0) == 0
    assert (tmp_path / "a" / "Moe_vol-0_restored.nii.gz").is_file()
    one = ("-o", tmp_path / "a" / name, "--skip-existing")
    assert restore(four, "--from", run, *one, "--volume", 0) == 2
    assert "was made with another --volume" in capsys.readouterr().err


def test_settings_of_a_run_go_for_another_scan_too(scans, restore, tmp_path, capsys):
    assert restore(scans / "Doe_Jane.nii.gz", "--scale", 2, "-o", tmp_path / "a") == 0
    capsys.readouterr()
    run = tmp_path / "a" / "Doe_Jane_restored.run.json"
    assert restore(scans / "Roe_Jack.nii.gz", "--from", run, "-o", tmp_path / "b") == 0
    told = capsys.readouterr().err
    assert "not the input of the repeated run: only its settings are." in told
    assert "Doe" not in told
    assert nibabel.load(tmp_path / "b" / "Roe_Jack_restored.nii.gz").shape == (24, 28, 5)


def test_what_was_cut_off_while_it_was_written_is_written_again(scans, restore, monkeypatch, tmp_path):
    asked = (scans / "Doe_Jane.nii.gz", "--scale", 2, "--dial", "0,1", "-o", tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("veriscale.workflows.scans.scan_restoration.write_json", interrupt)
        assert restore(*asked) == 130
    assert len(list(tmp_path.glob("*.nii.gz"))) == 2
    assert restore(*asked) == 0
    assert restore(*asked) == 2  # by now they are results


def interrupt(*given):
    raise KeyboardInterrupt


@pytest.fixture
def series(tmp_path):
    folder = tmp_path / "Doe"
    write(folder, slices(4, (16, 18)))
    return folder


@pytest.mark.parametrize("dial, last", [("0", "dial-0.00"), ("0,1", "dial-1.00")])
def test_a_spread_is_a_parametric_map_of_the_derived_series(series, restore, tmp_path, dial, last):
    hd = pytest.importorskip("highdicom")
    folder = tmp_path / "derived"
    asked = ("--scale", 2, "--dial", dial, "--samples", 2, "-o", tmp_path / "out")
    assert restore(series, *asked, "--dicom-out", folder) == 0
    assert sorted(p.name for p in folder.iterdir()) == sorted({"dial-0.00", last, "std"})
    found, derived = hd.imread(folder / "std" / "0001.dcm"), read_series(folder / last)
    referred = found.ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == derived.datasets[0].SeriesInstanceUID
    numbers = {int(read_series(p).datasets[0].SeriesNumber) for p in folder.glob("dial-*")}
    assert int(found.SeriesNumber) not in numbers
    (std,) = (tmp_path / "out").glob("*_std.nii.gz")
    kept = nibabel.load(std).get_fdata()
    there = found.get_volume().array
    assert there.sum() == pytest.approx(kept.sum(), rel=1e-5)
    np.testing.assert_allclose(np.sort(there.ravel()), np.sort(kept.ravel()), rtol=1e-4, atol=1e-4)
    assert restore(series, *asked, "--dicom-out", folder, "--skip-existing") == 0


def test_without_highdicom_a_spread_is_refused_before_the_work(series, restore, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    asked = (series, "--scale", 2, "--dicom-out", tmp_path / "derived", "-o", tmp_path / "out")
    assert restore(*asked, "--samples", 2) == 2
    assert "pip install 'veriscale[dicom]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert restore(*asked) == 0
    assert len(list((tmp_path / "derived").glob("*.dcm"))) == 4


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
    assert told.splitlines()[-2].startswith("veriscale: the scan (2 of 3) cannot be read")
    assert told.splitlines()[-1] == "veriscale: 1 of 3 inputs failed."
    assert "Poe" not in told


@pytest.mark.parametrize(
    "words, said",
    [
        (("--certificate", "photo_x4_dial-0_area"), "The certificate is for photographs, and this is a scan"),
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
