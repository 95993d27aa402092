"""What Python's doors take beside settings: one sentence about what is of another kind."""

import numpy as np
import pytest
import torch

import veriscale
from veriscale.errors import InputError


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "x.png"
    veriscale.write_photo(veriscale.Photo(np.random.default_rng(0).random((16, 16, 3), np.float32)), path)
    return path


@pytest.mark.parametrize("prior", [torch.nn.Conv2d(3, 3, 3), torch.nn.ModuleList(), lambda x, sigma: x, 5, 0, True])
def test_a_prior_that_is_none_is_refused_by_every_door(picture, tmp_path, prior):
    calls = (
        lambda: veriscale.restore(picture, prior, scale=2),
        lambda: veriscale.restore_files(picture, tmp_path / "out", prior, scale=2),
        lambda: veriscale.calibrate(tmp_path, tmp_path / "c.json", prior=prior, scale=2),
        lambda: veriscale.evaluate(picture, prior, scale=2),
        lambda: veriscale.evaluate_certificate(picture, "photo_x4_dial-0_area", prior),
        lambda: veriscale.load_prior(prior),
        lambda: veriscale.open_restorer(veriscale.Settings(), prior=prior),
        lambda: veriscale.measure_prior(prior, tmp_path, tmp_path / "card.json"),
    )
    for call in calls:
        with pytest.raises(InputError, match=r"prior_from.*, not .*wrap it with prior_from\."):
            call()
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]
