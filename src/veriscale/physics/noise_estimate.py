"""A blind estimate of a measurement's noise."""

import numpy as np
from numpy.typing import NDArray

from veriscale.physics.measurement_noise import ROUNDING

_BLOCK = 8


def estimate_noise(samples: NDArray[np.float32]) -> float:
    """Standard deviation of white noise in a picture, blindly; at most an 8-bit step is taken for none.

    The second mixed difference removes what is locally bilinear and leaves noise at unit gain; the quietest 3 % of
    8×8 blocks tell its level, below sigma by a factor that the block size fixes, measured once on pure noise. Fine
    texture everywhere is taken for noise: on photographs the answer is right to about 0.002 for most and 0.015 at
    worst.

    Args:
        samples: (H, W, C) in [0, 1], at least 24 pixels a side for an answer; smaller pictures give 0.

    Source: Immerkaer 1996 for the difference; blocks as in Liu, Tanaka, Okutomi 2013. docs/methods.md#noise.
    """
    height, width = (n // _BLOCK * _BLOCK for n in (samples.shape[0] - 2, samples.shape[1] - 2))
    if min(height, width) < 2 * _BLOCK:
        return 0.0
    s = samples
    d = s[:-2] - 2 * s[1:-1] + s[2:]
    d = (d[:, :-2] - 2 * d[:, 1:-1] + d[:, 2:]) / 6
    d = d[:height, :width]
    flat = (samples[1:-1, 1:-1] > 0.02) & (samples[1:-1, 1:-1] < 0.98)  # clipping hides noise
    blocks = (height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, -1)
    usable = flat[:height, :width].reshape(blocks).all(axis=(1, 3))
    power = np.square(d).reshape(blocks).mean(axis=(1, 3))[usable]
    if power.size < 20:
        return 0.0
    quiet = np.sort(power)[: max(4, power.size * 3 // 100)]
    std = float(np.sqrt(quiet.mean())) / _QUIET_GAIN
    return std if std > 1.5 * ROUNDING else 0.0


_QUIET_GAIN = 0.672  # root of the mean power of the quietest 3 % of blocks of white noise of std 1
