"""`restore` and `evaluate` under a certificate, on real files: settings, mask, what is said, what is refused."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from tests.workflows.photographs import write_crops, write_measurement

import veriscale as library
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo
from veriscale.trust.scores.gradient import gradient
from veriscale.trust.smoothing import smoothed
from veriscale.workflows.certifying.calibration import calibrate

CPU = ("--device", "cpu")
QUICK = {"sampler": "heun", "steps": 2}
VARIANCE = {"score": "variance:smooth=1", "samples": 2, "seed": 4, "dial": 0.5, "path": "renoise", **QUICK}

RESIZE = """
import sys
from PIL import Image
picture = Image.open(sys.argv[1])
picture.resize((4 * picture.width, 4 * picture.height), Image.BICUBIC).save(sys.argv[2])
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_file, skimage_data):
    """24 photographs with certificates of them, others, and a measurement of one of those."""
    place = tmp_path_factory.mktemp("certified")
    write_crops(place / "calibration", skimage_data, 24)
    write_crops(place / "other", skimage_data, 4, seed=1)
    write_measurement(place / "other" / "00.png", place / "cat.png")
    prior = library.load_prior(str(tiny_file), "cpu")
    for name, settings in {
        "area": {},
        "sup": {"loss": "sup"},
        "tiles": {"loss": "tile-mean", "tile": 16},
        "variance": VARIANCE,
        "noisy": {"noise": 0.02},
        "dialled": {"dial": 0.5, "path": "interpolate", **QUICK},
    }.items():
        calibrate(place / "calibration", place / f"{name}.json", prior=prior, **settings)
    return place


@pytest.fixture
def cat(place, tmp_path):
    shutil.copy(place / "cat.png", tmp_path / "cat.png")
    return tmp_path / "cat.png"


@pytest.fixture
def run_of(veriscale, place):
    """Restore under a certificate; returns run.json and what was said."""

    def call(source, certificate, *options, output):
        code, out, err = veriscale(
            "restore", source, *CPU, "--certificate", place / certificate, *options, "-o", output
        )
        assert code == 0, err
        (run,) = output.glob("*.run.json")
        assert {line.rsplit("/")[-1] for line in out.splitlines()} == {p.name for p in output.iterdir()}
        return json.loads(run.read_text()), err

    return call


def pixels(path):
    return np.asarray(Image.open(path))


# ---- the mask


@pytest.mark.parametrize("name, alpha", [("area", "0.1"), ("sup", "0.3"), ("tiles", "0.2"), ("variance", "0.2")])
def test_a_result_has_its_mask_and_python_gives_the_same(run_of, place, cat, tiny_file, tmp_path, name, alpha):
    run, err = run_of(cat, f"{name}.json", "--alpha", alpha, output=tmp_path / "out")
    result = library.restore(
        cat, library.load_prior(str(tiny_file), "cpu"), certificate=place / f"{name}.json", alpha=alpha
    )
    certificate = library.read_certificate(place / f"{name}.json")
    trusted = pixels(tmp_path / "out" / "cat_x4_trusted.png")
    assert (trusted.shape, set(np.unique(trusted))) == ((48, 48), {0, 255})
    assert np.array_equal(trusted == 255, result.score < certificate.threshold(alpha))
    assert np.array_equal(trusted == 255, result.trusted)
    image = np.rint(255 * result.image.pixels.clip(0, 1)).astype(np.uint8)
    assert np.array_equal(pixels(tmp_path / "out" / "cat_x4.png"), image)
    overlay = pixels(tmp_path / "out" / "cat_x4_overlay.png")
    assert np.array_equal(overlay[trusted == 255], image[trusted == 255])
    assert not np.array_equal(overlay, image)
    block = run["certificate"]
    assert block == result.run["certificate"] == result.mask.facts()
    assert block["sha256"] == certificate.sha256
    assert (block["alpha"], block["loss"]) == (alpha, certificate.binding.loss)
    assert block["threshold"] == certificate.threshold(alpha)
    assert block["trusted_share"] == (trusted == 255).mean()
    assert f"{block['trusted_share']:.1%} of the pixels are trusted (alpha {alpha};" in err
    assert str(place) not in json.dumps(run)


def test_settings_come_from_the_certificate(run_of, cat, tmp_path):
    run, err = run_of(cat, "variance.json", output=tmp_path / "out")
    expected = {"dial": [0.5], "path": "renoise", "sampler": "heun", "steps": 2, "samples": 2, "seed": 4}
    assert {k: run[k] for k in expected} == expected
    assert run["prior"]["name"] == "tiny"
    assert run["operator"] == "downsample:factor=4,kernel=bicubic"
    assert "(the prior knows" not in err  # nothing was chosen for the user
    noisy, _ = run_of(cat, "noisy.json", output=tmp_path / "noisy")
    assert noisy["noise"] == "gaussian:0.02"


def test_saying_the_same_again_is_no_contradiction(run_of, place, cat, tiny_file, tmp_path):
    same = ("--scale", 4, "--dial", "0.50", "--samples", 2, "--sampler", "heun", "--steps", 2, "--seed", 4)
    same += ("--noise", 0, "--path", "renoise", "--prior", "tiny")
    run_of(cat, "variance.json", *same, output=tmp_path / "a")
    run_of(cat, "variance.json", output=tmp_path / "b")
    assert (tmp_path / "a" / "cat_x4_trusted.png").read_bytes() == (tmp_path / "b" / "cat_x4_trusted.png").read_bytes()


def test_what_the_picture_does_not_depend_on_is_free(run_of, cat, tmp_path):
    run_of(cat, "area.json", "--samples", 2, "--seed", 9, "--steps", 2, "--sampler", "heun", output=tmp_path / "a")
    run_of(cat, "area.json", output=tmp_path / "b")
    assert (tmp_path / "a" / "cat_x4_trusted.png").read_bytes() == (tmp_path / "b" / "cat_x4_trusted.png").read_bytes()


@pytest.mark.parametrize("name", ["variance", "dialled"])
def test_several_dials_have_one_mask(run_of, refused, place, cat, tmp_path, name):
    run_of(cat, f"{name}.json", "--dial", "0,0.5,1", output=tmp_path / "out")
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert {f"cat_x4_dial-{f}.png" for f in ("0.00", "0.50", "1.00")} | {"cat_x4_trusted.png"} <= names
    run_of(cat, f"{name}.json", output=tmp_path / "one")
    for a, b in (("cat_x4_dial-0.50", "cat_x4"), ("cat_x4_trusted", "cat_x4_trusted"), ("cat_x4_overlay",) * 2):
        assert (tmp_path / "out" / f"{a}.png").read_bytes() == (tmp_path / "one" / f"{b}.png").read_bytes()
    sentence = refused("restore", cat, *CPU, "--certificate", place / f"{name}.json", "--dial", "0,1", "--quiet")
    assert "for dial 0.5, and this is 0, 1: add 0.5 to the positions" in sentence


def test_a_fresh_process_makes_the_same_mask(run_of, place, cat, tiny_file, tmp_path):
    run_of(cat, "variance.json", output=tmp_path / "here")
    threads = str(torch.get_num_threads())
    environment = {**os.environ, "VERISCALE_PRIORS": str(tiny_file.parent), "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-m", "veriscale", "restore", cat, *CPU, "--certificate", place / "variance.json"]
    done = subprocess.run([*command, "-o", tmp_path / "there"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("cat_x4.png", "cat_x4_trusted.png"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_calibration_and_use_of_one_picture_agree(run_of, place, tmp_path):
    certificate = library.read_certificate(place / "area.json")
    for k in (0, 7):
        truth = place / "calibration" / f"{k:02}.png"
        measured = write_measurement(truth, tmp_path / f"{k}.png")
        run_of(measured, "area.json", "--alpha", "0.3", output=tmp_path / str(k))
        trusted = pixels(tmp_path / str(k) / f"{k}_x4_trusted.png") == 255
        error = np.abs(pixels(tmp_path / str(k) / f"{k}_x4.png").astype(int) - pixels(truth)).max(axis=2) / 255
        loss = (trusted & (error > 0.1)).mean()
        recorded = certificate.staircases[k].at(certificate.threshold("0.3")) / 2**30
        assert loss > 0
        assert loss - 1e-12 <= recorded <= loss + 1 / 1024


def test_an_infeasible_level_has_an_empty_mask_and_a_sentence(run_of, cat, tmp_path):
    run, err = run_of(cat, "area.json", "--alpha", "0.03", "--report", output=tmp_path / "out")
    assert (pixels(tmp_path / "out" / "cat_x4_trusted.png") == 0).all()
    sentence = "With n = 24 units and B = 1 the smallest alpha is 0.04; alpha 0.03 needs n = 33."
    assert sentence in err
    assert sentence in run["certificate"]["warning"]
    assert run["certificate"]["threshold"] is None
    assert run["certificate"]["trusted_share"] == 0
    assert "At this level nothing can be trusted." in (tmp_path / "out" / "cat_x4_report.html").read_text()


def test_an_unlike_picture_is_said_aloud(run_of, cat, tmp_path):
    _, err = run_of(cat, "area.json", output=tmp_path / "like")
    assert "unlike" not in err
    photo = read_photo(cat)
    noisy = photo.pixels + 0.2 * np.random.default_rng(0).standard_normal(photo.pixels.shape, np.float32)
    write_photo(photo.with_pixels(noisy), tmp_path / "noisy.png")
    run, err = run_of(tmp_path / "noisy.png", "area.json", output=tmp_path / "unlike")
    assert "unlike those the certificate was made from (drift p-value 0.04): the promise may not hold" in err
    assert run["certificate"]["drift_p_value"] == 1 / 25
    assert "unlike" in run["certificate"]["warning"]


def test_the_report_says_what_is_promised_in_plain_words(run_of, cat, tmp_path):
    run_of(cat, "sup.json", "--alpha", "0.3", "--report", output=tmp_path / "out")
    page = (tmp_path / "out" / "cat_x4_report.html").read_text()
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    for words in (
        "On average the worst trusted pixel of a picture is off by at most 0.3 (pointwise discrepancy)",
        "The average is over calibration sets and new pictures together",
        "RGB pictures of 48×48 pixels of the kind that was calibrated (n = 24)",
        "for the level fixed before looking",
        "it is not a promise about this picture",
        "Inside the mask the PSNR is at least 10.5 dB on average, an empty mask counting as infinite",
        "Drift check: this measurement is not unlike those of the calibration",
        "pictures from another source are not exchangeable",
    ):
        assert words in text


# ---- again


def test_from_repeats_the_mask_to_the_byte(run_of, veriscale, cat, tmp_path):
    run_of(cat, "variance.json", "--alpha", "0.2", output=tmp_path / "a")
    for source, target in (("a", "b"), ("b", "deep/c"), ("deep/c", "d")):
        code, _, err = veriscale("restore", "--from", tmp_path / source / "cat_x4.run.json", "-o", tmp_path / target)
        assert code == 0, err
        for name in ("cat_x4.png", "cat_x4_trusted.png", "cat_x4_overlay.png"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / target / name).read_bytes()
    first, last = (json.loads((tmp_path / k / "cat_x4.run.json").read_text()) for k in "ad")
    assert first["certificate"] == last["certificate"]
    assert str(tmp_path) not in json.dumps(last)


def test_from_with_another_certificate_or_level(run_of, veriscale, place, cat, tmp_path, monkeypatch):
    run_of(cat, "area.json", "--alpha", "0.2", output=tmp_path / "a")
    repeat = ("restore", "--from", tmp_path / "a" / "cat_x4.run.json", *CPU)
    assert veriscale(*repeat, "--alpha", "0.1", "-o", tmp_path / "b")[0] == 0
    assert json.loads((tmp_path / "b" / "cat_x4.run.json").read_text())["certificate"]["alpha"] == "0.1"
    monkeypatch.chdir(place)  # what is named on the command line is looked for from here
    assert veriscale(*repeat, "--certificate", "sup.json", "-o", tmp_path / "c")[0] == 0
    again = ("restore", "--from", tmp_path / "c" / "cat_x4.run.json", *CPU, "-o", tmp_path / "d")
    assert veriscale(*again)[0] == 0
    assert json.loads((tmp_path / "d" / "cat_x4.run.json").read_text())["certificate"]["loss"] == "sup"
    monkeypatch.chdir(tmp_path)
    same = ("--operator", "downsample:factor=4", "-o", tmp_path / "e")
    code, _, err = veriscale(*again[:-2], *same)
    assert code == 0, err


def test_from_without_its_certificate(run_of, refused, place, cat, tmp_path):
    shutil.copy(place / "area.json", place / "gone.json")
    run_of(cat, "gone.json", output=tmp_path / "a")
    (place / "gone.json").unlink()
    assert "gone.json cannot be read" in refused("restore", "--from", tmp_path / "a" / "cat_x4.run.json", "--force")


def test_a_certificate_by_its_name(veriscale, refused, place, cat, tiny_file, tmp_path, monkeypatch):
    folder = tmp_path / "priors"
    shutil.copytree(tiny_file.parent, folder)
    shutil.copy(place / "area.json", folder / "tiny_x4_area.json")
    monkeypatch.setenv("VERISCALE_PRIORS", str(folder))
    assert veriscale("restore", cat, *CPU, "--certificate", "tiny_x4_area", "-o", tmp_path / "a")[0] == 0
    run = json.loads((tmp_path / "a" / "cat_x4.run.json").read_text())
    assert run["arguments"]["certificate"] == "tiny_x4_area"
    assert veriscale("restore", "--from", tmp_path / "a" / "cat_x4.run.json", "-o", tmp_path / "b")[0] == 0
    assert "did you mean 'tiny_x4_area'" in refused("restore", cat, "--certificate", "tiny_x4_aria", "--force")


def test_no_program_out_of_a_run(run_of, veriscale, cat, tmp_path):
    run, _ = run_of(cat, "area.json", output=tmp_path / "a")
    run["arguments"]["command"] = f"{shlex.quote(sys.executable)} -c \"open('ran','w')\" {{in}} {{out}}"
    (tmp_path / "a" / "cat_x4.run.json").write_text(json.dumps(run))
    code, _, err = veriscale("restore", "--from", tmp_path / "a" / "cat_x4.run.json", "-o", tmp_path / "b")
    assert code == 0, err
    assert "prior tiny used conditionally" in err


# ---- sizes and folders


def test_of_a_larger_picture_the_offered_part_is_restored(run_of, refused, place, skimage_data, tmp_path):
    (truth,) = write_crops(tmp_path / "large", skimage_data, 1, side=84, seed=2)
    measured = write_measurement(truth, tmp_path / "large.png")
    sentence = refused("restore", measured, *CPU, "--certificate", place / "area.json")
    offered = re.search(
        r"would be 84×84; restore a part with (--crop) (\S+), or calibrate with --loss tile-mean", sentence
    )
    assert offered[2] == "4,4,12,12"
    run_of(measured, "area.json", *offered.groups(), output=tmp_path / "part")
    assert pixels(tmp_path / "part" / "large_x4_trusted.png").shape == (48, 48)
    run_of(measured, "tiles.json", output=tmp_path / "whole")
    assert pixels(tmp_path / "whole" / "large_x4_trusted.png").shape == (84, 84)


def test_a_folder_is_restored_past_what_is_no_unit(veriscale, place, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(2):
        write_measurement(place / "other" / f"0{k}.png", folder / f"{k}.png")
    write_photo(Photo(np.full((10, 12, 3), 0.5, np.float32)), folder / "low.png")
    code, _, err = veriscale("restore", folder, *CPU, "--certificate", place / "area.json", "-o", tmp_path / "out")
    assert code == 2
    assert "low.png" in err.splitlines()[-1]
    assert "calibrate for that size with --unit 48x40" in err
    names = {p.name for p in (tmp_path / "out").glob("*_trusted.png")}
    assert names == {"0_x4_trusted.png", "1_x4_trusted.png"}


def test_a_dry_run_writes_nothing_and_checks_everything(veriscale, refused, place, cat):
    code, _, err = veriscale("restore", cat, *CPU, "--certificate", place / "area.json", "--dry-run")
    assert code == 0
    assert "prior tiny used conditionally" in err
    with_dial = ("--certificate", place / "variance.json", "--steps", 8, "--dry-run")
    assert "for steps 2, and this is 8" in refused("restore", cat, *CPU, *with_dial)
    level = ("--certificate", place / "area.json", "--alpha", 0, "--dry-run")  # known to be none before the work
    assert "cannot be kept" in refused("restore", cat, *CPU, *level)
    assert [p.name for p in cat.parent.iterdir()] == ["cat.png"]


def test_results_are_complete_or_made_again(veriscale, place, cat):
    options = ("restore", cat, *CPU, "--certificate", place / "area.json")
    assert veriscale(*options)[0] == 0
    code, out, err = veriscale(*options, "--skip-existing")
    assert (code, out) == (0, "")
    assert "skipped" in err
    cat.with_name("cat_x4_trusted.png").unlink()
    code, out, _ = veriscale(*options, "--skip-existing")
    assert "cat_x4_trusted.png" in out
    assert cat.with_name("cat_x4_trusted.png").exists()


# ---- the user's maps


def test_the_users_map_is_treated_as_in_calibration(veriscale, refused, place, cat, tiny_file, tmp_path):
    for k, file in enumerate([*sorted((place / "calibration").iterdir()), cat]):
        np.save(tmp_path / f"{file.stem}.npy", np.random.default_rng(k).random((48, 48), np.float32))
    pattern = f"{tmp_path}/{{stem}}.npy"
    prior = library.load_prior(str(tiny_file), "cpu")
    files = tmp_path / "files.json"
    made = calibrate(place / "calibration", files, prior=prior, score="files:smooth=1", score_files=pattern)
    options = ("restore", cat, *CPU, "--certificate", files, "--alpha", "0.3")
    assert veriscale(*options, "--score-files", pattern, "-o", tmp_path / "out")[0] == 0
    expected = smoothed(np.load(tmp_path / "cat.npy"), 1.0) < made.threshold("0.3")
    assert 0 < expected.mean() < 1
    assert np.array_equal(pixels(tmp_path / "out" / "cat_x4_trusted.png") == 255, expected)
    own = library.restore(cat, prior, certificate=made, alpha="0.3", score=np.load(tmp_path / "cat.npy"))
    assert np.array_equal(own.trusted, expected)
    assert "go together" in refused(*options, "--quiet")
    np.save(tmp_path / "cat.npy", np.full((48, 48), np.nan, np.float32))
    assert "cat.npy holds NaN" in refused(*options, "--score-files", pattern, "--quiet", "--force")
    with pytest.raises(library.InputError, match="The score holds NaN"):
        library.restore(cat, prior, certificate=made, score=np.load(tmp_path / "cat.npy"))
    with pytest.raises(library.InputError, match=r"has shape \(12, 48\)"):
        library.restore(cat, prior, certificate=made, score=np.zeros((12, 48), np.float32))


def test_one_map_is_not_for_two_inputs(refused, place, cat, tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(cat, folder)
    shutil.copy(cat, folder / "sub")
    options = (
        "--certificate",
        place / "area.json",
        "--score-files",
        f"{tmp_path}/{{stem}}.npy",
        "-o",
        tmp_path / "out",
    )
    assert "Two inputs have one name" in refused("restore", folder, *CPU, *options, "--quiet")


def test_a_map_of_ones_own_is_not_for_a_certificate_of_another_score(refused, place, cat, tiny_file, tmp_path):
    np.save(tmp_path / "cat.npy", np.full((48, 48), -100, np.float32))  # it would trust everything
    options = ("--certificate", place / "area.json", "--score-files", f"{tmp_path}/{{stem}}.npy")
    assert "go together" in refused("restore", cat, *CPU, *options, "--quiet")
    prior = library.load_prior(str(tiny_file), "cpu")
    with pytest.raises(library.InputError, match="whose score is 'files'"):
        library.restore(cat, prior, certificate=place / "area.json", score=np.load(tmp_path / "cat.npy"))


# ---- anybody's tool


@pytest.fixture
def tool(place, tmp_path, monkeypatch):
    """A tool in the current folder, its command, and a certificate of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tool.py").write_text(RESIZE)
    command = f"{shlex.quote(sys.executable)} tool.py {{in}} {{out}}"
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted((place / "calibration").iterdir())[:5]:
        shutil.copy(file, few)
    calibrate(few, tmp_path / "tool.json", command=command, scale=4, score="gradient:std=1,smooth=1")
    return command


def test_a_tool_is_run_as_it_was_calibrated(veriscale, cat, tool, tmp_path):
    options = ("restore", cat, "--command", tool, "--certificate", "tool.json", "--alpha", "0.17", "--report")
    code, out, err = veriscale(*options, "-o", tmp_path / "out")
    assert code == 0, err
    assert {line.rsplit("/")[-1] for line in out.splitlines()} == {
        *(f"cat_x4{end}" for end in (".png", "_trusted.png", "_overlay.png", ".run.json", "_report.html"))
    }
    small = Image.open(cat)
    large = small.resize((48, 48), Image.BICUBIC)
    assert np.array_equal(pixels(tmp_path / "out" / "cat_x4.png"), np.asarray(large))
    certificate = library.read_certificate("tool.json")
    score = smoothed(gradient(np.asarray(large, np.float32) / np.float32(255), 1.0), 1.0)
    trusted = pixels(tmp_path / "out" / "cat_x4_trusted.png") == 255
    assert np.array_equal(trusted, score < certificate.threshold("0.17"))
    assert 0 < trusted.mean() < 1
    run = json.loads((tmp_path / "out" / "cat_x4.run.json").read_text())
    assert (run["mode"], run["command"], run["certificate"]["dial"]) == ("tool", tool, None)
    page = (tmp_path / "out" / "cat_x4_report.html").read_text()
    assert "It speaks of the pictures on which the tool succeeds." in page
    repeat = ("restore", "--from", tmp_path / "out" / "cat_x4.run.json", "-o", tmp_path / "again")
    code, _, err = veriscale(*repeat)  # a run.json may be a stranger's: it names no program that is run
    assert (code, "if you trust it, give it as --command" in err) == (2, True)
    assert not (tmp_path / "again").exists()
    code, _, err = veriscale(*repeat, "--command", tool)
    assert code == 0, err
    for name in ("cat_x4.png", "cat_x4_trusted.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_tool_with_the_users_maps(veriscale, refused, cat, tool, tmp_path):
    for k, stem in enumerate(["00", "01", "02", "03", "04", "cat"]):
        np.save(tmp_path / f"{stem}.npy", np.random.default_rng(k).random((48, 48), np.float32))
    files = calibrate(tmp_path / "few", "files.json", command=tool, scale=4, score="files", score_files="{stem}.npy")
    options = ("restore", cat, "--command", tool, "--alpha", "0.17", "--quiet")
    assert "go together" in refused(*options, "--certificate", "files.json")
    assert "go together" in refused(*options, "--certificate", "tool.json", "--score-files", "{stem}.npy")
    code, _, err = veriscale(*options, "--certificate", "files.json", "--score-files", "{stem}.npy")
    assert code == 0, err
    expected = np.load(tmp_path / "cat.npy") < files.threshold("0.17")
    assert np.array_equal(pixels(cat.with_name("cat_x4_trusted.png")) == 255, expected)
    assert 0 < expected.mean() < 1


def test_another_tool_is_refused(refused, cat, tool, tmp_path):
    options = ("restore", cat, "--certificate", "tool.json", "--quiet")
    assert "The certificate is for command " in refused(*options, "--command", f"{tool} --more")
    assert "lacks {out}" in refused(*options, "--command", "python tool.py {in}")
    assert "give it as --command" in refused(*options)
    assert "give it as --command" in refused(*options, "--prior", "tiny")
    (tmp_path / "tool.py").write_text(RESIZE + "# another version\n")
    assert "The certificate is for tool " in refused(*options, "--command", tool)


def test_a_tool_needs_a_certificate_of_its_own(refused, place, cat, tool):
    assert "belong to a --certificate" in refused("restore", cat, "--command", tool)
    sentence = refused("restore", cat, "--command", tool, "--certificate", place / "area.json", "--quiet")
    assert "The certificate is for a prior and not for a tool" in sentence


def test_settings_of_a_prior_do_not_go_with_a_tool(refused, cat, tool):
    options = ("restore", cat, "--command", tool, "--certificate", "tool.json", "--quiet")
    assert "for scale 4, and this is 2" in refused(*options, "--scale", 2)
    given = {"--prior": "tiny", "--operator": "downsample:factor=4", "--noise": "0", "--dial": "0.5", "--samples": 4}
    for option, value in {**given, "--steps": 3, "--seed": 1, "--sampler": "heun", "--anchor": "fast"}.items():
        assert f"{option} does not go with --command" in refused(*options, option, value)


def test_a_sidecar_that_says_otherwise_is_believed(veriscale, refused, place, tool, tmp_path):
    truth = place / "other" / "00.png"
    options = ("--command", tool, "--certificate", "tool.json", "--quiet")
    veriscale("degrade", truth, "--operator", "downsample:factor=4", "-o", tmp_path / "same.png")
    assert veriscale("restore", tmp_path / "same.png", *options)[0] == 0
    veriscale("degrade", truth, "--operator", "downsample:factor=4", "--noise", 0.1, "-o", tmp_path / "noisy.png")
    assert "for noise gaussian:0, and this is gaussian:0.1" in refused("restore", tmp_path / "noisy.png", *options)
    scale = ("--scale", 4)  # says nothing of the noise
    assert "for noise gaussian:0" in refused("restore", tmp_path / "noisy.png", *options, *scale)
    veriscale("degrade", truth, "--operator", "downsample:factor=4,kernel=box", "-o", tmp_path / "box.png")
    assert "for operator downsamp" in refused("restore", tmp_path / "box.png", *options)


def test_a_tool_that_fails_or_hangs_is_one_sentence(refused, cat, tmp_path, tool, place, monkeypatch):
    script = RESIZE.replace("picture =", "import os, time\nif os.path.exists('busy'): time.sleep(30)\npicture =", 1)
    (tmp_path / "tool.py").write_text(script)
    calibrate(tmp_path / "few", tmp_path / "slow.json", command=tool, scale=4, score="gradient")
    (tmp_path / "busy").touch()
    options = ("--command", tool, "--certificate", "slow.json", "--timeout", 0.5, "--quiet")
    assert "The tool failed: The tool did not finish within 0.5 s" in refused("restore", cat, *options)
    assert not list(tmp_path.glob("cat_x4*"))


# ---- evaluate


def test_evaluate_shows_the_promise_beside_what_happens(veriscale, place, tmp_path):
    options = ("evaluate", place / "other", *CPU, "--certificate", place / "sup.json", "--alpha", "0.05, 0.2,0.3")
    code, out, _ = veriscale(*options, "-o", tmp_path / "out")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "4 pictures, loss sup; each level is a promise by itself"
    assert [line.split()[0] for line in lines[2:]] == ["0.05", "0.2", "0.3"]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"evaluation.json", "trust.png"}
    assert Image.open(tmp_path / "out" / "trust.png").format == "PNG"
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [f"{row['risk']:.4f}" for row in document["levels"]] == [line.split()[1] for line in lines[2:]]
    code, out, _ = veriscale(*options, "--json", "--quiet")
    assert (code, json.loads(out)) == (0, document)


def test_evaluate_goes_on_past_a_picture_that_is_no_unit(veriscale, refused, place, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(place / "other", folder)
    write_photo(Photo(np.zeros((20, 20, 3), np.float32)), folder / "small.png")
    for json_too in ((), ("--json",)):
        options = ("evaluate", folder, *CPU, "--certificate", place / "area.json", "--alpha", "0.3", *json_too)
        code, out, err = veriscale(*options)
        assert code == 2
        assert "small.png: 20×20 pixels are fewer than the unit's 48×48" in err.replace(f"{folder}/", "")
    assert json.loads(out)["pictures"] == ["00.png", "01.png", "02.png", "03.png"]
    assert "small.png" in json.loads(out)["failed"][0]


def test_evaluate_sweeps_alpha(veriscale, place):
    code, out, _ = veriscale("evaluate", place / "other", *CPU, "--certificate", place / "area.json", "--json")
    assert code == 0
    assert len(json.loads(out)["levels"]) == 25


def test_evaluate_refuses(veriscale, refused, place, tmp_path):
    area = ("--certificate", place / "area.json", *CPU)
    assert "was calibrated on" in refused("evaluate", place / "calibration", *area)
    for option, value in {"--scale": 4, "--dial": 0, "--noise": 0, "--steps": 3, "--sampler": "heun"}.items():
        assert f"{option} is fixed by the certificate" in refused("evaluate", place / "other", *area, option, value)
    assert "not a finite number" in refused("evaluate", place / "other", *area, "--alpha", "0.1,much")
    assert "cannot be kept" in refused("evaluate", place / "other", *area, "--alpha", "0")
    assert "go together" in refused("evaluate", place / "other", *area, "--score-files", "{stem}.npy")
    assert "belong to a --certificate" in refused("evaluate", place / "other", "--alpha", "0.1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "trust.png").write_text("mine")
    assert "--force" in refused("evaluate", place / "other", *area, "--alpha", "0.1", "-o", tmp_path / "out")


def test_evaluate_a_tool(veriscale, refused, place, tool):
    options = ("evaluate", place / "other", "--certificate", "tool.json", "--alpha", "0.2,0.5")
    code, out, err = veriscale(*options, "--command", tool)
    assert code == 0, err
    assert out.startswith("4 pictures, loss area")
    assert "give --command" in refused(*options)
    assert "give --command" in refused(*options, "--prior", "tiny")
    assert "for command" in refused(*options, "--command", f"{tool} --more")
