"""The pictures, tasks and methods of the zero-shot tables."""

import functools

import numpy as np
import torch
from torch import Tensor

from peers import diffpir, total_variation
from pictures import centre, files
from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import Prior
from veriscale.diffusion.schedule import karras
from veriscale.imaging.read import read_photo
from veriscale.metrics.perception import energy_w2, sliced_w2
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.registry import parse_operator
from veriscale.runtime.networks import UnconditionalDenoiser
from veriscale.traversal.anchor import consistent_weight, paper
from veriscale.traversal.dps import dps
from veriscale.traversal.posterior import Proximal
from veriscale.traversal.renoise import renoise, renoised, unit_noise
from veriscale.traversal.start import full_level
from veriscale.traversal.zero_shot import SAMPLER, STEPS, fast_anchor

SIDE, COUNT, NOISE = 128, 16, 0.05
TASKS = {
    "sr": "downsample:factor=4,kernel=box",
    "inpainting": "inpaint:keep=0.5",
    "blur": "blur:kernel=anisotropic,std=20x1,angle=45",
}
NONLINEAR = {"hdr": "hdr:gain=2", "nonlinear_blur": "nonlinear-blur:seed=0"}


def crops(name: str, count: int = COUNT) -> Tensor:
    """(count, 3, 128, 128): the centres of the first pictures of a set."""
    pictures = [centre(read_photo(f).pixels, SIDE) for f in files(name)[:count]]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def problem(x: Tensor, operator: str, noise_std: float = NOISE, seed: int = 0) -> DataTerm:
    """A noisy measurement of every picture, as floats; a picture without noise as a file of 8 bits holds it."""
    a = parse_operator(operator)
    noise = GaussianNoise(noise_std)
    clean = a.forward(x)
    support = a.support(tuple(clean.shape[1:]))
    y = noise.sample(clean, np.random.default_rng([seed, 9]))
    if noise_std == 0 and a.picture:
        y = (255 * y.clamp(0, 1)).round() / 255
    return DataTerm(a, y if support is None else y * support, noise)


def start_of(data: DataTerm) -> float:
    """Where a full draw starts."""
    return full_level(data.operator, data.noise, tuple(data.y.shape[1:]))


def psnr(image: Tensor, x: Tensor) -> np.ndarray:
    """RGB, unclipped, per picture, dB."""
    return -10 * np.log10((image - x).double().square().mean((1, 2, 3)).numpy())


def perception(image: Tensor, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Sliced W2 and energy W2, per picture."""
    a, b = (list(t.permute(0, 2, 3, 1).numpy()) for t in (image, x))
    return sliced_w2(a, b), energy_w2(a, b).mean


class Methods:
    """Every method on one prior, with settings as keywords."""

    def __init__(self, prior: Prior) -> None:
        self.prior, self.mode = prior, prior.mode(0)
        self.network = UnconditionalDenoiser(prior)
        self.variance = self.mode.sigma_data[0] ** 2

    def fast(self, data: DataTerm) -> Tensor:
        return fast_anchor(self.prior, data, self.network, lambda: self.fields(len(data.y), 0)).x

    def paper(self, data: DataTerm, iterations: int, rate: float, sigma: float, factor: float) -> Tensor:
        weight = factor * consistent_weight(data.noise_std, sigma)
        shape = tuple(data.start().shape[1:])
        noise = self._noise(len(data.y), "paper", 0, shape)
        return paper(self.network, data, iterations=iterations, weight=weight, rate=rate, sigma=sigma, noise=noise).x

    def total_variation(self, data: DataTerm, weight: float) -> Tensor:
        return total_variation(data, weight)

    def dps(self, data: DataTerm, anchor: Tensor, steps: int, zeta: float, start: float, draw: int = 0) -> Tensor:
        fields = self.fields(len(anchor), draw)
        x = renoised(anchor, start, fields)
        noise = self._noise(len(anchor), "dps", draw, tuple(anchor.shape[1:]))
        return dps(self.network.pullback, data, x, karras(start, self.mode.sigma_min, steps), zeta, noise)

    def diffpir(
        self, data: DataTerm, anchor: Tensor, steps: int, scale: float, fresh: float, start: float, draw: int = 0
    ) -> Tensor:
        x = renoised(anchor, start, self.fields(len(anchor), draw))
        noise = self._noise(len(anchor), "diffpir", draw, tuple(anchor.shape[1:]))
        return diffpir(self.network, data, x, karras(start, self.mode.sigma_min, steps), scale, fresh, noise)

    def proximal(
        self, data: DataTerm, anchor: Tensor, steps: int, sampler: str, sigma_0: float, draw: int = 0
    ) -> Tensor:
        return renoise(
            anchor,
            Proximal(self.network, data, self.variance),
            sigma_0,
            sigma_min=self.mode.sigma_min,
            sampler=sampler,
            steps=steps,
            variance=lambda s: self.mode.variance_at(s, 0.0),
            fields=self.fields(len(anchor), draw),
        )

    def fields(self, count: int, draw: int) -> list[tuple[NoiseField, int]]:
        return [(NoiseField(0, str(k)), draw) for k in range(count)]

    def _noise(self, count: int, stage: str, draw: int, shape: tuple[int, ...]):
        return functools.partial(unit_noise, self.fields(count, draw), stage, shape=shape)


def one(data: DataTerm, i: int) -> DataTerm:
    """The measurement of one picture of a batch."""
    return DataTerm(data.operator, data.y[i : i + 1], data.noise)


def single(run: Methods, data: DataTerm, anchor: Tensor, i: int, start: float) -> Tensor:
    """A draw of one picture of a batch, from its own start."""
    return run.proximal(one(data, i), anchor[i : i + 1], STEPS, SAMPLER, start)
