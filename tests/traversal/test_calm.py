"""Draws shrunk by what their anchor errs, where both are known."""

import msgspec
import pytest
import torch
from tests.conftest import tiny_card

from veriscale.diffusion.card import Calm
from veriscale.diffusion.error_predictor import THRESHOLDS, expected_square
from veriscale.traversal.calm import BINS, calmed, find_calm, fit_calm

SHAPE = (4, 3, 64, 64)


def unit(seed: int, shape=SHAPE) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def world() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Anchor, truth, draw, u: the truth varies by √u about its anchor; the draw by that and 0.02 of left-over noise."""
    anchor = 0.5 + 0.1 * unit(0)
    std = torch.logspace(-3, -1, 64).expand(4, 64, 64)
    miss, step = std[:, None] * unit(1), std[:, None] * unit(2) + 0.02 * unit(3)
    return anchor, anchor + miss, anchor + step, std.square()


def test_calmed_draws_vary_as_the_truth_does_at_every_level():
    anchor, truth, draw, u = world()
    calm = fit_calm(anchor, draw, truth, u, 4, 0.0)
    found = calmed(anchor, draw, u, calm)
    for columns in torch.arange(64).tensor_split(4):
        want, raw, has = ((t - anchor)[..., columns].square().mean() for t in (truth, draw, found))
        assert float(has / want) == pytest.approx(1, abs=0.3)
        if columns[0] == 0:
            assert float(raw / want) > 10  # negative control


def test_nothing_is_made_wider():
    """Draws that vary too little stay as they are: more noise is not what they lack."""
    anchor, truth, draw, u = world()
    calm = fit_calm(anchor, anchor + 0.5 * (truth - anchor), truth, u, 4, 0.0)
    assert calm.factor == [1.0] * BINS
    torch.testing.assert_close(calmed(anchor, draw, u, calm), draw)


def test_the_factor_has_no_jump():
    """Between tiles u differs in its last bits: the picture may not differ by more."""
    calm = Calm(4, 0.0, [-10.0, -8.0, -6.0], [0.2, 0.9, 1.0])
    anchor, draw = torch.zeros(1, 1, 1, 1000), torch.ones(1, 1, 1, 1000)
    u = torch.linspace(-12, -4, 1000).exp().view(1, 1, 1000)
    b = calmed(anchor, draw, u, calm).flatten()
    assert float(b[0]) == pytest.approx(0.2)
    assert float(b[-1]) == pytest.approx(1)
    assert float(b.diff().min()) >= 0
    assert float(b.diff().max()) < 0.004


def test_expected_square_is_that_of_a_known_law():
    """Exponential errors, P(e > θ) = exp(−θ/a), have E[e²] = 2a²."""
    a = torch.tensor([0.03, 0.05, 0.08])
    p = torch.exp(-torch.tensor(THRESHOLDS)[None, :, None, None] / a.view(1, 1, 1, 3))
    found = expected_square(torch.logit(p)).flatten()
    torch.testing.assert_close(found, 2 * a**2, rtol=0.15, atol=0)


def test_the_card_is_asked_for_the_nearest_noise():
    known = [Calm(4, s, [-1.0, 0.0], [0.5, 1.0]) for s in (0.0, 0.05)]
    card = msgspec.structs.replace(tiny_card(), calm=known)
    assert find_calm(card, 4, 0.04) is known[1]
    assert find_calm(card, 2, 0.0) is None
    assert find_calm(tiny_card(), 4, 0.0) is None
