"""PSNR inside a mask, by its definition."""

import math

import numpy as np


def masked_psnr(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Over the trusted pixels and all channels, in dB with peak 1; +∞ for an empty mask or no error."""
    error = np.subtract(image[mask], truth[mask], dtype=np.float64)
    mse = float(np.mean(error**2)) if error.size else 0.0
    return -10 * math.log10(mse) if mse else math.inf
