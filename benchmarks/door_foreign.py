"""door.foreign.*: strangers' blind networks as priors, beside total variation and their own authors' sampler."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import veriscale
from cache import measured
from climb import Best, Climb
from pictures import DATA, centre
from results import Row, write_results
from strangers import NAMES, SIGMAS, STRIDES, kadkhodaie, stranger
from veriscale.diffusion.own_prior import OwnPrior
from veriscale.imaging.colour import as_channels
from veriscale.imaging.formats.registry import is_picture
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.metrics.bootstrap import paired_interval
from veriscale.physics.data_term import DataTerm
from veriscale.traversal.splitting import STEPS
from zeroshot_problems import TASKS, Methods, problem, psnr

COUNT, SIDE = 12, 128
TUNING, TUNING_SIDE = 4, 64
NOISES = (0.02, 0.0)
SAMPLER = ({"step": 0.1, "inject": 0.3, "last": 0.01}, {"step": 3, "inject": 3, "last": 2})
LIMITS = {"step": (1e-3, 1.0), "inject": (1e-3, 1.0)}  # beyond 1 a step overshoots
MOST = 300
PUBLISHED = {"step": 0.01, "inject": 0.01, "last": 0.01}  # defaults of the authors' code
FEW, LONG = 3, 1500
DIALS = (0.25, 0.5, 0.75)
CERTIFIED, UNIT, ALPHA, TAU = 30, 64, 0.1, 0.1


def pictures() -> tuple[list[Path], list[Path]]:
    """Those that are judged, and all others: for choosing settings and for calibration."""
    every = sorted(f for f in (DATA / "more").rglob("*") if is_picture(f))
    judged = every[:: len(every) // COUNT][:COUNT]
    return judged, [f for f in every if f not in judged]


def grey(files: list[Path], side: int) -> Tensor:
    cut = [centre(as_channels(read_photo(f).pixels, 1), side) for f in files]
    return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).contiguous()


def prior_of(name: str, folder: Path) -> OwnPrior:
    """The network with a card measured on pictures that are not judged."""
    network = stranger(name)
    path = folder / f"{name}.json"
    stated = {"channels": 1, "sigmas": SIGMAS[name], "stride": STRIDES[name], "name": name}
    prior = veriscale.prior_from(lambda x, sigma: network(x), **stated)
    return veriscale.measure_prior(prior, folder / "tuning", path)


def authors(prior: OwnPrior, data: DataTerm, most: int = MOST, **settings: float) -> tuple[Tensor, int]:
    """Kadkhodaie and Simoncelli's sampler on the same network."""

    def noise(step: int, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(step))

    shape = len(data.y), *data.operator.truth_shape(tuple(data.y.shape[1:]))
    pinv = data.operator.pinv
    with torch.no_grad():
        return kadkhodaie(
            lambda x: prior.denoise(x, 0.1),  # blind: any level will do
            pinv,
            lambda x: pinv(data.operator.forward(x)),
            data.y,
            noise=partial(noise, shape=shape),
            most=most,
            **settings,
        )


def compared(prior: OwnPrior, text: str, noise: float, x: Tensor, small: Tensor) -> dict:
    data, tuning = problem(x, text, noise), problem(small, text, noise)
    run = Methods(prior)

    def best(method: Callable[[DataTerm, dict], Tensor], first: dict, factors: dict) -> Best:
        climb = Climb(lambda s: {"psnr": float(psnr(method(tuning, s), small).mean())}, factors, LIMITS)
        return climb.best("psnr", [first])

    flat = best(lambda d, s: run.total_variation(d, **s), {"weight": 0.001}, {"weight": 2})
    theirs = best(lambda d, s: authors(prior, d, **s)[0], *SAMPLER)
    sampled, evaluations = authors(prior, data, **theirs.settings)
    return {
        "fast": psnr(run.fast(data), x).tolist(),
        "total variation": psnr(run.total_variation(data, **flat.settings), x).tolist(),
        "authors": psnr(sampled, x).tolist(),
        "evaluations": evaluations,
        "settings": theirs.settings,
        "inside": [flat.inside, theirs.inside],
    }


def published(prior: OwnPrior, text: str, noise: float, x: Tensor) -> dict:
    """The authors' sampler as they run it."""
    data = problem(x, text, noise)
    sampled, evaluations = authors(prior, data, LONG, **PUBLISHED)
    return {
        "fast": psnr(Methods(prior).fast(data), x).tolist(),
        "authors": psnr(sampled, x).tolist(),
        "evaluations": evaluations,
    }


def dial(prior: OwnPrior, x: Tensor) -> dict:
    """MSE along the dial on 50 % of the pixels, through `restore`."""
    errors = dict.fromkeys((0.0, *DIALS, 1.0), 0.0)
    for item in x:
        truth = Photo(item.permute(1, 2, 0).numpy(), bit_depth=32, format="npy")
        y = veriscale.degrade(truth, TASKS["inpainting"], 0.02)
        asked = {"operator": TASKS["inpainting"], "noise": 0.02, "dial": list(errors)}
        for f, photo in veriscale.restore(y, prior, **asked).images.items():
            errors[f] += float(np.square(photo.pixels - truth.pixels).mean()) / len(x)
    return {str(f): e for f, e in errors.items()}


def certificate(prior: OwnPrior, folder: Path, judged: list[Path]) -> dict:
    """What a certificate of the prior on box ×4 promises and keeps, on crops of pictures it was not calibrated on."""
    asked = {"operator": TASKS["sr"], "score": "gradient:smooth=2", "tau": TAU, "unit": f"{UNIT}x{UNIT}"}
    held = veriscale.calibrate(folder / "calibration", folder / "certificate.json", prior=prior, **asked)
    losses, shares = [], []
    for x in grey(judged, UNIT):
        truth = Photo(x.permute(1, 2, 0).numpy())
        y = veriscale.degrade(truth, TASKS["sr"])
        y = y.with_pixels(np.round(y.pixels * 255) / 255)
        result = veriscale.restore(y, prior, certificate=held, alpha=ALPHA)
        off = np.abs(result.image.pixels - truth.pixels).max(-1) > TAU
        losses.append(float((off & result.trusted).mean()))
        shares.append(float(result.trusted.mean()))
    return {"loss": losses, "trusted": shares}


def write_crops(files: list[Path], folder: Path, side: int) -> None:
    folder.mkdir()
    for f, x in zip(files, grey(files, side), strict=True):
        veriscale.write_photo(Photo(x.permute(1, 2, 0).numpy()), folder / f"{f.stem}.png")


def main() -> None:
    begun = time.monotonic()
    judged, others = pictures()
    x, small = grey(judged, SIDE), grey(others[:TUNING], TUNING_SIDE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_crops(others[:8], folder / "tuning", TUNING_SIDE)
        write_crops(others[-CERTIFIED:], folder / "calibration", UNIT)
        priors = {name: prior_of(name, folder) for name in NAMES}

        def measure(item: str) -> dict:
            name, *rest = item.split(" ")
            if rest == ["dial"]:
                return dial(priors[name], x)
            if rest == ["certificate"]:
                return certificate(priors[name], folder, judged)
            if rest[-1] == "published":
                return published(priors[name], TASKS[rest[0]], float(rest[1]), x[:FEW])
            return compared(priors[name], TASKS[rest[0]], float(rest[1]), x, small)

        items = [f"{n} {task} {s:g}" for n in reversed(NAMES) for task in TASKS for s in NOISES]
        long = [f"blind_unet_gray {task} {s:g} published" for task in TASKS for s in NOISES]
        items += [*long, "blind_unet_gray dial", "blind_unet_gray certificate"]
        settings = {n: [p.card.tensors_sha256, str(p.mode(0))] for n, p in priors.items()}
        found = dict(zip(items, measured("door_foreign", settings, items, measure, 120.0), strict=True))
    rows = []
    for item in items[: -2 - len(long)]:
        of, (name, task, s) = found[item], item.split(" ")
        bar = ">= 0.5" if name == "blind_unet_gray" else None
        level = {k: float(np.mean(of[k])) for k in ("fast", "total variation", "authors")}
        gain = paired_interval(np.array(of["fast"]), np.array(of["total variation"]))
        what = f"{name}, {task}, s = {s}: fast, {STEPS} evaluations, over tuned total variation"
        id = f"door.foreign.{name}.{task}.{s}"
        facts = {f"{k}, dB": v for k, v in level.items()} | {"authors' evaluations": of["evaluations"]}
        facts |= {f"authors' {k}": v for k, v in of["settings"].items()} | {"at no edge": min(of["inside"])}
        rows.append(Row(id, what, gain.estimate, "dB", (gain.low, gain.high), bar, facts))
        gain = paired_interval(np.array(of["fast"]), np.array(of["authors"]))
        what = f"{name}, {task}, s = {s}: fast over the authors' sampler, tuned"
        rows.append(Row(f"{id}.authors", what, gain.estimate, "dB", (gain.low, gain.high), ">= 0"))
    for item in long:
        of, (name, task, s, _) = found[item], item.split(" ")
        gain = paired_interval(np.array(of["fast"]), np.array(of["authors"]))
        what = f"{name}, {task}, s = {s}: fast over the authors' sampler as published"
        facts = {"authors' evaluations": of["evaluations"]}
        id = f"door.foreign.{name}.{task}.{s}.published"
        rows.append(Row(id, what, gain.estimate, "dB", (gain.low, gain.high), ">= 0", facts))
    for kind, those in (("tuned", items[: -2 - len(long)]), ("as published", long)):
        times = {item: found[item]["evaluations"] / STEPS for item in those}
        what = f"evaluations of the authors' sampler, {kind}, over those of fast, the least of {len(those)}"
        rows.append(Row(f"door.foreign.evaluations.{kind[-9:]}", what, min(times.values()), "", None, ">= 5", times))
    errors = {float(f): e for f, e in found["blind_unet_gray dial"].items()}
    for f in DIALS:
        share = (errors[f] - errors[0.0]) / (errors[1.0] - errors[0.0])
        what = f"blind_unet_gray, inpainting, s = 0.02: share of the extra error at dial {f:g}"
        rows.append(Row(f"door.foreign.dial.{f:g}", what, share, bar=f"{f - 0.15:g}..{f + 0.15:g}"))
    held = found["blind_unet_gray certificate"]
    what = f"blind_unet_gray, box ×4: mean loss of a certificate's masks at α = {ALPHA}"
    shares = {"trusted share": float(np.mean(held["trusted"]))}
    rows.append(Row("door.foreign.certificate", what, float(np.mean(held["loss"])), bar=f"<= {ALPHA}", against=shares))
    notes = (
        f"Centre crops of {SIDE}² of {COUNT} pictures of natural/more, grey; PSNR unclipped; those without noise "
        "are rounded to 8 bits. Each network's card was measured on 8 other pictures of that set by `measure_prior`. "
        "Total variation and the authors' sampler (Kadkhodaie, Simoncelli 2021, algorithm 2, A⁺A for the projector) "
        f"have their settings chosen for each network, task and noise on {TUNING} crops of {TUNING_SIDE}² of those, by "
        "going up and down from a start until nothing gains (the authors' step and share are at most 1); at most "
        f"{MOST} evaluations. As published is h₀ = β = σ_L = 0.01, on the first {FEW} pictures. Both networks are "
        "blind: `fast` shows them noise of the level it is at and its negative, at 8 levels. faces_gray was trained on "
        "faces alone."
    )
    print(write_results("door_foreign", rows, notes, time.monotonic() - begun))


if __name__ == "__main__":
    main()
