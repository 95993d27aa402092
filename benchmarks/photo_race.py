"""photo.race.*: Muon against Adam, batches of 16 against 32, noise levels: by validation at equal CPU seconds.

About 45 CPU minutes. Every run has the same items and the same seed; of each optimiser the rate is chosen first, by
pilots, by factors of 2 until no step gains. CPU seconds are those of all threads of this process
(`OMP_WAIT_POLICY=passive` keeps waiting out of them), without validation.
"""

import copy
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cache import measured
from climb import Climb
from results import Row, write_results
from veriscale.diffusion.prior import Prior, build
from veriscale.metrics.distortion import psnr_luma
from veriscale.runtime.networks import UnconditionalDenoiser
from veriscale.stages.average import MovingAverage
from veriscale.stages.batches import Batch, Batches
from veriscale.stages.data import PictureSet, data_root, load
from veriscale.stages.fitting import CONTEXT
from veriscale.stages.held_out import centre_crop, held_out
from veriscale.stages.losses import DENSITY, DenoiserLoss, EncoderLoss
from veriscale.stages.recipe import Phase
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.trainer import optimiser_of
from veriscale.workflows.opening import load_prior

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "photo.toml"
PILOT, RACE = 30.0, {"encoder": 180.0, "denoiser": 240.0}  # CPU seconds
RATES = {"muon": 4e-3, "adam": 1.6e-3}  # where pilots begin
BATCHES = {"encoder": (16,), "denoiser": (16, 32)}
FREE = 120.0  # CPU seconds, for each density
WARM_UP = 30  # steps: these runs are short
LOOKS = 3  # times a run is validated
PATCH = {"encoder": 48, "denoiser": 96, "free": 96}  # free: the denoiser, all items unconditional
HELD = range(5)  # validation batches of 16
DENSITIES = ((-0.3, 1.6), (-1.3, 1.4), (-1.6, 1.1))  # of ln(sigma / sigma_data), unconditional
LEVELS = (15, 25, 50, 128)  # of 255
CROP = 96
SAID_OF = {"x2": "luma PSNR, ×2", "x4": "luma PSNR, ×4", "sigma25": "RGB PSNR, unconditional denoising, sigma 25"}
SHARES = {"conditional": 0.0, "unconditional": 1.0}  # of the denoiser's held-out items
SAID = "unconditional denoising of 96² validation crops, RGB PSNR"


@dataclass(frozen=True)
class Race:
    """What all runs share."""

    prior: Prior  # shipped: its encoder is the denoiser's
    training: Batches
    validation: PictureSet
    held: Batches

    def unconditional(self, density: tuple[float, float]) -> DenoiserLoss:
        """The shipped denoiser, to be trained on without condition."""
        encoder, denoiser = (copy.deepcopy(n).float() for n in (self.prior.encoder, self.prior.denoiser))
        sigma_data = {m.scale: m.sigma_data for m in self.prior.card.modes}
        loss = DenoiserLoss(encoder, denoiser.requires_grad_(True), [0.0, 0.05], sigma_data, CONTEXT, free=True)
        loss.density = {**DENSITY, False: density}
        return loss

    def denoised(self, loss: DenoiserLoss) -> dict[str, float]:
        """Validation: RGB PSNR of crops with white noise."""
        prior = replace(self.prior, denoiser=loss.denoiser)
        x = torch.stack([centre_crop(i, CROP).float() / 255 for i in self.validation.images])
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        found = {}
        for level in LEVELS:
            d = UnconditionalDenoiser(prior)(x + level / 255 * noise, level / 255).clamp(0, 1)
            error = (d - x).double().square().mean((1, 2, 3))
            found[f"sigma{level}"] = float(-10 * error.log10().mean())
        return found

    def loss(self, network: str) -> EncoderLoss | DenoiserLoss:
        """A new network, the same for every run."""
        torch.manual_seed(0)
        fresh = build(self.prior.card.network)
        if network == "encoder":
            return EncoderLoss(fresh.encoder)
        encoder = copy.deepcopy(self.prior.encoder).float()
        modes = self.prior.card.modes
        sigma_data = {m.scale: m.sigma_data for m in modes}
        return DenoiserLoss(encoder, fresh.denoiser, modes[-1].noise_std, sigma_data, CONTEXT)

    def batch(self, network: str, step: int, items: range, held: float | None = None) -> Batch:
        """A batch of training, or of the validation pictures with this unconditional share."""
        source = self.training if held is None else self.held
        if network == "encoder":
            return source.make("race.encoder", step, items, PATCH[network])
        patch = PATCH[network] // source.scale("race.denoiser", step)
        return source.make("race.denoiser", step, items, patch, CONTEXT, 1.0 if network == "free" else held)

    def judge(self, network: str, loss: EncoderLoss | DenoiserLoss) -> dict[str, float]:
        """Validation: luma PSNR of the mean, or the loss of the denoiser, conditional and unconditional."""
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            if network == "free" and isinstance(loss, DenoiserLoss):
                return self.denoised(loss)
            if isinstance(loss, EncoderLoss):
                return {f"x{scale}": self._psnr(loss, scale) for scale in (2, 4)} | self._losses(loss, network, ("",))
            found = self._losses(loss, network, SHARES)
            return found | {"sigma25": self.denoised(loss)["sigma25"]}

    def _losses(self, loss: EncoderLoss | DenoiserLoss, network: str, kinds: Iterable[str]) -> dict[str, float]:
        found = {}
        for kind in kinds:
            values = [float(loss(self.batch(network, step, range(16), SHARES.get(kind, 0.0)))) for step in HELD]
            found[f"{kind} loss".strip()] = float(np.mean(values))
        return found

    def _psnr(self, loss: EncoderLoss, scale: int) -> float:
        x, condition = held_out(loss.encoder, self.validation, scale, 0.0)
        pairs = zip(condition.mean.permute(0, 2, 3, 1).numpy(), x.permute(0, 2, 3, 1).numpy(), strict=True)
        return float(np.mean([psnr_luma(image, truth, scale) for image, truth in pairs]))


def run(
    race: Race, network: str, phase: Phase, seconds: float, loss: EncoderLoss | DenoiserLoss
) -> dict[str, list[float]]:
    """Train for so many CPU seconds, the cosine over them; steps, seconds and verdicts at `LOOKS` times."""
    optimizer, average = optimiser_of(loss, phase, phase.lr), MovingAverage(loss, 0.999)
    peaks = [group["lr"] for group in optimizer.param_groups]
    parameters = [p for p in loss.parameters() if p.requires_grad]
    found: dict[str, list[float]] = {"steps": [], "seconds": []}
    used, step = 0.0, 0
    while used < seconds:
        begun = time.process_time()
        share = min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * used / seconds))
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * share
        with torch.autocast("cpu", torch.bfloat16):
            value: Tensor = loss(race.batch(network, step, range(phase.batch)))
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update(step)
        used, step = used + time.process_time() - begun, step + 1
        if used >= seconds * (len(found["steps"]) + 1) / LOOKS:
            with average.in_place():
                verdict = race.judge(network, loss)
            for key, v in {"steps": float(step), "seconds": used, **verdict}.items():
                found.setdefault(key, []).append(v)
            print(network, phase.optimiser, phase.lr, phase.batch, step, f"{used:.0f} s", verdict, flush=True)
    return found


def score(found: dict[str, list[float]], look: int = -1) -> float:
    """Higher is better: the mean PSNR of the encoder, or minus the mean loss of the denoiser, at the end."""
    psnr = [found[k][look] for k in ("x2", "x4") if k in found]
    return float(np.mean(psnr or [-found[f"{kind} loss"][look] for kind in SHARES]))


def phase_of(network: str, optimiser: str, lr: float, batch: int) -> Phase:
    """A phase of this race; what Muon leaves to Adam has Adam's usual rate."""
    return Phase(steps=1, batch=batch, patch=PATCH[network], optimiser=optimiser, lr=lr)


def network_rows(race: Race, network: str) -> list[Row]:
    """Pilots of the rates, then the race."""
    rows = []
    key = {"network": network, "looks": LOOKS}
    if network == "denoiser":  # it learns beside the shipped encoder
        key["prior"] = race.prior.card.tensors_sha256

    def one(optimiser: str, rate: float, batch: int, seconds: float) -> dict[str, list[float]]:
        def measure(rate: str) -> dict[str, list[float]]:
            return run(race, network, phase_of(network, optimiser, float(rate), batch), seconds, race.loss(network))

        settings = {**key, "optimiser": optimiser, "batch": batch, "seconds": seconds}
        return measured("photo_race", settings, [f"{rate:g}"], measure, seconds)[0]

    for optimiser, first in RATES.items():
        pilot = lambda s, optimiser=optimiser: {"score": score(one(optimiser, s["rate"], 16, PILOT))}  # noqa: E731
        climb = Climb(pilot, {"rate": 2.0}, least=0.0)
        best = climb.best("score", [{"rate": first}]).settings["rate"]
        sign = 1 if network == "encoder" else -1
        tried = {at["rate"]: sign * scores["score"] for at, scores in climb.known.values()}
        against = {f"{rate:g}": tried[rate] for rate in sorted(tried)}
        what = f"rate of {optimiser} for the {network}, the best of pilots of {PILOT:g} CPU seconds"
        rows.append(Row(f"photo.race.{network}_{optimiser}_rate", what, best, "", against=against))
        for batch in BATCHES[network]:
            rate = best
            while score(found := one(optimiser, rate, batch, RACE[network])) < score(found, 0):
                rate /= 2  # a pilot is too short to see it diverge
            name = f"photo.race.{network}_{optimiser}_batch{batch}"
            with_ = f"{optimiser}, batch {batch}, rate {rate:g}, after {found['seconds'][-1]:.0f} CPU seconds"
            rows.append(Row(f"{name}_steps", f"steps, {network}, {with_}", found["steps"][-1]))
            for what, values in found.items():
                if what in ("steps", "seconds"):
                    continue
                early = {f"{s:.0f} s": v for s, v in zip(found["seconds"], values, strict=True)}
                unit = "" if what.endswith("loss") else "dB"
                said = f"validation, {what if not unit else SAID_OF[what]}, {network}, {with_}"
                rows.append(Row(f"{name}_{what.replace(' ', '_')}", said, values[-1], unit, against=early))
    return rows


def density_rows(race: Race) -> list[Row]:
    """Where the noise levels of the unconditional mode should lie: the shipped denoiser, trained on with each."""

    def measure(density: str) -> dict[str, list[float]]:
        loss = race.unconditional(DENSITIES[int(density)])
        return run(race, "free", phase_of("free", "adam", 2e-4, 16), FREE, loss)

    settings = {"prior": race.prior.card.tensors_sha256, "densities": DENSITIES, "seconds": FREE}
    rows = []
    before = race.denoised(race.unconditional(DENSITIES[0]))
    rows += [Row(f"photo.race.density_shipped_{k}", f"{SAID}, {k}, as shipped", v, "dB") for k, v in before.items()]
    for (m, s), found in zip(DENSITIES, measured("photo_density", settings, "012", measure, FREE), strict=True):
        for k in before:
            what = f"{SAID}, {k}, after {found['seconds'][-1]:.0f} CPU seconds, density N({m:g}, {s:g}²)"
            rows.append(Row(f"photo.race.density_{-m:g}_{s:g}_{k}", what, found[k][-1], "dB"))
    return rows


def main() -> None:
    begun = time.monotonic()
    if os.environ.get("OMP_WAIT_POLICY", "").lower() != "passive":
        print("OMP_WAIT_POLICY is not passive: threads that wait are counted as CPU seconds.", flush=True)
    recipe, root, cpu = read_recipe(RECIPE), data_root(RECIPE), torch.device("cpu")
    stage = recipe.stage[0]
    training = load(stage.data, root, 3, cpu, stage.licence, "training")
    validation = load(stage.validation, root, 3, cpu, "", "validation")
    race = Race(
        load_prior("photo"),
        Batches(training, recipe.task, seed=1),
        validation,
        Batches(validation, recipe.task, seed=2),
    )
    rows = [row for network in ("encoder", "denoiser") for row in network_rows(race, network)] + density_rows(race)
    notes = (
        f"{len(training.names)} training pictures, natural/validation for validation; networks, data and items as in "
        "recipes/photo.toml, bf16. Encoder from zero; denoiser from zero on the frozen encoder of the shipped prior. "
        "The cosine spans the CPU seconds of a run; the moving average is what is judged. PSNR on 160² centre crops "
        f"without noise; the loss on {len(HELD)} batches of 16, the same for all. What Muon leaves to Adam learns at "
        "8e-4. Rates are chosen with batch 16, and halved where a run ends worse than it was after its first third. "
        "Density: of ln(σ/σ_d), by Adam at 2e-4 from the shipped denoiser, every item unconditional; sigma in units of "
        "1/255."
    )
    write_results("photo_race", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
