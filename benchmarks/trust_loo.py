"""trust.loo.*: the leave-one-out identity and brute force on hard sets of units, and the mistakes that they catch."""

import sys
import time
from fractions import Fraction
from math import inf

import numpy as np

from cache import measured
from results import ROOT, Row, write_results

sys.path.append(str(ROOT))
from tests.trust.brute_force import BruteForce
from tests.trust.identity import LOSSES, MISTAKES, hard_case

from veriscale.trust.modes import Guarantee
from veriscale.trust.staircase import Staircase

SETS, BLOCK = 5000, 250
FEW = 2
NOTES = (
    f"{SETS} sets for each loss: two to seven units of one to three pictures of up to six pixels; scores of 1, 2, 3, 8 "
    "or nearly continuous levels, constant, at ±∞, equal to the discrepancy or to its negative; discrepancies on 2, 8 "
    "or 2²⁴ levels, zero, at B, or missing; whole sets of duplicates; B of 1, 2 and 0.7; four risk levels a set, most "
    "where a sum can equal what is allowed, a quarter infeasible. All in fractions, from the pixels; the loss on the "
    "left of the identity is not rounded. Brute force tries every score; it rounds losses up to B/2³⁰ as staircases "
    "do, and shares no code with them. lower: the risk of the stored losses less (α − B/(n + 1) − J) where that is "
    "feasible and not capped. control: share of the sets (at one level each) whose leave-one-out risk exceeds α when "
    "the mistake is made; n_for_n_plus_1 is only too strict, so only brute force can see it. leaked: one to three "
    "further units without any loss, always in the calibration and never the unit to come."
)


def measure(item: str) -> dict[str, float]:
    """Worst cases and counts over one block of sets."""
    name, _, block = item.partition(" ")
    rng = np.random.default_rng([int(block), *name.encode()])
    worst = {"excess": -inf, "few": -inf, "leaked": -inf, "lower": inf}
    counts = dict.fromkeys(["thresholds", "differs", "feasible", "n", "n.seen", "untold", *MISTAKES], 0)
    harmless = Staircase(np.empty(0, np.float32), np.empty(0, np.int64))
    for _ in range(BLOCK):
        case = hard_case(rng, LOSSES[name])
        n, jump, bound = len(case.units), Fraction(case.calibration.largest_jump()), case.bound
        brute = BruteForce(case.loss, case.units, case.discrepancy_bound)
        thresholds = case.calibration.leave_one_out(case.alphas)
        few = case.thinned(FEW).leave_one_out(case.alphas)
        for k, a in enumerate(case.alphas):
            expected = [brute.threshold(a * n - bound, left_out=j) for j in range(n)]
            differs = sum(x != y for x, y in zip(thresholds[k], expected, strict=True))
            differs += case.calibration.threshold(a * (n + 1) - bound) != brute.threshold(a * (n + 1) - bound)
            counts["differs"] += int(differs)
            counts["thresholds"] += n + 1
            worst["excess"] = max(worst["excess"], float(case.mean_loss(thresholds[k]) - a))
            worst["few"] = max(worst["few"], float(case.mean_loss(few[k]) - a))
            if a * n >= bound and brute.threshold(a * n - bound) < inf:
                risk = case.calibration.losses_at(thresholds[k : k + 1]).mean()
                worst["lower"] = min(worst["lower"], float(Fraction(risk) - (a - bound / n - jump)))
                counts["feasible"] += 1
        a = case.alphas[0]
        for mistake, risk_of in MISTAKES.items():
            counts[mistake] += risk_of(case, a) > a
        strict = case.from_others(a * (n - 1) - bound)
        counts["n"] += case.mean_loss(strict) > a
        counts["n.seen"] += strict != thresholds[0].tolist()
        leaked = int(rng.integers(1, 4))
        for count in (leaked, 0):
            allowed = Guarantee("mean", n - 1 + leaked, float(bound), binary=False, leaked=count).allowance(a)
            excess = case.mean_loss(case.from_others(allowed, [harmless] * leaked)) - a
            if count:
                worst["leaked"] = max(worst["leaked"], float(excess))
            else:
                counts["untold"] += excess > 0
    return worst | counts


def rows(found: dict[str, list[dict[str, float]]]) -> list[Row]:
    """Each number by loss, and over all."""

    def extreme(key: str, pick=max) -> dict[str, float]:
        return {name: pick(block[key] for block in blocks) for name, blocks in found.items()}

    def share(key: str) -> dict[str, float]:
        return {name: sum(block[key] for block in blocks) / SETS for name, blocks in found.items()}

    made = [
        Row(f"trust.loo.{name}", f"{name}: largest leave-one-out risk above α on {SETS} sets", value, bar="<= 1e-9")
        for name, value in extreme("excess").items()
    ]
    what = "largest leave-one-out risk above α"
    few, leaked, lower = extreme("few"), extreme("leaked"), extreme("lower", min)
    made += [
        Row("trust.loo.thinned", f"{what}, staircases of {FEW} steps", max(few.values()), bar="<= 1e-9", against=few),
        Row("trust.loo.leaked", f"{what}, leaked units among n", max(leaked.values()), bar="<= 1e-9", against=leaked),
    ]
    total = {name: sum(block["thresholds"] for block in blocks) for name, blocks in found.items()}
    wrong = {name: sum(block["differs"] for block in blocks) for name, blocks in found.items()}
    what = f"thresholds that differ from brute force, of {sum(total.values())}"
    made.append(Row("trust.loo.brute_force", what, sum(wrong.values()), bar="<= 0", against=wrong))
    cases = sum(block["feasible"] for blocks in found.values() for block in blocks)
    what = f"smallest risk less its lower side α − B/(n+1) − J, {cases} cases"
    made.append(Row("trust.loo.lower", what, min(lower.values()), bar=">= -1e-9", against=lower))
    words = {
        "reversed_sign": "mask of the higher scores",
        "not_strict": "mask with ≤",
        "without_bound": "B of the unit to come forgotten",
        "all_if_infeasible": "everything trusted where α is infeasible",
        "untold": "leaked units not told",
    }
    for key, text in words.items():
        caught = share(key)
        what = f"{text}: share of sets in which the identity fails, least over losses"
        made.append(Row(f"trust.loo.control.{key}", what, min(caught.values()), bar="> 0", against=caught))
    seen, identity = share("n.seen"), share("n")
    what = "n for n + 1: share of sets in which brute force differs, least over losses"
    against = seen | {"seen by the identity": max(identity.values())}
    made.append(Row("trust.loo.control.n_for_n_plus_1", what, min(seen.values()), bar="> 0", against=against))
    return made


def main() -> None:
    begun = time.monotonic()
    blocks = [str(k) for k in range(SETS // BLOCK)]
    items = [f"{name} {block}" for name in LOSSES for block in blocks]
    values = dict(zip(items, measured("trust_loo", {"few": FEW}, items, measure, 4.0), strict=True))
    made = rows({name: [values[f"{name} {block}"] for block in blocks] for name in LOSSES})
    for row in made:
        print(f"{row.id:36} {row.value:10.4g}  {row.bar:9} {row.holds}")
    print(write_results("trust_loo", made, NOTES, time.monotonic() - begun))


if __name__ == "__main__":
    main()
