"""Scans in plane: each slice is restored as a picture, and the results lie where the scan lay."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from veriscale.diffusion.prior import Prior
from veriscale.imaging.geometry import Grid, finer, spacing_of
from veriscale.imaging.normalisation import Levels
from veriscale.imaging.photo import Photo
from veriscale.imaging.volume import Volume
from veriscale.physics.downsample import Downsample
from veriscale.runtime.pace import denoiser_pace, encoder_pace
from veriscale.traversal.conditional import TURNS, Conditional
from veriscale.traversal.method import Tell
from veriscale.workflows.degrading.measurement import read_operator
from veriscale.workflows.factory import own_operator
from veriscale.workflows.restoring.measured_picture import truth_shape
from veriscale.workflows.restoring.method_choice import known_scale
from veriscale.workflows.restoring.prior_restorer import PreparedByPrior, PriorRestorer
from veriscale.workflows.scans.cost import Cost
from veriscale.workflows.scans.guide_scans import Guide, guided
from veriscale.workflows.scans.kept_state import KeptState
from veriscale.workflows.scans.scan_restoration import ScanRestoration

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PreparedSlices:
    """One scan, checked and ready: every slice with the plan of the middle one.

    Attributes:
        restorer: of its slices; its operator is in voxels of a slice, and what its prior holds is of the whole volume.
        volume: the measurement.
        middle: the slice in the middle, prepared.
        grid: of the results.
    """

    restorer: PriorRestorer
    volume: Volume
    middle: PreparedByPrior
    grid: Grid

    @property
    def prior(self) -> Prior:
        """With what it holds of the whole volume."""
        return self.restorer.prior

    @property
    def dials(self) -> Sequence[float]:
        """Positions of the results."""
        return self.middle.dials

    @property
    def samples(self) -> int:
        """Draws among the results."""
        return self.middle.samples

    def lines(self) -> list[str]:
        """What will be done, in words, and nothing that tells whose scan it is."""
        plan, prior = self.middle.plan, self.restorer.prior
        count = self.volume.shape[self.volume.slice_axis]
        line = (
            f"{count} slices of {_size(self.middle.photo.pixels.shape)} to {_size(plan.shape)}, "
            f"{spaced(self.volume)} to {spaced(self.volume, self.grid)} mm, {plan.operator_string} in plane, "
            f"prior {prior.card.name} used {plan.method.how}, {plan.why}, noise {plan.noise_string}, "
            f"dial {', '.join(f'{f:g}' for f in plan.dials)}."
        )
        return [line, *(f"{note}." for note in (*prior.notes, *plan.operator.notes))]

    def cost(self) -> Cost:
        """What it takes, by one small evaluation."""
        plan, prior = self.middle.plan, self.middle.restorer.prior
        count = self.volume.shape[self.volume.slice_axis]
        method, draws = plan.method, plan.work.evaluations - plan.method.first_evaluations
        first, _ = method.costs()
        pace = 0.0
        if isinstance(method, Conditional):
            passes = TURNS if method.anchor == "ensemble" else 1
            pace += passes * encoder_pace(method.prior, plan.shape, method.scale, plan.work.features)
        evaluations = draws if isinstance(method, Conditional) else plan.work.evaluations
        if evaluations:
            pace += evaluations * denoiser_pace(prior, plan.shape)
        return Cost(
            f"of each of {count} slices {draws} evaluations of the denoiser after {first}; about "
            f"{self.memory / 1e6:.0f} MB of pictures beside {plan.tile_memory / 1e9:.1f} GB at most for the networks "
            f"and a tile, and {self.disk / 1e6:.0f} MB of results in files until they are written",
            self.memory + self.disk,
            pace * count * math.prod(plan.shape),
        )

    @property
    def memory(self) -> int:
        """Bytes of pictures, beside the networks and a tile."""
        prior = self.restorer.prior
        return self.middle.plan.memory(prior.card.network.channels) + prior.memory

    @property
    def disk(self) -> int:
        """Bytes of results in files until they are written."""
        return 4 * math.prod(self.grid.shape) * len(self._outputs)

    def restore(self, tell: Tell, kept: KeptState | None = None) -> ScanRestoration:
        """Slice by slice; slices that an earlier run has left are taken.

        Args:
            tell: told after every slice.
            kept: where finished slices lie; in memory by default.
        """
        begun, axis = time.perf_counter(), self.volume.slice_axis
        count = self.volume.shape[axis]
        parts: Iterable[int] = range(count)
        if kept is None:
            arrays = {name: np.zeros(self.grid.shape, np.float32) for name in self._outputs}
        else:
            arrays, parts = kept.arrays(dict.fromkeys(self._outputs, self.grid.shape)), kept.parts(count)
        # The mask is of the whole scan, and made in the end.
        slices = replace(self.middle, restorer=replace(self.restorer, certificate=None))
        for k in parts:
            prior = self.restorer.prior.rearranged(partial(slices_of, axis=axis, k=k))
            result = replace(slices.by(prior), photo=slice_of(self.volume, k)).restore()
            pictures = {f"dial-{f:g}": photo.pixels for f, photo in result.images.items()}
            pictures |= {f"draw-{i}": photo.pixels for i, photo in enumerate(result.samples)}
            if result.mean is not None and result.std is not None:
                pictures |= {"mean": result.mean.pixels, "std": result.std}
            for name, pixels in pictures.items():
                np.moveaxis(arrays[name], axis, 0)[k] = pixels[..., 0]
            if result.score is not None:
                np.moveaxis(arrays["score"], axis, 0)[k] = result.score
            tell("slice", k + 1, count)
        score = arrays.pop("score", None)
        results = {name: self.volume.like(values[None], self.grid.affine) for name, values in arrays.items()}
        if "std" in results:
            results["std"] = replace(results["std"], levels=Levels(0.0, self.volume.levels.width))
        restored = ScanRestoration(
            images={f: results[f"dial-{f:g}"] for f in self.middle.dials},
            measurement=self.volume,
            samples=[results[f"draw-{i}"] for i in range(self.samples)],
            mean=results.get("mean"),
            std=results.get("std"),
            run={**self.facts(), "seconds": {"slices": round(time.perf_counter() - begun, 3)}},
            score=score,
        )
        certificate = self.restorer.certificate
        return restored if certificate is None else restored.masked(certificate, self.restorer.settings.alpha)

    @property
    def _outputs(self) -> list[str]:
        spread = ["mean", "std"] if self.samples else []
        draws = [f"draw-{i}" for i in range(self.samples)]
        score = [] if self.middle.score is None else ["score"]
        return [*(f"dial-{f:g}" for f in self.dials), *draws, *spread, *score]

    def facts(self) -> dict[str, Any]:
        """What is done, for run.json and for a run that goes on."""
        plan, prior, held = self.middle.plan, self.restorer.prior, self.restorer.certificate
        return {
            "prior": prior.facts,
            **({} if held is None else {"certificate": {"sha256": held.sha256}}),
            **plan.facts(),
            **self.middle.tempered,
            "device": str(prior.device),
            "dtype": str(prior.dtype).removeprefix("torch."),
            "slices": self.volume.shape[self.volume.slice_axis],
            "spacing": [round(s, 6) for s in stored_spacing(self.volume)],
        }


def prepare_slices(
    restorer: PriorRestorer, volume: Volume, grid: Grid | None = None, guides: Sequence[Guide] = ()
) -> PreparedSlices:
    """Check a scan and what is asked of its slices: `--scale`, the prior's largest by default, or `--operator`.

    Args:
        restorer: by a prior.
        volume: the measurement.
        grid: of the result, finer in plane alone, in the place of all these.
        guides: of the scan.

    Raises:
        InputError: as `PriorRestorer.prepare`, or a guide lies nowhere on the result.
    """
    v, operator = restorer.settings, restorer.operator
    axis, k = volume.slice_axis, volume.shape[volume.slice_axis] // 2
    photo = slice_of(volume, k)
    if grid is not None:
        ratio = spacing_of(volume.affine) / spacing_of(grid.affine)
        rows, columns = (float(ratio[k]) for k in range(3) if k != volume.slice_axis)
        operator = Downsample((rows, columns), centred=True)
    elif operator is None and v.operator is None:
        operator = Downsample(v.scale or known_scale(restorer.prior, None))
    if grid is None:
        a = operator or read_operator(own_operator(v.operator or ""), restorer.folder)[0]
        grid = _finer(volume, truth_shape(a.bind(photo.affine), photo))
    prior = guided(restorer.prior, guides, grid)
    by_slices = replace(
        restorer,
        prior=prior.rearranged(partial(slices_of, axis=axis, k=k)),
        operator=operator,
        settings=replace(v, scale=None, spacing=None, thickness=None),
        rounding=volume.rounding,
        slices=True,
    )
    middle = by_slices.prepare(photo)
    if not isinstance(middle, PreparedByPrior):
        raise TypeError("a slice with an operator is one problem")
    return PreparedSlices(replace(by_slices, prior=prior), volume, middle, grid)


def _finer(volume: Volume, plane: Sequence[int]) -> Grid:
    """The grid of slices of another size over the same extent."""
    shape = list(plane)
    shape.insert(volume.slice_axis, volume.shape[volume.slice_axis])
    x, y, z = shape
    factors = [new / old for new, old in zip(shape, volume.shape, strict=True)]
    return Grid(finer(volume.affine, factors), (x, y, z))


def slice_of(volume: Volume, k: int) -> Photo:
    """One slice as a picture of floating point, whose rows and columns are the other two axes in their order."""
    pixels = np.moveaxis(volume.samples, volume.slice_axis, 0)[k]
    return Photo(np.ascontiguousarray(pixels[..., None]), bit_depth=32, format="npy")


def slices_of(t: Tensor, axis: int, k: int) -> Tensor:
    """(B, C, H, W), the k-th slices along an axis, 0 to 2, of (B, C, X, Y, Z)."""
    return t.select(2 + axis, k)


def stored_spacing(volume: Volume, grid: Grid | None = None) -> tuple[float, float, float]:
    """Millimetres along the axes as stored, in which `--spacing` is said.

    Args:
        volume: whose file's axes they are.
        grid: of a result of it; its own by default.
    """
    x, y, z = spacing_of((grid or volume.grid).affine).tolist()
    return volume.origin.orientation.values_outside((x, y, z))


def spaced(volume: Volume, grid: Grid | None = None) -> str:
    """The same in words."""
    return "×".join(f"{s:.3g}" for s in stored_spacing(volume, grid))


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]}×{shape[0]}"
