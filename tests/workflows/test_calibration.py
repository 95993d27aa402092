"""Calibration end to end on real pictures: what is measured, what is refused, and what survives a cut."""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from tests.conftest import write_tiny
from tests.workflows.photographs import write_crops, write_measurement

import veriscale
from veriscale.diffusion.card import Data
from veriscale.diffusion.checkpoint import load_checkpoint
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import as_stored
from veriscale.imaging.write import write_photo
from veriscale.runtime.networks import encode, predict_error
from veriscale.settings import Settings, settled
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.losses.registry import make_loss, staircase
from veriscale.trust.modes import Guarantee
from veriscale.trust.perturbations import PERTURBATIONS
from veriscale.trust.scores.gradient import gradient
from veriscale.trust.scores.variance import variance
from veriscale.trust.smoothing import smoothed
from veriscale.trust.staircase import RESOLUTION, STEPS
from veriscale.workflows.certifying.calibration import calibrate
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.tools.tool_restorer import ToolRestorer, certified_tool

N = 24
QUICK = {"sampler": "heun", "steps": 2}
LOSSES = {"area": {}, "sup": {}, "tile-mean": {"tile": 16}, "recall": {"tau": 0.05}, "violation": {"tau": 0.2}}


@pytest.fixture(scope="module")
def crops(tmp_path_factory, skimage_data):
    folder = tmp_path_factory.mktemp("photographs")
    write_crops(folder, skimage_data, N)
    return folder


@pytest.fixture
def few(tmp_path, skimage_data):
    """Six pictures that a test may spoil."""
    write_crops(tmp_path / "few", skimage_data, 6)
    return tmp_path / "few"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "certificate.json"


def log_of(output):
    return output.with_name(output.name + ".part")


def in_use(file, certificate, prior, folder, operator="downsample:factor=4"):
    """Score and discrepancy of a picture that is measured, stored and restored as a user would."""
    measured = write_measurement(file, folder / f"y_{file.name}", operator)
    result = veriscale.restore(measured, prior, certificate=certificate)
    delivered = as_stored(result.images[certificate.binding.restoration.dial].pixels)
    apart = parse_discrepancy(certificate.binding.discrepancy)(delivered, read_photo(file).pixels)
    return result.score, apart


def assert_equal_units(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.scores, other.scores)
        assert np.array_equal(one.losses, other.losses)


def without_date(path):
    """The text of a certificate but for the day and the hash, which covers the day."""
    return re.sub(r'"(date|sha256)": "[^"]*"', "", path.read_text())


# ---- what is measured


@pytest.mark.parametrize("loss", LOSSES)
def test_use_gives_the_scores_and_losses_of_calibration(tiny, crops, output, tmp_path, loss):
    settings = LOSSES[loss]
    made = calibrate(crops, output, prior=tiny, loss=loss, **settings)
    assert (made.binding.n, len(made.staircases)) == (N, N)
    assert not log_of(output).exists()
    files = sorted(crops.iterdir())[:6]
    maps = [in_use(f, made, tiny, tmp_path) for f in files]
    assert_equal_units(made.staircases[:6], [staircase(make_loss(loss, **settings), [pair], 1.0) for pair in maps])
    assert len({float(s.std()) for s, _ in maps}) == 6
    for stairs, (score, apart) in zip(made.staircases, maps, strict=False):
        for threshold in made.thresholds(["0.1", "0.3"]):
            trusted = score < threshold
            exact = {
                "area": (trusted & (apart > 0.1)).mean(),
                "sup": apart[trusted].max(initial=0),
                "tile-mean": np.mean([d[t].max(initial=0) for d, t in zip(tiles(apart), tiles(trusted), strict=True)]),
                "recall": (trusted & (apart > 0.05)).sum() / max((apart > 0.05).sum(), 1),
                "violation": float((trusted & (apart > 0.2)).any()),
            }[loss]
            stored = stairs.at(threshold) / RESOLUTION
            assert exact - 1e-12 <= stored <= exact + 1 / STEPS  # rounded up, never down


def tiles(values, side=16):
    return [values[r : r + side, c : c + side] for r in range(0, 48, side) for c in range(0, 48, side)]


@pytest.mark.parametrize(
    "settings",
    [
        {"score": "variance", "samples": 2, **QUICK},
        {"score": "variance:smooth=2", "samples": 3, "dial": 0.5, "path": "renoise", "seed": 3, **QUICK},
        {"score": "predictor:tau=0.15,context=0.25,smooth=2", "dial": 0.5, "path": "interpolate", **QUICK},
        {"score": "gradient:std=2", "dial": 1, **QUICK},
        {"discrepancy": "neighbourhood:std=1.5", "loss": "sup"},
        {"discrepancy": "lab", "loss": "sup"},
        {"scale": 2, "noise": 0},
    ],
)
def test_use_repeats_every_setting(tiny, few, output, tmp_path, settings):
    made = calibrate(few, output, prior=tiny, **settings)
    maps = [
        in_use(f, made, tiny, tmp_path, f"downsample:factor={settings.get('scale', 4)}") for f in sorted(few.iterdir())
    ]
    b = parse_discrepancy(made.binding.discrepancy).bound
    assert_equal_units(made.staircases, [staircase(made.loss, [pair], b) for pair in maps])
    assert made.binding.bound == (b if made.binding.loss == "sup" else 1)


def test_draws_are_those_of_the_measurement_and_the_seed(tiny, few, tmp_path):
    thresholds = [
        calibrate(few, tmp_path / f"{k}.json", prior=tiny, score="variance", samples=2, seed=seed, **QUICK).threshold(
            0.5
        )
        for k, seed in enumerate((0, 0, 1))
    ]
    assert thresholds[0] == thresholds[1] != thresholds[2]


def test_a_noisy_measurement_is_restored_as_one(tiny, few, output):
    made = calibrate(few, output, prior=tiny, noise=0.02)
    assert made.binding.restoration.noise == "gaussian:0.02"
    plain = calibrate(few, output, prior=tiny, force=True)
    assert made.threshold(0.5) != plain.threshold(0.5)


def test_a_measurement_that_the_encoder_does_not_know(tiny, few, output, tmp_path):
    for f in sorted(few.iterdir())[2:]:
        f.unlink()
    operator = "downsample:factor=4,kernel=box"
    made = calibrate(few, output, prior=tiny, operator=operator, score="gradient")
    assert made.binding.restoration.mode == "zero-shot"
    maps = [in_use(f, made, tiny, tmp_path, operator) for f in sorted(few.iterdir())]
    assert_equal_units(made.staircases, [staircase(made.loss, [pair], 1.0) for pair in maps])


def test_a_measurement_that_is_not_linear(tiny, skimage_data, output, tmp_path):
    (file,) = write_crops(tmp_path / "one", skimage_data, 1, side=16)
    settings = {"operator": "hdr:gain=2", "dial": 1, "steps": 2, "score": "gradient"}
    made = calibrate(tmp_path / "one", output, prior=tiny, **settings)
    assert made.binding.restoration.posterior == "dps"
    maps = in_use(file, made, tiny, tmp_path, "hdr:gain=2")
    assert_equal_units(made.staircases, [staircase(make_loss("area"), [maps], 1.0)])


@pytest.mark.parametrize("path", ["interpolate", "renoise"])
def test_the_predictor_counts_what_the_dial_has_moved(tiny, few, output, path):
    """An error of the mean above tau − d is the least that puts a picture that lies d away off by more than tau."""
    made = calibrate(few, output, prior=tiny, score="predictor:tau=0.15", dial=0.5, path=path, **QUICK)
    y = write_measurement(few / "00.png", few.parent / "y.png")
    result = veriscale.restore(y, tiny, certificate=made, dial=[0, 0.5])
    mean, picture = (result.images[f].pixels.clip(0, 1) for f in (0, 0.5))
    moved = torch.from_numpy(np.abs(picture - mean).max(axis=2))[None]
    samples = torch.from_numpy(read_photo(y).pixels.transpose(2, 0, 1).copy())[None]
    condition = encode(tiny, samples, 4, 0.0, features=True)
    expected, careless = (predict_error(tiny, condition, 4, t)[0].numpy() for t in (0.15 - moved, 0.15))
    np.testing.assert_allclose(result.score, expected, atol=1e-4)
    assert (expected > careless + 0.01).mean() > 0.5
    still = veriscale.restore(y, tiny, certificate=calibrate(few, output, prior=tiny, tau=0.15, force=True))
    np.testing.assert_allclose(still.score, careless, atol=1e-4)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"noise": 0.02}, "for noise gaussian:0, and this is gaussian:0.02"),
        ({"scale": 2}, "for operator downsample:factor=4"),
        ({"dial": 1}, "for dial 0.5, and this is 1: add 0.5"),
        ({"samples": 3}, "for samples 2, and this is 3"),
        ({"seed": 1}, "for seed 0, and this is 1"),
        ({"consistent": True}, "for consistent False, and this is True"),
        ({"alpha": 0}, "cannot be kept"),
    ],
)
def test_python_refuses_what_contradicts_a_certificate(tiny, few, output, settings, words):
    made = calibrate(few, output, prior=tiny, score="variance", samples=2, dial=0.5, **QUICK)
    y = write_measurement(few / "00.png", few.parent / "y.png")
    assert veriscale.restore(y, tiny, certificate=made).trusted is not None
    with pytest.raises(InputError, match=words):
        veriscale.restore(y, tiny, certificate=made, **settings)
    with pytest.raises(InputError, match="for measurements of 8 bits and this one has 32"):
        veriscale.restore(read_photo(y).pixels, tiny, certificate=made)
    with pytest.raises(InputError, match="no certificate is given"):
        veriscale.restore(y, tiny, alpha=0.1)


def test_grey_pictures_for_a_grey_prior(tmp_path, few, output):
    grey = load_checkpoint(write_tiny(tmp_path / "grey.safetensors", 1), torch.device("cpu"), torch.float32)
    file = few / "00.png"
    with pytest.raises(InputError, match="colour picture, and the certificate is for grey ones"):
        calibrate(few, output, prior=grey)
    for colour in few.iterdir():
        write_photo(Photo(read_photo(colour).pixels[..., :1]), colour, force=True)
    made = calibrate(few, output, prior=grey)
    assert made.binding.unit.colour == "grey"
    write_photo(Photo(read_photo(file).pixels[:12, :12, :1]), tmp_path / "y.png")
    assert veriscale.restore(tmp_path / "y.png", grey, certificate=made).trusted.shape == (48, 48)
    colour = Photo(np.repeat(read_photo(tmp_path / "y.png").pixels, 3, 2))
    with pytest.raises(InputError, match="grey"):
        veriscale.restore(colour, grey, certificate=made)


def test_a_folder_of_pictures_is_one_unit(tiny, few, output, tmp_path):
    for k, file in enumerate(sorted(few.iterdir())):
        patient = few / f"patient {k // 2}"
        patient.mkdir(exist_ok=True)
        file.rename(patient / file.name)
    made = calibrate(few, output, prior=tiny, loss="sup", group=True)
    assert (made.binding.n, made.binding.unit.kind) == (3, "folder")
    assert made.statistics.shape[0] == 6
    for k in range(3):
        maps = [in_use(f, made, tiny, tmp_path) for f in sorted((few / f"patient {k}").iterdir())]
        assert_equal_units([made.staircases[k]], [staircase(make_loss("sup"), maps, 1.0)])


def test_leaving_one_out_keeps_the_promise_on_these_pictures(tiny, crops, output):
    made = calibrate(crops, output, prior=tiny)
    alphas = [Fraction(a) for a in ("0.05", "0.1", "0.2")]
    losses = made.calibration.losses_at(made.calibration.leave_one_out(alphas)).mean(axis=1)
    assert (losses <= [float(a) for a in alphas]).all()
    assert losses[-1] > 0.1
    everything = np.mean([s.at(np.inf) for s in made.staircases]) / RESOLUTION
    assert everything > 0.2  # trusting everything would not keep it


def test_every_picture_of_grouped_ones_lies_in_a_folder(tiny, few, output):
    (few / "patient").mkdir()
    (few / "03.png").rename(few / "patient" / "03.png")
    with pytest.raises(InputError, match=r"00\.png lies in no sub-folder, and group makes each of them a unit"):
        calibrate(few, output, prior=tiny, group=True)


def test_what_the_certificate_says_of_itself(tiny, crops, output):
    made = calibrate(crops, output, prior=tiny, score="variance", samples=2, dial=0.5, **QUICK)
    read = veriscale.read_certificate(output)
    assert read.binding == made.binding
    facts = made.binding.restoration.given()
    assert facts["prior"] == tiny.card.tensors_sha256
    assert facts["operator"] == "downsample:factor=4,kernel=bicubic"
    assert (facts["dial"], facts["samples"], facts["sampler"], facts["steps"], facts["seed"]) == (0.5, 2, "heun", 2, 0)
    assert (facts["dtype"], facts["guides"], facts["noise"]) == ("float32", [], "gaussian:0")
    unit = made.binding.unit
    assert (unit.kind, unit.width, unit.height, unit.colour, unit.bits) == ("picture", 48, 48, "RGB", 8)
    known = {h for hashes in made.information["files"].values() for h in hashes}
    assert known == {hashlib.sha256(f.read_bytes()).hexdigest() for f in crops.iterdir()}
    assert str(crops) not in output.read_text()


def test_nothing_binds_that_the_result_does_not_depend_on(tiny, few, output):
    facts = calibrate(few, output, prior=tiny, samples=8, seed=5, **QUICK).binding.restoration.given()
    assert not facts.keys() & {"samples", "sampler", "steps", "seed", "path", "posterior"}
    assert facts["predictor"] == tiny.card.predictor_sha256


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"mode": "pac", "delta": 0.1}, {"delta": 0.1}),
        ({"mode": "pac", "delta": 0.1, "loss": "violation"}, {"delta": 0.1, "binary": True}),
        ({"mode": "pac-uniform", "delta": 0.1, "alphas": [0.5, "0.6"]}, {"delta": 0.1, "declared": ["0.5", "0.6"]}),
        ({"mode": "pac-uniform", "delta": 0.1, "loss": "violation"}, {"delta": 0.1, "binary": True}),
        ({"leaked": 3}, {"leaked": 3}),
    ],
)
def test_modes(tiny, crops, output, settings, expected):
    made = calibrate(crops, output, prior=tiny, **settings)
    promise = {"binary": False, **expected, "declared": [Fraction(a) for a in expected.get("declared", ())]}
    allowed = Guarantee(settings.get("mode", "mean"), N, 1.0, **promise).allowance(Fraction("0.5"))
    assert veriscale.read_certificate(output).threshold("0.5") == made.calibration.threshold(allowed)
    assert made.calibration.threshold(allowed) < made.calibration.threshold(
        Fraction(N + 1, 2) - 1
    )  # stricter than mean


def test_progress_and_remarks(tiny, few, output):
    shown, told = [], []
    calibrate(few, output, prior=tiny, progress=lambda *a: shown.append(a), tell=told.append)
    assert set(shown) == {(f"{k:02}.png, encode 1 of 1: pictures", k, 6) for k in range(6)}
    measurement = "downsample:factor=4,kernel=bicubic, noise gaussian:0"
    assert told == [f"6 pictures, results of 48×48, {measurement}, score predictor, loss area."]


def test_the_score_is_the_priors_own_where_it_has_one(tiny, few, output):
    def usual(prior, **settings):
        return calibrate(few, output, prior=prior, force=True, **QUICK, **settings).binding.score

    assert usual(tiny) == "predictor"
    assert usual(tiny, tau=0.05) == "predictor:tau=0.05"
    assert usual(tiny, loss="sup") == "predictor:tau=0.15,context=0.25,smooth=2"
    without = Prior(tiny.card, tiny.encoder, tiny.denoiser)
    assert usual(without, samples=2) == "variance:smooth=2"


# ---- a run that was cut off


def interrupted(folder, output, prior, unit, **settings):
    def progress(what, done, of):
        if done == unit - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(folder, output, prior=prior, progress=progress, **settings)
    assert not output.exists()


KILLED = """
import os, signal, sys
import torch
from veriscale.workflows.certifying.calibration import calibrate
from veriscale.workflows.opening import load_prior
def progress(what, done, of):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)
calibrate(*sys.argv[1:3], prior=load_prior(sys.argv[3], "cpu", torch.float32), progress=progress)
"""


@pytest.fixture
def counted(monkeypatch):
    """Which pictures are restored."""
    stems, prepare = [], PriorRestorer.prepare

    def watched(self, photo, path=None, stem=None):
        if stem is not None:
            stems.append(stem)
        return prepare(self, photo, path, stem)

    monkeypatch.setattr(PriorRestorer, "prepare", watched)
    return stems


def test_a_killed_run_goes_on_where_it_was(tiny, tiny_file, crops, tmp_path, counted):
    whole, cut = tmp_path / "a" / "c.json", tmp_path / "b" / "c.json"
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-c", KILLED, crops, cut, tiny_file]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not cut.exists()
    resumed = calibrate(crops, cut, prior=tiny)
    assert counted == [f"{k:02}" for k in range(5, N)]
    calibrate(crops, whole, prior=tiny)
    assert without_date(whole) == without_date(cut)  # five of the units come from another process
    assert not log_of(cut).exists()
    assert veriscale.read_certificate(cut).sha256 == resumed.sha256


@pytest.mark.parametrize("lost", [1, 20, 5000])
def test_a_line_that_was_being_written_is_measured_again(tiny, few, tmp_path, counted, lost):
    whole, cut = tmp_path / "a.json", tmp_path / "b.json"
    calibrate(few, whole, prior=tiny)
    interrupted(few, cut, tiny, 5)
    content = log_of(cut).read_bytes()
    log_of(cut).write_bytes(content[:-lost])
    counted.clear()
    calibrate(few, cut, prior=tiny)
    assert without_date(whole) == without_date(cut)
    assert len(counted) == {1: 2, 20: 3, 5000: 3}[lost]


def test_lines_after_a_damaged_one_are_not_believed(tiny, few, output, counted):
    interrupted(few, output, tiny, 5)
    lines = log_of(output).read_text().splitlines()
    lines[2] = lines[2].replace('"scores"', '"sores"')
    log_of(output).write_text("\n".join(lines) + "\n")
    counted.clear()
    assert calibrate(few, output, prior=tiny).binding.n == 6
    assert counted == ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize(
    "settings", [{"tau": 0.2}, {"loss": "sup"}, {"mode": "pac", "delta": 0.1}, {"unit": "32x32"}, {"noise": 0.01}]
)
def test_a_log_of_other_settings_is_refused_and_kept(tiny, few, output, settings):
    interrupted(few, output, tiny, 3)
    kept = log_of(output).read_bytes()
    with pytest.raises(InputError, match="other settings, pictures or code; delete it to start again"):
        calibrate(few, output, prior=tiny, **settings)
    assert log_of(output).read_bytes() == kept


def test_a_log_of_other_pictures_is_refused(tiny, few, output):
    interrupted(few, output, tiny, 3)
    write_photo(Photo(1 - read_photo(few / "00.png").pixels), few / "00.png", force=True)
    with pytest.raises(InputError, match="other settings, pictures or code"):
        calibrate(few, output, prior=tiny)


@pytest.mark.parametrize(
    "spoil", [lambda p: p.write_bytes(b"\xff\x00\xfe"), lambda p: p.write_text("{}\n"), Path.mkdir]
)
def test_what_is_no_log_is_refused(tiny, few, output, spoil):
    spoil(log_of(output))
    with pytest.raises(InputError, match="delete it to start again"):
        calibrate(few, output, prior=tiny)


# ---- which pictures


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
    return Prior(card, prior.encoder, prior.denoiser, prior.predictor)


def test_pictures_that_were_trained_on_are_refused(tiny, few, output, counted):
    seen = trained_on(tiny, few / "01.png", few / "04.png")
    with pytest.raises(InputError, match=r"2 of the pictures were used to train the prior, such as 01\.png.*leaked 2"):
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


def test_what_cannot_be_calibrated_on(tiny, tmp_path, output):
    with pytest.raises(InputError, match="does not exist"):
        calibrate(tmp_path / "nowhere", output, prior=tiny)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no image"):
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
        ({"scale": 2, "operator": "downsample:factor=4"}, "contradict"),
        ({"scale": 5}, "encoder knows"),
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


# ---- the user's own maps


@pytest.fixture
def maps(few, tmp_path):
    folder = tmp_path / "maps"
    folder.mkdir()
    for k, file in enumerate(sorted(few.iterdir())):
        np.save(folder / f"{file.stem}.npy", np.random.default_rng(k).random((48, 48), np.float32))
    return folder


def test_scores_may_be_the_users_files(tiny, few, output, maps):
    made = calibrate(few, output, prior=tiny, score="files:smooth=1", score_files=f"{maps}/{{stem}}.npy")
    assert made.binding.score == "files:smooth=1"
    expected = np.sort(np.concatenate([smoothed(np.load(f), 1.0) for f in sorted(maps.iterdir())], axis=None))
    assert made.quantiles.min() == expected[0]
    assert made.quantiles.max() == expected[-1]
    assert set(made.staircases[2].scores) <= set(smoothed(np.load(maps / "02.npy"), 1.0).ravel())


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda p: np.save(p, np.full((48, 48), np.nan, np.float32)), r"02\.npy holds NaN; write inf where nothing"),
        (lambda p: np.save(p, np.zeros((48, 47), np.float32)), r"has shape \(48, 47\), and the result has \(48, 48\)"),
        (lambda p: np.save(p, np.array([{}])), "holds no array of numbers"),
        (lambda p: p.write_bytes(p.read_bytes()[:500]), "holds no array of numbers"),
        (lambda p: p.write_bytes(b""), "holds no array of numbers"),
        (Path.unlink, "does not exist"),
    ],
)
def test_a_map_that_cannot_be_used_is_named(tiny, few, output, maps, spoil, words):
    spoil(maps / "02.npy")
    with pytest.raises(InputError, match=words):
        calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")
    np.save(maps / "02.npy", np.full((48, 48), np.inf, np.float32))
    made = calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")  # goes on where it stopped
    assert made.staircases[2].scores.size == 0  # what is infinite is never trusted and costs nothing


def test_smoothing_leaves_what_is_infinite_where_it_is(tiny, few, output, maps):
    for f in maps.iterdir():
        values = np.load(f)
        values[20, 20] = np.inf
        np.save(f, values)
    made = calibrate(few, output, prior=tiny, score="files:smooth=2", score_files=f"{maps}/{{stem}}.npy")
    assert (made.quantiles[:, -1] == np.inf).all()
    assert (made.quantiles[:, -2] < 1).all()  # the neighbours are what they were, about 1/2


@pytest.mark.parametrize("kind", [bool, complex, str])
def test_a_map_is_of_real_numbers(tiny, few, output, maps, kind):
    np.save(maps / "00.npy", np.ones((48, 48)).astype(kind))
    with pytest.raises(InputError, match=r"00\.npy holds no real numbers"):
        calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")
    assert not log_of(output).exists()  # nothing was measured, and nothing is left


def test_one_map_is_not_for_two_pictures(tiny, few, output, maps):
    (few / "sub").mkdir()
    shutil.copy(few / "01.png", few / "sub" / "00.png")
    with pytest.raises(InputError, match="have one name"):
        calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")


# ---- anybody's tool

RESIZE = """
import sys
from PIL import Image
picture = Image.open(sys.argv[1])
picture.resize((4 * picture.width, 4 * picture.height), Image.BICUBIC).save(sys.argv[2])
"""
NOISY = """
import os, sys
from PIL import Image, ImageChops
picture = Image.open(sys.argv[1])
large = picture.resize((4 * picture.width, 4 * picture.height), Image.BICUBIC)
grain = Image.frombytes(large.mode, large.size, os.urandom(3 * large.width * large.height)).point(lambda v: v // 16)
ImageChops.add(large, grain).save(sys.argv[2])
"""
FLAKY = """
import sys, time
from PIL import Image
picture = Image.open(sys.argv[1])
kind = picture.getpixel((0, 0))[0] % 4
if kind == 0:
    sys.exit("no model found")
if kind == 1:
    time.sleep(30)
size = (4 * picture.width, 4 * picture.height - (kind == 2))
picture.resize(size).save(sys.argv[2])
"""


@pytest.fixture
def tool(tmp_path):
    def write(script):
        (tmp_path / "tool.py").write_text(script)
        return f"{shlex.quote(sys.executable)} {shlex.quote(str(tmp_path / 'tool.py'))} {{in}} {{out}}"

    return write


def resized(samples):
    picture = Image.fromarray(np.rint(samples * 255).astype(np.uint8))
    large = picture.resize((4 * picture.width, 4 * picture.height), Image.BICUBIC)
    return np.asarray(large, np.float32) / np.float32(255)


def test_a_tool_is_measured_as_it_is(few, output, tmp_path, tool):
    command = tool(RESIZE)
    made = calibrate(few, output, command=command, scale=4, score="gradient:std=2,smooth=1", loss="sup")
    facts = made.binding.restoration.given()
    assert (facts["command"], facts["scale"], facts["noise"]) == (command, 4, "gaussian:0")
    assert "dial" not in facts
    for k, file in enumerate(sorted(few.iterdir())):
        x = read_photo(file).pixels
        image = resized(read_photo(write_measurement(file, tmp_path / file.name)).pixels)
        maps = smoothed(gradient(image, 2.0), 1.0), np.abs(image - x).max(axis=2)
        assert_equal_units(made.staircases[k : k + 1], [staircase(make_loss("sup"), [maps], 1.0)])


def test_a_tool_that_always_answers_the_same_is_asked_differently(few, output, tmp_path, tool):
    for f in sorted(few.iterdir())[2:]:
        f.unlink()
    made = calibrate(few, output, command=tool(RESIZE), scale=4, score="perturbed:smooth=2")
    assert made.binding.restoration.perturbations == [p.name for p in PERTURBATIONS]
    file = few / "01.png"
    y = read_photo(write_measurement(file, tmp_path / file.name)).pixels
    image = resized(y)
    undone = [image, *(p.undo(resized(p.apply(y)), image, 4) for p in PERTURBATIONS)]
    maps = smoothed(variance(undone), 2.0), np.abs(image - read_photo(file).pixels).max(axis=2)
    assert_equal_units(made.staircases[1:], [staircase(make_loss("area"), [maps], 1.0)])


def test_a_tool_that_never_answers_the_same_is_asked_again(few, output, tool, monkeypatch):
    for f in sorted(few.iterdir())[2:]:
        f.unlink()
    made = calibrate(few, output, command=tool(NOISY), scale=4, score="variance", samples=3)
    assert made.binding.restoration.samples == 3
    noise = np.sqrt(made.quantiles / 3)  # per channel; uniform over 16 steps of 255
    assert np.median(noise) == pytest.approx(16 / np.sqrt(12) / 255, rel=0.3)
    with pytest.raises(InputError, match=r"the same picture 2 times.*choose score gradient or perturbed"):
        calibrate(few, output, command=tool(RESIZE), scale=4, score="variance", samples=2, force=True)


def test_failures_are_told_and_stop_nothing(skimage_data, tmp_path, output, tool):
    # One picture of each kind that the tool takes differently, by its first pixel, and a fifth.
    folder = tmp_path / "in"
    folder.mkdir()
    for k, first in enumerate((100, 101, 102, 103, 107)):
        write_photo(Photo(np.full((32, 32, 3), first / 255, np.float32)), folder / f"{k}.png")
    told = []
    made = calibrate(folder, output, command=tool(FLAKY), scale=4, score="gradient", timeout=1.5, tell=told.append)
    assert made.binding.n == 2
    assert made.information["failed"].keys() == {"0.png", "1.png", "2.png"}
    assert told[1:] == list(made.information["failed"].values())
    for sentence, words in zip(
        told[1:], ["no model found", "did not finish within 1.5 s", "wrote 32 × 31 pixels"], strict=True
    ):
        assert words in sentence
    read = veriscale.read_certificate(output)
    assert len(read.staircases) == len(read.statistics) == 2
    assert read.information["files"].keys() == {f"{k}.png" for k in range(5)}


def test_failures_may_leave_fewer_than_may_have_leaked(tmp_path, output, tool):
    folder = tmp_path / "in"
    folder.mkdir()
    for k, first in enumerate((100, 104, 108, 103)):
        write_photo(Photo(np.full((32, 32, 3), first / 255, np.float32)), folder / f"{k}.png")
    with pytest.raises(InputError, match="2 leaked units among 1"):
        calibrate(folder, output, command=tool(FLAKY), scale=4, score="gradient", leaked=2)
    assert not output.exists()


@pytest.mark.parametrize(
    "script, words",
    [
        ("import sys; sys.exit('out of luck')", "last words: “out of luck”"),
        ("pass", r"wrote nothing at \{out\}"),
        ("import time; time.sleep(30)", "did not finish within 0.5 s"),
        ("import shutil, sys; shutil.copy(*sys.argv[1:])", "wrote 12 × 12 pixels; 4 times 12 × 12 is 48 × 48"),
    ],
)
def test_a_tool_that_always_fails_has_no_certificate(few, output, tool, script, words):
    for f in sorted(few.iterdir())[2:]:
        f.unlink()
    with pytest.raises(InputError, match=f"^The tool failed on every picture, the first time so: 00.png: .*{words}"):
        calibrate(few, output, command=tool(script), scale=4, score="gradient", timeout=0.5)
    assert not output.exists()


def test_a_tool_is_resumed_and_what_failed_is_tried_again(few, tmp_path, output, tool, monkeypatch):
    command = tool(RESIZE.replace("picture =", "import os\nif os.path.exists('busy'): sys.exit('busy')\npicture ="))
    monkeypatch.chdir(tmp_path)
    runs, prepare = [], ToolRestorer.prepare

    def counted(self, photo, path=None, stem=None):
        if stem is not None:
            runs.append(stem)
            if len(runs) == 5:
                raise KeyboardInterrupt
            if len(runs) == 3:
                Path("busy").touch()
        return prepare(self, photo, path, stem)

    monkeypatch.setattr(ToolRestorer, "prepare", counted)
    settings = {"command": command, "scale": 4, "score": "gradient"}
    with pytest.raises(KeyboardInterrupt):
        calibrate(few, output, **settings)
    Path("busy").unlink()
    assert calibrate(few, output, **settings).binding.n == 6
    assert runs[5:] == ["02", "03", "04", "05"]
    whole = tmp_path / "whole.json"
    calibrate(few, whole, **settings)
    assert without_date(whole) == without_date(output)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"command": "python x.py {in}", "scale": 4}, r"lacks \{out\}"),
        ({"command": "no-such-program {in} {out}", "scale": 4}, "not found on the PATH"),
        ({}, "say scale"),
        ({"operator": "blur:kernel=gaussian,std=1"}, "downsampling by an integer"),
        ({"scale": 4, "score": "predictor"}, "choose perturbed, variance, gradient or files"),
        ({"scale": 4, "score": "variance", "samples": 1}, "at least 2 runs"),
        ({"scale": 4, "timeout": 0}, "lets no tool finish"),
        ({"scale": 4, "dial": 0.5}, "leave them out with a command"),
        ({"scale": 4, "sampler": "heun"}, "leave them out with a command"),
    ],
)
def test_a_tools_settings(few, output, tool, settings, words):
    with pytest.raises(InputError, match=words):
        calibrate(few, output, **{"command": tool(RESIZE), **settings})
    assert not log_of(output).exists()


def test_the_log_is_json_with_a_line_for_each_unit(tiny, few, output):
    interrupted(few, output, tiny, 4)
    lines = [json.loads(line) for line in log_of(output).read_text().splitlines()]
    assert [line["unit"] for line in lines[1:]] == ["00.png", "01.png", "02.png"]


def test_a_copy_is_no_further_picture(tiny, few, output):
    shutil.copy(few / "01.png", few / "copy.png")
    with pytest.raises(InputError, match=r"copy\.png is there twice"):
        calibrate(few, output, prior=tiny)
    assert not output.exists()
    assert not log_of(output).exists()


def test_a_unit_whose_map_was_exchanged_is_measured_again(tiny, few, output, maps):
    np.save(maps / "05.npy", np.full((48, 48), np.nan, np.float32))
    with pytest.raises(InputError, match="NaN"):
        calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")
    for path in maps.iterdir():
        np.save(path, np.random.default_rng(7).random((48, 48), np.float32) + 5)
    made = calibrate(few, output, prior=tiny, score_files=f"{maps}/{{stem}}.npy")
    assert all(s.scores.min() >= 5 for s in made.staircases if s.scores.size)


def test_a_tool_sees_no_profile_in_calibration_nor_in_use(few, output, tmp_path):
    heeds = tmp_path / "heeds.py"
    heeds.write_text(
        RESIZE.replace(".resize(", ".point(lambda v: 255 - v if picture.info.get('icc_profile') else v).resize(")
    )
    command = f"{shlex.quote(sys.executable)} {heeds} {{in}} {{out}}"
    made = calibrate(few, output, command=command, scale=4)
    y = read_photo(few / "00.png")
    y = Photo(y.pixels[:12, :12], icc=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    result = certified_tool(settled(Settings(command=command)), made).prepare(y).restore()
    assert abs(result.image.pixels - y.pixels.repeat(4, 0).repeat(4, 1)).mean() < 0.1
    assert result.image.icc == y.icc
