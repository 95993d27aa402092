"""The user's own maps as scores."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.workflows.measured import log_of

from veriscale.errors import InputError
from veriscale.trust.smoothing import smoothed
from veriscale.workflows.certifying.calibration import calibrate


@pytest.fixture
def maps(few, tmp_path):
    folder = tmp_path / "maps"
    folder.mkdir()
    for k, file in enumerate(sorted(few.iterdir())):
        np.save(folder / f"{file.stem}.npy", np.random.default_rng(k).random((48, 48), np.float32))
    return folder


def test_scores_may_be_the_users_files(tiny, few, output, maps):
    made = calibrate(few, output, prior=tiny, score="files:smooth=1", score_files=f"{maps}/{{stem}}.npy")
    assert made.binding.score == "files:smooth=1"
    expected = np.sort(np.concatenate([smoothed(np.load(f), 1.0) for f in sorted(maps.iterdir())], axis=None))
    assert made.quantiles.min() == expected[0]
    assert made.quantiles.max() == expected[-1]
    assert set(made.staircases[2].scores) <= set(smoothed(np.load(maps / "02.npy"), 1.0).ravel())


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda p: np.save(p, np.full((48, 48), np.nan, np.float32)), r"02\.npy holds NaN; write inf where nothing"),
        (lambda p: np.save(p, np.zeros((48, 47), np.float32)), r"has shape \(48, 47\), and the result has \(48, 48\)"),
        (lambda p: np.save(p, np.array([{}])), "holds no array of numbers"),
        (lambda p: p.write_bytes(p.read_bytes()[:500]), "holds no array of numbers"),
        (lambda p: p.write_bytes(b""), "holds no array of numbers"),
        (Path.unlink, "does not exist"),
    ],
)
def test_a_map_that_cannot_be_used_is_named(tiny, few, output, maps, spoil, words):
    spoil(maps / "02.npy")
    with pytest.raises(InputError, match=words):
        calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")
    np.save(maps / "02.npy", np.full((48, 48), np.inf, np.float32))
    made = calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")  # goes on where it stopped
    assert made.staircases[2].scores.size == 0  # what is infinite is never trusted and costs nothing


def test_smoothing_leaves_what_is_infinite_where_it_is(tiny, few, output, maps):
    for f in maps.iterdir():
        values = np.load(f)
        values[20, 20] = np.inf
        np.save(f, values)
    made = calibrate(few, output, prior=tiny, score="files:smooth=2", score_files=f"{maps}/{{stem}}.npy")
    assert (made.quantiles[:, -1] == np.inf).all()
    assert (made.quantiles[:, -2] < 1).all()  # the neighbours are what they were, about 1/2


@pytest.mark.parametrize("kind", [bool, complex, str])
def test_a_map_is_of_real_numbers(tiny, few, output, maps, kind):
    np.save(maps / "00.npy", np.ones((48, 48)).astype(kind))
    with pytest.raises(InputError, match=r"00\.npy holds no real numbers"):
        calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")
    assert not log_of(output).exists()  # nothing was measured, and nothing is left


def test_one_map_is_not_for_two_pictures(tiny, few, output, maps):
    (few / "sub").mkdir()
    shutil.copy(few / "01.png", few / "sub" / "00.png")
    with pytest.raises(InputError, match="have one name"):
        calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")


def test_a_unit_whose_map_was_exchanged_is_measured_again(tiny, few, output, maps):
    np.save(maps / "05.npy", np.full((48, 48), np.nan, np.float32))
    with pytest.raises(InputError, match="NaN"):
        calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")
    for path in maps.iterdir():
        np.save(path, np.random.default_rng(7).random((48, 48), np.float32) + 5)
    made = calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")
    assert all(s.scores.min() >= 5 for s in made.staircases if s.scores.size)
