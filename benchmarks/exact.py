"""Linear measurements of a Gaussian oracle, with their exact posterior mean and variance."""

from dataclasses import dataclass

import torch
from torch import Tensor

from veriscale.diffusion.oracles import Gaussian, coloured_spectrum
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.operator import LinearOperator
from veriscale.physics.registry import parse_operator

PIXEL_VARIANCE = 1 / 16


def prior(side: int) -> Gaussian:
    """Power ∝ (f² + 1/n²)^(−5/4), pixel variance 1/16, mean ½: (1, side, side)."""
    spectrum = coloured_spectrum(side, side, exponent=2.5, variance=PIXEL_VARIANCE)
    return Gaussian.stationary(torch.full((1, side, side), 0.5), spectrum)


@dataclass(frozen=True)
class Problem:
    """A prior, an operator and the posterior of what it measures.

    Args:
        prior: (1, H, W).
        operator: linear.
        noise_std: s.
        matrix: A as (m, n).
        joint: AC, (m, n).
        factor: Cholesky factor of ACAᵀ + s².
    """

    prior: Gaussian
    operator: LinearOperator
    noise_std: float
    matrix: Tensor
    joint: Tensor
    factor: Tensor

    @classmethod
    def of(cls, oracle: Gaussian, text: str, noise_std: float) -> "Problem":
        operator = parse_operator(text)
        assert isinstance(operator, LinearOperator)
        event = tuple(oracle.mean.shape)
        unit = torch.eye(oracle.mean.numel(), dtype=torch.float64).reshape(-1, *event)
        columns = operator.forward(unit)
        matrix = columns.flatten(1).T
        support = operator.support(tuple(columns.shape[1:]))
        if support is not None:  # values that are not measured say nothing, and cost a row each
            matrix = matrix[support.expand(columns.shape[1:]).flatten() > 0]
        rows = matrix.reshape(-1, *event)
        joint = oracle.synthesise(oracle.spectrum * oracle.analyse(rows)).flatten(1)
        gram = joint @ matrix.T + noise_std**2 * torch.eye(len(matrix), dtype=torch.float64)
        return cls(oracle, operator, noise_std, matrix, joint, torch.linalg.cholesky(gram))

    def measured(self, count: int, seed: int) -> DataTerm:
        """Measurements of `count` pictures."""
        generator = torch.Generator().manual_seed(seed)
        clean = self.operator.forward(self.prior.sample(count, generator))
        noise = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
        return DataTerm(self.operator, clean + self.noise_std * noise, GaussianNoise(self.noise_std))

    def mean(self, data: DataTerm) -> Tensor:
        """E[x | y] of every item."""
        support = self.operator.support(tuple(data.y.shape[1:]))
        y = data.y.flatten(1)
        if support is not None:
            y = y[:, support.expand(data.y.shape[1:]).flatten() > 0]
        rest = y - self.matrix @ self.prior.mean.flatten()
        step = torch.cholesky_solve(rest.T, self.factor).T @ self.joint
        return self.prior.mean + step.reshape(-1, *self.prior.mean.shape)

    def variance(self) -> float:
        """Var[x | y], the average over pixels."""
        explained = torch.linalg.solve_triangular(self.factor, self.joint, upper=False).square().sum()
        return self.prior.spectrum.mean().item() - explained.item() / self.prior.mean.numel()

    def posterior(self, mean: Tensor) -> Gaussian:
        """The law of x given a y, by its mean (1, H, W), with its modes; small pictures only."""
        explained = torch.linalg.solve_triangular(self.factor, self.joint, upper=False)
        covariance = self.prior.covariance() - explained.T @ explained
        return Gaussian.dense(mean, (covariance + covariance.T) / 2)
