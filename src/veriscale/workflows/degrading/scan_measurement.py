"""Measurements of a scan's volume: operators in plane on every slice, thick slices through it, and noise."""

import hashlib
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.geometry import Grid, finer, voxels_of
from veriscale.imaging.nifti.origin import NiftiOrigin
from veriscale.imaging.volume import Volume
from veriscale.physics.composition import Composition, compose
from veriscale.physics.measurement_noise import Noise, parse_noise
from veriscale.physics.operator import Operator
from veriscale.physics.own_operator import check_own
from veriscale.physics.registry import parse_operator
from veriscale.physics.slice_profile import SliceProfile
from veriscale.workflows.factory import own_operator

_NOISELESS = str(parse_noise("0"))


@dataclass(frozen=True, eq=False)
class MeasuredScan:
    """What comes of a volume.

    Attributes:
        volume: with the truth's levels, in canonical axes; its slice axis is that of the thick slices.
        thickness: of the slices in millimetres, where the operator made them thick.
    """

    volume: Volume
    thickness: float | None


def measure_scan(
    truth: Volume, operator: str | Operator, noise: str | float | Noise = 0.0, seed: int = 0
) -> MeasuredScan:
    """Measure a volume.

    Args:
        truth: cropped at the ends to what the operator takes.
        operator: such as "slice:fwhm=4,step=4,axis=2", whose axis is one of the array as stored, or any operator of
            pictures, such as "downsample:factor=2", which measures every slice, rows and columns being the other two
            canonical axes in their order; or several, `A + B`;
            an object; or `package.module:factory` of one.
        noise: a model, its string, or a standard deviation, in the units of `truth.samples`.
        seed: of the noise, which depends on the volume too.

    Raises:
        InputError: operator or noise is not known, a measurement would be no picture, or the volume does not suit them.
    """
    stated = own_operator(operator)
    a = parse_operator(stated) if isinstance(stated, str) else stated
    model = noise if isinstance(noise, Noise) else parse_noise(str(noise))
    if not a.picture:
        raise InputError(
            f"A measurement by {a} is no scan; of scans, slice and the operators of pictures are measured."
        )
    volume, thickness, support = truth, None, None
    parts = a.parts if isinstance(a, Composition) else (a,)
    for through, group in groupby(parts, lambda part: isinstance(part, SliceProfile)):
        if through:
            for part in group:
                volume, thickness, support = _thick(volume, part), part.fwhm, None  # type: ignore[attr-defined]
        else:
            volume, support = _by_slices(volume, compose(list(group)))
    if str(model) != _NOISELESS:
        digest = hashlib.blake2b(np.ascontiguousarray(truth.samples).tobytes(), digest_size=8).digest()
        clean = torch.from_numpy(np.moveaxis(volume.samples, volume.slice_axis, 0)[:, None])
        y = model.sample(clean, np.random.default_rng([seed, int.from_bytes(digest, "big")]))
        y = y if support is None else y * support.to(y)
        samples = np.moveaxis(y[:, 0].numpy(), 0, volume.slice_axis)
        volume = replace(volume, samples=np.ascontiguousarray(samples))
    return MeasuredScan(volume, thickness)


def truth_on(truth: Volume, grid: Grid) -> NDArray[np.float32]:
    """The truth's samples at the voxels of a result, which lie on its own, in the truth's levels."""
    first = np.rint(voxels_of(truth.affine, grid.affine[:3, 3])).astype(int).tolist()
    return truth.samples[tuple(slice(at, at + n) for at, n in zip(first, grid.shape, strict=True))]


def _thick(volume: Volume, operator: Operator) -> Volume:
    """In the axes as stored, which the operator's string names.

    They begin where the stored ones do, or have one middle with what is measured of these.
    """
    o, origin = volume.origin.orientation, volume.origin
    assert isinstance(operator, SliceProfile)  # its caller has asked
    if operator.axis != origin.slice_axis:
        if not isinstance(origin, NiftiOrigin):
            raise InputError(
                f"The slices of this series are its axis {origin.slice_axis}, and {operator} is along another."
            )
        origin = origin.sliced(operator.axis)
    affine = o.affine_outside(volume.affine, volume.shape)
    bound = operator.bind(affine)
    x = o.outside(volume.samples)
    cropped = bound.truth_shape(bound.measurement_shape((1, *x.shape)))[1:]
    x = np.ascontiguousarray(x[tuple(map(slice, cropped))])
    y = bound.forward(torch.from_numpy(x)[None, None])[0, 0].numpy()
    i, j, k = y.shape
    moved = bound.moved(affine)
    if bound.centred:
        moved[:3, 3] += affine[:3, bound.axis] * (cropped[bound.axis] - y.shape[bound.axis] * bound.factor) / 2
    affine = o.affine_inside(moved, (i, j, k))
    return replace(volume, samples=np.ascontiguousarray(o.inside(y)), affine=affine, origin=origin)


def _by_slices(volume: Volume, operator: Operator) -> tuple[Volume, torch.Tensor | None]:
    axis = volume.slice_axis
    slices = np.moveaxis(volume.samples, axis, 0)
    a = operator.bind(np.eye(4))  # a pixel counts as one, as in a photograph
    shape = (1, *slices.shape[1:])
    check_own(a, shape)
    measured = a.measurement_shape(shape)
    height, width = a.truth_shape(measured)[-2:]
    out = np.empty((len(slices), *measured[-2:]), np.float32)
    for k, x in enumerate(slices):
        cropped = np.ascontiguousarray(x[:height, :width])
        out[k] = a.measure(torch.from_numpy(cropped)[None, None])[0, 0].numpy()
    factors = [measured[-2] / height, measured[-1] / width]
    factors.insert(axis, 1.0)
    samples = np.ascontiguousarray(np.moveaxis(out, 0, axis))
    return replace(volume, samples=samples, affine=finer(volume.affine, factors)), a.support(measured)
