import torch
from hypothesis import given
from hypothesis import strategies as st

from veriscale.traversal.fill import filled


def seen_of(height: int, width: int, share: float, seed: int) -> torch.Tensor:
    chance = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed))
    seen = (chance < share).float()
    seen[..., 0, 0] = 1
    return seen


@given(st.integers(2, 40), st.integers(2, 40), st.floats(0.0, 1.0), st.integers(0, 99))
def test_what_is_seen_stays_and_the_rest_lies_between(height, width, share, seed):
    y = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed + 1))
    seen = seen_of(height, width, share, seed)
    out = filled(y * seen, seen)
    assert torch.equal(out * seen, y * seen)
    known = torch.where(seen > 0, y, torch.nan)
    low, high = (f(known.nan_to_num(v).flatten(2), 2) for f, v in ((torch.amin, 9.0), (torch.amax, -9.0)))
    assert bool((out.flatten(2).amin(2) >= low - 1e-5).all())
    assert bool((out.flatten(2).amax(2) <= high + 1e-5).all())


def test_a_constant_is_continued_and_a_slope_nearly():
    seen = torch.ones(1, 1, 64, 64)
    seen[..., 20:44, 20:44] = 0
    assert torch.allclose(filled(0.3 * seen, seen), torch.full((1, 1, 64, 64), 0.3), atol=1e-6)
    slope = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    assert float((filled(slope * seen, seen) - slope).abs().max()) < 0.15


def test_holes_of_all_sizes_at_once():
    """Nothing is grey: on the left all is dark, on the right all is bright."""
    y = torch.cat([torch.full((1, 1, 60, 30), 0.1), torch.full((1, 1, 60, 30), 0.9)], 3)
    seen = seen_of(60, 60, 0.3, 0)
    seen[..., 10:30, 5:15] = 0
    out = filled(y * seen, seen)
    assert float(out[..., :20].max()) < 0.3
    assert float(out[..., 40:].min()) > 0.7
