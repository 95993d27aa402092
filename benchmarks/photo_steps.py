"""photo.steps.*: quality of draws against network evaluations, on natural/validation; chooses the default."""

import time
from collections.abc import Callable
from dataclasses import astuple, replace
from functools import reduce
from operator import add

import msgspec
import numpy as np

from cache import measured
from pictures import centre, files, measurement, truth
from results import Row, write_results
from veriscale.diffusion.card import PATHS
from veriscale.diffusion.prior import Prior
from veriscale.diffusion.samplers import evaluations
from veriscale.metrics.bootstrap import interval, paired_interval, ratio_interval
from veriscale.metrics.distortion import mse
from veriscale.metrics.perception import energy_w2, sliced_w2
from veriscale.metrics.uncertainty import SpreadSums, spread_skill, spread_sums
from veriscale.traversal.renoise import SAMPLER as SAMPLER_DEFAULT
from veriscale.traversal.renoise import STEPS as STEPS_DEFAULT
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import restore

SCALE, DRAWS = 4, 2
INNER = (0.25, 0.5, 0.75)
RATIOS = (1.0, 0.97, 0.95, 0.93, 0.91)
STEPS = {"heun": (2, 4, 8, 16, 32), "dpm-solver++": (4, 8, 16, 32, 64), "ancestral": (4, 8, 16, 32, 64)}


def path_rows(prior: Prior) -> list[Row]:
    """Both paths on the same pictures: what the default path is chosen by."""

    def measure(path: str) -> dict:
        x = centre(truth(path, SCALE))
        y = measurement(x, SCALE)
        found = {}
        for way in PATHS:
            for f, photo in restore(y, prior, scale=SCALE, dial=INNER, path=way).images.items():
                image = [photo.pixels]
                found[f"{way} {f:g}"] = [float(sliced_w2(image, [x])[0]), float(energy_w2(image, [x]).mean[0])]
        return found

    settings = {
        "prior": prior.card.tensors_sha256,
        "paths": PATHS,
        "dials": INNER,
        "sampler": f"{SAMPLER_DEFAULT} {STEPS_DEFAULT}",
    }
    values = measured("photo_paths", settings, map(str, files("validation")), measure, 2.0)
    rows = []
    for k, (key, unit) in enumerate((("sliced", "grey levels"), ("energy", "log units"))):
        for f in INNER:
            a, b = (np.array([v[f"{way} {f:g}"][k] for v in values]) for way in ("interpolate", "renoise"))
            d = paired_interval(a, b)
            what = f"{key} W2, interpolate minus renoise at f = {f:g}; above 0 renoise wins"
            rows.append(Row(f"photo.steps.paths_{key}_{f:g}", what, d.estimate, unit, (d.low, d.high)))
            print(rows[-1].id, f"{d.estimate:.3f} {d.low:.3f} {d.high:.3f}", flush=True)
    return rows


def drawn(prior: Prior, sampler: str, steps: int) -> Callable[[str], dict]:
    """Measure the draws of one picture."""

    def measure(path: str) -> dict:
        x = centre(truth(path, SCALE))
        result = restore(measurement(x, SCALE), prior, scale=SCALE, samples=DRAWS, sampler=sampler, steps=steps)
        draws = [p.pixels for p in result.samples]
        truths = [x] * DRAWS
        return {
            "anchor": mse(result.image.pixels, x),
            "mse": float(np.mean([mse(d, x) for d in draws])),
            "sliced": float(sliced_w2(draws, truths).mean()),
            "energy": float(energy_w2(draws, truths).mean.mean()),
            "spread": astuple(spread_sums(np.stack(draws), x)),
        }

    return measure


def quality_rows(prefix: str, name: str, what: str, values: list[dict]) -> list[Row]:
    """MSE ratio, spread–skill and the two perception numbers of a set of draws."""
    column = {k: np.array([v[k] for v in values]) for k in ("anchor", "mse", "sliced", "energy")}
    g = ratio_interval(column["mse"], column["anchor"])
    sums = reduce(add, (SpreadSums(*v["spread"]) for v in values))
    rows = [
        Row(f"{prefix}.mse_{name}", f"MSE(1)/MSE(0), {what}", g.estimate, "", (g.low, g.high)),
        Row(f"{prefix}.spread_skill_{name}", f"spread–skill, {what}", spread_skill(sums)),
    ]
    for key, unit in (("sliced", "grey levels"), ("energy", "log units")):
        v = interval(column[key])
        rows.append(Row(f"{prefix}.{key}_{name}", f"{key} W2, {what}", v.estimate, unit, (v.low, v.high)))
    print(what, *(f"{r.value:.3f}" for r in rows), flush=True)
    return rows


def with_ratio(prior: Prior, ratio: float) -> Prior:
    """The prior with another level ratio in every mode."""
    modes = [msgspec.structs.replace(m, level_ratio=ratio) for m in prior.card.modes]
    return replace(prior, card=msgspec.structs.replace(prior.card, modes=modes))


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    pictures = list(map(str, files("validation")))
    key = {"prior": prior.card.tensors_sha256, "draws": DRAWS}
    shipped = prior.mode(SCALE).level_ratio
    rows = []
    for sampler, counts in STEPS.items():
        for steps in counts:
            n = evaluations(sampler, steps)
            settings = {**key, "sampler": sampler, "steps": steps, "ratio": shipped}
            values = measured("photo_steps", settings, pictures, drawn(prior, sampler, steps), 0.05 * n + 0.2)
            name = f"{sampler.replace('-solver++', '')}_{n}"
            rows += quality_rows("photo.steps", name, f"{sampler}, {steps} steps, {n} evaluations", values)
    for ratio in RATIOS:
        settings = {**key, "sampler": SAMPLER_DEFAULT, "steps": STEPS_DEFAULT, "ratio": ratio}
        measure = drawn(with_ratio(prior, ratio), SAMPLER_DEFAULT, STEPS_DEFAULT)
        values = measured("photo_steps", settings, pictures, measure, 0.6)
        rows += quality_rows(
            "photo.dial.validation", f"ratio_{ratio:g}", f"level ratio {ratio:g}, default sampler", values
        )
    rows += path_rows(prior)
    notes = (
        f"natural/validation ×4, 160² centre crops, {DRAWS} draws at dial 1 each; Heun's two evaluations a step "
        "make 3, 7, 15, 31 and 63 of its 2, 4, 8, 16 and 32 steps. Default sampler, steps and path are chosen here. "
        f"Level ratio {shipped:g} unless said otherwise."
    )
    write_results("photo_steps", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
