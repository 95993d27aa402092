import random
from pathlib import Path

import pytest

from veriscale.errors import InputError
from veriscale.stages.recipe import read_recipe

PHOTO = Path(__file__).parents[2] / "recipes" / "photo.toml"


def test_the_shipped_recipe_is_valid():
    recipe = read_recipe(PHOTO)
    assert recipe.task.scales == [2, 3, 4]
    assert recipe.stage[0].data == ["natural/train/[!0-9]*"]


def test_a_predictor_is_a_choice(tmp_path):
    lines = PHOTO.read_text().splitlines()
    start = lines.index(next(line for line in lines if line.startswith("[predictor]")))
    without = [line for line in lines[:start] + lines[start + 3 :] if not line.startswith("predictor_")]
    path = tmp_path / "without.toml"
    path.write_text("\n".join(without))
    assert read_recipe(path).predictor is None
    assert read_recipe(path).stage[0].predictor_steps == 0
    with pytest.raises(InputError, match="go together: give both or neither"):
        read_recipe(path, ["stage.photo.predictor_steps=5"])


def test_values_can_be_set():
    recipe = read_recipe(PHOTO, ["seed=5", "stage.photo.ema=0.9", "stage.photo.data=here", "denoiser.stem=2"])
    assert (recipe.seed, recipe.stage[0].ema, recipe.stage[0].data) == (5, 0.9, ["here"])


@pytest.mark.parametrize(
    "override, words",
    [
        ("stage.photo.encoder_steps=0", "must be positive"),
        ("stage.photo.denoiser_patch=100", "multiple of"),
        ("stage.photo.ema=1.0", "below 1"),
        ("task.noise=[0.2, 0.1]", "noise must be"),
        ("task.channels=2", "channels is 2"),
        ('task.operators=["blur:std=3"]', "cannot be trained for"),
        ("denoiser.depth=[1, 1]", "one number for each level"),
        ("task.unconditional=lots", "unconditional"),
        ("seed.deep=3", "not a table"),
        ("stage.ema=0.5", "name the stage"),
        ("stage.photo.predictor_steps=0", "go together: give both or neither"),
        ("stage.photo.predictor_patch=0", "predictor_patch must be positive"),
        ("stage.photo.predictor_lr=0", "predictor_lr must be positive"),
        ("predictor.width=0", "sizes of networks must be positive"),
        ("predictor.widht=64", "did you mean 'width'"),
    ],
)
def test_values_out_of_range_are_named(override, words):
    with pytest.raises(InputError, match=words):
        read_recipe(PHOTO, [override])


def test_mutated_recipes_are_read_or_refused(tmp_path):
    content = PHOTO.read_bytes()
    path = tmp_path / "mutated.toml"
    refused = 0
    for seed in range(300):
        rng = random.Random(seed)
        data = bytearray(content)
        for _ in range(rng.choice((1, 3, 10))):
            at = rng.randrange(len(data))
            kind = rng.randrange(3)
            if kind == 0:
                data[at] = rng.randrange(256)
            elif kind == 1:
                data[at:at] = rng.randbytes(3)
            else:
                del data[at : at + 5]
        path.write_bytes(data)
        try:
            read_recipe(path)
        except InputError:
            refused += 1
    assert refused > 100
