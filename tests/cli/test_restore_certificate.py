"""`restore` under a certificate, on real files: settings, mask, what is said, sizes and folders."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from tests.cli.conftest import CPU, pixels
from tests.workflows.photographs import write_crops, write_measurement

import veriscale as library
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo

# ---- the mask


@pytest.mark.parametrize("name, alpha", [("area", "0.1"), ("sup", "0.3"), ("tiles", "0.2"), ("renoised", "0.2")])
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
    run, err = run_of(cat, "renoised.json", output=tmp_path / "out")
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
    run_of(cat, "renoised.json", *same, output=tmp_path / "a")
    run_of(cat, "renoised.json", output=tmp_path / "b")
    assert (tmp_path / "a" / "cat_x4_trusted.png").read_bytes() == (tmp_path / "b" / "cat_x4_trusted.png").read_bytes()


def test_what_the_picture_does_not_depend_on_is_free(run_of, cat, tmp_path):
    run_of(cat, "area.json", "--samples", 2, "--seed", 9, "--steps", 2, "--sampler", "heun", output=tmp_path / "a")
    run_of(cat, "area.json", output=tmp_path / "b")
    assert (tmp_path / "a" / "cat_x4_trusted.png").read_bytes() == (tmp_path / "b" / "cat_x4_trusted.png").read_bytes()


@pytest.mark.parametrize("name", ["renoised", "dialled"])
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
    run_of(cat, "renoised.json", output=tmp_path / "here")
    threads = str(torch.get_num_threads())
    environment = {**os.environ, "VERISCALE_PRIORS": str(tiny_file.parent), "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-m", "veriscale", "restore", cat, *CPU, "--certificate", place / "renoised.json"]
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
    assert "unlike those" not in err
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
    assert sum("low.png" in line for line in err.splitlines()) == 1
    assert "calibrate for that size with --unit 48x40" in err
    names = {p.name for p in (tmp_path / "out").glob("*_trusted.png")}
    assert names == {"0_x4_trusted.png", "1_x4_trusted.png"}


def test_a_dry_run_writes_nothing_and_checks_everything(veriscale, refused, place, cat):
    code, _, err = veriscale("restore", cat, *CPU, "--certificate", place / "area.json", "--dry-run")
    assert code == 0
    assert "prior tiny used conditionally" in err
    with_dial = ("--certificate", place / "renoised.json", "--steps", 8, "--dry-run")
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
