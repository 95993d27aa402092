"""A prior scored on photographs that serve as truth."""

import hashlib
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from veriscale.diffusion.card import Data
from veriscale.imaging.photo import Photo
from veriscale.imaging.write import write_photo
from veriscale.workflows.restoring.evaluation import evaluate


def test_evaluation_scores_every_dial_and_the_baseline(tiny, skimage_data):
    result = evaluate([skimage_data / "chelsea.png"], tiny, scale=4, dial=[1, 0], sampler="heun", steps=2)
    assert [s.dial for s in result.scores] == ["bicubic", 0, 1]
    rows = {r["dial"]: r for r in result.summary()}
    assert rows["bicubic"]["psnr_luma"] == pytest.approx(30, abs=5)
    assert rows[0]["mse"] < rows[1]["mse"]


def test_an_exact_restoration_has_no_finite_psnr_and_json_says_null(tiny, tmp_path):
    write_photo(Photo(np.full((64, 64, 3), 128 / 255, np.float32)), tmp_path / "flat.png")
    content = evaluate([tmp_path / "flat.png"], tiny, scale=4).as_dict()
    baseline = next(s for s in content["pictures"] if s["dial"] == "bicubic")
    assert baseline["psnr_luma"] is None


def test_pictures_that_were_trained_on_are_told(tiny, skimage_data):
    own = hashlib.sha256((skimage_data / "chelsea.png").read_bytes()).hexdigest()[:16]
    card = msgspec.structs.replace(tiny.card, validation=[Data("x", 1, "0" * 64, "CC0", [own])])
    told = []
    pictures = [skimage_data / "chelsea.png", skimage_data / "astronaut.png"]
    evaluate(pictures, replace(tiny, card=card), scale=4, tell=told.append)
    assert len(told) == 1
    assert told[0].startswith(f"1 of the 2 pictures trained the prior or chose its weights, such as {pictures[0]}: of")
    evaluate(pictures[1], replace(tiny, card=card), scale=4, tell=told.append)
    assert len(told) == 1
