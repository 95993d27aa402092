"""Prompts as a network is told them: by the text encoders of its folder, loaded when a prompt is first read."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from veriscale.errors import InputError
from veriscale.latent.backbone import FLOW, WITH_TEXT, Backbone, Condition
from veriscale.latent.folder import Folder
from veriscale.latent.packages import loading, quiet

ENCODERS = "CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel"
TOKENIZERS = "CLIPTokenizer", "CLIPTokenizerFast", "T5Tokenizer", "T5TokenizerFast"
KINDS = {"text_encoder": ENCODERS, "tokenizer": TOKENIZERS}
READ_BY_T5 = 256  # tokens, as that pipeline has it

PIPELINES = {WITH_TEXT: "StableDiffusionPipeline", FLOW: "StableDiffusion3Pipeline"}
"""Whose way to read a prompt is taken, by the class of the denoising network."""


def text_components(folder: Folder) -> list[str]:
    """Names of the text encoders and their tokenizers.

    Raises:
        InputError: there are none, or one's class is unknown.
    """
    found = [name for name in folder.components if name.startswith(("text_encoder", "tokenizer"))]
    for name in found:
        known = KINDS["tokenizer" if name.startswith("tokenizer") else "text_encoder"]
        if folder.components[name] not in known:
            raise InputError(
                f"The {name} of {folder.path} is a {folder.components[name]}, which is not supported; supported: "
                f"{', '.join(known)}."
            )
    if not {"text_encoder", "tokenizer"} <= set(found):
        raise InputError(f"{folder.path} has no text encoder with a tokenizer, and its network wants a text.")
    return found


@dataclass(frozen=True, eq=False)
class Texts:
    """The text encoders of a folder.

    Attributes:
        folder: theirs.
        network: that is told.
        read: what was read already, by prompt and negative prompt.
    """

    folder: Folder
    network: Backbone
    read: dict[tuple[str, str], tuple[Condition, Condition]] = field(default_factory=dict)

    def conditions(self, prompt: str, negative: str) -> tuple[Condition, Condition]:
        """What the network is told of a prompt, and of the negative one, none of which is too long."""
        if (prompt, negative) not in self.read:
            self.read[prompt, negative] = self._conditions(prompt, negative)
        return self.read[prompt, negative]

    @torch.no_grad()
    def _conditions(self, prompt: str, negative: str) -> tuple[Condition, Condition]:
        with (
            loading(self.folder.path, self.network.device),
            quiet("transformers") as library,
            quiet("diffusers") as pipelines,
        ):
            pipeline = self._pipeline(library, pipelines)
        encode = partial(pipeline.encode_prompt, device=self.network.device, num_images_per_prompt=1)
        if self.network.kind == FLOW:
            told = encode(prompt, None, None, do_classifier_free_guidance=True, negative_prompt=negative)
            (one, other, pooled, other_pooled) = (self._brought(t) for t in told)
            return (
                {"encoder_hidden_states": one, "pooled_projections": pooled},
                {"encoder_hidden_states": other, "pooled_projections": other_pooled},
            )
        told = encode(prompt, do_classifier_free_guidance=True, negative_prompt=negative)
        one, other = (self._brought(t) for t in told)
        return {"encoder_hidden_states": one}, {"encoder_hidden_states": other}

    def check(self, prompt: str, negative: str) -> None:
        """Raise `InputError` for a text that no encoder would read to its end."""
        if (prompt, negative) in self.read:
            return
        long = "tokenizer_3" in self.folder.components
        with loading(self.folder.path, self.network.device), quiet("transformers") as library:
            tokenizer = self._tokenizer(library, "tokenizer_3" if long else "tokenizer")
        most = READ_BY_T5 if long else tokenizer.model_max_length
        for text in (prompt, negative):
            if (count := len(tokenizer(text).input_ids)) > most:
                raise InputError(
                    f"The prompt {text[:20]!r}… has {count} tokens, and prior {self.folder.name!r} reads {most}; "
                    "shorten it."
                )

    def _brought(self, t: Tensor) -> Tensor:
        return t.to(self.network.device, self.network.dtype)

    def _tokenizer(self, library: Any, name: str) -> Any:
        return getattr(library, self.folder.components[name]).from_pretrained(
            self.folder.path / name, local_files_only=True
        )

    def _pipeline(self, library: Any, pipelines: Any) -> Any:
        """Of diffusers, with text encoders and tokenizers alone, which go when the prompt is read."""
        parts: dict[str, Any] = {}
        for name in text_components(self.folder):
            if name.startswith("tokenizer"):
                parts[name] = self._tokenizer(library, name)
            else:
                network = getattr(library, self.folder.components[name]).from_pretrained(
                    self.folder.path / name,
                    local_files_only=True,
                    use_safetensors=True,
                    variant=self.folder.variant_of(name),
                    dtype=self.network.dtype,
                )
                parts[name] = network.to(self.network.device).eval()
        kind = getattr(pipelines, PIPELINES[self.network.kind])
        if self.network.kind == FLOW:  # in the place of a third encoder it puts zeros in the network's width
            absent = dict.fromkeys(f"{name}{k}" for name in KINDS for k in ("", "_2", "_3"))
            return kind(vae=None, scheduler=None, transformer=self.network.module, **absent | parts)
        others = dict.fromkeys(("vae", "unet", "scheduler", "safety_checker", "feature_extractor"))
        return kind(**others, **parts, requires_safety_checker=False)
