from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from veriscale.diffusion.noise_field import NoiseField, content_hash, philox

FIELD = NoiseField(seed=0, content="a picture")
HEIGHT, WIDTH, CHANNELS = 70, 90, 3


def window(
    field=FIELD, stage="renoise", sample=0, step=0, top=0, left=0, height=HEIGHT, width=WIDTH, channels=CHANNELS
):
    return field.window(stage, sample, step, top, left, height, width, channels)


WHOLE = window(top=-5, left=-5)


@settings(deadline=None)
@given(
    top=st.integers(0, 69),
    left=st.integers(0, 89),
    height=st.integers(1, 70),
    width=st.integers(1, 90),
    channels=st.integers(1, 3),
)
def test_a_window_is_cut_from_the_whole_to_the_bit(top, left, height, width, channels):
    height, width = min(height, HEIGHT - top), min(width, WIDTH - left)
    cut = window(top=top - 5, left=left - 5, height=height, width=width, channels=channels)
    assert torch.equal(cut, WHOLE[:channels, top : top + height, left : left + width])


def test_a_picture_of_many_blocks_is_cut_from_the_same_whole():
    large = window(height=300, width=800)
    assert torch.equal(large[:, 111:241, 7:778], window(top=111, left=7, height=130, width=771))
    row = {"height": 2, "channels": 1}  # each of more counters than one block holds
    wide = window(width=70_000, **row)
    assert torch.equal(wide[..., 35_001:35_901], window(left=35_001, width=900, **row))


def test_far_corners_of_large_pictures_are_as_good_as_near_ones():
    far = window(top=2**20 + 3, left=2**21 + 1)
    assert torch.equal(far[:, 4:, 5:], window(top=2**20 + 7, left=2**21 + 6, height=66, width=85))
    assert abs(correlation(far, window())) < 0.03


def test_threads_do_not_change_the_noise():
    jobs = [{"sample": sample, "step": step} for sample in range(4) for step in range(4)]
    alone = [window(**job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: window(**job), jobs))
    assert all(map(torch.equal, alone, together))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert torch.equal(window(height=300, width=800)[:, :HEIGHT, :WIDTH], window())
    finally:
        torch.set_num_threads(before)


def normality(values):
    """p-value of the hypothesis that the values are independent draws of N(0, 1)."""
    return stats.kstest(values.flatten().double().numpy(), "norm").pvalue


def test_the_noise_is_unit_and_normal():
    noise = window(height=1000, width=1000, channels=1)
    values = noise.double().flatten()
    n = len(values)
    assert noise.dtype == torch.float32
    assert abs(values.mean()) < 4 / n**0.5
    assert abs(values.var() - 1) < 4 * (2 / n) ** 0.5
    assert abs((values**3).mean()) < 4 * (15 / n) ** 0.5
    assert abs((values**4).mean() - 3) < 4 * (96 / n) ** 0.5
    assert values.abs().max() > 4.5
    assert normality(values) > 1e-3
    assert normality(1.01 * values) < 1e-3
    assert normality(values + 0.005) < 1e-3


@pytest.mark.parametrize("column", range(4))
def test_each_column_of_a_counter_is_normal(column):
    assert normality(window(height=400, width=1000, channels=1)[..., column::4]) > 1e-3


def correlation(a, b):
    return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1].item()


LARGE = window(height=300, width=400)
BOUND = 4 / LARGE.numel() ** 0.5


@pytest.mark.parametrize("power", [1, 2])  # squares: Box–Muller's pairs share a radius
@pytest.mark.parametrize("shift", [(0, 0, 1), (0, 0, 2), (0, 0, 4), (0, 1, 0), (0, 1, 1), (1, 0, 0)])
def test_neighbours_share_nothing(shift, power):
    moved = LARGE.roll(shift, (0, 1, 2))
    assert abs(correlation(LARGE**power, moved**power)) < BOUND


@pytest.mark.parametrize(
    "other",
    [
        {"step": 1},
        {"sample": 1},
        {"stage": "start"},
        {"field": NoiseField(1, "a picture")},
        {"field": NoiseField(-1, "a picture")},
        {"field": NoiseField(0, "another picture")},
    ],
    ids=str,
)
def test_steps_samples_stages_seeds_and_pictures_share_nothing(other):
    noise = window(height=300, width=400, **other)
    assert not (noise == LARGE).any(dim=0).all()
    assert abs(correlation(noise, LARGE)) < BOUND
    assert correlation(noise + 0.05 * LARGE, LARGE) > BOUND  # a twentieth would be seen


def test_names_cannot_run_into_one_another():
    assert not torch.equal(window(stage="a", sample=11, step=1), window(stage="a", sample=1, step=11))
    assert not torch.equal(window(field=NoiseField(1, "1x")), window(field=NoiseField(11, "x")))


def test_philox_gives_the_published_words():
    # known answers of Random123 for philox4x32-10
    def words(counter, key):
        columns, rows, channel, tag = (np.array([[word]], np.uint64) for word in counter)
        result = philox(columns, rows, int(channel[0, 0]), int(tag[0, 0]), key)
        return [int(word[0, 0]) for word in result]

    assert words((0, 0, 0, 0), (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = 0xFFFFFFFF
    assert words((ones,) * 4, (ones, ones)) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)
    assert words(*pi) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def test_a_measurements_hash_tells_samples_shape_and_type_apart():
    samples = np.arange(12, dtype=np.uint8).reshape(3, 4)
    others = [samples + 1, samples.reshape(4, 3), samples.astype(np.uint16), samples.T]
    assert content_hash(samples) == content_hash(samples.copy(order="F")) == content_hash(torch.from_numpy(samples))
    assert len({content_hash(samples), *map(content_hash, others)}) == 5
