"""What a certificate promises beside what happens on other pictures, counted by hand."""

import hashlib
import json
from dataclasses import asdict

import msgspec
import numpy as np
import pytest
from tests.conftest import RESIZE
from tests.trust.masked_psnr import masked_psnr
from tests.workflows.photographs import write_crops, write_measurement

import veriscale
from veriscale.diffusion.card import Data
from veriscale.diffusion.prior import TrainedPrior
from veriscale.errors import InputError
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import as_stored
from veriscale.settings import Settings, settled
from veriscale.workflows.certifying.calibration import calibrate
from veriscale.workflows.certifying.trust_evaluation import (
    ALPHAS,
    Outcome,
    TrustEvaluation,
    certified_restorer,
    evaluate_masks,
)
from veriscale.workflows.tools.tool_restorer import certified_tool

LEVELS = ("0.01", "0.1", "0.3", "0.5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, skimage_data):
    """24 pictures to calibrate on, and six others."""
    folder = tmp_path_factory.mktemp("photographs")
    write_crops(folder / "calibration", skimage_data, 24)
    write_crops(folder / "other", skimage_data, 6, seed=1)
    return folder


@pytest.fixture(scope="module")
def certificate(tiny, folder):
    return calibrate(folder / "calibration", folder / "area.json", prior=tiny)


@pytest.fixture
def others(folder):
    return sorted((folder / "other").iterdir())


def by_hand(file, certificate, prior, folder, alpha):
    """(loss of area, trusted share, PSNR inside) of one picture, restored as a user would."""
    measured = write_measurement(file, folder / f"{alpha}_{file.name}")
    result = veriscale.restore(measured, prior, certificate=certificate, alpha=alpha)
    image, x = as_stored(result.image.pixels), read_photo(file).pixels
    bad = np.abs(image - x).max(axis=2) > 0.1
    psnr = masked_psnr(image, x, result.trusted) if result.trusted.any() else np.nan
    return (result.trusted & bad).mean(), result.trusted.mean(), psnr


def test_every_level_is_what_the_masks_of_a_user_give(tiny, certificate, others, tmp_path):
    result = evaluate_masks(others, certified_restorer(certificate, tiny), certificate, LEVELS)
    assert [o.picture for o in result.outcomes] == [f.name for f in others]
    expected = np.array([[by_hand(f, certificate, tiny, tmp_path, a) for a in LEVELS] for f in others])
    loss, trusted, psnr = (np.stack([getattr(o, k) for o in result.outcomes]) for k in ("loss", "trusted", "psnr"))
    assert loss == pytest.approx(expected[..., 0], abs=1 / 1024)
    assert (loss >= expected[..., 0] - 1e-12).all()  # thinned and rounded up, never down
    assert np.array_equal(trusted, expected[..., 1])
    np.testing.assert_allclose(psnr, expected[..., 2], atol=1e-4)
    for k, row in enumerate(result.rows()):
        assert (row.alpha, row.risk) == (LEVELS[k], loss[:, k].mean())
        assert row.low <= row.risk <= row.high
        assert (row.trusted, row.median) == (trusted[:, k].mean(), np.median(trusted[:, k]))
        assert row.empty == (trusted[:, k] == 0).mean()
        inside = psnr[~np.isnan(psnr[:, k]), k]
        assert row.psnr == (inside.mean() if inside.size else None)
    first, last = result.rows()[0], result.rows()[-1]
    assert (first.trusted, first.empty, first.psnr) == (0, 1, None)  # 0.01 is infeasible with 24 pictures
    assert last.trusted > 0.2
    assert last.risk > 0


def outcomes(loss, trusted, psnr, certificate):
    n = len(loss)
    values = (np.array(v, np.float64).reshape(n, 1) for v in (loss, trusted, psnr))
    return TrustEvaluation(
        ("0.1",), [Outcome(str(k), *v) for k, v in enumerate(zip(*values, strict=True))], certificate, []
    )


def test_rows_of_a_single_picture_and_of_errors_that_are_zero(certificate):
    (one,) = outcomes([0.2], [0.5], [30.0], certificate).rows()
    assert (one.risk, one.low, one.high, one.psnr) == (0.2, 0.2, 0.2, 30)
    (exact,) = outcomes([0, 0.1], [0.5, 0.5], [np.inf, 30], certificate).rows()
    assert exact.psnr is None  # no finite mean
    (some,) = outcomes([0, 0.1, 0.2], [0, 0.5, 0.7], [np.nan, 20, 30], certificate).rows()
    assert (some.psnr, some.empty, some.median) == (25, 1 / 3, 0.5)


def test_it_is_json(tiny, certificate, others):
    result = evaluate_masks(others[:2], certified_restorer(certificate, tiny), certificate)
    document = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert document["certificate"] == certificate.sha256
    assert document["note"].startswith("pointwise in alpha")
    assert [row["alpha"] for row in document["levels"]] == list(ALPHAS)
    assert document["levels"] == [asdict(r) for r in result.rows()]
    assert document["pictures"] == ["00.png", "01.png"]


def test_pictures_of_the_calibration_are_refused_under_any_name(tiny, certificate, folder, others, tmp_path):
    copy = tmp_path / "renamed.png"
    copy.write_bytes((folder / "calibration" / "07.png").read_bytes())
    with pytest.raises(InputError, match=r"renamed\.png was calibrated on; evaluate a certificate on other pictures"):
        evaluate_masks([*others, copy], certified_restorer(certificate, tiny), certificate, LEVELS)


def test_pictures_are_cut_to_the_unit(tiny, certificate, skimage_data, tmp_path):
    (large,) = write_crops(tmp_path / "large", skimage_data, 1, side=60)
    (small,) = write_crops(tmp_path / "small", skimage_data, 1, side=40)
    restorer = certified_restorer(certificate, tiny)
    assert len(evaluate_masks([large], restorer, certificate, LEVELS).outcomes) == 1
    with pytest.raises(InputError, match=r"^00\.png: .*40×40 pixels are fewer than the unit's 48×48"):
        evaluate_masks([small], restorer, certificate, LEVELS)


def test_pictures_that_were_trained_on_are_refused(tiny, certificate, others):
    each = [hashlib.sha256(others[2].read_bytes()).hexdigest()[:16]]
    card = msgspec.structs.replace(tiny.card, training=[Data("x", 1, "0" * 64, "CC0", each)])
    restorer = certified_restorer(certificate, TrainedPrior(card, tiny.encoder, tiny.denoiser, tiny.predictor))
    with pytest.raises(InputError, match=r"The prior was trained or measured on .*02\.png"):
        evaluate_masks(others, restorer, certificate, LEVELS)
    assert evaluate_masks(others[:2], restorer, certificate, LEVELS).failed == []


def test_of_few_the_interval_is_students(certificate):
    """Percentiles of a bootstrap of four hold their mean in four of five cases."""
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        loss = rng.beta(2, 8, 4)
        outcomes = [Outcome(str(k), np.array([x]), np.array([0.5]), np.array([30.0])) for k, x in enumerate(loss)]
        (row,) = TrustEvaluation(("0.5",), outcomes, certificate, []).rows()
        assert row.risk == pytest.approx(loss.mean())
        assert 0 <= row.low < row.risk < row.high <= certificate.binding.bound
        held.append(row.low <= 0.2 <= row.high)
    assert 0.9 < np.mean(held) < 0.98
    (alone,) = TrustEvaluation(("0.5",), outcomes[:1], certificate, []).rows()
    assert alone.low == alone.risk == alone.high


def test_another_prior_is_refused(tiny, certificate, others):
    card = msgspec.structs.replace(tiny.card, tensors_sha256="1" * 64)
    other = TrainedPrior(card, tiny.encoder, tiny.denoiser, tiny.predictor)
    with pytest.raises(InputError, match=r"The certificate is for prior .* and this is 111111111111…"):
        evaluate_masks(others, certified_restorer(certificate, other), certificate, LEVELS)


def test_folders_are_no_single_pictures(tiny, folder, others, tmp_path):
    made = calibrate(folder, tmp_path / "c.json", prior=tiny, group=True)
    assert made.binding.n == 2
    with pytest.raises(InputError, match="for folders of pictures, and evaluate scores single ones"):
        evaluate_masks(others, certified_restorer(made, tiny), made, LEVELS)


def test_levels_of_pac_uniform_are_the_declared_ones(tiny, folder, others, tmp_path):
    settings = {"mode": "pac-uniform", "delta": 0.2, "alphas": ["0.3", "0.5"]}
    made = calibrate(folder / "calibration", tmp_path / "c.json", prior=tiny, **settings)
    restorer = certified_restorer(made, tiny)
    assert [r.alpha for r in evaluate_masks(others, restorer, made, ["0.3", "0.5"]).rows()] == ["0.3", "0.5"]
    with pytest.raises(InputError, match="not declared"):
        evaluate_masks(others, restorer, made, ["0.4"])


def test_a_users_map_is_not_for_another_score(tiny, certificate, folder, tmp_path):
    with pytest.raises(InputError, match="go together"):
        certified_restorer(certificate, tiny, f"{tmp_path}/{{stem}}.npy")
    for k, file in enumerate(sorted((folder / "calibration").iterdir())):
        np.save(tmp_path / f"{file.stem}.npy", np.random.default_rng(k).random((48, 48), np.float32))
    pattern = f"{tmp_path}/{{stem}}.npy"
    made = calibrate(folder / "calibration", tmp_path / "c.json", prior=tiny, score_files=pattern)
    with pytest.raises(InputError, match="go together"):
        certified_restorer(made, tiny)
    others = sorted((folder / "other").iterdir())
    result = evaluate_masks(others, certified_restorer(made, tiny, pattern), made, ["0.3"])
    maps = [np.load(tmp_path / f"{f.stem}.npy") for f in others]
    assert [o.trusted[0] for o in result.outcomes] == [(m < made.threshold("0.3")).mean() for m in maps]


TOOL = """
import os, sys
from PIL import Image
picture = Image.open(sys.argv[1])
if os.path.exists("busy") and picture.getpixel((0, 0))[0] % int(open("busy").read()) == 0:
    sys.exit("no luck")
picture.resize((4 * picture.width, 4 * picture.height), Image.BICUBIC).save(sys.argv[2])
"""


def test_python_evaluates_a_certificate_by_its_file(tiny, tiny_file, certificate, folder, others, monkeypatch):
    shown, expected = [], evaluate_masks(others, certified_restorer(certificate, tiny), certificate, LEVELS)
    for held in (certificate, folder / "area.json", str(folder / "area.json")):
        found = veriscale.evaluate_certificate(
            folder / "other", held, tiny, alphas=LEVELS, progress=lambda *now: shown.append(now)
        )
        assert found.rows() == expected.rows()
        assert found.certificate.sha256 == certificate.sha256
    assert shown[:6] == [("pictures", k, 6) for k in range(1, 7)]
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))
    found = veriscale.evaluate_certificate(others[:2], certificate, device="cpu")  # its prior is found by its hash
    assert found.alphas == ALPHAS
    assert [o.picture for o in found.outcomes] == ["00.png", "01.png"]


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"scale": 4}, r"^scale is fixed by the certificate; leave it out"),
        ({"score_files": "{stem}.npy"}, "go together"),
        ({"dial": 0}, r"^dial is fixed by the certificate"),
        ({"consistent": False}, r"^consistent is fixed by the certificate"),
        ({"seed": -1}, r"^seed -1 is below 0; give 0 or more"),
        ({"alphas": ["much"]}, "not a finite number"),
        ({"alphas": ["0"]}, "cannot be kept"),
        ({"command": "tool {in} {out}"}, "'tool' is not found on the PATH"),
    ],
)
def test_what_an_evaluation_is_not_asked(tiny, certificate, others, asked, words):
    with pytest.raises(InputError, match=words):
        veriscale.evaluate_certificate(others, certificate, tiny, **asked)


def test_a_picture_that_is_no_unit_is_told_and_the_only_one_raises(tiny, certificate, others, skimage_data, tmp_path):
    (small,) = write_crops(tmp_path / "small", skimage_data, 1, side=20)
    small = small.rename(tmp_path / "small.png")
    told = []
    found = veriscale.evaluate_certificate([*others, small], certificate, tiny, alphas=["0.3"], tell=told.append)
    assert told == found.failed
    assert "small.png: " in told[0]
    assert "20×20 pixels are fewer than the unit's 48×48" in told[0]
    assert len(found.outcomes) == 6
    with pytest.raises(InputError, match="20×20 pixels are fewer"):
        veriscale.evaluate_certificate(small, certificate, tiny, alphas=["0.3"])


def test_python_evaluates_a_tool(folder, others, tmp_path, tool):
    command = tool(RESIZE)
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted((folder / "calibration").iterdir())[:4]:
        (few / file.name).write_bytes(file.read_bytes())
    made = calibrate(few, tmp_path / "c.json", command=command, scale=4, score="gradient:std=1")
    found = veriscale.evaluate_certificate(others[:2], made, alphas=["0.25"], command=command, seed=3)
    for file, outcome in zip(others[:2], found.outcomes, strict=True):
        y = write_measurement(file, tmp_path / f"y_{file.name}")
        result = veriscale.restore(y, certificate=made, command=command, alpha="0.25")
        assert outcome.trusted[0] == result.trusted.mean()
    with pytest.raises(InputError, match=r"for the tool '.*'; give command\.$"):
        veriscale.evaluate_certificate(others, made)


def test_a_tool_that_fails_now_and_then_is_told(folder, others, tmp_path, tool, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = tool(TOOL)
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted((folder / "calibration").iterdir())[:4]:
        (few / file.name).write_bytes(file.read_bytes())
    made = calibrate(few, tmp_path / "c.json", command=command, scale=4, score="gradient")
    restorer = certified_tool(settled(Settings(command=command)), made)
    told = []
    (tmp_path / "busy").write_text("2")
    result = evaluate_masks(others, restorer, made, ["0.5"], tell=told.append)
    assert 0 < len(result.outcomes) < len(others)
    assert len(result.outcomes) + len(told) == len(others)
    assert all("no luck" in line for line in told)
    (tmp_path / "busy").write_text("1")
    with pytest.raises(InputError, match="None of the 6 pictures could be scored"):
        evaluate_masks(others, restorer, made, ["0.5"])
