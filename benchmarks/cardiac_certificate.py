"""cardiac.certificate.*: masks of hearts ×4 by the prior `cardiac`, calibrated on ten patients whom it has not seen.

The certificate is made as `calibrate` makes it, and kept, as is what is measured with it. `--small` takes one slice of
each patient, prints, and writes no results.
"""

import argparse
import hashlib
import json
import time
from itertools import count
from pathlib import Path

import numpy as np

from cache import FOLDER, measured
from cardiac_patients import SCALE, as_scan, spared
from few_shot_patients import hearts
from paired_t import t_interval
from pictures import DATA
from results import Row, commit, write_results
from veriscale.diffusion.prior import Prior
from veriscale.trust.certificate import Certificate
from veriscale.trust.modes import Guarantee
from veriscale.trust.risk_level import exact
from veriscale.workflows.certifying.calibration import calibrate
from veriscale.workflows.certifying.calibration_run import trained_on
from veriscale.workflows.certifying.trust_evaluation import evaluate_certificate
from veriscale.workflows.opening import find_certificate, load_prior

PRIOR = "cardiac"
ALPHA, WANTED = "0.15", "0.05"
MORE = ((WANTED, 20), (WANTED, 50), (ALPHA, 50))
"""Levels, and of how many patients it is told what they would trust."""
SECONDS = 6.0  # of a patient of ten slices
SECONDS_SMALL = 1.0


def calibrated(archives: list[Path], prior: Prior, folder: Path, slices: int | None) -> Certificate:
    """The certificate of some patients, taken up where it was left.

    Raises:
        SystemExit: the prior has seen one of them.
    """
    hashes = {file.stem: hashlib.sha256(file.read_bytes()).hexdigest() for file in archives}
    if seen := trained_on(hashes, prior):
        raise SystemExit(
            f"the prior {prior.card.name} was trained on {', '.join(seen)}, whom it is to be certified with"
        )
    path = folder / f"{PRIOR}_x{SCALE}_dial-0_area.json"
    if not path.exists():
        for file in archives:
            as_scan(file, folder / "calibration", slices)
        begun: set[int] = set()

        def shown(what: str, done: int, of: int) -> None:
            if done not in begun:
                begun.add(done)
                print(f"  patient {done + 1} of {of}", flush=True)

        calibrate(folder / "calibration", path, prior=prior, scale=SCALE, progress=shown, tell=print)
    return find_certificate(path)


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
    archives, tests = spared(DATA.parent), {file.stem: file for file in hearts(DATA.parent).test}
    prior = load_prior(PRIOR)
    settings = {"prior": [prior.card.tensors_sha256, prior.card.deciding_sha256(SCALE)], "small": small}
    key = hashlib.sha256(json.dumps([commit(), settings], sort_keys=True).encode()).hexdigest()[:16]
    folder, seconds = FOLDER / f"cardiac_certificate-{key}", SECONDS_SMALL if small else SECONDS
    print(
        f"cardiac_certificate: {len(archives)} patients, about {len(archives) * seconds / 60:.1f} minutes, then others"
    )
    certificate = calibrated(archives, prior, folder, slices)

    def tested(name: str) -> dict[str, float]:
        scan = as_scan(tests[name], folder / "test", slices)
        (outcome,) = evaluate_certificate(scan, certificate, prior, alphas=ALPHA).outcomes
        return {"loss": float(outcome.loss[0]), "trusted": float(outcome.trusted[0])}

    found = measured("cardiac_certified", settings | {"certificate": certificate.sha256}, tests, tested, seconds)
    rows = rows_of(certificate, {name: np.array([each[name] for each in found]) for name in ("loss", "trusted")})
    for row in rows:
        print(f"{row.id}: {row.value:.4g} {row.unit} {row.interval} {row.bar or ''} {row.against}")
    if small:
        print("A part of the table is no result: nothing is written.")
        return
    notes = (
        "Calibrated as `calibrate` does it on the ten patients of the pool of recipes/splits.toml whom "
        "recipes/cardiac.toml did not draw, two of each of five groups; a patient is one unit, with all slices of the "
        "end of diastole. Measured by bicubic without noise, restored in plane at dial 0, in the foreground of the "
        f"measurement. α is {ALPHA}: ten patients allow no less than 1/11, and every level loses that much to their "
        "being ten. The promise is about the average over calibrations, and one calibration is one draw; left out in "
        "turn, the mean loss is at most α whoever the patients are. Intervals are Student's over patients, who share "
        "their calibration where they are left out in turn; trusted shares of these are read off a hundred quantiles "
        "of scores. What more patients would let trust takes further ones to be as these are."
    )
    print(write_results("cardiac_certificate", rows, notes, time.monotonic() - begun))


if __name__ == "__main__":
    main()
