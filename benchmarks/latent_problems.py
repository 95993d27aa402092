"""The pictures, tasks and methods of the tables of latent priors."""

import os
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from peers import resample
from results import ROOT
from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.schedule import karras
from veriscale.latent.method import POSTERIORS
from veriscale.latent.misfit import LatentMisfit, dps_length
from veriscale.latent.prior import LatentPrior
from veriscale.physics.data_term import DataTerm
from veriscale.runtime.networks import UnconditionalDenoiser
from veriscale.traversal.anchor import consistent_weight, paper
from veriscale.traversal.dps import dps
from veriscale.traversal.posterior import Proximal
from veriscale.traversal.renoise import renoise, renoised, unit_noise
from veriscale.traversal.zero_shot import SAMPLER, STEPS
from veriscale.workflows.opening import load_prior

TASKS = {
    "sr": "downsample:factor=4,kernel=box",
    "inpainting": "inpaint:keep=0.5",
    "blur": "blur:kernel=anisotropic,std=20x1,angle=45",
    "sensing": "sensing:ratio=0.5",
    "hdr": "hdr:gain=2",
}
MAIN = "sr", "inpainting", "blur"  # on which the anchor has bars
GAUSS_NEWTON = POSTERIORS[1]
LONG = 100  # steps of others' samplers, and of ours by dps
BUILD = Path(os.environ.get("VERISCALE_BUILD") or ROOT / "build")
RECIPES = {"latent": "recipes/latent.toml", "latent-taef2": "recipes/latent_taef2.toml", "ddpm": "recipes/ddpm.toml"}


def built(name: str) -> Path:
    """The folder of a model."""
    found = BUILD / name
    if not found.is_dir():
        raise SystemExit(f"{found} is not there; make it: veriscale train {RECIPES[name]} --resume -o {found}")
    return found


def latent_prior(name: str = "latent") -> LatentPrior:
    """Ours, or the one over the latents of another's autoencoder."""
    found = load_prior(built(name), dtype=torch.float32)
    if not isinstance(found, LatentPrior):
        raise SystemExit(f"prior {name} is not over latents")
    return found


class Methods:
    """Every method on one prior, with settings as keywords; latents in, latents out."""

    def __init__(self, prior: LatentPrior) -> None:
        self.prior, self.mode = prior, prior.mode(0)
        self.network = UnconditionalDenoiser(prior)

    def misfit(self, data: DataTerm) -> LatentMisfit:
        _, height, width = data.operator.truth_shape(tuple(data.y.shape[1:]))
        return LatentMisfit(self.prior.autoencoder, data, self.prior.grid(height, width))

    def anchor(self, data: DataTerm, iterations: int, rate: float, timestep: float) -> Tensor:
        sigma = self.prior.schedule.level(round(timestep))
        return paper(
            self.network,
            self.misfit(data),
            iterations=iterations,
            weight=consistent_weight(data.noise_std, sigma, 1.0),
            rate=rate,
            sigma=sigma,
            noise=self._noise(data, "anchor", 0),
        ).x

    def dps(self, data: DataTerm, zeta: float, draw: int = 0) -> Tensor:
        x, sigmas = self._start(data, draw)
        noise = self._noise(data, "dps", draw)
        return dps(self.network.pullback, self.misfit(data), x, sigmas, zeta, noise, length=dps_length)

    def resample(self, data: DataTerm, gamma: float, rate: float, iterations: float, draw: int = 0) -> Tensor:
        x, sigmas = self._start(data, draw)
        enough = torch.full((len(data.y),), data.measured * data.noise_std**2)
        noise = self._noise(data, "resample", draw)
        return resample(
            self.network, self.misfit(data), x, sigmas, gamma, rate, noise, enough, iterations=round(iterations)
        )

    def gauss_newton(self, data: DataTerm, anchor: Tensor, draw: int = 0) -> Tensor:
        return renoise(
            anchor,
            Proximal(self.network, self.misfit(data), 1.0),
            self.mode.sigma_max,
            sigma_min=self.mode.sigma_min,
            sampler=SAMPLER,
            steps=STEPS,
            variance=lambda s: self.mode.variance_at(s, 0.0),
            fields=self._fields(data, draw),
        )

    def picture(self, data: DataTerm, z: Tensor) -> Tensor:
        return self.misfit(data).picture(z)

    def _shape(self, data: DataTerm) -> tuple[int, int, int]:
        factor, (rows, columns) = self.prior.autoencoder.factor, self.misfit(data).grid
        return self.prior.autoencoder.channels, rows // factor, columns // factor

    def _fields(self, data: DataTerm, draw: int) -> list[tuple[NoiseField, int]]:
        return [(NoiseField(0, str(k)), draw) for k in range(len(data.y))]

    def _start(self, data: DataTerm, draw: int) -> tuple[Tensor, Tensor]:
        """Pure noise at the highest level, and the levels from there."""
        high = self.mode.sigma_max
        blank = torch.zeros(len(data.y), *self._shape(data))
        return renoised(blank, high, self._fields(data, draw)), karras(high, self.mode.sigma_min, LONG)

    def _noise(self, data: DataTerm, stage: str, draw: int):
        return partial(unit_noise, self._fields(data, draw), stage, shape=self._shape(data))
