"""What guides are judged on: slices of a subject's target, measured, with the other contrasts, sound and spoilt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from guide_shift import GUIDES, TARGET
from guides_spoiling import Region, region_in, spoilt
from scan_inplane import AXIAL, measurement
from scans import CONTRASTS, scan
from veriscale.imaging.volume import Volume
from veriscale.metrics.foreground import foreground_on
from veriscale.metrics.scan_distortion import data_range
from veriscale.stages.batches import key
from veriscale.workflows.scans.guide_scans import Guide

SCALE = 4
EVERY, DRAWN = 2, 5
"""Of so many neighbouring slices one is looked at: at dial 0, and with draws."""
APART = 15
"""Slices to the wrong one."""
_MULTIPLE = 8  # of the sides: of the factor, and of the denoisers' strides


@dataclass(frozen=True)
class Condition:
    """Which guides are given, and what is wrong with them.

    Attributes:
        given: names of those that are there.
        kind: how one is spoilt, in a region of each slice: another guide and another region in each; None: not at all.
        whole: the whole slice is spoilt, and no region.
        every: all guides that are given are spoilt, and not one.
    """

    given: tuple[str, ...]
    kind: str | None = None
    whole: bool = False
    every: bool = False

    @property
    def name(self) -> str:
        """In files of scores."""
        how = () if self.kind is None else (self.kind, "whole" * self.whole, "every" * self.every)
        return " ".join(("+".join(self.given) or "none", *filter(None, how)))


NONE = Condition(())


def guides_of(target: str) -> tuple[str, ...]:
    """The other contrasts."""
    return GUIDES if target == TARGET else tuple(name for name in CONTRASTS if name != target)


@dataclass(frozen=True, eq=False)
class Case:
    """Some axial slices of one subject.

    Attributes:
        subject: by name.
        places: of the slices in the volume.
        truth: (X, Y, N), in the levels of the measurement.
        measurement: (X / scale, Y / scale, N), with levels of its own.
        guides: by contrast, (X, Y, N), each with levels of its own.
        wrong: the same of slices `APART`.
        mask: (X, Y, N) bool, the foreground of the measurement.
        scale: factor of the measurement.
    """

    subject: str
    places: list[int]
    truth: Volume
    measurement: Volume
    guides: dict[str, Volume]
    wrong: dict[str, Volume]
    mask: np.ndarray
    scale: int

    @cached_property
    def width(self) -> float:
        """The data range of PSNR."""
        return data_range(self.truth.samples, self.mask)

    def y(self, i: int) -> Tensor:
        """(1, 1, h, w), the i-th measurement."""
        return _picture(self.measurement, i)[None, None]

    def x(self, i: int) -> Tensor:
        """(1, 1, H, W), its truth."""
        return _picture(self.truth, i)[None, None]

    def region(self, i: int) -> Region:
        """Where the i-th slice is spoilt."""
        return region_in(self.mask[..., i], key("guides", self.subject, self.places[i]))

    def inside(self, i: int) -> np.ndarray:
        """The same as (X, Y) bool."""
        found = np.zeros(self.mask.shape[:2], bool)
        found[self.region(i)] = True
        return found

    def spoilt_guide(self, i: int, condition: Condition) -> str:
        """Which guide of the i-th slice is spoilt where one is."""
        return condition.given[i % len(condition.given)]

    def pictures(self, i: int, condition: Condition) -> dict[str, Tensor]:
        """By contrast (1, H, W), the guides of the i-th slice."""
        found = {}
        for name in condition.given:
            picture = _picture(self.guides[name], i).clamp(0, 1)
            if condition.kind is not None and (condition.every or name == self.spoilt_guide(i, condition)):
                seed = key("guides", self.subject, self.places[i], condition.kind, name)
                region = None if condition.whole else self.region(i)
                other, g = _picture(self.wrong[name], i).clamp(0, 1), torch.Generator().manual_seed(seed)
                picture = spoilt(condition.kind, picture, other, region, g)
            found[name] = picture[None]
        return found

    def volumes(self, condition: Condition) -> list[Guide]:
        """The same of all slices, as a restoration takes them."""
        slices = [self.pictures(i, condition) for i in range(len(self.places))]
        return [
            Guide(name, replace(self.guides[name], samples=np.stack([s[name][0].numpy() for s in slices], AXIAL)), "")
            for name in condition.given
        ]


def case(subject: str, every: int = EVERY, target: str = TARGET, scale: int = SCALE) -> Case:
    """Measure a subject's target, and take every so many axial slices in which there is something."""
    whole = scan(subject, target)
    x, y, depth = whole.shape
    cut = slice(x // _MULTIPLE * _MULTIPLE), slice(y // _MULTIPLE * _MULTIPLE)
    truth = _slices(whole, cut, range(depth))
    small = measurement(truth, scale)
    mask = foreground_on(truth.grid, small)
    places = [k for k in range(0, depth, every) if mask[..., k].any()]
    wrong = [max(0, min(k + APART if k < depth / 2 else k - APART, depth - 1)) for k in places]
    others = {name: scan(subject, name) for name in guides_of(target)}
    return Case(
        subject,
        places,
        _slices(replace(truth, samples=small.levels.applied(truth.values()), levels=small.levels), (), places),
        _slices(small, (), places),
        {name: _slices(volume, cut, places) for name, volume in others.items()},
        {name: _slices(volume, cut, wrong) for name, volume in others.items()},
        mask[..., places],
        scale,
    )


def _slices(volume: Volume, cut: tuple[slice, ...], places: Sequence[int]) -> Volume:
    return replace(volume, samples=np.ascontiguousarray(volume.samples[cut][..., list(places)]))


def _picture(volume: Volume, i: int) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(volume.samples[..., i]))
