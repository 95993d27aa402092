"""trust.real.*: the guarantee on BSD100: random splits, leave-one-out, the PSNR floor, leakage."""

import time
from fractions import Fraction

import numpy as np

from results import Row, write_results
from trust_records import loss_of, records, trusted
from veriscale.diffusion.prior import Prior
from veriscale.trust.conformal import Calibration
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.losses.bad_pixels import TAU
from veriscale.trust.modes import Guarantee
from veriscale.trust.psnr_floor import psnr_floor
from veriscale.trust.staircase import RESOLUTION, Staircase
from veriscale.workflows.opening import load_prior

SCORE = "predictor:tau=0.1"
SMOOTH = "neighbourhood:std=2"
TAUS = ("0.1", "0.05", "0.02", "0.01", "0.005")  # of area under SMOOTH: `halving`
SPLITS, N, LEAKED = 200, 80, 16
ALPHAS = [Fraction(k, 40) for k in range(1, 21)]  # 0.025 to 0.5
CAP = 60.0  # dB: an empty mask counts as infinite, and less only lowers the mean


def at(staircases: list[Staircase], thresholds: np.ndarray, bound: float) -> np.ndarray:
    """(A, units) losses at (A,) thresholds."""
    return np.stack([s.at(thresholds) for s in staircases], axis=1) * bound / RESOLUTION


def splits(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.permutation(count) for _ in range(SPLITS)]


def halving(prior: Prior) -> str:
    """The tau with which, on validation, `area` under SMOOTH trusts nearest to half at the least level.

    A mask that is always empty or always full keeps every promise, and tests none.
    """
    data = records(prior, "validation", [SCORE], [(f"area>{tau}", SMOOTH) for tau in TAUS], draws=False)
    n = len(data.names)

    def share(tau: str) -> float:
        threshold = Calibration(tuple(data.staircases[SCORE, f"area>{tau}", SMOOTH]), 1.0).threshold(ALPHAS[0] * n)
        return float(trusted(data.quantiles[SCORE], np.full(n, threshold)).mean())

    print(SMOOTH, *(f"{tau}: {share(tau):.3f}" for tau in TAUS), flush=True)
    return min(TAUS, key=lambda tau: abs(share(tau) - 0.5))


def guarantee(staircases: list[Staircase], quantiles: np.ndarray, bound: float, prefix: str, what: str) -> list[Row]:
    """Both sides of the risk over random splits, and leave-one-out."""
    risks, shares = np.full((2, SPLITS, len(ALPHAS)), np.nan)
    capped = np.zeros(len(ALPHAS), bool)
    for k, order in enumerate(splits(len(staircases))):
        known, new = ([staircases[i] for i in part] for part in (order[:N], order[N:]))
        allowed = [Guarantee("mean", N, bound, binary=False).allowance(a) for a in ALPHAS]
        thresholds = Calibration(tuple(known), bound).thresholds(allowed)
        risks[k] = at(new, thresholds, bound).mean(axis=1)
        shares[k] = [trusted(quantiles[order[N:]], np.full(len(new), t)).mean() for t in thresholds]
        capped |= ~np.isfinite(thresholds)  # nothing or everything is trusted
    mean, error = risks.mean(axis=0), 1.96 * risks.std(axis=0, ddof=1) / SPLITS**0.5
    levels = np.array([float(a) for a in ALPHAS])
    whole = Calibration(tuple(staircases), bound)
    jump = whole.largest_jump() * len(staircases) / (N + 1)  # of the whole pool: no less than that of any 81
    above = mean - levels - error
    below = mean - (levels - bound / (N + 1) - jump) + error
    exact = whole.losses_at(whole.leave_one_out(ALPHAS)).mean(axis=1) - levels
    worst = int(np.argmax(above))
    rows = [
        Row(
            f"{prefix}.above",
            f"{what}: largest mean risk - alpha - half its 95 % interval over {SPLITS} splits, n = {N}",
            float(above.max()),
            bar="<= 0",
            against={
                "alpha there": levels[worst],
                "mean risk there": mean[worst],
                "trusted there": float(shares[:, worst].mean()),
                "trusted at the least alpha": float(shares[:, 0].mean()),
            },
        ),
        Row(
            f"{prefix}.leave_one_out", f"{what}: largest leave-one-out mean - alpha", float(exact.max()), bar="<= 1e-9"
        ),
    ]
    if (~capped).any():
        rows.append(
            Row(
                f"{prefix}.below",
                f"{what}: least mean risk - (alpha - B/(n + 1) - J) + half the interval, J = {jump:.4f}",
                float(below[~capped].min()),
                bar=">= 0",
            )
        )
    return rows


def leakage(staircases: list[Staircase]) -> list[Row]:
    """LEAKED of the calibration units cost nothing at all, as if the network knew them by heart."""
    nothing = Staircase(np.empty(0, np.float32), np.empty(0, np.int64))
    told, untold = np.zeros((SPLITS, len(ALPHAS))), np.zeros((SPLITS, len(ALPHAS)))
    for k, order in enumerate(splits(len(staircases))):
        clean, new = ([staircases[i] for i in part] for part in (order[LEAKED:N], order[N:]))
        calibration = Calibration((*clean, *[nothing] * LEAKED), 1.0)
        for out, leaked in ((told, LEAKED), (untold, 0)):
            allowed = [Guarantee("mean", N, 1.0, binary=False, leaked=leaked).allowance(a) for a in ALPHAS]
            out[k] = at(new, calibration.thresholds(allowed), 1.0).mean(axis=1)
    levels = np.array([float(a) for a in ALPHAS])
    paper = levels * (N + 1) / (N - LEAKED + 1)
    what = f"sup pointwise, {LEAKED} of {N} units without any loss"

    def excess(risks: np.ndarray, bound: np.ndarray) -> float:
        half = 1.96 * risks.std(axis=0, ddof=1) / SPLITS**0.5
        return float((risks.mean(axis=0) - bound - half).max())

    return [
        Row(
            "trust.real.leakage.told",
            f"{what}, said so: largest mean risk - alpha - half interval",
            excess(told, levels),
            bar="<= 0",
        ),
        Row(
            "trust.real.leakage.paper",
            f"{what}, not said: largest mean risk - the paper's bound - half interval",
            excess(untold, paper),
            bar="<= 0",
        ),
        Row(
            "trust.real.leakage.untold",
            f"{what}, not said: largest mean risk - alpha",
            float((untold.mean(axis=0) - levels).max()),
        ),
    ]


def floor(staircases: list[Staircase], quantiles: np.ndarray, inside: np.ndarray) -> list[Row]:
    """The PSNR inside leave-one-out masks."""
    whole = Calibration(tuple(staircases), 1.0)
    thresholds = whole.leave_one_out(ALPHAS)
    losses = whole.losses_at(thresholds)
    psnr, worst, empty = np.full(thresholds.shape, CAP), -np.inf, np.zeros(thresholds.shape, bool)
    for a, j in np.ndindex(*thresholds.shape):
        k = int(np.searchsorted(quantiles[j], thresholds[a, j], side="left"))
        empty[a, j] = k == 0
        if k:
            mse = inside[j, k - 1]
            worst = max(worst, mse**0.5 - losses[a, j])
            psnr[a, j] = min(CAP, -10 * np.log10(max(mse, 1e-12)))
    floors = np.array([psnr_floor(a, "sup", "pointwise") or 0.0 for a in ALPHAS])
    gap = psnr.mean(axis=1) - floors
    k = int(np.argmin(gap))
    return [
        Row(
            "trust.real.psnr.floor",
            f"sup pointwise, leave-one-out: least mean PSNR inside (at most {CAP:g} dB each) - floor",
            float(gap.min()),
            "dB",
            bar=">= 0",
            against={"alpha there": float(ALPHAS[k]), "empty masks there": float(empty[k].mean())},
        ),
        Row(
            "trust.real.psnr.chain",
            "sup pointwise: largest root mean square error inside - loss, over pictures and levels",
            float(worst),
            bar="<= 1e-6",
        ),
    ]


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    kinds = [("area", "pointwise"), ("area", "lab"), (f"area>{halving(prior)}", SMOOTH)]
    kinds += [("sup", d) for d in ("pointwise", "lab", SMOOTH)]
    data = records(prior, "bsd100", [SCORE], kinds, draws=False)
    rows = []
    for kind in kinds:
        loss, apart = loss_of(kind[0]), kind[1]
        prefix, what = f"trust.real.{loss.name}.{apart.partition(':')[0]}", f"{loss.name}, {apart}"
        what += "" if loss.tau in (None, TAU) else f", tau {loss.tau:g}"
        bound = loss.bound(parse_discrepancy(apart).bound)
        rows += guarantee(data.staircases[SCORE, *kind], data.quantiles[SCORE], bound, prefix, what)
        print(*(f"{r.id} {r.value:.5f}" for r in rows[-3:]), flush=True)
    sup = data.staircases[SCORE, "sup", "pointwise"]
    rows += leakage(sup)
    rows += floor(sup, data.quantiles[SCORE], data.inside[SCORE])
    notes = (
        "BSD100 x4, 320 x 320, photo at dial 0, levels 0.025 to 0.5; tau of area under neighbourhood is chosen on "
        "validation, so that about half of the pixels are trusted at the least level. The intervals are over splits of "
        "these 100 pictures: conditional on this pool. The lower side is left out where some split trusts nothing or "
        "everything. An empty mask counts as infinite PSNR; here as 60 dB, which only lowers the mean."
    )
    write_results("trust_real", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
