"""JPEG compression: the codec where a file is made, a differentiable stand-in where a gradient is needed."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from veriscale.errors import InputError
from veriscale.physics.jpeg_blocks import TO_RGB, TO_YCC, blocks, mixed, pad, unblocks
from veriscale.physics.jpeg_prox import compressed_prox, jpeg_prox
from veriscale.physics.operator import LinearOperator, ProximalOperator, Shape

_LARGEST = 65_500  # libjpeg's limit for a side

# ITU-T T.81, tables K.1 and K.2.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)


@dataclass(frozen=True)
class Jpeg(ProximalOperator):
    """Compression at a quality of libjpeg's, chroma at half the resolution (4:2:0).

    `forward` follows the codec step by step: colour transform, 2×2 means of chroma, 8×8 DCT, quantisation, back, and
    triangle interpolation of chroma. Its rounding and clipping pass gradients straight through, so its gradient is
    that of the linear rest: the identity for grey, low-pass chroma for colour. `measure` is Pillow's codec itself.

    Args:
        quality: 1 to 100.

    Raises:
        InputError: the quality is out of range.

    Source: ITU-T T.81 and T.871, libjpeg's jcparam.c, jcsample.c and jdsample.c; Bengio et al. 2013 for the
    straight-through gradient.
    """

    quality: int = 40

    name: ClassVar[str] = "jpeg"

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise InputError(f"The quality of operator 'jpeg' is an integer from 1 to 100, not {self.quality}.")

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape, in [0, 1]; C is 1 or 3."""
        self.measurement_shape(tuple(x.shape[1:]))
        height, width = x.shape[-2:]
        levels = _straight(255 * x, _eight_bits)
        luma_table, chroma_table = (self._table(base, x) for base in (_LUMA, _CHROMA))
        if x.shape[1] == 1:
            coded = _code(pad(levels, 8) - 128, luma_table) + 128
            return _straight(coded[..., :height, :width], _eight_bits) / 255
        ycc = mixed(TO_YCC, pad(levels, 16))
        luma = _straight(_code(_straight(ycc[:, :1], torch.round) - 128, luma_table) + 128, _eight_bits)
        chroma = functional.avg_pool2d(_straight(ycc[:, 1:], torch.round), 2)
        chroma = _straight(chroma, lambda u: _floor(u, 1 / 4, 2 / 4))
        chroma = _straight(_code(chroma, chroma_table), _centred_eight_bits)
        # the decoder interpolates what belongs to the picture, not to its padding
        chroma = chroma[..., : math.ceil(height / 2), : math.ceil(width / 2)]
        chroma = functional.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
        chroma = _straight(chroma, lambda u: _floor(u, 8 / 16, 7 / 16))
        together = torch.cat([luma[..., :height, :width], chroma[..., :height, :width]], 1)
        return _straight(mixed(TO_RGB, together), _eight_bits) / 255

    def surrogate(self, x: Tensor) -> Tensor:
        """The codec without its rounding: x itself for grey, with chroma at half the resolution for colour.

        The gradient of `forward`, straight through the rounding, drives every coefficient that the codec sets to 0 to
        the edge of its step, wherever y is not itself a decoded file.
        """
        if x.shape[1] == 1:
            return x
        height, width = x.shape[-2:]
        ycc = mixed(TO_YCC, pad(x, 2))
        chroma = functional.interpolate(functional.avg_pool2d(ycc[:, 1:], 2), scale_factor=2, mode="bilinear")
        return mixed(TO_RGB, torch.cat([ycc[:, :1], chroma], 1))[..., :height, :width]

    @property
    def noise_std(self) -> float:
        """Of its rounding: a step over √12, the mean over the lowest frequencies of luma, where pictures have most."""
        return float(self._table(_LUMA, torch.zeros(()))[:3, :3].mean()) / (255 * 12**0.5)

    def norm(self, shape: Shape) -> float:
        """1: luma passes as it is."""
        return 1.0

    def prox(self, v: Tensor, y: Tensor, rho: float, weight: Tensor | None = None) -> Tensor:
        """As `ProximalOperator.prox` but for the weights, which are those of the codec's steps: `jpeg_prox`.

        Raises:
            InputError: the noise has weights of its own.
        """
        self.check_noise(gaussian=weight is None)
        return jpeg_prox(v, y, rho, self._table(_LUMA, v), self._table(_CHROMA, v), self.noise_std)

    def prox_after(
        self, before: LinearOperator, v: Tensor, y: Tensor, rho: float, weight: Tensor | None = None
    ) -> Tensor:
        """As `prox`, of y = jpeg(Ax) with A `before`."""
        self.check_noise(gaussian=weight is None)
        return compressed_prox(v, y, rho, self._table(_LUMA, v), self._table(_CHROMA, v), self.noise_std, before)

    def check_noise(self, gaussian: bool) -> None:
        """Raise `InputError` for noise that is not: the weights are taken."""
        if not gaussian:
            raise InputError(
                f"{self} knows its own rounding, and its proximal map goes with Gaussian noise alone; leave out "
                "`--noise`, or choose `--anchor` paper and `--posterior` dps."
            )

    def measure(self, x: Tensor) -> Tensor:
        """What the codec makes of x rounded to 8 bits."""
        self.measurement_shape(tuple(x.shape[1:]))
        samples = _eight_bits(255 * x.detach()).permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy()
        coded = np.stack([self._codec(item) for item in samples])
        return torch.from_numpy(coded).permute(0, 3, 1, 2).to(x) / 255

    def measurement_shape(self, shape: Shape) -> Shape:
        """The same shape.

        Raises:
            InputError: a volume, a picture of neither 1 nor 3 channels, or one larger than the format allows.
        """
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise InputError("Operator 'jpeg' is for grey and colour pictures of 1 or 3 channels.")
        if max(shape[1:]) > _LARGEST:
            raise InputError(f"Operator 'jpeg' takes pictures up to {_LARGEST} pixels a side, not {max(shape[1:])}.")
        return shape

    def __str__(self) -> str:
        return f"{self.name}:quality={self.quality}"

    def _table(self, base: tuple[tuple[int, ...], ...], like: Tensor) -> Tensor:
        # jpeg_quality_scaling and jpeg_add_quant_table, in integers as there
        scale = 5000 // self.quality if self.quality < 50 else 200 - 2 * self.quality
        return ((torch.tensor(base) * scale + 50) // 100).clamp(1, 255).to(like)

    def _codec(self, samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
        picture = Image.fromarray(samples[..., 0] if samples.shape[-1] == 1 else samples)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=self.quality, subsampling="4:2:0")
        with Image.open(file) as decoded:
            return np.asarray(decoded).reshape(samples.shape)


def _code(plane: Tensor, table: Tensor) -> Tensor:
    """Quantise the DCT of 8×8 blocks; plane (B, C, H, W) is centred at 0, its sides multiples of 8."""
    return unblocks(_straight(blocks(plane) / table, torch.round) * table, plane.shape)


def _eight_bits(levels: Tensor) -> Tensor:
    return levels.round().clamp(0, 255)


def _centred_eight_bits(levels: Tensor) -> Tensor:
    return levels.round().clamp(-128, 127)


def _floor(x: Tensor, even: float, odd: float) -> Tensor:
    """Integers of chroma, halves going up and down in turn: the offsets of even and odd columns are libjpeg's."""
    width = x.shape[-1]
    return (x + x.new_tensor([even, odd]).repeat((width + 1) // 2)[:width]).floor()


def _straight(x: Tensor, step: Callable[[Tensor], Tensor]) -> Tensor:
    """`step` of x with the gradient of x."""
    return step(x).detach() + (x - x.detach())
