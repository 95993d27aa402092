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
        trusted: (H, W), of a scan (X, Y, Z).
        drift: p-value of the measurement against those of the calibration.
        compressed: what the measurement came as where compression altered it, as it did none of the calibration's.
        counted: of a scan, its foreground, like `trusted`: what the promise is about; None where that is every pixel.
        width: of a scan, what a difference of 1 is in its own units.
    """

    certificate: Certificate
    alpha: str
    dial: float | None
    threshold: float
    trusted: NDArray[np.bool_]
    drift: float
    compressed: str | None = None
    counted: NDArray[np.bool_] | None = None
    width: float | None = None

    @property
    def share(self) -> float:
        """Of the pixels, or of those that count, that are trusted."""
        return float((self.trusted if self.counted is None else self.trusted[self.counted]).mean())

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

    def _own_units(self) -> dict[str, float | None]:
        """Of a scan, tau as it is bound and in the scan's own units."""
        tau, width = self.certificate.binding.tau, self.width
        return {} if width is None else {"tau": tau, "tau_in_units_of_the_scan": None if tau is None else tau * width}

    def sentences(self) -> list[str]:
        """What the mask promises, and what it does not."""
        lines = [_promise(self.certificate, self.alpha), *self._units(), _scope(self.certificate)]
        if (why := self.certificate.infeasible(self.alpha)) is not None:
            lines.append(f"At this level nothing can be trusted. {why}")
        floor = self.floor()
        if floor is not None:
            lines.append(floor)
        likeness = "unlike" if self.unlike else "not unlike"
        n, kind = len(self.certificate.statistics), self.certificate.binding.unit.kind
        files = "scans" if self.certificate.of_scans else "pictures"
        blind = f" (of {n} {kind}s p is never below {UNLIKE}, so that it cannot warn)"
        lines.append(
            f"Drift check: this measurement is {likeness} those of the calibration (p = {self.drift:.2g}). The check "
            f"sees gross differences only{blind if 1 / (n + 1) >= UNLIKE else ''}; {files} from another source "
            f"are not exchangeable with the {n} {kind}s that were used, whatever it says."
        )
        return lines

    def _units(self) -> list[str]:
        """What the scan's own units are."""
        tau, width = self.certificate.binding.tau, self.width
        if width is None:
            return []
        if tau is None:
            return [f"Of this scan 1 is {width:.4g} in its own units."]
        return [f"Of this scan {tau:g} is {tau * width:.4g} in its own units."]

    def floor(self) -> str | None:
        """The bound on the PSNR inside the mask, where the loss gives one."""
        b = self.certificate.binding
        if self.certificate.of_scans:
            return None  # an error beyond a scan's levels counts as the bound, and the PSNR knows none
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
            **self._own_units(),
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
    pixels = "pixels" if mask.counted is None else "foreground's voxels"
    share = f"{mask.share:.1%} of the {pixels} are trusted (alpha {mask.alpha}; drift check p = {mask.drift:.2g})."
    return [line for line in (share, mask.floor(), mask.warning) if line is not None]


def _promise(certificate: Certificate, alpha: str) -> str:
    b = certificate.binding
    unit, units = b.unit.words
    counted = "patient's foreground" if certificate.of_scans else unit
    what = certificate.loss.promise(alpha, counted, units, f"{b.discrepancy} discrepancy")
    if b.mode == "mean":
        return f"On average {what}. The average is over calibration sets and new {units} together."
    sure = percent(str(1 - (b.delta or 0)))
    return (
        f"With {sure} confidence in the calibration, {_levels(certificate)}: on average {what}. This takes {units} "
        "that are independent draws of one kind."
    )


def _levels(certificate: Certificate) -> str:
    if certificate.binding.mode != "pac-uniform":
        return "for the level fixed before looking"
    return "for every level at once" if certificate.loss.binary else "for all declared levels at once"


def _scope(certificate: Certificate) -> str:
    b = certificate.binding
    size = "" if b.unit.width is None else f" of {b.unit.width}×{b.unit.height} pixels"
    if certificate.of_scans:
        return (
            f"This is a promise about the average over patients of the kind that was calibrated (n = {b.n}), "
            f"{_levels(certificate)}, all scans of a patient together, and about the foreground of the measurements "
            f"alone; it is not a promise about this scan.{_leaked(certificate)}"
        )
    left, seconds = certificate.information["failed"], certificate.information["timeout"]
    tool = "" if seconds is None else f" It speaks of the pictures on which the tool succeeds within {seconds:g} s."
    lost = f" The tool failed on {len(left)} of the calibration pictures." if left else ""
    return (
        f"This is a promise about the average over {b.unit.colour} pictures{size} of the kind that was calibrated "
        f"(n = {b.n}), {_levels(certificate)}; it is not a promise about this picture."
        f"{_leaked(certificate)}{tool}{lost}"
    )


def _leaked(certificate: Certificate) -> str:
    b = certificate.binding
    return f" It rests on at most {b.leaked} of the {b.n} having been trained on." if b.leaked else ""
