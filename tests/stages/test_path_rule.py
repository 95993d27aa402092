from dataclasses import replace

import numpy as np
import pytest
import torch

from veriscale.diffusion.card import Data
from veriscale.stages import path_rule
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import crops
from veriscale.stages.path_rule import at, measure_path_rule


@pytest.fixture
def validation() -> PictureSet:
    rng = np.random.default_rng(0)
    pixels = [torch.from_numpy(rng.integers(0, 256, (3, 32, 32), np.uint8)) for _ in range(2)]
    return PictureSet(pixels, ["a", "b"], Data("x/*", 2, "0" * 64, "CC0"))


def test_straight_lines_at_equal_distortion():
    points = np.array([[1.0, 8.0, 4.0], [2.0, 4.0, 2.0], [3.0, 0.0, 1.0]])
    assert at(points, 0.25) == pytest.approx([6.0, 3.0])
    assert at(points, 0.75) == pytest.approx([2.0, 1.5])


@pytest.mark.parametrize("better", ["renoise", "interpolate"])
def test_the_card_gets_the_path_that_looks_better_for_its_kind(tiny, validation, monkeypatch, better):
    """With looks that follow only how a picture was made: masks alone look better by the one that is asked for."""
    monkeypatch.setattr(path_rule, "SIDE", 32)
    monkeypatch.setattr(
        path_rule, "_better", lambda prior, photographs, x, text: text in path_rule.MASK and better == "renoise"
    )
    mode = measure_path_rule(tiny, validation)[0]
    assert (mode.path, mode.mask_path) == ("interpolate", better)


def test_both_paths_are_drawn_and_compared(tiny, validation, monkeypatch):
    monkeypatch.setattr(path_rule, "SIDE", 32)
    monkeypatch.setattr(path_rule, "STARTS", (0.25,))
    monkeypatch.setattr(path_rule, "WEIGHTS", (0.5,))
    seen = []

    def look(image, x):
        seen.append(image)
        return float((image - x).square().mean()), float(len(seen)), float(len(seen))

    monkeypatch.setattr(path_rule, "look", look)
    # Of each picture the first three looks are of `renoise`, so that it is the better one by count.
    one = replace(validation, images=validation.images[:1], names=validation.names[:1])
    assert path_rule._better(tiny, one, crops(one, 32), "inpaint:keep=0.5")
    assert len(seen) == 6
