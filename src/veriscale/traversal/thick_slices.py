"""The posterior of volumes of thick slices, for which what a denoiser leaves open goes together along them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from veriscale.diffusion.samplers import Denoiser
from veriscale.physics.data_term import DataTerm
from veriscale.physics.slice_profile import SliceProfile

LENGTH = 30.0  # mm; from 10 on it makes little difference


@dataclass(frozen=True)
class ThickSlices:
    """Pull the denoised volume to its slices, each line across them a Gaussian process.

    E[x0 | x_sigma, y] of independent lines with covariances Σ = V·exp(−d/ℓ) over distances d: the covariance left at
    sigma is C = sigma²Σ(Σ + sigma²)⁻¹, and x = D + CAᵀ(ACAᵀ + s²W⁻¹)⁻¹(y′ − AD). A white C, as `Proximal` takes it,
    would put a bump into the middle of every slice.

    Args:
        denoise: the unconditional denoiser, of volumes (B, C, X, Y, Z).
        data: the measurement; its operator a `SliceProfile`.
        variance: V.
        length: ℓ, in millimetres.

    Source: ours, docs/methods.md#in-plane-and-through-the-plane; Gaussian process regression (Rasmussen, Williams
        2006, eq. 2.23) in the place of the white covariance of Song et al. 2023 (ΠGDM).
    """

    denoise: Denoiser
    data: DataTerm
    variance: float
    length: float = LENGTH

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """(B, C, X, Y, Z) to the same."""
        operator = self.data.operator
        assert isinstance(operator, SliceProfile)
        denoised = self.denoise(x, sigma)
        (axis, resampling), *_ = operator.resamplings(tuple(x.shape[1:])).items()
        a = resampling.forward(torch.eye(x.shape[axis], dtype=torch.float64), 0)
        to_measured = a @ self._left(x.shape[axis], operator.spacing or 1.0, sigma)
        rest = -self.data.residual(denoised).movedim(axis, -1)
        noise, gram = self.data.variance_at(denoised), to_measured @ a.T
        if isinstance(noise, float):
            gain = torch.linalg.solve(gram + noise * torch.eye(len(a), dtype=torch.float64), to_measured)
            pulled: Tensor = denoised + (rest @ gain.to(rest)).movedim(-1, axis)
            return pulled
        out = torch.empty_like(denoised)
        noise = noise.movedim(axis, -1)
        for k in range(rest.shape[2]):  # a system for every line: plane by plane, which bounds memory
            system = gram + torch.diag_embed(noise[:, :, k].double())
            solved = torch.linalg.solve(system, rest[:, :, k, ..., None].double())[..., 0]
            out.movedim(axis, -1)[:, :, k] = (solved @ to_measured).to(out)
        return denoised + out

    def _left(self, n: int, spacing: float, sigma: float) -> Tensor:
        """C of n voxels, (n, n)."""
        place = torch.arange(n, dtype=torch.float64) * (spacing / self.length)
        prior = self.variance * torch.exp(-(place[:, None] - place).abs())
        left: Tensor = sigma**2 * torch.linalg.solve(prior + sigma**2 * torch.eye(n, dtype=torch.float64), prior)
        return left
