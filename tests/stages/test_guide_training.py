"""Guides, from a folder of registered contrasts to their file."""

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import nibabel
import numpy as np
import pytest
import torch
from tests.conftest import write_tiny
from tests.stages.scans import blobs
from tests.toy_recipe import toy_networks, toy_phase

from veriscale.diffusion.card import Data
from veriscale.diffusion.checkpoint import load_checkpoint, read_card
from veriscale.errors import InputError
from veriscale.guides.arguments import GuideArguments
from veriscale.guides.guide_file import load_guides, read_guide_card
from veriscale.guides.networks import build_guides, guided_denoise
from veriscale.guides.site import Injection
from veriscale.guides.teaching import shunning_loss, teaching_loss
from veriscale.imaging.normalisation import PHOTOGRAPH, SCAN
from veriscale.stages import trainer
from veriscale.stages.batches import Batches
from veriscale.stages.contrasts import contrasts_of
from veriscale.stages.corruption import CORRUPTIONS, corrupted
from veriscale.stages.data import PictureSet, load
from veriscale.stages.guided_batches import GuidedBatches, beyond_line
from veriscale.stages.guides_loss import GuidesLoss
from veriscale.stages.losses import inside
from veriscale.stages.recipe import Task
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.thick_estimates import Thick, drawn, thick_anchor, with_estimates
from veriscale.stages.training import train

CPU = torch.device("cpu")
ARGUMENTS = GuideArguments("T2", ["T1", "FLAIR"], width=16, depth=1)
TASK = Task(operators=["downsample:factor=2", "downsample:factor=3"], channels=1)

RECIPE = (
    """
name = "toy-guided"
seed = 3
[task]
channels = 1
operators = ["downsample:factor=2", "downsample:factor=3", "downsample:factor=4"]
"""
    + toy_networks(depth=2)
    + """
[guides]
target = "T2"
modalities = ["T1", "FLAIR"]
width = 16
depth = 1
[[stage]]
name = "toy"
init_from = "parent"
data = ["set/one", "set/two"]
validation = ["set/held"]
licence = "CC0"
"""
    + toy_phase("guides", 60, 24, "lr = 1e-2", "ema = 0.9")
)


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> Path:
    """Three subjects, each with a T2 that is sharp, a T1 that is its negative, and a FLAIR of something else."""
    for seed, subject in enumerate(("one", "two", "held")):
        values = blobs((42, 50, 6), seed)
        values = values + 200 * (np.random.default_rng(seed).random(values.shape) < 0.2) * (values > 0)
        for name, each in {"T2": values, "T1": 1000 - values, "FLAIR": blobs((42, 50, 6), 9 + seed)}.items():
            path = tmp_path / "data" / "set" / subject / f"{subject}_{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nibabel.Nifti1Image(each.astype(np.float32), np.diag([1.0, 1.0, 5.0, 1.0])).to_filename(path)
    monkeypatch.setenv("VERISCALE_DATA", str(tmp_path / "data"))
    (tmp_path / "priors").mkdir()
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path / "priors"))
    write_tiny(tmp_path / "priors" / "parent.safetensors", channels=1)
    path = tmp_path / "toy-guided.toml"
    path.write_text(RECIPE)
    return path


class Cut(Exception):
    pass


def cut(phase: str, step: int, steps: int, loss: float, held_out: float | None) -> None:
    raise Cut


def test_guides_are_trained_and_a_run_that_was_cut_ends_with_the_same_bits(recipe, tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    parent = tmp_path / "priors" / "parent.safetensors"
    before = parent.read_bytes()
    whole = train(recipe, tmp_path / "whole.safetensors", cpu=True)
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)
    again = tmp_path / "again.safetensors"
    with pytest.raises(Cut):
        train(recipe, again, cpu=True, progress=cut)
    assert not again.exists()
    train(recipe, again, cpu=True, resume=True)
    torch.set_num_threads(threads)
    card = read_guide_card(whole)
    assert card.tensors_sha256 == read_guide_card(again).tensors_sha256
    assert parent.read_bytes() == before
    assert (card.parent, card.parent_sha256) == ("parent", read_card(parent).tensors_sha256)
    assert (card.steps, card.batch, card.licences) == (60, 2, ["CC0"])
    assert card.training[0].files == 6
    guided = load_guides(whole, CPU, torch.float32)
    assert guided.guides.encoder.out.weight.abs().max() > 0
    assert guided.guides.denoiser.out.weight.abs().max() > 0
    without, every = (
        [v for k, v in card.metrics.items() if k.endswith(f"{end}, dB")] for end in ("without guides", "all guides")
    )
    assert len(without) == 3
    assert all(b > a for a, b in zip(without, every, strict=True))
    with pytest.raises(InputError, match=r"stage\.toy\.guides\.corrupt was 0\.5 and is 0\.2"):
        train(recipe, again, cpu=True, resume=True, force=True, overrides=["stage.toy.guides.corrupt=0.2"])


@pytest.mark.parametrize("planes", ["all", "axial"])
def test_guides_of_all_planes_learn_from_thick_slices_too(recipe, tmp_path, monkeypatch, planes):
    for seed, path in enumerate((tmp_path / "data" / "set").glob("*/*.nii.gz")):
        nibabel.Nifti1Image(blobs((40, 42, 44), seed).astype(np.float32), np.eye(4)).to_filename(path)
    asked = []
    monkeypatch.setattr(
        "veriscale.stages.guide_training.with_estimates", lambda prior, seen, seed, tell: asked.append(seed) or seen
    )
    said = [f"stage.toy.planes={planes}", "stage.toy.guides.steps=1"]
    train(recipe, tmp_path / "some.safetensors", cpu=True, overrides=said)
    assert asked == ([3] if planes == "all" else [])


def test_a_recipe_of_guides_is_checked(recipe):
    for override, words in {
        "guides.modalities=[]": "guides.modalities is empty",
        'guides.modalities=["T1", "T2"]': "are T2, T1, T2; name each once",
        'guides.modalities=["T1", "Labels"]': "of what is called Labels a restoration takes edges or boundaries, which",
        'guides.modalities=["edges"]': "of what is called edges",
        "guides.fusion=static": "guides.fusion is 'static'; .*known: dynamic, mean, learned, concat",
        "guides.modalties=[]": "did you mean 'modalities'",
        "stage.toy.guides.corrupt=2": "corrupt must be within 0 and 1",
        "stage.toy.guides.batch=1": "guides.batch must be 2 or more",
        "stage.toy.guides.patch=20": "guides.patch 20 must be a multiple",
        "stage.toy.encoder.steps=5": "guides are trained alone",
        "stage.toy.trainable=decoder": "guides are trained whole",
    }.items():
        with pytest.raises(InputError, match=words):
            read_recipe(recipe, [override])
    with pytest.raises(InputError, match=r"toy\.patience is for networks of a prior; leave it out"):
        read_recipe(recipe, ["stage.toy.evaluate=2", "stage.toy.patience=2"])
    recipe.write_text(RECIPE.replace('init_from = "parent"', ""))
    with pytest.raises(InputError, match="init_from is missing; name the prior"):
        read_recipe(recipe)
    recipe.write_text(RECIPE.partition("[guides]")[0] + RECIPE[RECIPE.index("[[stage]]") :])
    with pytest.raises(InputError, match=r"stage.toy.guides needs a \[guides\] table"):
        read_recipe(recipe)


def test_training_says_where_a_parent_has_to_be(recipe, tmp_path):
    """A file of guides that lies apart from its parent is of no use by itself."""
    (tmp_path / "elsewhere").mkdir()
    parent = (tmp_path / "priors" / "parent.safetensors").rename(tmp_path / "elsewhere" / "parent.safetensors")
    quick = [f'stage.toy.init_from="{parent}"', "stage.toy.guides.steps=1"]
    for folder, words in (
        ("out", "'parent', which has to lie beside it or in a folder of VERISCALE_P"),
        ("elsewhere", ""),
    ):
        said = []
        (tmp_path / folder).mkdir(exist_ok=True)
        train(recipe, tmp_path / folder / "guides.safetensors", cpu=True, overrides=quick, tell=said.append)
        remarks = [line for line in said if "guides the prior" in line]
        assert len(remarks) == bool(words)
        assert all(words in line for line in remarks)


def test_what_the_data_lack_is_named(recipe, tmp_path):
    with pytest.raises(
        InputError, match=r"stage.toy.data hold no volume whose name ends with 'PD'; known: FLAIR, T1, T2"
    ):
        train(recipe, tmp_path / "a.safetensors", cpu=True, overrides=['guides.modalities=["PD"]'])
    with pytest.raises(InputError, match="'parent' have to know what it knows: take 1 channels and operators downs"):
        train(recipe, tmp_path / "a.safetensors", cpu=True, overrides=['task.operators=["downsample:factor=2"]'])
    assert not (tmp_path / "a.safetensors").exists()


def test_contrasts_that_lie_elsewhere_by_their_affines_are_refused(recipe, tmp_path):
    """Of one size, so that slices alone would not tell."""
    file = next((tmp_path / "data" / "set").rglob("*_T1.nii.gz"))
    image = nibabel.load(file)
    for moved, off in ((1e-4, False), (0.5, True)):
        affine = image.affine.copy()
        affine[1, 3] += moved * abs(affine[1, 1])
        nibabel.save(nibabel.Nifti1Image(image.get_fdata(dtype=np.float32), affine), file)
        data = load([f"set/{file.parent.name}"], tmp_path / "data", 1, CPU, "CC0", "training")
        if off:
            with pytest.raises(InputError, match=r"T1 of .* in data lies elsewhere than T2 by its affine; resample"):
                contrasts_of(data, ARGUMENTS, "data")
        else:
            contrasts_of(data, ARGUMENTS, "data")


def registered(other: bool = False) -> PictureSet:
    """Two subjects; T1 is T2 itself, FLAIR lacks the first slice."""
    g = torch.Generator().manual_seed(0)
    images, names, subjects = [], [], []
    for subject in ("a", "b"):
        shape = (1, 37, 45) if subject == "a" else (1, 50, 40)
        slices = [torch.randint(0, 256, shape, generator=g, dtype=torch.uint8) for _ in range(12)]
        for contrast in ("T2", "T1", "FLAIR"):
            for k, image in enumerate(slices):
                if contrast != "FLAIR" or k:
                    images.append(255 - image if contrast == "FLAIR" else image)
                    names.append(f"{subject}/{subject}_{contrast}.nii.gz#{k}")
                    subjects.append(subject)
    volumes = [name.partition("#")[0] for name in names]
    return PictureSet(images, names, Data("*", 6, "0" * 64, "CC0"), subjects, volumes, SCAN)


def test_guides_lie_where_the_target_lies():
    data = contrasts_of(registered(), ARGUMENTS, "data")
    batches = GuidedBatches(data, TASK, ARGUMENTS, 0, corrupt=0.0)
    plain = Batches(data.target, TASK, 0)
    found, parts = set(), 0
    for step in range(12):
        batch, same = batches.make("guides", step, range(4), 8, 3), plain.make("guides", step, range(4), 8, 3)
        assert all(
            torch.equal(a, b) for a, b in zip(batch, same, strict=True) if isinstance(a, torch.Tensor) and b is not None
        )
        guides = inside(batch.guides, 3 * batch.scale)
        for x, (t1, flair) in zip(batch.x[:, 0], guides, strict=True):
            for known, seen in ((t1.isfinite(), x), (flair.isfinite(), 1 - x)):
                assert torch.allclose((t1 if seen is x else flair)[known], seen[known], atol=1e-6)
                parts += bool(known.any() and not known.all())
            found.add((bool(t1.isfinite().any()), bool(flair.isfinite().any())))
    assert {(True, True), (True, False), (False, True)} <= found
    assert 2 <= parts <= 20


def test_a_field_of_view_ends_along_a_straight_line_in_the_middle():
    g = torch.Generator().manual_seed(0)
    beyond = torch.stack([beyond_line(40, g) for _ in range(200)])
    corners = beyond[:, ::39, ::39].flatten(1)
    assert all(0 < int(each.sum()) < 4 for each in corners)
    assert 0.4 < float(beyond.float().mean()) < 0.6
    rows, columns = (beyond.float().diff(dim=k).abs().sum(k) for k in (1, 2))
    assert rows.max() == columns.max() == 1  # crossed once


def test_slices_of_every_plane_have_their_own_guides(tmp_path):
    values = blobs((30, 36, 33), 0)
    for name, each in {"T2": values, "T1": 1000 - values}.items():
        nibabel.Nifti1Image(each.astype(np.float32), np.eye(4)).to_filename(tmp_path / f"one_{name}.nii.gz")
    whole = load(["*.nii.gz"], tmp_path, 1, CPU, "CC0", "training", planes="all")
    found = contrasts_of(whole, GuideArguments("T2", ["T1"]), "data")
    of_contrast = {
        contrast: {n: i for n, i in zip(whole.names, whole.images, strict=True) if contrast in n}
        for contrast in ("T1", "T2")
    }
    assert {len(found.volumes), len(found.target.images)} == {6, len(of_contrast["T2"])}
    assert {image.shape[-2:] for image in found.target.images} == {(30, 36), (30, 33), (36, 33)}
    for name, (whose, k) in zip(found.target.names, found.places, strict=True):
        assert torch.equal(found.volumes[whose, "T1"][k], of_contrast["T1"][name.replace("T2", "T1")])


@pytest.fixture
def estimated(tmp_path):
    """A prior, and contrasts of all planes with estimates from thick slices."""
    values = blobs((30, 36, 34), 0)
    for name, each in {"T2": values, "T1": 1000 - values}.items():
        nibabel.Nifti1Image(each.astype(np.float32), np.eye(4)).to_filename(tmp_path / f"one_{name}.nii.gz")
    whole = load(["*.nii.gz"], tmp_path, 1, CPU, "CC0", "training", planes="all")
    prior, said = load_checkpoint(write_tiny(tmp_path / "tiny.safetensors", channels=1), CPU, torch.float32), []
    found = with_estimates(prior, contrasts_of(whole, THICK, "data"), 0, said.append)
    assert said == ["thick slices of ./one"]
    return prior, found


THICK = GuideArguments("T2", ["T1"], width=16)


def test_estimates_are_of_the_whole_volume_from_usual_slices_and_others(estimated):
    prior, found = estimated
    (sagittal, across), (coronal, along) = found.estimates.items()
    assert (sagittal, coronal) == ("./one#sagittal", "./one#coronal")
    target = dict(zip(found.places, found.target.images, strict=True))
    for name, of in found.estimates.items():
        assert {(name, k): [e.shape for e in each] for k, each in of.items()} == {
            place: [image.shape] * 2 for place, image in target.items() if place[0] == name
        }
    assert all(torch.equal(across[k][n][0, j], along[j][n][0, k]) for k in across for j in along for n in (0, 1))
    volume = torch.zeros(30, 36, 34)
    for (whose, k), image in target.items():
        if whose == sagittal:
            volume[k] = image[0] / 255
    usual = thick_anchor(prior, volume, Thick(4, 4.0, 0.0), 0)
    middle = 15
    usual = usual[middle].clamp(0, 1)
    torch.testing.assert_close(across[middle][0][0] / 255, usual, atol=1 / 255, rtol=0)
    assert not torch.allclose(across[middle][1][0] / 255, usual, atol=2 / 255)


def test_other_thick_slices_have_gaps_and_noise_and_are_always_the_same():
    each = [drawn(0, str(k)) for k in range(200)]
    assert each == [drawn(0, str(k)) for k in range(200)]
    assert {thick.step for thick in each} == {2, 3, 5, 6, 8}
    assert all(0.6 * thick.step <= thick.fwhm <= thick.step for thick in each)
    assert 0.4 < np.mean([thick.noise_std > 0 for thick in each]) < 0.6
    assert max(thick.noise_std for thick in each) <= 0.05
    assert drawn(1, "0") != each[0]


def test_estimates_from_thick_slices_take_the_place_of_the_mean(estimated, monkeypatch):
    prior, found = estimated
    batches = GuidedBatches(found, TASK, THICK, 0, corrupt=0.0)
    batch = batches.make("guides", 0, range(64), 8, 2)
    there = batch.estimate.isfinite().flatten(1).all(1)
    assert (batch.estimate.isfinite().flatten(1).any(1) == there).all()
    assert 0.2 < there.float().mean() < 0.5  # half of two thirds
    off = (inside(batch.estimate, 2 * batch.scale) - batch.x)[there].abs().mean()
    assert off < (inside(batch.estimate, 2 * batch.scale) - batch.x.roll(1, 0))[there].abs().mean()

    torch.manual_seed(0)
    guides = build_guides(prior.card.network, THICK)
    for p in (p for part in guides for p in part.parameters()):
        p.data += 0.05 * torch.randn_like(p)  # so that a gate has something to hand on
    loss = GuidesLoss(prior, guides, margin=2)
    some = batches.make("guides", 0, range(64), 24 // batch.scale, 2)
    some = some._replace(unconditional=torch.zeros_like(some.unconditional))
    cases = some, some._replace(estimate=None), some._replace(estimate=some.estimate / 2)
    with torch.no_grad():
        assert len({float(loss(case)) for case in cases}) == 3
    seen, mode = asked_of_the_denoiser(loss, some, monkeypatch)
    here, own = some.estimate.isfinite().flatten(1).all(1), 1 + prior.card.network.encoder.features
    assert not seen[here, :own].any()  # the denoiser sees no condition of them,
    assert seen[here, own:].flatten(1).any(1).all()  # but what the gate has found in what it corrects
    assert seen[~here, :own].any()
    assert seen[~here, own:].any()
    assert not mode[here].any()
    free = some._replace(unconditional=~some.unconditional)
    seen, _ = asked_of_the_denoiser(loss, free, monkeypatch)
    assert seen[here, own:].flatten(1).any(1).all()
    assert not seen[~here].any()  # nobody has looked there


def test_the_denoiser_teaches_experts_and_mean_nothing(estimated, monkeypatch):
    """Of a loss without the mean's part no gradient reaches what reads the guides, but the denoiser's own place."""
    prior, found = estimated
    torch.manual_seed(0)
    guides = build_guides(prior.card.network, THICK)
    for p in (p for part in guides for p in part.parameters()):
        p.data += 0.05 * torch.randn_like(p)
    loss = GuidesLoss(prior, guides, margin=4)
    batch = some_items(found)
    loss(batch).backward()
    both = {name: p.grad.clone() for name, p in loss.parts.named_parameters()}
    loss.zero_grad()
    where = "veriscale.stages.guides_loss"
    monkeypatch.setattr(f"{where}.guided_denoise", lambda denoiser, refiner, injection, r, *_: 0 * r)
    for name, teach in (("teaching_loss", teaching_loss), ("shunning_loss", shunning_loss)):
        monkeypatch.setattr(f"{where}.{name}", taught_at_the_mean(teach, loss.guides.encoder.site))
    loss(batch).backward()
    for name, p in loss.parts.named_parameters():
        if name.startswith("denoiser."):
            assert p.grad is None or not p.grad.any()
        else:
            torch.testing.assert_close(both[name], p.grad)
    assert any(gradient.any() for name, gradient in both.items() if name.startswith("denoiser."))


def asked_of_the_denoiser(loss, batch, monkeypatch):
    """What it sees, and the modes."""
    asked = []
    with monkeypatch.context() as patched:
        patched.setattr(
            "veriscale.stages.guides_loss.guided_denoise", lambda *given: asked.append(given) or guided_denoise(*given)
        )
        loss(batch)
    [(*_, seen, mode, _)] = asked
    return seen, mode


def some_items(found):
    batches = GuidedBatches(found, TASK, THICK, 0, corrupt=0.0)
    return batches.make("guides", 0, range(4), 24 // batches.scale("guides", 0), 4)


def taught_at_the_mean(teach, site):
    """A loss at one place, 0 at others."""
    return lambda injection, *given: teach(injection, *given) if injection.site is site else torch.zeros(())


def test_an_amount_is_held_open_in_every_other_item_of_training_alone(estimated, monkeypatch):
    prior, found = estimated
    batch = some_items(found)
    assert batch.opened.tolist() == [True, False, True, False]
    torch.manual_seed(0)
    loss = GuidesLoss(prior, build_guides(prior.card.network, THICK), margin=4)
    made = []
    monkeypatch.setattr(
        "veriscale.stages.guides_loss.Injection", lambda *given: made.append(Injection(*given)) or made[-1]
    )
    loss(batch)
    with torch.no_grad():
        loss(batch)
    mean, denoised, _, held_out = made
    assert mean.opened is None
    assert held_out.opened is None
    assert torch.equal(denoised.opened, batch.opened)
    amount, valid = denoised.amount.flatten(1), denoised.valid.any(1).flatten(1)
    assert (amount[batch.opened][valid[batch.opened]] == 1).all()
    assert (amount[~batch.opened] < 1).all()


def test_noise_is_drawn_as_where_guides_count(estimated):
    prior, _ = estimated
    loss = GuidesLoss(prior, build_guides(prior.card.network, THICK), margin=4)
    assert loss.plain.density == {True: (0.0, 1.2), False: (0.0, 1.2)}


def test_processes_see_what_one_sees_and_some_guides_are_spoilt():
    data = contrasts_of(registered(), ARGUMENTS, "data")
    batches, clean = (GuidedBatches(data, TASK, ARGUMENTS, 0, corrupt=c) for c in (0.5, 0.0))
    whole = batches.make("guides", 3, range(16), 8, 2).guides
    halves = [batches.make("guides", 3, r, 8, 2).guides for r in (range(7), range(7, 16))]
    assert torch.equal(whole.nan_to_num(-1), torch.cat(halves).nan_to_num(-1))
    whole, other = (b.make("guides", 3, range(96), 8, 2).guides for b in (batches, clean))
    assert torch.equal(whole.isnan(), other.isnan())
    spoilt = ((whole - other).nan_to_num().abs().amax((2, 3)) > 0).sum(1)
    assert 0.3 < (spoilt > 0).float().mean() < 0.6
    pairs = spoilt[(~whole.isnan()).flatten(2).any(2).all(1)]
    assert set(pairs.tolist()) == {0, 1, 2}  # none, one, and all that are there


def test_it_is_known_where_guides_are_spoilt():
    """Wherever they differ, and no further than a few pixels around."""
    data = contrasts_of(registered(), ARGUMENTS, "data")
    made, clean = (
        GuidedBatches(data, TASK, ARGUMENTS, 0, corrupt=c).make("guides", 0, range(32), 12, 2) for c in (0.5, 0.0)
    )
    assert not clean.spoilt.any()
    differs = (made.guides - clean.guides).nan_to_num().abs() > 0.02
    wide = torch.nn.functional.max_pool2d(differs.float(), 9, 1, 4) > 0
    known = made.guides.isfinite()
    assert torch.equal((made.spoilt & known)[wide], known[wide])
    assert not (made.spoilt & known & ~wide).flatten(2).any(2)[known.flatten(2).all(2)].any()
    assert 0.05 < made.spoilt.float().mean() < 0.5


@pytest.mark.parametrize("fusion", ["dynamic", "mean"])
def test_what_is_spoilt_teaches_both_gates_and_nothing_else(estimated, fusion):
    prior, found = estimated
    torch.manual_seed(0)
    guides = build_guides(prior.card.network, msgspec.structs.replace(THICK, fusion=fusion))
    loss, batch = GuidesLoss(prior, guides, margin=4), some_items(found)
    half = torch.zeros_like(batch.spoilt)
    half[:, 0, ::2] = True
    taught = []
    for spoilt in (torch.zeros_like(half), half):
        loss.zero_grad()
        loss(batch._replace(spoilt=spoilt)).backward()
        taught.append({n: p.grad.clone() for n, p in loss.parts.named_parameters() if p.grad is not None})
    other = {n.split(".site.gate.")[0] for n in taught[0] if not torch.equal(*(each[n] for each in taught))}
    assert other == ({"encoder", "denoiser"} if fusion == "dynamic" else set())


def test_corruptions_do_what_they_say():
    g = torch.Generator().manual_seed(0)
    guide, other = torch.rand(2, 40, 40, generator=g)
    spoilt = {name: spoil(guide, other, 0.75, g) for name, spoil in CORRUPTIONS.items()}
    assert spoilt["blur"].std() < 0.2 * guide.std()
    assert float(spoilt["blur"].mean()) == pytest.approx(float(guide.mean()), abs=0.02)
    assert torch.equal(spoilt["swap"], other)
    assert float((spoilt["noise"] - guide).std()) == pytest.approx(0.05 + 0.25 * 0.75, rel=0.1)
    assert not spoilt["blank"].any()
    shifts = [
        (r, c)
        for r in range(-6, 7)
        for c in range(-6, 7)
        if torch.equal(spoilt["shift"][8:-8, 8:-8], guide.roll((r, c), (0, 1))[8:-8, 8:-8])
    ]
    assert len(shifts) == 1
    assert math.hypot(*shifts[0]) == pytest.approx(5, abs=1)


def test_a_region_is_spoilt_and_the_rest_is_not():
    g = torch.Generator().manual_seed(1)
    guide, other = torch.rand(2, 32, 48, generator=g)
    shares = [float((corrupted(guide, other, g) != guide).float().mean()) for _ in range(60)]
    assert min(shares) < 0.2
    assert 0.1 < np.mean(np.array(shares) > 0.6) < 0.5
    assert all(share > 0 for share in shares)


def test_contrasts_of_other_sizes_and_photographs_are_refused():
    data = registered()
    images = [i[..., 1:] if n.startswith("b/b_T1") else i for i, n in zip(data.images, data.names, strict=True)]
    with pytest.raises(InputError, match=r"b/b_T2.nii.gz#0 of data is 50×40 and T1 beside it 50×39; resample"):
        contrasts_of(replace(data, images=images), ARGUMENTS, "data")
    with pytest.raises(InputError, match="are photographs, and guides are trained on scans"):
        contrasts_of(replace(data, normalisation=PHOTOGRAPH), ARGUMENTS, "data")


@pytest.mark.parametrize("mix", ["features", "predictions"])
@pytest.mark.parametrize("fusion", ["dynamic", "mean", "learned", "concat"])
def test_gradients_reach_all_guides_and_nothing_of_the_prior(tmp_path, fusion, mix):
    prior = load_checkpoint(write_tiny(tmp_path / "tiny.safetensors", channels=1), CPU, torch.float32)
    data = contrasts_of(registered(), ARGUMENTS, "data")
    torch.manual_seed(0)
    guides = build_guides(
        prior.card.network, GuideArguments("T2", ["T1", "FLAIR"], 16, 1, fusion=fusion, mix=mix, tau="learned")
    )
    for p in (p for part in guides for p in part.parameters()):
        p.data += 0.05 * torch.randn_like(p)
    loss = GuidesLoss(prior, guides, margin=4)
    batches = GuidedBatches(data, TASK, ARGUMENTS, 0, corrupt=0.5)
    for step in range(4):  # of both scales
        loss(batches.make("guides", step, range(3), 24 // batches.scale("guides", step), 4)).backward()
    assert all(p.grad is None for part in (prior.encoder, prior.denoiser) for p in part.parameters())
    silent = {
        n for n, p in loss.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.abs().max() > 0)
    }
    assert silent == set()
    assert not any(p.grad is not None and p.grad.isnan().any() for p in loss.parameters())
