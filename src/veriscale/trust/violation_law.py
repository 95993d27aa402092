"""How many of the next m units will be violations: the exact law, and the probability of a broken promise."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, gammaln, xlog1py, xlogy


def later_violations(m: int, k: int, n: int, finite: float = 1.0) -> NDArray[np.float64]:
    """P(0), …, P(m) violations among m units to come, with the threshold at the k-th smallest T of n units.

    T is the lowest score of a unit's bad pixels, infinite where it has none. With a continuous T that is always finite
    the count is BetaBinomial(m, k, n + 1 − k); where P(T < ∞) = `finite` it is Binomial(m, min(Beta, finite)). With
    ties among finite T there are fewer violations than this says.

    Args:
        m: units to come, exchangeable with those of the calibration.
        k: rank of the threshold, from 1 to n: the allowance rounded down, plus 1. In mode `mean` ⌊alpha (n + 1)⌋.
        n: calibration units, none of them leaked.
        finite: probability that a unit has a bad pixel that may be trusted.

    Source: Wilks 1941 for the order statistic; Vovk 2012 (arXiv 1209.2673), proposition 2a; the atom is ours:
    docs/methods.md#trust.
    """
    count = np.arange(m + 1)
    choose = gammaln(m + 1) - gammaln(count + 1) - gammaln(m - count + 1)
    a, b = k + count, n + 1 - k + m - count
    below = np.exp(choose + betaln(a, b) - betaln(k, n + 1 - k)) * betainc(a, b, finite)
    # Where the k-th smallest is infinite everything is trusted, and a violation is as likely as a bad pixel.
    beyond = np.exp(choose + xlogy(count, finite) + xlog1py(m - count, -finite)) * (1 - betainc(k, n + 1 - k, finite))
    law: NDArray[np.float64] = below + beyond
    return law


def broken_promise(alpha: float, k: int, n: int) -> float:
    """P(Bin(n, alpha) ≤ k − 1): the probability of a calibration whose risk exceeds alpha, for a continuous T."""
    return float(1 - betainc(k, n + 1 - k, alpha))
