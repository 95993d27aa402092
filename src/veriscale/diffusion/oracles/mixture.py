"""The oracle of Gaussian mixtures: several modes, where draws and means differ in kind."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from veriscale.diffusion.oracles.gaussian import Gaussian


@dataclass(frozen=True, eq=False)
class Mixture:
    """Σ w_k N(μ_k, Σ_k), float64.

    Args:
        weights: (K,), summing to 1.
        components: K Gaussians over events of one shape.
    """

    weights: Tensor
    components: Sequence[Gaussian]

    @property
    def mean(self) -> Tensor:
        """E[x], (*event)."""
        means = torch.stack([component.mean for component in self.components])
        return torch.einsum("k,k...->...", self.weights, means)

    def total_variance(self) -> float:
        """Var[x], the average over pixels: within the components and between them."""
        within = torch.stack([component.spectrum.mean() for component in self.components])
        between = torch.stack([((component.mean - self.mean) ** 2).mean() for component in self.components])
        return (self.weights @ (within + between)).item()

    def responsibilities(self, x: Tensor, sigma: float) -> Tensor:
        """P(component | x_σ = x) of each event of a batch, (B, K)."""
        return torch.softmax(self._joint(x, sigma), dim=1)

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """E[x₀ | x₀ + σn = x] of a batch (B, *event)."""
        means = torch.stack([component.denoise(x, sigma) for component in self.components], dim=1)
        return torch.einsum("bk,bk...->b...", self.responsibilities(x, sigma), means)

    def posterior_variance(self, x: Tensor, sigma: float) -> Tensor:
        """Var[x₀ | x_σ = x] of each pixel of a batch, (B, *event)."""
        means = torch.stack([component.denoise(x, sigma) for component in self.components], dim=1)
        within = torch.stack([component.pixel_variance(sigma) for component in self.components])
        shares = self.responsibilities(x, sigma)
        between = (means - torch.einsum("bk,bk...->b...", shares, means)[:, None]) ** 2
        return torch.einsum("bk,bk...->b...", shares, between + within)

    def pixel_variance(self, sigma: float, draws: int = 16_384) -> Tensor:
        """Var[x₀ | x_σ] of each pixel, (*event), averaged over the same `draws` draws of x_σ at every call."""
        generator = torch.Generator().manual_seed(0)
        x = self.sample(draws, generator)
        x = x + sigma * torch.randn(x.shape, dtype=torch.float64, generator=generator)
        return self.posterior_variance(x, sigma).mean(0)

    def variance(self, sigma: float) -> float:
        """v(σ) = Var[x₀ | x_σ], the average over pixels."""
        return self.pixel_variance(sigma).mean().item()

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` draws, (count, *event)."""
        choice = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        draws = torch.empty(count, *self.components[0].mean.shape, dtype=torch.float64)
        for k, component in enumerate(self.components):
            chosen = choice == k
            draws[chosen] = component.sample(int(chosen.sum()), generator)
        return draws

    def log_density(self, x: Tensor, sigma: float = 0.0) -> Tensor:
        """log p(x₀ + σn = x) of each event of a batch, (B,)."""
        return torch.logsumexp(self._joint(x, sigma), dim=1)

    def posterior_filtered(self, y: Tensor, gain: Tensor, noise_std: float) -> "Mixture":
        """The law of x given one measurement y, (*event); see `Gaussian.filtered`."""
        laws = [component.filtered(gain, noise_std) for component in self.components]
        posteriors = [component.posterior_filtered(y, gain, noise_std) for component in self.components]
        return Mixture(self._reweighted(y, laws), posteriors)

    def posterior_projected(self, y: Tensor, matrix: Tensor, noise_std: float) -> "Mixture":
        """The law of x given one measurement y, (m,); see `Gaussian.projected`."""
        laws = [component.projected(matrix, noise_std) for component in self.components]
        posteriors = [component.posterior_projected(y, matrix, noise_std) for component in self.components]
        return Mixture(self._reweighted(y, laws), posteriors)

    def _joint(self, x: Tensor, sigma: float) -> Tensor:
        densities = torch.stack([component.log_density(x, sigma) for component in self.components], dim=1)
        return densities + self.weights.log()

    def _reweighted(self, y: Tensor, laws: Sequence[Gaussian]) -> Tensor:
        evidence = torch.cat([law.log_density(y[None]) for law in laws])
        return torch.softmax(self.weights.log() + evidence, dim=0)
