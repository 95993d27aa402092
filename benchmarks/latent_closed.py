"""latent.closed.*: a linear decoder of N(0, I) latents, where both stages have a closed form."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from results import Row
from veriscale.diffusion.samplers import heun
from veriscale.diffusion.schedule import karras
from veriscale.latent.autoencoder import Autoencoder
from veriscale.latent.misfit import LatentMisfit, dps_length
from veriscale.latent.new_networks import new_schedule
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.registry import parse_operator
from veriscale.traversal.anchor import consistent_weight, paper
from veriscale.traversal.dps import dps
from veriscale.traversal.posterior import Proximal, autograd_pullback
from veriscale.traversal.presets import LATENT_DEFAULT

SIDE, LATENTS, NOISE = 16, (4, 8, 8), 0.1
LEVEL = 0.02  # t₁ of stage 1: what its noise leaves of error is proportional to it
TOP, LAST, STEPS = 20.0, 0.01, 40
DRAWS, ZETAS = 256, (0.1, 0.3, 1.0)
OPERATORS = {
    "inpainting": "inpaint:keep=0.5",
    "sr": "downsample:factor=2,kernel=box",
    "sensing": "sensing:ratio=0.5",
}
GAINS = torch.tensor([0.5, 0.3, 0.2, 0.2], dtype=torch.float64)
HAAR = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=torch.float64) / 2
FILTERS = (GAINS[:, None] * HAAR).view(4, 1, 2, 2)


def decode(z: Tensor) -> Tensor:
    return 0.5 + torch.nn.functional.conv_transpose2d(z, FILTERS, stride=2)


def encode(x: Tensor) -> Tensor:
    return torch.nn.functional.conv2d(x - 0.5, FILTERS, stride=2) / GAINS.view(1, 4, 1, 1) ** 2


def denoise(z: Tensor, sigma: float) -> Tensor:
    return z / (1 + sigma**2)


def unit(step: int, count: int = 1) -> Tensor:
    rng = np.random.default_rng([step, count])
    return torch.from_numpy(rng.standard_normal((count, *LATENTS)))


@dataclass
class Problem:
    """A measurement of a decoded latent, and its posterior."""

    misfit: LatentMisfit
    mean: Tensor
    trace: float

    @classmethod
    def of(cls, text: str) -> "Problem":
        operator = parse_operator(text)
        y = operator.forward(decode(unit(77)))
        noise = torch.from_numpy(np.random.default_rng(5).standard_normal(tuple(y.shape)))
        support = operator.support(tuple(y.shape[1:]))
        seen = 1.0 if support is None else support
        data = DataTerm(operator, (y + NOISE * noise) * seen, GaussianNoise(NOISE))
        coder = Autoencoder(encode, decode, 2, 4, torch.device("cpu"), torch.float64)
        grey = decode(torch.zeros(1, *LATENTS, dtype=torch.float64))
        basis = torch.eye(int(np.prod(LATENTS)), dtype=torch.float64).view(-1, *LATENTS)
        rows = (operator.forward(decode(basis) - grey) * seen).flatten(1)
        rest = ((data.y - operator.forward(grey)) * seen).flatten()
        covariance = torch.linalg.inv(rows @ rows.T / NOISE**2 + torch.eye(len(rows), dtype=torch.float64))
        mean = (covariance @ (rows @ rest)).view(1, *LATENTS) / NOISE**2
        return cls(LatentMisfit(coder, data, (SIDE, SIDE)), mean, float(covariance.trace()))


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def affine(problem: Problem) -> tuple[Tensor, float]:
    """Mean and trace of the covariance of draws, without chance: the flow maps its start's noise linearly."""
    size = problem.mean.numel()
    starts = torch.cat([torch.zeros(1, size, dtype=torch.float64), torch.eye(size, dtype=torch.float64)])
    many = problem.misfit.of(len(starts))
    ends = heun(Proximal(denoise, many, 1.0), TOP * starts.view(-1, *LATENTS), karras(TOP, LAST, STEPS))
    return ends[:1], float((ends[1:] - ends[:1]).square().sum())


def rows() -> list[Row]:
    found, knobs = [], LATENT_DEFAULT
    usual = new_schedule(latents=True).level(knobs.timestep)  # of our own prior
    for name, text in OPERATORS.items():
        problem = Problem.of(text)
        weight = consistent_weight(NOISE, LEVEL, 1.0)
        z = paper(denoise, problem.misfit, iterations=1000, weight=weight, rate=0.1, sigma=LEVEL, noise=unit).x
        what = f"linear decoder, {text}: "
        off = relative(z, problem.mean)
        found.append(Row(f"latent.closed.{name}.stage1", what + "the anchor off the closed form", off, bar="<= 0.02"))
        weight = consistent_weight(NOISE, usual, 1.0)
        z = paper(
            denoise,
            problem.misfit,
            iterations=knobs.iterations,
            weight=weight,
            rate=knobs.rate,
            sigma=usual,
            noise=unit,
        ).x
        said = f"the same with our default settings, {knobs.iterations} iterations at σ = {usual:.2g}"
        found.append(Row(f"latent.closed.{name}.stage1_default", what + said, relative(z, problem.mean)))
        mean, trace = affine(problem)
        what += "gauss-newton, "
        off = relative(mean, problem.mean)
        found.append(Row(f"latent.closed.{name}.stage2", what + "mean of draws off it", off, bar="<= 0.02"))
        ratio = trace / problem.trace
        found.append(Row(f"latent.closed.{name}.stage2_variance", what + "variance over it", ratio, bar="0.98..1.02"))
        many, pullback = problem.misfit.of(DRAWS), autograd_pullback(denoise)
        for zeta in ZETAS:
            noise = partial(unit, count=DRAWS)
            ends = dps(pullback, many, TOP * unit(9, DRAWS), karras(TOP, LAST, 100), zeta, noise, length=dps_length)
            spread = float((ends - ends.mean(0)).square().sum() / (DRAWS - 1)) / problem.trace
            what = f"linear decoder, {text}: dps at zeta {zeta:g}, mean of {DRAWS} draws off the closed form"
            off = relative(ends.mean(0, keepdim=True), problem.mean)
            key = f"latent.closed.{name}.dps_{zeta:g}"
            chance = (problem.trace / DRAWS) ** 0.5 / float(problem.mean.norm())
            found.append(Row(key, what, off, against={"variance over its": spread, "of chance alone": chance}))
    return found
