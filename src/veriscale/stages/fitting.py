"""From a recipe to trained networks: the encoder, the statistics of its residual, the denoiser."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import torch
from accelerate import Accelerator

from veriscale.diffusion.card import Mode, Network
from veriscale.diffusion.denoiser import Denoiser
from veriscale.diffusion.encoder import Encoder
from veriscale.diffusion.prior import build
from veriscale.errors import InputError
from veriscale.stages.batches import Batches
from veriscale.stages.curves import Curves
from veriscale.stages.data import Photographs
from veriscale.stages.held_out import measure_modes
from veriscale.stages.losses import DenoiserLoss, EncoderLoss
from veriscale.stages.recipe import Recipe
from veriscale.stages.state import load_modules, read_facts
from veriscale.stages.trainer import Progress, Run, fit

CONTEXT = 8  # measurement pixels around a denoiser patch, so that the frozen mean is as in a whole picture


@dataclass(frozen=True)
class Trained:
    """Networks with their shipped weights, and what was measured on the way."""

    network: Network
    encoder: Encoder
    denoiser: Denoiser
    modes: list[Mode]
    seconds: float


def network_of(recipe: Recipe) -> Network:
    """The networks a recipe describes."""
    return Network(recipe.task.channels, recipe.task.scales, recipe.encoder, recipe.denoiser)


def fit_networks(
    recipe: Recipe,
    training: Photographs,
    validation: Photographs,
    state: Path,
    resume: bool,
    accelerator: Accelerator,
    progress: Progress,
) -> Trained:
    """Train the encoder, measure its residual on held-out pictures, train the denoiser.

    Args:
        recipe: checked.
        training: pictures on the training device.
        validation: held-out pictures.
        state: file of the run's state; its curves lie beside it.
        resume: take up `state` where it was left.
        accelerator: where and how to train.
        progress: told as training goes on.

    Raises:
        InputError: `state` belongs to another recipe, or a training picture is too small.
    """
    digest = hashlib.sha256(msgspec.json.encode(recipe) + training.facts.sha256.encode()).hexdigest()
    taken_up = resume and state.exists()
    run = Run(state, Curves(state.with_suffix(".csv"), keep=taken_up), digest)
    phase, start = "encoder", 0
    if taken_up:
        facts = read_facts(state)
        if facts["recipe"] != digest:
            raise InputError(f"Training state {state} is of another recipe or other data; delete it to start again.")
        phase, start, run.seconds = facts["phase"], facts["step"], facts["seconds"]
        run.facts = {k: v for k, v in facts.items() if k == "modes"}

    torch.manual_seed(recipe.seed)
    network = network_of(recipe)
    encoder, denoiser = build(network)
    encoder, denoiser = encoder.to(accelerator.device), denoiser.to(accelerator.device)
    modules: dict[str, torch.nn.Module] = {"encoder": encoder, "denoiser": denoiser}
    batches = Batches(training.images, recipe.task, recipe.seed)
    stage = recipe.stage[0]
    common = partial(fit, modules=modules, clip=stage.clip, ema=stage.ema, accelerator=accelerator, run=run)

    if phase == "encoder":
        common(
            "encoder",
            EncoderLoss(encoder),
            make_batch=lambda step, items: batches.make("encoder", step, items, stage.encoder_patch),
            steps=stage.encoder_steps,
            batch=stage.encoder_batch,
            lr=stage.encoder_lr,
            start=start,
            progress=progress,
        )
        start = 0
    if "modes" not in run.facts:
        encoder.eval()
        run.facts["modes"] = msgspec.to_builtins(measure_modes(encoder, validation))
    modes = msgspec.convert(run.facts["modes"], list[Mode])
    if start < stage.denoiser_steps:
        sigma_data = {m.scale: m.sigma_data for m in modes}
        common(
            "denoiser",
            DenoiserLoss(encoder, denoiser, modes[-1].noise_std, sigma_data, CONTEXT),
            make_batch=lambda step, items: batches.make(
                "denoiser", step, items, stage.denoiser_patch // batches.scale("denoiser", step), CONTEXT
            ),
            steps=stage.denoiser_steps,
            batch=stage.denoiser_batch,
            lr=stage.denoiser_lr,
            start=start,
            progress=progress,
        )
    else:
        load_modules(state, modules)
    return Trained(network, encoder.eval(), denoiser.eval(), modes, run.seconds)
