"""The blood pool of a synthetic heart: a bright disc in a ring of muscle."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

ROWS, COLUMNS = np.mgrid[:80, :80] - 40
FAR = np.hypot(ROWS, COLUMNS)


def heart(radius, blood=900.0, muscle=300.0):
    """A slice and its labels: blood, eight pixels of muscle, lung."""
    image = np.where(radius >= FAR, blood, np.where(radius + 8 >= FAR, muscle, 50.0))
    return image, np.where(radius >= FAR, 3, np.where(radius + 8 >= FAR, 2, 0))


@pytest.fixture
def pools(benchmark):
    def found(*slices):
        truth, labels = (np.stack(each) for each in zip(*slices, strict=True))
        return benchmark("ventricle").blood_pools(truth, labels)

    return found


def test_the_area_is_the_disc(pools):
    image, label = heart(12)
    (pool,) = pools((image, label))
    assert pool.threshold == 600.0
    assert pool.truth == (label == 3).sum() == pytest.approx(np.pi * 12**2, rel=0.03)
    assert pool.area(image) == pool.truth
    assert pool.error(image) == 0


def test_a_pixel_on_the_threshold_is_half(pools):
    image, label = heart(12)
    image[(label == 3) & (ROWS < 0)] = 600.0  # less than half of the disc, so that the threshold stays
    (pool,) = pools((image, label))
    assert pool.threshold == 600.0
    below = ((label == 3) & (ROWS < 0)).sum()
    assert pool.truth == (label == 3).sum() - below / 2


@pytest.mark.parametrize("radius", [10, 11, 13, 14])
def test_what_a_restoration_makes_larger_or_smaller_is_counted(pools, radius):
    (pool,) = pools(heart(12))
    assert pool.error(heart(radius)[0]) == pytest.approx((radius / 12) ** 2 - 1, abs=0.03)


def test_beyond_three_pixels_nothing_is_counted(pools):
    (pool,) = pools(heart(12))
    image = heart(12)[0]
    image[:10] = 900.0  # a vessel elsewhere
    assert pool.error(image) == 0
    assert pool.area(np.full((80, 80), 900.0)) < np.pi * 15.5**2


def test_the_threshold_is_of_the_truth_and_not_of_the_restoration(pools):
    image, label = heart(12)
    (pool,) = pools((image, label))
    assert pool.area(image * 0.6) == 0  # a restoration that is too dark is wrong
    (blurred,) = pools((gaussian_filter(image, 1.0), label))
    assert abs(blurred.truth / pool.truth - 1) < 0.05  # midway, an edge stays where it is


def test_the_tip_of_the_heart_is_left_out(pools):
    assert [pool.slice for pool in pools(heart(12), heart(4), heart(20))] == [0, 2]


@pytest.mark.parametrize(("bright", "kept"), [(99, 1), (100, 2)])
def test_a_hundred_pixels_of_blood_are_enough(pools, bright, kept):
    image, label = heart(12)
    dim = np.where(label == 3, 300.0, image)
    dim.flat[np.flatnonzero(label == 3)[:bright]] = 900.0
    assert len(pools((image, label), (dim, label))) == kept


def test_labels_without_a_ventricle_are_refused(pools):
    image, label = heart(12)
    with pytest.raises(ValueError, match="no ventricle"):
        pools((image, np.where(label == 3, 0, label)))
