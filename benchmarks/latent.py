"""latent.*: both stages over the latents of our own prior, beside others on the same networks, `photo` and TAEF2."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
import torch
from torch import Tensor

import latent_closed
import veriscale
from cache import measured
from latent_problems import LONG, MAIN, TASKS, Methods, built, latent_prior
from latent_tuning import ITERATIONS
from pictures import centre, files
from results import RESULTS, Row, write_results
from veriscale.diffusion.noise_field import NoiseField
from veriscale.latent.method import Latent
from veriscale.latent.prior import LatentPrior
from veriscale.metrics.bootstrap import paired_interval
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.traversal import zero_shot
from veriscale.traversal.method import Work
from veriscale.traversal.presets import LATENT_DEFAULT, LatentPreset
from veriscale.traversal.walk import Walk, walk
from veriscale.workflows.opening import load_prior
from veriscale.workflows.peak_memory import peak_memory_mb
from zeroshot_problems import NOISE, crops, perception, problem, psnr, start_of
from zeroshot_problems import Methods as PixelMethods

COUNT, DRAWS, TURNS = 4, 4, 3
DIALS = (0.0, 0.25, 0.5, 0.75, 1.0)
DIALLED = "sr", "blur"  # whose dial has bars
SECONDS = 170.0  # of one item in the mean, on one core: many take few, and those of others a quarter of an hour
FLOOR_SIDE = 128
MEMORY_SIDE = 256
OTHER = "latent-taef2"


def tuned(method: str, task: str, goal: str, prior: str = "ours") -> dict[str, float]:
    """Settings of a method, chosen by latent_tuning.py."""
    prefix = f"latent.tuning.{prior}.{method}.{task}.{goal}."
    rows = json.loads((RESULTS / "latent_tuning.json").read_text())["rows"]
    return {r["id"].removeprefix(prefix): r["value"] for r in rows if r["id"].startswith(prefix) and "against" not in r}


def scores(image: Tensor, x: Tensor) -> dict[str, list[float]]:
    sliced, energy = perception(image, x)
    mse = (image - x).double().square().mean((1, 2, 3))
    found = {"psnr": psnr(image, x), "mse": mse, "sliced": sliced, "energy": energy}
    return {k: list(map(float, v)) for k, v in found.items()}


def chosen_knobs(prior: str) -> LatentPreset:
    """What latent_tuning.py chose for both stages, "ours" or "taef2"."""
    few = ITERATIONS[0]
    chosen = tuned(f"paper_{few}", "all", "psnr", prior) | tuned("dps", "all", "sliced", prior)
    return replace(LATENT_DEFAULT, iterations=few, **chosen | {"timestep": round(chosen["timestep"])})


def check_default() -> None:
    """Exit where what `restore` does by default is not what was chosen."""
    if not (RESULTS / "latent_tuning.json").is_file():
        raise SystemExit("docs/results/latent_tuning.json is not there; make it: python benchmarks/latent_tuning.py")
    if (wanted := chosen_knobs("ours")) != LATENT_DEFAULT:
        raise SystemExit(f"LATENT_DEFAULT of traversal/presets.py is not what was chosen; set it to {wanted}")


def ours(
    prior: LatentPrior,
    data: DataTerm,
    x: Tensor,
    dials: tuple[float, ...],
    knobs: LatentPreset = LATENT_DEFAULT,
    path: str | None = None,
) -> dict:
    """Both stages as `restore` runs them, picture by picture."""
    pictures: dict[float, list[Tensor]] = {f: [] for f in dials}
    noise = GaussianNoise(NOISE)
    for i, y in enumerate(data.y):
        method = Latent(prior, data.operator, noise, tuple(y.shape), knobs=knobs, steps=knobs.steps)
        found_anchor = method.begin(y[None], 1, lambda i=i: NoiseField(0, str(i)), Work(True, 1))
        full = 2 if len(dials) > 2 else len(dials) - 1
        wanted = Walk(dials, path or method.path, full, method.sigma_max, one_by_one=True)
        found, _ = walk(found_anchor, wanted, NoiseField(0, str(i)))
        for f in dials:
            pictures[f].append(found[f])
    return {f"dial {f:g}": scores(torch.cat(images), x) for f, images in pictures.items()}


def others(run: Methods, task: str, data: DataTerm, x: Tensor) -> dict:
    """Other methods on the same networks, each at its best for distortion and on the main tasks for looks."""
    out: dict = {}

    def shown(zs: list[Tensor]) -> Tensor:
        return torch.stack([run.picture(data, z) for z in zs]).mean(0)

    draws = [run.dps(data, **tuned("dps", task, "psnr"))]
    out["dps"] = scores(shown(draws), x)
    if task in MAIN:
        draws += [run.dps(data, **tuned("dps", task, "psnr"), draw=k) for k in range(1, DRAWS)]
        out[f"mean of {DRAWS} dps"] = scores(shown(draws), x)
    out["resample"] = scores(shown([run.resample(data, **tuned("resample", task, "psnr"))]), x)
    for method in ("dps", "resample") if task in MAIN else ():
        z = getattr(run, method)(data, **tuned(method, task, "sliced"))
        out[f"{method} for looks"] = scores(shown([z]), x)
    if task == "sr":
        knobs = LATENT_DEFAULT
        out["gauss-newton for looks"] = scores(
            shown([run.gauss_newton(data, run.anchor(data, knobs.iterations, knobs.rate, knobs.timestep))]), x
        )
    return out


def pixel(data: DataTerm, x: Tensor) -> dict:
    """`photo` without its encoder, by its usual anchor and posterior."""
    run = PixelMethods(load_prior("photo"))
    anchor = run.fast(data)
    return {"dial 0": scores(anchor, x), "dial 1": scores(pixel_draw(run, data, anchor), x)}


def pixel_draw(run: PixelMethods, data: DataTerm, anchor: Tensor) -> Tensor:
    return run.proximal(data, anchor, zero_shot.STEPS, zero_shot.SAMPLER, start_of(data))


def seconds(run: Methods, data: DataTerm, with_pixels: bool) -> dict[str, float]:
    """Of one picture: each stage in turn, `TURNS` times, so that all meet the same load; medians."""
    one = DataTerm(data.operator, data.y[:1], data.noise)
    knobs = LATENT_DEFAULT
    stages: dict[str, Callable[[], Tensor]] = {
        "anchor": lambda: run.anchor(one, knobs.iterations, knobs.rate, knobs.timestep),
        "dps": lambda: run.dps(one, knobs.zeta),
    }
    if with_pixels:
        pixels = PixelMethods(load_prior("photo"))
        anchor = pixels.fast(one)
        stages |= {"photo anchor": lambda: pixels.fast(one), "photo draw": lambda: pixel_draw(pixels, one, anchor)}
    taken: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(TURNS):
        for name, stage in stages.items():
            begun = time.perf_counter()
            stage()
            taken[name].append(time.perf_counter() - begun)
    return {name: median(each) for name, each in taken.items()}


def floor(prior: LatentPrior, x: Tensor) -> dict:
    return scores(prior.autoencoder.decode(prior.autoencoder.encode(x)), x)


def memory(name: str) -> None:
    """Print the peak memory of a restoration, in megabytes, above that of a small one."""
    used = []
    for side in (64, MEMORY_SIDE):
        y = np.random.default_rng(0).random((side, side, 3), np.float32)
        veriscale.restore(y, name, operator=TASKS["inpainting"], noise=NOISE, dial=1, steps=2)
        used.append(peak_memory_mb())
    print(json.dumps(used[1] - used[0]))


def memory_of(name: str) -> float:
    command = [sys.executable, __file__, name]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(out.splitlines()[-1]))


def ddpm_rows() -> list[Row]:
    """A folder of a model of pictures, as a folder and as somebody's own denoiser."""
    import diffusers

    folder = built("ddpm")
    theirs = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32)
    unet, alphas_bar = theirs.unet.eval().requires_grad_(False), theirs.scheduler.alphas_cumprod
    own = veriscale.prior_from(
        lambda x, t: unet(x, t).sample,
        channels=3,
        range=(-1, 1),
        predicts="v",
        alphas_bar=alphas_bar,
        module=unet,
        stride=2 ** (len(unet.config.block_out_channels) - 1),
    )
    read = veriscale.prior_from_pipeline(folder, dtype=torch.float32)
    x = centre(veriscale.read_photo(files("validation")[0]).pixels, 64)
    worst = {0.0: 0.0, 1.0: 0.0}
    for task in MAIN:
        y = veriscale.degrade(x, TASKS[task], NOISE)
        a, b = (
            veriscale.restore(y, p, operator=TASKS[task], noise=NOISE, dial=list(worst)).images for p in (read, own)
        )
        for f in worst:
            worst[f] = max(worst[f], float(np.abs(a[f].pixels - b[f].pixels).max()))
    what = "a DDPM folder against the same network as one's own denoiser, largest difference"
    return [
        Row(f"latent.ddpm.{key}", f"{what}, {key}", worst[f], bar="<= 1e-5")
        for key, f in (("anchor", 0.0), ("draw", 1.0))
    ]


def mean(values: list[float]) -> float:
    return float(np.mean(values))


def gain(a: list[float], b: list[float]) -> tuple[float, tuple[float, float]]:
    bounds = paired_interval(np.array(a), np.array(b))
    return bounds.estimate, (bounds.low, bounds.high)


def cached_rows(entries: list[dict]) -> list[Row]:
    return [Row(**{key: value for key, value in entry.items() if key != "holds"}) for entry in entries]


def floor_rows(found: dict) -> list[Row]:
    rows = []
    for name, bar in (("latent", ">= 26"), (OTHER, None)):
        of = found[f"floor {name}"]
        beside = {k: mean(of[k]) for k in ("sliced", "energy")}
        key = "ours" if name == "latent" else "taef2"
        what = f"encoding and decoding alone, {key}, {FLOOR_SIDE}² centres of validation photographs"
        rows.append(Row(f"latent.floor.{key}", what, mean(of["psnr"]), "dB", bar=bar, against=beside))
    return rows


def anchor_rows(task: str, found: dict) -> list[Row]:
    us, them, taken = found[f"{task} ours"], found[f"{task} others"], found[f"{task} seconds"]
    anchor, rows, names = us["dial 0"], [], list(them)
    ceiling = mean(found[f"{task} floor"]["psnr"])
    levels = {n: mean(them[n]["psnr"]) for n in names} | {"autoencoder alone": ceiling}
    what = f"{task}: PSNR of the anchor over latents, {LATENT_DEFAULT.iterations} iterations"
    rows.append(Row(f"latent.anchor.{task}", what, mean(anchor["psnr"]), "dB", against=levels))
    looks = {n: mean(them[n]["sliced"]) for n in names} | {"a draw of ours": mean(us["dial 1"]["sliced"])}
    what = f"{task}: sliced W2 of the anchor over latents"
    rows.append(Row(f"latent.anchor.{task}.sliced", what, mean(anchor["sliced"]), against=looks))
    for name in (n for n in names if not n.endswith("looks")):
        value, bounds = gain(anchor["psnr"], them[name]["psnr"])
        bar = ">= -0.2" if name.startswith("mean") else "> 0"
        key = f"latent.anchor.{task}.over_{name.replace(' ', '_')}"
        rows.append(Row(key, f"{task}: the anchor over {name}, PSNR", value, "dB", bounds, bar))
    what = f"{task}: dps at {LONG} steps over the anchor, time of one picture"
    rows.append(Row(f"latent.anchor.{task}.time", what, taken["dps"] / taken["anchor"], "x", bar=">= 5"))
    return rows


def dial_rows(task: str, path: str, us: dict, floor: dict) -> list[Row]:
    rows, barred = [], task in DIALLED
    low, high = mean(us["dial 0"]["mse"]), mean(us["dial 1"]["mse"])
    for f in DIALS[1:-1]:
        share = (mean(us[f"dial {f:g}"]["mse"]) - low) / (high - low)
        bar = f"{f - 0.15:g}..{f + 0.15:g}" if barred else None
        rows.append(
            Row(f"latent.dial.{path}.{task}.share_{f:g}", f"{task}, {path}: extra error at dial {f:g}", share, bar=bar)
        )
    for number in ("sliced", "energy"):
        value, bounds = gain(us["dial 0"][number], us["dial 1"][number])
        beside = {f"dial {f:g}": mean(us[f"dial {f:g}"][number]) for f in DIALS}
        beside["autoencoder alone"] = mean(floor[number])
        what = f"{task}, {path}: what dial 1 gains over dial 0 in {number} W2, lower end of its interval"
        bar = "> 0" if barred else None
        rows.append(
            Row(f"latent.dial.{path}.{task}.{number}", what, bounds[0], "", bounds, bar, beside | {"mean": value})
        )
    return rows


def pixel_rows(task: str, us: dict, them: dict, floor: dict, taken: dict[str, float]) -> list[Row]:
    rows = []
    for f in ("0", "1"):
        for number, unit in (("psnr", "dB"), ("sliced", ""), ("energy", "")):
            beside = {"photo": mean(them[f"dial {f}"][number]), "autoencoder alone": mean(floor[number])}
            what = f"{task}: {number} over latents, dial {f}"
            key = f"latent.pixel.{task}.{number}_{f}"
            rows.append(Row(key, what, mean(us[f"dial {f}"][number]), unit, against=beside))
    for stage, name in (("anchor", "anchor"), ("draw", "dps")):
        beside = {"photo": taken[f"photo {stage}"]}
        what = f"{task}: seconds of one 128² {stage} over latents"
        rows.append(Row(f"latent.pixel.{task}.seconds_{stage}", what, taken[name], "s", against=beside))
    return rows


def taef2_rows(task: str, us: dict, them: dict, floor: dict, floor_of_taef2: dict) -> list[Row]:
    rows = []
    for f in them:
        beside = {"ours": mean(us[f]["psnr"]), "sliced W2": mean(them[f]["sliced"])}
        beside["ours, sliced W2"] = mean(us[f]["sliced"])
        beside |= {"TAEF2 alone": mean(floor_of_taef2["psnr"]), "our autoencoder alone": mean(floor["psnr"])}
        what = (
            f"{task}: PSNR over TAEF2's latents, {f}; the same network, steps and pixels a step, which are a quarter "
            "as many latents as ours"
        )
        key = f"latent.taef2.{task}.{f.replace(' ', '')}"
        rows.append(Row(key, what, mean(them[f]["psnr"]), "dB", against=beside))
    return rows


def main() -> None:
    begun = time.monotonic()
    check_default()
    prior, other = latent_prior(), latent_prior(OTHER)
    run, x = Methods(prior), crops("bsd100", COUNT)
    held = crops("validation", 20)

    def measure(item: str) -> object:
        task, _, what = item.partition(" ")
        if task == "floor":
            return floor(prior if what == "latent" else other, held)
        if task == "memory":
            return memory_of(str(built(what)) if what == "latent" else what)
        if task == "rows":
            return [row.as_json() for row in (latent_closed.rows if what == "closed" else ddpm_rows)()]
        data = problem(x, TASKS[task])
        parts: dict[str, Callable[[], dict]] = {
            "ours": lambda: ours(prior, data, x, DIALS if task in MAIN else (0.0, 1.0)),
            "renoise": lambda: ours(prior, data, x, DIALS, path="renoise"),
            "seconds": lambda: seconds(run, data, task in MAIN),
            "others": lambda: others(run, task, data, x),
            "pixel": lambda: pixel(data, x),
            "taef2": lambda: ours(other, data, x, (0.0, 1.0) if task == "sr" else (0.0,), chosen_knobs("taef2")),
            "floor": lambda: floor(prior, x),
            "floor of TAEF2": lambda: floor(other, x),
        }
        return parts[what]()

    settings = {
        "priors": [p.card.tensors_sha256 for p in (prior, other, load_prior("photo"))],
        "tuning": (RESULTS / "latent_tuning.json").read_text(),
    }
    items = [f"floor {name}" for name in ("latent", OTHER)] + [f"memory {name}" for name in ("latent", "photo")]
    items += [f"{task} {what}" for task in TASKS for what in ("ours", "others", "floor", "seconds")]
    items += [f"{task} {what}" for task in MAIN for what in ("pixel", "taef2", "floor of TAEF2")]
    items += ["sr renoise", "rows closed", "rows ddpm"]
    found = dict(zip(items, measured("latent", settings, items, measure, SECONDS), strict=True))
    rows = [*cached_rows(found["rows closed"]), *floor_rows(found)]
    for task in TASKS:
        rows += anchor_rows(task, found)
    for task in MAIN:
        us, alone = found[f"{task} ours"], found[f"{task} floor"]
        rows += dial_rows(task, "interpolate", us, alone)
        rows += pixel_rows(task, us, found[f"{task} pixel"], alone, found[f"{task} seconds"])
        rows += taef2_rows(task, us, found[f"{task} taef2"], alone, found[f"{task} floor of TAEF2"])
    rows += dial_rows("sr", "renoise", found["sr renoise"], found["sr floor"])
    beside = {"photo": found["memory photo"]}
    what = f"memory of a {MEMORY_SIDE}² draw over latents, above that of a 64² one"
    rows.append(Row("latent.pixel.memory", what, found["memory latent"], "MB", against=beside))
    rows += cached_rows(found["rows ddpm"])
    notes = (
        f"{COUNT} centre crops of 128² of BSD100, s = {NOISE}, RGB PSNR, unclipped. Ours has the same settings for all "
        "tasks; `dps` and `resample` have settings of their own for each task, for PSNR and for looks, all of "
        f"latent_tuning.json (two validation crops), and {LONG} steps from pure noise; `resample` fits at every tenth, "
        "by as many iterations as were chosen, 90 at most. The dial is shown by both paths; that of a latent prior is "
        "interpolate. Seconds are medians of stages in turn, of one picture. `photo` restores "
        "without its encoder, in bfloat16 where there is hardware for it; networks over latents are in float32."
    )
    write_results("latent", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        memory(sys.argv[1])
    else:
        main()
