"""The study of few subjects: whom it draws, what it cuts out, and that what is done is not done again."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from tests.conftest import write_tiny
from tests.toy_recipe import toy_networks, toy_phase

from veriscale.diffusion.checkpoint import read_card
from veriscale.errors import InputError
from veriscale.imaging.normalisation import levels_of
from veriscale.physics.downsample import Downsample
from veriscale.stages.fitting import network_of
from veriscale.stages.recipe_file import read_recipe

ROOT = Path(__file__).parents[2]
RECIPE = (
    """
name = "study-target"
measure = "modes"
[task]
channels = 1
operators = ["downsample:factor=2", "downsample:factor=4"]
"""
    + toy_networks(depth=2, predictor=False)
    + """
[[stage]]
name = "target"
data = ["nothing"]
validation = ["nothing"]
licence = "CC0"
"""
    + toy_phase("encoder", 2, 8)
    + toy_phase("denoiser", 2, 32)
)


def scan(path, seed, shape=(6, 44, 50)):
    """An archive as those of the study; beside the image, labels that are wrong everywhere."""
    values = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    values = (300 + 200 * values / values.std()).clip(0, 1000).astype(np.int16)
    np.savez(path, image=values, label=np.ones(shape, np.uint8), group="A")
    return path


@pytest.fixture
def study(benchmark, tmp_path, monkeypatch):
    """Tiny parents, eight patients, two draws of two, two trials, two steps of training."""
    benchmark("few_shot")  # its parts are made of the numbers that are replaced below
    runs = benchmark("few_shot_runs")
    monkeypatch.setattr(runs, "TUNED_COUNT", 2)
    monkeypatch.setattr(benchmark("few_shot_rows"), "TUNED_COUNT", 2)
    monkeypatch.setattr(runs, "DRAWS", (0, 1))
    monkeypatch.setattr(runs, "FACTORS", (0.3, 1.0))
    monkeypatch.setattr(runs, "FURTHER", ())
    monkeypatch.setattr(benchmark("few_shot_scores"), "SAMPLES", 2)
    files = [scan(tmp_path / f"patient{k}.npz", k) for k in range(8)]
    patients = benchmark("few_shot_patients")
    pool = {"A": files[:2], "B": files[2:4]}
    acdc = patients.Target("acdc", 4, files[5:], files[4:5], pool)
    (tmp_path / "target.toml").write_text(RECIPE)
    (tmp_path / "parents").mkdir()
    for name, channels in (("study-domain", 1), ("study-source", 1), ("photo", 3)):
        write_tiny(tmp_path / "parents" / f"{name}.safetensors", channels)
    return runs.Study(
        tmp_path / "kept",
        tmp_path / "parents",
        {"acdc": acdc, "elsewhere": patients.Target("elsewhere", 4, files[6:])},
        str(tmp_path / "parents" / "photo.safetensors"),
        tmp_path / "target.toml",
    )


@pytest.fixture
def trained(benchmark, monkeypatch):
    """The files that training is asked for, in turn."""
    runs, asked = benchmark("few_shot_runs"), []
    train = runs.train

    def counted(recipe, output, **options):
        asked.append(output.name)
        return train(recipe, output, **options)

    monkeypatch.setattr(runs, "train", counted)
    return asked


def test_draws_are_even_over_groups_nested_and_different(benchmark, tmp_path):
    drawn = benchmark("few_shot_patients").drawn
    pool = {group: [tmp_path / f"{group}{k}.npz" for k in range(4)] for group in "abcde"}
    for draw in range(20):
        five, ten, twenty = (drawn(pool, count, draw) for count in (5, 10, 20))
        for found, each in ((five, 1), (ten, 2), (twenty, 4)):
            assert sorted(file.stem[0] for file in found) == sorted("abcde" * each)
        assert set(five) < set(ten) < set(twenty)
    assert len({tuple(drawn(pool, 5, draw)) for draw in range(20)}) == 20
    assert drawn(pool, 10, 3) == drawn({group: members[::-1] for group, members in pool.items()}, 10, 3)


@pytest.mark.parametrize("count", [1, 7, 25])
def test_uneven_draws_are_refused(benchmark, tmp_path, count):
    pool = {group: [tmp_path / f"{group}{k}.npz" for k in range(4)] for group in "abcde"}
    with pytest.raises(ValueError, match="cannot be drawn evenly from 4 of a"):
        benchmark("few_shot_patients").drawn(pool, count, 0)


def test_hearts_are_balanced_and_nobody_is_in_two_parts(benchmark):
    patients = benchmark("few_shot_patients")
    try:
        hearts = patients.hearts(benchmark("pictures").DATA.parent)
    except InputError:
        pytest.skip("needs mri/cardiac/acdc")
    pool = {file for members in hearts.pool.values() for file in members}
    assert sorted(map(len, hearts.pool.values())) == [4] * 5
    assert (len(pool), len(hearts.validation), len(hearts.test)) == (20, 2, 8)
    assert len({*pool, *hearts.validation, *hearts.test}) == 30


def test_crops_of_hippocampi_are_apart_and_fit_the_recipe(benchmark, tmp_path):
    patients = benchmark("few_shot_patients")
    root = benchmark("pictures").DATA.parent
    if not (root / "mri" / "domain" / "hippocampus_t1.npz").exists():
        pytest.skip("needs mri/domain/hippocampus_t1.npz")
    target = patients.hippocampi(root, tmp_path / "crops")
    (pool,) = target.pool.values()
    parts = [*pool, *target.validation, *target.test]
    assert parts == sorted(set(parts))
    assert (len(target.test), len(target.validation)) == (30, 4)
    assert min(n for file in target.validation for n in np.load(file)["image"].shape[1:]) >= 32  # of `held_out_slices`
    sizes = [n for file in parts for n in np.load(file)["image"].shape[1:]]
    assert min(sizes) >= 24  # of a patch


def test_crops_that_nothing_can_be_measured_on_are_not_held_out(benchmark, tmp_path):
    """The same on crops that stand for them."""
    folder = tmp_path / "mri" / "domain"
    folder.mkdir(parents=True)
    small = (47, 49, 52)
    crops = {f"crop_{k:03}": np.ones((2, 40, 31 if k in small else 33), np.float32) for k in range(86)}
    np.savez(folder / "hippocampus_t1.npz", **crops)
    target = benchmark("few_shot_patients").hippocampi(tmp_path, tmp_path / "crops")
    assert [file.stem for file in target.validation] == ["crop051", "crop053", "crop054", "crop055"]
    assert [file.stem for file in target.test] == [f"crop{k:03}" for k in range(56, 86)]
    assert [file.stem for file in target.pool["crops"]] == [f"crop{k:03}" for k in range(51)]


def test_slices_are_cut_from_the_middle_of_a_whole_measurement(benchmark, tmp_path, monkeypatch):
    """Levels and foreground are of the whole, which is brighter than its middle here."""
    scores = benchmark("few_shot_scores")
    monkeypatch.setattr(scores, "SIDE", 32)
    file = scan(tmp_path / "one.npz", 0, (10, 41, 66))
    image = np.load(file)["image"]
    image[:, :, :8] *= 3
    np.savez(file, image=image)
    found = scores.slices_of(file, 4)
    rows, columns = slice(4, 36), slice(17, 49)  # of 40 × 64, which are cut from 0 and 1 on
    whole = torch.from_numpy(image[:, :40, 1:65].astype(np.float32))
    small = Downsample(4).forward(whole[:, None])[:, 0].numpy()
    levels = levels_of(small, "small")
    assert found.measurement.levels.width == pytest.approx(levels.width, rel=1e-4)
    assert levels.width > 1.5 * levels_of(small[:, 1:9, 4:12], "cut").width
    kept = [1, 3, 6, 8]
    assert np.moveaxis(found.truth, 2, 0) == pytest.approx(levels.applied(image[kept, rows, columns]), abs=1e-4)
    assert np.moveaxis(found.measurement.values(), 2, 0) == pytest.approx(small[kept, 1:9, 4:12], abs=0.01)
    assert found.mask.shape == found.truth.shape
    assert 0 < found.mask.mean() <= 1


def test_labels_decide_nothing(benchmark, tmp_path):
    scores = benchmark("few_shot_scores")
    with_labels = scores.slices_of(scan(tmp_path / "one.npz", 0), 4)
    np.savez(tmp_path / "two.npz", image=np.load(tmp_path / "one.npz")["image"])
    without = scores.slices_of(tmp_path / "two.npz", 4)
    assert np.array_equal(with_labels.truth, without.truth)


def test_a_study_ends_in_rows_and_is_not_done_twice(benchmark, study, trained):
    rows = benchmark("few_shot_rows")

    def table():
        return [
            *rows.comparison_rows(study, "acdc", (2,)),
            *rows.comparison_rows(study, "elsewhere", (2,)),
            *rows.zero_rows(study, "acdc", "msp", (2,)),
            *rows.baseline_rows(study, "acdc"),
        ]

    first = table()
    assert len(trained) == len(set(trained)) == 2 * (2 + 1)  # of two arms two draws, and one trial that is no draw
    assert not list(study.folder.glob("runs/*.training.safetensors"))
    ids = [row.id for row in first]
    assert len(set(ids)) == len(ids)
    assert {"fewshot.msp_dft.acdc.k2.psnr", "fewshot.uncertainty.elsewhere.k2.coverage"} < set(ids)
    assert {"fewshot.zero.acdc.msp_k2.crps", "fewshot.baselines.acdc.photo.psnr_dial0"} < set(ids)
    assert all(row.interval[0] <= row.value <= row.interval[1] for row in first if not row.id.endswith("wins"))
    again = len(trained), sorted((path, path.stat().st_mtime_ns) for path in study.folder.rglob("*.json"))
    assert table() == first
    assert again == (len(trained), sorted((path, path.stat().st_mtime_ns) for path in study.folder.rglob("*.json")))
    assert "over seeds from" in rows.comparison_rows(study, "acdc", (4,))[0].against


def test_a_run_is_of_its_parent_and_its_patients(benchmark, study, trained):
    run = benchmark("few_shot_runs").Run("msp", 2, 0, factor=1.0)
    cards = {arm: read_card(study.prior(replace(run, arm=arm))) for arm in ("msp", "dft", "scratch")}
    assert [[a.name for a in cards[arm].lineage] for arm in cards] == [["study-domain"], ["study-source"], []]
    assert {card.training[0].sha256 for card in cards.values()} == {cards["msp"].training[0].sha256}
    assert cards["msp"].training[0].files == 2
    other = read_card(study.prior(replace(run, count=4)))
    assert other.training[0].files == 4
    assert set(cards["msp"].training[0].each) < set(other.training[0].each)
    assert study.prior(replace(run, count=0)).stem == "study-domain"
    assert len(trained) == 4


@pytest.mark.parametrize("what", ["recipe", "parent", "rate"])
def test_another_recipe_parent_or_rate_is_another_run(benchmark, study, what):
    run = benchmark("few_shot_runs").Run("msp", 2, 0, factor=1.0)
    first = study.prior(run)
    if what == "recipe":
        study.recipe.write_text(RECIPE.replace("steps = 2", "steps = 1"))
    elif what == "parent":  # trained on
        study.prior(run).rename(study.parents / "study-domain.safetensors")
    second = study.prior(replace(run, factor=3.0) if what == "rate" else run)
    assert first != second
    assert second.exists()


def test_a_study_that_was_cut_off_goes_on(benchmark, study, trained, monkeypatch):
    runs = benchmark("few_shot_runs")
    train = runs.train

    def cut_off(recipe, output, **options):
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(recipe, output, **options)

    monkeypatch.setattr(runs, "train", cut_off)
    with pytest.raises(KeyboardInterrupt):
        study.values("crps", "msp", 2)
    monkeypatch.setattr(runs, "train", train)
    found = study.values("crps", "msp", 2)
    assert found.shape == (2, 3)
    assert len(trained) == len(set(trained)) == 3


def test_rates_are_those_of_the_best_trial_on_validation(benchmark, study, monkeypatch):
    runs, asked = benchmark("few_shot_runs"), []

    def scored(self, run, on, part):
        asked.append((run.draw, run.count, on, part))
        return {"one": {"crps": {0.3: 0.2, 1.0: 0.1}[run.factor]}, "two": {"crps": {0.3: 0.3, 1.0: 0.5}[run.factor]}}

    monkeypatch.setattr(runs.Study, "scored", scored)
    assert study.factor("msp", "all") == 0.3
    assert set(asked) == {(0, 2, "acdc", "validation")}


@pytest.mark.parametrize(
    "best, tried", [(1.0, (0.3, 1.0, 3.0)), (0.1, (0.03, 0.1, 0.3, 1.0, 3.0)), (30.0, (0.3, 1.0, 3.0, 10.0, 30.0))]
)
def test_where_the_best_trial_is_the_outermost_further_ones_follow(benchmark, study, monkeypatch, best, tried):
    runs = benchmark("few_shot_runs")
    monkeypatch.setattr(runs, "FACTORS", (0.3, 1.0, 3.0))
    monkeypatch.setattr(runs, "FURTHER", (0.03, 0.1, 10.0, 30.0))
    monkeypatch.setattr(
        runs.Study, "scored", lambda self, run, on, part: {"one": {"crps": abs(np.log(run.factor / best))}}
    )
    assert sorted(study.tried("msp", "all")) == list(tried)
    assert study.factor("msp", "all") == best


def test_a_trial_that_diverged_is_none_of_the_best_and_any_other_refusal_is_heard(benchmark, study, monkeypatch):
    runs = benchmark("few_shot_runs")

    def scored(self, run, on, part):
        if run.factor == 0.3:
            return {"one": {"crps": float("nan")}}
        raise InputError(said)

    monkeypatch.setattr(runs.Study, "scored", scored)
    said = "Training diverged: lower the rate."
    assert study.tried("msp", "all") == {0.3: float("inf"), 1.0: float("inf")}
    said = "There is no such patient."
    with pytest.raises(InputError, match="no such patient"):
        study.tried("msp", "all")


def test_scores_of_another_prior_or_other_settings_are_made_again(benchmark, study, monkeypatch):
    runs, made = benchmark("few_shot_runs"), []
    monkeypatch.setattr(runs, "baseline_scores", lambda prior, slices, scale: made.append(scale) or {"bicubic": 1.0})
    told = [study.baselines("acdc") for _ in range(2)]
    assert told == 2 * [{f"patient{k}": {"bicubic": 1.0} for k in (5, 6, 7)}]
    assert len(made) == 3
    monkeypatch.setattr(runs, "SLICES", 2)
    study.baselines("acdc")
    assert len(made) == 6
    scan(study.targets["acdc"].test[0], 99)  # another patient of the same name
    study.baselines("acdc")
    assert len(made) == 9


def test_a_missing_parent_is_said(study, benchmark):
    with pytest.raises(SystemExit, match=r"no study-long\.safetensors; make it with `make parents`"):
        study.prior(benchmark("few_shot_runs").Run("long", 2, factor=1.0))


def test_wins_and_signs(benchmark):
    rows = benchmark("few_shot_rows")
    a, b = np.array([[1.0, 1.0, 3.0], [3.0, 1.0, 1.0]]), np.array([[1.0, 2.0, 2.5]])
    assert rows.wins("psnr", a, b) == pytest.approx(1 / 3)
    assert rows.wins("crps", a, b) == pytest.approx(2 / 3)
    row = rows.difference("fewshot.x", "what", "psnr", "former", a, "latter", b)
    assert row.id == "fewshot.x.psnr"
    assert row.value == pytest.approx((a - b).mean())
    assert row.against["former"] == pytest.approx(a.mean())
    assert row.against["claim"] == 0.0
    seeds = rows.difference("fewshot.x", "what", "psnr", "former", a, "latter", b, "seeds").against
    assert {"over seeds from", "over seeds to"} < set(seeds)
    assert not {"claim", "over draws from"} & set(seeds)


def test_of_a_whole_pool_there_are_seeds(study):
    assert [study.chance(count, on) for on in ("acdc", "elsewhere") for count in (2, 4)] == 2 * ["draws", "seeds"]


def test_the_default_holds_where_the_best_is_no_more_than_chance(benchmark):
    rows = benchmark("few_shot_rows")
    chance = np.array([[-0.4, 0.5, -0.3, 0.45]])

    def made(better):
        values = {mode: np.zeros((3, 4)) for mode in rows.TRAINABLE}
        values["lora:8"] = better + chance.repeat(3, axis=0)
        targets = {"acdc": SimpleNamespace(scale=4)}
        study = SimpleNamespace(targets=targets, values=lambda n, arm, count, trainable: values[trainable])
        return {row.id: row for row in rows.trainable_rows(study)}

    assert made(0.1)["fewshot.trainable.default"].holds
    assert not made(1.0)["fewshot.trainable.default"].holds
    low, high = made(0.1)["fewshot.trainable.default"].interval  # how much the row could not have seen
    assert low < -0.1 < high == made(0.1)["fewshot.trainable.default"].value
    assert made(1.0)["fewshot.trainable.spread"].value == pytest.approx(1.0 + chance.mean())


def test_the_estimate_counts_every_run_once(benchmark):
    study = benchmark("few_shot")
    assert len(study.trained(["main"])) == 2 * (3 * 3 + 2)
    assert study.trained(["main"]) == study.trained(["main", "zero", "sunnybrook"])
    assert len(study.trained(["total"]) - study.trained(["main"])) == 3 + 2
    assert len(study.trained(["trainable"]) - study.trained(["main"])) == 3 * (3 + 2)
    assert len(study.trained(["hippocampus"]) - study.trained(["main"])) == 2 * 3
    assert 50 <= len(study.trained(list(study.PARTS))) <= 75


def test_the_recipe_is_of_the_parents_sizes(benchmark):
    runs = benchmark("few_shot_runs")
    target = read_recipe(runs.RECIPE)
    for name in ("source", "domain", "long", "rate"):
        parent = read_recipe(runs.RECIPE.with_name(f"{name}.toml"))
        assert (parent.task, parent.encoder, parent.denoiser) == (target.task, target.encoder, target.denoiser)
    names = {"study-source", "study-domain", "study-long", "study-rate"}
    assert set(filter(None, runs.PARENTS.values())) == names
    made = {name: read_recipe(runs.RECIPE.with_name(f"{name}.toml")).stage for name in ("domain", "rate")}
    for network in ("encoder", "denoiser"):
        steps = {name: [stage.phases()[network].steps for stage in stages] for name, stages in made.items()}
        assert steps["rate"] == steps["domain"]
        assert {stage.phases()[network].lr for stage in made["rate"]} == {2e-3}
    assert target.stage[0].trainable == runs.DEFAULT


def test_the_rates_of_an_arm_are_a_row_that_tells_an_edge(benchmark):
    rows = benchmark("few_shot_rows")

    def row(**found):
        tried = {0.3: 0.2, 1.0: 0.1, 3.0: 0.3} | {float(k[1:]): v for k, v in found.items()}
        study = SimpleNamespace(tried=lambda arm, mode: tried, factor=lambda arm, mode: min(tried, key=tried.get))
        return rows.rate_row(study, "msp", "norm+bias")

    assert (row().id, row().value) == ("fewshot.rates.msp_norm_bias", 1.0)
    assert row().against == {"CRPS at 0.3": 0.2, "CRPS at 1": 0.1, "CRPS at 3": 0.3}
    assert "edge" not in row().what
    assert row(f3=0.05).value == 3.0
    assert "at an edge of what was tried: the arm may not be tuned" in row(f3=0.05).what


def test_results_of_parts_are_kept_and_written_in_turn(benchmark, study, monkeypatch):
    bench, rows = benchmark("few_shot"), benchmark("few_shot_rows")
    runs = benchmark("few_shot_runs")
    parts = {
        "main": bench.Part([runs.Run("msp", 2), runs.Run("dft", 2)], lambda s: rows.comparison_rows(s, "acdc", (2,))),
        "zero": bench.Part([runs.Run("msp", 2)], lambda s: rows.zero_rows(s, "acdc", "msp", (2,))),
        "total": bench.Part([runs.Run("long", 2)], lambda s: rows.zero_rows(s, "acdc", "long", (2,))),
    }
    monkeypatch.setattr(bench, "PARTS", parts)
    monkeypatch.setattr(bench, "targets", lambda folder: study.targets)
    monkeypatch.setattr(bench, "Study", lambda *args, **given: study)
    monkeypatch.setattr(bench, "pace", lambda study: 1.0)
    written = []
    monkeypatch.setattr(bench, "write_results", lambda name, rows, notes, seconds: written.append((rows, notes)))

    def measure(*asked):
        monkeypatch.setattr("sys.argv", ["few_shot.py", *asked])
        bench.main()

    with pytest.raises(SystemExit, match="no study-long"):
        measure("main", "total")
    assert len(written) == 1  # before that which cannot be measured
    assert "Not measured: zero, total." in written[0][1]
    measure("zero")
    ids = [row.id for row in written[1][0]]
    assert {"fewshot.msp_dft.acdc.k2.psnr", "fewshot.zero.acdc.msp_k2.psnr", "fewshot.rates.dft_all"} < set(ids)
    assert len(set(ids)) == len(ids)
    assert "Not measured: total." in written[1][1]


def test_equal_total_steps_are_scored_on_both_sets_of_hearts(benchmark):
    targets = {name: SimpleNamespace(scale=4) for name in ("acdc", "sunnybrook")}
    values = {"msp": np.arange(12.0).reshape(3, 4), "long": np.ones((3, 4))}
    fake = SimpleNamespace(
        targets=targets,
        values=lambda n, arm, count, on: values.get(arm, values["long"]),
        chance=lambda count, on="acdc": "draws",
    )
    ids = {row.id for row in benchmark("few_shot").PARTS["total"].rows(fake)}
    assert {f"fewshot.msp_dft.{on}.k10_total.crps" for on in targets} < ids


def test_the_rates_of_every_arm_are_on_the_page(benchmark):
    bench = benchmark("few_shot")
    fake = SimpleNamespace(tried=lambda arm, mode: {0.3: 0.2, 1.0: 0.1, 3.0: 0.3}, factor=lambda arm, mode: 1.0)
    found = {row.id for row in bench.rates(fake, list(bench.PARTS))}
    assert found == {row for row in benchmark("table").ROWS if row.startswith("fewshot.rates.")}


def test_the_parents_lie_beside_the_benchmark(benchmark):
    """With their recipes' names and sizes, as `make parents` leaves them."""
    for arm in ("msp", "dft", "long", "rate"):
        name = benchmark("few_shot_runs").PARENTS[arm]
        recipe = read_recipe(ROOT / "recipes" / "study" / f"{name.removeprefix('study-')}.toml")
        file = ROOT / "benchmarks" / "parents" / f"{name}.safetensors"
        card = read_card(file)
        assert card.name == recipe.name == name
        assert card.network == network_of(recipe)
        assert file.stat().st_size <= 1.6e6


def test_tables_are_asked_for_by_name_and_none_are_all(benchmark, monkeypatch, capsys):
    asked = benchmark("study_arguments").study_arguments
    monkeypatch.setattr("sys.argv", ["study.py"])
    assert asked("", ["main", "zero"]).part == []
    monkeypatch.setattr("sys.argv", ["study.py", "zero", "--parents", "elsewhere"])
    found = asked("", ["main", "zero"])
    assert found.part == ["zero"]
    assert found.parents.name == "elsewhere"
    monkeypatch.setattr("sys.argv", ["study.py", "zero", "maim"])
    with pytest.raises(SystemExit, match="2"):
        asked("", ["main", "zero"])
    assert "no table is called maim" in capsys.readouterr().err
