"""What a card has to say of those that it comes from, and which runs are killed."""

import copy
from typing import Any

import msgspec
import pytest
from tests.conftest import tiny_card

from veriscale.cli.priors_command import _show
from veriscale.diffusion.card import Budget, Card, Data
from veriscale.imaging.normalisation import PHOTOGRAPH, SCAN
from veriscale.stages.inheritance import Parent
from veriscale.stages.recipe_file import read_recipe


@pytest.fixture
def bench(benchmark):
    return benchmark("stages")


@pytest.fixture
def generations(bench, tmp_path) -> dict[str, Card]:
    """Cards of three generations, as training writes them."""
    cards: dict[str, Card] = {}
    parent: list[Any] = []
    for k, (name, (channels, data)) in enumerate(bench.GENERATIONS.items()):
        card = msgspec.structs.replace(
            tiny_card(name, channels),
            training=[Data(data["data"], 1, "0" * 64, data["licence"])],
            budget=Budget(k + 1, k + 2, 1.0, "test", k + 3),
            metrics={"PSNR": 20.0 + k},
            normalisation=SCAN if channels == 1 else PHOTOGRAPH,
            lineage=parent,
            tensors_sha256=str(k) * 64,
        )
        cards[name], parent = card, Parent(card, tmp_path).lineage
    return cards


def test_cards_say_all_of_their_ancestors_and_nothing_less_will_do(bench, generations, capsys):
    cards = {name: msgspec.to_builtins(card) for name, card in generations.items()}
    printed = {}
    for name, card in generations.items():
        _show(card, "here")
        printed[name] = capsys.readouterr().out
        assert all(bench.of_lineage(name, cards, printed[name]))
    for key, wrong in (("name", "x"), ("sha256", "x"), ("steps", {"encoder": 7}), ("metrics", {}), ("training", [])):
        spoilt = copy.deepcopy(cards)
        spoilt["cardiac"]["lineage"][1][key] = wrong
        assert not all(bench.of_lineage("cardiac", spoilt, printed["cardiac"]))
    of_each, _, of_all = printed["cardiac"].partition("\n  licences ")
    nowhere_but_in_all = of_each.replace("CC0", "") + "\n  licences " + of_all
    named_otherwise = printed["cardiac"].replace(": mri (", ": other (")
    for text in (nowhere_but_in_all, named_otherwise, printed["cardiac"].replace("\n  ancestor ", "\n  ")):
        assert not all(bench.of_lineage("cardiac", cards, text))


def test_a_child_of_photographs_and_then_scans_is_killed(bench, tmp_path):
    first = bench.stage_of("first", bench.PHOTOGRAPHS, 5, parent="parent.safetensors")
    (tmp_path / "resume.toml").write_text(bench.recipe_of(1, first, bench.stage_of("second", bench.HEADS, 5, "lora:4")))
    recipe = read_recipe(tmp_path / "resume.toml")
    assert recipe.task.channels == 1
    assert [(s.name, s.init_from, s.trainable, s.data) for s in recipe.stage] == [
        ("first", "parent.safetensors", "all", ["natural/validation/1*"]),
        ("second", None, "lora:4", ["mri/multicontrast@train"]),
    ]
