"""The networks of a prior over pictures of any size, tile by tile, as one evaluation of the whole."""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from veriscale.diffusion.encoder import Condition
from veriscale.diffusion.error_predictor import exceedance, expected_square
from veriscale.diffusion.prior import Prior, TrainedPrior, denoiser_input, no_gradient
from veriscale.errors import InputError
from veriscale.imaging.canvas import canvas
from veriscale.imaging.tiles import Tile, Window, tiles

TILE = 1536  # truth pixels a side
ENCODER_TILE = 1024  # likewise: above it, activations outgrow what the allocator reuses, and time doubles
# Measurement pixels around a tile of the encoder. Its receptive field reaches farther, but with the prior `photo` a
# halo of 16 already leaves the core within 1e-6 of the whole (tests/runtime/test_networks.py).
ENCODER_HALO = 20


def padding(prior: Prior, height: int, width: int, scale: int) -> tuple[int, int]:
    """Rows and columns to add to a measurement so that its truth grid fits the denoiser's stride."""
    multiple = prior.stride // math.gcd(prior.stride, scale)
    return -height % multiple, -width % multiple


@torch.inference_mode()
def encode(
    prior: TrainedPrior,
    y: Tensor,
    scale: int,
    noise_std: float,
    *,
    features: bool,
    tile: int = TILE,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Condition:
    """Encode one measurement.

    Args:
        prior: on its device.
        y: (1, C, h, w), float32, [0, 1], on the CPU.
        scale: one the prior knows.
        noise_std: of the measurement.
        features: whether the denoiser will run; without it they are not kept.
        tile: side of a tile's core in truth pixels.
        tell: called with the tiles done, and their number.

    Returns:
        Mean (1, C, H, W) and features (1, F, H, W; F = 0 when not asked), float32 on the CPU; memory-mapped when large.
    """
    height, width = y.shape[-2] * scale, y.shape[-1] * scale
    mean = torch.from_numpy(canvas((y.shape[1], height, width)))[None]
    count = prior.features if features else 0
    kept = torch.from_numpy(canvas((count, height, width)))[None] if features else mean[:, :0]
    std = torch.tensor([noise_std], device=prior.device)
    halo = min(ENCODER_HALO, prior.encoder.receptive_radius) + prior.encoder_extra
    parts = tiles(y.shape[-2], y.shape[-1], max(1, min(tile, ENCODER_TILE) // scale), halo)
    for number, part in enumerate(parts, start=1):
        fine = part.scaled(scale)
        condition = prior.within(fine.window).encode(y[(..., *part.window)].to(prior.device), scale, std, features)
        mean[(..., *fine.core)] = condition.mean[(..., *fine.inside)].float().cpu()
        if features:
            kept[(..., *fine.core)] = condition.features[(..., *fine.inside)].float().cpu()
        tell(number, len(parts))
    return Condition(mean, kept)


def predict_error(
    prior: TrainedPrior, condition: Condition, scale: int, threshold: Tensor | float, tile: int = TILE
) -> Tensor:
    """The logit of P(max over channels |x − mean| > threshold | y), as the prior's predictor has it.

    Args:
        prior: with a predictor.
        condition: of `encode`, with features, (B, …, H, W), float32, on the CPU; where it is cut to sides that are no
            multiples of the scale, it goes on as its last row and column.
        scale: of the measurement.
        threshold: a number, or one per pixel, (B, H, W).
        tile: side of a tile's core in truth pixels.

    Returns:
        (B, H, W), float32, on the CPU.
    """
    at = torch.as_tensor(threshold, dtype=torch.float32).expand(len(condition.mean), *condition.mean.shape[-2:])
    at = _continued(at[:, None], scale)[:, 0]
    return _predicted(prior, condition, scale, tile, lambda logits, part: exceedance(logits, at[(..., *part.window)]))


def predict_square(prior: TrainedPrior, condition: Condition, scale: int, tile: int = TILE) -> Tensor:
    """E[e² | y] with e = max over channels |x − mean|, (B, H, W); arguments as `predict_error`."""
    return _predicted(prior, condition, scale, tile, lambda logits, part: expected_square(logits))


@torch.inference_mode()
def _predicted(
    prior: TrainedPrior, condition: Condition, scale: int, tile: int, of: Callable[[Tensor, Tile], Tensor]
) -> Tensor:
    """What `of` makes of the predictor's logits in the window of each tile, put together."""
    if prior.predictor is None:
        raise InputError(
            f"Prior {prior.card.name!r} has no error predictor; choose another score, or train it with one."
        )
    rows, columns = condition.mean.shape[-2:]
    condition = Condition(*(_continued(t, scale) for t in condition))
    b, _, height, width = condition.mean.shape
    out = torch.empty(b, height, width)
    halo = prior.predictor.receptive_radius
    for part in tiles(height // scale, width // scale, max(1, min(tile, ENCODER_TILE) // scale), halo):
        fine = part.scaled(scale)
        near = Condition(*(t[(..., *fine.window)].to(prior.device) for t in condition))
        logits = prior.predictor(near, scale).float().cpu()
        out[(..., *fine.core)] = of(logits, fine)[(..., *fine.inside)]
    return out[:, :rows, :columns]


def _continued(t: Tensor, scale: int) -> Tensor:
    """(B, C, H, W) on to multiples of the scale."""
    rows, columns = (-n % scale for n in t.shape[-2:])
    return F.pad(t, (0, columns, 0, rows), mode="replicate") if rows or columns else t


class ConditionalDenoiser:
    """(x, sigma) -> E[x0 | x, y] over a whole picture: the posterior denoiser of a conditional prior.

    Args:
        prior: on its device.
        condition: of `encode`, with features, (1, …, H, W) or one per item of the batch.
        scale: of the measurement.
        noise_std: of the measurement.
        tile: side of a tile's core in truth pixels.
    """

    def __init__(
        self, prior: TrainedPrior, condition: Condition, scale: int, noise_std: float, tile: int = TILE
    ) -> None:
        self.prior = prior
        self.condition = condition
        self.sigma_data = prior.mode(scale).sigma_data_at(noise_std)
        self.level_ratio = prior.mode(scale).level_ratio
        self.mode = prior.mode_index(scale)
        self.noise_std = noise_std
        self.tile = tile

    @torch.inference_mode()
    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """(B, C, H, W) float32 on the CPU in and out."""
        out = torch.empty_like(x)
        device = self.prior.device
        b = len(x)

        def filled(value: float) -> Tensor:
            return torch.full((b,), value, device=device)

        for part in _tiles(self.prior, x, self.tile):
            near = Condition(*(t[(..., *part.window)].to(device) for t in self.condition))
            residual = x[(..., *part.window)].to(device) - near.mean
            denoised = self.prior.within(part.window).denoise_residual(
                residual,
                filled(sigma * self.level_ratio),
                filled(self.sigma_data),
                denoiser_input(near).expand(b, -1, -1, -1),
                torch.full((b,), self.mode, device=device),
                filled(self.noise_std),
            )
            out[(..., *part.core)] = (near.mean + denoised)[(..., *part.inside)].cpu()
        return out


class UnconditionalDenoiser:
    """(x, sigma) -> E[x0 | x] over a whole picture: the prior without a condition, for measurements it never saw.

    Pictures whose sides are no multiples of the network's stride are continued by reflection.

    Args:
        prior: on its device.
        tile: side of a tile's core in truth pixels.
    """

    def __init__(self, prior: Prior, tile: int = TILE) -> None:
        self.prior = prior
        self.tile = tile

    @torch.no_grad()  # not inference_mode: non-linear operators differentiate at what comes out
    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """(B, C, H, W) float32 on the CPU in and out."""
        whole = self._padded(x)
        out = torch.empty_like(whole)
        for part in _tiles(self.prior, whole, self.tile):
            denoised = self._denoise(whole[(..., *part.window)], sigma, part.window)
            out[(..., *part.core)] = denoised[(..., *part.inside)]
        return out[..., : x.shape[-2], : x.shape[-1]]

    def rearranged(self, how: Callable[[Tensor], Tensor]) -> "UnconditionalDenoiser":
        """That of pictures that `how` makes of those it is for, as `Prior.rearranged`."""
        return UnconditionalDenoiser(self.prior.rearranged(how), self.tile)

    def pullback(self, x: Tensor, sigma: float) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The denoised picture, and g -> (dD/dx)ᵀg, both (B, C, H, W).

        The graph of one tile at a time is held: a picture of one tile keeps it between calls, of several each call
        evaluates the network again.
        """
        whole = self._padded(x)
        parts = list(_tiles(self.prior, whole, self.tile))
        if len(parts) == 1:
            into = whole.detach().clone().requires_grad_()
            with torch.enable_grad():
                kept = self._denoise(into, sigma, parts[0].window)
            denoised = kept.detach()
        else:
            denoised = self._padded(self(x, sigma))
        height, width = x.shape[-2:]

        def pull(g: Tensor) -> Tensor:
            wide = F.pad(g, (0, whole.shape[-1] - width, 0, whole.shape[-2] - height))
            total = torch.zeros_like(whole)
            if len(parts) == 1:
                total = self._gradient(kept, into, wide, again=True)
            for part in parts if len(parts) > 1 else []:
                near = whole[(..., *part.window)].detach().clone().requires_grad_()
                with torch.enable_grad():
                    inside = self._denoise(near, sigma, part.window)[(..., *part.inside)]
                total[(..., *part.window)] += self._gradient(inside, near, wide[(..., *part.core)])
            return _folded(total, height, width)

        return denoised[..., :height, :width], pull

    def _denoise(self, x: Tensor, sigma: float, window: Window) -> Tensor:
        return self.prior.within(window).denoise(x.to(self.prior.device), sigma).float().cpu()

    def _gradient(self, out: Tensor, x: Tensor, g: Tensor, again: bool = False) -> Tensor:
        (found,) = torch.autograd.grad(out, x, g, retain_graph=again, allow_unused=True)
        if found is None:
            raise no_gradient(self.prior.card.name)
        return found

    def _padded(self, x: Tensor) -> Tensor:
        stride = self.prior.stride
        height, width = x.shape[-2:]
        rows, columns = -height % stride, -width % stride
        if not rows and not columns:
            return x
        return x[..., _reflected(height, height + rows)[:, None], _reflected(width, width + columns)]


class Correction(UnconditionalDenoiser):
    """(x, any number) -> x corrected over a whole picture by what a prior holds of it: `Prior.corrected`."""

    def rearranged(self, how: Callable[[Tensor], Tensor]) -> "Correction":
        """As of `UnconditionalDenoiser`."""
        return Correction(self.prior.rearranged(how), self.tile)

    def _denoise(self, x: Tensor, sigma: float, window: Window) -> Tensor:
        return self.prior.within(window).corrected(x.to(self.prior.device)).float().cpu()


def _reflected(size: int, wide: int) -> Tensor:
    """Which of `size` pixels each of `wide` is, when they are continued by reflection, as often as it takes."""
    period = max(1, 2 * (size - 1))
    k = torch.arange(wide) % period
    return torch.minimum(k, period - k)


def _folded(g: Tensor, height: int, width: int) -> Tensor:
    """The transpose of continuing a picture of (height, width) by reflection at its bottom and right."""
    rows, columns = _reflected(height, g.shape[-2]), _reflected(width, g.shape[-1])
    g = g.new_zeros(*g.shape[:-2], height, g.shape[-1]).index_add_(-2, rows, g)
    return g.new_zeros(*g.shape[:-1], width).index_add_(-1, columns, g)


def _tiles(prior: Prior, x: Tensor, tile: int) -> Iterator[Tile]:
    height, width = x.shape[-2:]
    if prior.receptive_radius is None:
        return iter(tiles(height, width, max(height, width), 0))
    size = max(prior.stride, tile // prior.stride * prior.stride)
    halo = -(-prior.receptive_radius // prior.stride) * prior.stride
    return iter(tiles(height, width, size, halo, prior.stride))
