"""`restore` with the user's own maps of what can be trusted."""

import shutil

import numpy as np
import pytest
from tests.cli.conftest import CPU, pixels

import veriscale as library
from veriscale.trust.smoothing import smoothed
from veriscale.workflows.certifying.calibration import calibrate


def test_the_users_map_is_treated_as_in_calibration(veriscale, refused, place, cat, tiny_file, tmp_path):
    for k, file in enumerate([*sorted((place / "calibration").iterdir()), cat]):
        np.save(tmp_path / f"{file.stem}.npy", np.random.default_rng(k).random((48, 48), np.float32))
    pattern = f"{tmp_path}/{{stem}}.npy"
    prior = library.load_prior(str(tiny_file), "cpu")
    files = tmp_path / "files.json"
    made = calibrate(place / "calibration", files, prior=prior, score="files:smooth=1", score_files=pattern)
    options = ("restore", cat, *CPU, "--certificate", files, "--alpha", "0.3")
    assert veriscale(*options, "--score-files", pattern, "-o", tmp_path / "out")[0] == 0
    expected = smoothed(np.load(tmp_path / "cat.npy"), 1.0) < made.threshold("0.3")
    assert 0 < expected.mean() < 1
    assert np.array_equal(pixels(tmp_path / "out" / "cat_x4_trusted.png") == 255, expected)
    own = library.restore(cat, prior, certificate=made, alpha="0.3", score=np.load(tmp_path / "cat.npy"))
    assert np.array_equal(own.trusted, expected)
    assert "go together" in refused(*options, "--quiet")
    np.save(tmp_path / "cat.npy", np.full((48, 48), np.nan, np.float32))
    assert "cat.npy holds NaN" in refused(*options, "--score-files", pattern, "--quiet", "--force")
    with pytest.raises(library.InputError, match="The score holds NaN"):
        library.restore(cat, prior, certificate=made, score=np.load(tmp_path / "cat.npy"))
    with pytest.raises(library.InputError, match=r"has shape \(12, 48\)"):
        library.restore(cat, prior, certificate=made, score=np.zeros((12, 48), np.float32))


def test_one_map_is_not_for_two_inputs(refused, place, cat, tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(cat, folder)
    shutil.copy(cat, folder / "sub")
    options = (
        "--certificate",
        place / "area.json",
        "--score-files",
        f"{tmp_path}/{{stem}}.npy",
        "-o",
        tmp_path / "out",
    )
    assert "Two inputs have one name" in refused("restore", folder, *CPU, *options, "--quiet")


def test_a_map_of_ones_own_is_not_for_a_certificate_of_another_score(refused, place, cat, tiny_file, tmp_path):
    np.save(tmp_path / "cat.npy", np.full((48, 48), -100, np.float32))  # it would trust everything
    options = ("--certificate", place / "area.json", "--score-files", f"{tmp_path}/{{stem}}.npy")
    assert "go together" in refused("restore", cat, *CPU, *options, "--quiet")
    prior = library.load_prior(str(tiny_file), "cpu")
    with pytest.raises(library.InputError, match="whose score is 'files'"):
        library.restore(cat, prior, certificate=place / "area.json", score=np.load(tmp_path / "cat.npy"))
