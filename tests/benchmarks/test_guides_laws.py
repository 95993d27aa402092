"""What the study of guides is measured by and made of: ways to spoil, overlaps, regression, blocks; runs, sizes."""

import math
from itertools import pairwise

import msgspec
import numpy as np
import pytest
import torch
from tests.conftest import write_tiny
from tests.stages.scans import write

from veriscale.diffusion.checkpoint import load_checkpoint, read_card
from veriscale.diffusion.prior import build
from veriscale.guides.networks import build_guides
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.splits import read_splits


def pictures(seed=0, side=64):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(2, side, side, generator=g), g


@pytest.mark.parametrize("kind", ["blur", "shift", "swap", "noise", "blank", "inverted", "elastic"])
def test_a_region_is_spoilt_and_nothing_else(benchmark, kind):
    spoiling = benchmark("guides_spoiling")
    (guide, other), g = pictures()
    region = slice(5, 40), slice(10, 50)
    found = spoiling.spoilt(kind, guide, other, region, g)
    outside = torch.ones_like(guide, dtype=torch.bool)
    outside[region] = False
    assert torch.equal(found[outside], guide[outside])
    assert (found[region] != guide[region]).float().mean() > 0.9
    assert found.dtype == guide.dtype
    everywhere = spoiling.spoilt(kind, guide, other, None, g)
    assert (everywhere[outside] != guide[outside]).float().mean() > 0.8


def test_spoilt_as_strongly_as_said(benchmark):
    spoiling = benchmark("guides_spoiling")
    (guide, other), g = pictures(side=96)
    by = {kind: spoiling.spoilt(kind, guide, other, None, g) for kind in spoiling.KINDS}
    assert float((by["noise"] - guide).std()) == pytest.approx(0.2, rel=0.05)
    assert torch.equal(by["swap"], other)
    assert not by["blank"].any()
    inside = slice(20, -20)
    lengths = [
        math.hypot(r, c)
        for r in range(-5, 6)
        for c in range(-5, 6)
        if torch.equal(by["shift"][inside, inside], guide.roll((r, c), (0, 1))[inside, inside])
    ]
    assert lengths == [pytest.approx(4, abs=0.8)]
    impulse = torch.zeros(97, 97)
    impulse[48, 48] = 1
    spread = spoiling.spoilt("blur", impulse, impulse, None, g).double().sum(0)
    assert float((spread * (torch.arange(97) - 48.0) ** 2).sum() / spread.sum()) ** 0.5 == pytest.approx(4, rel=0.03)
    rows = torch.arange(96.0)[:, None].expand(96, 96)
    moved = spoiling.spoilt("elastic", rows.contiguous(), rows, None, g) - rows
    assert float(moved.square().mean()) ** 0.5 == pytest.approx(4 / 2**0.5, rel=0.5)


def test_inverted_is_dark_for_bright_and_leaves_air(benchmark):
    spoiling = benchmark("guides_spoiling")
    guide = torch.tensor([[0.0, 0.04, 0.2, 0.9]])
    found = spoiling.spoilt("inverted", guide, guide, None, torch.Generator())
    assert torch.allclose(found, torch.tensor([[0.0, 0.04, 0.85, 0.15]]))


@pytest.mark.parametrize("shape", [(40, 60), (64, 50), (130, 150)])
def test_regions_lie_in_the_picture_and_meet_the_mask(benchmark, shape):
    spoiling = benchmark("guides_spoiling")
    mask = np.zeros(shape, bool)
    mask[2:5, -6:-3] = True
    for seed in range(20):
        region = spoiling.region_in(mask, seed)
        assert mask[region].shape == tuple(min(48, n) for n in shape)
        assert mask[region].any()
    wide = np.ones((130, 150), bool)
    assert len({repr(spoiling.region_in(wide, seed)) for seed in range(20)}) > 10


def test_dice_is_that_of_sets(benchmark):
    dice = benchmark("dice")
    rng = np.random.default_rng(0)
    truth = rng.random(500)
    image = truth + 0.2 * rng.normal(size=500)
    at = dice.thresholds(truth, np.ones(500, bool))
    assert [np.mean(truth < t) for t in at] == pytest.approx([1 / 3, 2 / 3], abs=0.01)

    def classes(values):
        edges = pairwise([-np.inf, *at, np.inf])
        return [{k for k, v in enumerate(values) if low <= v < high} for low, high in edges]

    pairs = zip(classes(image), classes(truth), strict=True)
    expected = np.mean([2 * len(a & b) / (len(a) + len(b)) for a, b in pairs])
    assert dice.dice(*dice.overlaps(image, truth, at)) == pytest.approx(expected)
    assert dice.dice(*dice.overlaps(truth, truth, at)) == 1
    halves = [dice.overlaps(image[k], truth[k], at) for k in (slice(200), slice(200, None))]
    assert dice.dice(*(sum(each) for each in zip(*halves, strict=True))) == pytest.approx(expected)
    assert 0.2 < dice.dice(*dice.overlaps(rng.permutation(truth), truth, at)) < 0.45


def numbers(errors, places=None):
    """Of as many slices, under the name of no guide."""
    return {
        "places": list(range(len(errors))) if places is None else places,
        "width": 2.0,
        "none": {"error": errors, "places": [10.0] * len(errors)},
    }


def test_gains_are_of_pooled_errors_in_blocks_of_ten(benchmark):
    blocks, none = benchmark("guides_blocks"), benchmark("guides_cases").NONE
    rng = np.random.default_rng(0)
    errors = (1 + rng.random(35)).tolist()
    ours = blocks.blocks(numbers(errors), none)
    assert ours["error"].shape == (4,)
    assert ours["error"][3] == pytest.approx(sum(errors[30:]))
    theirs = blocks.blocks(numbers([2 * e for e in errors]), none)
    found = blocks.gain([ours], [theirs])
    assert found.estimate == pytest.approx(10 * math.log10(2))
    assert found.low == pytest.approx(found.high)  # the same in every block
    assert blocks.gain([theirs], [ours]).estimate == pytest.approx(-found.estimate)
    other = blocks.blocks(numbers(rng.permutation([3 * e for e in errors]).tolist()), none)
    both = blocks.gain([ours, ours], [theirs, other])
    assert both.estimate == pytest.approx(5 * math.log10(2) + 5 * math.log10(3))
    assert both.low < both.estimate < both.high
    assert blocks.psnr(numbers([0.4] * 10), none) == pytest.approx(10 * math.log10(4 * 100 / 4))


def test_the_lowest_end_is_that_of_the_worst_seed(benchmark):
    blocks, none = benchmark("guides_blocks"), benchmark("guides_cases").NONE
    rng = np.random.default_rng(1)
    base = blocks.blocks(numbers((2 + rng.random(50)).tolist()), none)
    seeds = [blocks.blocks(numbers((share * (2 + rng.random(50))).tolist()), none) for share in (0.5, 0.97)]
    row, lowest = blocks.gain_rows("guides.x", "what", ">= 0.2", seeds, [base, base], {})
    assert row.against["seed 0"] > 2 > 0.4 > row.against["seed 1"]
    assert lowest.value == pytest.approx(blocks.gain([seeds[1]], [base]).low)
    assert row.holds
    assert lowest.value < 0.4


def test_wrong_slices_are_far_and_inside(benchmark, monkeypatch, tmp_path):
    cases, scans = benchmark("guides_cases"), benchmark("scans")
    monkeypatch.setattr(scans, "DATA", tmp_path)
    for k, contrast in enumerate(scans.CONTRASTS):
        write(tmp_path / "one" / f"one_{contrast}.nii.gz", (44, 51, 34), (1.0, 1.0, 1.0), seed=k)
    case = cases.case("one", every=3)
    assert case.truth.shape == (40, 48, len(case.places))
    assert case.measurement.shape == (10, 12, len(case.places))
    assert set(np.diff(case.places)) == {3}
    sound, wrong = cases.Condition(("T1", "FLAIR")), cases.Condition(("T1", "FLAIR"), "swap", whole=True)
    t1 = scans.scan("one", "T1").samples[:40, :48]
    for i, place in enumerate(case.places):
        pictures, spoilt = case.pictures(i, sound), case.pictures(i, wrong)
        assert np.array_equal(pictures["T1"][0].numpy(), t1[..., place].clip(0, 1))
        changed = {name for name in pictures if not torch.equal(pictures[name], spoilt[name])}
        assert changed == {("T1", "FLAIR")[i % 2]}
        if i % 2 == 0:
            other = next(k for k in range(34) if np.array_equal(spoilt["T1"][0].numpy(), t1[..., k].clip(0, 1)))
            assert abs(other - place) == 15
    volumes = {guide.modality: guide.volume for guide in case.volumes(sound)}
    assert np.array_equal(volumes["T1"].samples[..., 2], case.pictures(2, sound)["T1"][0].numpy())
    assert np.allclose(volumes["T1"].affine, case.truth.affine)


def test_the_regression_finds_a_local_linear_map(benchmark, monkeypatch, tmp_path):
    """Of a truth made from neighbours in one guide and from the unguided result, it leaves nothing."""
    regression, cases, scans = benchmark("guides_regression"), benchmark("guides_cases"), benchmark("scans")
    monkeypatch.setattr(scans, "DATA", tmp_path)
    for k, contrast in enumerate(scans.CONTRASTS):
        write(tmp_path / "one" / f"one_{contrast}.nii.gz", (44, 51, 24), (1.0, 1.0, 1.0), seed=k)
    prior = load_checkpoint(write_tiny(tmp_path / "tiny.safetensors", 1), torch.device("cpu"), torch.float32)
    case = cases.case("one", every=8)
    for i in range(len(case.places)):
        r = regression.regressors(prior, case, i)
        case.truth.samples[..., i] = 0.7 * r[..., 12] + 0.4 * r[..., 25 + 11] - 0.2 * r[..., 50 + 13] + 0.1
        t1 = case.guides["T1"].samples[..., i].clip(0, 1)
        assert np.allclose(r[:, 1:, 25 + 11], t1[:, :-1])
    coefficients = regression.fitted(prior, [case])
    found = regression.regression_errors(prior, case, coefficients)["T1+T1C+FLAIR"]
    spread = case.truth.samples[case.mask].var() * case.mask.sum()
    assert sum(found["error"]) < 1e-3 * spread
    worse = regression.regression_errors(prior, case, [0.0] * len(coefficients))["T1+T1C+FLAIR"]
    assert sum(worse["error"]) > 0.5 * spread


def test_the_estimate_counts_every_run_once(benchmark):
    study = benchmark("guides")
    assert len(study.trained(["static"])) == 4 * (3 + 1)
    assert study.trained(["static"]) == study.trained(["static", "wrong"])
    assert len(study.trained(["clean"])) == 2 + 2 + 2
    assert len(study.trained(["generalise"])) == 4 * 2 + 5 * 4 + 5
    assert 40 <= len(study.trained(list(study.PARTS))) <= 55


def test_recipes_fit_each_other_and_subjects_are_those_of_the_splits(benchmark):
    runs = benchmark("guides_runs")
    guided, unguided, domain = (read_recipe(runs.RECIPES / f"{n}.toml") for n in ("guided", "unguided", "domain"))
    often = {key: getattr(domain.task, key) for key in ("weights", "unconditional")}  # of how often, not of what
    task = msgspec.structs.replace(guided.task, **often)
    assert (task, guided.encoder, guided.denoiser) == (domain.task, domain.encoder, domain.denoiser)
    assert (unguided.task, unguided.encoder, unguided.denoiser) == (domain.task, domain.encoder, domain.denoiser)
    shipped, parent = (read_recipe(runs.RECIPES.parent / f"{n}.toml") for n in ("mri_guided", "mri"))
    assert (shipped.task, shipped.encoder, shipped.denoiser) == (parent.task, parent.encoder, parent.denoiser)
    splits = read_splits(runs.RECIPES.parent / "splits.toml")["mri/multicontrast"]
    assert (set(runs.TRAINING), {runs.VALIDATION}, set(benchmark("scans").SUBJECTS)) == tuple(map(set, splits.values()))


def test_sizes(benchmark, tmp_path):
    """Static fusion has no fewer parameters, and all are as small as said; the shipped file is."""
    runs, recipe = benchmark("guides_runs"), read_recipe(benchmark("guides_runs").RECIPES.parent / "mri_guided.toml")

    def network(of):
        card = read_card(write_tiny(tmp_path / "tiny.safetensors", 1)).network
        return type(card)(1, [2, 4], of.encoder, of.denoiser, None)

    def count(parts):
        return sum(p.numel() for part in parts for p in part.parameters())

    study = read_recipe(runs.RECIPES / "guided.toml")
    sizes = {
        fusion: count(
            build_guides(network(study), msgspec.structs.replace(study.guides, fusion=fusion, width=runs.WIDTH[fusion]))
        )
        for fusion in runs.FUSIONS
    }
    assert max(sizes.values()) <= 0.6e6
    assert all(sizes["dynamic"] <= size <= 1.05 * sizes["dynamic"] for size in sizes.values())
    parts = [part for part in build(network(study)) if part is not None]
    assert count(parts[:1]) <= 0.3e6
    assert count(parts[1:]) <= 0.45e6
    assert 2 * count(build_guides(network(recipe), recipe.guides)) <= 4e6


def test_shifts_are_all_of_one_axis_and_others_for_every_trial(benchmark):
    shift = benchmark("guide_shift")
    first, second = shift.shifts(4, "ms19", "T1", 2, 0.1), shift.shifts(4, "ms19", "T1", 2, 0.3)
    assert first[0] == (0, 0, 0)
    for axis in range(3):
        assert sorted(by[axis] for by in shift.SINGLE if by[axis]) == [-6, -5, -4, -3, -2, 2, 3, 4, 5, 6]
    assert len(set(first)) >= 1 + 30
    assert first[:31] == second[:31]
    assert first[31:] != second[31:]
    assert all(abs(n) in range(2, 7) for by in first[31:] for n in by[:2])
