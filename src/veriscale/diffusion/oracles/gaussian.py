"""The Gaussian oracle N(μ, Σ), with Σ diagonal in an orthonormal real basis: its modes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Transform = Callable[[Tensor], Tensor]
"""(B, *event) → (B, *event), orthonormal and real."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """N(μ, Σ) over events of any shape, float64; made by `diagonal`, `stationary` or `dense`.

    Args:
        mean: (*event), in pixels.
        spectrum: (*event), variance of each mode.
        analyse: pixels → modes.
        synthesise: modes → pixels, its transpose.
    """

    mean: Tensor
    spectrum: Tensor
    analyse: Transform
    synthesise: Transform

    @classmethod
    def diagonal(cls, mean: Tensor, variance: Tensor) -> "Gaussian":
        """Independent pixels; `variance` broadcasts to the mean's shape."""
        return cls(mean.double(), variance.double().expand(mean.shape), _identity, _identity)

    @classmethod
    def stationary(cls, mean: Tensor, spectrum: Tensor) -> "Gaussian":
        """Circularly stationary over the last two axes.

        Args:
            mean: (…, H, W).
            spectrum: (H, W) in the order of fft2, even (equal at ±frequency); its average is the pixel variance.
        """
        return cls(mean.double(), spectrum.double().expand(mean.shape), _hartley, _hartley)

    @classmethod
    def dense(cls, mean: Tensor, covariance: Tensor) -> "Gaussian":
        """Any covariance, (n, n) over the flattened event."""
        spectrum, vectors = torch.linalg.eigh(covariance.double())
        return cls(
            mean.double(),
            spectrum.clamp(min=0).reshape(mean.shape),  # rounding makes zero eigenvalues slightly negative
            lambda x: (x.flatten(1) @ vectors).reshape(x.shape),
            lambda x: (x.flatten(1) @ vectors.T).reshape(x.shape),
        )

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """E[x₀ | x₀ + σn = x] of a batch (B, *event): each mode shrunk to its mean by c/(c + σ²)."""
        gain = self.spectrum / (self.spectrum + sigma**2)
        return self.mean + self.synthesise(gain * self.analyse(x - self.mean))

    def mode_variance(self, sigma: float) -> Tensor:
        """Var[x₀ | x_σ] of each mode, (*event): cσ²/(c + σ²)."""
        return self.spectrum * sigma**2 / (self.spectrum + sigma**2)

    def variance(self, sigma: float) -> float:
        """v(σ) = Var[x₀ | x_σ], the average over pixels."""
        return self.mode_variance(sigma).mean().item()

    def pixel_variance(self, sigma: float) -> Tensor:
        """Var[x₀ | x_σ] of each pixel, (*event); goes through an (n, n) matrix."""
        squares = self._vectors() ** 2
        return (self.mode_variance(sigma).flatten() @ squares).reshape(self.mean.shape)

    def in_modes(self) -> "Gaussian":
        """The same law seen in its mode basis, where it is diagonal and v per mode is v per coordinate."""
        return Gaussian.diagonal(self.analyse(self.mean[None])[0], self.spectrum)

    def covariance(self) -> Tensor:
        """Σ as an (n, n) matrix over the flattened event."""
        vectors = self._vectors()
        return vectors.T @ (self.spectrum.reshape(-1, 1) * vectors)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` draws, (count, *event)."""
        unit = torch.randn(count, *self.mean.shape, dtype=torch.float64, generator=generator)
        return self.mean + self.synthesise(self.spectrum.sqrt() * unit)

    def log_density(self, x: Tensor, sigma: float = 0.0) -> Tensor:
        """log p(x₀ + σn = x) of each event of a batch, (B,)."""
        variance = self.spectrum + sigma**2
        terms = self.analyse(x - self.mean) ** 2 / variance + (2 * math.pi * variance).log()
        return -terms.flatten(1).sum(1) / 2

    def filtered(self, gain: Tensor, noise_std: float) -> "Gaussian":
        """The law of y = Ax + s·n for an A diagonal in the modes: a mask, or an even filter's transfer function."""
        mean = self.synthesise(gain * self.analyse(self.mean[None]))[0]
        return Gaussian(mean, gain**2 * self.spectrum + noise_std**2, self.analyse, self.synthesise)

    def projected(self, matrix: Tensor, noise_std: float) -> "Gaussian":
        """The law of y = Ax + s·n for a matrix A, (m, n) over the flattened event."""
        covariance = matrix @ self.covariance() @ matrix.T
        white = noise_std**2 * torch.eye(matrix.shape[0], dtype=torch.float64)
        return Gaussian.dense(matrix @ self.mean.flatten(), covariance + white)

    def posterior_filtered(self, y: Tensor, gain: Tensor, noise_std: float) -> "Gaussian":
        """The law of x given one measurement y, (*event), as `filtered` makes them."""
        law = self.filtered(gain, noise_std)
        update = gain * self.spectrum / law.spectrum
        mean = self.mean + self.synthesise(update * self.analyse((y - law.mean)[None]))[0]
        spectrum = self.spectrum * noise_std**2 / law.spectrum
        return Gaussian(mean, spectrum, self.analyse, self.synthesise)

    def posterior_projected(self, y: Tensor, matrix: Tensor, noise_std: float) -> "Gaussian":
        """The law of x given one measurement y, (m,), as `projected` makes them."""
        prior = self.covariance()
        joint = matrix @ prior
        white = noise_std**2 * torch.eye(matrix.shape[0], dtype=torch.float64)
        update = torch.linalg.solve(joint @ matrix.T + white, joint).T
        mean = self.mean.flatten() + update @ (y - matrix @ self.mean.flatten())
        covariance = prior - update @ joint
        return Gaussian.dense(mean.reshape(self.mean.shape), (covariance + covariance.T) / 2)

    def _vectors(self) -> Tensor:
        """The modes as rows over flattened pixels, (n, n)."""
        unit = torch.eye(self.mean.numel(), dtype=torch.float64)
        return self.synthesise(unit.reshape(-1, *self.mean.shape)).flatten(1)


def coloured_spectrum(height: int, width: int, exponent: float, variance: float) -> Tensor:
    """A spectrum like that of photographs, 1/(f² + f₀²)^(exponent/2) with f₀ one cycle per picture.

    Returns:
        (height, width) float64 in the order of fft2; its average is `variance`.
    """
    rows = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    columns = torch.fft.fftfreq(width, dtype=torch.float64)[None, :]
    power: Tensor = (rows**2 + columns**2 + 1 / (height * width)) ** (-exponent / 2)
    return power * (variance / power.mean())


def _identity(x: Tensor) -> Tensor:
    return x


def _hartley(x: Tensor) -> Tensor:
    """The orthonormal Hartley transform over the last two axes: real, its own inverse, diagonal for even filters."""
    transformed: Tensor = torch.fft.fft2(x, norm="ortho")
    return transformed.real - transformed.imag
