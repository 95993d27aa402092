"""What a prior makes of a patient's slices, in the numbers of the study of few subjects."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np

from scan_inplane import baselines, measurement
from veriscale.diffusion.prior import Prior
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.npz import EXTENSION, KEY, read_npz
from veriscale.imaging.volume import Volume
from veriscale.metrics.draw_scores import draw_sums
from veriscale.metrics.foreground import foreground_on
from veriscale.metrics.scan_distortion import data_range, scan_psnr
from veriscale.settings import Settings, settled
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.in_plane import prepare_slices
from veriscale.workflows.scans.scan_restoration import ScanRestoration

SIDE = 128  # truth pixels
SLICES = 4
SAMPLES = 8
SEED = 0
_NOMINAL = 0.8

Numbers = dict[str, float]


@dataclass(frozen=True, eq=False)
class Slices:
    """Some slices of one patient, in the middle of the plane, slices last.

    Attributes:
        truth: (X, Y, N), in units of the measurement's levels.
        measurement: (x, y, N), with levels of its own.
        mask: (X, Y, N) bool, the foreground of the measurement.
    """

    truth: np.ndarray
    measurement: Volume
    mask: np.ndarray

    def psnr(self, image: np.ndarray) -> float:
        """Of (X, Y, N), in the foreground, in dB."""
        return scan_psnr(image, self.truth, data_range(self.truth, self.mask), self.mask)

    def at(self, places: Sequence[int]) -> "Slices":
        """Some of them, with the levels that they have."""
        some = replace(self.measurement, samples=np.ascontiguousarray(self.measurement.samples[..., places]))
        return Slices(self.truth[..., places], some, self.mask[..., places])


def whole_of(file: Path, scale: int) -> Slices:
    """Measure a patient, all slices, in the part of the plane that `fitting` leaves."""
    volume = _volume(file)
    truth = replace(volume, samples=np.ascontiguousarray(volume.samples[fitting(volume.shape, scale)]))
    small = measurement(truth, scale)
    return Slices(small.levels.applied(truth.values()), small, foreground_on(truth.grid, small))


def fitting(shape: Sequence[int], scale: int) -> tuple[slice, slice]:
    """Rows and columns without those at the edges that a scale leaves over."""
    rows, columns = (slice(n % scale // 2, n % scale // 2 + n // scale * scale) for n in shape[:2])
    return rows, columns


def slices_of(file: Path, scale: int) -> Slices:
    """Measure a patient, and cut: the middle of every slice, at most `SIDE` pixels a side, of `SLICES` along the depth.

    Levels and foreground are those of the whole measurement, as of a scan that a user restores. What is cut is the
    image's own middle, and spread evenly, whatever is to be seen there.
    """
    whole = whole_of(file, scale)
    small, depth = whole.measurement, whole.truth.shape[2]
    low, high = (_middle(small.shape[:2], SIDE // scale, times) for times in (1, scale))
    cut = Slices(whole.truth[tuple(high)], replace(small, samples=small.samples[tuple(low)]), whole.mask[tuple(high)])
    return cut.at([(2 * i + 1) * depth // (2 * SLICES) for i in range(SLICES)])


def _middle(shape: Sequence[int], most: int, times: int) -> list[slice]:
    """Of rows and columns of a measurement at most so many, in pixels that are so many times finer."""
    kept = [((n - min(n, most)) // 2, min(n, most)) for n in shape]
    return [slice(start * times, (start + n) * times) for start, n in kept]


def _volume(file: Path) -> Volume:
    """A scan with slices last and voxels of 1 mm, as what has no geometry of its own counts."""
    if file.suffix == EXTENSION:
        values = read_npz(file)[KEY]
    else:
        scan = read_volume(file)
        values = np.moveaxis(scan.values(), scan.slice_axis, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii"
        nibabel.Nifti1Image(np.moveaxis(values, 0, 2), np.eye(4), dtype=values.dtype).to_filename(path)
        return read_volume(path)


def scores(prior: Prior, slices: Slices, scale: int) -> Numbers:
    """Every number of a prior: dial 0, the mean of the draws, and what the draws say of their error."""
    restored = restoration(prior, slices.measurement, scale, SAMPLES)
    draws = [draw.samples for draw in restored.samples]
    numbers = draw_sums(draws, slices.truth, SEED, slices.mask).numbers()
    return numbers | {
        "psnr_dial0": slices.psnr(restored.image.samples),
        "psnr": slices.psnr(np.mean(draws, axis=0)),
        "spread": abs(math.log(numbers["spread_skill"])),
        "coverage": abs(numbers["coverage_80"] - _NOMINAL),
    }


def baseline_scores(photo: Prior, slices: Slices, scale: int) -> Numbers:
    """PSNR of enlargements, and of the prior of photographs at dial 0, grey being the mean of its three channels."""
    levels = slices.measurement.levels
    enlarged = {name: levels.applied(image) for name, image in baselines(slices.measurement, scale).items()}
    restored = restoration(photo, slices.measurement, scale, None).image.samples
    return {name: slices.psnr(image) for name, image in {**enlarged, "photo": restored}.items()}


def restoration(prior: Prior, y: Volume, scale: int, samples: int | None) -> ScanRestoration:
    """A measurement at dial 0, with draws where they are asked for."""
    restorer = PriorRestorer(prior, settled(Settings(scale=scale, dial="0", samples=samples, seed=SEED)))
    return prepare_slices(restorer, y).restore(lambda what, done, of: None)
