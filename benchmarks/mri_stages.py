"""mri.stages.*: what each stage of the prior `mri` is worth on the test subjects, and what a kept σ_data costs.

`--small` takes few steps and slices, to try it; it writes no results.
"""

import argparse
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from cache import FOLDER, measured
from mri_draws import ITEMS, SAMPLES, SCALE, SEED, joined, looked_at
from results import ROOT, Row, write_results
from scans import DATA
from slice_blocks import of_blocks
from veriscale.diffusion.card import Budget, Card, Mode
from veriscale.diffusion.checkpoint import read_card, save_prior
from veriscale.diffusion.library import find_prior
from veriscale.diffusion.prior import TrainedPrior, build
from veriscale.metrics.draw_scores import draw_sums
from veriscale.runtime.networks import ConditionalDenoiser, UnconditionalDenoiser, encode
from veriscale.settings import Settings, settled
from veriscale.stages import fitting
from veriscale.stages.data import PictureSet
from veriscale.stages.fitting import network_of
from veriscale.stages.held_out import measure_modes
from veriscale.stages.held_out_slices import held_out_slices
from veriscale.stages.inheritance import Parent, inherit
from veriscale.stages.intensity import mean_of
from veriscale.stages.recipe import Recipe, Stage
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.stage_sets import stage_sets
from veriscale.stages.training import train
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.bound_table import BLOCK
from veriscale.workflows.scans.in_plane import prepare_slices

RECIPE = ROOT / "recipes" / "mri.toml"
SOURCE = ROOT / "build" / "mri-source.safetensors"
STEPS = 300
EVERY = 30  # of so many neighbouring slices one is looked at
LEVELS = (1 / 3, 1.0, 3.0)  # of σ over the σ_data of mri
STAGES = {"folded": "photo folded to grey", "source": "after source", "domain": "after all stages of heads"}
KEPT = {"again": "with σ_data measured again", "kept": "with the σ_data of source"}
WORDS = {**STAGES, **KEPT}
NUMBERS = {
    "psnr": (
        f"PSNR in the foreground, axial ×{SCALE}, dial 0",
        "dB",
        ("square", "voxels"),
        lambda square, voxels: -10 * np.log10(square / voxels),
    ),
    "crps": (
        f"CRPS of {SAMPLES} draws, thousandths",
        "",
        ("crps", "voxels"),
        lambda crps, voxels: 1000 * crps / voxels,
    ),
    "loss": ("denoising loss, conditional", "", ("loss", "counted"), lambda loss, counted: loss / counted),
    "loss_free": ("denoising loss, unconditional", "", ("loss_free", "counted"), lambda loss, counted: loss / counted),
}


def on_scans(parent: Path, recipe: Recipe, training: PictureSet, validation: PictureSet, out: Path) -> Path:
    """A prior's weights with statistics of scans, and a card that has nothing else."""
    network, mean = network_of(recipe), mean_of(training)
    networks = build(network)
    inherit(Parent(read_card(parent), parent), networks, network)
    for part in networks.parts().values():
        part.eval()
    modes = measure_modes(networks.encoder, validation, mean)
    levels = training.normalisation
    card = Card(parent.stem, network, modes, [], [], Budget(0, 0, 0.0, ""), mean=mean, normalisation=levels)
    save_prior(networks, card, out, force=True)
    return out


@contextmanager
def keeping(modes: list[Mode]) -> Iterator[None]:
    """Training takes these statistics in the place of what it would measure."""
    before = fitting.measure_modes
    fitting.measure_modes = lambda encoder, photographs, mean: modes
    try:
        yield
    finally:
        fitting.measure_modes = before


def denoisers(domain: Stage, scales: Iterable[int], steps: int, folder: Path) -> dict[str, Path]:
    """The denoiser after so many steps of `domain`, from that of `source` with the encoder of `mri`, both ways."""
    head = RECIPE.read_text(encoding="utf-8").partition("[[stage]]")[0]
    text = (
        f'measure = "modes"\n{head}[[stage]]\nname = "domain"\ninit_from = "{find_prior("mri")}"\n'
        f"data = {domain.data}\nvalidation = {domain.validation}\nlicence = {domain.licence!r}\n"
        f'[stage.denoiser]\nsteps = {steps}\noptimiser = "muon"\ninit_from = "{SOURCE}"\n'
    )
    file = folder / f"domain_{steps}.toml"
    file.write_text(text, encoding="utf-8")
    shutil.copy(RECIPE.with_name("splits.toml"), folder)
    with keeping([mode for mode in read_card(SOURCE).modes if mode.scale in (0, *scales)]):
        kept = train(file, folder / f"kept_{steps}.safetensors", cpu=True, resume=True, force=True)
    again = train(file, folder / f"again_{steps}.safetensors", cpu=True, resume=True, force=True)
    if kept is None or again is None:
        raise RuntimeError("a parent brings all networks")
    return {"kept": kept, "again": again}


def measure(item: str, prior: TrainedPrior, sigma_data: dict[int, float], slices: int | None) -> dict[str, list[float]]:
    """Sums over the foreground of the slices of "ms19/T1", and the places of these."""
    of = looked_at(item, EVERY, slices)
    asked = Settings(scale=SCALE, dial="0", samples=SAMPLES, seed=SEED)
    restored = prepare_slices(PriorRestorer(prior, settled(asked)), of.measurement).restore(lambda what, done, n: None)
    found: dict[str, list[float]] = {"place": list(map(float, of.places))}
    for i, place in enumerate(of.places):
        x, inside = of.truth[..., i], of.inside[..., i]
        square = np.square((restored.image.samples[..., i] - x) / of.unit)[inside]
        draws = [draw.samples[..., i] / of.unit for draw in restored.samples]
        sums = {"voxels": inside.sum(), "square": square.sum()}
        sums["crps"] = draw_sums(draws, x / of.unit, SEED, inside).crps
        sums |= losses(prior, of.measurement.samples[..., i], x, inside, sigma_data, place)
        for name, value in sums.items():
            found.setdefault(name, []).append(float(value))
    return found


def losses(
    prior: TrainedPrior, y: np.ndarray, x: np.ndarray, inside: np.ndarray, sigma_data: dict[int, float], seed: int
) -> dict[str, float]:
    """Σ weighted squared errors over the foreground, mean over `LEVELS`; sides are cut to the denoiser's stride."""
    height, width = (n // prior.stride * prior.stride for n in x.shape)
    truth, mask = torch.from_numpy(x[:height, :width])[None, None], inside[:height, :width]
    small = torch.from_numpy(np.ascontiguousarray(y[: height // SCALE, : width // SCALE]))[None, None]
    condition = encode(prior, small, SCALE, 0.0, features=True)
    ways = {
        "loss": (ConditionalDenoiser(prior, condition, SCALE, 0.0), SCALE),
        "loss_free": (UnconditionalDenoiser(prior), 0),
    }
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
    found = {"counted": float(mask.sum())}
    for name, (denoiser, mode) in ways.items():
        d, total = sigma_data[mode], 0.0
        for level in LEVELS:
            sigma = level * d
            error = (denoiser(truth + sigma * noise, sigma) - truth)[0, 0].numpy()[mask]
            total += (sigma**2 + d**2) / (sigma * d) ** 2 * float(np.square(error).sum())
        found[name] = total / len(LEVELS)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    small = parser.parse_args().small
    begun = time.monotonic()
    os.environ.setdefault("VERISCALE_DATA", str(DATA.parents[1]))
    if not SOURCE.exists():
        raise SystemExit(f"{SOURCE} is not there; `make {SOURCE.relative_to(ROOT)}` trains it")
    recipe = read_recipe(RECIPE)
    domain = next(stage for stage in recipe.stage if stage.name == "domain")
    sets = stage_sets(msgspec.structs.replace(recipe, stage=[domain]), RECIPE, torch.device("cpu"))
    training, validation = sets.training[0], held_out_slices(sets.validation[0], 32)
    folder = FOLDER / f"mri_stages-{read_card(find_prior('mri')).tensors_sha256[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"two trainings of {STEPS} steps, about 9 minutes", flush=True)
    files = {
        name: on_scans(parent, recipe, training, validation, folder / f"{name}.safetensors")
        for name, parent in (("folded", find_prior("photo")), ("source", SOURCE), ("domain", find_prior("mri")))
    }
    files |= denoisers(domain, recipe.task.scales, 3 if small else STEPS, folder)
    priors = {name: load_prior(file) for name, file in files.items()}
    card = priors["domain"].card
    sigma_data = {0: card.mode(0).sigma_data[0], SCALE: card.mode(SCALE).sigma_data_at(0.0)}
    found: dict[str, list[dict[str, list[float]]]] = {}
    for name, prior in priors.items():
        if not isinstance(prior, TrainedPrior):
            raise TypeError(f"{files[name]} holds no trained prior")
        settings: dict[str, Any] = {
            "prior": prior.card.tensors_sha256,
            "small": small,
            "sigma_data": list(sigma_data.values()),
        }
        measuring = partial(measure, prior=prior, sigma_data=sigma_data, slices=1 if small else None)
        found[name] = measured(f"mri_stages_{name}", settings, ITEMS, measuring, 15.0)

    def columns(name: str, *keys: str) -> list[np.ndarray]:
        return [joined(found[name], key) for key in keys]

    rows = []
    for name, what in WORDS.items():
        start = f"mri.stages.{name}" if name in STAGES else f"mri.stages.sigma_data.{name}"
        for key, (said, unit, sums, statistic) in NUMBERS.items():
            of = of_blocks(columns(name, *sums), statistic)
            rows.append(Row(f"{start}.{key}", f"{said}: {what}", of.estimate, unit, (of.low, of.high)))
    for before, after in (("folded", "source"), ("source", "domain"), ("again", "kept")):
        start = f"mri.stages.{after}.worth" if after in STAGES else "mri.stages.sigma_data.cost"
        what = f"{WORDS[after]} less {WORDS[before]}"
        for key, (said, unit, sums, statistic) in NUMBERS.items():
            n = len(sums)
            both = columns(after, *sums) + columns(before, *sums)
            of = of_blocks(both, lambda *c, n=n, statistic=statistic: statistic(*c[:n]) - statistic(*c[n:]))
            rows.append(Row(f"{start}.{key}", f"{said}: {what}", of.estimate, unit, (of.low, of.high)))
    for row in rows:
        print(row.id, f"{row.value:.4g}", row.unit, row.interval)
    if small:
        print("A part of the table is no result: nothing is written.")
        return
    notes = (
        f"One of {EVERY} axial slices of four contrasts of two test subjects, ×{SCALE}, measured by bicubic, not "
        "rounded; in the foreground of the measurement, in units of each volume's 99.9th percentile there. All priors "
        "with statistics measured on the held-out scans and no other numbers of a card (no level ratio, no calm), so "
        "that they differ in their weights alone. "
        "Losses: mean over σ of a third, one and three times the σ_data of mri, weighted as in training by that. "
        f"σ_data: {STEPS} steps of the denoiser of `domain` from that of `source`, with the encoder of mri, the same "
        f"batches. Intervals are bootstraps over blocks of {BLOCK} neighbouring slices of a subject, all its contrasts "
        "together."
    )
    write_results("mri_stages", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
