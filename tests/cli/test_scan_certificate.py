"""Certificates of scans by the command: calibrated, used, evaluated, refused."""

import importlib.util
import json
import re

import msgspec
import nibabel
import numpy as np
import pytest
from tests.conftest import write_tiny
from tests.imaging.dicom.synthetic import slices, write
from tests.imaging.dicom.test_objects import placed
from tests.workflows.certifying.scans import write_patients, write_scan
from tests.workflows.photographs import write_crops

import veriscale as library
from veriscale.cli.main import run
from veriscale.diffusion.card import Data
from veriscale.diffusion.checkpoint import save_prior
from veriscale.diffusion.prior import Networks
from veriscale.imaging.dicom.series import read_series

ASKED = ("--prior", "grey", "--device", "cpu", "--scale", 2)


@pytest.fixture(scope="session")
def scans(tmp_path_factory):
    """A dozen patients, their certificate by a tiny prior of grey pictures, and a measurement of another patient."""
    place = tmp_path_factory.mktemp("scans")
    (place / "priors").mkdir()
    write_tiny(place / "priors" / "grey.safetensors", 1)
    write_patients(place / "patients", 12)
    asked = ("--prior", place / "priors" / "grey.safetensors", "--scale", 2, "--quiet", "-o", place / "cert.json")
    assert run([str(a) for a in ("calibrate", place / "patients", *asked)]) == 0
    truth = write_scan(place / "Roe_Jack.nii.gz", 500)
    told = ("--operator", "downsample:factor=2", "-o", place / "low.nii.gz")
    assert run([str(a) for a in ("degrade", truth, *told)]) == 0
    return place


@pytest.fixture(autouse=True)
def priors(scans, veriscale, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(scans / "priors"))


@pytest.fixture
def low(scans, tmp_path):
    for name in ("low.nii.gz", "low.nii.measurement.json", "low.measurement.json"):
        if (scans / name).is_file():
            (tmp_path / name).write_bytes((scans / name).read_bytes())
    return tmp_path / "low.nii.gz"


def test_calibrate_restore_and_mask(scans, veriscale, low, tmp_path):
    out = tmp_path / "out"
    asked = ("--certificate", scans / "cert.json", "--alpha", 0.3, "--report", "-o", out)
    code, listed, told = veriscale("restore", low, *asked)
    assert code == 0, told
    assert "of the foreground's voxels are trusted (alpha 0.3; drift check p = " in told
    names = {p.name for p in out.iterdir()}
    ends = (".nii.gz", "_trusted.nii.gz", "_report.html", ".run.json")
    assert names == {f"low_restored{end}" for end in ends}
    assert "low_restored_trusted.nii.gz" in listed
    made = json.loads((out / "low_restored.run.json").read_text())
    mask = np.asarray(nibabel.load(out / "low_restored_trusted.nii.gz").dataobj)
    assert set(np.unique(mask)) == {0, 1}
    told = made["certificate"]
    assert told["threshold"] is not None
    assert (told["tau"], told["alpha"]) == (0.1, "0.3")
    assert 80 < told["tau_in_units_of_the_scan"] < 120
    assert mask.mean() < told["trusted_share"] < 1
    page = (out / "low_restored_report.html").read_text()
    assert "at most 30 % of a patient&#39;s foreground is both trusted" in page
    assert 'id="samples-trusted"' in page
    assert "Trusted, dial 0" in page


def test_it_is_shown(scans, veriscale, tmp_path):
    code, out, told = veriscale("priors", scans / "cert.json")
    assert (code, told) == (0, "")
    assert "With n = 12 patients and B = 1 the smallest alpha is 0.077; alpha 0.05 needs n = 19." in out
    declared = ("--mode", "pac-uniform", "--delta", 0.3, "--alphas", "0.6,0.7", "--quiet", "-o", tmp_path / "c.json")
    assert veriscale("calibrate", scans / "patients", *ASKED, *declared)[0] == 0
    code, out, told = veriscale("priors", tmp_path / "c.json")
    assert (code, told) == (0, "")
    assert [line.partition(" about ")[0] for line in out.splitlines()[-2:]] == ["  at alpha 0.6", "  at alpha 0.7"]
    assert out.count("of the foreground's voxels are trusted") == 2


def test_that_nothing_can_be_trusted_is_said_to_the_quiet_too(scans, veriscale, low, tmp_path):
    asked = ("--certificate", scans / "cert.json", "--quiet", "-o", tmp_path / "out")
    code, _, told = veriscale("restore", low, *asked)
    assert code == 0
    assert told == (
        "veriscale: With n = 12 patients and B = 1 the smallest alpha is 0.077; alpha 0.05 needs n = 19. "
        "Give an alpha of 0.077 or more.\n"
    )
    assert veriscale("restore", low, *asked, "--alpha", 0.3, "--force")[2] == ""


def test_a_run_is_skipped_repeated_and_told_from_one_without(scans, veriscale, low, tmp_path):
    asked = ("--certificate", scans / "cert.json", "--alpha", 0.3)
    assert veriscale("restore", low, *asked, "-o", tmp_path / "a")[0] == 0
    assert "done already" in veriscale("restore", low, *asked, "-o", tmp_path / "a", "--skip-existing")[2]
    run_json = tmp_path / "a" / "low_restored.run.json"
    assert veriscale("restore", low, "--from", run_json, "-o", tmp_path / "b")[0] == 0
    for name in ("low_restored.nii.gz", "low_restored_trusted.nii.gz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert veriscale("restore", low, *ASKED, "-o", tmp_path / "a", "--skip-existing")[0] == 2


def test_a_run_of_python_is_repeated_with_its_certificate(scans, veriscale, low, tmp_path, monkeypatch):
    monkeypatch.chdir(scans)
    library.restore(low, certificate="cert.json", alpha=0.3, device="cpu").save(tmp_path / "a", "low_restored")
    monkeypatch.chdir(tmp_path)
    code, _, told = veriscale("restore", low, "--from", "a/low_restored.run.json", "-o", tmp_path / "b")
    assert code == 0, told
    for name in ("low_restored.nii.gz", "low_restored_trusted.nii.gz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_masks_of_bids_scans_have_names_of_their_own(scans, veriscale, tmp_path):
    folder = tmp_path / "data" / "sub-Doe" / "anat"
    for seed, name in enumerate(("T1w", "T2w")):
        write_scan(folder / f"sub-Doe_{name}.nii.gz", 600 + seed, (20, 18, 2))
    asked = ("--certificate", scans / "cert.json", "--alpha", 0.3, "-o", tmp_path / "out")
    code, _, told = veriscale("restore", tmp_path / "data", *asked)
    assert code == 0, told
    there = tmp_path / "out" / "sub-Doe" / "anat"
    masks = sorted(p.name for p in there.glob("*_mask.nii.gz"))
    assert masks == [f"sub-Doe_res-0p5x0p5x5mm_desc-{name}trusted_mask.nii.gz" for name in ("T1w", "T2w")]
    beside = json.loads((there / masks[0].replace(".nii.gz", ".json")).read_text())
    assert "Which voxels are trusted at alpha 0.3" in beside["Description"]
    assert "Doe" not in next(there.glob("*T1w.run.json")).read_text()
    if importlib.util.find_spec("bids_validator_deno") is not None:
        from tests.workflows.scans.test_derivatives import errors_of

        assert errors_of(tmp_path / "out") == set()


def test_a_mask_is_a_segmentation_of_the_derived_series(scans, veriscale, tmp_path):
    hd = pytest.importorskip("highdicom")
    write(tmp_path / "Doe", slices(4, (16, 18)))
    asked = ("--certificate", scans / "cert.json", "--alpha", 0.5, "-o", tmp_path / "out")
    code, _, told = veriscale("restore", tmp_path / "Doe", *asked, "--dicom-out", tmp_path / "derived")
    assert code == 0, told
    assert sorted(p.name for p in (tmp_path / "derived").iterdir()) == ["dial-0.00", "trusted"]
    found = hd.seg.segread(tmp_path / "derived" / "trusted" / "0001.dcm")
    derived = read_series(tmp_path / "derived" / "dial-0.00")
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == derived.datasets[0].SeriesInstanceUID
    (file,) = (tmp_path / "out").glob("*_trusted.nii.gz")
    mask = np.asarray(nibabel.load(file).dataobj)
    assert 0 < mask.mean() < 1
    np.testing.assert_array_equal(placed(found.get_volume(combine_segments=True), derived), mask)


def test_other_patients_are_evaluated(scans, veriscale, tmp_path):
    others = write_patients(tmp_path / "others", 3, first=100)
    asked = ("--certificate", scans / "cert.json", "--alpha", "0.1,0.5", "-o", tmp_path / "out")
    code, out, told = veriscale("evaluate", others, *asked)
    assert code == 0, told
    assert out.startswith("3 patients, loss area; each level is a promise by itself")
    assert "smallest alpha" not in out
    code, few, _ = veriscale("evaluate", others, "--certificate", scans / "cert.json", "--alpha", "0.01,0.5")
    assert code == 0  # nothing is trusted at the former, and why is said
    assert re.search(r"patients and B = 1 the smallest alpha is 0\.\d+; alpha 0\.01 needs n = 99", few)
    written = (tmp_path / "out" / "evaluation.json").read_text()
    assert "Doe" not in out + told + written
    assert [r["alpha"] for r in json.loads(written)["levels"]] == ["0.1", "0.5"]


def test_calibrate_says_what_it_does_and_how_many_patients_it_takes(scans, veriscale, tmp_path):
    few = write_patients(tmp_path / "few", 3)
    code, out, told = veriscale("calibrate", few, *ASKED, "-o", tmp_path / "c.json")
    assert (code, out) == (0, f"{tmp_path / 'c.json'}\n")
    assert "Patients: 3, with 4 scans in all, downsample:factor=2,kernel=bicubic in plane" in told
    assert "With n = 3 patients and B = 1 the smallest alpha is 0.25; alpha 0.05 needs n = 19." in told
    assert "Doe" not in told + (tmp_path / "c.json").read_text()


def test_what_a_licence_forbids_is_said(scans, veriscale, tmp_path):
    few, prior = write_patients(tmp_path / "few", 1), library.load_prior(scans / "priors" / "grey.safetensors", "cpu")
    card = msgspec.structs.replace(prior.card, training=[Data("scans", 1, "1" * 64, "CC BY-NC 4.0")])
    save_prior(Networks(prior.encoder, prior.denoiser, prior.predictor), card, tmp_path / "heart.safetensors")
    asked = ("--prior", tmp_path / "heart.safetensors", "--scale", 2, "-o", tmp_path / "c.json")
    code, _, told = veriscale("calibrate", few, *asked)
    assert code == 0, told
    assert told.count("prior grey is for non-commercial use alone: it comes from data under CC BY-NC 4.0.") == 1


def test_what_makes_a_certificate_doubtful_is_said_to_the_quiet_too(scans, veriscale, tmp_path):
    for k in range(4):
        write_scan(tmp_path / "groups" / "ab"[k // 2] / f"Doe{k % 2}" / "cine.nii.gz", 700 + k, (20, 18, 2))
    for group in ([], ["--group"]):
        asked = (*ASKED, *group, "--quiet", "--force", "-o", tmp_path / "c.json")
        code, _, told = veriscale("calibrate", tmp_path / "groups", *asked)
        assert code == 0, told
        assert "Of 2 patients 2 may be several: scans of one name lie in several folders" in told
        assert ("give each a sub-folder of its own" if group else "call them sub-01, sub-02") in told
        assert "With n = 2 patients and B = 1 the smallest alpha is 0.334; alpha 0.05 needs n = 19." in told
        assert "Doe" not in told


def test_one_that_cannot_be_read_is_left_out(scans, refused, veriscale, tmp_path):
    few = write_patients(tmp_path / "few", 3)
    (few / "Poe_Jim.nii.gz").write_bytes(b"\x1f\x8b no scan")
    sentence = refused("calibrate", few, *ASKED, "--quiet", "-o", tmp_path / "c.json")
    assert "the scan (5 of 5)" in sentence
    assert "go on without it with --skip-bad" in sentence
    assert "Poe" not in sentence
    assert veriscale("calibrate", few, *ASKED, "--quiet", "--skip-bad", "-o", tmp_path / "c.json")[0] == 0
    assert "Poe" not in (tmp_path / "c.json").read_text()


def test_measurements_of_other_files_are_no_further_patients(scans, veriscale, tmp_path):
    few = write_patients(tmp_path / "few", 3)
    told = ("--operator", "downsample:factor=2", "-o", few / "Doe01_T1_degraded.nii.gz")
    assert veriscale("degrade", few / "Doe01_T1.nii.gz", *told)[0] == 0
    code, _, told = veriscale("calibrate", few, *ASKED, "-o", tmp_path / "c.json")
    assert code == 0
    assert "1 measurement is left out" in told
    assert "Patients: 3, with 4 scans in all" in told


def test_draws_can_score_scans(scans, veriscale, low, tmp_path):
    few, options = write_patients(tmp_path / "few", 3), ("--score", "variance", "--samples", 2, "--dial", 1)
    quick = ("--sampler", "heun", "--steps", 2)
    assert veriscale("calibrate", few, *ASKED, *options, *quick, "-o", tmp_path / "c.json")[0] == 0
    asked = ("--certificate", tmp_path / "c.json", "--alpha", 0.6, "-o", tmp_path / "out")
    assert veriscale("restore", low, *asked)[0] == 0
    made = json.loads((tmp_path / "out" / "low_restored.run.json").read_text())
    assert (made["samples"], made["certificate"]["dial"]) == (2, 1.0)
    assert (tmp_path / "out" / "low_restored_trusted.nii.gz").is_file()


def nothing(few, source):
    pass


def photographs_too(few, source):
    write_crops(few, source, 1)


def small(few, source):
    write_scan(few / "Poe_T1.nii.gz", 7, (40, 12, 2))


def twice(few, source):
    (few / "Poe_T1.nii.gz").write_bytes((few / "Doe01_T1.nii.gz").read_bytes())


@pytest.mark.parametrize(
    "spoil, options, words",
    [
        (photographs_too, (), "A certificate is for photographs or for scans, and both are there"),
        (small, (), "the scan (5 of 5): "),
        (twice, (), "is there twice: a copy is no further scan"),
        (nothing, ("--group",), "lies in no sub-folder, and --group makes each of them a patient"),
        (nothing, ("--unit", "32x32"), "--unit is of photographs"),
        (nothing, ("--loss", "tile-mean"), "The loss 'tile-mean' is for photographs"),
        (nothing, ("--discrepancy", "lab"), "The discrepancy 'lab' is for photographs"),
        (nothing, ("--score-files", "maps/{stem}.npy"), "--score-files is of photographs"),
        (nothing, ("--leaked", 4), "4 leaked units among 3"),
        (nothing, ("--dial", "0,1"), "a certificate is for one position"),
    ],
)
def test_what_cannot_be_calibrated(scans, refused, tmp_path, skimage_data, spoil, options, words):
    few = write_patients(tmp_path / "few", 3)
    spoil(few, skimage_data)
    sentence = refused("calibrate", few, *ASKED, "--quiet", "-o", tmp_path / "c.json", *options)
    assert words in sentence
    assert "Doe" not in sentence
    assert not list(tmp_path.glob("c.json*"))


def test_thick_slices_and_tools_are_not_calibrated(scans, refused, tmp_path):
    few, asked = write_patients(tmp_path / "few", 3), ("--quiet", "-o", tmp_path / "c.json")
    thick = ("--prior", "grey", "--operator", "slice:fwhm=10,step=10")
    assert "restored in plane yet" in refused("calibrate", few, *thick, *asked)
    tool = ("--command", "tool {in} {out}", "--scale", 2)
    assert "--command is of photographs" in refused("calibrate", few, *tool, *asked)


@pytest.mark.parametrize(
    "options, words",
    [
        (("--scale", 4), "The certificate is for operator downsample:factor=2"),
        (("--spacing", "-,-,2", "--thickness", 5), "restored in plane yet"),
        (("--dial", 1), "The certificate is for dial 0"),
        (("--alpha", -1), "cannot be kept"),
        (("--command", "cp {in} {out}"), "The certificate is for a prior"),
    ],
)
def test_what_was_not_certified(scans, refused, low, tmp_path, options, words):
    asked = ("--certificate", scans / "cert.json", "--quiet", "-o", tmp_path / "out")
    assert words in refused("restore", low, *asked, *options)
    assert not (tmp_path / "out").exists()


def test_kinds_are_not_mixed(scans, refused, low, tmp_path, skimage_data):
    (picture,) = write_crops(tmp_path / "pictures", skimage_data, 1)
    asked = ("--quiet", "-o", tmp_path / "out")
    sentence = refused("restore", picture, "--certificate", scans / "cert.json", *asked)
    assert "The certificate is for scans, and this is a photograph" in sentence
    sentence = refused("restore", low, "--certificate", "photo_x4_dial-0_area", *asked)
    assert "The certificate is for photographs, and this is a scan" in sentence
    sentence = refused("evaluate", picture.parent, "--certificate", scans / "cert.json")
    assert "The certificate is for scans, and this is a photograph" in sentence
    sentence = refused("evaluate", scans / "patients", "--certificate", "photo_x4_dial-0_area")
    assert "The certificate is for photographs, and this is a scan" in sentence
    assert not (tmp_path / "out").exists()


def test_an_evaluation_says_what_it_leaves_out_and_what_cannot_be_written_first(scans, veriscale, refused, tmp_path):
    few = write_patients(tmp_path / "few", 3, first=300)
    (few / "Poe_Jim.nii.gz").write_bytes(b"\x1f\x8b no scan")
    asked = ("evaluate", few, "--certificate", scans / "cert.json", "--device", "cpu")
    (tmp_path / "file").write_text("mine")
    assert "The output folder cannot be made" in refused(*asked, "-o", tmp_path / "file")
    code, out, told = veriscale(*asked, "--quiet", "-o", tmp_path / "new" / "out")
    assert code == 2
    assert "veriscale: the scan (5 of 5)" in told
    assert "veriscale: 1 of 4 inputs failed." in told
    assert out.count("the smallest alpha is 0.077") == 1
    assert {f.name for f in (tmp_path / "new" / "out").iterdir()} == {"evaluation.json", "trust.png"}
    assert "was calibrated on" in refused("evaluate", scans / "patients", *asked[2:], "-o", tmp_path / "other")
    assert not (tmp_path / "other").exists()
