"""A place in a frozen network where guides come in: experts, gate and projection, and one evaluation of them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veriscale.guides.arguments import GuideArguments
from veriscale.guides.expert import Expert, Head
from veriscale.guides.gate import Gate, Temperature, weights


class Site(nn.Module):
    """Experts of all modalities, and what fuses them at one place.

    Args:
        arguments: sizes and choices.
        strides: factors from the truth grid to the coarse grids of this place.
        trunk: channels of the feature that is injected into.
        channels: of the truth.
        embedding: width of the embedding of the noise level; 0 in the encoder.
    """

    def __init__(
        self, arguments: GuideArguments, strides: Sequence[int], trunk: int, channels: int, embedding: int = 0
    ) -> None:
        super().__init__()
        a, count = arguments, len(arguments.modalities)
        self.fusion, self.mix = a.fusion, a.mix
        self.experts = nn.ModuleList([Expert(strides, a.width, a.depth) for _ in a.modalities])
        self.heads = nn.ModuleList([Head(strides, a.width, channels, embedding) for _ in a.modalities])
        if a.fusion == "dynamic":
            self.gate = Gate(trunk, a.width, embedding)
            self.temperature = Temperature(a.tau, count)
        elif a.fusion == "learned":
            self.logits = nn.Parameter(torch.zeros(count))
        if a.mix == "features":
            self.project = nn.Conv2d(a.width * (count if a.fusion == "concat" else 1), trunk, 1, bias=False)
            nn.init.zeros_(self.project.weight)

    @property
    def reach(self) -> int:
        """How far, in pixels of the coarse grid, what it adds sees, of guides and trunk."""
        expert: Expert = self.experts[0]  # type: ignore[assignment]  # a list of them
        return expert.reach + Gate.reach


class Injection:
    """What guides bring to one evaluation of a network; called by it with the trunk's feature, it keeps what it found.

    Args:
        site: of the network.
        guides: (B or 1, M, H, W) on the truth grid, in [0, 1].
        valid: the same shape, bool: elsewhere a guide is as if it were not there.
        stride: from the truth grid to the network's own here.

    Attributes:
        weights: (B, M, h, w), each at least 0, summing to 1 where any guide is valid, all 0 elsewhere.
        amount: (B, 1, h, w), in [0, 1]; 0 where no guide is valid.
    """

    def __init__(self, site: Site, guides: Tensor, valid: Tensor, stride: int) -> None:
        self.site, self.stride = site, stride
        self.features = [expert(guides[:, m, None], valid[:, m, None], stride) for m, expert in enumerate(site.experts)]
        b, count, height, width = valid.shape
        cells = F.pixel_unshuffle(valid.float(), stride).view(b, count, -1, height // stride, width // stride)
        self.valid = cells.amin(2) > 0  # a guide counts in a cell all of whose pixels are valid

    def __call__(self, h: Tensor, embedding: Tensor | None = None, c_noise: Tensor | None = None) -> Tensor:
        """(B, C, h, w) to the same; embedding and c_noise as `Denoiser.forward` hands them on, none in the encoder."""
        site, self.embedding = self.site, embedding
        valid = self.valid.expand(len(h), -1, -1, -1)
        any_valid = valid.any(1, keepdim=True)
        if site.fusion == "dynamic":
            # c_noise = ln(σ/σ_d)/4, so that this is σ²/(σ² + σ_d²)
            share = torch.ones(1, device=h.device) if c_noise is None else torch.sigmoid(8 * c_noise)
            logits, amounts = site.gate(h, self.features, embedding)
            self.weights = weights(logits.float(), site.temperature(share), valid)
            amount = torch.sigmoid((self.weights * amounts).sum(1, keepdim=True))
            self.amount = torch.where(any_valid, amount, 0)
        else:
            logits = site.logits.view(1, -1, 1, 1) if site.fusion == "learned" else torch.zeros(1, device=h.device)
            self.weights = weights(logits.expand(valid.shape), 1.0, valid)
            self.amount = any_valid.float()
        if site.mix == "predictions":
            return h
        if site.fusion == "concat":
            added = site.project(
                torch.cat([torch.where(valid[:, m, None], f, 0) for m, f in enumerate(self.features)], 1)
            )
        else:
            shares = (self.amount * self.weights).to(h.dtype)
            added = site.project(sum(shares[:, m, None] * f for m, f in enumerate(self.features)))
        out: Tensor = h + added
        return out

    def predictions(self, held: bool = False) -> Tensor:
        """(B, M, C, H, W): what each expert alone predicts of the truth's residual, in units of what is usual.

        Args:
            held: no gradient reaches the experts.
        """
        features = [feature.detach() if held else feature for feature in self.features]
        each = zip(self.site.heads, features, strict=True)
        return torch.stack([head(feature, self.stride, self.embedding) for head, feature in each], 1).float()

    def on_truth_grid(self, t: Tensor) -> Tensor:
        """Weights, amount or `valid` for every pixel."""
        return t.repeat_interleave(self.stride, -2).repeat_interleave(self.stride, -1)

    def mixed(self) -> Tensor:
        """(B, C, H, W): Σ w_m f_m of the predictions f_m, the f̄ of the bound."""
        return (self.on_truth_grid(self.weights)[:, :, None] * self.predictions()).sum(1)
