"""From a recipe to trained networks: the encoder, the statistics of its residual, the denoiser, the predictor."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import torch
from accelerate import Accelerator

from veriscale.diffusion.card import Mode, Network
from veriscale.diffusion.prior import Networks, build
from veriscale.errors import InputError
from veriscale.stages.batches import Batches
from veriscale.stages.curves import Curves
from veriscale.stages.data import Photographs
from veriscale.stages.held_out import measure_modes
from veriscale.stages.losses import DenoiserLoss, EncoderLoss, PredictorLoss
from veriscale.stages.recipe import Recipe, Stage
from veriscale.stages.state import load_modules, read_facts
from veriscale.stages.trainer import Progress, Run, fit

CONTEXT = 8  # measurement pixels around a patch, so that the frozen mean is as in a whole picture


@dataclass(frozen=True)
class Trained:
    """Networks with their shipped weights, and what was measured on the way."""

    network: Network
    networks: Networks
    modes: list[Mode]
    seconds: float


def network_of(recipe: Recipe) -> Network:
    """The networks a recipe describes."""
    return Network(recipe.task.channels, recipe.task.scales, recipe.encoder, recipe.denoiser, recipe.predictor)


def fit_networks(
    recipe: Recipe,
    training: Photographs,
    validation: Photographs,
    state: Path,
    resume: bool,
    accelerator: Accelerator,
    progress: Progress,
) -> Trained:
    """Train the encoder, measure its residual on held-out pictures, train the denoiser, then the predictor if asked.

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
    digests = _digests(recipe, training)
    taken_up = resume and state.exists()
    phase, start = "encoder", 0
    run = Run(state, Curves(state.with_suffix(".csv"), keep=taken_up), digests[phase])
    if taken_up:
        facts = read_facts(state)
        if facts["recipe"] != digests.get(facts["phase"]):
            raise InputError(f"Training state {state} is of another recipe or other data; delete it to start again.")
        phase, start, run.seconds = facts["phase"], facts["step"], facts["seconds"]
        run.facts = {k: v for k, v in facts.items() if k == "modes"}

    torch.manual_seed(recipe.seed)
    network = network_of(recipe)
    networks = build(network)
    for part in networks.parts().values():
        part.to(accelerator.device)
    encoder, denoiser, predictor = networks
    modules: dict[str, torch.nn.Module] = {"encoder": encoder, "denoiser": denoiser}
    batches = Batches(training.images, recipe.task, recipe.seed)
    stage = recipe.stage[0]
    common = partial(fit, clip=stage.clip, ema=stage.ema, accelerator=accelerator, run=run)

    if phase == "encoder":
        common(
            "encoder",
            EncoderLoss(encoder),
            modules,
            make_batch=lambda step, items: batches.make("encoder", step, items, stage.encoder_patch),
            steps=stage.encoder_steps,
            batch=stage.encoder_batch,
            lr=stage.encoder_lr,
            start=start,
            progress=progress,
        )
        phase, start = "denoiser", 0
    if "modes" not in run.facts:
        encoder.eval()
        run.facts["modes"] = msgspec.to_builtins(measure_modes(encoder, validation))
    modes = msgspec.convert(run.facts["modes"], list[Mode])
    if phase == "denoiser" and start < stage.denoiser_steps:
        sigma_data = {m.scale: m.sigma_data for m in modes}
        common(
            "denoiser",
            DenoiserLoss(encoder, denoiser, modes[-1].noise_std, sigma_data, CONTEXT),
            modules,
            make_batch=lambda step, items: batches.make(
                "denoiser", step, items, stage.denoiser_patch // batches.scale("denoiser", step), CONTEXT
            ),
            steps=stage.denoiser_steps,
            batch=stage.denoiser_batch,
            lr=stage.denoiser_lr,
            start=start,
            progress=progress,
        )
        start = 0
    elif phase == "denoiser":
        load_modules(state, modules)
        start = 0
    if predictor is not None:
        modules["predictor"] = predictor
        run.digest = digests["predictor"]
        if phase == "denoiser" or start < stage.predictor_steps:
            common(
                "predictor",
                PredictorLoss(encoder.eval(), predictor, CONTEXT),
                modules,
                make_batch=lambda step, items: batches.make("predictor", step, items, stage.predictor_patch, CONTEXT),
                steps=stage.predictor_steps,
                batch=stage.predictor_batch,
                lr=stage.predictor_lr,
                start=start,
                progress=progress,
            )
        else:
            load_modules(state, modules)
    for part in networks.parts().values():
        part.eval()
    return Trained(network, networks, modes, run.seconds)


def _digests(recipe: Recipe, training: Photographs) -> dict[str, str]:
    """What a state of each phase must have come from; a predictor may be added to a prior already trained."""
    plain = Stage(recipe.stage[0].name, [], [], 1, 1)
    own = {f: getattr(plain, f) for f in Stage.__struct_fields__ if f.startswith("predictor_")}
    without = msgspec.structs.replace(recipe, predictor=None, stage=[msgspec.structs.replace(recipe.stage[0], **own)])

    def digest(of: Recipe) -> str:
        return hashlib.sha256(msgspec.json.encode(of) + training.facts.sha256.encode()).hexdigest()

    return {"encoder": digest(without), "denoiser": digest(without), "predictor": digest(recipe)}
