"""`veriscale priors CERTIFICATE`, of every mode, of photographs and of scans."""

import json
import re

import pytest
from tests.cli.conftest import TINY
from tests.trust.example_certificate import SIDE, example_certificate

import veriscale as library
from veriscale.trust.certificate import Unit
from veriscale.trust.certificate_file import write_certificate
from veriscale.workflows.certifying.certified_settings import SCANS

PHOTOGRAPH = Unit("picture", SIDE, SIDE, "RGB", 8)
PATIENT = Unit("patient", None, None, "grey", 32, SCANS)


@pytest.mark.parametrize(
    "unit, of",
    [(PHOTOGRAPH, "calibration's pixels"), (PATIENT, "foreground's voxels")],
    ids=["photographs", "scans"],
)
@pytest.mark.parametrize(
    "loss, promise, trusting, too_few",
    [
        ("area", {"mode": "mean"}, ["0.05"], []),
        ("area", {"mode": "pac", "delta": 0.1}, [], ["0.05"]),
        ("violation", {"mode": "pac", "delta": 0.1}, ["0.1"], []),
        ("area", {"mode": "pac-uniform", "delta": 0.1, "declared": ["0.3", "0.45"]}, ["0.3", "0.45"], []),
        ("area", {"mode": "pac-uniform", "delta": 0.1, "declared": ["0.02", "0.3"]}, ["0.3"], ["0.02"]),
        ("violation", {"mode": "pac-uniform", "delta": 0.1}, [], ["0.1"]),
    ],
)
def test_what_is_trusted_at_its_levels(veriscale, tmp_path, loss, promise, trusting, too_few, unit, of):
    held = example_certificate(loss, unit=unit, **promise)
    write_certificate(held, tmp_path / "c.json")
    code, out, err = veriscale("priors", tmp_path / "c.json")
    assert (code, err) == (0, "")
    shares = {alpha: held.shares(held.threshold(alpha)).mean() for alpha in trusting}
    told = [f"  at alpha {alpha} about {share:.0%} of the {of} are trusted" for alpha, share in shares.items()]
    assert [line for line in out.splitlines() if line.startswith("  at alpha")] == told
    assert re.findall(r"alpha (\S+) needs n = \d+", out) == too_few
    assert ("n = 24 patients" in out) == bool(too_few and unit is PATIENT)
    code, out, _ = veriscale("priors", tmp_path / "c.json", "--json")
    assert (code, json.loads(out)["binding"]["mode"]) == (0, promise["mode"])


def test_what_calibrate_made_for_declared_levels(veriscale, few, output):
    declared = ("--mode", "pac-uniform", "--delta", 0.4, "--alphas", "0.8,0.9", "--quiet")
    assert veriscale("calibrate", few, *TINY, *declared, "-o", output)[0] == 0
    code, out, err = veriscale("priors", output)
    assert (code, err) == (0, "")
    held = library.read_certificate(output)
    for alpha, line in zip(("0.8", "0.9"), out.splitlines()[-2:], strict=True):
        share = held.shares(held.threshold(alpha)).mean()
        assert line == f"  at alpha {alpha} about {share:.0%} of the calibration's pixels are trusted"
