"""From a recipe with [guides] to their file: networks around a parent that stays as it is."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import torch
from accelerate import Accelerator

from veriscale.diffusion.checkpoint import load_checkpoint
from veriscale.errors import InputError
from veriscale.guides.card import GuideCard
from veriscale.guides.guide_file import read_parent_card, save_guides
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.guides.networks import build_guides
from veriscale.metrics.scan_distortion import scan_psnr
from veriscale.physics.downsample import Downsample
from veriscale.runtime.networks import encode
from veriscale.stages.batches import Batch
from veriscale.stages.contrasts import Contrasts, contrasts_of
from veriscale.stages.curves import Curves
from veriscale.stages.data import PictureSet
from veriscale.stages.evaluation import held_out_loss
from veriscale.stages.guided_batches import GuidedBatches
from veriscale.stages.guides_loss import GuidesLoss
from veriscale.stages.inheritance import Parent
from veriscale.stages.provenance import phase_names, provenance, refuse_changes
from veriscale.stages.recipe import GUIDES, Recipe
from veriscale.stages.state import load_modules, read_facts
from veriscale.stages.thick_estimates import with_estimates
from veriscale.stages.trainer import Progress, Run, fit

MARGIN = 4  # measurement pixels of context around a patch, half of what priors have, for time
MOST = 24  # held-out slices that are measured on


def train_guides(
    recipe: Recipe,
    parent: Parent,
    training: PictureSet,
    validation: PictureSet,
    path: Path,
    *,
    state: Path,
    resume: bool,
    force: bool,
    accelerator: Accelerator,
    machine: str,
    progress: Progress,
    tell: Callable[[str], None],
) -> Path:
    """Train the guides of a recipe and write their file.

    Args:
        recipe: checked, with `guides`.
        parent: the prior that is guided.
        training, validation: slices of several contrasts, on the training device.
        path: of the file.
        state: of the run; its curves lie beside it.
        resume: take up `state` where it was left.
        force: replace an existing file.
        accelerator: where and how to train.
        machine: for the card.
        progress: told as training goes on.
        tell: told where the parent has to be for the file to be used, where it is not.

    Raises:
        InputError: a contrast is lacking, slices of one place differ in size, the recipe leaves out a scale of the
            parent, or the parent or the state cannot be used.
    """
    stage, arguments = recipe.stage[0], recipe.guides
    if arguments is None:
        raise RuntimeError("asked only for recipes with guides")
    scales = parent.card.network.scales
    if sorted(recipe.task.scales) != sorted(scales) or recipe.task.channels != parent.card.network.channels:
        every = ", ".join(f"downsample:factor={s}" for s in scales)
        raise InputError(
            f"Guides of {parent.card.name!r} have to know what it knows: take {parent.card.network.channels} channels "
            f"and operators {every}."
        )
    seen, held = (
        contrasts_of(pictures, arguments, f"stage.{stage.name}.{key}")
        for key, pictures in (("data", training), ("validation", validation))
    )
    name = phase_names(recipe)[0]
    taken_up = resume and state.exists()
    run, start = Run(state, Curves(state.with_suffix(".csv"), keep=taken_up)), 0
    prior = load_checkpoint(parent.path, accelerator.device, torch.float32)
    if stage.planes == "all":
        seen = with_estimates(prior, seen, recipe.seed, tell)
    torch.manual_seed(recipe.seed)
    guides = build_guides(prior.card.network, arguments)
    for part in guides:
        part.to(accelerator.device)
    if taken_up:
        facts = read_facts(state)
        refuse_changes(facts["recipe"], facts["step"], recipe, [training], [validation], state, parent)
        start, run.seconds = facts["step"], facts["seconds"]
        load_modules(state, guides.parts())
    run.facts["recipe"] = provenance(recipe, [training], [validation], [name], parent)
    loss = GuidesLoss(prior, guides, MARGIN)
    phase = stage.guides
    batches, unseen = (GuidedBatches(c, recipe.task, arguments, recipe.seed, phase.corrupt) for c in (seen, held))

    def make(source: GuidedBatches, phase_name: str, step: int, items: range) -> Batch:
        return source.make(phase_name, step, items, phase.patch // source.scale(phase_name, step), MARGIN)

    if start < phase.steps:
        fit(
            name,
            phase,
            loss,
            guides.parts(),
            partial(make, batches, name),
            lr=stage.rate(GUIDES),
            clip=stage.clip,
            accelerator=accelerator,
            run=run,
            start=start,
            progress=progress,
            evaluate=held_out_loss(loss, partial(make, unseen, f"evaluation.{GUIDES}"), phase.batch),
            every=stage.evaluate,
        )
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return path
    card = GuideCard(
        name=path.stem,
        parent=parent.card.name,
        parent_sha256=parent.card.tensors_sha256,
        arguments=arguments,
        training=[training.facts],
        validation=[validation.facts],
        steps=phase.steps,
        batch=phase.batch,
        seconds=round(run.seconds, 1),
        machine=machine,
    )
    for part in guides:
        part.half().float().eval().requires_grad_(False)  # as they are stored
    guided = GuidedPrior(prior.card, prior.encoder, prior.denoiser, prior.predictor, guides=guides, guide_card=card)
    save_guides(guides, msgspec.structs.replace(card, metrics=_metrics(guided, held)), path, force)
    try:
        read_parent_card(card, path)
    except InputError as error:
        tell(str(error))
    return path


def _metrics(prior: GuidedPrior, held: Contrasts) -> dict[str, float]:
    """PSNR of peak 1 at dial 0, with all guides and with none, over at most `MOST` held-out slices."""
    count = len(held.places)
    chosen = [(2 * i + 1) * count // (2 * min(MOST, count)) for i in range(min(MOST, count))]
    metrics = {}
    for scale in prior.card.network.scales:
        multiple = math.lcm(scale, prior.stride)
        values: dict[str, list[float]] = {"without guides": [], "with all guides": []}
        for k in chosen:
            whose, place = held.places[k]
            height, width = (n // multiple * multiple for n in held.target.images[k].shape[-2:])
            cut = (..., slice(0, height), slice(0, width))
            x = held.target.images[k][cut].float().cpu() / 255
            y = Downsample(factor=scale).forward(x[None])
            known = {m: held.volumes.get((whose, m), {}).get(place) for m in prior.guide_card.arguments.modalities}
            pictures = {m: picture[cut].float().cpu() / 255 for m, picture in known.items() if picture is not None}
            for name, guided in zip(values, (prior, prior.guided_by(pictures)), strict=True):
                mean = encode(guided, y, scale, 0.0, features=False).mean
                values[name].append(scan_psnr(mean[0, 0].numpy(), x[0].numpy(), 1.0))
        for name, found in values.items():
            metrics[f"validation slices, x{scale}, PSNR of peak 1 at dial 0, {name}, dB"] = round(
                sum(found) / len(found), 3
            )
    return metrics
