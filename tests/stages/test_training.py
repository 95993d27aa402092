"""Training end to end on a toy recipe: a prior comes out, killed runs go on, a predictor is added."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file as load_stored
from safetensors.torch import load_file, save_file
from tests.stages.conftest import RECIPE

import veriscale.stages.trainer as trainer
from veriscale.diffusion.checkpoint import load_checkpoint, read_card, save_prior
from veriscale.diffusion.error_predictor import THRESHOLDS
from veriscale.diffusion.prior import build
from veriscale.diffusion.sealed import tensors_digest
from veriscale.errors import InputError
from veriscale.imaging.read import read_photo
from veriscale.stages import measurements
from veriscale.stages.batches import Batch
from veriscale.stages.losses import PredictorLoss
from veriscale.stages.recipe import NETWORKS
from veriscale.stages.state import read_facts
from veriscale.stages.training import train
from veriscale.workflows.restoring.door import restore

KILLED = """
import os, signal, sys
import veriscale.stages.trainer as trainer
from veriscale.stages.training import train
from veriscale.stages.curves import Curves
trainer.SAVE_EVERY = 0.0
Curves._draw = lambda self, path: None  # a picture after every step would take most of the time
def progress(phase, step, steps, loss, held_out):
    if phase == sys.argv[3] and step == 50:
        os.kill(os.getpid(), signal.SIGKILL)
train(sys.argv[1], sys.argv[2], cpu=True, resume=True, progress=progress)
"""


@pytest.fixture
def few_measurements(monkeypatch):
    monkeypatch.setattr(measurements, "STARTS", (1.0,))
    monkeypatch.setattr(measurements, "LEVELS", 3)
    monkeypatch.setattr(measurements, "RATIOS", (1.0, 0.9))
    monkeypatch.setattr("veriscale.stages.card_measurements.STEPS", 1)
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
        progress=lambda phase, step, steps, loss, held_out: losses.append((phase, step, loss)),
        tell=told.append,
    )
    card = read_card(path)
    assert (card.name, card.network.scales) == ("toy", [2, 4])
    assert card.temperature == 1  # of photographs
    assert [m.scale for m in card.modes] == [0, 2, 4]
    assert all(len(m.variance) == len(m.noise_std) and len(m.variance[0]) == len(m.sigma) == 3 for m in card.modes)
    assert {(t.scale, t.noise_std) for t in card.dial} == {(s, n) for s in (2, 4) for n in (0.0, 0.05)}
    assert all(t.fraction[0] == 0 and t.fraction[-1] == 1 for t in card.dial)
    assert (card.training[0].files, card.training[0].licence, card.validation[0].files) == (2, "CC0", 1)
    assert (card.budget.encoder_steps, card.budget.denoiser_steps, card.budget.predictor_steps) == (60, 60, 60)
    assert [(p.network, p.steps, p.batch, p.optimiser) for p in card.budget.phases] == [
        ("encoder", 60, 2, "muon"),
        ("denoiser", 60, 2, "adam"),
        ("predictor", 60, 2, "adam"),
    ]
    assert [(p, s) for p, s, _ in losses] == [(f"toy.{n}", 50) for n in NETWORKS]
    for scale in (2, 4):
        assert card.metrics[f"validation crops, x{scale}, luma PSNR at dial 0, dB"] > 10
        told_by = f"validation crops, x{scale}, area under the ROC curve of predicted errors above 0.1"
        assert 0 < card.metrics[told_by] < 1
    predictor = {k: v for k, v in load_stored(path).items() if k.startswith("predictor.")}
    assert card.predictor_sha256 == tensors_digest(predictor) != card.tensors_sha256
    for data, names in ((card.training, ("chelsea.png", "coffee.png")), (card.validation, ("astronaut.png",))):
        digits = [hashlib.sha256((skimage_data / n).read_bytes()).hexdigest()[:16] for n in names]
        assert data[0].each == digits
    assert (tmp_path / "toy.training.csv").read_text().startswith("phase,step,seconds,loss")
    assert (tmp_path / "toy.training.png").read_bytes().startswith(b"\x89PNG")
    prior = load_checkpoint(path, torch.device("cpu"), torch.float32)
    assert prior.predictor is not None
    image = restore(skimage_data / "coffee.png", prior, scale=2, dial=0).image
    assert image.pixels.shape == (800, 1200, 3)

    with pytest.raises(InputError, match="exists already"):
        train(recipe, path, cpu=True)
    with pytest.raises(InputError, match="another recipe: seed was 3 and is 4"):
        train(recipe, path, cpu=True, force=True, resume=True, overrides=["seed=4"])


def test_a_run_that_was_cut_off_is_not_begun_anew_unasked(recipe, tmp_path):
    state = tmp_path / "toy.training.safetensors"
    state.write_bytes(b"hours of work")
    with pytest.raises(InputError, match=r"holds an earlier run; resume goes on with it, and force begins anew"):
        train(recipe, tmp_path / "toy.safetensors", cpu=True)
    assert [*tmp_path.glob("toy.training*")] == [state]
    assert state.read_bytes() == b"hours of work"


@pytest.mark.parametrize("name", ["mine", "v1.2"])
def test_a_prior_has_a_name_by_which_it_is_found(recipe, tmp_path, name):
    with pytest.raises(InputError, match=r"found by a file NAME\.safetensors, and .* is no such name; call it so"):
        train(recipe, tmp_path / "new" / name, cpu=True)
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="no folder in which nobody, not even root, may make a file")
def test_a_folder_that_cannot_be_written_to_is_named(recipe):
    with pytest.raises(InputError, match=r"^cannot write into /sys: the (folder|disk) "):
        train(recipe, "/sys/toy.safetensors", cpu=True)


PARTS = ("encoder.", "denoiser.", "predictor.")


def weights(state: Path) -> dict[str, torch.Tensor]:
    return {k: v for k, v in load_file(state).items() if k.startswith(PARTS)}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], *parts: str) -> bool:
    """Whether the weights of some parts are the same to the last bit."""
    names = [k for k in one if k.startswith(parts)]
    assert names == [k for k in other if k.startswith(parts)]
    return all(torch.equal(one[k], other[k]) for k in names)


def state_of(prior: Path) -> Path:
    return prior.with_suffix(".training.safetensors")


@pytest.fixture
def unmeasured(monkeypatch):
    """In one thread, as the processes are that are killed, and without what is measured at the end."""
    monkeypatch.setattr("veriscale.stages.training.measured", lambda prior, validation, tell: prior.card)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, skimage_data) -> Path:
    """The prior of an uninterrupted run, in one thread, unmeasured."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "toy.toml").write_text(RECIPE)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERISCALE_DATA", str(skimage_data))
        patch.setattr("veriscale.stages.training.measured", lambda prior, validation, tell: prior.card)
        path = train(folder / "toy.toml", folder / "whole.safetensors", cpu=True)
    torch.set_num_threads(threads)
    return path


def kill(script: str, recipe: Path, prior: Path, *arguments: str) -> None:
    """Train in a process that kills itself."""
    command = [sys.executable, "-c", script, str(recipe), str(prior), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("unmeasured")
def test_a_run_killed_in_every_phase_ends_as_an_uninterrupted_one(recipe, tmp_path, whole):
    cut = tmp_path / "cut.safetensors"
    states = []
    for phase in ("encoder", "denoiser", "predictor"):
        kill(KILLED, recipe, cut, f"toy.{phase}")
        assert not cut.exists()
        states.append(weights(state_of(cut)))
    train(recipe, cut, cpu=True, resume=True)
    expected = weights(state_of(whole))
    assert equal(expected, weights(state_of(cut)), *PARTS)
    assert read_card(cut).tensors_sha256 == read_card(whole).tensors_sha256
    for state, parts in zip(states, PARTS, strict=True):  # each was cut before its end
        assert not equal(expected, state, parts)
    assert equal(expected, states[2], "encoder.", "denoiser.")  # the last phase leaves them as they were


def without_predictor(recipe: Path) -> Path:
    """The same recipe without a predictor."""
    text = RECIPE[: RECIPE.index("[predictor]")] + RECIPE[RECIPE.index("[[stage]]") :]
    path = recipe.with_name("without.toml")
    path.write_text(text.partition("[stage.predictor]")[0])
    return path


@pytest.mark.usefixtures("unmeasured")
def test_a_predictor_is_added_to_a_finished_prior(recipe, tmp_path, whole):
    path = tmp_path / "toy.safetensors"
    train(without_predictor(recipe), path, cpu=True)
    before = weights(state_of(path))
    assert read_card(path).network.predictor is None
    assert read_card(path).predictor_sha256 == ""
    assert load_checkpoint(path, torch.device("cpu"), torch.float32).predictor is None
    assert not any(k.startswith("predictor.") for k in before)

    phases: list[str] = []
    train(recipe, path, cpu=True, resume=True, force=True, progress=lambda phase, *rest: phases.append(phase))
    assert phases == ["toy.predictor"]
    after = weights(state_of(path))
    assert equal(before, after, "encoder.", "denoiser.")
    assert equal(weights(state_of(whole)), after, *PARTS)  # as if it had been there from the beginning
    assert read_card(path).tensors_sha256 == read_card(whole).tensors_sha256

    train(recipe, path, cpu=True, resume=True, force=True, progress=lambda phase, *rest: phases.append(phase))
    assert phases == ["toy.predictor"]  # of a finished run nothing is trained again
    assert read_card(path).tensors_sha256 == read_card(whole).tensors_sha256
    for other, overrides in ((recipe, ["predictor.depth=2"]), (without_predictor(recipe), [])):
        with pytest.raises(InputError, match="another recipe"):
            train(other, path, cpu=True, resume=True, force=True, overrides=overrides)


def test_the_predictor_learns_how_likely_errors_are(tiny):
    """Of a mean that is off by more than a threshold in a known share of the pixels, that share."""
    torch.manual_seed(0)
    encoder, predictor = build(tiny.card.network)[::2]
    loss = PredictorLoss(encoder, predictor, margin=0)
    y = torch.rand(1, 3, 16, 16)
    std = torch.zeros(1)
    with torch.no_grad():
        mean = encoder(y, 4, std).mean.clamp(0, 1)
    optimizer = torch.optim.Adam([p for p in loss.parameters() if p.requires_grad], lr=3e-3)
    flags = torch.zeros(1, dtype=torch.bool)
    for _ in range(60):
        error = 0.12 * (torch.rand(1, 1, 64, 64) < 0.25)  # above 0.1 in a quarter of the pixels, above 0.15 in none
        value = loss(Batch(mean + error, y, 4, std, flags, std, mean))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    with torch.no_grad():
        chance = torch.sigmoid(predictor(encoder(y, 4, std), 4)).mean((0, 2, 3))
    above = torch.tensor(THRESHOLDS) >= 0.12
    assert chance[~above].tolist() == pytest.approx([0.25] * int((~above).sum()), abs=0.04)
    assert (chance[above] < 0.05).all()
    assert all(p.grad is None for p in encoder.parameters())


def test_the_schedule_warms_up_and_ends_at_zero():
    rates = [trainer.rate("cosine", s, 1000) for s in range(1001)]
    assert rates[0] == pytest.approx(1 / trainer.WARM_UP)
    assert rates.index(max(rates)) == trainer.WARM_UP - 1
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert trainer.rate("constant", 0, 1000) == rates[0] / (0.5 * 2)
    assert {trainer.rate("constant", s, 1000) for s in range(trainer.WARM_UP, 1000)} == {1.0}


@pytest.mark.usefixtures("unmeasured")
def test_a_pause_is_no_training(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "LONGEST_STEP", 1e-6)  # every step is one in which the process was stopped
    card = read_card(train(recipe, tmp_path / "toy.safetensors", cpu=True))
    assert card.budget.seconds == 0
    assert read_facts(state_of(tmp_path / "toy.safetensors"))["seconds"] == pytest.approx(180e-6)


AGAIN = """
[[stage]]
name = "again"
data = ["coffee.png"]
validation = ["astronaut.png"]
licence = "CC0"
[stage.denoiser]
steps = 50
batch = 2
patch = 16
ema = 0.9
unconditional = 1.0
"""


@pytest.mark.usefixtures("unmeasured")
def test_a_recipe_grows_by_stages(recipe, tmp_path):
    """A state goes on with what is appended, as if it had been there; what lies behind it cannot change."""
    text = recipe.read_text()
    first = recipe.with_name("first.toml")
    first.write_text(text.partition("[stage.denoiser]")[0])
    path, told, phases = tmp_path / "toy.safetensors", [], []
    assert train(first, path, cpu=True, tell=told.append) is None
    assert told[-1].startswith("no prior yet: no stage trains the denoiser and the predictor; ")
    assert not path.exists()
    before = weights(state_of(path))
    recipe.write_text(text + AGAIN)
    log = lambda phase, *rest: phases.append(phase)  # noqa: E731
    assert train(recipe, path, cpu=True, resume=True, progress=log) == path
    assert phases == ["toy.denoiser", "toy.predictor", "again.denoiser"]
    after = weights(state_of(path))
    assert torch.equal(before["encoder.trunk.0.first.weight"], after["encoder.trunk.0.first.weight"])
    card = read_card(path)
    assert (card.budget.denoiser_steps, [p.stage for p in card.budget.phases]) == (110, ["toy"] * 3 + ["again"])
    assert [d.files for d in card.training] == [2, 1]

    at_once = tmp_path / "once.safetensors"
    train(recipe, at_once, cpu=True)
    assert equal(weights(state_of(at_once)), after, *PARTS)

    for overrides, words in (
        (["stage.toy.encoder.lr=2e-3"], r"stage\.toy\.encoder\.lr was 0\.001 and is 0\.002"),
        (["stage.again.denoiser.unconditional=0.5"], r"stage\.again\.denoiser\.unconditional was 1\.0 and is 0\.5"),
        (["stage.toy.data=coffee.png"], r"the pictures of stage\.toy\.data are others"),
        (["stage.again.name=more"], r"phases was .* and is .*more\.denoiser"),
    ):
        with pytest.raises(InputError, match=f"another recipe: {words}"):
            train(recipe, path, cpu=True, resume=True, force=True, overrides=overrides)
    phases.clear()
    train(recipe, path, cpu=True, resume=True, force=True, overrides=["stage.toy.licence=CC0 1.0"], progress=log)
    assert not phases  # of what does not enter the weights


LOW = """
[[stage]]
name = "low"
data = ["coffee.png"]
validation = ["astronaut.png"]
licence = "CC0"
trainable = "lora:2"
[stage.encoder]
steps = 52
batch = 2
patch = 8
ema = 0.9
[stage.denoiser]
steps = 52
batch = 2
patch = 16
ema = 0.9
[stage.predictor]
steps = 52
batch = 2
patch = 8
ema = 0.9
"""

MERGING = """
import os, signal, sys
import veriscale.stages.trainer as trainer
from veriscale.stages.lora import LowRank
from veriscale.stages.training import train
trainer.SAVE_EVERY = 0.0
trainer.Curves.flush = lambda self: None
merge = LowRank.merge
def merged(self):
    merge(self)
    if any(name.startswith(sys.argv[3]) for name in self.names):
        os.kill(os.getpid(), signal.SIGKILL)
LowRank.merge = merged
train(sys.argv[1], sys.argv[2], cpu=True, resume=True)
"""


def copied(whole: Path, path: Path) -> Path:
    """A prior's path with the state of the first stage beside it."""
    state_of(path).write_bytes(state_of(whole).read_bytes())
    return path


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("unmeasured")
def test_a_stage_of_low_rank_killed_inside_and_while_merging_ends_as_an_uninterrupted_one(recipe, tmp_path, whole):
    recipe.write_text(recipe.read_text() + LOW)
    at_once, cut = (copied(whole, tmp_path / f"{name}.safetensors") for name in ("once", "cut"))
    before = weights(state_of(at_once))
    train(recipe, at_once, cpu=True, resume=True)
    expected = weights(state_of(at_once))
    assert not any(k.startswith("lora.") for k in load_file(state_of(at_once)))  # of a finished phase: plain weights
    for part in NETWORKS:
        moved = {k for k in before if k.startswith(part) and not torch.equal(before[k], expected[k])}
        assert moved
        assert all(before[k].ndim == 4 for k in moved)  # convolutions, and no bias
        kill(KILLED, recipe, cut, f"low.{part}")
        state = load_file(state_of(cut))
        assert {k.partition(".")[0] for k in state} > {"lora"}
        assert equal(before if part == "encoder" else state, state, f"{part}.trunk", f"{part}.into")  # plain, unmerged
        kill(MERGING, recipe, cut, part)
        assert any(k.startswith("lora.") for k in load_file(state_of(cut)))
    train(recipe, cut, cpu=True, resume=True)
    assert equal(expected, weights(state_of(cut)), *PARTS)
    assert read_card(cut).tensors_sha256 == read_card(at_once).tensors_sha256
    assert at_once.read_bytes() != whole.read_bytes()
    phases = read_card(cut).budget.phases
    assert [(p.stage, p.trainable) for p in phases] == [("toy", "all")] * 3 + [("low", "lora:2")] * 3
    assert all(p.parameters < q.parameters for p, q in zip(phases[3:], phases, strict=False))
    with pytest.raises(InputError, match=r"stage\.low\.trainable was lora:2 and is decoder"):
        train(recipe, cut, cpu=True, resume=True, force=True, overrides=["stage.low.trainable=decoder"])


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("patience, evaluations", [(0, 1), (2, 2)])
def test_two_processes_train_a_low_rank_as_one_does(recipe, tmp_path, patience, evaluations):
    sets = ["trainable=lora:2", "evaluate=4", f"patience={patience}", "encoder.optimiser=adam"]
    sets += [f"{n}.steps=6" for n in NETWORKS]
    overrides = ["precision=float32", "measure=modes", *(f"stage.toy.{s}" for s in sets)]
    one, two = (tmp_path / f"{name}.safetensors" for name in ("one", "two"))
    train(recipe, one, cpu=True, overrides=overrides)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "veriscale"]
    options = [part for s in overrides for part in ("--set", s)]
    command = [*launch, "train", str(recipe), "-o", str(two), "--device", "cpu", *options]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = (weights(state_of(path)) for path in (one, two))
    assert first.keys() == second.keys()
    assert max(float((first[k] - second[k]).abs().max()) for k in first) <= 1e-5
    lines = [path.with_suffix(".training.csv").read_text().splitlines()[1:] for path in (one, two)]
    losses = [[float(line.split(",")[4]) for line in each] for each in lines]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert len(losses[0]) == 3 * evaluations  # with patience of the beginning and the end; these cost too much for more


@pytest.mark.usefixtures("unmeasured")
def test_a_rank_too_large_is_said_before_any_step(recipe, tmp_path):
    phases: list[str] = []
    with pytest.raises(
        InputError, match=r"stage\.toy\.trainable: Rank 65 .* larger than any convolution of the encoder's phase"
    ):
        train(
            recipe,
            tmp_path / "out" / "deeper" / "toy.safetensors",
            cpu=True,
            overrides=["stage.toy.trainable=lora:65", "stage.toy.encoder.optimiser=adam"],
            progress=lambda phase, *rest: phases.append(phase),
        )
    assert not phases
    assert [f.name for f in tmp_path.iterdir()] == ["toy.toml"]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("trainable", ["all", "lora:2"])
def test_evaluation_disturbs_nothing(recipe, tmp_path, whole, trainable):
    recipe.write_text(recipe.read_text() + LOW.replace("lora:2", trainable))
    found: list[tuple[str, int, float | None]] = []
    log = lambda phase, step, steps, loss, held_out: found.append((phase, step, held_out))  # noqa: E731
    for name, every in (("never", 0), ("often", 13)):
        path = copied(whole, tmp_path / f"{name}.safetensors")
        train(recipe, path, cpu=True, resume=True, overrides=[f"stage.low.evaluate={every}"], progress=log)
    one, other = (weights(state_of(tmp_path / f"{name}.safetensors")) for name in ("never", "often"))
    assert equal(one, other, *PARTS)
    phases = [f"low.{n}" for n in NETWORKS]
    assert [(p, s) for p, s, _ in found[:3]] == [(p, 50) for p in phases]
    assert all(held_out is None for *_, held_out in found[:3])
    assert [(p, s) for p, s, _ in found[3:]] == [(p, s) for p in phases for s in (13, 26, 39, 50, 52)]
    rows = [r.split(",") for r in (tmp_path / "often.training.csv").read_text().splitlines()]
    assert rows[0] == ["phase", "step", "seconds", "loss", "held_out"]
    told = {(p, s): h for p, s, h in found[3:]}
    for phase, step, _, _, held_out in rows[1:]:
        assert held_out == ("" if step == "50" else f"{told[phase, int(step)]:.6g}")


@pytest.mark.usefixtures("few_measurements")
def test_a_study_pays_for_the_modes_alone(recipe, tmp_path, whole, skimage_data):
    told: list[str] = []
    path = copied(whole, tmp_path / "toy.safetensors")
    train(recipe, path, cpu=True, resume=True, overrides=["measure=modes"], tell=told.append)
    assert told == ["measuring distortion at dial 0, and how well its error is predicted"]
    card = read_card(path)
    assert card.metrics
    assert [(m.scale, m.sigma, m.level_ratio) for m in card.modes] == [(s, [], 1.0) for s in (0, 2, 4)]
    assert all(m.sigma_data[0] > 0 for m in card.modes)
    assert (card.dial, card.calm, card.consistency) == ([], [], [])
    prior = load_checkpoint(path, torch.device("cpu"), torch.float32)
    photo = read_photo(skimage_data / "coffee.png")
    small = photo.with_pixels(photo.pixels[:32, :48])
    for asked in ({"scale": 2}, {"operator": "inpaint:keep=0.5"}):
        images = [restore(small, prior, dial=dial, noise=0.0, seed=0, **asked).image.pixels for dial in (0, 1)]
        assert all(np.isfinite(i).all() for i in images)
        assert not np.array_equal(*images)
        with pytest.raises(InputError, match=r"needs v\(sigma\).* measure = 'all'"):
            restore(small, prior, dial=1, noise=0.0, sampler="ancestral", **asked)
    with pytest.raises(InputError, match=r"no dial table .* only dial 0 and 1 can be reached; measured: none\."):
        restore(small, prior, scale=2, dial=0.5)
    assert restore(small, prior, dial=0.5, noise=0.0, seed=0, operator="inpaint:keep=0.5").image  # by a pilot


def test_a_half_written_state_is_named(recipe, tmp_path, whole):
    path = copied(whole, tmp_path / "toy.safetensors")
    content = state_of(path).read_bytes()
    for length in (len(content) // 2, len(content) - 1, 4, 0):
        state_of(path).write_bytes(content[:length])
        with pytest.raises(InputError, match=r"state .*toy\.training\.safetensors cannot be read: .*; delete it"):
            train(recipe, path, cpu=True, resume=True)
        assert len(state_of(path).read_bytes()) == length


@pytest.fixture
def small_files():
    """No file may be larger than 20 kB from now on, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("unmeasured")
def test_a_state_that_finds_no_room_is_said_and_the_one_before_survives(recipe, tmp_path, small_files):
    short = [f"stage.toy.{n}.steps=2" for n in NETWORKS]
    path = tmp_path / "toy.safetensors"
    train(recipe, path, cpu=True, overrides=short)
    path.unlink()
    before = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    recipe.write_text(recipe.read_text() + LOW)
    before[recipe.name] = recipe.read_bytes()
    small_files()
    with pytest.raises(InputError, match=r"cannot write .*toy\.training\.safetensors: the file is larger than allowed"):
        train(recipe, path, cpu=True, resume=True, overrides=[*short, "stage.low.encoder.steps=2"])
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == before


def test_a_prior_that_finds_no_room_is_said_and_the_one_before_survives(recipe, networks, tiny, tmp_path, small_files):
    path = tmp_path / "toy.safetensors"
    save_prior(networks, tiny.card, path)
    before = path.read_bytes()
    assert path.stat().st_mode == recipe.stat().st_mode  # whoever else may read the folder may read priors
    small_files()
    with pytest.raises(InputError, match=r"cannot write .*toy\.safetensors: the file is larger than allowed here"):
        save_prior(networks, tiny.card, path, force=True)
    assert path.read_bytes() == before
    assert {f.name for f in tmp_path.iterdir()} == {recipe.name, path.name}


@pytest.mark.usefixtures("unmeasured")
def test_training_that_diverged_is_said_and_the_state_kept(recipe, tmp_path):
    short = [f"stage.toy.{n}.steps=2" for n in NETWORKS]
    train(recipe, tmp_path / "toy.safetensors", cpu=True, overrides=short)
    path = tmp_path / "again.safetensors"
    with pytest.raises(InputError, match=r"diverged: after stage\.toy\.denoiser .* lower stage\.toy\.denoiser\.lr"):
        train(recipe, path, cpu=True, overrides=[*short, "stage.toy.denoiser.lr=1e30"])
    assert read_facts(state_of(path))["phase"] == "toy.encoder"
    assert not path.exists()
    train(recipe, path, cpu=True, resume=True, overrides=short)
    assert read_card(path).tensors_sha256 == read_card(tmp_path / "toy.safetensors").tensors_sha256


def test_another_file_in_the_place_of_a_state_is_named(recipe, tmp_path):
    save_file({"weight": torch.zeros(2)}, state_of(tmp_path / "toy.safetensors"))
    with pytest.raises(InputError, match=r"toy\.training\.safetensors is no training state but another file"):
        train(recipe, tmp_path / "toy.safetensors", cpu=True, resume=True)
