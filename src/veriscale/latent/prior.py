"""A pretrained latent diffusion model as a prior: a network that denoises what an autoencoder makes of pictures."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from veriscale.diffusion.prior import Prior
from veriscale.diffusion.samplers import Denoiser
from veriscale.errors import InputError
from veriscale.latent.autoencoder import Autoencoder
from veriscale.latent.backbone import Backbone
from veriscale.latent.folder import Folder
from veriscale.latent.schedule import Schedule
from veriscale.latent.text import Texts


@dataclass(frozen=True)
class Prompt:
    """What a model is told of the picture.

    Attributes:
        text, negative: what it shows, and what it does not.
        guidance: scale of classifier-free guidance between the two; 1 leaves the negative one out.
    """

    text: str = ""
    negative: str = ""
    guidance: float = 1.0


@dataclass(frozen=True)
class LatentPrior(Prior):
    """A prior over latents; its card's levels are of them, its card's channels those of pictures.

    Attributes:
        autoencoder: between pictures and latents.
        backbone: the network.
        schedule: of its training.
        components: of the folder that are used, whose files the card's hash is of.
        folder: they come from; None where it was made of nothing on disk.
        texts: its text encoders; None of an unconditional one.
        prompt: what it is told.
        widest: longest side of latents that it takes; None where there is no limit.
    """

    autoencoder: Autoencoder
    backbone: Backbone
    schedule: Schedule
    components: tuple[str, ...] = ()
    folder: Folder | None = None
    texts: Texts | None = None
    prompt: Prompt = Prompt()
    widest: int | None = None

    @property
    def named(self) -> str:
        """Its folder, where it has one."""
        return str(self.folder.path) if self.folder else self.card.name

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should be told of it."""
        return (
            "Every picture goes through its autoencoder: what that does not hold, small text and faces, is made up, "
            "whatever was measured",
        )

    @property
    def device(self) -> torch.device:
        """Of the autoencoder and the network."""
        return self.autoencoder.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the network; the autoencoder has its own."""
        return self.backbone.dtype

    @property
    def stride(self) -> int:
        """What both sides of latents must be multiples of."""
        return self.backbone.stride

    @property
    def graph(self) -> int:
        """Bytes a pixel of latents that an evaluation keeps for a gradient, about."""
        return self.backbone.graph * (2 if self.guided else 1)

    @property
    def guided(self) -> bool:
        """Whether an evaluation asks the network twice, with the prompt and with the negative one."""
        return self.texts is not None and self.prompt.guidance != 1

    @property
    def receptive_radius(self) -> None:
        """Whole latents: attention sees all of them."""

    def check_unchanged(self) -> None:
        """As `Prior.check_unchanged`: files can be replaced, and text encoders are read when a prompt is."""
        if self.folder and self.folder.sha256(list(self.components)) != self.card.tensors_sha256:
            raise InputError(f"The files of {self.folder.path} have changed since they were loaded; load it again.")

    def told(self, prompt: Prompt) -> "LatentPrior":
        """The same with a prompt.

        Raises:
            InputError: it takes none, or not one as long.
        """
        if self.texts is not None:
            self.texts.check(prompt.text, prompt.negative)
        elif prompt != Prompt(guidance=prompt.guidance):
            raise InputError(f"Prior {self.card.name!r} was trained without texts; leave out `--prompt`.")
        return replace(self, prompt=prompt)

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """E[z0 | z0 + sigma·n = x] of latents, (B, c, h, w) on the device, differentiable in x.

        Raises:
            InputError: the answer is not finite.
        """
        low, high = self.schedule.sigmas
        out = self._denoiser()(x.float(), min(max(sigma, low), high)).to(x)
        if not bool(torch.isfinite(out).all()):
            raise InputError(
                f"Prior {self.card.name!r} answers noise {sigma:.3g} with values that are not finite in "
                f"{str(self.dtype).removeprefix('torch.')}; load it in float32."
            )
        return out

    def _denoiser(self) -> Denoiser:
        network, prompt = self.backbone, self.prompt
        if self.texts is None:
            return self.schedule.denoiser(lambda x, t: network(x, t, {}))
        told, other = self.texts.conditions(prompt.text, prompt.negative)
        if not self.guided:
            return self.schedule.denoiser(lambda x, t: network(x, t, told))

        def guided(x: Tensor, t: Tensor) -> Tensor:
            without = network(x, t, other)
            return without + prompt.guidance * (network(x, t, told) - without)

        return self.schedule.denoiser(guided)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Sides of a picture that is continued to what autoencoder and network take.

        Raises:
            InputError: they are more than the network takes.
        """
        multiple = self.autoencoder.factor * self.stride
        rows, columns = (-(-n // multiple) * multiple for n in (height, width))
        if self.widest is not None and max(rows, columns) > (most := self.widest * self.autoencoder.factor):
            raise InputError(
                f"Prior {self.card.name!r} takes pictures of up to {most} pixels a side, and this one has "
                f"{max(height, width)}; restore parts with `--crop`."
            )
        return rows, columns
