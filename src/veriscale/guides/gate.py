"""How much each guide counts, place by place: weights on the simplex, their temperature, and the amount of all."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veriscale.guides.arguments import Tau
from veriscale.guides.expert import unit

OPEN, LIMIT = 2.0, 4.0  # of the amount's logit: where it begins, and how far it goes, so that it cannot close for good
HOTTEST = 2.0  # of a temperature that falls or rises between its inverse and it
COLDEST = 1e-3
WIDE = 2, 4  # dilations: whether guides fit is seen in wholes of some thirty pixels rather than in a few


def weights(logits: Tensor, temperature: Tensor | float, valid: Tensor) -> Tensor:
    """softmax(logits / temperature) over the valid guides at each place; 0 for all others, and where none is valid.

    Args:
        logits: (B, M, ...).
        temperature: positive, broadcast to the logits.
        valid: as the logits, bool.

    Source: ours, docs/methods.md#guides.
    """
    z = torch.where(valid, logits / temperature, -torch.inf)
    top = z.amax(1, keepdim=True).detach()
    z = torch.where(valid, z - top, 0)  # before exp, so that no gradient goes through an infinity
    e = torch.where(valid, z.exp(), 0)
    return e / e.sum(1, keepdim=True).clamp(min=1)  # the greatest is 1 where any is valid


def amount_logits(answers: Tensor) -> Tensor:
    """b_m of any b'_m."""
    return LIMIT * torch.tanh((OPEN + answers) / LIMIT)


class Temperature(nn.Module):
    """τ as a function of s = σ²/(σ² + σ_d²), which is 1 in the encoder, where σ = ∞, and 0 at σ = 0."""

    def __init__(self, kind: Tau, modalities: int) -> None:
        super().__init__()
        self.kind = kind
        if kind in ("learned", "modality"):
            count = modalities if kind == "modality" else 1
            self.level = nn.Parameter(torch.full((count,), math.log(math.e - 1)))  # softplus of it is 1
            self.slope = nn.Parameter(torch.zeros(count))

    def forward(self, share: Tensor) -> Tensor:
        """(B,) shares to (B, M or 1, 1, 1)."""
        s = share.view(-1, 1)
        if self.kind == "constant":
            tau = torch.ones_like(s)
        elif self.kind == "falling":
            tau = HOTTEST ** (2 * s - 1)
        elif self.kind == "reversed":
            tau = HOTTEST ** (1 - 2 * s)
        else:
            tau = COLDEST + F.softplus(self.level + self.slope * s)
        return tau[:, :, None, None]


class Gate(nn.Module):
    """Logits g_m and b'_m of each guide from (feature, its expert's feature, σ): one network for all guides.

    Args:
        trunk: channels of the feature.
        width: of experts, and of its own.
        embedding: width of what tells the noise level; 0 in the encoder.
        pool: pixels of the feature's grid a side that have one weight.
    """

    def __init__(self, trunk: int, width: int, embedding: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.trunk = nn.Conv2d(trunk, width, 3, padding=1)
        self.expert = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.told = nn.Linear(embedding, width) if embedding else None
        self.mixed = nn.Conv2d(width, width, 3, padding=1)
        self.wide = nn.ModuleList([nn.Conv2d(width, width, 3, padding=d, dilation=d) for d in WIDE])
        self.out = nn.Conv2d(width, 2, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]  # a convolution with a bias

    @property
    def reach(self) -> int:
        """How far, in pixels of the feature's grid, it sees: a convolution, its own pool and some pools around it."""
        return (2 + sum(WIDE)) * self.pool

    def forward(self, h: Tensor, keys: list[Tensor | None], embedding: Tensor | None) -> Tensor:
        """Of the feature (B, trunk, h, w), and what `expert` makes of each guide's (B or 1, width, h, w), where given.

        Returns:
            (B, 2, M, h / pool, w / pool), float32: g_m, then b'_m.
        """
        seen = self.trunk(unit(h))
        if self.told is not None:
            seen = seen + self.told(embedding)[:, :, None, None]
        # the product is large where guide and feature agree, which a sum is not
        each = [None if k is None else F.avg_pool2d(seen + k + seen * k, self.pool) for k in keys]
        nothing = seen.new_zeros(len(h), 2, *(n // self.pool for n in h.shape[-2:]))
        answers = [nothing if z is None else self._answer(z) for z in each]
        return torch.stack(answers, 2).float()

    def _answer(self, z: Tensor) -> Tensor:
        z = self.mixed(F.silu(z))
        for layer in self.wide:
            z = z + layer(F.silu(z))
        out: Tensor = self.out(F.silu(z))
        return out
