"""Factors that the prior's encoder does not know, by way of those that it knows: enlarged, again, and resampled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.resize import resize
from veriscale.physics.downsample import Downsample
from veriscale.settings import Settings, positions
from veriscale.traversal.method import Tell
from veriscale.trust.certificate import Certificate
from veriscale.trust.facts import Facts
from veriscale.workflows.degrading.measurement import contradiction
from veriscale.workflows.restoring.restoration import Restoration
from veriscale.workflows.restoring.restorer import Prepared

Step = Callable[[Photo, int, bool], Prepared]
"""(picture, scale, whether it is the measurement itself) -> the picture, prepared at a scale that the encoder knows."""

_OF_ONE_STEP = ("sigma0", "samples", "anchor", "posterior", "preset", "consistent", "certificate")


def scales_to(scale: float, known: Sequence[int]) -> tuple[int, ...]:
    """The scale that is reached with the least surplus, or the two whose product is: the larger first.

    Args:
        scale: wanted.
        known: to the encoder.

    Raises:
        InputError: it is not above 1, or beyond the product of the two largest.
    """
    ways = [(s,) for s in known] + list(combinations_with_replacement(sorted(known, reverse=True), 2))
    enough = [way for way in ways if np.prod(way) >= scale]
    if scale <= 1 or not enough:
        raise InputError(f"Scale ×{scale:g} cannot be had; give a number above 1 and up to {max(known) ** 2}.")
    return min(enough, key=lambda way: (np.prod(way), len(way)))


@dataclass(frozen=True, eq=False)
class Chain:
    """One picture on its way through several scales, at dial 0: a `Prepared`.

    Attributes:
        photo: the measurement.
        path: its file, where it has one.
        settings: as asked.
        scale: wanted.
        scales: of the steps.
        step: prepares one.
    """

    photo: Photo
    path: Path | None
    settings: Settings
    scale: float
    scales: tuple[int, ...]
    step: Step

    dials: Sequence[float] = (0.0,)
    samples: int = 0

    @property
    def suffix(self) -> str:
        """What its results' names end in."""
        return f"x{self.scale:g}"

    @property
    def facts(self) -> Facts:
        """None: nothing of it can be certified."""
        raise InputError(f"Scale ×{self.scale:g} is reached in several steps, which no certificate can be about.")

    @property
    def made_of(self) -> dict[str, Any]:
        """What of its run.json is known before the work: of the first step, but for the cards of all."""
        steps = [step.made_of for step in self.steps]
        prior = {**steps[0]["prior"], "card": " + ".join(made["prior"]["card"] for made in steps)}
        return {**steps[0], "prior": prior, "operator": str(self.operator)}

    @property
    def operator(self) -> Downsample:
        """What would have made the measurement."""
        return Downsample(self.scale)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the result."""
        height, width = self.operator.truth_shape((self.photo.height, self.photo.width))
        return height, width

    @property
    def how(self) -> str:
        """The steps, in words."""
        steps = [f"×{self.scales[0]}", *(f"×{s} on the result" for s in self.scales[1:])]
        return ", then ".join(steps if np.prod(self.scales) == self.scale else [*steps, "bicubic down to the size"])

    def lines(self) -> list[str]:
        """What will be done, in words."""
        name, first = "The picture" if self.path is None else self.path.name, self.scales[0]
        begun, *notes = self.steps[0].lines()
        why = f"no measurement tells what lies below ×{first}'s pixels" if len(self.scales) > 1 else ""
        other = contradiction(self.path, self.operator)
        why = why or f"what is known of the prior's errors is known at ×{first}"
        return [
            f"{name}: {self.photo.width}×{self.photo.height} to {self.shape[1]}×{self.shape[0]}, ×{self.scale:g}: "
            f"{self.how}; {why}, so no spread, mask or certificate.",
            f"  First: {begun}",
            *notes,
            *([] if other is None else [f"  {other}."]),
        ]

    def costs(self) -> list[str]:
        """What its largest step takes, in words."""
        return self.steps[-1].costs()

    def arguments(self, results: Path) -> dict[str, Any]:
        """The settings with what was found out beyond them."""
        found = self.steps[0].arguments(results)
        return {**found, "scale": self.scale, "crop": self.settings.crop}

    def verdicts(self, result: Restoration) -> list[str]:
        """What is to be said of the result."""
        return [f"{result.verdict.sentence()}."] if result.verdict.alarm else []

    def restore(self, tell: Tell = lambda phase, done, of: None) -> Restoration:
        """All steps; the agreement with the measurement is that of the first."""
        x, made = self._bare, list[Restoration]()
        for scale in self.scales:
            made.append(self.step(x, scale, not made).restore(tell))
            x = replace(made[-1].image, bit_depth=8)
        pixels = x.pixels if (x.height, x.width) == self.shape else resize(x.pixels, *self.shape)
        first = made[0]
        return replace(
            first,
            images={0.0: self.photo.like(pixels.transpose(2, 0, 1), self.shape)},
            measurement=self.photo,
            operator=self.operator,
            run={
                **first.run,
                **self.made_of,
                "arguments": self.arguments(Path()),
                "chain": self.how,
                "seconds": {k: round(sum(m.run["seconds"][k] for m in made), 3) for k in first.run["seconds"]},
            },
        )

    @property
    def _bare(self) -> Photo:
        """The measurement without its transparency, which the result gets from it at once."""
        photo = self.photo
        return Photo(photo.planes().transpose(1, 2, 0), bit_depth=photo.bit_depth, lossy=photo.lossy)

    @cached_property
    def steps(self) -> list[Prepared]:
        """All, prepared; the later ones for a picture of which no more than the size is known yet."""
        x, steps = self._bare, list[Prepared]()
        for scale in self.scales:
            steps.append(self.step(x, scale, not steps))
            x = Photo(np.broadcast_to(np.float32(0), (x.height * scale, x.width * scale, x.channels)))
        return steps


def make_chain(
    photo: Photo,
    path: Path | None,
    settings: Settings,
    certificate: Certificate | None,
    known: Sequence[int],
    step: Step,
) -> Chain:
    """Check settings for a scale that the encoder does not know.

    Raises:
        InputError: it cannot be reached, or something is asked for that is measured for single steps only.
    """
    v, scale = settings, settings.scale or 0.0
    asked = [name for name in _OF_ONE_STEP if getattr(v, name)]
    asked += [] if positions(v.dial or "0") == (0,) else ["dial"]
    asked += [] if certificate is None else ["certificate"]
    chain = Chain(photo, path, settings, scale, scales_to(scale, known), step)
    if asked:
        scales = ", ".join(f"×{s}" for s in sorted(known))
        raise InputError(
            f"`--{asked[0]}` is for what the prior's encoder knows, {scales}, and ×{scale:g} is {chain.how}; leave it "
            "out, or choose such a scale."
        )
    _ = chain.steps  # what is wrong with one is said before any work
    return chain
