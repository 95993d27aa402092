"""What a training recipe says: the tables of its file."""

import re
from typing import Literal

import msgspec

from veriscale.diffusion.card import DenoiserArguments, EncoderArguments, PredictorArguments
from veriscale.errors import InputError
from veriscale.guides.arguments import GuideArguments
from veriscale.latent.arguments import LatentArguments
from veriscale.stages.rates import default_rate

NETWORKS = ("encoder", "denoiser", "predictor")
GUIDES = "guides"
LATENT = ("autoencoder", "unet")
"""The networks of a recipe with a table [latent]."""


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is restored: operators (with their share of the steps), channels, noise, and the unconditional share.

    Noise is zero half of the time and uniform in `noise` otherwise. With a table [latent] nothing is but channels.
    """

    operators: list[str] = []
    channels: int = 3
    weights: list[float] = []
    noise: tuple[float, float] = (0.0, 0.05)
    unconditional: float = 0.2

    @property
    def scales(self) -> list[int]:
        """The factors of the operators."""
        return [_factor(o) for o in self.operators]


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one network is trained in one stage.

    Attributes:
        steps: of the optimiser; 0 takes the network as it is.
        batch: patches a step, over all processes.
        patch: side of a training patch, in measurement pixels.
        optimiser: muon, or adam alone.
        lr: peak of the schedule, the stage's `rate` where it is not given; with muon of the convolutions of residual
            blocks.
        adam_lr: with muon, of all other parameters.
        schedule: after the warm-up, a cosine to zero, or constant.
        ema: decay of the weights' moving average, reached by warm-up; the average is what a phase leaves.
        init_from: the prior, by name or file, whose network of this name the phase begins with, in the place of what
            is there.
    """

    steps: int = 0
    batch: int = 16
    patch: int = 48
    optimiser: Literal["adam", "muon"] = "adam"
    lr: float | None = None
    adam_lr: float | None = None
    schedule: Literal["cosine", "constant"] = "cosine"
    ema: float = 0.999
    init_from: str | None = None


class DenoiserPhase(Phase, frozen=True, forbid_unknown_fields=True):
    """How the denoiser is trained.

    Attributes:
        patch: in truth pixels.
        unconditional: share of the items; the task's where it is not given.
    """

    patch: int = 96
    unconditional: float | None = None


class GuidesPhase(Phase, frozen=True, forbid_unknown_fields=True):
    """How guides are trained, around a prior that stays as it is.

    Attributes:
        patch: in truth pixels.
        corrupt: share of the items in which a region of one guide, or of each, is spoilt.
    """

    patch: int = 96
    corrupt: float = 0.5


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One set of data: the encoder, the denoiser with the encoder frozen, the predictor with both frozen.

    Attributes:
        data: globs under the data root, a folder, `folder@split` of splits.toml beside the recipe, or an archive made
            by `--pack`: photographs or scans.
        validation: held-out files, on which everything in the card is measured.
        hold_out: in the place of `validation`, how many of the data's subjects are held out, drawn by the recipe's
            seed; of scans.
        licence: terms of the training data, which bind whoever uses the prior; required.
        subjects: how many of the data's subjects are trained on, drawn by the recipe's seed, by turns of their groups;
            all that are not held out by default. Of photographs each is its own.
        init_from: of the first stage, the prior whose weights it begins with, by name or file.
        planes: into which isotropic volumes are cut: axial, or all, for what is restored through the plane; held out
            are axial ones.
        encoder, denoiser, predictor: how each is trained; a network that is left out is taken as it is.
        guides: how guides are trained; then nothing else is.
        autoencoder, unet: how the networks of [latent] are trained; their patches are in truth pixels.
        clip: gradient norm.
        trainable: what its phases train: all, decoder, norm+bias, or lora:R.
        evaluate: a phase's loss on held-out batches is told every so many steps; 0 is never.
        patience: a phase ends when so many evaluations in turn have brought nothing better, and leaves the weights of
            the best one; evaluated is then what the network is for (stages/score.py). 0 is never.
    """

    name: str
    data: list[str] = []
    validation: list[str] = []
    licence: str = ""
    subjects: int | None = None
    planes: Literal["axial", "all"] = "axial"
    init_from: str | None = None
    encoder: Phase = Phase()
    denoiser: DenoiserPhase = DenoiserPhase()
    predictor: Phase = Phase()
    guides: GuidesPhase = GuidesPhase()
    autoencoder: Phase = Phase()
    unet: Phase = Phase()
    clip: float = 1.0
    trainable: str = "all"
    evaluate: int = 0
    patience: int = 0
    hold_out: int = 0

    def phases(self) -> dict[str, Phase]:
        """Of the networks that are trained, in their order."""
        return {name: phase for name in (*NETWORKS, GUIDES, *LATENT) if (phase := getattr(self, name)).steps}

    def rate(self, network: str) -> float:
        """Peak of the schedule of a phase, the default of its optimiser and `trainable` where it gives none."""
        phase: Phase = getattr(self, network)
        return default_rate(phase.optimiser, self.trainable) if phase.lr is None else phase.lr


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prior from nothing but data: the whole recipe.

    Attributes:
        precision: of training: bf16, float32, or auto, bf16 where the hardware computes in it.
        measure: all, or modes alone: what the end measures for the card.
        guides: the networks of guides, where they are what is trained.
        latent: the networks of a model in the layout of diffusers, where that is what is trained.
    """

    name: str
    task: Task
    stage: list[Stage]
    encoder: EncoderArguments = EncoderArguments()
    denoiser: DenoiserArguments = DenoiserArguments()
    predictor: PredictorArguments | None = None
    seed: int = 0
    precision: Literal["auto", "float32", "bf16"] = "auto"
    measure: Literal["all", "modes"] = "all"
    guides: GuideArguments | None = None
    latent: LatentArguments | None = None

    @property
    def untrained(self) -> list[str]:
        """The networks that no stage trains; a prior needs all of them."""
        there = NETWORKS if self.predictor else NETWORKS[:2]
        return [n for n in there if not any(n in s.phases() for s in self.stage)]


def _factor(operator: str) -> int:
    match = re.fullmatch(r"downsample:factor=(\d+)(,kernel=bicubic)?", operator)
    if not match or int(match[1]) < 2:
        raise InputError(
            f"Operator {operator!r} cannot be trained for; 'downsample:factor=N' with an integer N of at least 2 can."
        )
    return int(match[1])
