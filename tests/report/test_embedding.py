"""The page stays small, all pictures are stored alike, and nothing is degraded without need."""

import base64

import numpy as np
import pytest

from veriscale.report.embedding import LARGEST_PNG, Encoding, embed_pictures


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).random((200, 300, 3), np.float32)


def size(uris):
    return sum(len(base64.b64decode(uri.partition(",")[2])) for uri in uris)


def test_what_fits_is_lossless(noise):
    uris, encoding = embed_pictures([noise, noise[:50]])
    assert encoding == Encoding(None, 1)
    assert all(uri.startswith("data:image/png") for uri in uris)


def test_what_does_not_fit_is_compressed_and_then_reduced_all_alike(noise):
    lossless = size(embed_pictures([noise, noise[:50]])[0])
    seen = []
    for budget in (lossless, lossless - 1, lossless // 3, lossless // 50):
        uris, encoding = embed_pictures([noise, noise[:50]], budget)
        assert size(uris) <= budget
        assert len({uri.partition(";")[0] for uri in uris}) == 1
        seen.append(encoding)
    assert [encoding.quality is None for encoding in seen] == [True, False, False, False]
    assert [encoding.reduction for encoding in seen][:2] == [1, 1]
    assert seen[-1].reduction > 1


def test_an_impossible_budget_still_gives_pictures(noise):
    uris, _ = embed_pictures([noise, noise], budget=1)
    assert len(uris) == 2


def test_more_than_four_megapixels_are_never_png():
    _, encoding = embed_pictures([np.zeros((2001, LARGEST_PNG // 2000, 1), np.float32)])
    assert encoding.quality is not None
