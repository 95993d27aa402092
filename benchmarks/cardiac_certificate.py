"""cardiac.certificate.*: the certificate of the prior `cardiac`, on its own patients in turn and on the test patients.

`--small` takes one slice of each test patient, prints, and writes no results.
"""

import argparse
import tempfile
import time
from itertools import count
from pathlib import Path

import numpy as np

from cache import measured
from cardiac_patients import SCALE, as_scan
from few_shot_patients import hearts
from paired_t import t_interval
from pictures import DATA
from results import Row, print_and_write
from veriscale.trust.certificate import Certificate
from veriscale.trust.modes import Guarantee
from veriscale.trust.risk_level import exact
from veriscale.workflows.certifying.trust_evaluation import evaluate_certificate
from veriscale.workflows.opening import find_certificate, load_prior

PRIOR = "cardiac"
CERTIFICATE = f"{PRIOR}_x{SCALE}_dial-0_area"
ALPHA, WANTED = "0.15", "0.05"
MORE = ((WANTED, 20), (WANTED, 50), (ALPHA, 50))
"""Levels, and of how many patients it is told what they would trust."""
SECONDS = 6.0  # of a patient of ten slices
SECONDS_SMALL = 1.0


def left_out(certificate: Certificate, alpha: str) -> tuple[np.ndarray, np.ndarray]:
    """Loss and trusted share of the foreground, (n,) each: of every patient by the threshold of the others."""
    thresholds = certificate.calibration.leave_one_out([exact(alpha)])
    shares = [certificate.shares(t)[j] for j, t in enumerate(thresholds[0].tolist())]
    return certificate.calibration.losses_at(thresholds)[0], np.array(shares)


def fewest(certificate: Certificate, alpha: str) -> int:
    """How many patients a level needs at least."""
    bound, a = certificate.binding.bound, exact(alpha)
    return next(n for n in count(1) if Guarantee("mean", n, bound, binary=False).allowance(a) is not None)


def with_more(certificate: Certificate, alpha: str, n: int) -> float:
    """Trusted share of the foreground that n patients would give if they were as these are, one like another."""
    allowed = Guarantee("mean", n, certificate.binding.bound, binary=False).allowance(exact(alpha))
    here = certificate.binding.n
    threshold = certificate.calibration.threshold(None if allowed is None else allowed * here / n)
    return float(certificate.shares(threshold).mean())


def rows_of(certificate: Certificate, tested: dict[str, np.ndarray]) -> list[Row]:
    """Of the patients left out in turn, and of others.

    Args:
        certificate: of the former.
        tested: `loss` and `trusted` of the latter.
    """
    loss, trusted = left_out(certificate, ALPHA)
    found = {"loo": {"loss": loss, "trusted": trusted}, "test": tested}
    n = certificate.binding.n
    words = {"loo": f"each of {n} patients by the other {n - 1}", "test": f"{len(tested['loss'])} test patients by {n}"}
    rows = []
    for on, of in found.items():
        what = f"acdc ×{SCALE}, area of α = {ALPHA}, {words[on]}"
        masks = {
            "least of a patient %": 100 * float(of["trusted"].min()),
            "empty %": 100 * float((of["trusted"] == 0).mean()),
        }
        worst = {"most of a patient": float(of["loss"].max())}
        for end, said, values, unit, bar, against in (
            ("loss", "mean loss", of["loss"], "", f"<= {ALPHA}", worst),
            ("trusted", "mean trusted share of the foreground", 100 * of["trusted"], "%", "> 0", masks),
        ):
            mean, ends = float(values.mean()), t_interval(values)
            rows.append(Row(f"cardiac.certificate.{on}.{end}", f"{what}: {said}", mean, unit, ends, bar, against))
    more = {f"trusted % of {k} at {alpha}": 100 * with_more(certificate, alpha, k) for alpha, k in MORE}
    what = f"acdc ×{SCALE}: patients that α = {WANTED} needs; beside it what more of the same kind would let trust"
    return [*rows, Row("cardiac.certificate.patients", what, fewest(certificate, WANTED), "patients", against=more)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    small = parser.parse_args().small
    begun, slices = time.monotonic(), 1 if small else None
    tests = {file.stem: file for file in hearts(DATA.parent).test}
    certificate, prior = find_certificate(CERTIFICATE), load_prior(PRIOR)

    def tested(name: str) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            scan = as_scan(tests[name], Path(folder), slices)
            (outcome,) = evaluate_certificate(scan, certificate, prior, alphas=ALPHA).outcomes
        return {"loss": float(outcome.loss[0]), "trusted": float(outcome.trusted[0])}

    settings = {"certificate": certificate.sha256, "small": small}
    found = measured("cardiac_certificate", settings, tests, tested, SECONDS_SMALL if small else SECONDS)
    rows = rows_of(certificate, {name: np.array([each[name] for each in found]) for name in ("loss", "trusted")})
    notes = (
        "The certificate that is shipped: recipes/cardiac_certificate.py makes it of the patients of the pool of "
        "recipes/splits.toml whom recipes/cardiac.toml did not draw, two of each of five groups. A patient is one "
        "unit, with all slices of the end of diastole, measured by bicubic without noise, restored in plane at dial 0, "
        f"in the foreground of the measurement. α is {ALPHA}: ten patients allow no less than 1/11. The promise is "
        "about the average over calibrations, and one calibration is one draw; left out in turn, the mean loss is at "
        "most α whoever the patients are. Intervals are Student's over patients, who share their calibration where "
        "they are left out in turn; trusted shares of these are read off a hundred quantiles of scores. What more "
        "patients would let trust takes further ones to be as these are."
    )
    print_and_write("cardiac_certificate", rows, notes, time.monotonic() - begun, part=small)


if __name__ == "__main__":
    main()
