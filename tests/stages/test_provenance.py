"""What of a recipe may change under a training state."""

from pathlib import Path

import pytest

from veriscale.diffusion.card import Data
from veriscale.errors import InputError
from veriscale.stages.data import PictureSet
from veriscale.stages.provenance import phase_names, provenance, refuse_changes
from veriscale.stages.recipe_file import read_recipe

PICTURES = [PictureSet([], [], Data("*", 0, "abc", "CC0"))]
CONSTANT = "stage.toy.encoder.schedule=constant"
ADAM = "stage.toy.encoder.optimiser=adam"


def resume(recipe: Path, then: list[str], now: list[str], phases: int = 1, step: int = 30) -> None:
    """Take up a state of the first phases under a recipe that was set otherwise."""
    before = read_recipe(recipe, then)
    saved = provenance(before, PICTURES, PICTURES, phase_names(before)[:phases])
    refuse_changes(saved, step, read_recipe(recipe, now), PICTURES, PICTURES, Path("a.training.safetensors"))


@pytest.mark.parametrize(
    "then, now",
    [
        ([], []),
        ([], ["stage.toy.denoiser.lr=5e-4", "predictor.width=64", "name=other"]),  # of what comes later
        ([], ["measure=modes", "stage.toy.evaluate=50", "precision=auto", "stage.toy.denoiser.lr=1e-3"]),  # no weights
        ([CONSTANT], [CONSTANT, "stage.toy.encoder.steps=31"]),  # as if it had always been so
        ([CONSTANT], [CONSTANT, "stage.toy.encoder.steps=600"]),
    ],
)
def test_what_was_not_yet_used_is_free(recipe, then, now):
    resume(recipe, then, now)


@pytest.mark.parametrize(
    "then, now, phases, step, words",
    [
        ([], ["stage.toy.encoder.steps=70"], 1, 30, r"encoder\.steps was 60 and is 70"),  # the cosine was another
        ([CONSTANT], [CONSTANT, "stage.toy.encoder.steps=30"], 1, 30, "steps was 60 and is 30"),  # done, unaveraged
        ([CONSTANT], [CONSTANT, "stage.toy.encoder.steps=70"], 1, 60, "steps was 60 and is 70"),  # done, and averaged
        ([CONSTANT], [CONSTANT, "stage.toy.encoder.steps=70"], 2, 30, "steps was 60 and is 70"),
        ([], ["stage.toy.denoiser.lr=5e-4"], 2, 30, r"stage\.toy\.denoiser\.lr was 0\.001 and is 0\.0005"),
        ([], ["predictor.width=64"], 3, 30, r"predictor\.width was 32 and is 64"),
        ([ADAM], [ADAM, "stage.toy.trainable=decoder"], 1, 30, r"stage\.toy\.trainable was not set and is decoder"),
        ([ADAM, "stage.toy.trainable=decoder"], [ADAM], 1, 30, r"stage\.toy\.trainable was decoder and is not set"),
        ([], ["stage.toy.subjects=1"], 1, 30, r"stage\.toy\.subjects was not set and is 1"),
        ([], ["stage.toy.planes=all"], 1, 30, r"stage\.toy\.planes was not set and is all"),
        (
            ["stage.toy.evaluate=9", "stage.toy.patience=2"],
            ["stage.toy.evaluate=9"],
            1,
            30,
            "patience was 2 and is not",
        ),
        (
            ["stage.toy.evaluate=9", "stage.toy.patience=2"],
            ["stage.toy.evaluate=8", "stage.toy.patience=2"],
            *(1, 30, r"stage\.toy\.evaluate was 9 and is 8"),
        ),
        (
            ["stage.toy.validation=[]", "stage.toy.hold_out=2"],
            ["stage.toy.validation=[]", "stage.toy.hold_out=3"],
            *(1, 30, r"stage\.toy\.hold_out was 2 and is 3"),
        ),
        ([], ["precision=bf16"], 1, 30, "precision was not set and is bf16"),
        ([], ["stage.toy.name=new"], 1, 30, r"phases was toy\.encoder and is new\.encoder"),
        ([], ["stage.toy.clip=2.0"], 1, 30, r"stage\.toy\.clip was 1\.0 and is 2\.0"),
    ],
)
def test_what_was_used_is_not(recipe, then, now, phases, step, words):
    with pytest.raises(InputError, match=words):
        resume(recipe, then, now, phases, step)


def test_a_state_of_an_earlier_version_is_named(recipe):
    with pytest.raises(InputError, match="of an earlier version"):
        refuse_changes("0123abcd", 1, read_recipe(recipe), PICTURES, PICTURES, Path("a.training.safetensors"))


def test_who_decides_what_is_kept_is_noticed(recipe):
    """With patience the held-out pictures enter the weights, and without they do not."""
    others = [PictureSet([], [], Data("*", 0, "def", "CC0"))]
    for overrides, refused in (([], False), (["stage.toy.evaluate=9", "stage.toy.patience=2"], True)):
        now = read_recipe(recipe, overrides)
        saved = provenance(now, PICTURES, PICTURES, phase_names(now)[:1])
        if not refused:
            refuse_changes(saved, 30, now, PICTURES, others, Path("a.training.safetensors"))
            continue
        with pytest.raises(InputError, match=r"the pictures of stage\.toy\.validation are others"):
            refuse_changes(saved, 30, now, PICTURES, others, Path("a.training.safetensors"))
