"""What a command takes, though it is cut off on the way, and that the command is one of the recipe."""

import json
import sys
import time
import tomllib
from itertools import pairwise
from types import SimpleNamespace

import pytest

from veriscale.stages.recipe_file import read_recipe

SAVED, LOST = 0.3, 1.5  # seconds before and after the state is saved
CHILD = f"""
import sys, time
held = b"x" * 150_000_000
time.sleep({SAVED})
open(sys.argv[1], "a").write("step")
time.sleep(float(sys.argv[2]))
sys.exit(int(sys.argv[3]))
"""


@pytest.fixture
def bench(benchmark, monkeypatch):
    module = benchmark("stages_cost")
    monkeypatch.setattr(module, "PAUSE", 0.02)
    return module


def test_a_run_that_was_cut_off_counts_until_its_state(bench, tmp_path):
    state, kept = tmp_path / "state", tmp_path / "kept.json"

    def child(rest, code):
        return [sys.executable, "-c", CHILD, str(state), str(rest), str(code)]

    begun = time.monotonic()
    with pytest.raises(SystemExit, match="ended with 3"):
        bench.taken(child(LOST, 3), state, kept)
    whole = time.monotonic() - begun
    first, peak, ended = json.loads(kept.read_text())
    assert SAVED <= first < whole - LOST / 2
    assert not ended
    assert 0.15 < peak < 1
    begun = time.monotonic()
    seconds, memory = bench.taken(child(0, 0), state, kept)
    assert first + SAVED < seconds <= first + time.monotonic() - begun
    assert memory >= peak
    assert bench.taken(["nothing of that name"], state, kept) == (seconds, memory)  # it is done


def test_the_command_is_the_recipe_on_ten_patients(bench, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(bench.subprocess, "run", lambda command, check: asked.append(command))
    monkeypatch.setattr(bench, "read_card", lambda path: SimpleNamespace(budget=SimpleNamespace(seconds=2.0)))
    assert bench.pace() == 200.0
    (probe,) = asked
    whole = read_recipe(bench.RECIPE, overrides(bench.command(tmp_path / "prior.safetensors")))
    few = read_recipe(bench.RECIPE, overrides(probe))
    assert [stage.subjects for stage in (*whole.stage, *few.stage)] == [10, 10]
    steps = {name: phase.steps for name, phase in whole.stage[0].phases().items()}
    assert {name: 100 * phase.steps for name, phase in few.stage[0].phases().items()} == steps
    assert "--resume" in probe


def test_the_recipe_is_that_of_a_folder_of_ones_own(bench):
    """But for whose scans they are, and under which licence."""
    ours, users = (tomllib.loads(path.read_text()) for path in (bench.RECIPE, bench.RECIPE.with_name("target.toml")))
    for recipe in (ours, users):
        del recipe["name"]
        for key in ("data", "licence", "validation", "hold_out", "subjects"):
            recipe["stage"][0].pop(key, None)
    assert ours == users


def overrides(command):
    return [word for before, word in pairwise(command) if before == "--set"]


def test_the_rows_tell_steps_and_are_on_the_page(bench, benchmark):
    phases = [SimpleNamespace(network="encoder", steps=450), SimpleNamespace(network="denoiser", steps=1500)]
    card = SimpleNamespace(budget=SimpleNamespace(phases=phases, seconds=1800.0))
    minutes, memory = bench.rows_of(3600.0, 1.5, card)
    assert [minutes.id, memory.id] == [row for row in benchmark("table").ROWS if row.startswith("stages.cost")]
    assert (minutes.value, minutes.unit, memory.value, memory.unit) == (60.0, "min", 1.5, "GB")
    assert minutes.against == {"steps of encoder": 450, "steps of denoiser": 1500, "minutes of steps alone": 30.0}
