"""Zero-shot posterior samplers on Gaussians with exact posteriors: writes docs/results/oracle_posterior.json."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from exact import PIXEL_VARIANCE, Problem, prior
from results import Row, write_results
from veriscale.diffusion.oracles import Gaussian
from veriscale.diffusion.samplers import SAMPLERS, Denoiser, Variance, sample
from veriscale.diffusion.schedule import karras
from veriscale.physics.conjugate_gradient import ITERATIONS
from veriscale.physics.data_term import DataTerm
from veriscale.traversal.dps import dps
from veriscale.traversal.posterior import Covariance, Proximal, autograd_pullback

NOISE_STD = 0.05
OPERATORS = {
    "inpainting": "inpaint:keep=0.5",
    "blur": "blur:kernel=anisotropic,std=20x1,angle=45",
    "sr": "downsample:factor=4,kernel=box",
}
SEED, TUNING_SEED = 0, 1

LAW_SIDE, LAW_SIGMA_MIN = 32, 0.002
LAW_SIGMAS = [0.05, 0.1, 0.2, 0.5, 1.0]
LAW_STEPS = {"heun": 30, "dpm-solver++": 60, "ancestral": 40}
TIGHT = 1e-7  # of conjugate gradients, where a law is checked

SIGMA_MAX, SIGMA_MIN = 20.0, 0.005  # of a full draw; the prior's widest mode has a std above 2
LIBRARY_SIGMA_MAX = 2.0  # where restore starts one for thick pixels; zeroshot_spread.py has every start
SOLVE = 200  # of conjugate gradients: from so high a start the library's 40 do not do for a mask
STEPS = {"covariance": 20, "proximal": 20, "dps": 100}
SAMPLER = "dpm-solver++"
ZETAS = [0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0]
BIAS_SIDE, BIAS_DRAWS = 32, 64
SIDE, DRAWS = 64, 16
PICTURES, TUNING_PICTURES = 16, 4
PUBLISHED = {  # std ratios of published implementations on this oracle, as reported to us
    "inpainting": {"DPS": 1.20, "DiffPIR": 1.34, "PiGDM": 1.06, "DDRM": 0.56},
    "blur": {"DPS": 1.07, "DiffPIR": 1.04, "PiGDM": 0.93, "DDRM": 0.68},
    "sr": {"DPS": 0.94, "DiffPIR": 1.10, "PiGDM": 0.95},
}

NOTES = (
    "Prior: circularly stationary, power ∝ (f² + 1/n²)^(−5/4), pixel variance 1/16, mean ½; one channel, float64; "
    f"measurement noise {NOISE_STD}. "
    f"law rows ({LAW_SIDE}²): the total variance that a sampler leaves when the posterior denoiser is `covariance` "
    f"(conjugate gradients to {TIGHT:g}) and the start is the exact mean re-noised to σ₀, against the sum over the "
    "posterior's modes of c(1 − ρ²) (ancestral) or c(1 − ρ) (flows), ρ = c/(c + σ₀²). No draws: the sampler is "
    "affine, so responses to one unit of the start and of each step's noise give the law. They are taken in the basis "
    "of the exact posterior's modes, all at once with alternating signs, and `ancestral` gets its v(σ) there, one "
    "number a mode: a posterior that is not diagonal in pixels cannot give it otherwise (`without v` is the control, "
    "which must miss). That `covariance` is diagonal in that basis is checked by the `denoiser` rows, its step against "
    f"that of the exact posterior denoiser at all five σ₀. Levels are Karras's down to {LAW_SIGMA_MIN}. "
    f"mean and spread rows ({BIAS_SIDE}², {BIAS_DRAWS} draws), std and mean_of rows ({SIDE}², {DRAWS} draws): full "
    f"draws from the exact mean re-noised to {SIGMA_MAX:g}; {SAMPLER} with {STEPS['covariance']} steps for "
    f"`covariance` (the library's tolerance, up to {SOLVE} iterations of GMRES) and `proximal`, "
    f"{STEPS['dps']} steps for `dps`, whose ζ is for each task the one of {ZETAS} with the least "
    "(error of the mean)² + (std ratio − 1)² on other pictures. The error of a mean is its RMS distance from E[x|y] "
    f"over the posterior's RMS std, over {PICTURES} pictures; exact draws have √(1/draws), `floor`. The std ratio is "
    "the root of the draws' mean variance over the exact posterior's, pooled over the same pictures. Published ratios "
    "are of published implementations on the same oracle, not measured here. "
    f"std_from_{LIBRARY_SIGMA_MAX:g} rows: the same from "
    f"σ₀ = {LIBRARY_SIGMA_MAX:g}, where restore starts a draw for thick pixels. "
    "What misses from 1 there is the start and not the "
    "sampler: beside it stands the root of Σc(1 − ρ)/Σc, what an exact flow leaves. The blur is the task that has wide "
    f"modes without data; a first run of this benchmark started the std rows there too, missed the bar for the blur "
    "by that (0.92), and that is why they start higher now."
)


def main() -> None:
    print("about three and a half minutes on two cores")
    begun = time.perf_counter()
    rows = []
    for row in measure():
        print(f"{row.id:48} {row.value:10.3g}  {row.bar or '':10} {row.holds}  {dict(row.against or {})}", flush=True)
        rows.append(row)
    print(write_results("oracle_posterior", rows, NOTES, time.perf_counter() - begun))


def measure() -> Iterator[Row]:
    for task in OPERATORS:
        yield from law_rows(task)
    for task in OPERATORS:
        yield from bias_rows(task)
    for task in OPERATORS:
        yield from std_rows(task)


def law_rows(task: str) -> Iterator[Row]:
    problem = Problem.of(prior(LAW_SIDE), OPERATORS[task], NOISE_STD)
    one = problem.measured(1, SEED)
    mean = problem.mean(one)[0]
    posterior = problem.posterior(mean)

    def tight(x: Tensor, sigma: float) -> Tensor:
        data = repeated(one, len(x))
        return Covariance(autograd_pullback(problem.prior.denoise), data, ITERATIONS, TIGHT)(x, sigma)

    generator = torch.Generator().manual_seed(SEED)
    worst = 0.0
    for sigma in LAW_SIGMAS:
        x = mean + sigma * torch.randn(4, *mean.shape, generator=generator, dtype=torch.float64)
        exact = posterior.denoise(x, sigma)
        worst = max(worst, ((tight(x, sigma) - exact).norm() / (exact - mean).norm()).item())
    yield Row(
        f"oracle.posterior.denoiser.{task}",
        f"`covariance` against the exact posterior denoiser, {OPERATORS[task]}: worst relative error of its step",
        worst,
        bar="< 1e-4",
    )
    for name in SAMPLERS:
        found = {s: deviation(name, tight, posterior, mean, s, posterior.mode_variance) for s in LAW_SIGMAS}
        against = {f"σ₀ = {s:g}": value for s, value in found.items()}
        if name == "ancestral":
            last = LAW_SIGMAS[-1]
            without = deviation(name, tight, posterior, mean, last, lambda sigma: 0.0)
            against[f"without v, σ₀ = {last:g}"] = without
        law = "c(1 − ρ²)" if name == "ancestral" else "c(1 − ρ)"
        yield Row(
            f"oracle.posterior.law.{name}.{task}",
            f"{name}, {LAW_STEPS[name]} steps, `covariance`, {OPERATORS[task]}: total variance against {law}, "
            f"largest relative deviation over five σ₀",
            max(map(abs, found.values())),
            bar="< 0.03",
            against=against,
        )


def deviation(
    name: str, denoise: Denoiser, posterior: Gaussian, mean: Tensor, sigma_0: float, variance: Variance
) -> float:
    """Of the total variance at a sampler's end from its law, by unit responses in the posterior's modes."""
    steps = LAW_STEPS[name]
    sigmas = karras(sigma_0, LAW_SIGMA_MIN, steps)
    signs = torch.ones(mean.numel(), dtype=torch.float64)
    signs[1::2] = -1  # a picture of random content: what leaks between modes does not add up
    signs = signs.reshape(mean.shape)
    noisy = name == "ancestral"
    x = posterior.analyse(mean[None]).repeat(2 + (steps if noisy else 0), 1, 1, 1)
    x[0] += signs  # row 0 answers a unit of the start, the last row none, those between a unit of a step's noise

    def unit_noise(step: int) -> Tensor:
        noise = torch.zeros_like(x)
        noise[1 + step] = signs
        return noise

    def in_modes(z: Tensor, sigma: float) -> Tensor:
        return posterior.analyse(denoise(posterior.synthesise(z), sigma))

    end = sample(name, in_modes, x, sigmas, variance, unit_noise)
    answers = (end[:-1] - end[-1]) * signs
    spectrum = sigma_0**2 * answers[0] ** 2 + (answers[1:] ** 2).sum(0)
    rho = posterior.spectrum / (posterior.spectrum + sigma_0**2)
    expected = posterior.spectrum * (1 - rho ** (2 if noisy else 1))
    return (spectrum.sum() / expected.sum() - 1).item()


def bias_rows(task: str) -> Iterator[Row]:
    problem = Problem.of(prior(BIAS_SIDE), OPERATORS[task], NOISE_STD)
    zeta = tuned(problem, BIAS_DRAWS)
    for name in ("proximal", "dps"):
        found = Scores.of(problem, name, zeta, BIAS_DRAWS, PICTURES, SEED)
        what = f"`{name}`, {STEPS[name]} evaluations, {OPERATORS[task]}, {BIAS_SIDE}²"
        used = {"its zeta": zeta} if name == "dps" else {}
        yield Row(
            f"oracle.posterior.mean.{name}.{task}",
            f"{what}: error of the mean of {BIAS_DRAWS} draws in posterior stds",
            found.error,
            against={"floor": BIAS_DRAWS**-0.5} | used,
        )
        yield Row(
            f"oracle.posterior.spread.{name}.{task}",
            f"{what}: std ratio",
            found.ratio,
            interval=found.interval,
            against=used or None,
        )


def std_rows(task: str) -> Iterator[Row]:
    problem = Problem.of(prior(SIDE), OPERATORS[task], NOISE_STD)
    zeta = tuned(problem, DRAWS)
    found = {name: Scores.of(problem, name, zeta, DRAWS, PICTURES, SEED) for name in STEPS}
    ours = found.pop("covariance")
    what = f"`covariance`, {STEPS['covariance']} steps of {SAMPLER}, {OPERATORS[task]}, {SIDE}²"
    yield Row(
        f"oracle.posterior.mean_of_{DRAWS}.{task}",
        f"{what}: error of the mean of {DRAWS} draws in posterior stds",
        ours.error,
        against={"floor": DRAWS**-0.5} | {f"ours, {name}": other.error for name, other in found.items()},
    )
    yield Row(
        f"oracle.posterior.std.{task}",
        f"{what}: std ratio",
        ours.ratio,
        interval=ours.interval,
        bar="0.95..1.05",
        against={f"published {name}": ratio for name, ratio in PUBLISHED[task].items()}
        | {f"ours, {name}": other.ratio for name, other in found.items()}
        | {"dps's zeta": zeta},
    )
    low = Scores.of(problem, "covariance", zeta, DRAWS, PICTURES, SEED, LIBRARY_SIGMA_MAX)
    near = Scores.of(problem, "proximal", zeta, DRAWS, PICTURES, SEED, LIBRARY_SIGMA_MAX)
    oracle = problem.prior
    # Σc(1 − ρ) is the posterior's variance if x + σ₀n were known as well: that of a prior with less variance
    shrunk = Gaussian(oracle.mean, oracle.mode_variance(LIBRARY_SIGMA_MAX), oracle.analyse, oracle.synthesise)
    left = Problem.of(shrunk, OPERATORS[task], NOISE_STD).variance()
    yield Row(
        f"oracle.posterior.std_from_{LIBRARY_SIGMA_MAX:g}.{task}",
        f"{what}: std ratio from σ₀ = {LIBRARY_SIGMA_MAX:g}, where restore starts for thick pixels",
        low.ratio,
        interval=low.interval,
        against={"exact flow from there": (left / problem.variance()) ** 0.5, "ours, proximal": near.ratio},
    )


def tuned(problem: Problem, draws: int) -> float:
    def badness(zeta: float) -> float:
        found = Scores.of(problem, "dps", zeta, draws, TUNING_PICTURES, TUNING_SEED)
        return found.error**2 + (found.ratio - 1) ** 2

    return min(ZETAS, key=badness)


@dataclass(frozen=True)
class Scores:
    """Draws against the exact posterior.

    Args:
        error: RMS of the mean of the draws, in posterior stds.
        ratio: std of the draws over the posterior's.
        interval: of the ratio, 95 %, over pictures.
    """

    error: float
    ratio: float
    interval: tuple[float, float]

    @classmethod
    def of(
        cls, problem: Problem, name: str, zeta: float, draws: int, pictures: int, seed: int, start: float = SIGMA_MAX
    ) -> "Scores":
        data = problem.measured(pictures, seed)
        mean, variance = problem.mean(data), problem.variance()
        many = DataTerm(data.operator, data.y.repeat_interleave(draws, 0), data.noise)
        found = full_draws(problem, name, zeta, many, mean.repeat_interleave(draws, 0), start)
        found = found.reshape(pictures, draws, -1)
        error = (found.mean(1) - mean.flatten(1)).square().mean() / variance
        shares = found.var(1).mean(1) / variance
        margin = 1.96 * shares.std() / pictures**0.5
        low, middle, high = (shares.mean() + margin * torch.tensor([-1.0, 0.0, 1.0])).clamp(min=0).sqrt().tolist()
        return cls(error.sqrt().item(), middle, (low, high))


def full_draws(problem: Problem, name: str, zeta: float, data: DataTerm, mean: Tensor, start: float) -> Tensor:
    """One draw for each item of the measurement, from its own exact mean re-noised."""
    generator = torch.Generator().manual_seed(3)
    unit: Callable[[], Tensor] = partial(torch.randn, mean.shape, generator=generator, dtype=torch.float64)
    oracle = problem.prior
    x = mean + start * unit()
    sigmas = karras(start, SIGMA_MIN, STEPS[name])
    if name == "dps":
        return dps(autograd_pullback(oracle.denoise), data, x, sigmas, zeta, lambda step: unit())
    posterior: Denoiser
    if name == "covariance":
        posterior = Covariance(autograd_pullback(oracle.denoise), data, SOLVE)
    else:
        posterior = Proximal(oracle.denoise, data, PIXEL_VARIANCE)
    return sample(SAMPLER, posterior, x, sigmas, oracle.variance, lambda step: unit())


def repeated(data: DataTerm, count: int) -> DataTerm:
    return DataTerm(data.operator, data.y.expand(count, *data.y.shape[1:]), data.noise)


if __name__ == "__main__":
    main()
