"""Making measurements of pictures and scans: an operator and noise."""

import hashlib
import os
from pathlib import Path
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.errors import InputError
from veriscale.imaging.colour import premultiplied, unpremultiplied
from veriscale.imaging.photo import Photo
from veriscale.imaging.volume import Volume
from veriscale.physics.composition import Composition
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.measurement_noise import Noise, parse_noise
from veriscale.physics.operator import LinearOperator, Operator
from veriscale.physics.own_operator import check_operator, check_own
from veriscale.physics.registry import parse_operator
from veriscale.workflows.degrading.scan_measurement import measure_scan
from veriscale.workflows.factory import own_operator
from veriscale.workflows.image import Image, as_photo
from veriscale.workflows.scans.reading import read_volume, takes_scan


@overload
def degrade(
    image: Volume,
    operator: str | Operator,
    noise: str | float | Noise = 0.0,
    seed: int = 0,
    *,
    index: int | None = None,
) -> Volume: ...  # and of a path to a scan


@overload
def degrade(
    image: Image,
    operator: str | Operator,
    noise: str | float | Noise = 0.0,
    seed: int = 0,
    *,
    index: int | None = None,
) -> Photo: ...


def degrade(
    image: Image | Volume,
    operator: str | Operator,
    noise: str | float | Noise = 0.0,
    seed: int = 0,
    *,
    index: int | None = None,
) -> Photo | Volume:
    """Measure a photograph or a scan.

    Args:
        image: the truth, as of `as_photo`, or a scan: a `Volume`, a NIfTI file or a folder of a DICOM series; cropped
            at its ends to what the operator takes.
        operator: such as "downsample:factor=4,kernel=bicubic", an object, or `package.module:factory` of one; of a scan
            as `measure_scan` takes it.
        noise: a model, its string such as "poisson:peak=30", or a standard deviation in [0, 1] units, of a scan those
            of the truth's levels.
        seed: of the noise, which depends on the photograph too.
        index: of a scan's file of several volumes, which one is measured, counted from 0.

    Returns:
        The measurement, without EXIF; of an operator whose measurements are no pictures its coefficients, for a float
        file. Of a scan a volume with levels of its own, in whose units noise is
        `truth.levels.width / measurement.levels.width` times as large.

    Raises:
        InputError: operator or noise is not known, they do not go together, or the photograph does not suit them.
    """
    check_operator(operator)
    if isinstance(image, str | os.PathLike) and takes_scan(Path(image)):
        image, index = read_volume(image, index), None
    if index is not None:
        raise InputError("`--volume` chooses among the volumes of a scan's file, and there is none; leave it out.")
    if isinstance(image, Volume):
        return measure_scan(image, operator, noise, seed).volume.relevelled()
    photo = as_photo(image)
    stated = own_operator(operator)
    a = stated if isinstance(stated, Operator) else parse_operator(str(stated))
    a = a.bind(np.eye(4))  # a photograph has no millimetres: a pixel counts as one
    model = noise if isinstance(noise, Noise) else parse_noise(str(noise))
    if not a.picture and not model.signed:
        raise InputError(f"Noise {model} is for pictures, and a measurement by {a} is none; use gaussian.")
    if not a.picture and photo.alpha is not None:
        raise InputError(f"A picture with transparency cannot be measured by {a}; flatten it first.")
    # A value that is not linear in the colour times alpha can come out above alpha, and no file holds that.
    if not isinstance(a, LinearOperator) and photo.alpha is not None and float(photo.alpha.min()) < 1:
        raise InputError(f"A picture with transparency cannot be measured by {a}; flatten it first.")
    shape = (photo.channels, photo.height, photo.width)
    check_own(a, shape)
    measured = a.measurement_shape(shape)
    height, width = a.truth_shape(measured)[-2:]
    truth = premultiplied(photo.pixels, photo.alpha)[:height, :width]
    clean = a.measure(_tensor(truth))
    y = clean
    if str(model) != _NOISELESS:
        digest = hashlib.blake2b(np.ascontiguousarray(photo.pixels).tobytes(), digest_size=8).digest()
        y = model.sample(clean, np.random.default_rng([seed, int.from_bytes(digest, "big")]))
        support = a.support(measured)
        y = y if support is None else y * support.to(y)
    alpha = None
    if photo.alpha is not None:
        alpha = _transparency(a, photo.alpha[:height, :width])
    samples = unpremultiplied(np.ascontiguousarray(y[0].permute(1, 2, 0).numpy()), alpha)
    finer = measured[-1] / width, measured[-2] / height
    dpi = None if photo.dpi is None or not a.picture else (photo.dpi[0] * finer[0], photo.dpi[1] * finer[1])
    depth = photo.bit_depth if a.picture else 32
    return Photo(samples, alpha, depth, photo.icc if a.picture else None, dpi, photo.format if a.picture else "npy")


def _transparency(a: Operator, alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of a measurement: it moves as light does, but a hole in the picture is none in its outline."""
    y = _tensor(alpha[..., None])
    for part in a.parts if isinstance(a, Composition) else (a,):
        y = part.forward(y) if isinstance(part, LinearOperator) and not isinstance(part, Inpaint) else y
    return y[0, 0].numpy().clip(0, 1)


def _tensor(samples: NDArray[np.float32]) -> Tensor:
    """(H, W, C) to (1, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(samples.transpose(2, 0, 1)))[None]


_NOISELESS = str(parse_noise("0"))
