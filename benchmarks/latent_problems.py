"""The pictures, tasks and methods of the tables of latent priors."""

import os
from functools import partial
from math import sqrt
from pathlib import Path

import torch
from torch import Tensor

from peers import resample
from results import ROOT
from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.schedule import karras
from veriscale.latent.method import POSTERIORS, Latent
from veriscale.latent.misfit import LatentMisfit, dps_length
from veriscale.latent.prior import LatentPrior
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.runtime.networks import UnconditionalDenoiser
from veriscale.traversal.anchor import consistent_weight, paper
from veriscale.traversal.dps import dps
from veriscale.traversal.method import Work
from veriscale.traversal.posterior import Proximal
from veriscale.traversal.presets import LatentPreset
from veriscale.traversal.renoise import renoise, renoised, unit_noise
from veriscale.traversal.walk import Walk, walk
from veriscale.traversal.zero_shot import SAMPLER, STEPS
from veriscale.workflows.opening import load_prior
from zeroshot_problems import NOISE, perception, psnr

TASKS = {
    "sr": "downsample:factor=4,kernel=box",
    "inpainting": "inpaint:keep=0.5",
    "blur": "blur:kernel=anisotropic,std=20x1,angle=45",
    "sensing": "sensing:ratio=0.5",
    "hdr": "hdr:gain=2",
}
MAIN = "sr", "inpainting", "blur"
DIALLED = "sr", "blur"  # whose dial has bars
GAUSS_NEWTON = POSTERIORS[1]
DPS = "dps", "dps_plain"
"""Latent DPS with the authors' weighted steps, which are our second stage too, and with those of Chung et al. 2023."""
FEW = 20
"""Iterations of our anchor, which leave it at least five times faster than 100 steps of DPS."""
DIALS = (0.0, 0.25, 0.5, 0.75, 1.0)
OTHER = "latent-taef2"
LONG = 100  # steps of others' samplers, and of ours by dps
MOST = 30  # iterations of ReSample at each of ten levels: three times the decoder's gradients of DPS
DRAWS = 4  # of dps, whose mean is an anchor too
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


def scores(image: Tensor, x: Tensor) -> dict[str, list[float]]:
    """Of every picture."""
    sliced, energy = perception(image, x)
    mse = (image - x).double().square().mean((1, 2, 3))
    found = {"psnr": psnr(image, x), "mse": mse, "sliced": sliced, "energy": energy}
    return {k: list(map(float, v)) for k, v in found.items()}


def ours(
    prior: LatentPrior,
    data: DataTerm,
    x: Tensor,
    dials: tuple[float, ...],
    knobs: LatentPreset,
    path: str | None = None,
) -> dict[str, dict[str, list[float]]]:
    """Both stages as `restore` runs them, picture by picture."""
    pictures: dict[float, list[Tensor]] = {f: [] for f in dials}
    noise = GaussianNoise(NOISE)
    for i, y in enumerate(data.y):
        method = Latent(prior, data.operator, noise, tuple(y.shape), knobs=knobs, steps=knobs.steps)
        found_anchor = method.begin(y[None], 1, lambda i=i: NoiseField(0, str(i)), Work(True, 1))
        full = 2 if len(dials) > 2 else len(dials) - 1
        wanted = Walk(dials, path or method.path, full, method.sigma_max, one_by_one=True)
        found, _ = walk(found_anchor, wanted, NoiseField(0, str(i)))
        for f in dials:
            pictures[f].append(found[f])
    return {f"dial {f:g}": scores(torch.cat(images), x) for f, images in pictures.items()}


def plain_length(s: float, t: float) -> float:
    """As `dps_length`, of a gradient that is not weighted by ᾱ: 2 over √(ᾱ_t·ᾱ_(t−1)).

    Source: Chung et al. 2023, algorithm 1, over latents.
    """
    return 2 * sqrt((1 + s**2) * (1 + t**2))


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

    def dps(self, data: DataTerm, zeta: float, plain: float = 0, draw: int = 0) -> Tensor:
        x, sigmas = self._start(data, draw)
        noise, length = self._noise(data, "dps", draw), plain_length if plain else dps_length
        return dps(self.network.pullback, self.misfit(data), x, sigmas, zeta, noise, length=length)

    def mean_of_dps(self, data: DataTerm, **settings: float) -> Tensor:
        """The mean picture of `DRAWS` draws."""
        draws = [self.picture(data, self.dps(data, **settings, draw=k)) for k in range(DRAWS)]
        return torch.stack(draws).mean(0)

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
