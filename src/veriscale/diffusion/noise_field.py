"""Unit noise that belongs to the pixels of a picture, whatever tile, batch, thread or process asks for it.

Every normal is a function of (seed, content, stage, sample, step) and of its pixel's row, column and channel alone:
Philox-4x32-10 under a key hashed from the former, with the latter as its counter, then Box–Muller. One counter gives
four neighbouring columns. Source: Salmon et al. 2011 (Parallel random numbers: as easy as 1, 2, 3).
"""

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from veriscale.imaging import picture

Words = npt.NDArray[np.uint64]
"""32-bit words, each in 64 bits, so that a product keeps its high half."""

_COLUMNS = 4  # normals per counter
_BLOCK = 16_384  # counters made at once: the scratch stays in the cache, and torch does not split it over threads
_WORD = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


@dataclass(frozen=True)
class NoiseField:
    """All the noise of one restoration.

    Args:
        seed: the user's seed; 0 is one like any other.
        content: hash of the measurement (`content_hash`), so that two pictures do not share their noise.
    """

    seed: int
    content: str | bytes

    def window(
        self, stage: str, sample: int, step: int, top: int, left: int, height: int, width: int, channels: int
    ) -> Tensor:
        """Unit normals of a rectangle of pixels: the same numbers as cut from any larger window.

        Args:
            stage: what the noise is for ("renoise", "ancestral", …); stages share nothing.
            sample: number of the draw.
            step: number of the sampler's step.
            top, left: first row and column in the whole picture; a halo may reach below 0.
            height, width: size in pixels.
            channels: the first ones of the picture's.

        Returns:
            (channels, height, width) float32 on the CPU.
        """
        key, tag = self._key(stage, sample, step)
        first = left // _COLUMNS  # counters start at multiples of four columns, windows need not
        groups = (left + width - 1) // _COLUMNS - first + 1
        skip = left - first * _COLUMNS
        out = torch.empty(channels, height, width)
        rows_at_once = max(1, _BLOCK // max(1, groups))
        columns = _words(first, groups)
        for start in range(0, height, rows_at_once):
            rows = _words(top + start, min(rows_at_once, height - start))
            for channel in range(channels):
                normals = _box_muller(philox(columns[None, :], rows[:, None], channel, tag, key))
                out[channel, start : start + len(rows)] = normals[:, skip : skip + width]
        return out

    def _key(self, stage: str, sample: int, step: int) -> tuple[tuple[int, int], int]:
        content = self.content if isinstance(self.content, str) else self.content.hex()
        name = repr((self.seed, content, stage, sample, step)).encode()
        words = np.frombuffer(blake2b(name, digest_size=12).digest(), "<u4").tolist()
        return (words[0], words[1]), words[2]


def content_hash(array: npt.NDArray[Any] | Tensor) -> str:
    """Hash of a measurement's samples, shape and type: the `content` of its `NoiseField`."""
    return picture.content_hash(array.detach().cpu().numpy() if isinstance(array, Tensor) else array)


def _words(first: int, count: int) -> Words:
    """Consecutive integers modulo 2³², negative ones included."""
    return np.arange(first, first + count, dtype=np.int64).view(np.uint64) & _WORD


def philox(columns: Words, rows: Words, channel: int, tag: int, key: tuple[int, int]) -> tuple[Words, ...]:
    """Four random words for each (row, column) counter."""
    shape = np.broadcast_shapes(columns.shape, rows.shape)
    a, b = np.broadcast_to(columns, shape).copy(), np.broadcast_to(rows, shape).copy()
    c, d = np.full(shape, channel, np.uint64), np.full(shape, tag, np.uint64)
    product_a, product_c = np.empty_like(a), np.empty_like(c)
    for turn in range(_ROUNDS):
        np.multiply(a, _MULTIPLIERS[0], out=product_a)
        np.multiply(c, _MULTIPLIERS[1], out=product_c)
        np.right_shift(product_c, _HALF, out=a)
        a ^= b
        a ^= np.uint64((key[0] + turn * _WEYL[0]) & 0xFFFFFFFF)
        np.bitwise_and(product_c, _WORD, out=b)
        np.right_shift(product_a, _HALF, out=c)
        c ^= d
        c ^= np.uint64((key[1] + turn * _WEYL[1]) & 0xFFFFFFFF)
        np.bitwise_and(product_a, _WORD, out=d)
    return a, b, c, d


def _box_muller(words: tuple[Words, ...]) -> Tensor:
    """Turn four (rows, groups) arrays of words into (rows, 4 · groups) normals, a group's four side by side."""
    rows, groups = words[0].shape
    normals = torch.empty(rows, groups, _COLUMNS)
    for first in (0, 2):
        radius_word, angle_word = (
            torch.from_numpy(word.view(np.int64)).to(torch.float32) for word in words[first : first + 2]
        )
        uniform = (radius_word + 0.5) * 2**-32  # in (0, 1]: the half keeps the logarithm finite
        radius = uniform.log_().mul_(-2).sqrt_()
        angle = angle_word * (2 * math.pi * 2**-32)
        normals[:, :, first] = radius * angle.cos()
        normals[:, :, first + 1] = radius * angle.sin()
    return normals.view(rows, groups * _COLUMNS)
