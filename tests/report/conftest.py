"""A small restoration to report on."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data
from tests.report.browser import opened

from veriscale.report.page import Report


@pytest.fixture(scope="session")
def report():
    truth = data.astronaut()[:96, 160:288].astype(np.float32) / 255
    smooth = gaussian_filter(truth, (1.5, 1.5, 0))
    measurement = truth.reshape(24, 4, 32, 4, 3).mean(axis=(1, 3))
    return Report(
        title="astronaut.png",
        measurement=measurement,
        dials=[(1.0, truth), (0.0, smooth), (0.5, (truth + smooth) / 2)],
        spread=np.abs(truth - smooth),
        residual=np.random.default_rng(0).normal(0, 0.02, measurement.shape),
        expected_residual=0.02,
        draws=[truth, truth[:, ::-1]],
        facts=[("Prior", "photo"), ("Seed", "0")],
        notes=["The noise was estimated from the picture."],
    )


@pytest.fixture
def browse(tmp_path):
    return lambda page, fragment="", **size: opened(page, tmp_path, fragment, **size)
