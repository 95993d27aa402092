"""A recipe on scans, from files to a prior with its whole card."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.stages.scans import RECIPE, write, write_set
from tests.toy_recipe import toy_phase

from veriscale.diffusion.checkpoint import load_checkpoint, read_card
from veriscale.diffusion.library import STATE
from veriscale.errors import InputError
from veriscale.physics.registry import parse_operator
from veriscale.stages import (
    anchor_rule,
    batches,
    consistency,
    held_out,
    held_out_slices,
    measurements,
    path_rule,
    temperature,
)
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import crops
from veriscale.stages.splits import split_table
from veriscale.stages.training import pack_data, train
from veriscale.workflows.restoring.door import restore


@pytest.fixture
def scans(tmp_path, monkeypatch) -> Path:
    """A recipe of scans, with its splits."""
    write_set(tmp_path / "data" / "set")
    (tmp_path / "recipes").mkdir()
    table = split_table("set", tmp_path / "data", train=["one", "two"], validation=["held"])
    (tmp_path / "recipes" / "splits.toml").write_text(table)
    path = tmp_path / "recipes" / "scans.toml"
    path.write_text(RECIPE)
    monkeypatch.setenv("VERISCALE_DATA", str(tmp_path / "data"))
    return path


@pytest.fixture
def few_measurements(monkeypatch):
    monkeypatch.setattr(measurements, "STARTS", (1.0,))
    monkeypatch.setattr(measurements, "LEVELS", 3)
    monkeypatch.setattr(measurements, "RATIOS", (1.0, 0.9))
    monkeypatch.setattr("veriscale.stages.card_measurements.STEPS", 1)
    monkeypatch.setattr(held_out_slices, "MOST", 8)
    monkeypatch.setattr(temperature, "DRAWS", 2)
    monkeypatch.setattr(consistency, "NOISES", (0.0, 0.05))
    monkeypatch.setattr(consistency, "ZERO_SHOT", ("inpaint:keep=0.5", "blur:kernel=gaussian,std=3"))
    monkeypatch.setattr(anchor_rule, "RULES", ((("inpaint:keep=0.5",), {"mask_trust": (1.0, 0.7)}),))
    monkeypatch.setattr(path_rule, "SHARES", (0.5,))
    monkeypatch.setattr(path_rule, "STARTS", (0.25,))
    monkeypatch.setattr(path_rule, "WEIGHTS", (0.5,))
    monkeypatch.setattr(path_rule, "MIXING", ("downsample:factor=4,kernel=box",))


@pytest.fixture
def unrounded(monkeypatch):
    """No measurement is rounded to 8 bits, in training or after it."""

    def rounded(y):
        raise AssertionError("a measurement of scans is rounded")

    for module in (batches, held_out, consistency):
        monkeypatch.setattr(module, "quantise", rounded)


@pytest.mark.usefixtures("few_measurements", "unrounded")
def test_a_prior_of_scans_comes_out_with_a_whole_card(scans, tmp_path):
    path = train(scans, tmp_path / "scans.safetensors", cpu=True)
    card = read_card(path)
    assert card.network.channels == 1
    assert [(d.pattern, d.files, d.spacing) for d in (card.training[0], card.validation[0])] == [
        ("set@train", 3, [1.0, 1.0]),
        ("set@validation", 2, [1.0, 1.0]),
    ]
    for scale in (2, 4):
        assert card.metrics[f"validation crops, x{scale}, PSNR of peak 1 at dial 0, dB"] > 10
    assert [m.scale for m in card.modes] == [0, 2, 4]
    assert all(len(m.variance) == len(m.noise_std) for m in card.modes)
    assert {(t.scale, t.noise_std) for t in card.dial} == {(s, n) for s in (2, 4) for n in (0.0, 0.05)}
    assert len(card.consistency) == 4
    assert len(card.calm) == 4
    assert 0.1 < card.temperature < 10
    assert card.temperature != 1
    prior = load_checkpoint(path, torch.device("cpu"), torch.float32)
    restored = restore(tmp_path / "data" / "set" / "held" / "T1.nii.gz", prior, scale=2, dial=0)
    assert restored.image.shape == (84, 112, 11)


@pytest.mark.usefixtures("few_measurements")
def test_an_archive_of_scans_trains_the_same_prior(scans, tmp_path, monkeypatch):
    monkeypatch.setattr("veriscale.stages.training.measured", lambda prior, validation, tell: prior.card)
    assert pack_data(scans, tmp_path / "data.zip") == 5
    sets = [f"stage.toy.{key}={tmp_path / 'data.zip'}" for key in ("data", "validation")]
    one, other = (
        read_card(train(scans, tmp_path / f"{name}.safetensors", cpu=True, overrides=overrides))
        for name, overrides in (("files", []), ("archive", sets))
    )
    assert one.tensors_sha256 == other.tensors_sha256


SOURCE = """
[[stage]]
name = "source"
data = ["chelsea.png", "coffee.png"]
validation = ["astronaut.png"]
licence = "CC0"
"""


def test_an_archive_of_photographs_and_then_scans_trains_the_same_prior(scans, tmp_path, skimage_data, monkeypatch):
    monkeypatch.setattr("veriscale.stages.training.measured", lambda prior, validation, tell: prior.card)
    for name in ("chelsea", "coffee", "astronaut"):
        (tmp_path / "data" / f"{name}.png").write_bytes((skimage_data / f"{name}.png").read_bytes())
    phases = "".join(toy_phase(network, 6, patch) for network, patch in (("encoder", 8), ("denoiser", 32)))
    networks, stage, rest = RECIPE.replace("steps = 30", "steps = 6").partition("[[stage]]")
    longer = stage + rest.partition("[stage.encoder]")[0].replace('"toy"', '"longer"') + toy_phase("denoiser", 3, 32)
    scans.write_text(networks + SOURCE + phases + stage + rest + longer)
    assert pack_data(scans, tmp_path / "data.zip") == 8  # each file once
    files = train(scans, tmp_path / "files.safetensors", cpu=True)
    (tmp_path / "data").rename(tmp_path / "gone")
    keys = [f"stage.{stage}.{key}" for stage in ("source", "toy", "longer") for key in ("data", "validation")]
    sets = [f"{key}={tmp_path / 'data.zip'}" for key in keys]
    packed = train(scans, tmp_path / "packed.safetensors", cpu=True, overrides=sets)
    for suffix in (".safetensors", STATE):
        one, other = (load_file(path.with_suffix(suffix)) for path in (files, packed))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    one, other = (
        [(d.files, d.sha256, d.spacing) for d in (*card.training, *card.validation)]
        for card in (read_card(files), read_card(packed))
    )
    assert one == other
    assert [count for count, *_ in one] == [2, 3, 2]
    renamed = scans.with_name("other.toml")
    renamed.write_text(scans.read_text().replace('"source"', '"other"'))
    with pytest.raises(InputError, match=r"data\.zip holds nothing of a stage 'other'; .*known: source, toy, longer\."):
        train(renamed, tmp_path / "x.safetensors", cpu=True, overrides=[s.replace("source", "other") for s in sets])


def test_the_card_tells_stages_apart_that_differ_in_planes_alone(scans, tmp_path, monkeypatch):
    monkeypatch.setattr("veriscale.stages.training.measured", lambda prior, validation, tell: prior.card)
    for seed, path in enumerate(sorted((tmp_path / "data").rglob("*.nii.gz"))):
        write(path, shape=(42, 50, 34), spacing=(1, 1, 1), seed=seed)
    table = split_table("set", tmp_path / "data", train=["one", "two"], validation=["held"])
    scans.with_name("splits.toml").write_text(table)
    text = RECIPE.replace("steps = 30", "steps = 1")
    stage = text[text.index("[[stage]]") : text.index("[stage.encoder]")]
    longer, across = (
        stage.replace('"toy"', f'"{name}"') + toy_phase("denoiser", 1, 32) for name in ("longer", "across")
    )
    scans.write_text(text + longer + across.replace("licence", 'planes = "all"\nlicence'))
    card = read_card(train(scans, tmp_path / "scans.safetensors", cpu=True))
    axial, every = card.training
    assert (axial.planes, every.planes) == ("", "all")
    assert axial.sha256 == every.sha256
    assert [d.planes for d in card.validation] == [""]


def refused(recipe: Path, tmp_path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as error:
        train(recipe, tmp_path / "out" / "deeper" / "scans.safetensors", cpu=True, overrides=overrides)
    assert not (tmp_path / "out").exists()
    return str(error.value)


def test_sets_that_cannot_be_used_are_refused_before_any_work(scans, tmp_path):
    assert "stage.toy.validation is empty; name held-out" in _no_output(scans, "stage.toy.validation=[]")
    assert "Subject 'held' is in stage.toy.data" in refused(scans, tmp_path, "stage.toy.data=set")
    assert "a patch of toy.encoder is 64×64" in refused(scans, tmp_path, "stage.toy.encoder.patch=16")
    assert "task.channels is 3; set it to 1" in refused(scans, tmp_path, "task.channels=3")
    assert "no split 'trian' of 'set'" in refused(scans, tmp_path, "stage.toy.data=set@trian")
    splits = scans.with_name("splits.toml")
    splits.write_text(splits.read_text() + splits.read_text().splitlines()[1] + "\n")
    assert "subject 'one' of 'set' stands in 'train' and in 'validation'" in refused(scans, tmp_path)
    scans.write_text(RECIPE.replace('validation = ["set@validation"]\n', ""))
    assert "stage.toy.validation is empty; name held-out" in _no_output(scans)


def test_bad_data_leave_a_folder_that_was_there(scans, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="no split 'trian'"):
        train(scans, tmp_path / "out" / "a" / "x.safetensors", cpu=True, overrides=["stage.toy.data=set@trian"])
    assert not list((tmp_path / "out").iterdir())


def _no_output(recipe: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as error:
        train(recipe, recipe.parent / "out" / "scans.safetensors", cpu=True, overrides=overrides)
    assert not (recipe.parent / "out").exists()
    return str(error.value)


@pytest.mark.usefixtures("few_measurements")
def test_some_subjects_alone_are_trained_on_and_told(scans, tmp_path, monkeypatch):
    monkeypatch.setattr("veriscale.stages.training.measured", lambda prior, validation, tell: prior.card)
    short = [f"stage.toy.{n}.steps=2" for n in ("encoder", "denoiser", "predictor")]
    assert "stage.toy.subjects is 3, and the data set@train hold 2 subjects" in refused(
        scans, tmp_path, "stage.toy.subjects=3"
    )
    path = train(scans, tmp_path / "some.safetensors", cpu=True, overrides=[*short, "stage.toy.subjects=1"])
    (data,) = read_card(path).training
    files = {name: f"{tmp_path}/data/set/{name}.nii.gz" for name in ("one/T1", "one/T2", "two/T1")}
    digits = {n: hashlib.sha256(Path(f).read_bytes()).hexdigest()[:16] for n, f in files.items()}
    assert data.each in ([digits["one/T1"], digits["one/T2"]], [digits["two/T1"]])
    assert data.files == len(data.each)
    with pytest.raises(InputError, match=r"stage\.toy\.(subjects was 1 and is not set|data)"):
        train(scans, path, cpu=True, force=True, resume=True, overrides=short)


@pytest.mark.usefixtures("few_measurements")
def test_spacings_far_from_the_parents_are_said_as_training_begins(scans, tmp_path, monkeypatch):
    monkeypatch.setattr("veriscale.stages.training.measured", lambda prior, validation, tell: prior.card)
    short = [f"stage.toy.{n}.steps=1" for n in ("encoder", "denoiser", "predictor")]
    parent = train(scans, tmp_path / "parent.safetensors", cpu=True, overrides=short)
    write(tmp_path / "data" / "coarse" / "P7.nii.gz", spacing=(2.5, 2.5, 5.0))
    told: list[str] = []
    sets = [*short, f"stage.toy.init_from={parent}", "stage.toy.data=coarse"]
    train(scans, tmp_path / "child.safetensors", cpu=True, overrides=sets, warn=told.append)
    words = "coarse: spacings in the plane from 2.5 to 2.5 mm, far from 1 to 1 mm of the scans that"
    assert any(line.startswith(words) for line in told)


@pytest.mark.usefixtures("few_measurements")
def test_crops_suit_measurements_of_other_factors_than_the_encoders(scans, tmp_path, monkeypatch):
    """×3 alone: slices of 42 pixels hold crops of 42, which no measurement by a factor of 4 would fit."""
    seen: list[PictureSet] = []

    def unmeasured(prior, validation, tell):
        seen.append(validation)
        return prior.card

    monkeypatch.setattr("veriscale.stages.training.measured", unmeasured)
    one = [
        'task.operators=["downsample:factor=3"]',
        "stage.toy.denoiser.patch=24",
        "denoiser.width=[32]",
        "denoiser.depth=[1]",
    ]
    short = [f"stage.toy.{n}.steps=1" for n in ("encoder", "denoiser", "predictor")]
    train(scans, tmp_path / "three.safetensors", cpu=True, overrides=[*one, *short])
    assert seen[0].largest == 36
    x = crops(seen[0], anchor_rule.SIDE)
    for text in {*anchor_rule.MIXING, *anchor_rule.MASKS, *consistency.ZERO_SHOT}:
        operator = parse_operator(text)
        assert operator.truth_shape(tuple(operator.forward(x).shape[1:])) == tuple(x.shape[1:])
