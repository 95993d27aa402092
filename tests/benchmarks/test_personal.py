"""The search for personal values finds each kind of them, and nothing where there is none."""

import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.imaging.dicom.synthetic import slices, write

from veriscale.imaging.dicom.derivation import Derivation
from veriscale.imaging.dicom.derived import write_derived
from veriscale.imaging.dicom.series import read_series


@pytest.fixture
def series(tmp_path):
    """Headers of a source, and of a series derived of it."""
    made = slices(3)
    read = read_series(write(tmp_path / "a", made))
    write_derived(read, read.samples, read.affine, tmp_path / "b", Derivation("mri", "ab" * 32, "nothing"))
    return made, [pydicom.dcmread(each) for each in sorted((tmp_path / "b").iterdir())]


def test_a_derived_series_holds_nothing_and_its_source_much(benchmark, series):
    personal = benchmark("personal")
    source, derived = series
    words = personal.words_of(source)
    assert personal.repeated(derived, *words) == []
    assert len(personal.repeated(source, *words)) >= 10


@pytest.mark.parametrize(
    "keyword, text",
    [
        ("OperatorsName", "Somebody^Else"),
        ("StationName", "Bed 7"),
        ("ImageComments", "as seen by doe^jane"),
        ("SeriesDate", "20190405"),
        ("ContentDate", "20300101"),
        ("ProtocolName", "ID-4711"),
        ("SeriesDescription", "of ID-4711"),
    ],
)
def test_what_is_planted_is_found(benchmark, series, keyword, text):
    personal = benchmark("personal")
    source, derived = series
    setattr(derived[1], keyword, text)
    assert any(told.startswith(f"{keyword}: ") for told in personal.repeated(derived, *personal.words_of(source)))


def test_private_elements_and_references_elsewhere_are_found(benchmark, series):
    personal = benchmark("personal")
    source, derived = series
    derived[0].private_block(0x0029, "ACME", create=True).add_new(0x01, "DS", "1")
    item = Dataset()
    item.ReferencedSOPInstanceUID = source[0].SOPInstanceUID
    derived[0].ReferencedImageSequence = [item]
    told = personal.repeated(derived, *personal.words_of(source))
    assert any(each.endswith(": private") for each in told)
    assert any(each.startswith("ReferencedImageSequence ReferencedSOPInstanceUID: ") for each in told)
