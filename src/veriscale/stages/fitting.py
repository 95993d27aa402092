"""From a recipe to trained networks: the encoder, the statistics of its residual, the denoiser, the predictor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import torch
from accelerate import Accelerator
from torch import nn

from veriscale.diffusion.card import MEAN, Budget, Card, Mode, Network
from veriscale.diffusion.prior import Networks, TrainedPrior, build
from veriscale.errors import InputError
from veriscale.stages.batches import Batch, Batches, key
from veriscale.stages.curves import Curves
from veriscale.stages.data import PictureSet
from veriscale.stages.evaluation import BATCHES, held_out_loss
from veriscale.stages.held_out import measure_modes
from veriscale.stages.inheritance import Parent, inherit, untrained
from veriscale.stages.intensity import mean_of
from veriscale.stages.losses import DenoiserLoss, EncoderLoss, PredictorLoss
from veriscale.stages.provenance import phase_names, provenance, refuse_changes
from veriscale.stages.recipe import DenoiserPhase, Phase, Recipe, Stage, Task
from veriscale.stages.score import SHARE, Score, crps_of_draws, error_at_dial_0
from veriscale.stages.state import load_modules, read_facts
from veriscale.stages.trainable import count, restrict
from veriscale.stages.trainer import Progress, Run, fit

KEPT = "modes", "measured_for", "mean", "stopped"  # of the state
CONTEXT = 8  # measurement pixels around a patch, so that the frozen mean is as in a whole picture


@dataclass(frozen=True)
class Trained:
    """Networks with their shipped weights, and what was measured on the way.

    Attributes:
        network: sizes.
        networks: as the last phase left them.
        modes: of the encoder; none while a network is untrained.
        mean: what the unconditional mode is centred on.
        seconds: of training.
        parameters: how many each phase trains, by its name.
        stopped: of phases with patience, by name, the `steps` that were made and the one whose weights were `kept`.
    """

    network: Network
    networks: Networks
    modes: list[Mode]
    mean: float
    seconds: float
    parameters: dict[str, int]
    stopped: dict[str, dict[str, int]]


def network_of(recipe: Recipe) -> Network:
    """The networks a recipe describes."""
    return Network(recipe.task.channels, recipe.task.scales, recipe.encoder, recipe.denoiser, recipe.predictor)


def fit_networks(
    recipe: Recipe,
    training: list[PictureSet],
    validation: list[PictureSet],
    state: Path,
    resume: bool,
    accelerator: Accelerator,
    progress: Progress,
    parent: Parent | None = None,
    givers: Mapping[str, Parent] = {},
    tell: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train the networks, phase by phase; after the encoder its residual is measured on held-out pictures.

    It is measured again where a stage begins whose pictures are others than those it was measured for.

    Args:
        recipe: checked.
        training: pictures of each stage, on the training device.
        validation: held-out pictures of each stage.
        state: file of the run's state; its curves lie beside it.
        resume: take up `state` where it was left.
        accelerator: where and how to train.
        progress: told as training goes on.
        parent: whose weights the networks begin with; not read where `state` is taken up.
        givers: by the name of a phase, whose weights its network begins with.
        tell: told in words where a phase is evaluated more rarely than asked, and where it was stopped.

    Raises:
        InputError: `state` belongs to another recipe, a training picture is too small, a rank too large, or the parent
            is damaged.
    """
    names = phase_names(recipe)
    taken_up = resume and state.exists()
    run = Run(state, Curves(state.with_suffix(".csv"), keep=taken_up))
    first, start = 0, 0
    if taken_up:
        facts = read_facts(state)
        refuse_changes(facts["recipe"], facts["step"], recipe, training, validation, state, parent, givers)
        first, start, run.seconds = names.index(facts["phase"]), facts["step"], facts["seconds"]
        run.facts = {k: v for k, v in facts.items() if k in KEPT}

    torch.manual_seed(recipe.seed)
    network = network_of(recipe)
    networks = build(network)
    if parent is not None and not taken_up:
        inherit(parent, networks, network)
        run.facts |= {} if parent.card.mean == MEAN else {"mean": parent.card.mean}
    for part in networks.parts().values():
        part.to(accelerator.device)
    brought = parent.brought(recipe) if parent is not None else []
    if taken_up:
        load_modules(state, _kept(networks, names[: first + 1], brought))
    phases = [(at, n, phase) for at, stage in enumerate(recipe.stage) for n, phase in stage.phases().items()]
    if taken_up:  # states were once without it
        run.facts.setdefault("measured_for", _hashes(training[phases[first][0]], validation[phases[first][0]]))
    parameters = {names[k]: _count(networks, n, recipe.stage[at]) for k, (at, n, _) in enumerate(phases)}
    for k, (at, part_name, phase) in enumerate(phases):
        begin = start if k == first else 0
        if k < first or begin == phase.steps:
            continue
        sets = training[at], validation[at]
        if begin == 0 and names[k] in givers:
            inherit(givers[names[k]], networks, network, [part_name])
        opens = begin == 0 and (k == 0 or phases[k - 1][0] != at)
        if part_name == "encoder" or (opens and run.facts.get("measured_for") != _hashes(*sets)):
            run.facts.pop("modes", None)
        if part_name == "denoiser" and begin == 0 and mean_of(training[at]) != run.facts.get("mean", MEAN):
            run.facts["mean"] = mean_of(training[at])
            run.facts.pop("modes", None)
        modes = [] if part_name == "encoder" else _modes(run, networks, *sets)
        run.facts["recipe"] = provenance(recipe, training, validation, names[: k + 1], parent, givers)
        stage = recipe.stage[at]
        loss, make_batch = _problem(part_name, phase, networks, recipe.task, modes, run.facts.get("mean", MEAN))
        drawn = torch.Generator().manual_seed(key(recipe.seed, names[k], "lora"))
        loss = restrict(loss, networks, part_name, stage.trainable, drawn)
        # Under the network's name alone, so that stages with the same validation pictures can be compared.
        unseen = Batches(validation[at], recipe.task, recipe.seed), f"evaluation.{part_name}"
        evaluate, every = held_out_loss(loss, partial(make_batch, *unseen), phase.batch), stage.evaluate
        if stage.patience:
            score = Score(evaluate, BATCHES * phase.batch * phase.patch**2)
            if part_name == "encoder":
                score = error_at_dial_0(networks.encoder, validation[at]).merged(loss)
            elif isinstance(phase, DenoiserPhase) and _share(recipe.task, phase) < 1:
                card = Card("", network, modes, [], [], Budget(0, 0, 0.0, ""))
                prior = TrainedPrior(card, networks.encoder, networks.denoiser)
                score = crps_of_draws(prior, validation[at]).merged(loss)
            evaluate, every = score.find, max(every, score.every(phase))
        if every > stage.evaluate:
            tell(
                f"stage.{names[k]} is evaluated every {every} steps and not every {stage.evaluate}, which would take "
                f"more than {SHARE:.0%} of its work"
            )
        fit(
            names[k],
            phase,
            loss,
            _kept(networks, names[: k + 1], brought),
            partial(make_batch, Batches(training[at], recipe.task, recipe.seed), names[k]),
            lr=stage.rate(part_name),
            clip=stage.clip,
            accelerator=accelerator,
            run=run,
            start=begin,
            progress=progress,
            evaluate=evaluate,
            every=every,
            patience=stage.patience,
        )
        if stage.patience:
            stopped = run.facts["stopped"][names[k]]
            tell(
                f"stage.{names[k]} ended after {stopped['steps']} of {phase.steps} steps with the weights of step "
                f"{stopped['kept']}, which were the best"
            )
    for part in networks.parts().values():
        part.eval()
    modes = [] if untrained(recipe, parent) else _modes(run, networks, training[-1], validation[-1])
    return Trained(
        network, networks, modes, run.facts.get("mean", MEAN), run.seconds, parameters, run.facts.get("stopped", {})
    )


def _count(networks: Networks, network: str, stage: Stage) -> int:
    """How many numbers a phase trains."""
    try:
        return count(networks, network, stage.trainable)
    except InputError as error:
        raise InputError(f"stage.{stage.name}.trainable: {error}") from error


def _problem(
    network: str, phase: Phase, networks: Networks, task: Task, modes: list[Mode], mean: float
) -> tuple[nn.Module, Callable[[Batches, str, int, range], Batch]]:
    """What a phase minimises, and how it makes its batches, of some pictures and under a name."""
    encoder, denoiser, predictor = networks
    if isinstance(phase, DenoiserPhase):
        share = _share(task, phase)
        sigma_data = {m.scale: m.sigma_data for m in modes}
        loss = DenoiserLoss(encoder, denoiser, modes[-1].noise_std, sigma_data, CONTEXT, free=share == 1, mean=mean)
        return loss, lambda batches, name, step, items: batches.make(
            name, step, items, phase.patch // batches.scale(name, step), CONTEXT, share
        )
    if network == "encoder":
        return EncoderLoss(encoder), lambda batches, name, step, items: batches.make(name, step, items, phase.patch)
    if predictor is None:
        raise RuntimeError("a recipe with a phase of the predictor has one")
    return PredictorLoss(encoder, predictor, CONTEXT), lambda batches, name, step, items: batches.make(
        name, step, items, phase.patch, CONTEXT
    )


def _share(task: Task, phase: DenoiserPhase) -> float:
    """Of a phase's items, those that are unconditional."""
    return task.unconditional if phase.unconditional is None else phase.unconditional


def _modes(run: Run, networks: Networks, training: PictureSet, validation: PictureSet) -> list[Mode]:
    """The statistics of the encoder's residual and of pictures, measured where the state has none."""
    if "modes" not in run.facts:
        networks.encoder.eval()
        measured = measure_modes(networks.encoder, validation, run.facts.get("mean", MEAN))
        run.facts |= {"modes": msgspec.to_builtins(measured), "measured_for": _hashes(training, validation)}
    return msgspec.convert(run.facts["modes"], list[Mode])


def _hashes(training: PictureSet, validation: PictureSet) -> list[str]:
    """Which pictures the statistics are for."""
    return [training.facts.sha256, validation.facts.sha256]


def _kept(networks: Networks, phases: list[str], brought: list[str]) -> dict[str, nn.Module]:
    """What the state holds in the last of these phases: a predictor may be added to a prior already trained."""
    predicts = "predictor" in brought or any(name.endswith(".predictor") for name in phases)
    return {n: part for n, part in networks.parts().items() if n != "predictor" or predicts}
