"""Scans through the plane: thin slices from thick ones, by the denoiser of pictures in both directions across them."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import Prior
from veriscale.diffusion.samplers import check_variance
from veriscale.errors import InputError
from veriscale.imaging.geometry import Grid, spacing_of
from veriscale.imaging.moments import moments
from veriscale.imaging.normalisation import Levels
from veriscale.imaging.volume import Volume
from veriscale.physics.measurement_noise import GaussianNoise, Noise, parse_noise
from veriscale.physics.slice_profile import SliceProfile
from veriscale.runtime.networks import TILE
from veriscale.runtime.pace import denoiser_pace
from veriscale.runtime.two_way import pictures_of
from veriscale.settings import Settings, positions
from veriscale.traversal.method import Tell, Work
from veriscale.traversal.thick_slices import LENGTH
from veriscale.traversal.walk import Walk, walk
from veriscale.traversal.zero_shot import ZeroShot
from veriscale.workflows.restoring.measured_picture import as_tensor
from veriscale.workflows.restoring.method_choice import by_denoiser, check_values
from veriscale.workflows.scans.cost import Cost
from veriscale.workflows.scans.guide_scans import Guide, guided
from veriscale.workflows.scans.in_plane import spaced, stored_spacing
from veriscale.workflows.scans.kept_state import KeptState
from veriscale.workflows.scans.scan_restoration import ScanRestoration


@dataclass(frozen=True, eq=False)
class PreparedThrough:
    """One scan of thick slices, checked and ready.

    Attributes:
        prior: on its device.
        settings: settled.
        volume: the measurement.
        grid: of the results.
        method: how they are made.
        dials: positions of the results.
        tile: side of a network's tile in voxels.
    """

    prior: Prior
    settings: Settings
    volume: Volume
    grid: Grid
    method: ZeroShot
    dials: Sequence[float]
    tile: int = TILE

    @property
    def samples(self) -> int:
        """Draws among the results."""
        return self.settings.samples or 0

    @property
    def _operator(self) -> str:
        """As `--operator` says it: along an axis as stored, and without what float32 makes of 4.8."""
        operator = self.method.operator
        assert isinstance(operator, SliceProfile)  # `prepare_through` has made it
        return str(replace(operator, axis=self.volume.origin.slice_axis, step=round(operator.step, 6)))

    @property
    def full_draws(self) -> int:
        """Runs of the sampler."""
        inner = any(0 < f < 1 for f in self.dials)
        return max(self.samples, 1 if 1 in self.dials else 0, self.method.pilots[0] if inner else 0)

    @property
    def evaluations(self) -> int:
        """Of the denoiser in all, each of the whole volume in both directions."""
        return self.method.first_evaluations + self.full_draws * self.method.evaluations

    def lines(self) -> list[str]:
        """What will be done, in words, and nothing that tells whose scan it is."""
        v, o, method = self.volume, self.volume.origin.orientation, self.method
        line = (
            f"{_size(o.values_outside(v.shape))} voxels of {spaced(v)} mm to "
            f"{_size(o.values_outside(self.grid.shape))} of {spaced(v, self.grid)}, {self._operator}, "
            f"prior {self.prior.card.name} used {method.how} in both directions across the slices, "
            f"noise {method.noise}, dial {', '.join(f'{f:g}' for f in self.dials)}."
        )
        return [line, *(f"{note}." for note in (*self.prior.notes, *method.operator.notes))]

    def cost(self) -> Cost:
        """What it takes, by one small evaluation; a correction of the anchor counts as nothing beside it."""
        voxels, first = math.prod(self.grid.shape), self.method.first_evaluations
        if not self.method.corrected:
            before = pace = self._pace(self.prior)
        else:
            estimate = torch.zeros(1, self.prior.card.network.channels, *self.grid.shape)
            before, pace = self._pace(self.prior.plain), self._pace(self.prior.about(estimate))
        return Cost(
            f"{self.evaluations - first} evaluations of the denoiser after {first} for the anchor, each of "
            f"{2 * voxels / 1e6:.1f} megapixels; about {self.memory / 1e6:.0f} MB of volumes beside the networks",
            self.memory,
            (first * before + (self.evaluations - first) * pace) * voxels,
        )

    def _pace(self, prior: Prior) -> float:
        """Seconds a voxel of an evaluation in both directions."""
        axis = self.volume.slice_axis
        across = [
            (prior.rearranged(partial(pictures_of, axis=2 + k, part=slice(1))), (n, self.grid.shape[axis]))
            for k, n in enumerate(self.grid.shape)
            if k != axis
        ]
        return sum(denoiser_pace(each, shape, anew=True) for each, shape in across)

    @property
    def memory(self) -> int:
        """Bytes of volumes, beside the networks."""
        pictures, channels = 2 + self.full_draws + len(self.dials), self.prior.card.network.channels
        if self.method.corrected:  # what has been corrected, which draws are told of
            pictures += 1
        return self.method.memory(math.prod(self.grid.shape), channels, pictures, False) + self.prior.memory

    @property
    def disk(self) -> int:
        """Bytes of the anchor's state in files until the results are written: its three volumes."""
        return 3 * 4 * math.prod(self.grid.shape) * self.prior.card.network.channels

    def facts(self) -> dict[str, Any]:
        """What is done, for run.json and for a run that goes on."""
        method = self.method
        return {
            "prior": self.prior.facts,
            "mode": method.name,
            "operator": self._operator,
            "noise": str(method.noise),
            "anchor": method.anchor,
            **({"corrected": "by guides"} if method.corrected else {}),
            "posterior": method.posterior,
            "correlation_mm": LENGTH,
            "dial": list(self.dials),
            "path": "interpolate",
            "samples": self.samples,
            "sampler": method.sampler,
            "steps": method.steps,
            "evaluations": self.evaluations,
            "seed": self.settings.seed or 0,
            "device": str(self.prior.device),
            "dtype": str(self.prior.dtype).removeprefix("torch."),
            "spacing": [round(s, 6) for s in stored_spacing(self.volume)],
        }

    def restore(self, tell: Tell, kept: KeptState | None = None) -> ScanRestoration:
        """The anchor, then draws.

        Args:
            tell: told after every evaluation.
            kept: where the anchor's state and finished draws lie; nowhere by default.
        """
        begun, channels = time.perf_counter(), self.prior.card.network.channels
        field = NoiseField(self.settings.seed or 0, self.volume.content())
        y = as_tensor(self.volume, channels)
        if kept is not None:
            kept.arrays({})
        problem = self.method.begin(
            y, channels, lambda: field, Work(False, self.evaluations, self.tile, tell=tell, kept=kept)
        )
        pictures, draws = {0.0: problem.anchor}, list[torch.Tensor]()
        if self.full_draws:
            wanted = Walk(self.dials, "interpolate", self.full_draws, self.method.sigma_max, one_by_one=True)
            pictures, draws = walk(problem, wanted, field)
        samples = [self._volume(x) for x in draws[: self.samples]]
        mean = std = None
        if samples:
            count, middle, squares = moments([s.samples for s in samples])
            mean = replace(samples[0], samples=middle.astype("float32"))
            spread = (squares / (count - 1)) ** 0.5
            std = replace(samples[0], samples=spread.astype("float32"), levels=Levels(0.0, self.volume.levels.width))
        return ScanRestoration(
            images={f: self._volume(pictures[f]) for f in self.dials},
            measurement=self.volume,
            samples=samples,
            mean=mean,
            std=std,
            run={
                **self.facts(),
                "fell_back": problem.fell_back,
                "seconds": {"volume": round(time.perf_counter() - begun, 3)},
            },
        )

    def _volume(self, x: torch.Tensor) -> Volume:
        return self.volume.like(x[0].numpy(), self.grid.affine)


def prepare_through(
    prior: Prior,
    settings: Settings,
    volume: Volume,
    grid: Grid,
    thickness: float,
    noise: Noise | None = None,
    tile: int = TILE,
    guides: Sequence[Guide] = (),
) -> PreparedThrough:
    """Check a scan of thick slices and what is asked of it.

    Args:
        prior: on its device.
        settings: settled.
        volume: the measurement.
        grid: of the results: finer along the scan's slice axis alone.
        thickness: full width at half maximum of the slices' profile, in millimetres.
        noise: of the measurement; that of the settings by default, else none.
        tile: side of a network's tile in voxels; bounds memory, does not change the volume.
        guides: of the scan.

    Raises:
        InputError: what is asked does not go with volumes, or as `make_plan`, or a guide lies nowhere on the result.
    """
    v, axis = settings, volume.slice_axis
    check_values(v)
    if v.posterior not in (None, "proximal") or v.anchor not in (None, "fast"):
        raise InputError(
            "Through the plane the anchor is fast and the posterior proximal; leave out `--anchor` and `--posterior`."
        )
    if v.path not in (None, "interpolate"):
        raise InputError("Through the plane the dial's path is interpolate; leave out `--path`.")
    for name in ("preset", "consistent", "ensemble"):
        if getattr(v, name):
            raise InputError(f"`--{name}` is not for what is restored through the plane; leave it out.")
    if noise is None and v.noise == "auto":
        raise InputError("Through the plane noise is not estimated; say `--noise` as a number.")
    stated = parse_noise(v.noise) if noise is None and v.noise is not None else noise or GaussianNoise(0.0)
    fine = float(spacing_of(grid.affine)[axis])
    operator = SliceProfile(thickness, volume.spacing[axis], axis, fine, centred=True)
    shape = (1, *volume.shape)
    if operator.truth_shape(shape)[1:] != grid.shape:
        raise InputError(f"The grid {grid.shape} is not finer along the slices alone.")
    prior = guided(prior, guides, grid)
    method = by_denoiser(prior, operator, stated, shape, v, volume.rounding)
    prepared = PreparedThrough(prior, v, volume, grid, method, tuple(sorted(positions(v.dial or "0"))), tile)
    if prepared.full_draws:
        check_variance(method.sampler, prior.mode(0), prior.card.name)
    return prepared


def _size(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
