from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.physics.downsample import Downsample
from veriscale.trust.scores.registry import SCORES, check_score, parse_score
from veriscale.trust.scores.score import Score
from veriscale.workflows.certifying.delivery import deliver
from veriscale.workflows.tools.command_template import parse_command
from veriscale.workflows.tools.tool_restorer import ToolRestorer


@pytest.mark.parametrize("name", SCORES)
def test_a_name_alone_has_the_usual_settings(name):
    score = parse_score(name)
    assert score == SCORES[name]()
    assert str(score) == name
    assert score.smooth == 0


@pytest.mark.parametrize(
    "text, canonical",
    [
        ("variance:smooth=2", "variance:smooth=2"),
        (" variance:smooth=2,blur=1.5 ", "variance:blur=1.5,smooth=2"),
        ("variance:blur=0,smooth=0", "variance"),
        ("variance:blur=1,blur=2.", "variance:blur=2"),
        ("predictor:tau=.05", "predictor:tau=0.05"),
        ("predictor:tau=0.1", "predictor"),
        ("perturbed:", "perturbed"),
        ("gradient:std=0.00001", "gradient:std=1e-05"),
        ("files:smooth=3", "files:smooth=3"),
    ],
)
def test_a_string_names_a_score_and_a_score_its_string(text, canonical):
    score = parse_score(text)
    assert str(score) == canonical
    assert parse_score(canonical) == score


def test_no_digit_of_a_setting_is_lost():
    score = parse_score("variance:smooth=1.2345678")
    assert parse_score(str(score)) == score


@pytest.mark.parametrize(
    "text, words",
    [
        ("varience", "Unknown score 'varience'; did you mean 'variance'"),
        ("", "known: predictor, variance, perturbed, gradient, files"),
        ("variance:smoth=2", "Score 'variance' has no key 'smoth'; did you mean 'smooth'"),
        ("predictor:blur=2", "has no key 'blur'; known: tau, smooth|has no key 'blur'"),
        ("variance:smooth", "smooth=nothing is no number"),
        ("variance:smooth=", "smooth=nothing is no number"),
        ("variance:smooth=-1", "smooth=-1 is no number from 0 to 100"),
        ("variance:smooth=nan", "smooth=nan is no number"),
        ("variance:smooth=1e9", "smooth=1e9 is no number"),
        ("variance:smooth=2=3", "smooth=2=3 is no number"),
        ("variance:smooth=²", "is no number"),
    ],
)
def test_a_string_that_names_none(text, words):
    with pytest.raises(InputError, match=words):
        parse_score(text)


@pytest.mark.parametrize(
    "name, conditional, samples, predictor, words",
    [
        ("perturbed", True, 8, True, "for command"),
        ("predictor", True, 0, False, "no error predictor; choose score variance"),
        ("predictor", False, 0, True, "needs a measurement that the prior's encoder knows"),
        ("variance", True, 1, True, "samples of at least 2"),
        ("variance", False, 0, False, "samples of at least 2"),
    ],
)
def test_a_score_that_a_prior_cannot_have_is_refused(name, conditional, samples, predictor, words):
    with pytest.raises(InputError, match=words):
        check_score(parse_score(name), conditional, samples, predictor)


@pytest.mark.parametrize(
    "name, conditional, samples, predictor",
    [
        ("predictor", True, 0, True),
        ("variance", False, 2, False),
        ("gradient", False, 0, False),
        ("files", True, 0, False),
    ],
)
def test_a_score_that_it_can_have_is_not(name, conditional, samples, predictor):
    check_score(parse_score(name), conditional, samples, predictor)


def test_one_more_score_is_one_object_in_the_registry(monkeypatch):
    @dataclass(frozen=True)
    class Darkness(Score):
        gain: float = 1.0

        name: ClassVar[str] = "darkness"

        def of_pictures(self, picture, runs):
            return self.gain * (1 - picture.mean(axis=2))

    monkeypatch.setitem(SCORES, "darkness", Darkness)
    score = parse_score("darkness:smooth=0,gain=2")
    assert (score, str(score)) == (Darkness(gain=2), "darkness:gain=2")
    check_score(score, conditional=False, samples=0, predictor=False)
    picture = np.random.default_rng(0).random((9, 7, 3), np.float32)
    tool = ToolRestorer(parse_command("cp {in} {out}"), Downsample(1), "gaussian:0", score)
    delivered = deliver(tool, Photo(picture), "a")
    assert np.abs(delivered.score - 2 * (1 - picture.mean(axis=2))).max() < 0.01
    with pytest.raises(InputError, match="known: predictor, variance, perturbed, gradient, files, darkness"):
        parse_score("")
