"""The head that predicts the error: a probability of being exceeded that falls as the threshold grows."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from veriscale.diffusion.encoder import Condition
from veriscale.diffusion.error_predictor import THRESHOLDS, ErrorPredictor, exceedance
from veriscale.diffusion.prior import TrainedPrior
from veriscale.errors import InputError
from veriscale.runtime.networks import encode, predict_error

KNOTS = len(THRESHOLDS)
# Logits from a network are finite and not extreme; at 1e30 nothing would be linear in float32.
LOGITS = st.lists(st.floats(-30, 30, width=32), min_size=KNOTS, max_size=KNOTS)


def of(values):
    """(1, thresholds, 1, 1)"""
    return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)


def falling(seed=0, shape=(2, KNOTS, 3, 4)):
    g = torch.Generator().manual_seed(seed)
    return 2 - torch.rand(shape, generator=g).cumsum(1)


# ---- exceedance


def test_at_its_thresholds_it_is_the_logits():
    logits = falling()
    for k, threshold in enumerate(THRESHOLDS):
        torch.testing.assert_close(exceedance(logits, threshold), logits[:, k])


@given(LOGITS, st.lists(st.floats(-1, 1.5, width=32), min_size=2, max_size=20))
def test_it_never_rises_with_the_threshold(values, thresholds):
    found = torch.cat([exceedance(of(values), t) for t in sorted(thresholds)]).flatten()
    assert (found.diff() <= 1e-4).all()


def test_logits_that_rise_are_not_believed():
    rising = of([0.0, -2.0, 1.0, *[-3.0] * (KNOTS - 3)])
    assert float(exceedance(rising, THRESHOLDS[2])) == -2
    assert float(exceedance(rising, THRESHOLDS[1])) == -2


def test_between_two_thresholds_it_is_linear():
    logits = falling()
    for k in range(KNOTS - 1):
        middle = (THRESHOLDS[k] + THRESHOLDS[k + 1]) / 2
        torch.testing.assert_close(exceedance(logits, middle), logits[:, k : k + 2].mean(1))


def test_beyond_the_ends_the_slope_goes_on():
    logits = falling()
    first, last = THRESHOLDS[1] - THRESHOLDS[0], THRESHOLDS[-1] - THRESHOLDS[-2]
    below, above = exceedance(logits, THRESHOLDS[0] - first), exceedance(logits, THRESHOLDS[-1] + last)
    torch.testing.assert_close(below, 2 * logits[:, 0] - logits[:, 1])
    torch.testing.assert_close(above, 2 * logits[:, -1] - logits[:, -2])
    assert (exceedance(logits, -1.0) > below).all()  # an error above a negative number: surer still


def test_every_pixel_may_have_its_threshold():
    logits = falling()
    at = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(1)) - 0.2
    whole = exceedance(logits, at)
    for b, row, column in torch.cartesian_prod(*map(torch.arange, at.shape)).tolist():
        alone = exceedance(logits[b : b + 1, :, row : row + 1, column : column + 1], float(at[b, row, column]))
        torch.testing.assert_close(whole[b, row, column], alone[0, 0, 0])


# ---- the network


def perturbed():
    torch.manual_seed(0)
    network = ErrorPredictor(3, 4, (2, 3, 4), 32, 2).double().eval().requires_grad_(False)
    for p in network.parameters():
        p.add_(0.05 * torch.randn_like(p))
    return network


def condition(height, width, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return Condition(*(torch.rand(1, c, height, width, generator=g, dtype=dtype) for c in (3, 4)))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_gives_a_logit_per_threshold_on_the_truth_grid(scale):
    assert perturbed()(condition(5 * scale, 7 * scale), scale).shape == (1, KNOTS, 5 * scale, 7 * scale)


def test_a_fresh_one_says_the_same_of_every_picture():
    fresh, one = ErrorPredictor(3, 4, (2,), 32, 1), condition(8, 8, torch.float32)
    other = Condition(1 - one.mean, one.features + 1)
    assert torch.equal(fresh(one, 2), fresh(other, 2))


@pytest.mark.parametrize("part", ["mean", "features"])
def test_it_sees_no_farther_than_its_receptive_radius(part):
    network, near = perturbed(), condition(64, 64)
    changed = near._replace(**{part: getattr(near, part).clone()})
    getattr(changed, part)[..., 32, 32] += 1
    moved = (network(near, 2) - network(changed, 2)).abs().amax((0, 1, 3)).nonzero().flatten()
    seen = int((moved - 32).abs().max())
    assert 2 * network.receptive_radius - 4 <= seen <= 2 * network.receptive_radius + 1


# ---- over a picture


@pytest.mark.parametrize("tile", [16, 36])
@pytest.mark.parametrize("per_pixel", [False, True])
def test_tiles_are_the_whole(tiny, tile, per_pixel):
    g = torch.Generator().manual_seed(0)
    found = encode(tiny, torch.rand(1, 3, 18, 14, generator=g), 4, 0.0, features=True)
    threshold = torch.rand(1, 72, 56, generator=g) / 2 if per_pixel else 0.1
    whole = predict_error(tiny, found, 4, threshold)
    assert whole.shape == (1, 72, 56)
    assert whole.std() > 0.01
    assert (whole - predict_error(tiny, found, 4, threshold, tile)).abs().max() <= 1e-5


def test_too_small_a_halo_would_be_seen(tiny, monkeypatch):
    found = encode(tiny, torch.rand(1, 3, 16, 16), 4, 0.0, features=True)
    whole = predict_error(tiny, found, 4, 0.1)
    monkeypatch.setattr(ErrorPredictor, "receptive_radius", 1)
    assert (whole - predict_error(tiny, found, 4, 0.1, 16)).abs().max() > 1e-5


def test_a_prior_without_one_says_so(tiny):
    without = TrainedPrior(tiny.card, tiny.encoder, tiny.denoiser)
    found = encode(tiny, torch.rand(1, 3, 8, 8), 4, 0.0, features=True)
    with pytest.raises(InputError, match="has no error predictor; choose another score"):
        predict_error(without, found, 4, 0.1)
