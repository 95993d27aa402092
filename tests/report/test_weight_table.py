"""Weights as small pictures: what was given is what is drawn."""

import base64
import io

import numpy as np
from PIL import Image

from veriscale.report.weight_table import LevelMaps, weight_table


def drawn(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_maps_are_drawn_from_none_to_all():
    ramp = np.linspace(0, 1, 12).reshape(3, 4)
    table = weight_table([LevelMaps(name, {"T1": ramp, "all": 1 - ramp}, 0.75) for name in ("the mean", "lower")])
    assert table["names"] == ["T1", "all"]
    assert (table["width"], table["height"]) == (128, 96)
    assert [level for level, _ in table["rows"]] == ["the mean", "lower"]
    t1, others = (drawn(uri) for uri in table["rows"][0][1])
    np.testing.assert_array_equal(t1, np.rint(255 * ramp))
    np.testing.assert_array_equal(others, np.rint(255 * (1 - ramp)))


def test_without_guides_there_is_no_table():
    assert weight_table([]) is None
