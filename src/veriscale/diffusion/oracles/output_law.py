"""The exact law of what a sampler returns on a Gaussian: no Monte Carlo, whatever the step count."""

import torch
from torch import Tensor

from veriscale.diffusion.oracles.gaussian import Gaussian
from veriscale.diffusion.samplers import Variance, sample


def output_law(name: str, oracle: Gaussian, start: Gaussian, sigmas: Tensor, variance: Variance) -> Gaussian:
    """Push the law of the start through a sampler.

    In the oracle's modes a sampler is affine in its start and in each step's noise, one coordinate at a time; so the
    responses to one unit of each, all in one batch, give the law of the output.

    Args:
        name: a sampler of `SAMPLERS`.
        oracle: whose denoiser is sampled.
        start: law at sigmas[0], in the oracle's modes.
        sigmas: (N + 1,) decreasing, last 0.
        variance: σ → Var[x₀ | x_σ] for `ancestral`: one number or per mode.

    Returns:
        The output's law, in the oracle's modes.
    """
    modes = oracle.in_modes()
    steps = len(sigmas) - 1
    x = oracle.analyse(start.mean[None]).repeat(steps + 2, *[1] * start.mean.dim())
    x[steps] += 1  # row `steps` answers a unit of the start, row j a unit of step j's noise, the last row none

    def unit_noise(step: int) -> Tensor:
        noise = torch.zeros_like(x)
        noise[step] = 1
        return noise

    end = sample(name, modes.denoise, x, sigmas, variance, unit_noise)
    responses = end[:-1] - end[-1]
    spectrum = responses[steps] ** 2 * start.spectrum + (responses[:steps] ** 2).sum(0)
    return Gaussian(oracle.synthesise(end[-1:])[0], spectrum, oracle.analyse, oracle.synthesise)
