"""`make priors`: each prior after its parents, which are found in the folder where an earlier rule has put them."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
GENERATIONS = ["photo", "mri_source", "mri", "cardiac"]

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


@pytest.mark.parametrize(
    "changed, expected",
    [
        ("recipes/photo.toml", GENERATIONS),
        ("recipes/mri_source.toml", GENERATIONS[1:]),
        ("recipes/splits.toml", GENERATIONS[2:]),
        ("recipes/cardiac.toml", GENERATIONS[3:]),
        ("recipes/target.toml", []),
    ],
)
def test_what_comes_after_a_change_is_trained_again(clone, changed, expected):
    built = [output for _, _, output in trained(said(clone))]
    for file in (*built, *shipped(clone), ".venv/bin/python", ".venv/core", ".venv/dev"):
        (clone / file).parent.mkdir(parents=True, exist_ok=True)
        (clone / file).touch()
    for file in clone.rglob("*"):
        os.utime(file, (0, 0))  # nothing is newer than what it is made of
    assert trained(said(clone)) == []
    assert [recipe for _, recipe, _ in trained(said(clone, "-W", changed))] == expected
