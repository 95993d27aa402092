"""A certificate on other photographs: what it promises beside what happens."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.metrics.bootstrap import interval
from veriscale.physics.measurement_noise import parse_noise
from veriscale.physics.registry import parse_operator
from veriscale.trust.certificate import Certificate
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.losses.registry import staircase
from veriscale.trust.scores.registry import parse_score
from veriscale.trust.staircase import RESOLUTION
from veriscale.workflows.black_box import ToolError
from veriscale.workflows.certification import trained_on
from veriscale.workflows.certified import certified_facts, with_settings
from veriscale.workflows.request import Request
from veriscale.workflows.restorers import PriorRestorer, Restorer, check_pattern
from veriscale.workflows.units import Measuring, Size

ALPHAS = tuple(f"{a:.3g}" for a in np.geomspace(0.005, 0.5, 25))


@dataclass(frozen=True, eq=False)
class Outcome:
    """One picture at every threshold: (A,) each; `psnr` is of the trusted pixels, NaN where there are none."""

    picture: str
    loss: NDArray[np.float64]
    trusted: NDArray[np.float64]
    psnr: NDArray[np.float64]


@dataclass(frozen=True)
class Kept:
    """One level over all pictures.

    Attributes:
        alpha: as it was written.
        risk, low, high: the mean loss with its 95 % bootstrap interval over pictures.
        trusted, median: share of the pixels, mean and median over pictures.
        empty: share of the pictures without a trusted pixel.
        psnr: mean over the others, dB; None where there are none or an error is 0.
    """

    alpha: str
    risk: float
    low: float
    high: float
    trusted: float
    median: float
    empty: float
    psnr: float | None


@dataclass(frozen=True, eq=False)
class TrustEvaluation:
    """All levels, picture by picture. Every level is a promise by itself: choosing one after looking voids it."""

    alphas: tuple[str, ...]
    outcomes: list[Outcome]
    certificate: Certificate
    failed: list[str]

    def rows(self) -> list[Kept]:
        """Per level the means over pictures."""
        loss, trusted, psnr = (np.stack([getattr(o, k) for o in self.outcomes]) for k in ("loss", "trusted", "psnr"))
        rows = []
        for a, alpha in enumerate(self.alphas):
            bounds = interval(loss[:, a]) if len(loss) > 1 else None
            some = psnr[~np.isnan(psnr[:, a]), a]
            mean = float(loss[:, a].mean())
            rows.append(
                Kept(
                    alpha,
                    mean,
                    mean if bounds is None else bounds.low,
                    mean if bounds is None else bounds.high,
                    float(trusted[:, a].mean()),
                    float(np.median(trusted[:, a])),
                    float((trusted[:, a] == 0).mean()),
                    float(some.mean()) if some.size and np.isfinite(some).all() else None,
                )
            )
        return rows

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "certificate": self.certificate.sha256,
            "loss": self.certificate.binding.loss,
            "note": "pointwise in alpha: each row is a promise by itself",
            "pictures": [o.picture for o in self.outcomes],
            "failed": self.failed,
            "levels": [asdict(r) for r in self.rows()],
        }


def certified_restorer(certificate: Certificate, prior: Prior, score_files: str | None = None) -> PriorRestorer:
    """A prior with everything a certificate fixes."""
    request = replace(with_settings(Request(), certificate), scored_dial=certified_facts(certificate).dial)
    score = parse_score(certificate.binding.score)
    check_pattern(score, score_files)
    return PriorRestorer(prior, request, score, score_files)


def evaluate_certificate(
    files: Sequence[Path],
    restorer: Restorer,
    certificate: Certificate,
    alphas: Sequence[str] = ALPHAS,
    *,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda what, done, of: None,
    tell: Callable[[str], None] = lambda line: None,
) -> TrustEvaluation:
    """Measure, restore and mask photographs that were not calibrated on.

    Args:
        files: photographs that serve as truth; the middle of each is taken, as in calibration.
        restorer: of `certified_restorer` or `tool_restoration.certified_tool`.
        certificate: what is evaluated; its units must be single pictures.
        alphas: levels.
        seed: of the measurements' noise.
        progress: told after every picture.
        tell: told in words on which pictures a tool fails; they are left out, as in calibration.

    Raises:
        InputError: a photograph cannot be used, was calibrated on, the restorer is not the certified one, or the tool
            failed on every photograph.
    """
    unit = certificate.binding.unit
    if unit.kind != "picture":
        raise InputError("The certificate is for folders of pictures, and evaluate scores single ones.")
    _refuse_known(files, certificate, restorer)
    discrepancy = parse_discrepancy(certificate.binding.discrepancy)
    facts = certificate.binding.restoration
    measuring = Measuring(
        parse_operator(facts.operator),
        parse_noise(facts.noise),
        3 if unit.colour == "RGB" else 1,
        None if unit.width is None or unit.height is None else Size(unit.width, unit.height),
        seed,
    )
    thresholds = certificate.thresholds(alphas)
    outcomes: list[Outcome] = []
    failed: list[str] = []
    for k, file in enumerate(files, start=1):
        try:
            x, y = (m := measuring(file)).truth, m.measurement
            if not outcomes:
                certificate.check(restorer.facts(y))
            delivered = restorer(y, file.stem, lambda what, done, of: None)
        except (InputError, ToolError) as error:
            if len(files) == 1:
                raise InputError(f"{file.name}: {error}") from error
            failed.append(f"{file.name}: {error}")
            tell(failed[-1])
            continue
        apart = discrepancy(delivered.picture, x)
        stairs = staircase(certificate.loss, [(delivered.score, apart)], discrepancy.bound)
        losses = stairs.at(thresholds) * certificate.binding.bound / RESOLUTION
        outcomes.append(Outcome(file.name, losses, *_inside(delivered.score, delivered.picture - x, thresholds)))
        progress("pictures", k, len(files))
    if not outcomes:
        raise InputError(f"None of the {len(files)} pictures could be scored; {failed[0]}")
    return TrustEvaluation(tuple(alphas), outcomes, certificate, failed)


def _inside(
    score: NDArray[np.float32], error: NDArray[np.float32], thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the pixels below each threshold and the PSNR over them."""
    order = np.argsort(score, axis=None, kind="stable")
    counts = np.searchsorted(score.ravel()[order].astype(np.float64), thresholds, side="left")
    squares = np.append(0.0, np.cumsum(np.square(error, dtype=np.float64).mean(axis=2).ravel()[order]))[counts]
    with np.errstate(divide="ignore", invalid="ignore"):
        psnr = -10 * np.log10(squares / counts)
    return counts / score.size, psnr


def _refuse_known(files: Sequence[Path], certificate: Certificate, restorer: Restorer) -> None:
    known = {h for hashes in certificate.information.get("files", {}).values() for h in hashes}
    hashes = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    for file, own in hashes.items():
        if own in known:
            raise InputError(f"{file} was calibrated on; evaluate a certificate on other pictures.")
    if isinstance(restorer, PriorRestorer) and (seen := trained_on(hashes, restorer.prior.card)):
        raise InputError(f"The prior was trained on {seen[0]}; evaluate a certificate on other pictures.")
