"""mri.stages.*: what each stage of the prior `mri` brings on the test subjects, from folded `photo` to the shipped one.

`--train FOLDER` makes FOLDER/mri.safetensors and, on the way, FOLDER/mri-source.safetensors, the prior after its first
stage; the table needs the latter in build/. What keeping σ_data costs is seen on short trainings from there.
"""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
import torch

import veriscale
from cache import measured
from mri_draws import ITEMS, measure
from results import ROOT, Row, write_results
from scans import brain, scan
from veriscale.diffusion.card import Card
from veriscale.diffusion.checkpoint import load_checkpoint, read_card, save_prior
from veriscale.diffusion.library import find_prior
from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import Prior, build
from veriscale.runtime.device import choose_device, choose_dtype
from veriscale.stages import fitting
from veriscale.stages.data import data_root, load
from veriscale.stages.fitting import network_of
from veriscale.stages.held_out import measure_modes
from veriscale.stages.held_out_slices import held_out_slices
from veriscale.stages.inheritance import Parent, inherit
from veriscale.stages.intensity import mean_of
from veriscale.stages.recipe import read_recipe
from veriscale.traversal.renoise import renoised

RECIPE = ROOT / "recipes" / "mri.toml"
BUILD = ROOT / "build"
SIGMA = 0.1  # of the denoising that is compared
SHORT = 300  # steps of the denoiser, in the comparison of σ_data


def train(folder: Path) -> None:
    """The whole recipe, its first stage written out apart."""
    folder.mkdir(parents=True, exist_ok=True)
    whole, source = folder / "mri.safetensors", folder / "mri-source.safetensors"
    first = folder / RECIPE.name
    text = RECIPE.read_text().split("[[stage]]")
    shutil.copy(RECIPE.with_name("splits.toml"), folder)
    if not source.exists():
        first.write_text("[[stage]]".join(text[:2]))
        made = veriscale.train(first, whole, resume=True, force=True, overrides=["measure=modes"], tell=print)
        assert made is not None  # the parent brings all networks
        made.replace(source)
    print(veriscale.train(RECIPE, whole, resume=True, force=True, progress=_told, tell=print))


def _told(phase: str, step: int, steps: int, loss: float, held_out: float | None) -> None:
    print(f"{phase}, loss {loss:.4f}: {step} of {steps}", flush=True)


def folded(path: Path) -> Prior:
    """`photo` folded to grey, with the statistics of scans, and nothing trained."""
    recipe = read_recipe(RECIPE)
    file = find_prior("photo")
    parent, network = Parent(read_card(file), file), network_of(recipe)
    networks = build(network)
    inherit(parent, networks, network)
    stage = recipe.stage[-1]
    splits, device = RECIPE.with_name("splits.toml"), torch.device("cpu")
    seen = [load(p, data_root(RECIPE), 1, device, "", "", splits) for p in (stage.data, stage.validation)]
    modes = measure_modes(networks.encoder.eval(), held_out_slices(seen[1], 24), mean_of(seen[0]))
    kind = {"mean": mean_of(seen[0]), "normalisation": seen[0].normalisation}
    card = Card("folded", network, modes, [], [], parent.card.budget, **kind)
    save_prior(networks, card, path, force=True)
    return loaded(path)


def loaded(path: Path) -> Prior:
    device = choose_device("auto")
    return load_checkpoint(path, device, choose_dtype(device))


def denoising(item: str, prior: Prior) -> float:
    """Mean square error in the brain of every eighth slice with white noise, denoised without a condition."""
    subject, contrast = item.split("/")
    truth, mask = scan(subject, contrast), brain(subject)
    height, width = (n // 8 * 8 for n in truth.shape[:2])
    x = torch.from_numpy(truth.samples[:height, :width, 4::8]).permute(2, 0, 1)[:, None].contiguous()
    inside = torch.from_numpy(mask[:height, :width, 4::8]).permute(2, 0, 1)[:, None]
    noisy = renoised(x, SIGMA, [(NoiseField(0, str(k)), 0) for k in range(len(x))])
    with torch.no_grad():
        parts = [prior.denoise(one[None].to(prior.device), SIGMA).float().cpu() for one in noisy]
    return float((torch.cat(parts) - x)[inside].double().square().mean())


def spread(folder: Path) -> dict[str, float]:
    """The denoising error after a short second stage, with σ_data measured again, and kept."""
    found, known = {}, fitting.measure_modes
    source = BUILD / "mri-source.safetensors"
    text = RECIPE.read_text().split("[[stage]]")
    shutil.copy(RECIPE.with_name("splits.toml"), folder)
    recipe = folder / "spread.toml"
    recipe.write_text("[[stage]]".join([text[0], text[2]]))
    card = read_card(source)
    short = [f"stage.domain.init_from={source}", "stage.domain.encoder.steps=0", "stage.domain.predictor.steps=0"]
    short += [f"stage.domain.denoiser.steps={SHORT}", "measure=modes"]
    for name, way in (("measured again", known), ("kept", lambda encoder, pictures, mean: card.modes)):
        fitting.measure_modes = way
        made = veriscale.train(recipe, folder / f"{name.split()[0]}.safetensors", overrides=short)
        found[name] = float(np.mean([denoising(item, loaded(made)) for item in ITEMS]))
    fitting.measure_modes = known
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, metavar="FOLDER")
    asked = parser.parse_args()
    if asked.train is not None:
        train(asked.train)
        return
    begun = time.monotonic()
    BUILD.mkdir(exist_ok=True)
    priors = {
        "folded": folded(BUILD / "folded.safetensors"),
        "source": loaded(BUILD / "mri-source.safetensors"),
        "domain": loaded(find_prior("mri")),
    }
    rows, values = [], {}
    for name, prior in priors.items():

        def of(item: str, prior: Prior = prior) -> dict:
            found = measure(item, prior, (0, 1))
            error = sum(found["errors"]["0"]) / found["voxels"]
            psnr = 10 * float(np.log10(found["range"] ** 2 / error))
            return {"psnr": psnr, "crps": found["crps"], "denoising": denoising(item, prior)}

        settings = {"prior": prior.card.tensors_sha256, "sigma": SIGMA}
        found = measured("mri_stages", settings, ITEMS, of, 15.0)
        values[name] = {k: float(np.mean([v[k] for v in found])) for k in found[0]}
    for key, what, unit in (
        ("psnr", "PSNR in the brain, dial 0, axial ×4", "dB"),
        ("crps", "fair CRPS of 8 draws, axial ×4", ""),
        ("denoising", f"mean square error of the unconditional denoiser at σ = {SIGMA}", ""),
    ):
        rows += [
            Row(f"mri.stages.{name}.{key}", f"{name}: {what}, mean of the volumes", of_stage[key], unit)
            for name, of_stage in values.items()
        ]
    settings = {"prior": priors["source"].card.tensors_sha256}
    (worth,) = measured("mri_spread", settings, ["both"], lambda item: spread(BUILD), 400.0)
    what = f"error at σ = {SIGMA} after {SHORT} steps of the second stage's denoiser, σ_data kept over measured again"
    rows.append(Row("mri.stages.sigma_data", what, worth["kept"] / worth["measured again"], "x", against=worth))
    notes = (
        "ms19 and gli00001, four contrasts, every eighth axial slice, over the voxels of the brain. Folded: the "
        "tensors of photo, with the statistics of the second stage's validation slices. Source: after grey "
        "photographs. Domain: the shipped prior."
    )
    print(write_results("mri_stages", rows, notes, time.monotonic() - begun))
    for row in rows:
        print(row.id, f"{row.value:.5g}")


if __name__ == "__main__":
    main()
