"""A folder of slices becomes one array in its place, or one sentence says why not."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLosslessSV1, RLELossless, generate_uid
from tests.imaging.dicom.synthetic import FIRST, OBLIQUE, PERSONAL, slices, write

from veriscale.errors import InputError
from veriscale.imaging.dicom.series import Series, read_series

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")  # of what the tests themselves read and write


def refusal(folder: Path, **arguments: int) -> str:
    """The sentence, of which none is personal."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as caught:
            read_series(folder, **arguments)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert not [each for each in (*PERSONAL, str(folder)) if each in sentence]
    return sentence


def changed(folder: Path, keyword: str, values: list) -> Path:
    made = slices(len(values))
    for each, new in zip(made, values, strict=True):
        if new is None:
            delattr(each, keyword)
        else:
            setattr(each, keyword, new)
    return write(folder, made)


def test_nothing_is_imported_before_it_is_needed():
    modules = "from veriscale.imaging.dicom import derived, objects, series"
    check = f"import sys; {modules}; print({{'pydicom', 'highdicom'}} & {{*sys.modules}})"
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_samples_lie_where_the_headers_say(tmp_path):
    stored = np.arange(6 * 7 * 5, dtype=np.uint16).reshape(6, 7, 5)
    series = read_series(write(tmp_path / "a", slices(stored=stored)))
    assert series.samples.dtype == np.float32
    np.testing.assert_array_equal(series.samples, stored)
    assert [int(each.InstanceNumber) for each in series.datasets] == [1, 2, 3, 4, 5]
    across, down = np.array(OBLIQUE[:3]), np.array(OBLIQUE[3:])
    lps = FIRST + 2 * 0.75 * down + 3 * 0.5 * across + 4 * 4.0 * np.cross(across, down)  # row 2, column 3, slice 4
    np.testing.assert_allclose((series.affine @ [2, 3, 4, 1])[:3], lps * [-1, -1, 1], atol=1e-5)
    assert series.spacing == pytest.approx((0.75, 0.5, 4.0), abs=1e-5)
    assert (series.thickness, series.window, series.notes) == (4.0, (500.0, 1000.0), ())
    assert series.gap == pytest.approx(0, abs=1e-5)


def test_order_is_along_the_normal_whatever_numbers_say(tmp_path):
    made = slices()
    for each in made:
        each.InstanceNumber = 9 - int(each.InstanceNumber)
    series = read_series(write(tmp_path / "a", made))
    assert [int(each.InstanceNumber) for each in series.datasets] == [8, 7, 6, 5, 4]


def test_slope_and_intercept_of_each_slice(tmp_path):
    made = slices(3)
    for k, each in enumerate(made):
        each.RescaleSlope, each.RescaleIntercept = 0.5 * (k + 1), -100
    series = read_series(write(tmp_path / "a", made))
    for k, each in enumerate(made):
        np.testing.assert_allclose(series.samples[..., k], each.pixel_array * 0.5 * (k + 1) - 100)
    assert series.source_step == 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_types_of_stored_values(tmp_path, dtype):
    stored = np.random.default_rng(0).integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (3, 3, 3), dtype)
    series = read_series(write(tmp_path / "a", slices(stored=stored)))
    np.testing.assert_array_equal(series.samples, stored)


def test_other_files_are_passed_over(tmp_path):
    folder = write(tmp_path / "a", slices())
    (folder / "notes.txt").write_text("Doe^Jane")
    (folder / "sub").mkdir()
    directory, report = slices(2)
    directory.SOPClassUID, report.SOPClassUID = "1.2.840.10008.1.3.10", "1.2.840.10008.5.1.4.1.1.88.11"
    pydicom.dcmwrite(folder / "DICOMDIR", directory, enforce_file_format=True)
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(report, keyword)
    pydicom.dcmwrite(folder / "report.dcm", report, enforce_file_format=True)
    series = read_series(folder)
    assert series.samples.shape == (6, 7, 5)
    assert series.notes == (
        "1 file of the folder that is not DICOM: ignored.",
        "1 DICOM object of the folder without an image: ignored.",
    )


def test_a_single_slice_is_taken_with_a_note(tmp_path):
    series = read_series(write(tmp_path / "a", slices(1)))
    assert series.samples.shape == (6, 7, 1)
    assert series.spacing == pytest.approx((0.75, 0.5, 4.0))
    assert "in its plane only; its extent is SpacingBetweenSlices, 4.000 mm" in series.notes[0]
    made = slices(1)
    del made[0].SpacingBetweenSlices
    assert "its extent is SliceThickness" in read_series(write(tmp_path / "b", made)).notes[0]
    del made[0].SliceThickness
    assert "single slice with neither" in refusal(write(tmp_path / "c", made))


def test_thickness_is_never_guessed(tmp_path):
    absent = read_series(changed(tmp_path / "a", "SliceThickness", [None] * 3))
    assert (absent.thickness, absent.gap) == (None, None)
    assert "the thickness of the slices is unknown" in absent.notes[0]
    assert read_series(changed(tmp_path / "b", "SliceThickness", [4, 4, 3])).thickness is None


def test_positions_count_and_a_disagreement_is_said(tmp_path):
    series = read_series(changed(tmp_path / "a", "SpacingBetweenSlices", [4.4] * 4))
    assert series.spacing[2] == pytest.approx(4, abs=1e-5)
    assert series.notes == ("SpacingBetweenSlices says 4.400 mm, the positions 4.000 mm: the positions count.",)
    gapped = read_series(changed(tmp_path / "b", "SliceThickness", [3] * 4))
    assert gapped.gap == pytest.approx(1, abs=1e-5)
    assert gapped.notes == ("Slices of 3.000 mm every 4.000 mm: with gaps of 1.000 mm.",)


def test_frames_of_reference_and_false_dates_are_accepted_and_said(tmp_path):
    made = slices(3)
    for each in made:
        each.FrameOfReferenceUID = generate_uid()
        with pydicom.config.disable_value_validation():
            each.StudyDate, each.PatientBirthDate = "20120000", "00000000"
    notes = read_series(write(tmp_path / "a", made)).notes
    assert "carry 3 FrameOfReferenceUIDs" in notes[0]
    assert notes[1].startswith("PatientBirthDate, StudyDate hold no date")


def test_compressed_slices_are_read_where_there_is_a_decoder(tmp_path):
    made = slices(2)
    expected = np.stack([each.pixel_array for each in made], axis=-1)
    for each in made:
        each.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_array_equal(read_series(write(tmp_path / "a", made)).samples, expected)


def test_no_image(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert "holds no DICOM image" in refusal(tmp_path)
    assert "is not there or is not a folder" in refusal(tmp_path / "none")
    assert "is not there or is not a folder" in refusal(tmp_path / "a.txt")


def test_two_series(tmp_path):
    folder, other = write(tmp_path / "a", slices(3)), slices(2)
    for index, each in enumerate(other):
        each.SeriesNumber, each.SeriesDescription = 5, "T2 of Mrs Doe"
        pydicom.dcmwrite(folder / f"other{index}", each, enforce_file_format=True)
    assert "holds 2 series: number 4 (3 files); number 5 (2 files)" in refusal(folder)


def test_two_patients_under_one_series(tmp_path):
    assert "several patients (PatientID differs)" in refusal(changed(tmp_path / "a", "PatientID", ["P1", "P2"]))


def test_mixed_orientations(tmp_path):
    other = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    folder = changed(tmp_path / "a", "ImageOrientationPatient", [list(OBLIQUE), other, list(OBLIQUE)])
    assert "different orientations" in refusal(folder)
    skewed = changed(tmp_path / "b", "ImageOrientationPatient", [[1.0, 0.0, 0.0, 0.5, 0.5, 0.0]] * 2)
    assert "two perpendicular unit vectors" in refusal(skewed)


def test_mixed_sizes(tmp_path):
    made, other = slices(3), slices(3, shape=(8, 7))
    other[2].SeriesInstanceUID, other[2].StudyInstanceUID = made[0].SeriesInstanceUID, made[0].StudyInstanceUID
    assert "different sizes (6×7, 8×7)" in refusal(write(tmp_path / "a", [*made[:2], other[2]]))
    assert "different pixel sizes" in refusal(changed(tmp_path / "b", "PixelSpacing", [[1, 1], [1, 1.1]]))


def test_missing_slices(tmp_path):
    made = slices(8)
    height = float(np.cross(OBLIQUE[:3], OBLIQUE[3:]) @ FIRST)
    sentence = refusal(write(tmp_path / "a", made[:3] + made[4:]))
    assert f"1 slice is missing between {height + 8:.2f} mm and {height + 16:.2f} mm" in sentence
    assert "2 slices are missing" in refusal(write(tmp_path / "b", made[:3] + made[5:]))
    assert "1 slice is missing" in refusal(write(tmp_path / "c", [made[0], made[1], made[3]]))


def test_uneven_spacing(tmp_path):
    made, normal = slices(5), np.cross(OBLIQUE[:3], OBLIQUE[3:])
    made[2].ImagePositionPatient = [round(float(v), 6) for v in made[2].ImagePositionPatient + 0.3 * normal]
    assert "unevenly spaced" in refusal(write(tmp_path / "a", made))
    near = np.array(made[1].ImagePositionPatient, float) + 4.005 * normal  # what rounding does is no unevenness
    made[2].ImagePositionPatient = [round(float(v), 6) for v in near]
    assert read_series(write(tmp_path / "b", made)).samples.shape[2] == 5


def test_several_phases_at_one_position(tmp_path):
    made, phase = slices(3), slices(3)
    for each, first in zip(phase, made, strict=True):
        each.SeriesInstanceUID, each.StudyInstanceUID = first.SeriesInstanceUID, first.StudyInstanceUID
    assert "the 6 slices lie at 3 positions" in refusal(write(tmp_path / "a", made + phase))


@pytest.mark.parametrize("degrees", [0.5, 15])
def test_gantry_tilt(tmp_path, degrees):
    made = slices(9)
    for k, each in enumerate(made):
        shift = k * 4.0 * np.tan(np.radians(degrees)) * np.array(OBLIQUE[3:])
        each.ImagePositionPatient = [round(float(v), 6) for v in each.ImagePositionPatient + shift]
    assert f"at {degrees:.1f}° to their normal (gantry tilt)" in refusal(write(tmp_path / "a", made))


def test_slices_shifted_in_their_plane(tmp_path):
    made = slices(5)
    made[2].ImagePositionPatient = [float(v) for v in made[2].ImagePositionPatient + 2 * np.array(OBLIQUE[:3])]
    assert "shifted against each other by up to 2.00 mm" in refusal(write(tmp_path / "a", made))


def test_enhanced_multi_frame(tmp_path):
    made = slices(1, stored=np.zeros((4, 4, 1), np.uint16))
    made[0].NumberOfFrames, made[0].PixelData = 3, bytes(96)
    assert "enhanced (multi-frame)" in refusal(write(tmp_path / "a", made))
    made[0].NumberOfFrames, made[0].SOPClassUID = 1, "1.2.840.10008.5.1.4.1.1.4.1"
    assert "`emf2sf`" in refusal(write(tmp_path / "b", made))


def test_compressed_without_a_decoder(tmp_path, monkeypatch):
    from pydicom.pixels.decoders import base

    made = slices(2)
    for each in made:
        each.compress(RLELossless, generate_instance_uid=False)
        each.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    monkeypatch.setattr(base.Decoder, "is_available", property(lambda self: False))
    sentence = refusal(write(tmp_path / "a", made))
    assert "JPEG Lossless" in sentence
    assert "`pip install pylibjpeg pylibjpeg-libjpeg`" in sentence


def test_compressed_as_a_video(tmp_path):
    made = slices(1)
    made[0].compress(RLELossless, generate_instance_uid=False)
    made[0].file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    assert "no decoder can be had" in refusal(write(tmp_path / "a", made))


def test_colour(tmp_path):
    made = slices(1)
    made[0].SamplesPerPixel, made[0].PhotometricInterpretation, made[0].PlanarConfiguration = 3, "RGB", 0
    made[0].PixelData = made[0].PixelData * 3
    assert "colour images" in refusal(write(tmp_path / "a", made))


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"])
def test_missing_geometry(tmp_path, keyword):
    made = slices(3)
    delattr(made[1], keyword)
    assert f"the slice with InstanceNumber 2 has no {keyword}" in refusal(write(tmp_path / "a", made))


def test_geometry_that_is_none(tmp_path):
    folder = changed(tmp_path / "a", "PixelSpacing", [[0.5], [0.5]])
    assert "should hold 2 finite numbers" in refusal(folder)
    assert "above 0 mm" in refusal(changed(tmp_path / "b", "PixelSpacing", [[0, 1], [0, 1]]))
    assert "RescaleSlope of" in refusal(changed(tmp_path / "c", "RescaleSlope", [0, 0]))


def test_truncated_pixels(tmp_path):
    short = changed(tmp_path / "a", "PixelData", [bytes(84), bytes(60)])
    assert "pixel data of the slice with InstanceNumber 2 are truncated" in refusal(short)
    folder = write(tmp_path / "b", slices(3))
    file = sorted(folder.iterdir())[0]
    file.write_bytes(file.read_bytes()[:-10])
    assert "truncated or damaged" in refusal(folder)
    assert "truncated or damaged" in refusal(changed(tmp_path / "c", "PixelData", [None, None]))


def test_damaged_header(tmp_path):
    folder = write(tmp_path / "a", slices(2))
    whole = sorted(folder.iterdir())[0].read_bytes()
    for length in (140, 200, 500, 900):  # within the file's own group, before the class, before the size
        (folder / "000").write_bytes(whole[:length])
        assert "damaged" in refusal(folder)


def test_value_table(tmp_path):
    made = slices(2)
    for each in made:
        each.ModalityLUTSequence = [pydicom.Dataset()]
    assert "ModalityLUTSequence" in refusal(write(tmp_path / "a", made))


def test_too_large(tmp_path):
    assert "more than 100" in refusal(write(tmp_path / "a", slices()), max_samples=100)


def test_real_series(real_folder):
    expected = {
        "t1_oblique": ((384, 274, 8), (0.6667, 0.7, 0.6667), 0.6667),
        "epi_brain": ((64, 64, 15), (3.75, 3.75, 5), 3),
        "cardiac_sax_oblique": ((256, 256, 11), (1.3672, 1.3672, 8), 8),
    }[real_folder.name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        series = read_series(real_folder)
    assert series.samples.shape == expected[0]
    assert series.spacing == pytest.approx(expected[1], abs=1e-4)
    assert series.thickness == pytest.approx(expected[2], abs=1e-4)
    for index, header in enumerate(series.datasets):
        first = (series.affine @ [0, 0, index, 1])[:3] * [-1, -1, 1]
        np.testing.assert_allclose(first, [float(v) for v in header.ImagePositionPatient], atol=1e-3)
    _check_against_files(real_folder, series)


def _check_against_files(folder: Path, series: Series) -> None:
    """Every file's values are in the slice that carries its UID."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = {each.SOPInstanceUID: each for each in map(pydicom.dcmread, folder.iterdir())}
    assert len(files) == len(series.datasets) == len(os.listdir(folder))
    for index, header in enumerate(series.datasets):
        assert "PixelData" not in header
        np.testing.assert_array_equal(series.samples[..., index], files[header.SOPInstanceUID].pixel_array)


def test_notes_of_real_series(real_folder):
    notes = " ".join(read_series(real_folder).notes)
    assert ("11 FrameOfReferenceUIDs" in notes) == (real_folder.name == "cardiac_sax_oblique")
    assert ("hold no date" in notes) == (real_folder.name == "cardiac_sax_oblique")
    assert ("with gaps of 2.000 mm" in notes) == (real_folder.name == "epi_brain")
    assert not any(each in notes for each in ("SCD", "Jane", "Regression", "2012", "2018", "2013"))
