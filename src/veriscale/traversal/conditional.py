"""Restoring a measurement that the prior's encoder knows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from veriscale.diffusion.encoder import Condition
from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import TrainedPrior
from veriscale.diffusion.samplers import evaluations
from veriscale.runtime.networks import ConditionalDenoiser, encode, padding, predict_error, predict_square
from veriscale.traversal.calm import calmed, find_calm
from veriscale.traversal.dial import Dial, find_table
from veriscale.traversal.evaluations import Evaluations
from veriscale.traversal.method import Work
from veriscale.traversal.renoise import SAMPLER, STEPS, renoise

TURNS = 8  # flips and rotations of a picture


@dataclass(frozen=True)
class Conditional:
    """Both stages by one pass of the encoder and the conditional denoiser: a `Method`.

    Attributes:
        prior: on its device.
        scale: of the measurement, one the prior knows.
        noise_std: of the measurement.
        sampler, steps: of the second stage.
        anchor: "mean", or "ensemble": the mean over the eight flips and rotations of the picture.
    """

    prior: TrainedPrior
    scale: int
    noise_std: float
    sampler: str = SAMPLER
    steps: int = STEPS
    anchor: str = "mean"

    name = "conditional"
    how = "conditionally"
    posterior = "conditional"
    path = "interpolate"  # docs/results/photo_dial.json
    first_evaluations = 0
    pilots = 0, 0
    gradient = False
    told: ClassVar[dict[str, Any]] = {}

    @property
    def sigma_max(self) -> float:
        """The noise level at which a full draw starts."""
        return self.prior.mode(self.scale).sigma_max

    @property
    def evaluations(self) -> int:
        """Evaluations of the denoiser in one draw."""
        return evaluations(self.sampler, self.steps)

    @property
    def settings(self) -> dict[str, Any]:
        """None."""
        return {}

    def check_dial(self) -> None:
        """Raise `InputError` where the prior's card has no table."""
        find_table(self.prior.card, self.scale, self.noise_std, self.sampler, self.steps)

    def memory(self, pixels: int, channels: int, pictures: int, features: bool) -> int:
        """Bytes of canvases at the peak."""
        kept = self.prior.features + 5 * channels if features else 0
        return 4 * pixels * (channels * pictures + kept)

    def costs(self) -> tuple[str, str]:
        """Two phrases about the first stage and the memory."""
        return "eight of the encoder" if self.anchor == "ensemble" else "one of the encoder", ""

    def begin(self, y: Tensor, copies: int, noise: Callable[[], NoiseField], work: Work) -> "ConditionalProblem":
        """The encoder's pass; arguments as `Method.begin`."""
        rows, columns = padding(self.prior, y.shape[-2], y.shape[-1], self.scale)
        if rows or columns:
            sides = ((0, 0), (0, 0), (0, rows), (0, columns))
            y = torch.from_numpy(np.pad(y.numpy(), sides, mode="symmetric"))
        condition = self._encoded(self.prior, y, work.features, work)
        if self.anchor == "ensemble":
            mean = condition.mean.clone()
            height, width = mean.shape[-2:]
            whole = self.prior.within((slice(0, height), slice(0, width)))  # continued as y is, before it is turned
            for turn in range(1, TURNS):
                prior = whole.rearranged(partial(turned, turn=turn))
                mean += unturned(self._encoded(prior, turned(y, turn), False, work).mean, turn)
            condition = Condition(mean / TURNS, condition.features)
        return ConditionalProblem(self, condition, work)

    def _encoded(self, prior: TrainedPrior, y: Tensor, features: bool, work: Work) -> Condition:
        tell = partial(work.tell, "encode")
        return encode(prior, y, self.scale, self.noise_std, features=features, tile=work.tile, tell=tell)


def turned(x: Tensor, turn: int) -> Tensor:
    """One of the eight flips and rotations of (B, C, H, W), by its number; 0 is none."""
    axes = [axis for bit, axis in ((1, -1), (2, -2)) if turn & bit]
    x = x.flip(axes) if axes else x
    return (x.transpose(-1, -2) if turn & 4 else x).contiguous()


def unturned(x: Tensor, turn: int) -> Tensor:
    """Undoes `turned`."""
    axes = [axis for bit, axis in ((1, -1), (2, -2)) if turn & bit]
    x = x.transpose(-1, -2) if turn & 4 else x
    return x.flip(axes) if axes else x


class ConditionalProblem:
    """A measurement that the encoder has seen; its sides are continued to the denoiser's stride."""

    fell_back = False

    def __init__(self, method: Conditional, condition: Condition, work: Work) -> None:
        self.method, self.condition, self.work = method, condition, work
        self.anchor = condition.mean
        self.evaluations = Evaluations(work)

    def draw(self, fields: Sequence[tuple[NoiseField, int]], start: float) -> Tensor:
        """Draws from `start`, (B, C, H, W), one per field."""
        method = self.method
        mode = method.prior.mode(method.scale)
        denoiser = ConditionalDenoiser(method.prior, self.condition, method.scale, method.noise_std, self.work.tile)
        x = renoise(
            self.anchor,
            self.evaluations.counted(denoiser),
            start,
            sigma_min=mode.sigma_min,
            sampler=method.sampler,
            steps=method.steps,
            variance=lambda s: mode.variance_at(s, method.noise_std),
            fields=fields,
        )
        calm = find_calm(method.prior.card, method.scale, method.noise_std)
        return x if calm is None else calmed(self.anchor, x, self._square, calm)

    @cached_property
    def _square(self) -> Tensor:
        return predict_square(self.method.prior, self.condition, self.method.scale, self.work.tile)

    def dial(self, full: Sequence[Tensor], partial: Callable[[float], Tensor] | None) -> Dial:
        """The table on the prior's card."""
        m = self.method
        return find_table(m.prior.card, m.scale, m.noise_std, m.sampler, m.steps)

    def predicted_error(self, threshold: Tensor) -> Tensor:
        """The logit of P(|x − anchor| > threshold | y), (1, H, W) for a threshold per pixel."""
        return predict_error(self.method.prior, self.condition, self.method.scale, threshold, self.work.tile)
