import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.metrics.fine_energy import BLOCK, fine_sums

SIDE = 6 * BLOCK + 2


def half_flat(rng: np.random.Generator) -> np.ndarray:
    """A picture whose left half is flat but for a little grain and whose right half is rough, (SIDE, SIDE, 3)."""
    x = np.full((SIDE, SIDE), 0.5)
    x[:, SIDE // 2 + 1 :] += 0.1 * rng.standard_normal((SIDE, SIDE // 2 - 1))
    x += 1 / 255 * rng.standard_normal(x.shape)
    return np.repeat(x[..., None], 3, 2)


def test_the_truth_has_the_energy_of_the_truth():
    x = half_flat(np.random.default_rng(0))
    flat, textured = fine_sums(x, x)
    assert flat.ratio == textured.ratio == 1
    assert flat.blocks == 18
    assert 9 <= textured.blocks <= 18


def test_noise_is_seen_where_the_truth_is_flat():
    """White noise of std a: (1 + 1/4)a² is added to every pixel's fine energy, which the rough half hides."""
    rng = np.random.default_rng(1)
    x = half_flat(rng)
    noise = 2 / 255 * rng.standard_normal((SIDE, SIDE, 1))
    flat, textured = fine_sums(x + noise, x)
    assert flat.ratio == pytest.approx(np.sqrt(1 + 4), rel=0.05)
    assert textured.ratio == pytest.approx(1, abs=0.02)


def test_smoothing_is_seen_where_the_truth_is_textured():
    x = half_flat(np.random.default_rng(2))
    smooth = (x + np.roll(x, 1, 0)) / 2
    flat, textured = fine_sums(smooth, x)
    assert textured.ratio < 0.8
    assert flat.ratio < 0.8  # its grain goes too


def test_sums_add_up():
    rng = np.random.default_rng(3)
    x, y = half_flat(rng), half_flat(rng)
    one, other = fine_sums(x + 0.01, x)[0], fine_sums(1.5 * (y - 0.5) + 0.5, y)[0]
    both = one + other
    assert both.blocks == one.blocks + other.blocks
    assert one.ratio == pytest.approx(1)  # brightness is no detail
    assert other.ratio == pytest.approx(1.5)
    assert both.ratio == pytest.approx(np.sqrt((1 + 2.25) / 2), rel=0.05)


def test_a_picture_without_such_blocks_says_so():
    rough = np.random.default_rng(4).uniform(size=(SIDE, SIDE, 3))
    with pytest.raises(InputError, match="No block"):
        fine_sums(rough, rough)[0].ratio  # noqa: B018
    with pytest.raises(InputError, match="18 pixels"):
        fine_sums(rough[:17], rough[:17])
