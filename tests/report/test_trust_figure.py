"""The figure shows the numbers it was given, and what they are."""

import dataclasses
import sys

import numpy as np
import pytest
from PIL import Image

from veriscale.errors import InputError
from veriscale.report.trust_figure import TrustCurves, draw, trust_figure

ALPHAS = np.array([0.025, 0.05, 0.1, 0.3])


@pytest.fixture
def curves():
    return TrustCurves(
        alphas=ALPHAS,
        risk=np.array([0, 0.03, 0.08, 0.28]),
        trusted=np.array([0, 0.1, 0.4, 0.8]),
        empty=np.array([1, 0.5, 0.2, 0]),
        psnr=np.array([np.nan, 38, 35, 31]),
        floor=-20 * np.log10(ALPHAS),
        n_pictures=20,
        loss="sup",
    )


def drawn(curves):
    """Every line by panel and label."""
    panels = {axes.get_title(): axes for axes in draw(curves).axes}
    return {title: {line.get_label(): line.get_data() for line in axes.lines} for title, axes in panels.items()}


def test_three_panels_hold_what_was_measured(curves):
    panels = drawn(curves)
    assert list(panels) == ["Risk", "Trusted share", "PSNR inside the mask"]
    for lines in panels.values():
        for alphas, _ in lines.values():
            assert np.array_equal(alphas, ALPHAS)
    risk, shares, psnr = panels.values()
    assert np.array_equal(risk["mean over pictures"][1], curves.risk)
    assert np.array_equal(risk["bound on the expected loss: alpha"][1], ALPHAS)
    assert np.array_equal(shares["trusted pixels, mean over pictures"][1], 100 * curves.trusted)
    assert np.array_equal(shares["pictures with an empty mask"][1], 100 * curves.empty)
    assert np.array_equal(psnr["mean over non-empty masks"][1], curves.psnr, equal_nan=True)
    assert np.array_equal(psnr["floor on the expected PSNR (empty mask: infinite)"][1], curves.floor)


def test_a_floor_stands_beside_the_risk_of_the_masks_it_leaves_out(curves):
    others = drawn(curves)["Risk"]["mean over non-empty masks (not bounded)"][1]
    assert others == pytest.approx([np.nan, 0.06, 0.1, 0.28], nan_ok=True)


def test_without_a_floor_there_is_none(curves):
    panels = drawn(dataclasses.replace(curves, floor=None))
    assert list(panels["PSNR inside the mask"]) == ["mean over non-empty masks"]
    assert len(panels["Risk"]) == 2


def test_only_empty_masks_are_said(curves):
    nothing = dataclasses.replace(curves, empty=np.ones(4), risk=np.zeros(4), psnr=np.full(4, np.nan))
    (text,) = draw(nothing).axes[2].texts
    assert text.get_text() == "every mask is empty"
    assert not draw(curves).axes[2].texts


def test_it_says_that_alpha_is_chosen_beforehand(curves):
    figure = draw(curves)
    assert figure.get_supxlabel().startswith("Pointwise in alpha: each point is a promise by itself, choosing alpha")
    assert figure.get_suptitle() == "Masks on 20 pictures, loss 'sup'"


def test_the_file_is_a_picture_and_is_not_replaced_unasked(curves, tmp_path):
    path = tmp_path / "trust.png"
    trust_figure(path, curves)
    with Image.open(path) as image:
        assert (image.format, image.width) == ("PNG", 1800)
    with pytest.raises(InputError, match="exists already; add force"):
        trust_figure(path, curves)
    first = path.read_bytes()
    trust_figure(path, curves, force=True)
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


def test_without_matplotlib_it_says_how_to_get_it_and_leaves_nothing(curves, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'veriscale\[train\]'"):
        trust_figure(tmp_path / "trust.png", curves)
    assert list(tmp_path.iterdir()) == []
