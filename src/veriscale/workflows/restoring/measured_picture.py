"""A picture as a measurement: whether it can be one by its operator, of what size, with how much noise."""

from typing import Any

import numpy as np
import torch

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.picture import Picture
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise, Noise
from veriscale.physics.noise_estimate import estimate_noise
from veriscale.physics.operator import LinearOperator, Operator, Shape
from veriscale.physics.own_operator import check_own

SMALLEST = 8  # measurement pixels a side
LARGEST = 1e6  # value of a float file: what is far above 1 overflows, and coefficients may be as large as 1e4


def as_tensor(picture: Picture[Any], channels: int | None = None) -> torch.Tensor:
    """(1, C, …), with so many channels; with the picture's own by default."""
    return torch.from_numpy(picture.planes(channels))[None]


def check_picture(photo: Photo, prior: Prior, measured: bool) -> None:
    """Raise `InputError` for a picture that the prior or nobody can restore, whoever measured it."""
    height, width, channels = photo.pixels.shape
    if channels > prior.card.network.channels:
        raise InputError(
            f"Prior {prior.card.name!r} is for grey pictures and this one has {channels} channels; "
            "convert it to grey or choose a colour prior."
        )
    if min(height, width) < SMALLEST:
        raise InputError(f"A picture of {width}×{height} is too small; {SMALLEST} pixels a side are the least.")
    if not measured and photo.bit_depth == 32:
        low, high = float(photo.pixels.min()), float(photo.pixels.max())
        if (low < -0.5 or high > 2) and high <= LARGEST:
            raise InputError(
                f"Values from {low:.2g} to {high:.2g} are those of no picture; if it is a measurement, say "
                "`--operator`."
            )
    if photo.bit_depth == 32 and (largest := float(np.abs(photo.pixels).max())) > LARGEST:
        raise InputError(f"A picture with values of {largest:.2g} cannot be restored; divide it, so that white is 1.")


def estimated_noise(operator: Operator, photo: Photo) -> Noise:
    """The noise of a measurement, by the measurement itself.

    Raises:
        InputError: it holds no picture that is whole.
    """
    # Where there are holes no block is whole, and coefficients are no picture.
    if not operator.picture or not operator.divisible:
        raise InputError(f"The noise of a measurement by {operator} cannot be estimated; state it.")
    return GaussianNoise(estimate_noise(photo.planes().transpose(1, 2, 0)))


def truth_shape(operator: Operator, photo: Photo) -> tuple[int, int]:
    """(H, W) of what an operator made a measurement of.

    Raises:
        InputError: it can have made no such measurement.
    """
    if not operator.picture and (photo.bit_depth != 32 or photo.alpha is not None):
        what = "transparency" if photo.bit_depth == 32 else f"{photo.bit_depth} bits"
        raise InputError(
            f"A picture with {what} is no measurement by {operator}, whose coefficients are floating point; "
            "give the .npy or .tif that holds them."
        )
    if not isinstance(operator, LinearOperator) and photo.alpha is not None and float(photo.alpha.min()) < 1:
        raise InputError(f"A picture with transparency is no measurement by {operator}; flatten it first.")
    height, width, channels = photo.pixels.shape
    measured: Shape = (channels, height, width)
    truth = operator.truth_shape(measured)
    if operator.measurement_shape(truth) != measured:
        raise InputError(f"A measurement of {width}×{height} cannot be of {operator}.")
    check_own(operator, truth)
    operator.support(measured)  # masks of another size say so
    if min(truth[-2:]) < SMALLEST:
        raise InputError(f"A picture of {truth[-1]}×{truth[-2]} is too small; {SMALLEST} pixels a side are the least.")
    return truth[-2], truth[-1]


def typical_std(operator: Operator, photo: Photo, noise: Noise, rounding: float) -> float:
    """Standard deviation of a noise at the brightness of a measurement, at least that of its rounding.

    Raises:
        InputError: it is a noise of pictures, and this is none.
    """
    if not operator.picture and not noise.signed:
        raise InputError(f"Noise {noise} is for pictures, and a measurement by {operator} is none; use gaussian.")
    y = torch.from_numpy(photo.pixels).permute(2, 0, 1)[None]
    return DataTerm(operator, y, noise, rounding).noise_std
