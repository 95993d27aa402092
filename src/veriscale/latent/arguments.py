"""What networks in the layout of diffusers are built from, where a recipe trains them."""

import msgspec

PIXELS_OF_TAEF2 = 8
"""Pixels along a side of one of its latents."""


class LatentArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes.

    Attributes:
        unet: channels of the denoising network by level, the finest first.
        autoencoder: the same of an AutoencoderKL, whose latents are the finest level's after halving once less than it
            has levels; empty where there is none of one's own.
        channels: of its latents.
        encoded_by: in the place of one's own, the autoencoder TAEF2: the files NAME_encoder.safetensors and
            NAME_decoder.safetensors under the data root. With neither the network denoises pictures.
    """

    unet: list[int]
    autoencoder: list[int] = []
    channels: int = 4
    encoded_by: str | None = None

    @property
    def factor(self) -> int:
        """Pixels along a side of what the network denoises."""
        if self.encoded_by is not None:
            return PIXELS_OF_TAEF2
        return 2 ** (len(self.autoencoder) - 1) if self.autoencoder else 1

    @property
    def multiple(self) -> int:
        """What both sides of a picture must be multiples of, for autoencoder and network."""
        return int(self.factor * 2 ** (len(self.unet) - 1))
