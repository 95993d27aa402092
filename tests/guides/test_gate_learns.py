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
from veriscale.guides.teaching import shunning_loss, teaching_loss

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


def evaluated(
    experts: Experts, site: Site, guides: Tensor, valid: Tensor | None = None, opened: Tensor | None = None
) -> Injection:
    valid = torch.ones_like(guides, dtype=torch.bool) if valid is None else valid
    injection = Injection(site, guidance(experts, guides, valid, site.cell), opened)
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


def test_weights_shun_what_is_spoilt_and_the_amount_falls_where_all_is():
    """Value by value: −ln(1 − w) of spoilt guides beside a sound one, the amount's cross-entropy, of known places."""
    torch.manual_seed(0)
    experts, site = Experts(2, 16, 1, 3), Site(arguments(), 2, 1, trunk=4, channels=1)
    guides, valid, spoilt = toy(0)[0], torch.ones(4, 3, 24, 24, dtype=torch.bool), torch.zeros(4, 3, 24, 24).bool()
    spoilt[:, 0, :12] = True  # beside sound ones
    spoilt[:, :, 18:] = True  # all
    valid[:, 1:, :6] = False  # the only one that is there
    opened = torch.tensor([True, False, False, False])
    found = evaluated(experts, site, guides, valid, opened)
    w, a = (found.on_truth_grid(t) for t in (found.weights, found.amount))
    lost = torch.zeros(24).bool()
    lost[:6], lost[18:] = True, True
    shunned = -torch.log(1 - w[:, 0, 6:12]).mean()
    p = torch.where(lost.view(1, 1, 24, 1), 1 - a, a)[1:]
    torch.testing.assert_close(shunning_loss(found, spoilt), shunned - p.log().mean())
    assert not shunning_loss(evaluated(experts, site, guides, valid & False), spoilt).any()
    optimiser = torch.optim.Adam([*experts.parameters(), *site.parameters()], lr=1e-2)
    one = torch.eye(3).bool()[[0, 1, 2, 0]]  # of each item, which
    spoilt = torch.zeros(4, 3, 24, 24).bool()
    spoilt[:, :, :12], spoilt[:, :, 18:] = one[:, :, None, None], True
    for step in range(60):
        pictures = torch.where(spoilt, 5.0, 1.0) * toy(step)[0]
        optimiser.zero_grad()
        found = evaluated(experts, site, pictures)
        shunning_loss(found, spoilt).backward()
        optimiser.step()
    weights, amount = found.weights.detach()[one], found.amount.detach()[:, 0]
    assert weights[:, :6].mean() < 0.1
    assert amount[:, 9:].mean() < 0.2 < 0.8 < amount[:, :9].mean()
