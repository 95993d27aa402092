"""Pictures in [0, 1] to latents and back, with derivatives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

Linear = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Autoencoder:
    """Two functions on one device in one type; what comes in goes back to where it came from.

    Attributes:
        encoder: (B, C, H, W) pictures in [0, 1] → (B, c, H/f, W/f) latents in the diffusion's units.
        decoder: the way back, differentiable.
        factor: f.
        channels: c.
        device, kind: of both.
        rounded: latents → those that the decoder makes pictures of: the nearest in a codebook, whose derivative is
            taken for 1; None where they are the same.
        graph: bytes a pixel that the decoder keeps for a gradient, about.
    """

    encoder: Callable[[Tensor], Tensor]
    decoder: Callable[[Tensor], Tensor]
    factor: int
    channels: int
    device: torch.device
    kind: torch.dtype
    rounded: Callable[[Tensor], Tensor] | None = None
    graph: int = 0

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Pictures, both sides multiples of the factor, to latents."""
        return self.encoder(self._brought(x)).to(x)

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Latents to pictures."""
        brought = self._brought(z)
        return self._smooth(brought)(brought).to(z)

    def pullback(self, z: Tensor) -> tuple[Tensor, Linear]:
        """The picture, and g -> (dx/dz)ᵀg, which keeps the decoder's graph."""
        into = self._brought(z).detach().clone().requires_grad_()
        with torch.enable_grad():
            out = self._smooth(into.detach())(into)

        def pull(g: Tensor) -> Tensor:
            (found,) = torch.autograd.grad(out, into, self._brought(g), retain_graph=True)
            return found.to(z)

        return out.detach().to(z), pull

    def linearised(self, z: Tensor) -> tuple[Tensor, Linear, Linear]:
        """The picture, u -> (dx/dz)u, and g -> (dx/dz)ᵀg."""
        x, pull = self.pullback(z)
        items = [(self._smooth(at), at) for at in self._brought(z).contiguous().chunk(len(z))]

        def push(u: Tensor) -> Tensor:
            # Of the ways to attend only this one has a derivative forwards, and norms behind it of single items alone.
            with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
                pairs = zip(items, self._brought(u).contiguous().chunk(len(u)), strict=True)
                pushed = [torch.func.jvp(smooth, (at,), (v,))[1] for (smooth, at), v in pairs]
            return torch.cat(pushed).to(z)

        return x, push, pull

    def _brought(self, t: Tensor) -> Tensor:
        return t.to(self.device, self.kind)

    @torch.no_grad()
    def _smooth(self, z: Tensor) -> Callable[[Tensor], Tensor]:
        """The decoder around z, where what the codebook moves them by stays what it is."""
        if self.rounded is None:
            return self.decoder
        moved = self.rounded(z) - z
        return lambda v: self.decoder(v + moved)


def autoencoder_of(module: Any, device: torch.device) -> Autoencoder:
    """An AutoencoderKL or a VQModel of diffusers, loaded in float32, on its device.

    It stays in float32 whatever its `force_upcast` says: its rounding would be an error of the measurement's fit. It
    takes pictures whole: a gradient through it holds every tile, so that tiles would cost exactness and save nothing.
    """
    module = module.to(device).eval().requires_grad_(False)
    config = module.config
    factor = 2 ** (len(config.block_out_channels) - 1)

    def constant(name: str) -> Tensor | None:
        given = config.get(name)
        return None if given is None else torch.tensor(given, device=device).view(1, -1, 1, 1)

    mean, std = constant("latents_mean"), constant("latents_std")
    shift: Tensor | float = config.get("shift_factor") or 0.0
    scale: Tensor | float = float(config.scaling_factor)
    if mean is not None and std is not None:
        shift, scale = mean, scale / std
    codebook = hasattr(module, "quantize")

    def encode(x: Tensor) -> Tensor:
        out = module.encode(2 * x - 1)
        found = out.latents if codebook else out.latent_dist.mode()
        return (found - shift) * scale  # type: ignore[no-any-return]

    def decode(z: Tensor) -> Tensor:
        raw = z / scale + shift
        out = module.decode(raw, force_not_quantize=True) if codebook else module.decode(raw)
        return (out.sample + 1) / 2  # type: ignore[no-any-return]

    def rounded(z: Tensor) -> Tensor:
        return (module.quantize(z / scale + shift)[0] - shift) * scale  # type: ignore[no-any-return]

    # Per block of the decoder about eight tensors of its width, each level with a quarter of the pixels of the next.
    levels = enumerate(config.block_out_channels)
    graph = sum(8 * 4 * width * (config.layers_per_block + 1) // 4**k for k, width in levels)
    return Autoencoder(
        encode,
        decode,
        factor,
        config.latent_channels,
        device,
        torch.float32,
        rounded if codebook else None,
        graph,
    )
