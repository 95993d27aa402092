"""The facts of a training state are those of a run, or one sentence says that they are not."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from veriscale.errors import InputError
from veriscale.stages.average import MovingAverage
from veriscale.stages.early_stopping import Best
from veriscale.stages.state import load_best, read_facts

FACTS = {"phase": "toy.encoder", "step": 3, "seconds": 1.5, "recipe": {"phases": ["toy.encoder"], "seed": 3}}
MODE = {"scale": 2, "noise_std": [0.0], "sigma_data": [0.1], "sigma_min": 0.01, "sigma_max": 1.0}


def state(folder: Path, text: str) -> Path:
    path = folder / "toy.training.safetensors"
    save_file({"weight": torch.zeros(2)}, path, {"facts": text})
    return path


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"modes": [MODE], "measured_for": ["ab", "cd"], "mean": 0.2, "stopped": {"toy.encoder": {"steps": 3}}},
        {"best": {"step": 0, "score": float("inf"), "waited": 1}},
        {"recipe": "0123abcd"},  # of a version before
    ],
)
def test_facts_are_read_as_they_were_written(tmp_path, more):
    assert read_facts(state(tmp_path, json.dumps(FACTS | more))) == FACTS | more


@pytest.mark.parametrize(
    "facts, words",
    [
        ([1, 2], "Expected `object`, got `array`"),
        (3, "got `int`"),
        ({k: v for k, v in FACTS.items() if k != "phase"}, "missing required field `phase`"),
        ({k: v for k, v in FACTS.items() if k != "recipe"}, "missing required field `recipe`"),
        (FACTS | {"phase": "toy.denoiser"}, "its phase 'toy.denoiser' is not the last of its recipe"),
        (FACTS | {"recipe": {}}, "is not the last of its recipe"),
        (FACTS | {"recipe": {"phases": 3}}, "is not the last of its recipe"),
        (FACTS | {"step": "3"}, r"Expected `int`, got `str` - at `\$\.step`"),
        (FACTS | {"step": -1}, r"`int` >= 0 - at `\$\.step`"),
        (FACTS | {"seconds": None}, r"at `\$\.seconds`"),
        (FACTS | {"modes": [3]}, r"at `\$\.modes"),
        (FACTS | {"stopped": []}, r"at `\$\.stopped`"),
        (FACTS | {"best": {"step": 1}}, r"missing required field `score` - at `\$\.best`"),
    ],
)
def test_facts_that_are_of_no_run_are_a_sentence(tmp_path, facts, words):
    with pytest.raises(InputError, match=rf"state .*toy\.training\.safetensors cannot be read: .*{words}.*; delete it"):
        read_facts(state(tmp_path, json.dumps(facts)))


def test_facts_that_are_no_json_are_a_sentence(tmp_path):
    for text in ("{", "[" * 100_000):
        with pytest.raises(InputError, match=r"cannot be read: .*; delete it to start again"):
            read_facts(state(tmp_path, text))


def test_a_state_without_the_best_weights_is_a_sentence(tmp_path):
    best = Best(MovingAverage(torch.nn.Linear(1, 1), 0.9), 2)
    with pytest.raises(InputError, match="lacks `best`"):
        load_best(state(tmp_path, json.dumps(FACTS)), best)
