"""The preconditioning of Karras et al. 2022 (EDM), table 1, last column."""

from typing import NamedTuple

import torch
from torch import Tensor


class Scalings(NamedTuple):
    """D(x) = skip·x + out·F(into·x, noise); the loss of F has unit weight and its target unit variance."""

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor


def scalings(sigma: Tensor, sigma_data: Tensor) -> Scalings:
    """The four coefficients for noise levels `sigma` of data with standard deviation `sigma_data`, elementwise.

    c_noise is ln(sigma / sigma_data) / 4, so that the network sees noise relative to what it denoises.
    """
    total = sigma**2 + sigma_data**2
    return Scalings(
        skip=sigma_data**2 / total,
        out=sigma * sigma_data / total.sqrt(),
        into=1 / total.sqrt(),
        noise=torch.log(sigma / sigma_data) / 4,
    )
