"""Calibration end to end on real pictures: what is measured, and what the certificate says."""

import hashlib
from fractions import Fraction

import msgspec
import numpy as np
import pytest
import torch
from tests.conftest import write_tiny
from tests.workflows.measured import assert_equal_units, in_use, log_of
from tests.workflows.photographs import write_crops, write_measurement

import veriscale
from veriscale.diffusion.checkpoint import load_checkpoint
from veriscale.diffusion.prior import TrainedPrior
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo
from veriscale.runtime.networks import encode, predict_error
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.losses.registry import make_loss, staircase
from veriscale.trust.measurement_statistics import statistics
from veriscale.trust.modes import Guarantee
from veriscale.trust.staircase import RESOLUTION, STEPS
from veriscale.workflows.certifying.calibration import calibrate

N = 24
QUICK = {"sampler": "heun", "steps": 2}
LOSSES = {"area": {}, "sup": {}, "tile-mean": {"tile": 16}, "recall": {"tau": 0.05}, "violation": {"tau": 0.2}}


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


def other_card(prior, **fields):
    card = msgspec.structs.replace(prior.card, **fields)
    return TrainedPrior(card, prior.encoder, prior.denoiser, prior.predictor)


def test_the_card_binds_where_it_decides_pictures(tiny, few, output):
    made = calibrate(few, output, prior=tiny, dial=0.5, **QUICK)
    y = write_measurement(few / "00.png", few.parent / "y.png")
    card = tiny.card
    for fields in (
        {"dial": [msgspec.structs.replace(t, kappa=0.3) for t in card.dial]},
        {"modes": [msgspec.structs.replace(m, level_ratio=0.9) for m in card.modes]},
        {"modes": [msgspec.structs.replace(m, sigma_max=0.8) for m in card.modes]},
        {"network": msgspec.structs.replace(card.network, scales=[4, 3, 2])},
    ):
        with pytest.raises(InputError, match=r"^The certificate is for card \w{12}…, and this is \w{12}…: "):
            veriscale.restore(y, other_card(tiny, **fields), certificate=made)
    renamed = other_card(tiny, name="other", metrics={"psnr": 1.0}, training=[], lineage=[{"date": "today"}])
    assert veriscale.restore(y, renamed, certificate=made).trusted is not None


@pytest.mark.parametrize("operator", ["blur:kernel={}/k.npy", "downsample:factor=2 + blur:kernel={}/k.npy"])
def test_what_a_file_of_the_operator_holds_binds(tiny, few, output, tmp_path, operator):
    for f in sorted(few.iterdir())[1:]:
        f.unlink()
    operator, kernel = operator.format(tmp_path), tmp_path / "k.npy"
    np.save(kernel, np.ones((3, 3)))
    made = calibrate(few, output, prior=tiny, operator=operator, score="gradient")
    y = write_measurement(few / "00.png", tmp_path / "y.png", operator)
    run = veriscale.restore(y, tiny, certificate=made).run
    assert run["operator_files"] == made.binding.restoration.operator_files
    np.save(kernel, np.ones((3, 1)))
    with pytest.raises(InputError, match=r"for operator_files \w+, and this is \w+: "):
        veriscale.restore(y, tiny, certificate=made)
    np.save(kernel, 2 * np.ones((3, 3)))  # the same kernel, since it is divided by its sum
    assert veriscale.restore(y, tiny, certificate=made).trusted is not None


def test_grey_pictures_for_a_colour_prior(tiny, few, output, tmp_path):
    y = write_measurement(few / "00.png", tmp_path / "y.png")
    of_colour = calibrate(few, output, prior=tiny)
    first = sorted(few.iterdir())[0]
    write_photo(Photo(read_photo(first).pixels[..., :1]), first, force=True)
    with pytest.raises(InputError, match=r"00\.png is a grey picture, and the certificate is for colour ones"):
        calibrate(few, output, prior=tiny, force=True)
    told = []
    some = calibrate(few, output, prior=tiny, force=True, skip_bad=True, tell=told.append)
    assert (some.binding.n, some.binding.unit.colour) == (5, "RGB")
    for file in few.iterdir():
        write_photo(Photo(read_photo(file).pixels[..., :1]), file, force=True)
    made = calibrate(few, output, prior=tiny, force=True)
    assert (made.binding.n, made.binding.unit.colour) == (6, "grey")
    maps = [in_use(f, made, tiny, tmp_path) for f in sorted(few.iterdir())]
    assert_equal_units(made.staircases, [staircase(make_loss("area"), [pair], 1.0) for pair in maps])
    with pytest.raises(InputError, match="for grey pictures and this one is RGB"):
        veriscale.restore(y, tiny, certificate=made)
    grey = write_measurement(first, tmp_path / "grey.png")
    with pytest.raises(InputError, match="for RGB pictures and this one is grey"):
        veriscale.restore(grey, tiny, certificate=of_colour)
    with pytest.raises(InputError, match="is a grey picture, and the certificate is for colour ones"):
        veriscale.evaluate_certificate(first, of_colour, tiny)


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
    assert made.statistics.shape == (3, 7)
    for k in range(3):
        files = sorted((few / f"patient {k}").iterdir())
        drawn = min(files, key=lambda f: hashlib.sha256(f.read_bytes()).hexdigest())
        measured = read_photo(write_measurement(drawn, tmp_path / drawn.name)).pixels
        assert np.array_equal(made.statistics[k], statistics(measured))
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
    without = TrainedPrior(tiny.card, tiny.encoder, tiny.denoiser)
    assert usual(without, samples=2) == "variance:smooth=2"
