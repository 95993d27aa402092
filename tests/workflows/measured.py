"""What calibration measures beside what a user gets, and the files it leaves."""

import re

import numpy as np
from tests.workflows.photographs import write_measurement

import veriscale
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import as_stored
from veriscale.trust.discrepancies import parse_discrepancy


def log_of(output):
    return output.with_name(output.name + ".part")


def without_date(path):
    """The text of a certificate but for the day and the hash, which covers the day."""
    return re.sub(r'"(date|sha256)": "[^"]*"', "", path.read_text())


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
