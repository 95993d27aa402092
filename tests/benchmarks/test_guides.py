"""The study of guides, whole, on tiny parents and scans: all tables are made, and what is done is not done again."""

import importlib
import sys
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from tests.benchmarks.conftest import BENCHMARKS
from tests.conftest import write_tiny
from tests.stages.scans import blobs
from tests.toy_recipe import toy_networks, toy_phase

from veriscale.diffusion.checkpoint import read_card
from veriscale.guides.guide_file import read_guide_card

TASK = """
name = "toy"
measure = "modes"
[task]
channels = 1
operators = ["downsample:factor=2", "downsample:factor=3", "downsample:factor=4"]
""" + toy_networks(depth=2, predictor=False)
STAGE = """
[[stage]]
name = "{}"
init_from = "parent"
data = ["nothing"]
validation = ["nothing"]
licence = "CC0"
"""
GUIDES = '[guides]\ntarget = "T2"\nmodalities = ["T1", "T1C", "FLAIR"]\ndepth = 1\n'
GUIDED = TASK + GUIDES + STAGE.format("guided") + toy_phase("guides", 2, 24, 'optimiser = "muon"')
UNGUIDED = TASK + STAGE.format("domain") + toy_phase("encoder", 1, 8) + toy_phase("denoiser", 1, 24)

SMALL = {
    "guides_runs": {
        "TRAINING": ("ms07",),
        "EVERYONE": ("ms07", "tcgadu7294"),
        "FACTORS": (1.0,),
        "FOLD_STEPS": 1,
        "WIDTH": {"dynamic": 16, "mean": 16},
    },
    "guides_rows": {
        "SUBJECTS": ("ms19",),
        "EVERYONE": ("ms07", "tcgadu7294"),
        "FUSIONS": ("dynamic", "mean"),
        "STATIC": ("mean",),
        "SEEDS": (0, 1),
    },
    "guide_shift": {"SINGLE": [(3, 0, 0), (0, 0, -2)]},
    "guides_scores": {"SAMPLES": 2},
    "guides_spoiling": {"SIDE": 16},
    "guides_term_rows": {"SUBJECTS": ("ms19",), "TAUS": ("constant", "falling"), "DRAWN": 3, "SAMPLES": 2},
    "guides_use_rows": {"SUBJECTS": ("ms19",), "SLABS": (0.5,), "SHIFTS": 1, "_REPEATS": 1},
}


def write_contrasts(folder, subject, seed):
    """T2 with detail that its T1 shows in the negative; two others."""
    values = blobs((40, 48, 24), seed)
    values = values + 200 * (np.random.default_rng(seed).random(values.shape) < 0.2) * (values > 0)
    made = {
        "T2": values,
        "T1": 1000 - values,
        "T1C": blobs(values.shape, seed + 9),
        "FLAIR": blobs(values.shape, seed + 18),
    }
    for name, samples in made.items():
        path = folder / subject / f"{subject}_{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.Nifti1Image(samples.astype(np.float32), np.eye(4)).to_filename(path)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The modules, and a study of one training subject, one for validation and one for test."""
    folder = tmp_path_factory.mktemp("guides")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        modules = {name: importlib.import_module(name) for name in (*SMALL, "guides_cases", "scans", "cache")}
        importlib.import_module("guides")  # which takes names from the others: before they are small, for other tests
        for name, values in SMALL.items():
            for key, value in values.items():
                patch.setattr(modules[name], key, value)
        case = modules["guides_cases"].case
        patch.setattr(
            modules["guides_runs"], "case", lambda s, every=2, target="T2", x=4: case(s, 3 * every, target, x)
        )
        modules["scans"].brain.cache_clear()
        patch.setattr(modules["scans"], "DATA", folder / "data")
        patch.setattr(modules["cache"], "FOLDER", folder / "cache")
        patch.setattr(modules["cache"], "commit", lambda: "test")
        for seed, subject in enumerate(("ms07", "tcgadu7294", "ms19")):
            write_contrasts(folder / "data", subject, seed)
        for seed, name in enumerate(("train", "validation")):
            write_contrasts(folder / "heads", name, 40 + seed)
        heads = {name: [folder / "heads" / name / f"{name}_T1.nii.gz"] for name in ("train", "validation")}
        (folder / "recipes").mkdir()
        (folder / "recipes" / "guided.toml").write_text(GUIDED)
        (folder / "recipes" / "unguided.toml").write_text(UNGUIDED)
        (folder / "parents").mkdir()
        for name in ("study-domain", "study-source"):
            write_tiny(folder / "parents" / f"{name}.safetensors", 1)
        patch.setenv("VERISCALE_PRIORS", f"{folder / 'parents'}:{folder / 'kept' / 'priors'}")
        asked: list[str] = []
        train = modules["guides_runs"].train

        def counted(recipe, output, **options):
            asked.append(output.name)
            return train(recipe, output, **options)

        patch.setattr(modules["guides_runs"], "train", counted)
        study = modules["guides_runs"].Study(folder / "kept", folder / "parents", heads, folder / "recipes")
        terms = modules["guides_term_rows"]
        patch.setattr(terms, "RUNS", {n: terms.RUNS[n] for n in ("dynamic", "mean", "predictions", "τ falling")})
        yield SimpleNamespace(study=study, trained=asked, patch=patch, **modules)
        modules["scans"].brain.cache_clear()


def by_id(rows):
    found = {row.id: row for row in rows}
    assert len(found) == len(rows)
    assert set(found) <= set(importlib.import_module("table").ROWS)
    return found


def test_sound_guides(toy):
    rows = by_id(toy.guides_rows.clean_rows(toy.study))
    ends = ["", ".lowest", ".over_regression", ".over_regression.lowest", ".over_adapted"]
    assert list(rows) == [f"guides.clean.ms19{end}" for end in ends]
    row = rows["guides.clean.ms19"]
    assert row.bar == ">= 2.0"
    seeds = [row.against[f"seed {k}"] for k in (0, 1)]
    assert row.value == pytest.approx(np.mean(seeds))
    assert seeds[0] != seeds[1]
    assert row.against["guided"] - row.against["without"] == pytest.approx(seeds[0])


def test_spoilt_and_wrong_guides(toy):
    rows = by_id([*toy.guides_rows.static_rows(toy.study), *toy.guides_rows.wrong_rows(toy.study)])
    static = [f"guides.static.ms19{end}" for end in ("", ".lowest", ".inside", ".unseen", ".unseen.inside", ".clean")]
    assert list(rows) == [*static, "guides.wrong.ms19", "guides.wrong.ms19.all"]
    row = rows["guides.static.ms19"]
    assert row.value == pytest.approx(row.against["over mean"])
    inside = rows["guides.static.ms19.inside"]
    assert inside.value == pytest.approx(inside.against["over mean"])
    assert inside.value != pytest.approx(row.value)
    assert inside.bar == row.bar == ">= 0.2"


def test_subsets_and_none(toy):
    rows = by_id(toy.guides_rows.subset_rows(toy.study))
    assert list(rows) == ["guides.subsets.ms19", "guides.subsets.ms19.none"]
    assert rows["guides.subsets.ms19.none"].value == 0
    steps = rows["guides.subsets.ms19"].against
    assert len(steps) == 12
    assert rows["guides.subsets.ms19"].value == min(steps.values())
    given = (toy.guides_cases.Condition(names) for names in (("T1", "T1C"), ("T1",)))
    larger, smaller = (toy.guides_rows.columns(toy.study, "ms19", condition) for condition in given)
    gains = [toy.guides_rows.gain([a], [b]).estimate for a, b in zip(larger, smaller, strict=True)]
    assert len(gains) == 2
    assert steps["T1 and T1C"] == min(gains)


def test_where_weights_fall(toy):
    rows = by_id(toy.guides_rows.localise_rows(toy.study))
    assert len(rows) == 3 * 2
    for row in rows.values():
        amounts = [row.against.pop(f"amount {where}") for where in ("inside", "outside")]
        assert all(0 < amount < 1 for amount in amounts)
        assert len(row.against) == 7
        worst = min if "auc" in row.id else max
        assert row.value == worst(row.against.values())
        assert row.bar == ("> 0.8" if "auc" in row.id else "< 0.7")
        assert row.interval[0] <= row.value <= row.interval[1]


def test_what_stands_where(toy):
    rows = by_id(toy.guides_rows.semantic_rows(toy.study))
    assert set(rows["guides.semantic.ms19.dice"].against) == {"unguided", "mean"}
    assert all(0 < row.value < 1 for row in rows.values())


def test_terms_of_the_bound(toy):
    rows = by_id(toy.guides_term_rows.bound_rows(toy.study))
    assert len(rows) == 2 * (4 * 5 + 1) + 2
    assert rows["guides.bound.ms19.identity"].holds
    bar, true = (rows[f"guides.bound.ms19.{end}"] for end in ("shuffled", "sound.0.covariance"))
    assert bar.bar == f"{-abs(true.value) / 10:.3g}..{abs(true.value) / 10:.3g}"
    others = set(toy.guides_term_rows.RUNS) - {"dynamic"}
    assert others == {"mean", "predictions", "τ falling"}
    terms = rows["guides.bound.ms19.spoilt.1.means"].against
    for name, fused in rows["guides.bound.ms19.spoilt.1.fused"].against.items():
        weights, losses = ([terms[f"{name}, {of} {m}"] for m in ("T1", "T1C", "FLAIR")] for of in ("E[w]", "E[ℓ]"))
        assert sum(weights) == pytest.approx(1)
        covariance = rows["guides.bound.ms19.spoilt.1.covariance"].against[name]
        assert fused == pytest.approx(np.dot(weights, losses) + covariance)
    assert set(rows["guides.bound.ms19.sound.2.ambiguity"].against) == others
    fused = rows["guides.bound.ms19.sound.1.fused"]
    shares = rows["guides.bound.ms19.sound.below_static"].against
    assert shares["4 σ_d"] == pytest.approx(fused.value / fused.against["mean"] - 1)
    spoilt = rows["guides.bound.ms19.spoilt.0.fused"]
    assert spoilt.value != rows["guides.bound.ms19.sound.0.fused"].value


def test_draws(toy):
    rows = by_id(toy.guides_term_rows.draw_rows(toy.study))
    assert list(rows) == [
        f"guides.draws.ms19.{end}" for end in ("crps", "spread_skill", "inform", "one_spoilt", "spoilt")
    ]
    assert rows["guides.draws.ms19.crps"].value != 0
    assert rows["guides.draws.ms19.inform"].value != rows["guides.draws.ms19.spoilt"].value


def test_temperatures(toy):
    rows = by_id(toy.guides_term_rows.tau_rows(toy.study))
    each = [f"{end}" for end in ("loss_1", "loss_2", "loss_3", "crps")]
    assert set(rows) == {
        "guides.tau.default",
        "guides.tau.default.low",
        *(f"guides.tau.{subject}.falling.{end}" for subject in ("tcgadu7294", "ms19") for end in each),
    }
    shares = rows["guides.tau.default"].against
    assert shares["constant"] == 1
    row, low = rows["guides.tau.default"], rows["guides.tau.default.low"]
    assert row.value == pytest.approx(1 / min(shares.values()) - 1)
    assert (low.value, row.bar, low.bar) == (row.interval[0], None, "<= 0")


def test_who_is_left_out_is_unseen_by_guides_and_parent(toy):
    rows = by_id(toy.guides_rows.generalise_rows(toy.study))
    assert list(rows) == ["guides.generalise.dynamic", "guides.generalise.mean", "guides.generalise.dynamic_less_mean"]
    dynamic, mean, less = (row.value for row in rows.values())
    assert less == pytest.approx(dynamic - mean)
    told = rows["guides.generalise.dynamic"].against
    assert dynamic == pytest.approx(told["gain on training subjects"] - told["on left-out ones"])
    base = read_card(toy.study.base("ms07"))
    guides = read_guide_card(toy.study.guides(toy.guides_runs.Run(left_out="ms07")))
    assert (base.training[0].files, guides.training[0].files) == (1 + 4, 4)
    assert guides.parent_sha256 == base.tensors_sha256
    held = set(guides.validation[0].each)
    assert len(held) == 4
    assert not held & {digits for data in (*base.training, *guides.training) for digits in data.each}


def test_uses(toy):
    rows = by_id([*toy.guides_use_rows.through_rows(toy.study), *toy.guides_use_rows.shift_rows(toy.study)])
    ends = "", ".lowest", ".wrong", ".draw", ".draw.wrong"
    through = [f"guides.through.ms19.{c}{end}" for c in ("T2", "FLAIR") for end in ends]
    assert list(rows) == [*through, "guides.shift.ms19.found", "guides.shift.ms19.suspected"]
    assert len({rows[id].value for id in through} - {0}) == len(through)
    assert [rows[f"guides.through.ms19.T2{end}"].bar for end in ends] == [">= 0.8", "> 0", ">= -0.1", None, ">= -0.1"]
    flair = toy.study.guides(toy.guides_runs.Run(target="FLAIR", planes="all"))
    assert read_guide_card(flair).arguments.modalities == ["T1", "T1C", "T2"]
    assert read_guide_card(flair).training[0].planes == "all"
    assert rows["guides.through.ms19.FLAIR"].what.endswith(f"over unguided {read_guide_card(flair).parent!r}")
    assert all(row.value > 0 for row in toy.guides_use_rows.speed_rows(toy.study))


def test_shipped_guides_are_measured_on_the_same_tests(toy):
    guides = toy.study.guides(toy.guides_runs.Run())
    (guides.parent / "mri-guided.safetensors").write_bytes(guides.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy.guides_use_rows, "gain_of_study", lambda subject: 0.5)
        rows = by_id(toy.guides_use_rows.shipped_rows(toy.study))
    row = rows["guides.shipped.ms19"]
    assert (row.against["the study's gain"], row.bar) == (0.5, ">= 2.00")
    assert set(rows) >= {"guides.shipped.through.ms19.T2.wrong", "guides.shipped.speed.denoiser"}
    assert rows["guides.shipped.ms19.x2"].value not in (0, row.value)
    assert "T2 ×2" in rows["guides.shipped.ms19.x2"].what


def test_a_study_that_was_cut_off_goes_on(toy):
    first = toy.guides_rows.clean_rows(toy.study)
    done = len(toy.trained)
    assert len(set(toy.trained)) == done

    def cut_off(*arguments):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy.guides_runs, "mean_errors", cut_off)
        assert toy.guides_rows.clean_rows(toy.study) == first
        with pytest.raises(KeyboardInterrupt):
            toy.study.errors(toy.study.guides(toy.guides_runs.Run()), "ms07")
    assert len(toy.trained) == done
    assert not list(toy.study.folder.rglob("*.training.safetensors"))


def test_another_recipe_is_another_run(toy):
    run = toy.guides_runs.Run(factor=1.0)
    first = toy.study.guides(run)
    recipe = toy.study.recipes / "guided.toml"
    recipe.write_text(GUIDED.replace("steps = 2", "steps = 1"))
    try:
        second = toy.study.guides(run)
    finally:
        recipe.write_text(GUIDED)
    assert first != second
    assert read_guide_card(second).steps == 1
    assert toy.study.guides(run) == first


def test_another_code_is_another_run(toy):
    first = toy.study.base("ms07")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy.guides_runs, "CODE", 0)
        assert toy.study.base("ms07") != first


def test_what_goes_on_without_guides_is_the_better_of_the_same_rates(toy):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy.guides_runs, "FACTORS", (1.0, 3.0))
        tried = [toy.study._adapted(factor) for factor in (1.0, 3.0)]
        errors = [sum(toy.study.errors(path, "tcgadu7294")["none"]["error"]) for path in tried]
        assert errors[0] != errors[1]
        assert toy.study.adapted() == tried[int(np.argmin(errors))]


def test_every_part_has_a_file_of_its_own(benchmark, monkeypatch):
    guides, results = benchmark("guides"), benchmark("results")
    made = {name: [results.Row(f"guides.{name}.ms19", name, 1.5)] for name in ("clean", "tau", "shipped")}
    parts = {name: guides.Part([], lambda study, rows=rows: rows) for name, rows in made.items()}
    written = {}
    monkeypatch.setattr(guides, "PARTS", parts)
    monkeypatch.setattr(guides, "select", lambda *asked: [])
    monkeypatch.setattr(guides, "pace", lambda study: (1.0, 1.0))
    monkeypatch.setattr(guides, "known_priors", dict)
    monkeypatch.setattr(guides, "write_results", lambda name, rows, notes, seconds: written.update({name: rows}))
    monkeypatch.setenv("VERISCALE_PRIORS", "")
    monkeypatch.setattr(sys, "argv", ["guides.py"])
    guides.main()
    assert written == {f"guides_{name}": made[name] for name in ("clean", "tau")}
    monkeypatch.setattr(sys, "argv", ["guides.py", "shipped"])
    with pytest.raises(SystemExit, match="no prior is called mri-guided"):
        guides.main()
    monkeypatch.setattr(sys, "argv", ["guides.py", "cleen"])
    with pytest.raises(SystemExit, match="2"):
        guides.main()


def test_the_gain_of_the_study_is_read_where_it_is_written(benchmark, monkeypatch, tmp_path):
    uses, results = benchmark("guides_use_rows"), benchmark("results")
    with pytest.raises(SystemExit, match="measure the part clean"):
        uses.gain_of_study("ms19", tmp_path)
    monkeypatch.setattr(results, "commit", lambda: "abc")
    told = {"guided": 30.5, "without": 28.0}
    rows = [results.Row(f"guides.clean.{end}", "", 1.0, against=told) for end in ("ms19", "ms19.lowest")]
    results.write_results("guides_clean", rows, "", 1.0, tmp_path)
    assert uses.gain_of_study("ms19", tmp_path) == 2.5


def test_rates_are_those_of_the_best_trial(toy):
    errors = {1.0: 2.0, 3.0: 1.0}
    study = SimpleNamespace(
        guides=lambda run: run.factor,
        errors=lambda factor, subject: {
            c.name: {"error": [errors[factor]]} for c in toy.guides_runs.CONDITIONS if subject == "tcgadu7294"
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy.guides_runs, "FACTORS", (1.0, 3.0))
        assert toy.guides_runs.Study.factor(study, "dynamic") == 3.0


def test_a_missing_parent_is_said(toy):
    with pytest.raises(SystemExit, match=r"no study-long\.safetensors; make it with `make parents`"):
        toy.study.parent("study-long")
