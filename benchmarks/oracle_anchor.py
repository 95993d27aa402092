"""The anchor `fast` against the exact posterior mean of Gaussians: writes docs/results/oracle_anchor.json."""

import time
from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor

from exact import PIXEL_VARIANCE, Problem, prior
from results import Row, write_results
from veriscale.diffusion.schedule import geometric
from veriscale.physics.data_term import DataTerm
from veriscale.traversal.anchor import consistent_weight, fast, paper
from veriscale.traversal.splitting import STEPS, splitting_for

SIDE, PICTURES = 32, 8
SEED, TUNING_SEED = 0, 1
PAPER_ITERATIONS = 400
OPERATORS = {
    "box": "downsample:factor=4,kernel=box",
    "bicubic": "downsample:factor=4,kernel=bicubic",
    "blur": "blur:kernel=anisotropic,std=20x1,angle=45",
    "mask": "inpaint:keep=0.5",
    "hole": "inpaint:box=16",
}
TASKS = [
    *[(name, s, "< 1e-4") for name in ("box", "bicubic", "blur") for s in (0.05, 0.01)],
    ("mask", 0.05, "< 1e-3"),
    ("hole", 0.05, None),
]
RANGES = [*product((0.25, 0.5, 1.0, 2.0, 4.0), (0.5, 1.0, 2.0, 4.0, 8.0))]  # first level, last one in units of s
RATES = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5]
PAPER_SIGMAS = [0.005, 0.01, 0.022, 0.0865]

NOTES = (
    f"Prior: {SIDE}² pixels, circularly stationary, power ∝ (f² + 1/n²)^(−5/4), pixel variance 1/16, mean ½; one "
    f"channel, float64. The error is ‖x̂ − E[x|y]‖/‖E[x|y]‖, the worst of {PICTURES} pictures. `fast` takes its levels "
    f"from the one rule in traversal/splitting.py, {STEPS} evaluations, and is not tuned. `against`, on the same "
    "pictures: half-quadratic splitting with as many evaluations and for each row the best geometric range of "
    f"{len(RANGES)} (first level {RANGES[0][0]:g} to {RANGES[-1][0]:g}, last one ½ to 8 s); `paper` with "
    f"{PAPER_ITERATIONS} evaluations, the consistent weight, and for each row the best of {len(RATES)} learning rates "
    f"and {len(PAPER_SIGMAS)} noise levels; both chosen by the mean error on {PICTURES} other pictures, against their "
    "own exact means. The consistent weight is that of a white prior; on others it is right as the noise level goes "
    "to 0. A hole wants more than 16 evaluations, or a cycle of levels: `paper` with its 400 is ahead there. "
    "`share fallen back`: pictures whose splitting `fast` left."
)


def main() -> None:
    print("about two minutes on two cores")
    begun = time.perf_counter()
    rows = []
    for row in measure():
        print(f"{row.id:32} {row.value:10.2e}  {row.bar or '':8} {row.holds}  {dict(row.against or {})}", flush=True)
        rows.append(row)
    print(write_results("oracle_anchor", rows, NOTES, time.perf_counter() - begun))


def measure() -> Iterator[Row]:
    oracle = prior(SIDE)
    for name, s, bar in TASKS:
        problem = Problem.of(oracle, OPERATORS[name], s)
        data, other = problem.measured(PICTURES, SEED), problem.measured(PICTURES, TUNING_SEED)
        expected, aim = problem.mean(data), problem.mean(other)
        way = splitting_for(data, (1, SIDE, SIDE))
        mean = oracle.mean.expand(PICTURES, -1, -1, -1)
        found = fast(oracle.denoise, data, way, mean, PIXEL_VARIANCE)

        span = min(RANGES, key=lambda r: errors(splitting(problem, other, span_of(r, s)), aim).mean().item())
        setting = min(
            product(RATES, PAPER_SIGMAS),
            key=lambda r: errors(descent(problem, other, *r), aim).mean().item(),
        )
        what = f"`fast`, {STEPS} evaluations, {OPERATORS[name]}, s = {s:g}: worst error relative to the posterior mean"
        yield Row(
            f"oracle.anchor.{name}_{s:g}",
            what,
            errors(found.x, expected).max().item(),
            bar=bar,
            against={
                "half-quadratic splitting": errors(splitting(problem, data, span_of(span, s)), expected).max().item(),
                "its first level": span[0],
                "its last level": span[1] * s,
                "paper": errors(descent(problem, data, *setting), expected).max().item(),
                "its rate": setting[0],
                "its sigma": setting[1],
                "share fallen back": found.fell_back.double().mean().item(),
            },
        )


def errors(found: Tensor, expected: Tensor) -> Tensor:
    """Relative error of every picture."""
    return (found - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)


def span_of(r: tuple[float, float], s: float) -> list[float]:
    high, low = r[0], r[1] * s
    return geometric(max(high, 1.5 * low), low, STEPS)[:-1].tolist()


def splitting(problem: Problem, data: DataTerm, sigmas: Sequence[float]) -> Tensor:
    """Half-quadratic splitting from the same start: each map in turn at each level."""
    x = data.prox(problem.prior.mean.expand(len(data.y), -1, -1, -1), PIXEL_VARIANCE**0.5)
    for sigma in sigmas:
        x = problem.prior.denoise(data.prox(x, sigma), sigma)
    return x


def descent(problem: Problem, data: DataTerm, rate: float, sigma: float) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    shape = len(data.y), *problem.prior.mean.shape
    return paper(
        problem.prior.denoise,
        data,
        iterations=PAPER_ITERATIONS,
        weight=consistent_weight(problem.noise_std, sigma),
        rate=rate,
        sigma=sigma,
        noise=lambda step: torch.randn(shape, generator=generator, dtype=torch.float64),
    ).x


if __name__ == "__main__":
    main()
