"""On toy modalities whose variance is known at every pixel, the gate finds the inverse variances."""

import numpy as np
import torch
import torch.nn.functional as F
from tests.guides.toys import arguments
from torch import Tensor

from veriscale.diffusion.encoder import CENTRE, SPREAD
from veriscale.guides.expert import Experts
from veriscale.guides.guidance import guidance
from veriscale.guides.site import Injection, Site
from veriscale.guides.teaching import teaching_loss

LOW, HIGH = 0.02, 0.5


def toy(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Guides x + √v·n, the truth x and v: (4, 3, 24, 24), (4, 1, 24, 24), (4, 3, 12, 12).

    Truth and noise are the same in the four pixels of a cell, and a chequer of height ∝ ln v tells v.
    """
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(4, 1, 12, 12, generator=g)
    u = torch.rand(4, 3, 12, 12, generator=g)
    v = LOW * (HIGH / LOW) ** u
    cells = x + v.sqrt() * torch.randn(v.shape, generator=g)
    chequer = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(12, 12)
    truth, guides, height = (F.interpolate(t, scale_factor=2.0) for t in (x, cells, 2 * u - 1))
    return CENTRE + SPREAD * (guides + chequer * height), truth, v


def evaluated(experts: Experts, site: Site, guides: Tensor) -> Injection:
    injection = Injection(site, guidance(experts, guides, torch.ones_like(guides, dtype=torch.bool), site.cell))
    injection.weigh(torch.ones(4, 4, 12, 12))
    return injection


def test_weights_follow_inverse_variances():
    torch.manual_seed(0)
    experts, site = Experts(2, 16, 1, 3), Site(arguments(mix="predictions"), 2, 1, trunk=4, channels=1)
    optimiser = torch.optim.Adam([*experts.parameters(), *site.parameters()], lr=1e-2)
    for step in range(400):
        guides, truth, _ = toy(step)
        optimiser.zero_grad()
        teaching_loss(evaluated(experts, site, guides), truth).backward()
        optimiser.step()
    guides, _, v = toy(999)
    weights = evaluated(experts, site, guides).weights.detach()
    best = (1 / v) / (1 / v).sum(1, keepdim=True)
    assert np.corrcoef(weights.flatten(), best.flatten())[0, 1] > 0.9
    assert np.corrcoef(weights.flatten(), best.roll(1, 1).flatten())[0, 1] < 0.1
