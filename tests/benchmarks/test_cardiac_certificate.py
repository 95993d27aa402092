"""The certificate of the prior `cardiac`: patients of known losses, and the whole way on small scans."""

from types import SimpleNamespace

import numpy as np
import pytest
from tests.benchmarks.test_cardiac import archive, by_id
from tests.conftest import write_tiny

from veriscale.trust.conformal import Calibration
from veriscale.trust.staircase import from_losses
from veriscale.workflows.certifying.calibration import calibrate
from veriscale.workflows.opening import load_prior


@pytest.fixture
def bench(benchmark):
    return benchmark("cardiac_certificate")


def ten(steps=range(10)):
    """Patient k is all wrong from a threshold above k on; scores of each lie evenly between 0 and 10."""
    units = tuple(from_losses([float(k)], [1.0], bound=1) for k in steps)
    return SimpleNamespace(
        calibration=Calibration(units, 1.0),
        binding=SimpleNamespace(n=len(units), bound=1.0),
        shares=lambda t: np.full(len(units), np.clip(t / 10, 0, 1)),
    )


def test_each_patient_is_judged_by_the_others(bench):
    """Of nine, 0.15 allows half of a patient: the threshold is where the first of them fails."""
    loss, trusted = bench.left_out(ten(), "0.15")
    assert loss.tolist() == [1.0] + 9 * [0.0]  # the first by 1, where it is wrong; all others by 0
    assert trusted.tolist() == [0.1] + 9 * [0.0]
    assert loss.mean() <= 0.15


@pytest.mark.parametrize("alpha, n", [("0.05", 19), ("0.15", 6), ("0.091", 10), ("0.5", 1)])
def test_the_fewest_patients_are_those_of_the_promise(bench, alpha, n):
    assert bench.fewest(ten(), alpha) == n


def test_more_patients_of_the_same_kind_let_trust_more(bench):
    assert bench.with_more(ten(), "0.05", 18) == 0  # too few
    assert bench.with_more(ten(), "0.15", 10) == pytest.approx(0.0)  # of ten 0.65
    assert bench.with_more(ten(), "0.15", 50) == pytest.approx(0.1)  # of fifty 6.65, of ten 1.33
    assert bench.with_more(ten(), "0.15", 10**6) == pytest.approx(0.1)  # of ten 1.5


def test_a_mask_that_promises_too_much_falls_short(bench, benchmark):
    tested = {"loss": np.array([0.3, 0.1]), "trusted": np.array([0.9, 0.0])}
    found = by_id(bench.rows_of(ten(), tested))
    wanted = [row for row in benchmark("table").ROWS if row.startswith("cardiac.certificate")]
    assert list(found) == wanted
    assert found["cardiac.certificate.test.loss"].value == pytest.approx(0.2)
    assert not found["cardiac.certificate.test.loss"].holds
    assert found["cardiac.certificate.loo.loss"].holds
    assert found["cardiac.certificate.test.trusted"].value == pytest.approx(45.0)
    assert found["cardiac.certificate.test.trusted"].against["empty %"] == 50.0
    assert found["cardiac.certificate.patients"].value == 19
    nothing = by_id(bench.rows_of(ten([0] * 10), tested))
    assert not nothing["cardiac.certificate.loo.trusted"].holds


def test_a_certificate_is_tried_on_others_once(bench, benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark("cache"), "FOLDER", tmp_path / "cache")
    (tmp_path / "calibration").mkdir()
    files = [archive(tmp_path / f"patient{k:02}.npz", k) for k in range(13)]
    for file in files[:10]:
        bench.as_scan(file, tmp_path / "calibration")
    prior = load_prior(write_tiny(tmp_path / "cardiac.safetensors", 1))
    made = calibrate(tmp_path / "calibration", tmp_path / "made.json", prior=prior, scale=4)
    monkeypatch.setattr(bench, "find_certificate", {"cardiac_x4_dial-0_area": made}.__getitem__)
    monkeypatch.setattr(bench, "hearts", lambda root: SimpleNamespace(test=files[10:]))
    monkeypatch.setattr(bench, "load_prior", lambda name: prior)
    written, asked = [], []
    monkeypatch.setattr(benchmark("results"), "write_results", lambda name, rows, notes, seconds: written.append(rows))
    evaluate = bench.evaluate_certificate
    monkeypatch.setattr(bench, "evaluate_certificate", lambda *a, **k: asked.append(a[0].name) or evaluate(*a, **k))
    monkeypatch.setattr("sys.argv", ["cardiac_certificate.py", "--small"])
    bench.main()
    assert not written
    monkeypatch.setattr("sys.argv", ["cardiac_certificate.py"])
    bench.main()
    bench.main()
    assert asked == 2 * ["patient10.nii", "patient11.nii", "patient12.nii"]  # of a slice each, and of all
    first, again = written
    assert first == again
    found = by_id(first)
    assert found["cardiac.certificate.loo.loss"].holds  # whatever the prior is worth
    (tmp_path / "test").mkdir()
    for file in files[10:]:
        bench.as_scan(file, tmp_path / "test")
    (whole,) = evaluate(tmp_path / "test", made, prior, alphas="0.15").rows()
    assert found["cardiac.certificate.test.loss"].value == pytest.approx(whole.risk)
    assert found["cardiac.certificate.test.trusted"].value == pytest.approx(100 * whole.trusted)
