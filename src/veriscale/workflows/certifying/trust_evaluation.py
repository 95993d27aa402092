"""A certificate on other photographs, or on other scans: what it promises beside what happens."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.metrics.bootstrap import interval
from veriscale.physics.measurement_noise import parse_noise
from veriscale.physics.operator import Operator
from veriscale.physics.registry import parse_operator
from veriscale.report.trust_figure import TrustCurves, trust_figure
from veriscale.runtime.device import Device
from veriscale.settings import Asked, Settings, as_names, check_functions, settled
from veriscale.traversal.method import Tell, labelled
from veriscale.trust.certificate import Certificate
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.losses.registry import staircase
from veriscale.trust.psnr_floor import psnr_floor
from veriscale.trust.risk_level import exact, levels
from veriscale.trust.scores.registry import parse_score
from veriscale.trust.staircase import RESOLUTION
from veriscale.workflows.certifying.certified_settings import certified_facts, certified_settings, check_kind
from veriscale.workflows.certifying.delivery import deliver
from veriscale.workflows.certifying.scan_units import ScanMeasuring, by_patient, of_scans, truths_of, unguiding
from veriscale.workflows.certifying.scoring import check_pattern
from veriscale.workflows.certifying.units import Measuring, Size
from veriscale.workflows.factory import own_operator
from veriscale.workflows.inputs import Item, collect
from veriscale.workflows.known_files import known_to
from veriscale.workflows.opening import find_certificate, load_certified
from veriscale.workflows.restoring.door import as_settings
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.restoring.restorer import Restorer
from veriscale.workflows.scans.asked_guides import AskedGuides, asked_guides
from veriscale.workflows.scans.reading import read_scan
from veriscale.workflows.tools.black_box import ToolError
from veriscale.workflows.tools.tool_restorer import certified_tool

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
        risk, low, high: the mean loss with its 95 % interval over pictures or patients: a bootstrap, of fewer than
            `FEW` Student's, which then holds the mean more often; of one the loss alone.
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


FEW = 20
"""Units below which percentiles of a bootstrap are too narrow."""


def _interval(losses: np.ndarray, bound: float) -> tuple[float, float]:
    """Of the mean of losses (N,) between 0 and a bound."""
    mean = float(losses.mean())
    if len(losses) == 1:
        return mean, mean
    if len(losses) >= FEW:
        found = interval(losses)
        return found.low, found.high
    reach = float(student.ppf(0.975, len(losses) - 1) * losses.std(ddof=1) / len(losses) ** 0.5)
    return max(0.0, mean - reach), min(bound, mean + reach)


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
            low, high = _interval(loss[:, a], self.certificate.binding.bound)
            some = psnr[~np.isnan(psnr[:, a]), a]
            rows.append(
                Kept(
                    alpha,
                    float(loss[:, a].mean()),
                    low,
                    high,
                    float(trusted[:, a].mean()),
                    float(np.median(trusted[:, a])),
                    float((trusted[:, a] == 0).mean()),
                    float(some.mean()) if some.size and np.isfinite(some).all() else None,
                )
            )
        return rows

    def draw(self, path: Path, force: bool = False) -> None:
        """The curves, as a PNG file."""
        rows, b = self.rows(), self.certificate.binding
        alphas = [float(exact(r.alpha)) for r in rows]
        floors = [psnr_floor(a, b.loss, b.discrepancy) for a in alphas]
        known = [f for f in floors if f is not None]
        curves = TrustCurves(
            alphas=np.array(alphas),
            risk=np.array([r.risk for r in rows]),
            trusted=np.array([r.trusted for r in rows]),
            empty=np.array([r.empty for r in rows]),
            psnr=np.array([np.nan if r.psnr is None else r.psnr for r in rows]),
            floor=np.array(known) if len(known) == len(rows) and b.mode == "mean" else None,
            n_pictures=len(self.outcomes),
            loss=b.loss,
        )
        trust_figure(path, curves, force)

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


def certified_restorer(
    certificate: Certificate, prior: Prior, score_files: str | None = None, operator: str | Operator | None = None
) -> PriorRestorer:
    """A prior with everything a certificate fixes, the measurement included.

    Args:
        certificate: of a prior.
        prior: loaded.
        score_files: pattern of the user's own maps.
        operator: of the user's own functions, where the certificate is for one: it has their name and version alone.

    Raises:
        InputError: the certificate is for a tool, or for another operator.
    """
    facts = certified_facts(certificate)
    score = parse_score(certificate.binding.score)
    check_pattern(score, score_files)
    given = Settings(operator=facts.operator, noise=facts.noise, score_files=score_files)
    stated = own_operator(facts.operator if operator is None else operator)
    found = parse_operator(stated) if isinstance(stated, str) else stated
    if str(found) != facts.operator:
        raise InputError(f"`--operator` {found} is fixed by the certificate as {facts.operator}; leave it out.")
    return PriorRestorer(prior, settled(given, certified_settings(certificate)), score=score, operator=found)


def evaluate_certificate(
    pictures: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    certificate: Certificate | str | os.PathLike[str],
    prior: Prior | str | os.PathLike[str] | None = None,
    *,
    alphas: float | str | Sequence[float | str] | None = None,
    guides: Mapping[str, str | os.PathLike[str]] | None = None,
    another_patient: bool = False,
    device: Device = "auto",
    progress: Tell = lambda what, done, of: None,
    tell: Callable[[str], None] = lambda line: None,
    say: Callable[[str], None] = lambda line: None,
    **asked: Unpack[Asked],
) -> TrustEvaluation:
    """What a certificate's masks are worth on photographs or scans that were not calibrated on.

    Args:
        pictures: files, or folders of them, that serve as truth; of scans every patient is one outcome.
        certificate: of `calibrate`, its file or its name: it gives every setting.
        prior: its prior, by name or path or loaded; found by its hash by default.
        alphas: one level or several; by default what the certificate is meant for, or was declared, else a sweep.
        guides, another_patient: of scans, as of `evaluate`; those that the certificate is for.
        device: "auto", "cuda", "mps" or "cpu"; that of a prior that is loaded already.
        progress: told after every picture, of scans after every slice.
        tell: told in words which pictures cannot be scored, and what makes patients or scans doubtful.
        say: told what a folder leaves out.
        asked: of the settings of `restore` the tool's `command` with its `timeout`, `score_files`, `seed`, and the
            `operator` of a certificate that is for one of your own.

    Raises:
        InputError: as `evaluate_masks`, or a setting is fixed by the certificate.
    """
    check_functions(progress=progress, tell=tell, say=say)
    v = as_settings(asked)
    if (v.seed or 0) < 0:
        raise InputError(f"`--seed` {v.seed} is below 0; give 0 or more.")
    if v.alpha is not None:
        raise InputError("alpha is the level of one mask; give those of an evaluation as alphas.")
    open_still = ("command", "timeout", "score_files", "seed", *(() if v.command else ("operator",)))
    if given := [k for k in v.said if k not in open_still]:
        raise InputError(f"`--{given[0].replace('_', '-')}` is fixed by the certificate; leave it out.")
    held = find_certificate(certificate)
    usual = (held.meant,) if held.meant is not None else tuple(held.binding.declared) or ALPHAS
    asked_for = levels(() if alphas is None else alphas) or usual
    held.thresholds(asked_for)  # a level that is none is refused before the work
    items = collect(as_names("pictures", pictures), say=say, scans=True, truths=True)[0]
    check_kind(held, scans := of_scans(items))
    restorer: Restorer
    if v.command is not None:
        restorer = replace(certified_tool(settled(replace(v, seed=None)), held), certificate=None)
    else:
        loaded = load_certified(prior, held, device)
        operator = asked.get("operator")
        restorer = certified_restorer(
            held, loaded, v.score_files, operator if isinstance(operator, Operator) else v.operator
        )
        if scans:
            wanted = asked_guides(loaded, guides or {}, another_patient)
            return evaluate_scan_masks(
                unguiding(items, wanted, say),
                restorer,
                held,
                asked_for,
                seed=v.seed or 0,
                guides=wanted,
                progress=progress,
                tell=tell,
            )
    if guides:
        raise InputError("`--guide` is of scans restored by a prior, and these are not; leave it out.")
    files = [item.path for item in items]
    return evaluate_masks(files, restorer, held, asked_for, seed=v.seed or 0, progress=progress, tell=tell)


def evaluate_masks(
    files: Sequence[Path],
    restorer: Restorer,
    certificate: Certificate,
    alphas: Sequence[str] = ALPHAS,
    *,
    seed: int = 0,
    progress: Tell = lambda what, done, of: None,
    tell: Callable[[str], None] = lambda line: None,
) -> TrustEvaluation:
    """Measure, restore and mask photographs that were not calibrated on.

    Args:
        files: photographs that serve as truth; the middle of each is taken, as in calibration.
        restorer: of `certified_restorer`, or a tool.
        certificate: what is evaluated; its units must be single pictures.
        alphas: levels.
        seed: of the measurements' noise.
        progress: told after every picture.
        tell: told at the end on which pictures a tool fails; they are left out, as in calibration.

    Raises:
        InputError: a photograph cannot be used, was calibrated on, the restorer is not the certified one, or the tool
            failed on every photograph.
    """
    unit = certificate.binding.unit
    if unit.kind != "picture":
        raise InputError("The certificate is for folders of pictures, and evaluate scores single ones.")
    for file in files:
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        _refuse_known(str(file), sha256, [sha256], certificate, restorer)
    discrepancy = parse_discrepancy(certificate.binding.discrepancy)
    facts = certificate.binding.restoration
    measuring = Measuring(
        (isinstance(restorer, PriorRestorer) and restorer.operator) or parse_operator(facts.operator),
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
                certificate.check(restorer.prepare(y).facts)
            delivered = deliver(restorer, y, file.stem)
        except (InputError, ToolError) as error:
            if len(files) == 1:
                raise InputError(f"{file.name}: {error}") from error
            failed.append(f"{file.name}: {error}")
            continue
        apart = discrepancy(delivered.picture, x)
        stairs = staircase(certificate.loss, [(delivered.score, apart)], discrepancy.bound)
        losses = stairs.at(thresholds) * certificate.binding.bound / RESOLUTION
        outcomes.append(Outcome(file.name, losses, *_inside(delivered.score, delivered.picture - x, thresholds)))
        progress("pictures", k, len(files))
    if not outcomes:
        raise InputError(f"None of the {len(files)} pictures could be scored; {failed[0]}")
    for why in failed:
        tell(why)
    return TrustEvaluation(tuple(alphas), outcomes, certificate, failed)


def evaluate_scan_masks(
    items: Sequence[Item],
    restorer: PriorRestorer,
    certificate: Certificate,
    alphas: Sequence[str] = ALPHAS,
    *,
    seed: int = 0,
    guides: AskedGuides | None = None,
    progress: Tell = lambda what, done, of: None,
    tell: Callable[[str], None] = lambda line: None,
) -> TrustEvaluation:
    """Measure, restore and mask scans that were not calibrated on, all of a patient together.

    The PSNR is in the levels of the measurement, whose width is 1.

    Args:
        items: scans that serve as truth, with the folder each lies in.
        restorer: of `certified_restorer`.
        certificate: of scans.
        alphas: levels.
        seed: of the measurements' noise.
        guides: which guides the measurements are restored with.
        progress: told after every slice.
        tell: told in words which of several cannot be scored, and what makes patients or scans doubtful.

    Raises:
        InputError: no scan can be used, one was calibrated on, or the restorer is not the certified one.
    """
    discrepancy, facts = parse_discrepancy(certificate.binding.discrepancy), certificate.binding.restoration
    operator = restorer.operator or parse_operator(facts.operator)
    measuring = ScanMeasuring(operator, parse_noise(facts.noise), seed, discrepancy, guides)
    grouped = certificate.binding.unit.grouped is True
    scans, left_out = truths_of(items, grouped, measuring, restorer, tell)
    for why in left_out.values():
        tell(why)
    for scan in scans:
        _refuse_known(scan.label, scan.sha256, scan.files, certificate, restorer)
    certificate.check(measuring.prepared(restorer, read_scan(scans[0].path)).middle.facts)
    thresholds = certificate.thresholds(alphas)
    outcomes: list[Outcome] = []
    for name, own in by_patient(scans).items():
        found = [measuring(restorer, scan, labelled(progress, scan.label)) for scan in own]
        stairs = staircase(certificate.loss, [(each.score, each.apart) for each in found], discrepancy.bound)
        losses = stairs.at(thresholds) * certificate.binding.bound / RESOLUTION
        score, off = (np.concatenate([getattr(each, what) for each in found], 1) for what in ("score", "error"))
        outcomes.append(Outcome(name, losses, *_inside(score, off[..., None], thresholds)))
    return TrustEvaluation(tuple(alphas), outcomes, certificate, list(left_out.values()))


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


def _refuse_known(name: str, sha256: str, files: Sequence[str], certificate: Certificate, restorer: Restorer) -> None:
    """Refuse a picture or scan, of one file or several, that was calibrated on or that the prior knows."""
    others = f"evaluate a certificate on other {'scans' if certificate.of_scans else 'pictures'}."
    if any(sha256 in each for each in certificate.information["files"].values()):
        raise InputError(f"{name} was calibrated on; {others}")
    if isinstance(restorer, PriorRestorer) and known_to(restorer.prior, {name: files}):
        raise InputError(f"The prior was trained or measured on {name}; {others}")
