"""Training end to end on a toy recipe: a prior comes out, killed runs go on, processes agree."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import veriscale.stages.trainer as trainer
from veriscale.diffusion.checkpoint import load_checkpoint, read_card
from veriscale.errors import InputError
from veriscale.stages import measurements
from veriscale.stages.training import train
from veriscale.workflows.restoration import restore

KILLED = """
import os, signal, sys
import veriscale.stages.trainer as trainer
from veriscale.stages.training import train
trainer.SAVE_EVERY = 0.0
def progress(phase, step, steps, loss):
    if phase == sys.argv[3] and step == 50:
        os.kill(os.getpid(), signal.SIGKILL)
train(sys.argv[1], sys.argv[2], cpu=True, resume=True, progress=progress)
"""


@pytest.fixture
def few_measurements(monkeypatch):
    monkeypatch.setattr(measurements, "STARTS", (1.0,))
    monkeypatch.setattr(measurements, "LEVELS", 3)
    monkeypatch.setattr(measurements, "RATIOS", (1.0, 0.9))
    monkeypatch.setattr("veriscale.stages.training.STEPS", 1)
    monkeypatch.setattr(measurements, "CROP", 48)
    monkeypatch.setattr(measurements, "DIAL_CROP", 48)


@pytest.mark.usefixtures("few_measurements")
def test_a_prior_comes_out_with_a_whole_card(recipe, tmp_path, skimage_data):
    losses: list[tuple[str, int, float]] = []
    told: list[str] = []
    path = train(
        recipe,
        tmp_path / "toy.safetensors",
        cpu=True,
        progress=lambda phase, step, steps, loss: losses.append((phase, step, loss)),
        tell=told.append,
    )
    card = read_card(path)
    assert (card.name, card.network.scales) == ("toy", [2, 4])
    assert [m.scale for m in card.modes] == [0, 2, 4]
    assert all(len(m.variance) == len(m.noise_std) and len(m.variance[0]) == len(m.sigma) == 3 for m in card.modes)
    assert {(t.scale, t.noise_std) for t in card.dial} == {(s, n) for s in (2, 4) for n in (0.0, 0.05)}
    assert all(t.fraction[0] == 0 and t.fraction[-1] == 1 for t in card.dial)
    assert (card.training[0].files, card.training[0].licence, card.validation[0].files) == (2, "CC0", 1)
    assert card.budget.encoder_steps == 60
    assert card.metrics
    assert [(p, s) for p, s, _ in losses] == [("encoder", 50), ("denoiser", 50)]
    assert (tmp_path / "toy.training.csv").read_text().startswith("phase,step,seconds,loss")
    assert (tmp_path / "toy.training.png").read_bytes().startswith(b"\x89PNG")
    prior = load_checkpoint(path, torch.device("cpu"), torch.float32)
    image = restore(skimage_data / "coffee.png", prior, scale=2, dial=0).image
    assert image.samples.shape == (800, 1200, 3)

    with pytest.raises(InputError, match="exists already"):
        train(recipe, path, cpu=True)
    with pytest.raises(InputError, match="another recipe"):
        train(recipe, path, cpu=True, force=True, resume=True, overrides=["seed=4"])


def weights(state: Path) -> dict[str, torch.Tensor]:
    return {k: v for k, v in load_file(state).items() if k.startswith(("encoder.", "denoiser."))}


@pytest.mark.timeout(600)
def test_a_run_killed_twice_ends_as_an_uninterrupted_one(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("veriscale.stages.training._measured", lambda prior, validation, tell: prior.card)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    states = []
    try:
        train(recipe, whole, cpu=True)
        for phase in ("encoder", "denoiser"):
            command = [sys.executable, "-c", KILLED, str(recipe), str(cut), phase]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert done.returncode == -signal.SIGKILL, done.stderr
            assert not cut.exists()
            states.append(weights(cut.with_suffix(".training.safetensors")))
        train(recipe, cut, cpu=True, resume=True)
    finally:
        torch.set_num_threads(threads)
    expected, resumed = (weights(p.with_suffix(".training.safetensors")) for p in (whole, cut))
    assert all(torch.equal(expected[k], resumed[k]) for k in expected)
    for state in states:  # both were cut before their end
        assert any(not torch.equal(expected[k], state[k]) for k in expected)


def test_the_schedule_warms_up_and_ends_at_zero():
    rates = [trainer.learning_rate(1.0, s, 1000) for s in range(1001)]
    assert rates[0] == pytest.approx(1 / trainer.WARM_UP)
    assert rates.index(max(rates)) == trainer.WARM_UP - 1
    assert rates[-1] == pytest.approx(0, abs=1e-12)
