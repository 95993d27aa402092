"""A prior scored on photographs that serve as truth."""

import numpy as np
import pytest

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
