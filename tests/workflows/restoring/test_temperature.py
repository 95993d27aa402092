"""A prior's temperature is in `.std` and nowhere else, and is said where it is."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from tests.workflows.scans.conftest import OBLIQUE, blob

from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.photo import Photo
from veriscale.imaging.volume import Volume
from veriscale.settings import Settings, settled
from veriscale.trust.scores.registry import parse_score
from veriscale.workflows.restoring.door import restore
from veriscale.workflows.restoring.evaluation import evaluate
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.restoring.reporting import report_html

T = 1.5
QUICK = {"sampler": "heun", "steps": 2, "noise": 0.0, "seed": 0}


@pytest.fixture
def hot(tiny):
    """The same prior with a temperature."""
    return replace(tiny, card=msgspec.structs.replace(tiny.card, temperature=T))


@pytest.fixture
def volume(tmp_path) -> Volume:
    import nibabel

    shape = (20, 18, 5)
    middle = OBLIQUE[:3, :3] @ (np.array(shape) - 1) / 2 + OBLIQUE[:3, 3]
    values = 1000 * blob(shape, OBLIQUE, middle) + np.random.default_rng(0).uniform(0, 50, shape)
    nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), OBLIQUE), tmp_path / "a.nii.gz")
    return read_volume(tmp_path / "a.nii.gz")


def test_of_a_picture_only_the_std_is_another(tiny, hot, noise_picture):
    asked = {**QUICK, "scale": 2, "samples": 3, "dial": "0,1"}
    cold, warm = (restore(noise_picture, prior, **asked) for prior in (tiny, hot))
    assert np.allclose(warm.std, T * cold.std, rtol=1e-6)
    assert cold.std.max() > 0
    for one, other in zip([*cold.samples, cold.mean], [*warm.samples, warm.mean], strict=True):
        assert np.array_equal(one.pixels, other.pixels)
    assert all(np.array_equal(cold.images[f].pixels, warm.images[f].pixels) for f in (0, 1))
    assert cold.run["prior"] == warm.run["prior"]
    assert (cold.run.get("temperature"), warm.run["temperature"]) == (None, T)
    assert "temperature" not in report_html(cold, "")
    assert "1.5 times the draws&#39; own spread" in report_html(warm, "").replace("&#x27;", "&#39;")


def test_masks_are_cut_by_the_draws_as_they_are(tiny, hot, noise_picture):
    settings = settled(Settings(scale=2, samples=3, sampler="heun", steps=2))
    restorers = (PriorRestorer(prior, settings, score=parse_score("variance")) for prior in (tiny, hot))
    cold, warm = (restorer.prepare(Photo(noise_picture)).restore() for restorer in restorers)
    assert np.array_equal(cold.score, warm.score)
    assert not np.array_equal(cold.std, warm.std)


def test_without_the_encoder_it_is_not_known(tiny, hot, noise_picture):
    asked = {**QUICK, "operator": "inpaint:keep=0.5", "samples": 2, "dial": 1}
    cold, warm = (restore(noise_picture, prior, **asked) for prior in (tiny, hot))
    assert np.array_equal(cold.std, warm.std)
    assert "temperature" not in warm.run


def test_of_a_scan_in_plane_too(tiny, hot, volume):
    asked = {**QUICK, "scale": 2, "samples": 3}
    cold, warm = (restore(volume, prior, **asked) for prior in (tiny, hot))
    assert np.allclose(warm.std.samples, T * cold.std.samples, rtol=1e-6)
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(cold.samples, warm.samples, strict=True))
    assert warm.run["temperature"] == T


def test_an_evaluation_has_both(tiny, hot, volume, tmp_path):
    asked = {**QUICK, "scale": 2, "samples": 3}
    cold, warm = (evaluate(tmp_path / "a.nii.gz", prior, **asked).as_dict() for prior in (tiny, hot))
    assert "tempered" not in cold
    assert warm["draws"] == cold["draws"]  # raw as they were
    raw, scaled = warm["draws"], warm["tempered"]
    assert scaled["temperature"] == T
    assert scaled["pooled"]["spread_skill"] == pytest.approx(T * raw["pooled"]["spread_skill"])
    assert scaled["pooled"]["width_80"] == pytest.approx(T * raw["pooled"]["width_80"])
    assert scaled["pooled"]["coverage_80"] > raw["pooled"]["coverage_80"]
    assert [row["scan"] for row in scaled["scans"]] == [1]
