"""Small linear problems under a Gaussian prior, with their exact posteriors."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from veriscale.diffusion.oracles import Gaussian, coloured_spectrum
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.operator import LinearOperator, Shape

SIDE, NOISE_STD = 16, 0.05


@dataclass(frozen=True)
class Box(LinearOperator):
    """Means over 4×4 pixels."""

    name: ClassVar[str] = "box"

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 4)

    def adjoint(self, y: Tensor) -> Tensor:
        return y.repeat_interleave(4, -1).repeat_interleave(4, -2) / 16

    def norm(self, shape: Shape) -> float:
        return 0.25

    def measurement_shape(self, shape: Shape) -> Shape:
        return (shape[0], shape[1] // 4, shape[2] // 4)

    def truth_shape(self, shape: Shape) -> Shape:
        return (shape[0], 4 * shape[1], 4 * shape[2])

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Half(LinearOperator):
    """Every second pixel by chance."""

    name: ClassVar[str] = "half"
    selects: ClassVar[bool] = True

    def forward(self, x: Tensor) -> Tensor:
        return x * self.support(tuple(x.shape[1:])).to(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.forward(y)

    def norm(self, shape: Shape) -> float:
        return 1.0

    def support(self, shape: Shape) -> Tensor:
        chance = torch.rand(1, *shape[-2:], generator=torch.Generator().manual_seed(5))
        return (chance < 0.5).float()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Smear(LinearOperator):
    """A circular mean over two rows and three columns, which leaves no symmetry to be lucky with."""

    name: ClassVar[str] = "smear"

    def forward(self, x: Tensor) -> Tensor:
        return self._mean(x, 1)

    def adjoint(self, y: Tensor) -> Tensor:
        return self._mean(y, -1)

    def norm(self, shape: Shape) -> float:
        return 1.0

    def __str__(self) -> str:
        return self.name

    def _mean(self, x: Tensor, way: int) -> Tensor:
        x = x + x.roll(way, -2)
        return (x + x.roll(way, -1) + x.roll(2 * way, -1)) / 6


OPERATORS: dict[str, LinearOperator] = {"box": Box(), "half": Half(), "smear": Smear()}


def coloured() -> Gaussian:
    """A prior with the spectrum of photographs, (1, SIDE, SIDE)."""
    mean = torch.full((1, SIDE, SIDE), 0.5, dtype=torch.float64)
    return Gaussian.stationary(mean, coloured_spectrum(SIDE, SIDE, exponent=2.5, variance=1 / 16))


def coloured_of(side: int) -> Gaussian:
    """The same of another size."""
    mean = torch.full((1, side, side), 0.5, dtype=torch.float64)
    return Gaussian.stationary(mean, coloured_spectrum(side, side, exponent=2.5, variance=1 / 16))


def white(variance: float) -> Gaussian:
    """Independent pixels around ½, (1, SIDE, SIDE)."""
    return Gaussian.diagonal(torch.full((1, SIDE, SIDE), 0.5), torch.tensor(variance))


def measured(
    prior: Gaussian, operator: LinearOperator, count: int = 1, noise_std: float = NOISE_STD, seed: int = 0
) -> tuple[Tensor, DataTerm]:
    """Truths and their measurement, (count, 1, …) each."""
    generator = torch.Generator().manual_seed(seed)
    x = prior.sample(count, generator)
    clean = operator.forward(x)
    noise = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    return x, DataTerm(operator, clean + noise_std * noise, GaussianNoise(noise_std))


def posteriors(prior: Gaussian, data: DataTerm) -> list[Gaussian]:
    """The exact posterior of every item."""
    unit = torch.eye(prior.mean.numel(), dtype=torch.float64).reshape(-1, *prior.mean.shape)
    matrix = data.operator.forward(unit).flatten(1).T
    return [prior.posterior_projected(y.flatten(), matrix, data.noise_std) for y in data.y]


def posteriors_of(prior: Gaussian, operator: LinearOperator) -> tuple[DataTerm, Tensor, float]:
    """One measurement, its exact mean (1, 1, H, W) and the posterior's variance per pixel; values not seen cost none.

    Source: E[x | y] = μ + CAᵀ(ACAᵀ + s²)⁻¹(y − Aμ).
    """
    _, data = measured(prior, operator)
    unit = torch.eye(prior.mean.numel(), dtype=torch.float64).reshape(-1, *prior.mean.shape)
    columns = operator.forward(unit)
    support = operator.support(tuple(columns.shape[1:]))
    seen = slice(None) if support is None else support.expand(columns.shape[1:]).flatten() > 0
    matrix = columns.flatten(1).T[seen]
    joint = prior.synthesise(prior.spectrum * prior.analyse(matrix.reshape(-1, *prior.mean.shape))).flatten(1)
    factor = torch.linalg.cholesky(joint @ matrix.T + NOISE_STD**2 * torch.eye(len(matrix), dtype=torch.float64))
    rest = data.y.flatten(1)[:, seen] - matrix @ prior.mean.flatten()
    mean = prior.mean + (torch.cholesky_solve(rest.T, factor).T @ joint).reshape(-1, *prior.mean.shape)
    explained = torch.linalg.solve_triangular(factor, joint, upper=False).square().sum()
    return data, mean, float(prior.spectrum.mean() - explained / prior.mean.numel())


def relative(found: Tensor, expected: Tensor) -> float:
    """Largest relative error of an item."""
    return float(((found - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)).max())
