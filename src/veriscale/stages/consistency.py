"""What is usual for the agreement of an anchor with its measurement, on held-out pictures: for the card."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from veriscale.diffusion.card import Consistency
from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import Prior, TrainedPrior
from veriscale.physics.data_term import DataTerm
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.operator import LinearOperator
from veriscale.physics.registry import parse_operator
from veriscale.runtime.networks import UnconditionalDenoiser
from veriscale.stages.batches import quantise
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import KNOTS, crop_side, crops
from veriscale.traversal.consistency import family
from veriscale.traversal.zero_shot import fast_anchor

CROP = 128  # truth pixels
ZERO_SHOT = (
    "downsample:factor=4,kernel=box",
    "inpaint:keep=0.5",
    "blur:kernel=gaussian,std=3",
    "blur:kernel=anisotropic,std=20x1,angle=45",
    "sensing:ratio=0.5",
)
FACTOR = 4  # of downsampling among them, and where the anchor's rules are chosen: crops have to suit it
NOISES = (0.0, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2)
FEWEST = 8  # pictures: of fewer the interval would be too wide to say anything


def measure_consistency(prior: TrainedPrior, photographs: PictureSet, tell: Callable[[str], None]) -> list[Consistency]:
    """The usual ‖A·anchor − y‖²/(n·s²) of the measurements in `ZERO_SHOT` and of every scale of the encoder."""
    if len(photographs.images) < FEWEST:
        return []
    found = zero_shot_consistency(prior, crops(photographs, CROP), NOISES, tell, photographs.stored)
    for scale in prior.card.network.scales:
        values = [_mean(prior, photographs, scale, s) for s in KNOTS]
        count = prior.card.network.channels * (crop_side(photographs, CROP) // scale) ** 2
        found.append(_ranges(family(Downsample(scale)), "mean", list(KNOTS), values, count))
    return found


def zero_shot_consistency(
    prior: Prior, x: Tensor, noises: Sequence[float], tell: Callable[[str], None], stored: bool = True
) -> list[Consistency]:
    """That of the measurements in `ZERO_SHOT` of x, (N, C, H, W), at several noises, `stored` in 8 bits or not."""
    found = []
    for text in ZERO_SHOT:
        tell(f"usual consistency: {text}")
        operator = parse_operator(text)
        if isinstance(operator, LinearOperator):
            found.append(usual(prior, operator, x, noises, stored))
    return found


def usual(
    prior: Prior, operator: LinearOperator, x: Tensor, noises: Sequence[float] = NOISES, stored: bool = True
) -> Consistency:
    """What is usual for the anchor `fast` on measurements of x, (N, C, H, W), as files hold them."""
    data = [DataTerm(operator, measured(operator, x, s, stored), GaussianNoise(s)) for s in noises]
    values = [d.consistency(zero_shot_anchor(prior, d), stored=stored and operator.picture) for d in data]
    return _ranges(family(operator), "fast", list(noises), values, data[0].measured)


def zero_shot_anchor(prior: Prior, data: DataTerm) -> Tensor:
    """The anchor `fast` of a batch of measurements, (B, C, H, W)."""
    fields = [(NoiseField(0, str(k)), 0) for k in range(len(data.y))]
    return fast_anchor(prior, data, UnconditionalDenoiser(prior), lambda: fields).x


@torch.no_grad()
def _mean(prior: TrainedPrior, photographs: PictureSet, scale: int, noise_std: float) -> Tensor:
    operator = Downsample(scale)
    y = measured(operator, crops(photographs, CROP // scale * scale), noise_std, photographs.stored)
    anchor = prior.encoder(y.to(prior.device), scale, torch.full((len(y),), noise_std, device=prior.device)).mean
    return DataTerm(operator, y, GaussianNoise(noise_std)).consistency(anchor.float().cpu(), stored=photographs.stored)


def measured(operator: LinearOperator, x: Tensor, noise_std: float, stored: bool = True) -> Tensor:
    """y with Gaussian noise, float32: a picture in 8 bits where it is `stored` so, coefficients as they are."""
    clean = operator.forward(x)
    support = operator.support(tuple(clean.shape[1:]))
    y = GaussianNoise(noise_std).sample(clean, np.random.default_rng(0))
    y = y if support is None else y * support
    return quantise(y) if stored and operator.picture else y


def _ranges(operator: str, anchor: str, noise_std: list[float], values: list[Tensor], count: int) -> Consistency:
    """Prediction intervals of a log-normal law: where the next picture's value lies with 95 %."""
    low, high = [], []
    for v in values:
        logs = v.double().log()
        half = _student(len(logs) - 1) * float(logs.std()) * (1 + 1 / len(logs)) ** 0.5
        low.append(float((logs.mean() - half).exp()))
        high.append(float((logs.mean() + half).exp()))
    return Consistency(operator, anchor, noise_std, low, high, count)


def _student(degrees: int) -> float:
    """The 97.5 % point of Student's t, to 1e-2 from 7 degrees of freedom on: Abramowitz, Stegun 26.7.5."""
    z = 1.959964
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
