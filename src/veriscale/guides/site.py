"""A place where guides come in: gate, projection and heads, and one evaluation of them."""

import torch
from torch import Tensor, nn

from veriscale.guides.arguments import GuideArguments
from veriscale.guides.expert import Head
from veriscale.guides.gate import Gate, Temperature, amount_logits, weights
from veriscale.guides.guidance import Guidance


class Site(nn.Module):
    """What fuses the experts' features at one place.

    Args:
        arguments: sizes and choices.
        stride: factor from the truth grid to the grid of this place and of the experts.
        pool: pixels of that grid a side that have one weight.
        trunk: channels of the feature that they come in at.
        channels: of the truth.
        embedding: width of the embedding of the noise level; 0 where σ = ∞.
    """

    def __init__(
        self, arguments: GuideArguments, stride: int, pool: int, trunk: int, channels: int, embedding: int = 0
    ) -> None:
        super().__init__()
        a, count = arguments, len(arguments.modalities)
        self.fusion, self.mix, self.stride, self.pool = a.fusion, a.mix, stride, pool
        self.heads = nn.ModuleList([Head(stride, a.width, channels, embedding) for _ in a.modalities])
        if a.fusion == "dynamic":
            self.gate = Gate(trunk, a.width, embedding, pool)
            self.temperature = Temperature(a.tau, count)
        elif a.fusion == "learned":
            self.logits = nn.Parameter(torch.zeros(count))
        if a.mix == "features":
            self.project = nn.Conv2d(a.width * (count if a.fusion == "concat" else 1), trunk, 1, bias=False)
            nn.init.zeros_(self.project.weight)

    @property
    def cell(self) -> int:
        """Pixels of the truth grid a side that have one weight."""
        return self.stride * self.pool

    @property
    def reach(self) -> int:
        """How far, in pixels of its grid, what it adds sees of features."""
        return self.gate.reach if self.fusion == "dynamic" else self.pool - 1


class Injection:
    """What guides bring to one evaluation; it keeps what it found.

    Args:
        site: where they come in.
        guidance: what guides say.
        opened: (B,) bool: items with an amount of 1 whatever the gate says, so that a gate that closes early does not
            keep a correction from being learnt.

    Attributes:
        weights: (B, M, h, w) by cells, each at least 0, summing to 1 where any guide is valid, all 0 elsewhere.
        amount: (B, 1, h, w), in [0, 1]; 0 where no guide is valid.
        answers: (B, 2, M, h, w) of a dynamic gate.
    """

    def __init__(self, site: Site, guidance: Guidance, opened: Tensor | None = None) -> None:
        self.site, self.features, self.opened = site, guidance.features, opened
        self.edges, self.inside = guidance.edges, guidance.inside
        self.keys = [
            site.gate.expert(feature) if site.fusion == "dynamic" and there else None
            for feature, there in zip(self.features, guidance.given, strict=True)
        ]
        self.valid = guidance.valid

    def weigh(
        self,
        h: Tensor,
        embedding: Tensor | None = None,
        c_noise: Tensor | None = None,
        found: Tensor | None = None,
    ) -> None:
        """Find weights and amount.

        Args:
            h: (B, trunk, h, w), the feature that they come in at.
            embedding, c_noise: as `Denoiser.forward` hands them on; none where σ = ∞.
            found: (B, 2·M, H, W) of `on_condition`: what the gate that looked at the measurement has answered, which
                this gate's answers are added to; 0 where nobody has looked.
        """
        site, self.embedding = self.site, embedding
        valid = self.valid.expand(len(h), -1, -1, -1)
        any_valid = valid.any(1, keepdim=True)
        if site.fusion == "dynamic":
            # c_noise = ln(σ/σ_d)/4, so that this is σ²/(σ² + σ_d²)
            share = torch.ones(1, device=h.device) if c_noise is None else torch.sigmoid(8 * c_noise)
            self.answers = site.gate(h, self.keys, embedding)
            if found is not None:
                self.answers = self.answers + torch.stack(self._by_cells(found).chunk(2, 1), 1)
            logits, amounts = self.answers.unbind(1)
            self.weights = weights(logits, site.temperature(share), valid)
            amount = torch.sigmoid((self.weights * amount_logits(amounts)).sum(1, keepdim=True))
            if self.opened is not None:
                amount = torch.where(self.opened.view(-1, 1, 1, 1), 1.0, amount)
            self.amount = torch.where(any_valid, amount, 0)
        else:
            logits = site.logits.view(1, -1, 1, 1) if site.fusion == "learned" else torch.zeros(1, device=h.device)
            self.weights = weights(logits.float().expand(valid.shape), 1.0, valid)
            self.amount = any_valid.float()

    def fused(self) -> Tensor:
        """(B, trunk, h, w), P(Σ w_m E_m), after `weigh`."""
        site = self.site
        if site.fusion == "concat":
            valid = self.on_own_grid(self.valid)
            out = site.project(
                torch.cat([torch.where(valid[:, m, None], f, 0) for m, f in enumerate(self.features)], 1)
            )
        else:
            shares = self.on_own_grid(self.weights).to(self.features[0].dtype)
            out = site.project(sum(shares[:, m, None] * f for m, f in enumerate(self.features)))
        added: Tensor = out
        return added

    def predictions(self, held: bool = False) -> Tensor:
        """(B, M, C, H, W): what each expert alone predicts of the truth's residual, in units of what is usual.

        Args:
            held: no gradient reaches the experts.
        """
        features = [feature.detach() if held else feature for feature in self.features]
        each = zip(self.site.heads, features, strict=True)
        return torch.stack([head(feature, self.embedding) for head, feature in each], 1).float()[self.inside]

    def on_own_grid(self, t: Tensor) -> Tensor:
        """Weights or amount for every pixel of the grid of the place."""
        return _repeated(t, self.site.pool)

    def on_truth_grid(self, t: Tensor) -> Tensor:
        """Weights, amount or `valid` for every pixel."""
        return _repeated(t, self.site.cell)[self.inside]

    def on_condition(self) -> Tensor:
        """(B, 2·M, H, W), what a dynamic gate has answered, for every pixel, for another's `weigh`; else of 0 channels.

        No gradient goes through it: a gate answers for what is made of its own answers.
        """
        if self.site.fusion != "dynamic":
            return self.on_truth_grid(self.amount[:, :0])
        return self.on_truth_grid(self.answers.detach().flatten(1, 2))

    def _by_cells(self, t: Tensor) -> Tensor:
        """What is the same for every pixel of a cell, (B, n, H, W), once for each: of its first that is inside."""
        cell = self.site.cell
        rows, columns = (
            (torch.arange(n, device=t.device) * cell - inside.start).clamp(min=0)
            for n, inside in zip(self.valid.shape[-2:], self.inside[1:], strict=True)
        )
        return t[..., rows[:, None], columns]

    def mixed(self) -> Tensor:
        """(B, C, H, W): Σ w_m f_m of the predictions f_m, the f̄ of the bound."""
        return (self.on_truth_grid(self.weights)[:, :, None] * self.predictions()).sum(1)


def _repeated(t: Tensor, times: int) -> Tensor:
    return t.repeat_interleave(times, -2).repeat_interleave(times, -1)
