"""Dates that are none are found, and only those."""

import pydicom
import pytest
from pydicom.dataset import Dataset

from veriscale.imaging.dicom.dates import false_dates, is_date, without_false_dates


@pytest.mark.parametrize("text", ["20240229", "19000101", "2018.09.18", "", "20130717 "])
def test_dates(text):
    assert is_date(text)


@pytest.mark.parametrize("text", ["20120000", "00000000", "20230229", "2018-09-18", "2018", "20181301", "2018.0918"])
def test_no_dates(text):
    assert not is_date(text)


def test_only_false_dates_are_emptied_at_every_depth():
    header, item = Dataset(), Dataset()
    with pydicom.config.disable_value_validation():
        item.StudyDate, item.ContentDate = "20120000", "20120101"
        header.StudyDate, header.PatientBirthDate, header.PatientID = "20120000", "19610203", "20120000"
        header.ReferencedStudySequence = [item]
        assert false_dates(header) == ["StudyDate"]
        without_false_dates(header)
    assert (header.StudyDate, header.PatientBirthDate, header.PatientID) == ("", "19610203", "20120000")
    assert (item.StudyDate, item.ContentDate) == ("", "20120101")
