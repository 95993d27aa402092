"""The mask of one result under a certificate, and what it promises in plain words."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.imaging.photo import Photo
from veriscale.trust.certificate import Certificate
from veriscale.trust.measurement_statistics import statistics
from veriscale.trust.psnr_floor import psnr_floor
from veriscale.trust.risk_level import exact, percent

UNLIKE = 0.05  # a drift p-value below it is said aloud


@dataclass(frozen=True, eq=False)
class Mask:
    """Which pixels of a result are trusted.

    Attributes:
        certificate: by which.
        alpha: the risk level, as it was written.
        dial: of the certified picture; None for a tool, which has none.
        threshold: t̂; pixels whose score is below it are trusted.
        trusted: (H, W).
        drift: p-value of the measurement against those of the calibration.
        compressed: what the measurement came as where compression altered it, as it did none of the calibration's.
    """

    certificate: Certificate
    alpha: str
    dial: float | None
    threshold: float
    trusted: NDArray[np.bool_]
    drift: float
    compressed: str | None = None

    @property
    def share(self) -> float:
        """Of the pixels that are trusted."""
        return float(self.trusted.mean())

    @property
    def unlike(self) -> bool:
        """Whether the measurement looks unlike those of the calibration."""
        return self.drift < UNLIKE

    @property
    def warning(self) -> str | None:
        """What must be said aloud: a broken premise, and why nothing can be trusted."""
        unlike = (
            f"This measurement is unlike those the certificate was made from (drift p-value {self.drift:.2g}): "
            "the promise may not hold for it."
        )
        altered = f"This measurement came as {self.compressed}, and those of the calibration did not: "
        said = [
            unlike if self.unlike else None,
            f"{altered}the promise is not for it." if self.compressed else None,
            self.certificate.infeasible(self.alpha),
        ]
        return " ".join(line for line in said if line) or None

    def sentences(self) -> list[str]:
        """What the mask promises, and what it does not."""
        lines = [_promise(self.certificate, self.alpha), _scope(self.certificate)]
        if (why := self.certificate.infeasible(self.alpha)) is not None:
            lines.append(f"At this level nothing can be trusted. {why}")
        floor = self.floor()
        if floor is not None:
            lines.append(floor)
        likeness = "unlike" if self.unlike else "not unlike"
        n, kind = len(self.certificate.statistics), self.certificate.binding.unit.kind
        blind = f" (of {n} {kind}s p is never below {UNLIKE}, so that it cannot warn)"
        lines.append(
            f"Drift check: this measurement is {likeness} those of the calibration (p = {self.drift:.2g}). The check "
            f"sees gross differences only{blind if 1 / (n + 1) >= UNLIKE else ''}; pictures from another source "
            f"are not exchangeable with the {n} {kind}s that were used, whatever it says."
        )
        return lines

    def floor(self) -> str | None:
        """The bound on the PSNR inside the mask, where the loss gives one."""
        b = self.certificate.binding
        found = psnr_floor(exact(self.alpha), b.loss, b.discrepancy)
        if found is None or found <= 0 or b.mode != "mean" or self.certificate.infeasible(self.alpha):
            return None
        empty, mean = self.certificate.nonempty(self.threshold)
        return (
            f"Inside the mask the PSNR is at least {found:.1f} dB on average, an empty mask counting as infinite: of "
            f"the calibration pictures {empty:.0%} had an empty one, and the mean loss over the others was {mean:.3g}."
        )

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        return {
            "sha256": self.certificate.sha256,
            "alpha": self.alpha,
            "loss": self.certificate.binding.loss,
            "mode": self.certificate.binding.mode,
            "score": self.certificate.binding.score,
            "dial": self.dial,
            "threshold": self.threshold if np.isfinite(self.threshold) else None,
            "trusted_share": self.share,
            "psnr_floor": self.floor(),
            "drift_p_value": self.drift,
            "warning": self.warning,
        }


def make_mask(
    certificate: Certificate, alpha: float | str | None, score: NDArray[np.float32], measurement: Photo
) -> Mask:
    """The mask of a result.

    Args:
        certificate: checked against how the result was made.
        alpha: the risk level, fixed before the result was seen; the loss's usual one by default.
        score: (H, W).
        measurement: for the drift check.

    Raises:
        InputError: alpha is no positive number, or was not declared where it had to be.
    """
    level = certificate.usual_alpha if alpha is None else str(alpha)
    threshold = certificate.threshold(level)
    return Mask(
        certificate,
        level,
        certificate.dial,
        threshold,
        score < threshold,
        certificate.drift(statistics(measurement.pixels)),
        None if "jpeg" in certificate.binding.restoration.operator else measurement.lossy,
    )


def mask_lines(mask: Mask) -> list[str]:
    """What is to be said of a mask."""
    share = f"{mask.share:.1%} of the pixels are trusted (alpha {mask.alpha}; drift check p = {mask.drift:.2g})."
    return [line for line in (share, mask.floor(), mask.warning) if line is not None]


def _promise(certificate: Certificate, alpha: str) -> str:
    b = certificate.binding
    unit, units = ("picture", "pictures") if b.unit.kind == "picture" else ("folder of pictures", "folders of pictures")
    what = certificate.loss.promise(alpha, unit, units, f"{b.discrepancy} discrepancy")
    if b.mode == "mean":
        return f"On average {what}. The average is over calibration sets and new {units} together."
    sure = percent(str(1 - (b.delta or 0)))
    return (
        f"With {sure} confidence in the calibration, {_levels(certificate)}: on average {what}. This takes pictures "
        "that are independent draws of one kind."
    )


def _levels(certificate: Certificate) -> str:
    if certificate.binding.mode != "pac-uniform":
        return "for the level fixed before looking"
    return "for every level at once" if certificate.loss.binary else "for all declared levels at once"


def _scope(certificate: Certificate) -> str:
    b = certificate.binding
    size = "" if b.unit.width is None else f" of {b.unit.width}×{b.unit.height} pixels"
    left, seconds = certificate.information["failed"], certificate.information["timeout"]
    tool = "" if seconds is None else f" It speaks of the pictures on which the tool succeeds within {seconds:g} s."
    lost = f" The tool failed on {len(left)} of the calibration pictures." if left else ""
    leaked = f" It rests on at most {b.leaked} of the {b.n} having been trained on." if b.leaked else ""
    return (
        f"This is a promise about the average over {b.unit.colour} pictures{size} of the kind that was calibrated "
        f"(n = {b.n}), {_levels(certificate)}; it is not a promise about this picture.{leaked}{tool}{lost}"
    )
