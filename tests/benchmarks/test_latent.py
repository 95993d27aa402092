"""What the tables of latent priors are made with, on the linear decoder and on networks without training."""

import json
from dataclasses import replace

import pytest
import torch

from veriscale.diffusion.schedule import karras


@pytest.fixture
def closed(benchmark):
    return benchmark("latent_closed")


def test_draws_that_are_affine_are_those_of_the_posterior(closed, monkeypatch):
    problem = closed.Problem.of(closed.OPERATORS["sr"])
    mean, trace = closed.affine(problem)
    assert closed.relative(mean, problem.mean) < 0.02
    assert abs(trace / problem.trace - 1) < 0.02
    monkeypatch.setattr(closed, "STEPS", 3)  # negative control: too few steps are seen
    assert abs(closed.affine(problem)[1] / problem.trace - 1) > 0.02


def test_resample_ends_where_the_measurement_is_met(closed, benchmark):
    resample = benchmark("peers").resample
    problem = closed.Problem.of(closed.OPERATORS["sr"])
    misfit, sigmas = problem.misfit, karras(20.0, 0.01, 20)
    start, enough = 20 * closed.unit(9), torch.tensor([misfit.data.y.numel() * closed.NOISE**2])
    settings = (40.0, 0.1, closed.unit, enough)
    found = resample(closed.denoise, misfit, start, sigmas, *settings, every=5, iterations=300)
    assert float(misfit.gradient(found)[0]) <= float(enough)
    free = resample(closed.denoise, misfit, start, sigmas, *settings, every=5, iterations=0)
    assert float(misfit.gradient(free)[0]) > 2 * float(enough)  # negative control


@pytest.fixture
def table(benchmark, models, monkeypatch):
    """The script of the table on an untrained model, with three steps; a prior, and two small pictures."""
    problems, script, rows = (benchmark(name) for name in ("latent_problems", "latent", "latent_rows"))
    chosen = {"mean_of_dps": {"zeta": 0.1}, "resample": {"gamma": 40.0, "rate": 0.1, "iterations": 2.0}}
    monkeypatch.setattr(script, "tuned", lambda method, *_: chosen[method])
    monkeypatch.setattr(script, "best_dps", lambda *_: {"zeta": 0.1})
    monkeypatch.setattr(problems, "LONG", 3)
    monkeypatch.setattr(problems, "STEPS", 2)
    monkeypatch.setattr(script, "LATENT_DEFAULT", replace(script.LATENT_DEFAULT, iterations=2, steps=3))
    prior = problems.load_prior(models / "ldm", "cpu", torch.float32)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return script, problems, rows, prior, x


@pytest.mark.parametrize("task", ["inpainting", "sensing", "sr"])
def test_resample_stops_at_the_noise_of_all_channels(table, monkeypatch, task):
    """Masks that are one for all colours among it."""
    _, problems, _, prior, x = table
    data = problems_of(x, problems.TASKS[task])
    heard = []
    monkeypatch.setattr(problems, "resample", lambda *given, iterations: heard.append((given[-1], iterations)))
    problems.Methods(prior).resample(data, 40.0, 0.1, 30.0)
    (enough, iterations) = heard[0]
    exact = data.operator.forward(x) - data.y
    seen = data.operator.support(tuple(data.y.shape[1:]))
    power = (exact if seen is None else exact * seen).square().flatten(1).sum(1)
    torch.testing.assert_close(enough, power, rtol=0.25, atol=0)
    assert iterations == 30


def test_a_model_that_is_not_built_says_how(benchmark, monkeypatch, tmp_path):
    problems = benchmark("latent_problems")
    monkeypatch.setattr(problems, "BUILD", tmp_path)
    for name, recipe in problems.RECIPES.items():
        with pytest.raises(SystemExit, match=rf"is not there; make it: veriscale train {recipe} --resume -o"):
            problems.latent_prior(name)


def problems_of(x, operator):
    from zeroshot_problems import problem

    return problem(x, operator)


def test_every_row_of_the_table_can_be_made(table):
    script, problems, made, prior, x = table
    run, found, knobs = problems.Methods(prior), {}, script.LATENT_DEFAULT
    dials = (0.0, 0.25, 0.5, 0.75, 1.0)
    for task in ("sr", "hdr"):
        data = problems_of(x, problems.TASKS[task])
        found |= {
            f"{task} ours": problems.ours(prior, data, x, dials, knobs),
            f"{task} others": script.others(run, task, data, x),
            f"{task} seconds": script.seconds(run, data, False),
            f"{task} floor": script.floor(prior, x),
        }
        assert ("gauss-newton for looks" in found[f"{task} others"]) == (task == "sr")
        rows = made.anchor_rows(task, found)
        assert {"over_dps", "over_resample", "time"} <= {row.id.rpartition(".")[2] for row in rows}
    alone, data = found["sr floor"], problems_of(x, problems.TASKS["sr"])
    renoised = problems.ours(prior, data, x, dials, knobs, path="renoise")
    assert renoised["dial 0"] == found["sr ours"]["dial 0"]
    assert renoised["dial 0.5"] != found["sr ours"]["dial 0.5"]
    taken = found["sr seconds"] | {"photo anchor": 1.0, "photo draw": 2.0}
    both = {f"dial {f}": found["sr ours"][f"dial {f}"] for f in (0, 1)}
    rows = made.dial_rows("sr", "renoise", renoised, alone)
    assert all(row.bar is None for row in rows)  # bars are of the path that latent priors take
    rows += made.dial_rows("sr", "interpolate", found["sr ours"], alone)
    assert all(row.bar for row in rows[len(rows) // 2 :])
    rows += made.pixel_rows("sr", both, both, alone, taken)
    rows += made.taef2_rows("sr", both, both, alone, alone)
    rows += made.floor_rows({"floor latent": alone, "floor latent-taef2": alone})
    again = made.cached_rows(json.loads(json.dumps([row.as_json() for row in rows])))
    assert [row.as_json() for row in again] == [row.as_json() for row in rows]
    assert sum("autoencoder alone" in (row.against or {}) for row in rows) == 10


def test_steps_of_dps_that_are_not_weighted_are_longer(table, monkeypatch):
    _, problems, _, prior, x = table
    run, data = problems.Methods(prior), problems_of(x, problems.TASKS["sr"])
    lengths = []
    monkeypatch.setattr(problems, "dps", lambda *_, length: lengths.append(length(3.0, 2.0)) or torch.zeros(1))
    run.dps(data, 0.1)
    run.dps(data, 0.1, plain=1.0)
    assert lengths[1] == pytest.approx(10 * lengths[0])  # 1/ᾱ at σ = 3


def test_the_mean_of_draws_is_of_pictures(table, monkeypatch):
    _, problems, _, prior, x = table
    run, data = problems.Methods(prior), problems_of(x, problems.TASKS["sr"])
    draws = [run.picture(data, run.dps(data, 0.1, draw=k)) for k in range(problems.DRAWS)]
    torch.testing.assert_close(run.mean_of_dps(data, zeta=0.1), torch.stack(draws).mean(0))
    assert not torch.equal(draws[0], draws[1])


@pytest.fixture
def chosen(benchmark, monkeypatch, tmp_path):
    """The reader of what was tuned, on a file of its own; and a way to write that."""
    script = benchmark("latent_chosen")
    monkeypatch.setattr(script, "RESULTS", tmp_path)

    def write(rows: dict[str, float], notes: str) -> None:
        entries = [
            {"id": f"latent.tuning.ours.{key}", "value": value} | ({"against": {}} if key.endswith("score") else {})
            for key, value in rows.items()
        ]
        (tmp_path / "latent_tuning.json").write_text(json.dumps({"rows": entries, "notes": notes}))

    return script, write


SETTINGS = {"paper_20.all.psnr.rate": 0.1, "paper_20.all.psnr.timestep": 50.0, "dps.all.sliced.zeta": 0.1}


def test_the_table_is_of_settings_that_were_chosen_for_these_priors(table, chosen, monkeypatch):
    script, write = chosen
    prior = table[3]
    with pytest.raises(SystemExit, match=r"latent_tuning.json is not there; make it"):
        script.check_default([prior])
    write(SETTINGS, "of ldm 0123456789ab")
    with pytest.raises(SystemExit, match=r"latent_tuning.json is of another ldm; make it anew"):
        script.check_default([prior])
    write(SETTINGS, f"of {script.mark(prior)}")
    with pytest.raises(SystemExit, match=r"is not what was chosen; set it to LatentPreset\(iterations=20, .*"):
        script.check_default([prior])
    monkeypatch.setattr(script, "LATENT_DEFAULT", replace(script.LATENT_DEFAULT, iterations=20))
    script.check_default([prior])


def test_the_better_dps_stands_in_the_table(chosen):
    script, write = chosen
    rows = {"dps.sr.psnr.zeta": 0.1, "dps.sr.psnr.score": 24.0, "dps.sr.sliced.zeta": 0.2, "dps.sr.sliced.score": 3.0}
    plain = {"psnr.zeta": 0.3, "psnr.plain": 1.0, "psnr.score": 25.0, "sliced.zeta": 0.4, "sliced.score": 4.0}
    write(rows | {f"dps_plain.sr.{key}": value for key, value in plain.items()}, "")
    assert script.best_dps("sr", "psnr") == {"zeta": 0.3, "plain": 1.0}
    assert script.best_dps("sr", "sliced") == {"zeta": 0.2}


@pytest.mark.parametrize(("name", "methods"), [("latent", 7), ("latent-taef2", 2)])
def test_every_method_can_be_tuned(benchmark, table, monkeypatch, name, methods):
    tuning, (_, problems, _, prior, x) = benchmark("latent_tuning"), table
    starts = {f"paper_{n}": {"rate": 0.1, "timestep": 50.0} for n in (2, 3)}
    starts |= {"dps": {"zeta": 0.1}, "dps_plain": {"zeta": 0.1, "plain": 1.0}}
    starts["resample"] = {"gamma": 40.0, "rate": 0.1, "iterations": 2.0}
    searched = [*starts, "mean_of_dps"]
    for setting, value in {
        "FEW": 2,
        "ITERATIONS": (2, 3),
        "STARTS": starts,
        "FACTORS": {m: {key: 2.0 for key in starts.get(m, {"zeta": 0}) if key != "plain"} for m in searched},
        "LIMITS": dict.fromkeys(("rate", "timestep", "zeta", "gamma", "iterations"), (0.0, 0.0)),  # no step is taken
        "TASKS": {"sr": problems.TASKS["sr"]},
        "MAIN": ("sr",),
        "DIALLED": ("sr",),
        "LATENT_DEFAULT": replace(tuning.LATENT_DEFAULT, steps=3),
        "crops": lambda *_: x[:1],
        "measured": lambda name, key, items, measure, seconds: [measure(item) for item in items],
    }.items():
        monkeypatch.setattr(tuning, setting, value)
    rows = tuning.tuned_rows(name, prior)
    paths = [row for row in rows if row.id.startswith("latent.tuning.path.")]
    assert len(paths) == (2 if name == "latent" else 0)
    assert all(row.value != row.against["interpolate"] for row in paths)
    rows = [row for row in rows if row not in paths]
    scores = [row for row in rows if row.id.endswith(".score")]
    assert len({row.id.split(".")[3] for row in rows}) == methods
    assert all(row.against == {"inside": 0.0} for row in scores if "gauss-newton" not in row.id)
    found = {row.id.rpartition(".")[2]: row.value for row in rows if ".dps." in row.id}
    assert found["zeta"] == 0.1
