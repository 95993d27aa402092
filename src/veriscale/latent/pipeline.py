"""A model in the layout of diffusers as a prior: in the space of an autoencoder, or of pictures themselves."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from veriscale.diffusion.card import Budget, Card, DenoiserArguments, EncoderArguments, Mode, Network
from veriscale.diffusion.own_prior import prior_from
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.latent.autoencoder import Autoencoder, autoencoder_of
from veriscale.latent.backbone import FLOW, UNCONDITIONAL, Backbone, denoising_component, stride_of
from veriscale.latent.folder import Folder, model_folder, read_folder
from veriscale.latent.hub import hub_folder, is_hub
from veriscale.latent.model_card import ModelCard, read_model_card
from veriscale.latent.packages import loading, quiet
from veriscale.latent.prior import LatentPrior
from veriscale.latent.schedule import Schedule, schedule_of
from veriscale.latent.taef2 import TAEF2, autoencoder_of_taef2, load_taef2
from veriscale.latent.text import Texts, text_components
from veriscale.runtime.device import Device, choose_device, choose_dtype

AUTOENCODERS = "AutoencoderKL", "VQModel", TAEF2
CODERS = "vae", "vqvae"
"""What pipelines call them."""
LIBRARIES = "diffusers", "transformers", __package__
"""Whose classes are loaded; in the last is TAEF2."""


def prior_from_pipeline(
    source: str | os.PathLike[str],
    *,
    device: Device = "auto",
    dtype: torch.dtype | None = None,
    variant: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> Prior:
    """A prior from a model in the layout of diffusers.

    With an autoencoder it is a `LatentPrior`; without one its network denoises pictures and goes the way of every
    denoiser of one's own (`prior_from`).

    Args:
        source: a folder, or `hub:owner/name` with `@revision` where it is wanted.
        device: "auto", "cuda", "mps" or "cpu".
        dtype: of the denoising network; bfloat16 where the hardware has it by default. The autoencoder is in float32.
        variant: of the weights, such as "fp16"; by default the plain ones, or what there is.
        revision: of a model of the hub.
        local_files_only: whether nothing may be fetched from the hub.

    Raises:
        InputError: there is no such model, a part of it is missing, not supported or a pickle, it does not fit into
            memory, or a package is not installed.
    """
    place = choose_device(device)
    return read_pipeline(source, variant, revision, local_files_only).load(place, dtype or choose_dtype(place))


def read_pipeline(
    source: str | os.PathLike[str],
    variant: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> "Pipeline":
    """What a folder or a model of the hub offers; arguments and errors as `prior_from_pipeline`."""
    path = model_folder(source) or Path(source)
    if is_hub(source):
        path = hub_folder(str(source), lambda folder: Pipeline(folder).used, revision, variant, local_files_only)
    return Pipeline(read_folder(path, variant))


@dataclass(frozen=True)
class Pipeline:
    """A model on disk, its configurations read.

    Attributes:
        folder: its files.
    """

    folder: Folder

    @cached_property
    def denoising(self) -> str:
        """The component that denoises."""
        return denoising_component(self.folder)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Of that."""
        return self.folder.config(self.denoising)

    @property
    def backbone(self) -> str:
        """Its class."""
        return self.folder.components[self.denoising]

    @cached_property
    def autoencoder(self) -> str | None:
        """The component that makes latents; None where the network denoises pictures.

        Raises:
            InputError: it is missing or not supported, or its latents are not those of the network.
        """
        name = next((n for n in CODERS if n in self.folder.components), None)
        channels = self.folder.number(self.denoising, "in_channels", 4)
        if name is None:
            index = self.folder.index
            of_latents = index.get("_class_name") == "LDMPipeline" or any(n in index for n in CODERS)
            if self.backbone == UNCONDITIONAL and channels in (1, 3) and not of_latents:
                return None
            raise InputError(
                f"{self.folder.path} has no vae, and its network does not denoise pictures but latents of {channels} "
                "channels; copy the whole model."
            )
        kind = self.folder.components[name]
        if kind not in AUTOENCODERS:
            raise InputError(
                f"The {name} of {self.folder.path} is a {kind}, which is not supported; supported: "
                f"{', '.join(AUTOENCODERS)}."
            )
        latents = self.folder.number(name, "latent_channels", 4 if kind == AUTOENCODERS[0] else 3)
        if latents != channels:
            raise InputError(
                f"The {self.denoising} of {self.folder.path} takes {channels} channels, and its {name} makes latents "
                f"of {latents}: these two do not go together, or the network wants to be shown a picture too."
            )
        return name

    @cached_property
    def schedule(self) -> Schedule:
        """Of its training."""
        if "scheduler" not in self.folder.components:
            raise InputError(f"{self.folder.path} names no scheduler, which says what noise its network knows.")
        kind = self.folder.components["scheduler"]
        return schedule_of(kind, self.folder.config("scheduler"), str(self.folder.path))

    @cached_property
    def texts(self) -> list[str]:
        """Its text encoders and tokenizers; none where the network takes no text."""
        return [] if self.backbone == UNCONDITIONAL else text_components(self.folder)

    @property
    def used(self) -> list[str]:
        """The components that are used.

        Raises:
            InputError: one is missing, not supported, or of a library that is not known, such as code of the folder.
        """
        found = [self.denoising, *([self.autoencoder] if self.autoencoder else []), "scheduler", *self.texts]
        for name in (n for n in found if n in self.folder.components):
            library = self.folder.index[name][0]
            if library not in LIBRARIES:
                raise InputError(
                    f"The {name} of {self.folder.path} is of {library!r}, whose code is not run; supported are classes "
                    "of diffusers and transformers."
                )
        return found

    @property
    def networks(self) -> list[str]:
        """Those of them that have weights."""
        return [name for name in self.used if name != "scheduler" and not name.startswith("tokenizer")]

    @property
    def pictures(self) -> int:
        """Channels of the pictures."""
        return self.folder.number(self.autoencoder or self.denoising, "in_channels", 3)

    @cached_property
    def own_card(self) -> ModelCard | None:
        """What it comes from, where it was trained here.

        Raises:
            InputError: the file that says it is damaged.
        """
        return read_model_card(self.folder.path)

    @cached_property
    def card(self) -> Card:
        """Of a latent prior, its hash that of the files."""
        low, high = self.schedule.sigmas
        mode = Mode(0, [0.0], [1.0], low, high)
        network = Network(self.pictures, [], EncoderArguments(), DenoiserArguments())
        digest = self.folder.sha256(self.used)
        own, budget = self.own_card, Budget(0, 0, 0.0, "unknown")
        training, validation = ([], []) if own is None else (own.training, own.validation)
        if own is not None:
            budget = Budget(0, 0, own.seconds, own.machine, phases=own.phases)
        return Card(self.folder.name, network, [mode], training, validation, budget, mean=0.0, tensors_sha256=digest)

    def offers(self) -> dict[str, Any]:
        """For people: its parts, and what can be asked of it; its hash where that is of the files."""
        folder, parts = self.folder, list[dict[str, Any]]()
        for name in self.used:
            part: dict[str, Any] = {"name": name, "class": folder.components[name]}
            if name in self.networks:
                part |= {"megabytes": round(folder.size(name) / 1e6, 1), "variant": folder.variant_of(name)}
            parts.append(part)
        return {
            "name": folder.name,
            "folder": str(folder.path),
            "components": parts,
            "channels": self.pictures,
            "space": "latents" if self.autoencoder else "pictures",
            "predicts": self.schedule.predicts,
            "levels": self.schedule.sigmas,
            "texts": bool(self.texts),
            **({"sha256": self.card.tensors_sha256} if self.autoencoder else {}),
            **({} if self.own_card is None else {"card": msgspec.to_builtins(self.own_card)}),
        }

    def load(self, device: torch.device, dtype: torch.dtype) -> Prior:
        """The prior, on a device.

        Raises:
            InputError: weights are missing, damaged, pickles, or do not fit into memory.
        """
        for component in self.networks:
            self.folder.variant_of(component)  # before gigabytes are read
        with loading(self.folder.path, device):
            module = self._network(self.denoising, dtype).to(device).eval().requires_grad_(False)
            network = Backbone(module, int(module.config.in_channels))
            if self.autoencoder is None:
                return self._of_pictures(network)
            autoencoder = self._coder(self.autoencoder, device)
        texts = Texts(self.folder, network) if self.texts else None
        widest = module.config.pos_embed_max_size * module.config.patch_size if self.backbone == FLOW else None
        return LatentPrior(
            self.card, autoencoder, network, self.schedule, tuple(self.used), self.folder, texts, widest=widest
        )

    def _coder(self, component: str, device: torch.device) -> Autoencoder:
        if self.folder.components[component] == TAEF2:
            return autoencoder_of_taef2(load_taef2(self.folder.weights(component)[0]), device)
        return autoencoder_of(self._network(component, torch.float32), device)

    def _network(self, component: str, dtype: torch.dtype) -> Any:
        with quiet("diffusers") as diffusers:
            return getattr(diffusers, self.folder.components[component]).from_pretrained(
                self.folder.path,
                subfolder=component,
                variant=self.folder.variant_of(component),
                use_safetensors=True,
                local_files_only=True,
                torch_dtype=dtype,
                low_cpu_mem_usage=False,
            )

    def _of_pictures(self, network: Backbone) -> Prior:
        schedule = self.schedule
        if schedule.alphas_bar is None:
            raise InputError(f"{self.folder.path} is a flow of pictures, which is not supported; flows of latents are.")

        def function(x: Tensor, t: Tensor) -> Tensor:
            return network(x, t, {}).to(x)

        return prior_from(
            function,
            channels=network.channels,
            range=(-1, 1),
            predicts=schedule.predicts,
            alphas_bar=schedule.alphas_bar,
            module=network.module,
            name=self.folder.name,
            stride=stride_of(self.config),
        )
