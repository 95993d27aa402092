"""What a perception number must obey: zero for the truth, blind to brightness, and not fooled by white noise."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

from veriscale.errors import InputError
from veriscale.metrics.perception import EnergyDistance, energy_w2, sliced_w2

PICTURES = ["astronaut", "coffee", "chelsea"]


def energy_mean(images, truths):
    return energy_w2(images, truths).mean


NUMBERS = [sliced_w2, energy_mean]


def blur(samples, std):
    return gaussian_filter(samples, (std, std, 0))


@pytest.fixture(scope="module", params=PICTURES)
def truth(request):
    samples = getattr(data, request.param)()
    top, left = (samples.shape[0] - 128) // 2, (samples.shape[1] - 128) // 2
    return samples[top : top + 128, left : left + 128].astype(np.float32) / 255


@pytest.mark.parametrize("number", NUMBERS)
def test_the_truth_itself_is_at_zero(number, truth):
    assert number([truth], [truth]).tolist() == [0.0]


@pytest.mark.parametrize("number", NUMBERS)
def test_symmetry(number, truth):
    assert number([blur(truth, 1)], [truth]) == pytest.approx(number([truth], [blur(truth, 1)]), rel=1e-6)


@pytest.mark.parametrize("number", NUMBERS)
def test_brightness_does_not_count_but_contrast_does(number, truth):
    blurred = blur(truth, 1)
    assert number([blurred + 0.2], [truth]) == pytest.approx(number([blurred], [truth]), rel=1e-3)
    assert number([1.2 * truth], [truth])[0] > 0.1


def test_a_slow_change_of_brightness_hardly_counts(truth):
    ramp = np.linspace(0, 0.3, 128).reshape(1, -1, 1)  # 66 levels in all, 3 within a patch
    assert sliced_w2([truth + ramp], [truth])[0] < 2


def test_energy_does_not_ask_where_the_detail_is(truth):
    odd = truth[:125, :125]  # every level of the pyramid then keeps the same pixels of a flipped picture
    assert energy_mean([odd[::-1, ::-1]], [odd])[0] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_more_blur_the_worse(number, truth):
    distances = [number([blur(truth, std)], [truth])[0] for std in (0.5, 1, 2, 4)]
    assert distances == sorted(distances)
    assert distances[0] > 0.1


@pytest.mark.parametrize("number", NUMBERS)
def test_white_noise_loses_to_detail_of_the_same_distortion(number, truth):
    blurred = blur(truth, 1.5)
    elsewhere = blurred + np.roll(truth - blurred, (2, 2), axis=(0, 1))  # real texture in the wrong place
    extra = np.mean((elsewhere - truth) ** 2) - np.mean((blurred - truth) ** 2)
    noise = np.random.default_rng(0).normal(0, extra**0.5, truth.shape)
    assert np.mean((blurred + noise - truth) ** 2) == pytest.approx(np.mean((elsewhere - truth) ** 2), rel=0.1)
    realistic, noisy = (number([image], [truth])[0] for image in (elsewhere, blurred + noise))
    assert realistic < 0.7 * noisy


def test_energy_of_white_noise_is_off_in_every_octave(truth):
    noise = np.random.default_rng(0).normal(0, 0.05, truth.shape)
    answer = energy_w2([truth + noise, truth], [truth, truth])
    assert answer.octaves.shape == (2, 3)
    assert (answer.octaves[0] > 0.01).all()
    assert answer.octaves[0].argmax() == 0  # natural pictures have least energy in the finest octave
    assert not answer.octaves[1].any()
    assert answer.mean == pytest.approx(answer.octaves.mean(axis=1))


def test_sliced_distance_of_scaled_white_noise_is_the_difference_of_their_stds():
    field = np.random.default_rng(0).standard_normal((160, 160, 1)) / 219  # luma spans 219 of 255 levels
    assert sliced_w2([30 * field], [20 * field])[0] == pytest.approx(10, rel=0.02)


def test_each_picture_is_measured_against_its_own_truth(truth):
    images, truths = [blur(truth, 1), truth[:96]], [truth, blur(truth, 2)[:96]]
    for number in NUMBERS:
        one_by_one = [number([image], [other])[0] for image, other in zip(images, truths, strict=True)]
        assert number(images, truths) == pytest.approx(one_by_one)


def test_every_phase_of_a_grid_counts(truth):
    odd = [np.zeros((96, 96, 1)) for _ in range(16)]
    for phase, image in enumerate(odd):
        image[phase // 4 :: 4, phase % 4 :: 4] = 1
    distances = sliced_w2(odd, [np.zeros((96, 96, 1))] * 16)
    assert distances.max() < 1.02 * distances.min()


def test_no_pictures_no_numbers():
    assert sliced_w2([], []).shape == (0,)
    assert isinstance(energy_w2([], []), EnergyDistance)
    assert energy_w2([], []).octaves.shape == (0, 3)


@pytest.mark.parametrize("number", NUMBERS)
def test_too_small_or_unlike_pictures_are_refused(number, truth):
    with pytest.raises(InputError, match="same height, width"):
        number([truth[1:]], [truth])
    with pytest.raises(InputError, match="at least 32 pixels"):
        number([truth[:31]], [truth[:31]])
