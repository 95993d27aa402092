"""The paper's own knob: the noise level at which the second stage begins."""

import numpy as np
import pytest

import veriscale
from veriscale.errors import InputError
from veriscale.workflows.restoring.reporting import report_html


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).random((16, 24, 3), np.float32)


def test_its_ends_are_those_of_the_dial(tiny, picture):
    ends = veriscale.restore(picture, tiny, scale=4, dial=[0, 1]).images
    top = tiny.mode(4).sigma_max
    for start, dial in ((0, 0.0), (top, 1.0)):
        started = veriscale.restore(picture, tiny, scale=4, sigma0=start)
        assert np.array_equal(started.image.pixels, ends[dial].pixels)
        assert (started.run["sigma0"], "dial" in started.run) == (start, False)
    between = veriscale.restore(picture, tiny, scale=4, sigma0=top / 4).image.pixels
    steps = [float(np.square(x - ends[0].pixels).mean()) for x in (between, ends[1].pixels)]
    assert 0 < steps[0] < steps[1]


def test_without_the_encoder_too(tiny, picture):
    a, b = (veriscale.restore(picture, tiny, operator="inpaint:keep=0.5", sigma0=s).image.pixels for s in (0, 0.2))
    assert np.abs(a - b).max() > 0.01


def test_the_report_names_the_start_and_no_position(tiny, picture):
    page = report_html(veriscale.restore(picture, tiny, scale=4, sigma0=0.2), "x")
    assert "σ₀ = 0.2" in page
    assert "Dial 1" not in page


@pytest.mark.parametrize("start", [-0.1, 1e9])
def test_a_start_out_of_range_says_how_far_it_goes(tiny, picture, start):
    with pytest.raises(InputError, match=r"sigma0 \S+ is outside \[0, "):
        veriscale.restore(picture, tiny, scale=4, sigma0=start)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"dial": 0.5}, "sigma0 and dial both say how far to go"),
        ({"samples": 4}, "sigma0 is for one picture"),
        ({"path": "interpolate"}, "sigma0 is where path renoise begins"),
        ({"ensemble": True}, "sigma0 is above 0"),
    ],
)
def test_what_it_does_not_go_with(tiny, picture, settings, words):
    with pytest.raises(InputError, match=words):
        veriscale.restore(picture, tiny, scale=4, sigma0=0.2, **settings)


def test_its_run_is_repeated(tiny_file, picture, tmp_path):
    veriscale.write_photo(veriscale.Photo(picture), tmp_path / "x.png")
    veriscale.restore_files(tmp_path / "x.png", tmp_path / "a", tiny_file, scale=4, sigma0=0.1)
    again = veriscale.restore_files([], tmp_path / "b", tiny_file, repeat=tmp_path / "a" / "x_x4.run.json")
    assert (again[0]["sigma0"], again[0]["arguments"]["sigma0"]) == (0.1, 0.1)
    assert (tmp_path / "a" / "x_x4.png").read_bytes() == (tmp_path / "b" / "x_x4.png").read_bytes()


def test_a_chain_has_none(tiny, picture):
    with pytest.raises(InputError, match="sigma0"):
        veriscale.restore(picture, tiny, scale=8, sigma0=0.1)
