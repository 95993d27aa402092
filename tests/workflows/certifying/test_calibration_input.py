"""Calibration of what cannot be used: pictures, units and settings, each refused with a reason."""

import hashlib
import shutil
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from tests.workflows.measured import assert_equal_units, in_use, log_of

import veriscale
from veriscale.diffusion.card import Ancestor, Data
from veriscale.diffusion.prior import TrainedPrior
from veriscale.errors import InputError
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo
from veriscale.trust.losses.registry import make_loss, staircase
from veriscale.workflows.certifying.calibration import calibrate


def test_bad_pictures_are_known_before_anything_is_scored(tiny, few, output, counted):
    (few / "torn.png").write_bytes((few / "00.png").read_bytes()[:900])
    with pytest.raises(InputError, match=r"torn\.png.*skip_bad"):
        calibrate(few, output, prior=tiny)
    assert counted == []
    assert not log_of(output).exists()
    told = []
    made = calibrate(few, output, prior=tiny, skip_bad=True, tell=told.append)
    assert made.binding.n == 6
    assert list(made.information["left_out"]) == ["torn.png"]
    assert told[0].startswith("Left out: ")
    assert "torn.png" in told[0]


def test_a_reference_with_nan_or_beyond_its_range_is_refused(tiny, few, output):
    np.save(few / "nan.npy", np.full((48, 48, 3), np.nan, np.float32))
    with pytest.raises(InputError, match=r"nan\.npy: it holds NaN"):
        calibrate(few, output, prior=tiny)
    np.save(few / "nan.npy", np.full((48, 48, 3), 1.2, np.float32))
    with pytest.raises(InputError, match=r"nan\.npy: values from 1\.2 to 1\.2"):
        calibrate(few, output, prior=tiny)
    np.save(few / "nan.npy", np.full((48, 48, 3), 0.2, np.float32))
    assert calibrate(few, output, prior=tiny).binding.n == 7


def test_the_unit_is_what_all_pictures_have_or_what_is_asked(tiny, few, output):
    write_photo(read_photo(few / "00.png").with_pixels(read_photo(few / "00.png").pixels[:39]), few / "low.png")
    unit = calibrate(few, output, prior=tiny).binding.unit
    assert (unit.width, unit.height) == (48, 36)
    unit = calibrate(few, output, prior=tiny, unit="32x32", force=True).binding.unit
    assert (unit.width, unit.height) == (32, 32)
    with pytest.raises(InputError, match=r"low\.png: 48×39 pixels are fewer than the unit's 48×48"):
        calibrate(few, output, prior=tiny, unit="48", force=True)
    with pytest.raises(InputError, match=r"pixels are fewer than the unit's 64×64 \(7 such files in all\)"):
        calibrate(few, output, prior=tiny, unit="64", force=True)
    assert calibrate(few, output, prior=tiny, unit="48", skip_bad=True, force=True).binding.n == 6
    with pytest.raises(InputError, match=r"A unit of 46×32 is not one that .* takes whole; 44×32 is"):
        calibrate(few, output, prior=tiny, unit="46x32", force=True)


def test_tiles_are_units_of_any_size(tiny, few, output, tmp_path):
    write_photo(read_photo(few / "00.png").with_pixels(read_photo(few / "00.png").pixels[:40]), few / "low.png")
    made = calibrate(few, output, prior=tiny, loss="tile-mean", tile=16)
    assert made.binding.unit.width is None
    maps = in_use(few / "low.png", made, tiny, tmp_path)
    assert maps[0].shape == (40, 48)
    assert_equal_units(made.staircases[-1:], [staircase(make_loss("tile-mean", tile=16), [maps], 1.0)])
    with pytest.raises(InputError, match="leave out the unit"):
        calibrate(few, output, prior=tiny, loss="tile-mean", unit="32", force=True)


def trained_on(prior, *files, unknown=0):
    each = [hashlib.sha256(f.read_bytes()).hexdigest()[:16] for f in files] + ["0" * 16] * unknown
    card = msgspec.structs.replace(prior.card, training=[Data("x", len(each), "0" * 64, "CC0", each)])
    return TrainedPrior(card, prior.encoder, prior.denoiser, prior.predictor)


def test_pictures_that_were_trained_on_are_refused(tiny, few, output, counted):
    seen = trained_on(tiny, few / "01.png", few / "04.png")
    words = r"2 of the pictures were used to train the prior or to measure it, such as 01\.png.*leaked 2"
    with pytest.raises(InputError, match=words):
        calibrate(few, output, prior=seen)
    with pytest.raises(InputError, match="leaked 2"):
        calibrate(few, output, prior=seen, leaked=1)
    assert counted == []
    told = calibrate(few, output, prior=seen, leaked=2)
    assert (told.binding.leaked, told.information["trained_on"]) == (2, 2)
    clean = calibrate(few, output, prior=trained_on(tiny, unknown=1), force=True)
    assert clean.information["trained_on"] == 0
    assert told.threshold("0.5") < clean.threshold("0.5")
    assert calibrate(few, output, prior=tiny, force=True).information["trained_on"] is None  # nobody knows


def test_pictures_that_a_prior_was_measured_on_are_refused(tiny, few, output):
    """They may have chosen its weights, and set its levels."""
    card = trained_on(tiny, few / "01.png").card
    card = msgspec.structs.replace(card, training=[], validation=card.training)
    with pytest.raises(
        InputError, match=r"1 of the pictures were used to train the prior or to measure it, such as 01"
    ):
        calibrate(few, output, prior=replace(tiny, card=card))


def test_pictures_that_an_ancestor_was_trained_on_are_refused(tiny, few, output):
    (data,) = trained_on(tiny, few / "01.png").card.training
    ancestor = Ancestor("parent", "0" * 64, 3, [4], [data], {}, [], 1.0, {})
    child = trained_on(tiny, few / "00.png")
    child = replace(child, card=msgspec.structs.replace(child.card, lineage=[ancestor]))
    with pytest.raises(InputError, match=r"2 of the pictures were used to train the prior"):
        calibrate(few, output, prior=child, leaked=1)


def test_what_cannot_be_calibrated_on(tiny, tmp_path, output):
    with pytest.raises(InputError, match="does not exist"):
        calibrate(tmp_path / "nowhere", output, prior=tiny)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        InputError, match=r"holds no image; known: \.png.*\.jpc.*, \.nii\.gz, \.nii and DICOM series\.$"
    ):
        calibrate(tmp_path / "empty", output, prior=tiny)
    np.savez(tmp_path / "empty" / "heart.npz", image=np.zeros((2, 8, 8)))
    with pytest.raises(InputError, match=r"DICOM series\. \.npz archives serve for training alone; write NIfTI files"):
        calibrate(tmp_path / "empty", output, prior=tiny)


def test_a_certificate_that_is_there_is_refused_before_any_work(tiny, few, output, counted):
    output.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        calibrate(few, output, prior=tiny)
    assert counted == []
    assert output.read_text() == "mine"
    assert calibrate(few, output, prior=tiny, force=True).sha256 == veriscale.read_certificate(output).sha256


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"loss": "aria"}, "did you mean 'area'"),
        ({"loss": "sup", "tau": 0.1}, "has no tau"),
        ({"discrepancy": "labb"}, "did you mean 'lab'"),
        ({"score": "predictor:tao=1"}, "did you mean 'tau'"),
        ({"score": "perturbed"}, "for command"),
        ({"score": "files"}, "score_files"),
        ({"score_files": "maps/one.npy"}, r"put \{stem\}"),
        ({"score": "variance", "score_files": "{stem}.npy"}, "go together"),
        ({"score": "variance", "samples": 1}, "at least 2"),
        ({"mode": "pca", "delta": 0.1}, "did you mean 'pac'"),
        ({"mode": "pac"}, "needs a delta"),
        ({"delta": 0.1}, "delta is of the modes pac and pac-uniform"),
        ({"mode": "pac-uniform", "delta": 0.1}, "needs every level beforehand"),
        ({"mode": "pac", "delta": 0.1, "alphas": ["0.1"]}, "alphas is of mode pac-uniform"),
        ({"mode": "pac-uniform", "delta": 0.1, "loss": "violation", "alphas": ["0.1"]}, "alphas is of"),
        ({"mode": "pac-uniform", "delta": 0.1, "alphas": ["much"]}, "not a finite number"),
        ({"leaked": 7}, "7 leaked units among 6"),
        ({"leaked": -1}, "leaked units"),
        ({"unit": "large"}, "is no size"),
        ({"operator": "sensing:ratio=0.5,seed=0", "score": "gradient"}, "no picture of 8 bits"),
        ({"operator": "blur:kernel=gaussian,std=1"}, "predictor.*encoder knows"),
        ({"scale": 1}, "enlarges nothing"),
        ({"scale": 1.5}, "it knows ×2, ×3, ×4"),
        ({"scale": 2, "operator": "downsample:factor=4"}, "contradict"),
        ({"scale": 5}, "it knows ×2, ×3, ×4"),
        ({"noise": "auto"}, "auto"),
        ({"dial": 2}, r"outside \[0, 1\]"),
        ({"command": "tool {in} {out}"}, "A prior and a command are two things"),
    ],
)
def test_settings_that_do_not_go_together(tiny, few, output, settings, words):
    with pytest.raises(InputError, match=words):
        calibrate(few, output, prior=tiny, **settings)
    assert not output.exists()
    assert not log_of(output).exists()


def test_the_noise_of_an_operators_file_counts(tiny, few, output, tmp_path):
    (tmp_path / "a.toml").write_text('noise = "0.02"\n[[operator]]\nname = "downsample"\nfactor = 4\n')
    made = calibrate(few, output, prior=tiny, operator=str(tmp_path / "a.toml"))
    assert made.binding.restoration.noise == "gaussian:0.02"


def test_every_picture_of_grouped_ones_lies_in_a_folder(tiny, few, output):
    (few / "patient").mkdir()
    (few / "03.png").rename(few / "patient" / "03.png")
    with pytest.raises(InputError, match=r"00\.png lies in no sub-folder, and group makes each of them a unit"):
        calibrate(few, output, prior=tiny, group=True)


def test_a_copy_is_no_further_picture(tiny, few, output):
    shutil.copy(few / "01.png", few / "copy.png")
    with pytest.raises(InputError, match=r"copy\.png is there twice"):
        calibrate(few, output, prior=tiny)
    assert not output.exists()
    assert not log_of(output).exists()
