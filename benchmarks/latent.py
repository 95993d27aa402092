"""latent.*: both stages over the latents of our own prior, beside others on the same networks, `photo` and TAEF2."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch import Tensor

import latent_closed
import veriscale
from cache import measured
from latent_chosen import NAME, best_dps, check_default, chosen_knobs, tuned
from latent_problems import (
    DIALLED,
    DIALS,
    DRAWS,
    LONG,
    MAIN,
    MOST,
    OTHER,
    TASKS,
    Methods,
    built,
    latent_prior,
    ours,
    scores,
)
from latent_rows import anchor_rows, cached_rows, dial_rows, floor_rows, pixel_rows, taef2_rows
from pictures import centre, files
from results import RESULTS, Row, write_results
from veriscale.latent.prior import LatentPrior
from veriscale.physics.data_term import DataTerm
from veriscale.traversal import zero_shot
from veriscale.traversal.presets import LATENT_DEFAULT
from veriscale.workflows.opening import load_prior
from veriscale.workflows.peak_memory import peak_memory_mb
from zeroshot_problems import NOISE, crops, problem, start_of
from zeroshot_problems import Methods as PixelMethods

COUNT, FEWER, TURNS = 6, 2, 3
"""Patches, those that the dial's other path is shown on, and repetitions of a timing."""
SECONDS = 170.0  # of one item in the mean, on one core: many take few, and those of others a quarter of an hour
MEMORY_SIDES = 64, 256
TILED_SIDES = 256, 512


def others(run: Methods, task: str, data: DataTerm, x: Tensor) -> dict:
    """Other methods on the same networks, each at its best for distortion and on the main tasks for looks."""

    def shown(z: Tensor) -> dict:
        return scores(run.picture(data, z), x)

    out = {
        "dps": shown(run.dps(data, **best_dps(task, "psnr"))),
        "resample": shown(run.resample(data, **tuned("resample", task, "psnr"))),
    }
    if task in MAIN:
        out[f"mean of {DRAWS} dps"] = scores(run.mean_of_dps(data, **tuned("mean_of_dps", task, "psnr")), x)
        out["dps for looks"] = shown(run.dps(data, **best_dps(task, "sliced")))
        out["resample for looks"] = shown(run.resample(data, **tuned("resample", task, "sliced")))
    if task == "sr":
        knobs = LATENT_DEFAULT
        anchor = run.anchor(data, knobs.iterations, knobs.rate, knobs.timestep)
        out["gauss-newton for looks"] = shown(run.gauss_newton(data, anchor))
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


def memory(name: str, side: int) -> None:
    """Print the peak memory of this process when it has restored a picture, in megabytes."""
    y = np.random.default_rng(0).random((side, side, 3), np.float32)
    veriscale.restore(y, name, operator=TASKS["inpainting"], noise=NOISE, dial=1, steps=2, device="cpu")
    print(json.dumps(peak_memory_mb()))


def memory_of(name: str) -> float:
    """That of a large picture above that of a small one, each in a process of its own."""
    peaks = []
    for side in MEMORY_SIDES:
        command = [sys.executable, __file__, name, str(side)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks.append(json.loads(out.splitlines()[-1]))
    return float(peaks[1] - peaks[0])


def tile_rows() -> list[Row]:
    """How far a picture that diffusers decodes in tiles is from the whole one; here tiles are off."""
    import diffusers

    folder = built("latent")
    vae = diffusers.AutoencoderKL.from_pretrained(folder / "vqvae", torch_dtype=torch.float32).eval()
    wide = next(
        p for f in files("validation") if min((p := veriscale.read_photo(f).pixels).shape[:2]) >= TILED_SIDES[1]
    )
    rows = []
    for side in TILED_SIDES:
        x = 2 * torch.from_numpy(centre(wide, side)).permute(2, 0, 1)[None] - 1
        with torch.inference_mode():
            z = vae.encode(x).latent_dist.mode()
            whole = vae.decode(z).sample
            vae.enable_tiling()
            tiled = vae.decode(z).sample
            vae.disable_tiling()
        off = (tiled - whole).abs() / 2
        what = f"our autoencoder, {side}²: largest difference of diffusers' tiled decoding from the whole, in [0, 1]"
        beside = {"root mean square": float(off.square().mean().sqrt()), "tile": float(vae.tile_sample_min_size)}
        rows.append(Row(f"latent.tiles.{side}", what, float(off.max()), against=beside))
    return rows


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
            veriscale.restore(y, p, operator=TASKS[task], noise=NOISE, dial=list(worst), device="cpu").images
            for p in (read, own)
        )
        for f in worst:
            worst[f] = max(worst[f], float(np.abs(a[f].pixels - b[f].pixels).max()))
    what = "a DDPM folder against the same network as one's own denoiser, largest difference"
    return [
        Row(f"latent.ddpm.{key}", f"{what}, {key}", worst[f], bar="<= 1e-5")
        for key, f in (("anchor", 0.0), ("draw", 1.0))
    ]


def main() -> None:
    begun = time.monotonic()
    prior, other = latent_prior(), latent_prior(OTHER)
    check_default((prior, other))
    run, x = Methods(prior), crops("bsd100", COUNT)
    held = crops("validation", 20)

    def measure(item: str) -> object:
        task, _, what = item.partition(" ")
        if task == "floor":
            return floor(prior if what == "latent" else other, held)
        if task == "memory":
            return memory_of(str(built(what)) if what == "latent" else what)
        if task == "rows":
            made = {"closed": latent_closed.rows, "ddpm": ddpm_rows, "tiles": tile_rows}[what]
            return [row.as_json() for row in made()]
        data, few = problem(x, TASKS[task]), problem(x[:FEWER], TASKS[task])
        parts: dict[str, Callable[[], dict]] = {
            "ours": lambda: ours(prior, data, x, DIALS if task in MAIN else (0.0, 1.0), LATENT_DEFAULT),
            "renoise": lambda: ours(prior, few, x[:FEWER], DIALS, LATENT_DEFAULT, path="renoise"),
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
        "tuning": (RESULTS / f"{NAME}.json").read_text(),
    }
    items = [f"floor {name}" for name in ("latent", OTHER)] + [f"memory {name}" for name in ("latent", "photo")]
    items += [f"{task} {what}" for task in TASKS for what in ("ours", "others", "floor", "seconds")]
    items += [f"{task} {what}" for task in MAIN for what in ("pixel", "taef2", "floor of TAEF2")]
    items += [*(f"{task} renoise" for task in DIALLED), "rows closed", "rows ddpm", "rows tiles"]
    found = dict(zip(items, measured("latent", settings, items, measure, SECONDS), strict=True))
    rows = [*cached_rows(found["rows closed"]), *floor_rows(found)]
    for task in TASKS:
        rows += anchor_rows(task, found)
    for task in MAIN:
        us, alone = found[f"{task} ours"], found[f"{task} floor"]
        rows += dial_rows(task, "interpolate", us, alone)
        rows += pixel_rows(task, us, found[f"{task} pixel"], alone, found[f"{task} seconds"])
        rows += taef2_rows(task, us, found[f"{task} taef2"], alone, found[f"{task} floor of TAEF2"])
    for task in DIALLED:
        rows += dial_rows(task, "renoise", found[f"{task} renoise"], found[f"{task} floor"])
    beside = {"photo": found["memory photo"]}
    small, large = MEMORY_SIDES
    what = f"memory of a {large}² draw over latents, above that of a {small}² one"
    rows.append(Row("latent.pixel.memory", what, found["memory latent"], "MB", against=beside))
    rows += cached_rows(found["rows ddpm"]) + cached_rows(found["rows tiles"])
    notes = (
        f"{COUNT} centre crops of 128² of BSD100, s = {NOISE}, RGB PSNR, unclipped. Ours has the same settings for all "
        "tasks; `dps` and `resample` have settings of their own for each task, for PSNR and for looks, and `mean of "
        f"{DRAWS} dps` for its own PSNR, all of latent_tuning.json (two validation crops), and {LONG} steps from pure "
        "noise. Steps of `dps` are weighted by ᾱ, as LMAP-RPS has them, or not, as Chung et al.: whichever was better. "
        "`resample` is algorithm 1 of its paper, without the steps of DPS that its authors' code adds: it fits latents "
        f"at every tenth of all levels, by as many iterations as were chosen, {MOST} at most. The dial is shown by "
        f"both paths, by renoise on {FEWER} crops; that of a latent prior is interpolate. Seconds are "
        "medians of stages in turn, of one picture. `photo` restores without its encoder, in bfloat16 where there is "
        "hardware for it; networks over latents are in float32."
    )
    write_results("latent", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        memory(sys.argv[1], int(sys.argv[2]))
    else:
        main()
