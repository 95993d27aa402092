"""A certificate: what was calibrated, on what, and the losses from which every threshold follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.trust.conformal import Calibration
from veriscale.trust.drift import p_value
from veriscale.trust.facts import Count, Facts, PriorFacts, ToolFacts
from veriscale.trust.losses.loss import Loss
from veriscale.trust.losses.registry import make_loss
from veriscale.trust.modes import Guarantee
from veriscale.trust.risk_level import exact
from veriscale.trust.staircase import RESOLUTION, Staircase

PROTOCOL = 1  # raised when the same settings would give other records
QUANTILES = 101

# What would do where a fact is not the certified one, and cannot be left to the certificate.
_REMEDIES = {
    "command": "write it to the letter as it was calibrated",
    "tool": "put back the program, and the files that its command names, as they were",
    "card": "take the prior with the card that it had",
    "operator_files": "give the operator the files that it had",
    "guides": "give the guides that it was calibrated with",
}


class Unit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one promise is about.

    Attributes:
        kind: "picture"; "folder": all pictures of one folder together; or "patient": all scans of one together.
        width, height: of the result in pixels; None where every size is a unit: of scans, and where the loss is a mean
            over tiles.
        colour: "RGB" or "grey".
        bits: of the measurement and of the delivered picture; 32 of floating point.
        scans: of a patient, how intensities become [0, 1] and which pixels count; unset of photographs.
        grouped: of a patient, true where the sub-folder alone says whose a scan is; unset else.
    """

    kind: Literal["picture", "folder", "patient"]
    width: Count | None
    height: Count | None
    colour: Literal["RGB", "grey"]
    bits: Count
    scans: str | UnsetType = UNSET
    grouped: bool | UnsetType = UNSET

    @property
    def words(self) -> tuple[str, str]:
        """What a sentence calls one, and several."""
        if self.kind == "folder":
            return "folder of pictures", "folders of pictures"
        return self.kind, f"{self.kind}s"


class Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must be the same in use as in calibration, or the promise is void.

    Attributes:
        restoration: how a result and its score are made.
        unit: what one promise is about.
        score: its string.
        loss, tau, tile: of `losses.registry.make_loss`.
        discrepancy: its string.
        bound: B, of the loss.
        mode, leaked, delta, declared: of `modes.Guarantee`; declared alphas as they were written.
        n: calibration units.
        protocol: by which they were measured.
    """

    restoration: Facts
    unit: Unit
    score: str
    loss: str
    tau: float | None
    tile: int | None
    discrepancy: str
    bound: float
    mode: str
    n: int
    leaked: int
    delta: float | None
    declared: list[str]
    protocol: int


class Information(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a certificate tells beside what it binds.

    Attributes:
        versions, machine, date: of the calibration.
        files: hashes of each unit's pictures.
        trained_on: how many of them the prior has seen; None where nobody knows.
        left_out, failed: why, by the name of the picture or unit.
        timeout: seconds that a tool had for a run.
        alpha: the level that was meant when it was made; unset where none was said.
    """

    versions: dict[str, str]
    machine: str
    date: str
    files: dict[str, list[str]]
    trained_on: int | None
    left_out: dict[str, str]
    failed: dict[str, str]
    timeout: Annotated[float, msgspec.Meta(gt=0)] | None
    alpha: str | UnsetType = UNSET


@dataclass(frozen=True, eq=False)
class Certificate:
    """A calibration with everything it speaks of.

    Attributes:
        binding: what must be the same in use.
        information: what need not be: the fields of `Information`.
        staircases: one per unit.
        statistics: (n, K) of a measurement of each unit, for the drift check.
        quantiles: (n, Q) of each unit's scores, from the lowest to the highest, for shares of pixels below a threshold.
        sha256: of the content. It shows an accident, not a forgery: it is no signature.
    """

    binding: Binding
    information: dict[str, Any]
    staircases: tuple[Staircase, ...]
    statistics: NDArray[np.float64]
    quantiles: NDArray[np.float32]
    sha256: str = ""

    @cached_property
    def calibration(self) -> Calibration:
        """The merged staircases."""
        return Calibration(self.staircases, self.binding.bound)

    @cached_property
    def guarantee(self) -> Guarantee:
        """What is promised of the next unit."""
        b = self.binding
        declared = [exact(a) for a in b.declared]
        return Guarantee(b.mode, b.n, b.bound, self.loss.binary, b.leaked, b.delta, declared)

    @property
    def loss(self) -> Loss:
        """The loss, ready to be measured on other units."""
        return make_loss(self.binding.loss, self.binding.tau, self.binding.tile)

    @property
    def of_scans(self) -> bool:
        """Whether it is of scans; of photographs else."""
        return self.binding.unit.scans is not UNSET

    @property
    def dial(self) -> float | None:
        """Of the certified picture; None for a tool, which has none."""
        facts = self.binding.restoration
        return facts.dial if isinstance(facts, PriorFacts) else None

    @property
    def command(self) -> str | None:
        """Of the certified tool; None for a prior."""
        facts = self.binding.restoration
        return facts.command if isinstance(facts, ToolFacts) else None

    @property
    def meant(self) -> str | None:
        """The level that it was made for, where one was said."""
        found = self.information.get("alpha")
        return None if found is None else str(found)

    @property
    def usual_alpha(self) -> str:
        """The level that is taken where none is given: what was meant, else the loss's usual one."""
        return self.meant or self.loss.usual_alpha

    def threshold(self, alpha: float | str) -> float:
        """t̂: what scores below it is trusted. −∞ (nothing) where alpha is too small for n: see `infeasible`.

        Raises:
            InputError: alpha is no positive number, or was not declared where it had to be.
        """
        return self.calibration.threshold(self.guarantee.allowance(exact(alpha)))

    def thresholds(self, alphas: Sequence[float | str]) -> NDArray[np.float64]:
        """`threshold` of many levels."""
        return self.calibration.thresholds([self.guarantee.allowance(exact(a)) for a in alphas])

    def infeasible(self, alpha: float | str) -> str | None:
        """A sentence that says why nothing can be trusted at this level and what would do, or None."""
        return self.guarantee.infeasible(exact(alpha), "patients" if self.of_scans else "units")

    def shares(self, threshold: float) -> NDArray[np.float64]:
        """(n,) share of each calibration unit's pixels that would be trusted, to about a hundredth."""
        levels = np.linspace(0, 1, self.quantiles.shape[1])
        return np.array([_share_below(row, levels, threshold) for row in self.quantiles])

    def nonempty(self, threshold: float) -> tuple[float, float]:
        """The share of calibration units whose mask is empty, and the mean loss of the others (0 if there are none)."""
        empty = self.quantiles[:, 0] >= threshold
        losses = np.array([s.at(threshold) for s in self.staircases]) * self.binding.bound / RESOLUTION
        return float(empty.mean()), float(losses[~empty].mean()) if (~empty).any() else 0.0

    def drift(self, statistics: NDArray[np.float64]) -> float:
        """The conformal p-value of a measurement's statistics: small where it is unlike those of the calibration."""
        return p_value(self.statistics, statistics)

    def check(self, restoration: Facts) -> None:
        """Raise `InputError` where a restoration is made otherwise than the certified ones; the sentence names what."""
        certified, asked = self.binding.restoration.given(), restoration.given()
        for key in [*certified, *asked]:
            if asked.get(key) != certified.get(key):
                held, this = _told_apart(certified.get(key), asked.get(key))
                remedy = _REMEDIES.get(key, "leave it to the certificate")
                raise InputError(
                    f"The certificate is for {key} {held}, and this is {this}: {remedy}, or calibrate for it."
                )

    def check_unit(self, width: int, height: int, channels: int, bits: int) -> None:
        """Raise `InputError` where a picture of (height, width) pixels is not the certified unit."""
        unit = self.binding.unit
        colour = "RGB" if channels == 3 else "grey"
        if colour != unit.colour:
            raise InputError(f"The certificate is for {unit.colour} pictures and this one is {colour}.")
        if bits != unit.bits:
            raise InputError(
                f"The certificate is for measurements of {unit.bits} bits and this one has {bits}; convert it first."
            )
        if unit.width is None or unit.height is None or (width, height) == (unit.width, unit.height):
            return
        facts = self.binding.restoration
        scale = facts.scale or (None if "downsample" in facts.operator else 1)
        what = f"The certificate is for results of {unit.width}×{unit.height} and this one would be {width}×{height}"
        if width >= unit.width and height >= unit.height:
            part = ""
            if scale is not None:
                middle = (width - unit.width) // 2, (height - unit.height) // 2, unit.width, unit.height
                part = " " + ",".join(str(n // scale) for n in middle)
            raise InputError(
                f"{what}; restore a part with `--crop`{part}, or calibrate with `--loss` tile-mean, whose "
                "promise is for pictures of any size."
            )
        raise InputError(f"{what}; calibrate for that size with `--unit` {width}x{height}.")


def score_quantiles(scores: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Of all pixels of a unit's pictures: the lowest score, 99 between, the highest; none is made up between two."""
    whole = np.sort(np.concatenate([s.ravel() for s in scores]))
    return whole[np.linspace(0, whole.size - 1, QUANTILES).astype(np.int64)]


def _share_below(quantiles: NDArray[np.float32], levels: NDArray[np.float64], threshold: float) -> float:
    k = int(np.searchsorted(quantiles, np.float32(threshold)))  # the first that is not below
    if k in (0, len(quantiles)):
        return float(k > 0)
    low, high = float(quantiles[k - 1]), float(quantiles[k])
    inside = (threshold - low) / (high - low) if np.isfinite(high) else 0.0
    return float(levels[k - 1] + (levels[k] - levels[k - 1]) * inside)


def _told_apart(one: Any, other: Any) -> tuple[str, str]:
    if isinstance(one, list) and isinstance(other, list):  # guides: the hash of their file, and names
        alike = one[:1] == other[:1]
        held, this = (
            ", ".join(guides[1:] if alike else [*guides[1:], f"by {guides[0][:12]}…"]) if guides else "none"
            for guides in (one, other)
        )
        return held, this
    return _apart(_text(one), _text(other))


def _text(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _apart(one: str, other: str) -> tuple[str, str]:
    """Two texts, whole where they are short, else as far as it takes to tell them apart."""
    alike = next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return _part(one, alike), _part(other, alike)


def _part(text: str, alike: int) -> str:
    if len(text) < 60:
        return text
    if alike < 12:  # hashes
        return f"{text[:12]}…"
    return f"…{text[alike - 12 : alike + 28]}{'…' if len(text) > alike + 28 else ''}"
