"""trust.violation.*: simulated calibrations against the exact laws of the violations that follow."""

import time
from collections.abc import Sequence
from fractions import Fraction
from math import sqrt

import numpy as np
from scipy.stats import betabinom, binom

from cache import measured
from results import Row, write_results
from veriscale.trust.conformal import Calibration
from veriscale.trust.losses.registry import make_loss, staircase
from veriscale.trust.modes import Guarantee
from veriscale.trust.staircase import RESOLUTION, Staircase
from veriscale.trust.violation_law import broken_promise, later_violations

M, RUNS, BLOCK = 50, 10_000, 500
N, ALPHA, TAU = 99, Fraction("0.05"), 0.1  # k = 5
FINITE = 0.05  # P(T < ∞) of the atomic case, where the fifth smallest of 99 is as often finite as not
DELTA = 0.1
PAC_ALPHAS = [Fraction(text) for text in ("0.05", "0.1", "0.2", "0.3")]
SWEEP = [Fraction(k, 1000) for k in range(1, 1000)]
NOTES = (
    f"Maps of 2×2 pixels to staircases, thresholds and masks; {RUNS} runs; each draws n = {N} units to "
    f"calibrate and m = {M} later ones, α = {float(ALPHA):g}, so k = 5. continuous: every unit has one to four "
    f"bad pixels, scores are uniform. atomic: a unit has a bad pixel with probability {FINITE}, so the "
    "threshold is often infinite. Total variation is over 51 counts; n and α put the law on about ten of them, "
    "because sampling alone gives the expected distance Σ√(2p(1 − p)/(π·runs))/2, which stands beside each "
    "value with its 99th percentile over exact samples. control: the distance to a law that is not it. pac: "
    "largest distance of the simulated share of broken promises from P(Bin(n, α) ≤ k − 1) over four α, in "
    "standard errors (above 3.2 by chance in 0.6 % of runs); the shares stand beside it. uniform, pac_sweep: "
    f"share of calibrations that break the promise at one or more of {len(SWEEP)} levels of α, δ = {DELTA:g}, "
    "with its interval; in the pac rows scores are uniform, so the risk at t is t."
)


def counts_of(case: str, block: int) -> list[int]:
    """How many runs of a block had 0 … M violations."""
    rng = np.random.default_rng([block, *case.encode()])
    loss = make_loss("violation", TAU)
    allowed = Guarantee("mean", N, 1.0, binary=True).allowance(ALPHA)
    found = np.zeros(M + 1, int)
    for _ in range(BLOCK):
        score = rng.random((N + M, 2, 2), np.float32)
        bad = rng.random((N + M, 2, 2)) < 0.5
        bad[:, 0, 0] = True
        if case == "atomic":
            bad &= rng.random((N + M, 1, 1)) < FINITE
        d = np.where(bad, np.float32(0.2), np.float32(0.05))
        units = tuple(staircase(loss, [pair], 1.0) for pair in zip(score[:N], d[:N], strict=True))
        trusted = score[N:] < Calibration(units, 1.0).threshold(allowed)
        found[(trusted & bad[N:]).any(axis=(1, 2)).sum()] += 1
    return found.tolist()


def broken(block: int) -> dict[str, list[bool]]:
    """Which promises a block of calibrations breaks: for each of PAC_ALPHAS, and anywhere in SWEEP by mode."""
    rng = np.random.default_rng([block, 7])
    modes = {
        mode: [Guarantee(mode, N, 1.0, binary=True, delta=DELTA).allowance(a) for a in SWEEP]
        for mode in ("pac", "pac-uniform")
    }
    allowed = [Guarantee("pac", N, 1.0, binary=True, delta=DELTA).allowance(a) for a in PAC_ALPHAS]
    one = np.array([RESOLUTION])
    single, sweep = np.zeros(len(PAC_ALPHAS), int), dict.fromkeys(modes, 0)
    for _ in range(BLOCK):
        units = tuple(Staircase(score, one) for score in rng.random((N, 1), np.float32))
        calibration = Calibration(units, 1.0)
        single += calibration.thresholds(allowed) > np.array(PAC_ALPHAS, float)
        for mode, levels in modes.items():
            sweep[mode] += bool((calibration.thresholds(levels) > np.array(SWEEP, float)).any())
    return {"single": single.tolist(), **sweep}


def distance(counts: Sequence[int], law: np.ndarray) -> float:
    """Total variation between what was counted and a law."""
    return float(np.abs(np.array(counts) / sum(counts) - law).sum() / 2)


def noise(law: np.ndarray) -> dict[str, float]:
    """The distance that sampling alone gives."""
    samples = np.random.default_rng(0).multinomial(RUNS, law / law.sum(), size=2000)
    distances = [distance(sample, law) for sample in samples]
    return {"sampling alone": float(np.mean(distances)), "99th percentile": float(np.quantile(distances, 0.99))}


def main() -> None:
    begun = time.monotonic()
    blocks = range(RUNS // BLOCK)
    settings = {"m": M, "n": N, "alpha": str(ALPHA), "finite": FINITE, "sweep": len(SWEEP)}
    items = [f"{case} {block}" for case in ("continuous", "atomic", "pac") for block in blocks]

    def measure(item: str) -> object:
        case, _, block = item.partition(" ")
        return broken(int(block)) if case == "pac" else counts_of(case, int(block))

    values = dict(zip(items, measured("trust_violation", settings, items, measure, 2.0), strict=True))
    counted = {case: np.sum([values[f"{case} {b}"] for b in blocks], axis=0) for case in ("continuous", "atomic")}
    k = int(Guarantee("mean", N, 1.0, binary=True).allowance(ALPHA)) + 1
    support = np.arange(M + 1)
    beta_binomial = betabinom.pmf(support, M, k, N + 1 - k)
    laws = {"continuous": beta_binomial, "atomic": later_violations(M, k, N, FINITE)}
    rows = []
    for case, law in laws.items():
        name = {"continuous": f"BetaBinomial({M}, {k}, {N + 1 - k})", "atomic": "Binomial(m, min(Beta, P(T < ∞)))"}[
            case
        ]
        what = f"{case} T: total variation of the later violations to {name}"
        rows.append(
            Row(f"trust.violation.{case}", what, distance(counted[case], law), bar="< 0.03", against=noise(law))
        )
    wrong = {
        "rank": ("continuous", f"BetaBinomial({M}, {k + 1}, {N - k})", betabinom.pmf(support, M, k + 1, N - k)),
        "binomial": ("continuous", f"Binomial({M}, α)", binom.pmf(support, M, float(ALPHA))),
        "atom": ("atomic", f"BetaBinomial({M}, {k}, {N + 1 - k})", beta_binomial),
    }
    for key, (case, name, law) in wrong.items():
        what = f"{case} T: total variation to {name}, which is not its law"
        rows.append(Row(f"trust.violation.control.{key}", what, distance(counted[case], law), bar="> 0.03"))
    rows += pac_rows([values[f"pac {b}"] for b in blocks])
    for row in rows:
        print(f"{row.id:36} {row.value:8.4f} {row.bar or '':8} {row.holds} {row.against}")
    print(write_results("trust_violation", rows, NOTES, time.monotonic() - begun))


def pac_rows(blocks: list[dict[str, object]]) -> list[Row]:
    """The promises of `pac` one by one, and of both modes at all α together."""
    shares = np.sum([block["single"] for block in blocks], axis=0) / RUNS
    worst, against = 0.0, {}
    for a, share in zip(PAC_ALPHAS, shares, strict=True):
        rank = int(Guarantee("pac", N, 1.0, binary=True, delta=DELTA).allowance(a)) + 1
        p = broken_promise(float(a), rank, N)
        worst = max(worst, abs(share - p) / sqrt(p * (1 - p) / RUNS))
        against |= {f"α = {float(a):g}, simulated": float(share), f"α = {float(a):g}, law": p}
    what = "pac: distance of the broken promises from P(Bin(n, α) ≤ k − 1), in standard errors"
    rows = [Row("trust.violation.pac", what, worst, bar="<= 3.2", against=against)]
    for mode, key, bar in [("pac-uniform", "uniform", f"<= {DELTA:g}"), ("pac", "control.pac_sweep", f"> {DELTA:g}")]:
        share = sum(block[mode] for block in blocks) / RUNS
        error = 1.96 * sqrt(share * (1 - share) / RUNS)
        what = f"{mode}: calibrations that break the promise somewhere in the sweep of α, δ = {DELTA:g}"
        rows.append(Row(f"trust.violation.{key}", what, share, interval=(share - error, share + error), bar=bar))
    return rows


if __name__ == "__main__":
    main()
