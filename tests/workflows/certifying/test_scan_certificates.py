"""Certificates of scans: whose loss it is, what counts, and what is promised of the next patient."""

import re
from dataclasses import replace
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from tests.imaging.dicom.synthetic import slices
from tests.imaging.dicom.synthetic import write as write_series
from tests.workflows.certifying.scans import write_patients, write_scan

import veriscale
from veriscale.diffusion.card import Data
from veriscale.errors import InputError
from veriscale.imaging.normalisation import Levels
from veriscale.metrics.foreground import foreground_on
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import parse_noise
from veriscale.settings import Settings, settled
from veriscale.trust.certificate import Unit
from veriscale.trust.conformal import Calibration
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.losses.registry import LOSSES, make_loss
from veriscale.trust.modes import Guarantee
from veriscale.trust.scores.registry import parse_score
from veriscale.trust.staircase import RESOLUTION
from veriscale.workflows.certifying.certified_settings import SCANS
from veriscale.workflows.certifying.mask import mask_lines
from veriscale.workflows.certifying.scan_mask import scan_statistics
from veriscale.workflows.certifying.scan_units import ScanMeasuring, Truth, record_of
from veriscale.workflows.degrading.scan_measurement import measure_scan, truth_on
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.in_plane import slice_of

SCORE = "gradient:std=1,smooth=1"
ALPHAS = [Fraction(a) for a in ("1/20", "1/5", "2/5")]


@pytest.fixture(scope="module")
def place(tmp_path_factory, grey):
    """A dozen patients with two certificates of them, and a measurement of another."""
    place = tmp_path_factory.mktemp("scans")
    write_patients(place / "patients", 12)
    for name, settings in {
        "area": {},
        "dialled": {"dial": 0.5, "path": "interpolate", "sampler": "heun", "steps": 2},
    }.items():
        veriscale.calibrate(place / "patients", place / f"{name}.json", prior=grey, scale=2, **settings)
    write_scan(place / "Roe.nii.gz", 500)
    return place


def measured(place):
    truth = veriscale.read_volume(place / "Roe.nii.gz")
    return truth, measure_scan(truth, Downsample(2)).volume.relevelled()


def truth_of(path, k=0):
    return Truth(path, f"the scan ({k})", f"{k:02}" * 32, (f"{k:02}" * 32,), 1)


@pytest.fixture(scope="module")
def measuring():
    return ScanMeasuring(Downsample(2), parse_noise("0"), 0, parse_discrepancy("pointwise"))


@pytest.fixture(scope="module")
def restorer(grey):
    return PriorRestorer(grey, settled(Settings()), score=parse_score(SCORE))


def maps_of(scan, measuring, restorer):
    found = measuring(restorer, scan, lambda *told: None)
    return found.score[0], found.apart[0]


# ---- the loss of a patient


def test_the_loss_of_a_patient_is_the_share_of_the_foreground_of_all_scans(place, measuring, restorer):
    scans = [truth_of(place / "patients" / f"Doe00_{name}.nii.gz", k) for k, name in enumerate(("T1", "T2"))]
    loss = make_loss("area", 0.05)
    record = record_of(scans, measuring, restorer, loss, lambda *told: None)
    score, apart = (
        np.concatenate(parts) for parts in zip(*(maps_of(s, measuring, restorer) for s in scans), strict=True)
    )
    for t in np.quantile(score, (0.1, 0.5, 0.9)):
        by_hand = np.mean((score < t) & (apart > np.float32(0.05)))
        assert 0 < by_hand < 1
        assert record.staircase.at(float(t)) / RESOLUTION == pytest.approx(by_hand, abs=1 / 1024)
    assert record.quantiles[0] == score.min()
    assert record.quantiles[-1] == score.max()


def test_what_counts_is_the_foreground_of_the_measurement_in_its_levels(place, measuring, restorer):
    path = place / "patients" / "Doe03_T1.nii.gz"
    score, apart = maps_of(truth_of(path), measuring, restorer)
    truth = veriscale.read_volume(path)
    y = measure_scan(truth, Downsample(2)).volume.relevelled()
    result = veriscale.restore(y, restorer.prior, scale=2)
    inside = foreground_on(result.image.grid, y)
    assert 0.2 < inside.mean() < 0.95
    x = y.levels.applied(truth.levels.undone(truth_on(truth, result.image.grid)))
    assert y.levels.low < truth.levels.low - 10  # bicubic overshoots, and the levels of the truth would be others
    np.testing.assert_allclose(np.sort(apart), np.sort(np.abs(result.image.samples - x)[inside].clip(0, 1)), atol=1e-6)
    assert score.size == inside.sum()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_scan_of_the_least_hash_stands_for_its_patient_in_the_drift_check(place, measuring, restorer, order):
    scans = [truth_of(place / "patients" / f"Doe00_{name}.nii.gz", k) for k, name in enumerate(("T1", "T2"))]
    record = record_of([scans[k] for k in order], measuring, restorer, make_loss("area"), lambda *told: None)
    drawn = measure_scan(veriscale.read_volume(scans[0].path), Downsample(2)).volume.relevelled()
    assert record.statistics.tolist() == scan_statistics(drawn).tolist()


def test_pixels_outside_of_the_foreground_change_nothing(place, grey, tmp_path):
    """As much air around as one likes: neither the loss nor the share of what is trusted knows of it."""
    made = veriscale.read_certificate(place / "area.json")
    _, y = measured(place)
    result = veriscale.restore(y, grey, certificate=made, alpha=0.4)
    mask = result.mask
    assert mask.share == pytest.approx(result.trusted[mask.counted].mean())
    assert not result.trusted[~mask.counted].any()
    assert np.array_equal(mask.counted, foreground_on(result.image.grid, y))
    assert 0 < mask.share < 1
    assert mask.share > result.trusted.mean()
    assert np.array_equal(result.trusted, (result.score < mask.threshold) & mask.counted)


@pytest.mark.parametrize("loss", ["area", "sup", "recall", "violation"])
def test_the_leave_one_out_identity_holds_for_patients(place, measuring, restorer, loss):
    """Of any patients the mean loss of each at the threshold of the others is at most alpha; pixels as units fail."""
    files = sorted((place / "patients").glob("*_T1.nii.gz"))
    records = [record_of([truth_of(f)], measuring, restorer, make_loss(loss), lambda *told: None) for f in files]
    calibration = Calibration(tuple(r.staircase for r in records), 1.0)
    losses = calibration.losses_at(calibration.leave_one_out(ALPHAS))
    assert (losses.mean(axis=1) <= [float(a) for a in ALPHAS]).all()
    assert losses.max() > 0


def patients(rng, count, scans):
    """Staircases of patients, six in ten of whom are off everywhere, and those of their scans alone."""
    loss, together, apart = LOSSES["area"](), [], []
    for _ in range(count):
        off = np.full((1, 40), rng.random() < 0.6, np.float32)
        maps = [(rng.random((1, 40)).astype(np.float32), off) for _ in range(scans)]
        together.append(loss.staircase(maps, 1.0, 1024))
        apart += [loss.staircase([each], 1.0, 1024) for each in maps]
    return together, apart


def risk(count, scans, alpha, repeats, as_units):
    """Mean loss of one more patient, and its standard error."""
    rng, losses = np.random.default_rng(0), []
    for _ in range(repeats):
        together, apart = patients(rng, count + 1, scans)
        units = apart[: count * scans] if as_units else together[:count]
        allowed = Guarantee("mean", len(units), 1.0, binary=False).allowance(alpha)
        losses.append(together[count].at(Calibration(tuple(units), 1.0).threshold(allowed)) / RESOLUTION)
    return np.mean(losses), np.std(losses) / repeats**0.5


def test_the_risk_of_the_next_patient_is_at_most_alpha():
    mean, error = risk(9, 2, Fraction(3, 10), 1500, as_units=False)
    assert mean <= 0.3 + 3 * error
    assert mean > 0.15  # and something is trusted


def test_scans_taken_for_units_break_the_promise():
    """Of one patient nothing can be promised at 0.3, and a dozen scans of his are no dozen patients."""
    mean, error = risk(1, 12, Fraction(3, 10), 2500, as_units=True)
    assert mean > 0.3 + 2 * error
    assert risk(1, 12, Fraction(3, 10), 20, as_units=False)[0] == 0


# ---- the certificate


def test_it_is_of_patients_and_tells_nobody(place):
    made = veriscale.read_certificate(place / "area.json")
    assert made.binding.unit == Unit("patient", None, None, "grey", 32, SCANS)
    assert (made.binding.n, made.of_scans, made.dial) == (12, True, 0.0)
    assert sorted(map(len, made.information["files"].values())) == [1] * 11 + [2]
    assert "Doe" not in (place / "area.json").read_text()
    assert made.statistics.shape == (12, 7)
    assert "With n = 12 patients and B = 1 the smallest alpha is 0.077;" in made.infeasible("0.05")
    assert "needs n = 19" in made.infeasible("0.05")


def test_photographs_certificates_are_written_as_before():
    unit = Unit("picture", 320, 320, "RGB", 8)
    assert "scans" not in msgspec.to_builtins(unit)


def test_one_patient_is_calibrated_to_the_same_losses_again(place, grey, tmp_path):
    """The order of the files and their names have no say."""
    for k, file in enumerate(sorted((place / "patients").glob("*_T1.nii.gz"), reverse=True)):
        (tmp_path / f"p{k:02}").mkdir()
        (tmp_path / f"p{k:02}" / "T1.nii.gz").write_bytes(file.read_bytes())
    (tmp_path / "p11" / "T2.nii.gz").write_bytes((place / "patients" / "Doe00_T2.nii.gz").read_bytes())
    again = veriscale.calibrate(tmp_path, tmp_path / "out" / "c.json", prior=grey, scale=2, group=True)
    made = veriscale.read_certificate(place / "area.json")
    assert again.binding.unit.grouped is True
    ungrouped = msgspec.structs.replace(again.binding.unit, grouped=msgspec.UNSET)
    assert msgspec.structs.replace(again.binding, unit=ungrouped) == made.binding
    assert again.thresholds(["0.1", "0.3"]).tolist() == made.thresholds(["0.1", "0.3"]).tolist()


def test_a_calibration_that_was_cut_off_goes_on(place, grey, tmp_path, monkeypatch):
    done = []

    def stop(what, part, of):
        done.append(what)
        if len(done) == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        veriscale.calibrate(place / "patients", tmp_path / "c.json", prior=grey, scale=2, progress=stop)
    left = (tmp_path / "c.json.part").read_text()
    assert 2 < len(left.splitlines()) < 12
    assert "Doe" not in left
    made = veriscale.calibrate(place / "patients", tmp_path / "c.json", prior=grey, scale=2)
    assert made.thresholds(["0.3"]) == veriscale.read_certificate(place / "area.json").thresholds(["0.3"])
    assert not (tmp_path / "c.json.part").exists()


def test_the_level_that_was_meant_is_taken_in_use(place, grey, tmp_path):
    made = veriscale.calibrate(place / "patients", tmp_path / "c.json", prior=grey, scale=2, alpha="0.30")
    assert made.information["alpha"] == veriscale.read_certificate(tmp_path / "c.json").usual_alpha == "0.30"
    assert made.binding == veriscale.read_certificate(place / "area.json").binding
    _, y = measured(place)
    mask = veriscale.restore(y, grey, certificate=made).mask
    assert (mask.alpha, mask.threshold) == ("0.30", made.threshold("0.3"))
    assert veriscale.restore(y, grey, certificate=made, alpha="0.4").mask.alpha == "0.4"


def test_too_few_patients_for_the_level_that_is_meant_are_refused_before_any_work(place, grey, output):
    done = []
    with pytest.raises(InputError, match=r"^With n = 12 patients and B = 1 .* alpha 0\.05 needs n = 19\."):
        veriscale.calibrate(
            place / "patients", output, prior=grey, scale=2, alpha=0.05, progress=lambda *told: done.append(told)
        )
    assert done == []
    assert not output.exists()
    assert not output.with_name(output.name + ".part").exists()


# ---- in use


def test_a_volume_is_masked_and_the_promise_said(place, grey, tmp_path):
    _, y = measured(place)
    result = veriscale.restore(y, grey, certificate=place / "area.json", alpha="0.3")
    told = result.run["certificate"]
    assert told["tau"] == 0.1
    assert told["tau_in_units_of_the_scan"] == pytest.approx(0.1 * y.levels.width)
    assert told["trusted_share"] == result.mask.share
    said = " ".join(result.mask.sentences())
    assert "at most 30 % of a patient's foreground is both trusted and off by more than 0.1" in said
    assert f"0.1 is {0.1 * y.levels.width:.4g} in its own units" in said
    assert "not a promise about this scan" in said
    assert "picture" not in said
    assert "of the foreground's voxels are trusted" in mask_lines(result.mask)[0]
    written = result.save(tmp_path / "out")
    assert [f.name for f in written][1] == "restored_trusted.nii.gz"
    import nibabel

    stored = nibabel.load(written[1])
    assert stored.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(stored.dataobj) == 1, y.origin.orientation.outside(result.trusted))
    assert np.allclose(stored.affine, nibabel.load(written[0]).affine)


def test_the_score_is_that_of_the_calibration(place, grey, measuring):
    """The measurement of a calibrated scan, restored under the certificate, has the score that was calibrated."""
    made = veriscale.read_certificate(place / "area.json")
    path = place / "patients" / "Doe05_T1.nii.gz"
    y = measure_scan(veriscale.read_volume(path), Downsample(2)).volume.relevelled()
    result = veriscale.restore(y, grey, certificate=made, alpha="0.3")
    (number,) = [k for k, own in enumerate(made.information["files"].values()) if own == [_sha(path)]]
    inside = result.score[result.mask.counted]
    assert made.quantiles[number][[0, 50, -1]] == pytest.approx(np.sort(inside)[[0, (inside.size - 1) // 2, -1]])
    assert np.allclose(made.statistics[number], scan_statistics(y))


def _sha(path):
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_score_is_that_of_each_slice_as_a_picture(place, grey):
    _, y = measured(place)
    result = veriscale.restore(y, grey, certificate=place / "area.json", alpha=0.4)
    alone = PriorRestorer(grey, settled(Settings(scale=2)), score=parse_score("predictor:tau=0.1"))
    for k in range(2):
        picture = replace(alone, rounding=y.rounding).prepare(slice_of(y, k)).restore()
        assert np.array_equal(result.score[..., k], picture.score)


def test_a_certificate_at_another_dial_scores_that_volume(place, grey):
    _, y = measured(place)
    both = {"dial": [0, 0.5], "path": "interpolate", "sampler": "heun", "steps": 2}
    result = veriscale.restore(y, grey, certificate=place / "dialled.json", alpha=0.4, **both)
    assert list(result.images) == [0.0, 0.5]
    assert result.mask.dial == 0.5
    with pytest.raises(InputError, match=r"The certificate is for dial 0\.5, and this is 0"):
        veriscale.restore(y, grey, certificate=place / "dialled.json", alpha=0.4, dial=0)


def test_drift_sees_noise(place, grey):
    made = veriscale.read_certificate(place / "area.json")
    truth, y = measured(place)
    noisy = measure_scan(truth, Downsample(2), "0.2").volume.relevelled()
    like, unlike = (made.drift(scan_statistics(each)) for each in (y, noisy))
    assert unlike == pytest.approx(1 / 13)
    assert like > unlike


def test_negative_and_bright_values_are_described(place):
    _, y = measured(place)
    assert np.isfinite(scan_statistics(replace(y, samples=3 * y.samples - 1))).all()


# ---- what is refused


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"spacing": (None, None, 2.5), "thickness": 5}, "Certificates are for scans restored in plane yet"),
        ({"scale": 4}, "The certificate is for operator downsample:factor=2"),
        ({"noise": 0.05}, "The certificate is for noise"),
        ({"alpha": 0}, "cannot be kept"),
        ({"ensemble": True}, "The certificate is for anchor mean"),
    ],
    ids=str,
)
def test_what_was_not_certified_is_refused(place, grey, asked, words):
    _, y = measured(place)
    with pytest.raises(InputError, match=words):
        veriscale.restore(y, grey, certificate=place / "area.json", **asked)


def test_kinds_are_not_mixed(place, grey, tmp_path, noise_picture):
    _, y = measured(place)
    with pytest.raises(InputError, match="The certificate is for photographs, and this is a scan"):
        veriscale.restore(y, certificate="photo_x4_dial-0_area")
    with pytest.raises(InputError, match="The certificate is for scans, and this is a photograph"):
        veriscale.restore(noise_picture[..., :1], grey, certificate=place / "area.json")


def test_a_foreground_that_is_empty_is_said(place, grey):
    _, y = measured(place)
    dark = replace(y, samples=y.samples * np.float32(0.01), levels=Levels(0, 1e5))
    with pytest.raises(InputError, match="the foreground is empty"):
        veriscale.restore(dark, grey, certificate=place / "area.json")


def test_another_rule_of_what_counts_is_refused(place, grey):
    made = veriscale.read_certificate(place / "area.json")
    unit = msgspec.structs.replace(made.binding.unit, scans="another rule")
    other = replace(made, binding=msgspec.structs.replace(made.binding, unit=unit))
    _, y = measured(place)
    with pytest.raises(InputError, match="another rule"):
        veriscale.restore(y, grey, certificate=other)


def test_a_factor_that_mri_does_not_know_is_calibrated_with_the_prior_that_does(place, output):
    words = (
        r"^Prior 'mri' does not know scale ×3; it knows ×2, ×4\. Any other factor .* as operator downsample:factor=3, "
        r"and ×3 with the encoder of prior photo\.$"
    )
    with pytest.raises(InputError, match=words):
        veriscale.calibrate(place / "patients", output, scale=3)
    with pytest.raises(InputError, match=r"as operator downsample:factor=7\.$"):  # no prior does
        veriscale.calibrate(place / "patients", output, scale=7)


def test_one_patient_of_two_folders_does_not_count_twice(output, grey, tmp_path):
    """By the PatientID of DICOM series; in one folder both are hers."""
    for folder, patient in {"ann/t1": "ID-1", "bob/t1": "ID-2", "ann-again/t1": "ID-1"}.items():
        write_series(tmp_path / "dicom" / folder, slices(shape=(48, 50), patient=patient))
    with pytest.raises(
        InputError,
        match=r"^the scan \(1 of 3\) and the scan \(2 of 3\) are of one patient, by the PatientID of both, and would",
    ) as told:
        veriscale.calibrate(tmp_path / "dicom", output, prior=grey, scale=2)
    assert not re.search("ID-1|ann", str(told.value))
    assert not output.exists()
    (tmp_path / "dicom" / "ann-again" / "t1").rename(tmp_path / "dicom" / "ann" / "t1-again")
    (tmp_path / "dicom" / "ann-again").rmdir()
    assert veriscale.calibrate(tmp_path / "dicom", output, prior=grey, scale=2).binding.n == 2


def knowing(prior, file):
    """The prior, as if it had learned from a file."""
    own = [_sha(file)[:16]]
    return replace(prior, card=msgspec.structs.replace(prior.card, training=[Data("x", 1, "0" * 64, "CC0", own)]))


def test_a_series_that_was_trained_on_is_refused(place, grey, output, tmp_path):
    """The hash of a series is none of its files', and a card has those."""
    for name in ("ann", "bob"):
        write_series(tmp_path / "dicom" / name, slices(shape=(48, 50), patient=name))
    one = min((tmp_path / "dicom" / "bob").iterdir())
    with pytest.raises(InputError, match=r"1 of the scans were used to train the prior .*; take them away"):
        veriscale.calibrate(tmp_path / "dicom", output, prior=knowing(grey, one), scale=2)
    told = []
    found = veriscale.evaluate(tmp_path / "dicom", knowing(grey, one), scale=2, tell=told.append)
    assert found.pictures == 2
    assert told == [
        "1 of the 2 scans trained the prior or chose its weights, such as the scan (2 of 2): of others it is not as "
        "good as these scores say."
    ]
    made = veriscale.read_certificate(place / "area.json")
    with pytest.raises(InputError, match=r"measured on the scan \(2 of 2\); evaluate a certificate on other scans"):
        veriscale.evaluate_certificate(tmp_path / "dicom", made, knowing(grey, one))


# ---- other patients


def test_an_evaluation_is_of_patients(place, grey, tmp_path):
    others = write_patients(tmp_path / "others", 3, first=100)
    found = veriscale.evaluate_certificate(others, place / "area.json", grey, alphas=["0.1", "0.5"])
    assert [o.picture for o in found.outcomes] == ["patient 1", "patient 2", "patient 3"]
    loose = found.rows()[1]
    assert 0 < loose.trusted <= 1
    assert found.rows()[0].risk <= loose.risk
    with pytest.raises(InputError, match=r"the scan \(1 of 13\) was calibrated on"):
        veriscale.evaluate_certificate(place / "patients", place / "area.json", grey)
    with pytest.raises(InputError, match="The certificate is for photographs, and this is a scan"):
        veriscale.evaluate_certificate(others, "photo_x4_dial-0_area")


def test_who_is_one_patient_is_asked_as_in_the_calibration(place, grey, tmp_path):
    for k in range(12):
        write_scan(tmp_path / "patients" / f"p{k:02}" / "sub-01_T1.nii.gz", k)
    made = veriscale.calibrate(tmp_path / "patients", tmp_path / "c.json", prior=grey, scale=2, group=True)
    assert made.binding.n == 12
    write_scan(tmp_path / "others" / "ann" / "sub-01_T1.nii.gz", 100)
    write_scan(tmp_path / "others" / "ann" / "sub-02_T1.nii.gz", 101)
    write_scan(tmp_path / "others" / "bob" / "sub-01_T1.nii.gz", 102)

    def found(certificate):
        return veriscale.evaluate_certificate(tmp_path / "others", certificate, grey, alphas="0.5").outcomes

    by_folder, by_name = found(made), found(place / "area.json")
    assert len(by_folder) == len(by_name) == 2
    assert by_folder[0].loss != by_name[0].loss  # ann's two scans; and the two that are called sub-01
