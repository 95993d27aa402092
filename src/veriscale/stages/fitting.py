"""From a recipe to trained networks: the encoder, the statistics of its residual, the denoiser, the predictor."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from accelerate import Accelerator
from torch import nn

from veriscale.diffusion.card import Mode, Network
from veriscale.diffusion.prior import Networks, build
from veriscale.stages.batches import Batch, Batches
from veriscale.stages.curves import Curves
from veriscale.stages.data import Photographs
from veriscale.stages.held_out import measure_modes
from veriscale.stages.losses import DenoiserLoss, EncoderLoss, PredictorLoss
from veriscale.stages.provenance import phase_names, provenance, refuse_changes
from veriscale.stages.recipe import DenoiserPhase, Phase, Recipe
from veriscale.stages.state import load_modules, read_facts
from veriscale.stages.trainer import Progress, Run, fit

CONTEXT = 8  # measurement pixels around a patch, so that the frozen mean is as in a whole picture


@dataclass(frozen=True)
class Trained:
    """Networks with their shipped weights, and what was measured on the way.

    Attributes:
        network: sizes.
        networks: as the last phase left them.
        modes: of the encoder; none while a network is untrained.
        seconds: of training.
    """

    network: Network
    networks: Networks
    modes: list[Mode]
    seconds: float


def network_of(recipe: Recipe) -> Network:
    """The networks a recipe describes."""
    return Network(recipe.task.channels, recipe.task.scales, recipe.encoder, recipe.denoiser, recipe.predictor)


def fit_networks(
    recipe: Recipe,
    training: list[Photographs],
    validation: list[Photographs],
    state: Path,
    resume: bool,
    accelerator: Accelerator,
    progress: Progress,
) -> Trained:
    """Train the networks, phase by phase; after the encoder its residual is measured on held-out pictures.

    Args:
        recipe: checked.
        training: pictures of each stage, on the training device.
        validation: held-out pictures of each stage.
        state: file of the run's state; its curves lie beside it.
        resume: take up `state` where it was left.
        accelerator: where and how to train.
        progress: told as training goes on.

    Raises:
        InputError: `state` belongs to another recipe, or a training picture is too small.
    """
    names = phase_names(recipe)
    taken_up = resume and state.exists()
    run = Run(state, Curves(state.with_suffix(".csv"), keep=taken_up))
    first, start = 0, 0
    if taken_up:
        facts = read_facts(state)
        refuse_changes(facts["recipe"], facts["step"], recipe, training, state)
        first, start, run.seconds = names.index(facts["phase"]), facts["step"], facts["seconds"]
        run.facts = {k: v for k, v in facts.items() if k == "modes"}

    torch.manual_seed(recipe.seed)
    network = network_of(recipe)
    networks = build(network)
    for part in networks.parts().values():
        part.to(accelerator.device)
    if taken_up:
        load_modules(state, _kept(networks, names[: first + 1]))
    phases = [(at, n, phase) for at, stage in enumerate(recipe.stage) for n, phase in stage.phases().items()]
    for k, (at, part_name, phase) in enumerate(phases):
        begin = start if k == first else 0
        if k < first or begin == phase.steps:
            continue
        if part_name == "encoder":
            run.facts.pop("modes", None)
            modes = []
        else:
            modes = _modes(run, networks, validation[at])
        run.facts["recipe"] = provenance(recipe, training, names[: k + 1])
        batches = Batches(training[at], recipe.task, recipe.seed)
        loss, make_batch = _problem(names[k], phase, networks, batches, modes)
        fit(
            names[k],
            phase,
            loss,
            _kept(networks, names[: k + 1]),
            make_batch,
            clip=recipe.stage[at].clip,
            accelerator=accelerator,
            run=run,
            start=begin,
            progress=progress,
        )
    for part in networks.parts().values():
        part.eval()
    return Trained(network, networks, [] if recipe.untrained else _modes(run, networks, validation[-1]), run.seconds)


def _problem(
    name: str, phase: Phase, networks: Networks, batches: Batches, modes: list[Mode]
) -> tuple[nn.Module, Callable[[int, range], Batch]]:
    """What a phase minimises, and how it makes its batches."""
    encoder, denoiser, predictor = networks
    if isinstance(phase, DenoiserPhase):
        share = batches.task.unconditional if phase.unconditional is None else phase.unconditional
        sigma_data = {m.scale: m.sigma_data for m in modes}
        loss = DenoiserLoss(encoder, denoiser, modes[-1].noise_std, sigma_data, CONTEXT, free=share == 1)
        return loss, lambda step, items: batches.make(
            name, step, items, phase.patch // batches.scale(name, step), CONTEXT, share
        )
    if name.endswith(".encoder"):
        return EncoderLoss(encoder), lambda step, items: batches.make(name, step, items, phase.patch)
    if predictor is None:
        raise RuntimeError("a recipe with a phase of the predictor has one")
    return PredictorLoss(encoder, predictor, CONTEXT), lambda step, items: batches.make(
        name, step, items, phase.patch, CONTEXT
    )


def _modes(run: Run, networks: Networks, validation: Photographs) -> list[Mode]:
    """The statistics of the encoder's residual, measured once after its last phase."""
    if "modes" not in run.facts:
        networks.encoder.eval()
        run.facts["modes"] = msgspec.to_builtins(measure_modes(networks.encoder, validation))
    return msgspec.convert(run.facts["modes"], list[Mode])


def _kept(networks: Networks, phases: list[str]) -> dict[str, nn.Module]:
    """What the state holds in the last of these phases: a predictor may be added to a prior already trained."""
    predicts = any(name.endswith(".predictor") for name in phases)
    return {n: part for n, part in networks.parts().items() if n != "predictor" or predicts}
