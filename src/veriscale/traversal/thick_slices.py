"""The posterior of volumes of thick slices, for which what a denoiser leaves open goes together along them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from veriscale.diffusion.samplers import Denoiser
from veriscale.physics.data_term import DataTerm
from veriscale.physics.slice_profile import SliceProfile

LENGTH = 30.0  # mm; from 10 on it makes little difference
BLOCK = 2**26  # bytes
"""Systems of lines that are solved at a time, where every line has its own."""


@dataclass(frozen=True)
class ThickSlices:
    """Pull the denoised volume to its slices, each line across them a Gaussian process.

    E[x0 | x_sigma, y] of independent lines with covariances Σ = V·exp(−d/ℓ) over distances d: the covariance left at
    sigma is C = sigma²Σ(Σ + sigma²)⁻¹, and x = D + CAᵀ(ACAᵀ + s²W⁻¹)⁻¹(y′ − AD). A white C, as `Proximal` takes it,
    would put a bump into the middle of every slice.

    Noise of each value makes every line of m slices a system of its own, of m² numbers in float64; they are solved in
    blocks of at most `BLOCK` (64 MiB, or one line), for which the solver takes as much again.

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
        out, m = torch.empty_like(denoised), len(a)
        noise, planes = noise.movedim(axis, -1), out.movedim(axis, -1)
        block = max(1, BLOCK // (8 * m**2))
        for k in range(rest.shape[2]):  # a system for every line
            own = (torch.split(v[:, :, k].reshape(-1, m).double(), block) for v in (noise, rest))
            pulls = [torch.linalg.solve(gram + torch.diag_embed(s), r) @ to_measured for s, r in zip(*own, strict=True)]
            planes[:, :, k] = torch.cat(pulls).view_as(planes[:, :, k])
        return denoised + out

    def _left(self, n: int, spacing: float, sigma: float) -> Tensor:
        """C of n voxels, (n, n)."""
        place = torch.arange(n, dtype=torch.float64) * (spacing / self.length)
        prior = self.variance * torch.exp(-(place[:, None] - place).abs())
        left: Tensor = sigma**2 * torch.linalg.solve(prior + sigma**2 * torch.eye(n, dtype=torch.float64), prior)
        return left
