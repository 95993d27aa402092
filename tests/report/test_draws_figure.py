"""The figure shows the numbers it was given, and what they are."""

import dataclasses
import sys

import numpy as np
import pytest
from PIL import Image

from veriscale.errors import InputError
from veriscale.report.draws_figure import DrawsCurves, draw, draws_figure

CURVES = DrawsCurves(
    levels=(0.5, 0.8, 0.9),
    pooled=(0.4, 0.7, 0.85),
    each=((0.3, 0.6, 0.8), (0.5, 0.8, 0.9)),
    ranks=(6, 2, 2),
    samples=2,
    intervals="t",
    kind="scans",
)


def test_two_panels_hold_what_was_measured():
    figure = draw(CURVES)
    coverage, ranks = figure.axes
    lines = [(line.get_label(), *(np.round(a, 6).tolist() for a in line.get_data())) for line in coverage.lines]
    levels = [50, 80, 90]
    assert lines[0] == ("each of the scans", levels, [30, 60, 80])
    assert lines[1][1:] == (levels, [50, 80, 90])
    assert lines[2] == ("pooled", levels, [40, 70, 85])
    assert lines[3] == ("calibrated", [0, 100], [0, 100])
    assert len(coverage.get_legend().get_texts()) == 3
    assert [bar.get_height() for bar in ranks.patches] == pytest.approx([1.8, 0.6, 0.6])
    assert ranks.lines[0].get_ydata() == [1, 1]
    assert (coverage.get_xlabel(), ranks.get_xlabel()) == ("level of the t-intervals, %", "draws below the truth")
    assert figure.get_suptitle() == "2 draws at dial 1 of 2 scans"
    alone = dataclasses.replace(CURVES, each=CURVES.each[:1], kind="pictures")
    assert draw(alone).get_suptitle() == "2 draws at dial 1 of 1 picture"


def test_the_file_is_a_picture_and_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "draws.png"
    draws_figure(path, CURVES)
    with Image.open(path) as image:
        assert (image.format, image.width) == ("PNG", 1350)
    with pytest.raises(InputError, match="exists already; add force"):
        draws_figure(path, CURVES)
    draws_figure(path, CURVES, force=True)
    assert list(tmp_path.iterdir()) == [path]


def test_without_matplotlib_it_says_how_to_get_it_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'veriscale\[train\]'"):
        draws_figure(tmp_path / "draws.png", CURVES)
    assert list(tmp_path.iterdir()) == []
