"""The mean over flips and rotations: turning the measurement turns the result."""

import numpy as np
import pytest
import torch

import veriscale
from veriscale.errors import InputError
from veriscale.traversal.conditional import TURNS, turned, unturned


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).random((24, 32, 3), np.float32)


@pytest.mark.parametrize("turn", range(TURNS))
def test_turns_are_undone_and_different(turn):
    x = torch.arange(2 * 3 * 4.0).reshape(1, 2, 3, 4)
    assert torch.equal(unturned(turned(x, turn), turn), x)
    assert all(turned(x, turn).tolist() != turned(x, other).tolist() for other in range(turn))


def test_a_turned_measurement_gives_a_turned_result(tiny, picture):
    def both(**settings):
        a = veriscale.restore(picture, tiny, scale=4, **settings).image.pixels
        b = veriscale.restore(picture[::-1].transpose(1, 0, 2).copy(), tiny, scale=4, **settings).image.pixels
        return np.abs(a[::-1].transpose(1, 0, 2) - b).max()

    assert both(ensemble=True) < 1e-5
    assert both() > 1e-3


def test_the_run_and_the_costs_say_so(tiny, picture):
    run = veriscale.restore(picture, tiny, scale=4, ensemble=True).run
    assert (run["anchor"], run["dial"]) == ("ensemble", [0.0])


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"dial": 0.5}, "a dial position above 0 is asked for; leave it out"),
        ({"dial": [0, 1]}, "a dial position above 0"),
        ({"samples": 2}, "draws are asked for"),
        ({"operator": "inpaint:keep=0.5"}, "the prior is used without it, since its encoder knows bicubic"),
        ({"anchor": "fast"}, "the prior is used without it, as 'fast' asks"),
    ],
)
def test_where_it_makes_no_sense_it_is_refused(tiny, picture, settings, words):
    with pytest.raises(InputError, match=rf"ensemble is a mean of what the prior's encoder makes, and .*{words}"):
        veriscale.restore(picture, tiny, ensemble=True, **settings)


def test_a_certificate_of_another_anchor_is_not_for_it(tiny, picture, tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for k in range(3):
        truth = veriscale.Photo(np.random.default_rng(k).random((48, 48, 3), np.float32))
        veriscale.write_photo(truth, folder / f"{k}.png")
    plain = veriscale.calibrate(folder, tmp_path / "plain.json", prior=tiny, scale=4)
    both = veriscale.calibrate(folder, tmp_path / "both.json", prior=tiny, scale=4, ensemble=True)
    y = veriscale.Photo(picture[:12, :12])
    assert veriscale.restore(y, tiny, certificate=both, alpha=0.3).run["anchor"] == "ensemble"
    with pytest.raises(InputError, match="for anchor mean, and this is ensemble"):
        veriscale.restore(y, tiny, certificate=plain, alpha=0.3, ensemble=True)
