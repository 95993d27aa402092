"""`patience`: the best weights are kept, to the last bit of a run that was cut off too."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.stages.scans import RECIPE, write_set
from torch import nn

import veriscale.stages.trainer as trainer
from veriscale.diffusion.checkpoint import read_card
from veriscale.stages.average import MovingAverage
from veriscale.stages.early_stopping import Best
from veriscale.stages.recipe import NETWORKS
from veriscale.stages.splits import split_table
from veriscale.stages.training import train


def test_the_lowest_is_kept_and_patience_counts_from_it():
    module = nn.Linear(1, 1)
    average = MovingAverage(module, 0.0)
    best = Best(average, 3)
    ended = []
    for step, score in enumerate([3.0, 2.0, 2.0, math.nan, 1.5, 4.0, 1.5, 9.0]):
        average.average[0].fill_(step)
        best.hear(step, score)
        ended.append(best.ends)
    assert ended == [False] * 7 + [True]
    assert (best.step, best.score, best.waited) == (4, 1.5, 3)
    best.copy_into_module()
    assert module.weight.item() == 4
    again = Best(MovingAverage(module, 0.0), 3)
    again.restore(best.state(), best.facts)
    assert again.facts == best.facts
    assert float(again.weights[0]) == 4


@pytest.fixture
def scans(tmp_path, monkeypatch) -> Path:
    """A recipe of scans, unmeasured, and its parent's file beside it."""
    monkeypatch.setattr("veriscale.stages.training.measured", lambda prior, validation, tell: prior.card)
    monkeypatch.setattr("veriscale.stages.training.scored", lambda prior, validation, tell: prior.card)
    monkeypatch.setattr("veriscale.stages.curves.Curves._draw", lambda self, path: None)
    monkeypatch.setattr("veriscale.stages.score.PICTURES", 2)
    monkeypatch.setattr("veriscale.stages.score.STEPS", 2)
    write_set(tmp_path / "data" / "set")
    (tmp_path / "recipes").mkdir()
    table = split_table("set", tmp_path / "data", train=["one", "two"], validation=["held"])
    (tmp_path / "recipes" / "splits.toml").write_text(table)
    path = tmp_path / "recipes" / "scans.toml"
    path.write_text(RECIPE)
    monkeypatch.setenv("VERISCALE_DATA", str(tmp_path / "data"))
    short = [f"stage.toy.{n}.steps=2" for n in NETWORKS]
    train(path, tmp_path / "parent.safetensors", cpu=True, overrides=short)
    return path


def child(tmp_path: Path, *more: str) -> list[str]:
    return [f"stage.toy.init_from={tmp_path / 'parent.safetensors'}", "stage.toy.evaluate=4", *more]


def tensors(prior: Path) -> dict[str, torch.Tensor]:
    return load_file(prior)


@pytest.mark.parametrize("trainable", ["all", "lora:2"])
def test_where_nothing_helps_the_parent_is_kept_and_the_phase_ends(scans, tmp_path, trainable, monkeypatch):
    monkeypatch.setattr("veriscale.stages.score.SHARE", 0.9)
    rates = [f"stage.toy.{n}.{key}" for n in NETWORKS for key in ("lr=300.0", "schedule=constant")]
    told: list[str] = []
    sets = child(tmp_path, *rates, "stage.toy.patience=2", f"stage.toy.trainable={trainable}")
    path = train(scans, tmp_path / "child.safetensors", cpu=True, overrides=sets, tell=told.append)
    assert all(torch.equal(v, tensors(path)[k]) for k, v in tensors(tmp_path / "parent.safetensors").items())
    assert [(p.steps, p.kept) for p in read_card(path).budget.phases] == [(8, 0)] * 3
    assert read_card(path).budget.denoiser_steps == 8
    assert told[0] == "stage.toy.encoder ended after 8 of 30 steps with the weights of step 0, which were the best"
    rows = [r.split(",") for r in path.with_suffix(".training.csv").read_text().splitlines()[1:]]
    assert [(r[0], r[1]) for r in rows] == [(f"toy.{n}", s) for n in NETWORKS for s in ("0", "4", "8")]
    assert all(r[3] == "" for r in rows[::3])
    assert all(float(r[4]) > 0 for r in rows[::3])


def test_what_helps_is_kept(scans, tmp_path, monkeypatch):
    """The last evaluation is that of the last step, whether it is its turn or not, and the best is the lowest told."""
    monkeypatch.setattr("veriscale.stages.score.SHARE", 0.9)
    found: list[tuple[str, int, float | None]] = []
    log = lambda phase, step, steps, loss, held_out: found.append((phase, step, held_out))  # noqa: E731
    sets = child(tmp_path, "stage.toy.patience=9", "stage.toy.denoiser.steps=30", "stage.toy.encoder.steps=10")
    path = train(scans, tmp_path / "child.safetensors", cpu=True, overrides=sets, progress=log)
    assert [s for p, s, _ in found if p == "toy.encoder"] == [4, 8, 10]
    rows = [r.split(",") for r in path.with_suffix(".training.csv").read_text().splitlines()[1:]]
    for phase in read_card(path).budget.phases:
        scores = {int(r[1]): float(r[4]) for r in rows if r[0] == f"toy.{phase.network}"}
        assert phase.kept == min(scores, key=scores.__getitem__)
    assert any(phase.kept for phase in read_card(path).budget.phases)


class CutOffError(Exception):
    """Instead of a kill."""


@pytest.mark.parametrize("trainable, rate", [("all", 30.0), ("lora:2", 0.003), ("lora:2", 30.0)])
def test_a_run_that_was_cut_off_ends_with_the_same_bits(scans, tmp_path, trainable, rate, monkeypatch):
    """Where all gets better, and where the best lies before the cut and patience ends after it."""
    monkeypatch.setattr("veriscale.stages.score.SHARE", 0.9)
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)
    short = [f"stage.toy.{n}.{key}" for n in NETWORKS for key in ("steps=15", f"lr={rate}")]
    sets = child(tmp_path, *short, "stage.toy.evaluate=3", "stage.toy.patience=3", f"stage.toy.trainable={trainable}")
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    train(scans, whole, cpu=True, overrides=sets)
    told: list[int] = []

    def stop(phase, step, steps, loss, held_out):
        told.append(step)
        if len(told) == 2:
            told.clear()
            raise CutOffError

    times = 0
    while not cut.exists():
        try:
            train(scans, cut, cpu=True, overrides=sets, resume=True, progress=stop)
        except CutOffError:
            times += 1
    assert times >= 3
    assert {p.steps for p in read_card(whole).budget.phases} == ({9} if rate > 1 else {15})
    states = [load_file(path.with_suffix(".training.safetensors")) for path in (whole, cut)]
    assert states[0].keys() == states[1].keys()
    assert any(k.startswith("best.") for k in states[0])
    assert all(torch.equal(v, states[1][k]) for k, v in states[0].items())
    assert read_card(cut).tensors_sha256 == read_card(whole).tensors_sha256
    assert read_card(cut).budget.phases == read_card(whole).budget.phases
    curves = [path.with_suffix(".training.csv").read_text().splitlines() for path in (whole, cut)]
    columns = [[(r.split(",")[0], r.split(",")[1], r.split(",")[4]) for r in rows] for rows in curves]
    assert columns[0] == columns[1]


def test_evaluations_that_cost_too_much_are_made_rarer_and_it_is_said(scans, tmp_path):
    told: list[str] = []
    sets = child(tmp_path, "stage.toy.patience=2", "stage.toy.evaluate=1", "stage.toy.predictor.steps=0")
    train(scans, tmp_path / "child.safetensors", cpu=True, overrides=sets, tell=told.append)
    rarer = [line for line in told if "is evaluated every" in line]
    assert [line.partition(" is")[0] for line in rarer] == ["stage.toy.encoder", "stage.toy.denoiser"]
    assert rarer[0].endswith("steps and not every 1, which would take more than 20% of its work")
