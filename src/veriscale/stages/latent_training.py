"""From a recipe with [latent] to a folder in the layout of diffusers: an autoencoder, a network over its latents."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from veriscale.diffusion.card import PhaseBudget
from veriscale.errors import InputError
from veriscale.imaging.atomic import appearing
from veriscale.latent.arguments import LatentArguments
from veriscale.latent.autoencoder import autoencoder_of
from veriscale.latent.model_card import ModelCard
from veriscale.latent.new_folder import write_card, write_model
from veriscale.latent.new_networks import new_autoencoder, new_schedule, new_scheduler, new_unet, standardise
from veriscale.latent.taef2 import CHANNELS, Taef2, autoencoder_of_taef2, read_taef2
from veriscale.stages.batches import Batch
from veriscale.stages.curves import Curves
from veriscale.stages.data import PictureSet
from veriscale.stages.evaluation import held_out_loss
from veriscale.stages.held_out import crops
from veriscale.stages.latent_losses import AutoencoderLoss, UnetLoss
from veriscale.stages.patches import Patches
from veriscale.stages.provenance import phase_names, provenance, refuse_changes
from veriscale.stages.recipe import Phase, Recipe
from veriscale.stages.state import load_modules, read_facts
from veriscale.stages.trainer import Progress, Run, fit

FLOOR = "validation crops, RGB PSNR of encoding and decoding alone, dB"
MEASURED = 64  # batches of training patches whose latents are measured
PATCHES = 8  # of such a batch
SIDE = 160  # of held-out crops, or a little less


@dataclass(frozen=True)
class Model:
    """The networks of a recipe, on a device.

    Attributes:
        arguments: of the recipe.
        unet: the network.
        autoencoder: an AutoencoderKL or a `Taef2`; None where the network denoises pictures.
        channels: of pictures.
    """

    arguments: LatentArguments
    unet: nn.Module
    autoencoder: nn.Module | None
    channels: int

    @property
    def latents(self) -> int:
        """Channels of what the network denoises."""
        if isinstance(self.autoencoder, Taef2):
            return CHANNELS
        return self.channels if self.autoencoder is None else self.arguments.channels

    def parts(self, network: str) -> dict[str, nn.Module]:
        """What the state holds in a phase."""
        found = {} if self.autoencoder is None else {"autoencoder": self.autoencoder}
        return found if network == "autoencoder" else found | {"unet": self.unet}

    def coded(self, device: torch.device) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """The way of pictures to what the network denoises, and back, without gradients."""
        if self.autoencoder is None:
            return lambda x: 2 * x - 1, lambda z: (z + 1) / 2
        if isinstance(self.autoencoder, Taef2):
            found = autoencoder_of_taef2(self.autoencoder, device)
        else:
            found = autoencoder_of(self.autoencoder, device)
        return found.encode, found.decode


def refuse_there(path: Path) -> None:
    """Raise `InputError` where a model's folder would lie in the place of something else, before the work."""
    if path.exists():
        raise InputError(
            f"{path} exists already, and the folder of a model is never written over; choose another `-o`."
        )


def train_latent(
    recipe: Recipe,
    training: PictureSet,
    validation: PictureSet,
    path: Path,
    *,
    root: Path,
    state: Path,
    resume: bool,
    accelerator: Accelerator,
    machine: str,
    progress: Progress,
) -> Path:
    """Train the networks of a recipe and write their folder.

    Args:
        recipe: checked, with `latent`.
        training, validation: photographs, on the training device.
        path: of the folder.
        root: of the data, under which the files of somebody's autoencoder lie.
        state: of the run; its curves lie beside it.
        resume: take up `state` where it was left.
        accelerator: where and how to train.
        machine: for the card.
        progress: told as training goes on.

    Raises:
        InputError: the pictures are scans, diffusers is not installed, the autoencoder is none, or the state cannot be
            used.
    """
    arguments, stage, device = recipe.latent, recipe.stage[0], accelerator.device
    if arguments is None:
        raise RuntimeError("asked only for recipes with latent")
    if not training.stored:
        raise InputError(f"stage.{stage.name}.data are scans, and latent priors restore photographs; train on those.")
    torch.manual_seed(recipe.seed)
    autoencoder: nn.Module | None = None
    if arguments.encoded_by is not None:
        autoencoder = read_taef2(arguments.encoded_by, root)
    elif arguments.autoencoder:
        autoencoder = new_autoencoder(arguments, recipe.task.channels)
    if autoencoder is not None:
        autoencoder.to(device)
    model = Model(arguments, nn.Identity(), autoencoder, recipe.task.channels)
    unet = new_unet(arguments, model.latents, stage.unet.patch // arguments.factor)
    model = replace(model, unet=unet.to(device))

    names, phases = phase_names(recipe), stage.phases()
    taken_up = resume and state.exists()
    run, first, start = Run(state, Curves(state.with_suffix(".csv"), keep=taken_up)), 0, 0
    if taken_up:
        facts = read_facts(state)
        refuse_changes(facts["recipe"], facts["step"], recipe, [training], [validation], state)
        first, start, run.seconds = names.index(facts["phase"]), facts["step"], facts["seconds"]
        load_modules(state, model.parts(names[first].rpartition(".")[2]))
    seen, unseen = (Patches(pictures, recipe.task, recipe.seed) for pictures in (training, validation))
    trained = []
    for k, (network, phase) in enumerate(phases.items()):
        begin = start if k == first else 0
        make = partial(_batch, model, phase)
        parameters = sum(p.numel() for p in model.parts(network)[network].parameters())
        trained.append(
            PhaseBudget(stage.name, network, phase.steps, phase.batch, phase.optimiser, parameters=parameters)
        )
        if k < first or begin == phase.steps:
            continue
        if network == "unet" and begin == 0 and model.autoencoder is not None:
            _standardise(model, partial(make, seen, "statistics"), device)
        run.facts["recipe"] = provenance(recipe, [training], [validation], names[: k + 1])
        loss = _loss(network, model, device)
        fit(
            names[k],
            phase,
            loss,
            model.parts(network),
            partial(make, seen, names[k]),
            lr=stage.rate(network),
            clip=stage.clip,
            accelerator=accelerator,
            run=run,
            start=begin,
            progress=progress,
            evaluate=held_out_loss(loss, partial(make, unseen, f"evaluation.{network}"), phase.batch),
            every=stage.evaluate,
        )
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return path
    card = ModelCard([training.facts], [validation.facts], trained, round(run.seconds, 1), machine)
    scheduler = new_scheduler(model.autoencoder is not None)
    with appearing(path) as folder:
        # Written twice: what is measured is of the weights as they are stored.
        write_model(folder, model.unet, model.autoencoder, scheduler, card)
        make = partial(_batch, model, stage.unet, unseen, "evaluation.unet")
        error = held_out_loss(_loss("unet", model, device), make, stage.unet.batch)()
        metrics = {"validation patches, mean squared error of v": round(error, 4)}
        if model.autoencoder is not None:
            metrics[FLOOR] = round(_floor(model, validation, device), 3)
        write_card(folder, msgspec.structs.replace(card, metrics=metrics))
    return path


def _batch(model: Model, phase: Phase, patches: Patches, name: str, step: int, items: range) -> Batch:
    """The items of a step of a phase, with noise in the shape of what the network denoises."""
    side = phase.patch // model.arguments.factor
    return patches.patches(name, step, items, phase.patch, (model.latents, side, side))


def _loss(network: str, model: Model, device: torch.device) -> nn.Module:
    """What a phase minimises."""
    if network == "autoencoder" and model.autoencoder is not None:
        return AutoencoderLoss(model.autoencoder)
    alphas_bar = new_schedule(model.autoencoder is not None).alphas_bar
    if alphas_bar is None:
        raise RuntimeError("the new scheduler is no flow")
    return UnetLoss(model.unet, model.coded(device)[0], alphas_bar)


def _standardise(model: Model, make: Callable[[int, range], Batch], device: torch.device) -> None:
    """Bring latents of training patches to mean 0 and variance 1, channel by channel."""
    encode, _ = model.coded(device)
    latents = torch.cat([encode(make(step, range(PATCHES)).x) for step in range(MEASURED)])
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    if isinstance(model.autoencoder, Taef2):
        model.autoencoder.get_buffer("mean").copy_(mean)
        model.autoencoder.get_buffer("std").copy_(std)
    else:
        standardise(model.autoencoder, mean, std)


@torch.no_grad()
def _floor(model: Model, validation: PictureSet, device: torch.device) -> float:
    """RGB PSNR of the autoencoder alone over held-out crops, their mean."""
    encode, decode = model.coded(device)
    multiple = model.arguments.factor
    x = crops(validation, SIDE // multiple * multiple)
    errors = torch.stack([(decode(encode(one[None].to(device))).cpu() - one).square().mean() for one in x])
    return float(-10 * errors.log10().mean())
