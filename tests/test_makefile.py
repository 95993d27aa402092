"""`make priors`: each prior after its parents, which are found in the folder where an earlier rule has put them."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.conftest import write_tiny

from veriscale.diffusion.card import Data
from veriscale.diffusion.checkpoint import read_card
from veriscale.stages.data import PictureSet
from veriscale.stages.inheritance import Parent
from veriscale.stages.provenance import provenance
from veriscale.stages.recipe_file import read_recipe

ROOT = Path(__file__).parent.parent
GENERATIONS = ["photo", "mri_source", "mri", "cardiac", "mri_guided"]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def clone(tmp_path) -> Path:
    """Makefile, recipes and what the environment is made of."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    return tmp_path


def shipped(clone: Path) -> list[str]:
    """What `make priors` makes before it measures, which is not asked for by that name: make -n would run the rest."""
    text = (clone / "Makefile").read_text()
    (folder,) = re.findall(r"^PRIORS := (.*)$", text, re.MULTILINE)
    (files,) = re.findall(r"^priors: (.*)$", text, re.MULTILINE)
    return files.replace("$(PRIORS)", folder).split()


def said(clone: Path, *options: str) -> str:
    """What make would do for the shipped priors."""
    command = ["make", "-n", *options, *shipped(clone)]
    return subprocess.run(command, cwd=clone, check=True, capture_output=True, text=True).stdout


def trained(text: str) -> list[tuple[str, str, str]]:
    """The folder of parents, the recipe and the output of each training, in turn."""
    return re.findall(r"(?:VERISCALE_PRIORS=(\S+) )?\S+/veriscale train recipes/(\w+)\.toml .*-o (\S+)", text)


def parents(table: Any) -> set[str]:
    """All values of init_from, however deep."""
    if isinstance(table, list):
        return set().union(*map(parents, table))
    if not isinstance(table, dict):
        return set()
    own = {table["init_from"]} if "init_from" in table else set()
    return own.union(*map(parents, table.values()))


def test_from_a_clone_each_prior_is_trained_after_its_parents_and_finds_them(clone):
    there: set[str] = set()
    recipes = []
    for line in said(clone).splitlines():
        for folder, recipe, output in trained(line):
            named = parents(tomllib.loads((clone / "recipes" / f"{recipe}.toml").read_text()))
            assert {f"{folder}/{name}.safetensors" for name in named} <= there, recipe
            there.add(output)
            recipes.append(recipe)
        if copied := re.search(r"\bcp (build/\S+) (\S+)$", line):
            assert copied[1].replace(".training", "") in there
            there.add(copied[2])
    assert sorted(recipes[:2]) == ["photo_first", "photo_long"]
    assert recipes[2:] == GENERATIONS
    assert {*shipped(clone)} <= there


def touch_all(clone: Path) -> None:
    """Files where the priors and what they are made of would be."""
    built = [output for _, _, output in trained(said(clone))]
    for file in (*built, *shipped(clone), ".venv/bin/python", ".venv/core", ".venv/dev"):
        (clone / file).parent.mkdir(parents=True, exist_ok=True)
        (clone / file).touch()


@pytest.mark.parametrize(
    "changed, expected",
    [
        ("recipes/photo.toml", GENERATIONS),
        ("recipes/mri_source.toml", GENERATIONS[1:]),
        ("recipes/splits.toml", GENERATIONS[2:]),
        ("recipes/cardiac.toml", ["cardiac"]),
        ("recipes/mri_guided.toml", ["mri_guided"]),
        ("recipes/target.toml", []),
    ],
)
def test_what_comes_after_a_change_is_trained_again(clone, changed, expected):
    touch_all(clone)
    for file in clone.rglob("*"):
        os.utime(file, (0, 0))  # nothing is newer than what it is made of
    assert trained(said(clone)) == []
    assert [recipe for _, recipe, _ in trained(said(clone, "-W", changed))] == expected


STATES = [name.replace("_", "-") for name in GENERATIONS]
TRAIN = """#!/bin/sh
test "$1" = train || exit 0
state=${5%.safetensors}.training.safetensors
test -e "$state" && echo "$2 goes on" >> said || echo "$2 begins" >> said
test -e "$state" || cp new.state "$state"
cp trained.safetensors "$5"
"""
PYTHON = f"""#!/bin/sh
test "$1" != recipes/outdated_state.py || exec "{sys.executable}" "$@"
"""


@pytest.fixture
def kept(clone) -> Path:
    """All priors, and states of theirs that began with these, with what trains in the trainer's place."""
    touch_all(clone)
    recipe, pictures = read_recipe(ROOT / "recipes" / "photo.toml"), [PictureSet([], [], Data("*", 0, "", "CC0"))]
    for name, channels in (("old", 1), ("new", 3)):
        path = write_tiny(clone / f"{name}.safetensors", channels)
        begun = provenance(recipe, pictures, pictures, ["more.encoder"], Parent(read_card(path), path))
        facts = {"phase": "more.encoder", "step": 1, "seconds": 1.0, "recipe": begun}
        save_file({"x": torch.zeros(1)}, clone / f"{name}.state", {"facts": json.dumps(facts)})
    for file in {*clone.rglob("build/*.safetensors"), *clone.rglob("priors/*.safetensors")}:
        shutil.copy(clone / "old.safetensors", file)
    for name in STATES:
        shutil.copy(clone / "old.state", clone / "build" / f"{name}.training.safetensors")
    for name, text in (("veriscale", TRAIN), ("python", PYTHON)):
        (clone / ".venv" / "bin" / name).write_text(text)
        (clone / ".venv" / "bin" / name).chmod(0o755)
    for file in clone.rglob("*"):
        os.utime(file, (0, 0))
    return clone


@pytest.mark.parametrize("parent, begun", [("new", ["photo", "mri_source", "cardiac", "mri_guided"]), ("old", [])])
def test_states_of_another_parent_are_put_aside_and_all_others_go_on(kept, parent, begun):
    """And mri goes on from the source's new state."""
    shutil.copy(kept / f"{parent}.safetensors", kept / "trained.safetensors")
    for name in ("first", "long"):
        shutil.copy(kept / f"{parent}.safetensors", kept / "build" / f"photo-{name}.safetensors")
    states = [kept / "build" / f"{name}.training.safetensors" for name in STATES]
    subprocess.run(["make", *shipped(kept)], cwd=kept, check=True, capture_output=True)
    assert (kept / "said").read_text().splitlines() == [
        f"recipes/{name}.toml {'begins' if name in begun else 'goes on'}" for name in GENERATIONS
    ]
    expected = (kept / ("new.state" if begun else "old.state")).read_bytes()
    assert [state.read_bytes() == expected for state in states] == [True] * len(states)
    aside = [state.with_suffix(".outdated") for state in states]
    assert all(old.read_bytes() == (kept / "old.state").read_bytes() for old in aside if old.exists())
    assert [old.exists() for old in aside] == [bool(begun)] * len(states)


def test_what_cannot_be_read_is_left_to_training(kept):
    for text in (b"", bytes(100)):
        state = kept / "build" / "cardiac.training.safetensors"
        state.write_bytes(text)
        command = [sys.executable, "recipes/outdated_state.py", state, kept / "old.safetensors"]
        subprocess.run(command, cwd=kept, check=True)
        assert state.read_bytes() == text


def test_a_state_without_a_part_of_another_parent_goes_on(kept):
    """A phase that was not begun has taken nothing."""
    shutil.copy(kept / "old.safetensors", kept / "trained.safetensors")
    shutil.copy(kept / "new.safetensors", kept / "build" / "photo-long.safetensors")
    subprocess.run(["make", *shipped(kept)], cwd=kept, check=True, capture_output=True)
    assert "begins" not in (kept / "said").read_text()
