"""Making measurements: an operator, noise, and a sidecar that says what was done."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing
from veriscale.imaging.colour import premultiplied, unpremultiplied
from veriscale.imaging.photo import Photo
from veriscale.physics.measurement_noise import parse_noise
from veriscale.physics.operator import Downsample, parse_operator

SIDECAR = ".measurement.json"


class Sidecar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What made a measurement; `sha256` is of the file it lies beside."""

    operator: str
    noise_std: float
    seed: int
    sha256: str


def crop_to_multiple(samples: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Without the rows and columns at the bottom and right that no measurement pixel covers whole."""
    return samples[: samples.shape[0] // factor * factor, : samples.shape[1] // factor * factor]


def degrade(photo: Photo, operator: str | Downsample, noise: str | float = 0.0, seed: int = 0) -> Photo:
    """Measure a photograph.

    Args:
        photo: the truth, cropped at the bottom and right to a multiple of the factor.
        operator: such as "downsample:factor=4,kernel=bicubic".
        noise: standard deviation in [0, 1] units; white and Gaussian.
        seed: of the noise, which depends on the photograph too.

    Raises:
        InputError: the operator or noise is not known, or the photograph is smaller than the factor.
    """
    a = parse_operator(operator) if isinstance(operator, str) else operator
    noise_std = parse_noise(str(noise))
    if min(photo.height, photo.width) < a.factor:
        raise InputError(f"A picture of {photo.width}×{photo.height} is too small for {a}.")
    alpha = None if photo.alpha is None else a.forward(crop_to_multiple(photo.alpha, a.factor)[..., None])[..., 0]
    truth = crop_to_multiple(premultiplied(photo.samples, photo.alpha), a.factor)
    y = unpremultiplied(a.forward(truth), alpha)
    if noise_std:
        digest = hashlib.blake2b(np.ascontiguousarray(photo.samples).tobytes(), digest_size=8).digest()
        generator = np.random.default_rng([seed, int.from_bytes(digest, "big")])
        y = y + np.float32(noise_std) * generator.standard_normal(y.shape, np.float32)
    dpi = None if photo.dpi is None else (photo.dpi[0] / a.factor, photo.dpi[1] / a.factor)
    return Photo(y, alpha, photo.bit_depth, photo.icc, dpi, photo.format)


def write_sidecar(measurement: Path, operator: str, noise_std: float, seed: int) -> None:
    """Say beside a written measurement how it was made; replaces an older sidecar."""
    digest = hashlib.sha256(measurement.read_bytes()).hexdigest()
    content = msgspec.json.format(msgspec.json.encode(Sidecar(operator, noise_std, seed, digest)), indent=2)
    with replacing(sidecar_path(measurement), force=True) as temporary:
        temporary.write_bytes(content + b"\n")


def sidecar_path(measurement: str | os.PathLike[str]) -> Path:
    """Where a measurement's sidecar lies."""
    return Path(f"{os.fspath(measurement)}{SIDECAR}")


def read_sidecar(measurement: Path) -> Sidecar | None:
    """The sidecar of a measurement, None where there is none.

    Raises:
        InputError: it cannot be read, or is of another file than the one it lies beside.
    """
    path = sidecar_path(measurement)
    if not path.exists():
        return None
    try:
        document: Any = json.loads(path.read_bytes())
        sidecar = msgspec.convert(document, Sidecar)
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise InputError(f"Sidecar {path} cannot be used: {error}; delete it, or degrade again.") from error
    if sidecar.sha256 != hashlib.sha256(measurement.read_bytes()).hexdigest():
        raise InputError(f"Sidecar {path} is of another version of {measurement.name}; delete it, or degrade again.")
    return sidecar
