"""Samplers against the laws of oracles: writes docs/results/oracles.json.

Gaussian rows are exact (`output_law`: every mode's variance follows from unit responses, no draws); mixture rows are
100,000 draws each. Run: python benchmarks/oracles.py
"""

import time
from collections.abc import Iterator

import torch

from results import Row, write_results
from veriscale.diffusion.oracles import Gaussian, Mixture, coloured_spectrum, output_law
from veriscale.diffusion.samplers import SAMPLERS, Variance, sample
from veriscale.diffusion.schedule import geometric, karras

SIZE = 32
PIXEL_VARIANCE = 0.06  # of a photograph on [0, 1]
SIGMA_MIN = 0.005
SIGMA_MAX = {"white": 5.0, "coloured": 20.0, "mixture": 5.0}  # the coloured mean pixel has a mode of std 1.8
MIXTURE_DRAWS = 100_000
MIXTURE_STEPS = 100
RENOISE_SIGMAS = [0.02, 0.05, 0.1, 0.3, 1.0]
RENOISE_SIGMA_MIN = 0.001
NOISE_STD = 0.05  # of the measurement whose posterior is re-noised into

NOTES = (
    "Variance errors are of the total over modes, in per cent of the target's; the worst single mode stands beside. "
    "Mean errors are the RMS over pixels in per cent of the target's pixel std. Gaussian rows are exact, no draws, "
    f"on {SIZE}² pixels of variance {PIXEL_VARIANCE}: white, and coloured by 1/(f² + f₀²). A sampler starts from the "
    f"target's mean plus σ_max of white noise, σ_max = {SIGMA_MAX['white']:g} (white, mixtures) or "
    f"{SIGMA_MAX['coloured']:g} (coloured, whose widest mode has a std of 1.8), and visits Karras levels (ρ = 7, the "
    f"default) down to {SIGMA_MIN}. From there a Gaussian's mean is a fixed point, so that its rows check just this; "
    "the start_error rows tell what becomes of a wrong mean. Spacing rows repeat the 20-step runs with ρ = 10 and "
    "geometric levels. Controls: v(σ) as one number is exact for white covariance only; without v every target fails. "
    f"Mixtures: {MIXTURE_DRAWS:,} draws in 4 dimensions a row, v(σ) per pixel, averaged over x; intervals are 95 %. "
    "The variance a mixture leaves depends on x, which the sampler's v does not: `ancestral` stays behind the flows, "
    "and more so from a needlessly high σ_max, which leaves fewer steps where it matters (far_start rows). "
    f"Renoise: posterior of the coloured prior under a Gaussian blur and noise std {NOISE_STD}, from its exact mean, "
    f"100 steps down to {RENOISE_SIGMA_MIN}, against c(1 − ρ²) (ancestral) or c(1 − ρ) (flows), ρ = c/(c + σ₀²)."
)


def main() -> None:
    print("about a minute on one core")
    started = time.perf_counter()
    rows = []
    for row in [*gaussian_rows(), *control_rows(), *spacing_rows(), *mixture_rows(), *renoise_rows()]:
        print(f"{row.id:70} {row.value:9.3f} {row.unit}  {row.bar or '':9} {'' if row.holds is None else row.holds}")
        rows.append(row)
    print(write_results("oracles", rows, NOTES, time.perf_counter() - started))


def targets() -> dict[str, Gaussian]:
    generator = torch.Generator().manual_seed(0)
    mean = torch.rand(SIZE, SIZE, generator=generator, dtype=torch.float64)
    spectrum = coloured_spectrum(SIZE, SIZE, exponent=2, variance=PIXEL_VARIANCE)
    return {
        "white": Gaussian.diagonal(mean, torch.tensor(PIXEL_VARIANCE)),
        "coloured": Gaussian.stationary(mean, spectrum),
    }


def renoised(mean: torch.Tensor, sigma: float, oracle: Gaussian) -> Gaussian:
    """The law of a picture plus white noise, in the oracle's modes."""
    return Gaussian(mean, torch.full_like(oracle.spectrum, sigma**2), oracle.analyse, oracle.synthesise)


def end_of(name: str, kind: str, oracle: Gaussian, steps: int, variance: Variance, spacing=karras) -> Gaussian:
    sigma_max = SIGMA_MAX[kind]
    sigmas = spacing(sigma_max, SIGMA_MIN, steps)
    return output_law(name, oracle, renoised(oracle.mean, sigma_max, oracle), sigmas, variance)


def percent_off(found: torch.Tensor, expected: torch.Tensor) -> tuple[float, float]:
    """Of the total, and of the worst entry."""
    total = 100 * (found.sum() / expected.sum() - 1).item()
    each = 100 * (found / expected - 1)
    return total, each.flatten()[each.abs().argmax()].item()


def gaussian_rows() -> Iterator[Row]:
    for kind, oracle in targets().items():
        for name in SAMPLERS:
            for steps in (20, 100):
                bar = 1 if name == "ancestral" or steps == 100 else 6
                end = end_of(name, kind, oracle, steps, oracle.mode_variance)
                total, worst = percent_off(end.spectrum, oracle.spectrum)
                mean = 100 * ((end.mean - oracle.mean) ** 2).mean().sqrt().item() / PIXEL_VARIANCE**0.5
                where = f"oracle.sampler.{name}_{steps}.{kind}"
                what = f"{name}, {steps} steps, {kind} Gaussian"
                yield Row(f"{where}.mean", f"{what}: mean error", mean, "%", bar=f"<= {bar}")
                yield Row(
                    f"{where}.variance",
                    f"{what}: variance error",
                    total,
                    "%",
                    bar=f"-{bar}..{bar}",
                    against={"worst mode": worst},
                )


def control_rows() -> Iterator[Row]:
    """One number for v, and none: each must fail the bar of v per mode where theory says so."""
    for kind, oracle in targets().items():
        for steps in (20, 100):
            scalar = end_of("ancestral", kind, oracle, steps, oracle.variance)
            missing = end_of("ancestral", kind, oracle, steps, lambda sigma: 0.0)
            where = f"oracle.sampler.ancestral_{steps}.{kind}"
            what = f"ancestral, {steps} steps, {kind} Gaussian"
            yield Row(
                f"{where}.scalar_v",
                f"{what}: variance error with v as one number" + ("" if kind == "white" else " (must fail)"),
                percent_off(scalar.spectrum, oracle.spectrum)[0],
                "%",
                bar="-1..1" if kind == "white" else "< -1",
            )
            yield Row(
                f"{where}.missing_v",
                f"{what}: variance error without v (must fail)",
                percent_off(missing.spectrum, oracle.spectrum)[0],
                "%",
                bar="< -5",
            )


def spacing_rows() -> Iterator[Row]:
    spacings = {"rho_10": lambda *levels: karras(*levels, rho=10), "geometric": geometric}
    for kind, oracle in targets().items():
        for name in ("heun", "dpm-solver++"):
            for label, spacing in spacings.items():
                end = end_of(name, kind, oracle, 20, oracle.mode_variance, spacing)
                total, worst = percent_off(end.spectrum, oracle.spectrum)
                yield Row(
                    f"oracle.sampler.{name}_20.{kind}.variance_{label}",
                    f"{name}, 20 steps, {kind} Gaussian: variance error with {label.replace('_', ' ')} spacing",
                    total,
                    "%",
                    against={"worst mode": worst},
                )


def mixtures() -> dict[str, Mixture]:
    def tensor(*values: float) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64)

    equal = [tensor(0.2, 0.3, 0.5, 0.6), tensor(0.7, 0.6, 0.4, 0.6)]
    unequal = [
        Gaussian.diagonal(tensor(0.2, 0.3, 0.5, 0.6), tensor(0.01)),
        Gaussian.diagonal(tensor(0.5, 0.6, 0.4, 0.4), tensor(0.0009)),
        Gaussian.diagonal(tensor(0.8, 0.2, 0.4, 0.6), tensor(0.02, 0.005, 0.002, 0.01)),
    ]
    return {
        "two_equal": Mixture(tensor(0.3, 0.7), [Gaussian.diagonal(mean, tensor(0.0025)) for mean in equal]),
        "three_unequal": Mixture(tensor(0.2, 0.5, 0.3), unequal),
    }


def mixture_rows() -> Iterator[Row]:
    for kind, target in mixtures().items():
        for name in SAMPLERS:
            where = f"oracle.sampler.{name}_{MIXTURE_STEPS}.mixture_{kind}"
            what = f"{name}, {MIXTURE_STEPS} steps, mixture of {kind.replace('_', ' ')} Gaussians"
            draws = mixture_draws(name, target, target.pixel_variance)
            off = (draws.mean(0) - target.mean) / target.total_variance() ** 0.5
            yield Row(f"{where}.mean", f"{what}: mean error", 100 * off.square().mean().sqrt().item(), "%", bar="<= 2")
            yield spread_row(f"{where}.variance", f"{what}: variance error", draws, target, "-2..2")
        scalar = mixture_draws("ancestral", target, target.variance)
        yield spread_row(f"{where}.scalar_v", f"{what}: variance error with v as one number", scalar, target)
        missing = mixture_draws("ancestral", target, lambda sigma: 0.0)
        without = f"{what}: variance error without v (must fail)"
        yield spread_row(f"{where}.missing_v", without, missing, target, "< -2")
        far = mixture_draws("ancestral", target, target.pixel_variance, sigma_max=4 * SIGMA_MAX["mixture"])
        yield spread_row(f"{where}.far_start", f"{what}: variance error from four times σ_max", far, target)


def mixture_draws(
    name: str, target: Mixture, variance: Variance, sigma_max: float = SIGMA_MAX["mixture"]
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)

    def unit(step: int) -> torch.Tensor:
        return torch.randn(MIXTURE_DRAWS, *target.mean.shape, generator=generator, dtype=torch.float64)

    start = target.mean + sigma_max * unit(0)
    return sample(name, target.denoise, start, karras(sigma_max, SIGMA_MIN, MIXTURE_STEPS), variance, unit)


def spread_row(where: str, what: str, draws: torch.Tensor, target: Mixture, bar: str | None = None) -> Row:
    shares = ((draws - draws.mean(0)) ** 2).mean(1) / target.total_variance()
    error = 100 * (shares.mean().item() - 1)
    margin = 196 * shares.std().item() / len(draws) ** 0.5
    return Row(where, what, error, "%", (error - margin, error + margin), bar)


def renoise_rows() -> Iterator[Row]:
    prior = targets()["coloured"]
    frequency = torch.fft.fftfreq(SIZE, dtype=torch.float64)
    radius = frequency[:, None] ** 2 + frequency[None, :] ** 2
    blur = (-2 * torch.pi**2 * radius).exp()  # a Gaussian kernel of std 1 pixel
    posterior = prior.posterior_filtered(prior.filtered(blur, NOISE_STD).mean, blur, NOISE_STD)
    for name in SAMPLERS:
        for sigma in RENOISE_SIGMAS:
            sigmas = karras(sigma, RENOISE_SIGMA_MIN, 100)
            end = output_law(
                name, posterior, renoised(posterior.mean, sigma, posterior), sigmas, posterior.mode_variance
            )
            rho = posterior.spectrum / (posterior.spectrum + sigma**2)
            expected = posterior.spectrum * (1 - rho**2 if name == "ancestral" else 1 - rho)
            total, worst = percent_off(end.spectrum, expected)
            formula = "c(1 − ρ²)" if name == "ancestral" else "c(1 − ρ)"
            yield Row(
                f"oracle.renoise.{name}.sigma_{sigma:g}",
                f"{name} from the posterior mean re-noised to σ₀ = {sigma:g}, 100 steps: variance against {formula}",
                total,
                "%",
                bar="-3..3",
                against={"worst mode": worst},
            )
        yield start_row(name, posterior)


def start_row(name: str, oracle: Gaussian) -> Row:
    """Start from a mean one off in every mode."""
    sigma = 0.3
    off = oracle.mean + oracle.synthesise(torch.ones_like(oracle.mean)[None])[0]
    sigmas = karras(sigma, RENOISE_SIGMA_MIN, 100)
    end = output_law(name, oracle, renoised(off, sigma, oracle), sigmas, oracle.mode_variance)
    rho = oracle.spectrum / (oracle.spectrum + sigma**2)
    left = oracle.analyse((end.mean - oracle.mean)[None])[0]
    total, worst = percent_off(left, rho if name == "ancestral" else rho.sqrt())
    return Row(
        f"oracle.renoise.{name}.start_error",
        f"{name}, 100 steps from σ₀ = {sigma:g}: what is left of a start's error against "
        + ("ρ" if name == "ancestral" else "√ρ"),
        total,
        "%",
        bar="-3..3",
        against={"worst mode": worst},
    )


if __name__ == "__main__":
    main()
