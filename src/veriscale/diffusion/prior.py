"""A prior: an encoder, a denoiser, a predictor of its error, and the card that says what they know."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from veriscale.diffusion.card import Card, Data, Mode, Network
from veriscale.diffusion.denoiser import Denoiser
from veriscale.diffusion.encoder import CENTRE, SPREAD, Condition, Encoder
from veriscale.diffusion.error_predictor import ErrorPredictor
from veriscale.diffusion.preconditioning import scalings
from veriscale.errors import InputError
from veriscale.imaging.tiles import Window


class Networks(NamedTuple):
    """What a prior consists of."""

    encoder: Encoder
    denoiser: Denoiser
    predictor: ErrorPredictor | None

    def parts(self) -> dict[str, torch.nn.Module]:
        """Those that are there, by name."""
        return {name: network for name, network in self._asdict().items() if network is not None}


def build(network: Network) -> Networks:
    """The networks, freshly initialised, in channels-last memory."""
    e, d, p = network.encoder, network.denoiser, network.predictor
    built = Networks(
        Encoder(network.channels, network.scales, e.width, e.depth, e.features),
        Denoiser(network.channels, e.features, len(network.scales) + 1, d.width, d.depth, d.stem),
        None if p is None else ErrorPredictor(network.channels, e.features, network.scales, p.width, p.depth),
    )
    for part in built.parts().values():
        part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return built


def denoiser_input(condition: Condition) -> Tensor:
    """(B, C + features, H, W): what the denoiser sees of a condition."""
    return torch.cat([(condition.mean - CENTRE) / SPREAD, condition.features.to(condition.mean.dtype)], 1)


def denoise_residual(
    network: Callable[..., Tensor],
    residual: Tensor,
    sigma: Tensor,
    sigma_data: Tensor,
    seen: Tensor,
    mode: Tensor,
    noise_std: Tensor,
) -> Tensor:
    """E[r0 | r0 + sigma·n] of the residual r = x - m, (B, C, H, W) in, the same out.

    Args:
        network: a `Denoiser`, or one that is corrected.
        residual: the noisy residual; of the card's `mean` when unconditional.
        sigma: (B,) its noise level.
        sigma_data: (B,) standard deviation of r0.
        seen: (B, C + features, H, W) of `denoiser_input`, zeros when unconditional.
        mode: (B,) integers, 0 unconditional, else 1 + the index of the scale.
        noise_std: (B,) of the measurement.
    """
    s = scalings(sigma, sigma_data)
    skip, out, into = (c.view(-1, 1, 1, 1) for c in s[:3])
    f = network(into * residual, seen, s.noise, mode, noise_std)
    denoised: Tensor = skip * residual + out * f.to(residual.dtype)
    return denoised


def no_gradient(name: str) -> InputError:
    """What is said where the answer of the prior called `name` has no gradient in its input."""
    return InputError(
        f"Prior {name!r} gives no gradient; choose `--anchor` fast and `--posterior` proximal, or a denoiser that does."
    )


@dataclass(frozen=True)
class Prior(ABC):
    """What restorations ask of a prior. Members: a trained one, and somebody's own denoiser."""

    card: Card

    @property
    def predictor(self) -> ErrorPredictor | None:
        """Of the conditional mean's error; not every prior has one."""
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should be told of it, one sentence each."""
        return ()

    @property
    def named(self) -> str:
        """How run.json names it where nobody named a file."""
        return self.card.name

    @property
    def facts(self) -> dict[str, str | int]:
        """Which one it is, for run.json."""
        return {"name": self.card.name, "sha256": self.card.tensors_sha256}

    @property
    def seen(self) -> list[Data]:
        """All that its weights come from."""
        return self.card.seen

    @property
    def blind(self) -> bool:
        """Whether its denoiser takes no noise level, and reads it off the picture."""
        return False

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the networks are."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """The type they compute in."""

    @property
    @abstractmethod
    def stride(self) -> int:
        """What both sides of a picture must be multiples of."""

    @property
    @abstractmethod
    def receptive_radius(self) -> int | None:
        """How far around a pixel the denoiser looks; None where that is not known, and it sees whole pictures."""

    @abstractmethod
    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """E[x0 | x0 + sigma·n = x] without a condition, (B, C, H, W) on the device, differentiable in x."""

    @property
    def corrects(self) -> bool:
        """Whether `corrected` changes anything."""
        return False

    def corrected(self, x: Tensor) -> Tensor:
        """An estimate of the truth, (B, C, H, W) on the device, by what it holds of the picture: itself without."""
        return x

    def about(self, x: Tensor) -> Self:
        """It for a picture, or volume, of which that estimate is known, (B, C, …): itself, where that says nothing."""
        return self

    @property
    def plain(self) -> "Prior":
        """It without what it holds of a picture."""
        return self

    def within(self, window: Window) -> Self:
        """What it is for a window of the whole picture, in truth pixels: itself, where nothing belongs to a place."""
        return self

    def rearranged(self, how: Callable[[Tensor], Tensor]) -> Self:
        """What it is for pictures that `how` makes of those it was for, (B, C, …) to (B', C, …): itself, likewise."""
        return self

    @property
    def memory(self) -> int:
        """Bytes of what it holds of one picture, beside its networks."""
        return 0

    @property
    def binding_guides(self) -> tuple[str, ...]:
        """What beside the measurement its pictures are made of, by hash and name: binding in a certificate."""
        return ()

    def check_unchanged(self) -> None:  # noqa: B027  # of most there is nothing to check
        """Raise `InputError` where it is no longer the one that its card speaks of."""

    def mode(self, scale: int) -> Mode:
        """Noise levels and statistics of a scale, 0 for the unconditional mode."""
        return self.card.mode(scale)


@dataclass(frozen=True)
class TrainedPrior(Prior):
    """A loaded prior, its networks on one device in one type."""

    encoder: Encoder
    denoiser: Denoiser
    predictor: ErrorPredictor | None = None

    def mode_index(self, scale: int) -> int:
        """The denoiser's number for a scale: 0 is unconditional."""
        return self.card.network.scales.index(scale) + 1 if scale else 0

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.encoder.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type they compute in."""
        return next(self.encoder.parameters()).dtype

    @property
    def stride(self) -> int:
        """Of the denoiser."""
        return self.denoiser.stride

    @property
    def receptive_radius(self) -> int:
        """Of the denoiser."""
        return self.denoiser.receptive_radius

    @property
    def features(self) -> int:
        """Channels of the features of a condition, as `encode` makes it."""
        return self.card.network.encoder.features

    @property
    def encoder_extra(self) -> int:
        """How much farther than its encoder alone it looks for a mean, in measurement pixels."""
        return 0

    def encode(self, y: Tensor, scale: int, noise_std: Tensor, features: bool) -> Condition:
        """Arguments as `Encoder.forward`."""
        condition: Condition = self.encoder(y, scale, noise_std, features)
        return condition

    def denoise_residual(
        self, residual: Tensor, sigma: Tensor, sigma_data: Tensor, seen: Tensor, mode: Tensor, noise_std: Tensor
    ) -> Tensor:
        """Arguments as the function `denoise_residual`."""
        return denoise_residual(self.denoiser, residual, sigma, sigma_data, seen, mode, noise_std)

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """The unconditional mode; arguments as `Prior.denoise`."""
        device, b = x.device, len(x)
        none = torch.zeros(b, device=device)
        sigma_data = self.mode(0).sigma_data[0]
        levels = torch.full((b,), sigma, device=device), torch.full((b,), sigma_data, device=device)
        mean = self.card.mean
        return mean + self.denoise_residual(x - mean, *levels, self.unconditional_input(x), none.long(), none)

    def unconditional_input(self, x: Tensor) -> Tensor:
        """(B, C + features, H, W): what the denoiser sees where there is no condition of pictures x, (B, C, H, W)."""
        features = self.card.network.encoder.features
        return torch.zeros(len(x), x.shape[1] + features, *x.shape[-2:], device=x.device)
