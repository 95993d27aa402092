"""A derived series lies where its source lies, says what it is, and carries nothing personal that it need not."""

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from tests.imaging.dicom.synthetic import PERSONAL, slices, write

from veriscale.errors import InputError
from veriscale.imaging.dicom.derivation import Derivation
from veriscale.imaging.dicom.derived import write_derived
from veriscale.imaging.dicom.series import Series, read_series

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")  # of what the tests themselves read and write

DERIVATION = Derivation("mri", "ab" * 32, "×2 in plane, dial 0")
STUDY_KEYWORDS = {
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "StudyInstanceUID",
    "StudyID", "ReferencedStudySequence", "ReferencedPatientSequence",
}  # fmt: skip


def finer(series: Series, factors: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Every sample repeated, and the grid's affine: the field of view stays."""
    samples, affine = series.samples, series.affine.copy()
    for axis, factor in enumerate(factors):
        samples = np.repeat(samples, factor, axis)
        affine[:3, axis] /= factor
        affine[:3, 3] += series.affine[:3, axis] * (0.5 / factor - 0.5)
    return samples, affine


def derive(series: Series, folder: Path, factors=(1, 1, 1), derivation=DERIVATION) -> tuple[Series, list[Dataset]]:
    samples, affine = finer(series, factors)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pydicom's quote values
        write_derived(series, samples, affine, folder, derivation)
        return read_series(folder), files(folder)


def files(folder: Path) -> list[Dataset]:
    with pydicom.config.disable_value_validation():
        return [pydicom.dcmread(each) for each in sorted(folder.iterdir())]


def synthetic(folder: Path, **arguments) -> Series:
    return read_series(write(folder, slices(**arguments)))


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 3, 1), (1, 1, 4), (2, 2, 2)])
def test_geometry_and_values_come_back(tmp_path, factors):
    series = synthetic(tmp_path / "a")
    samples, affine = finer(series, factors)
    derived, _ = derive(series, tmp_path / "b", factors)
    np.testing.assert_allclose(derived.affine, affine, atol=1e-6)
    np.testing.assert_array_equal(derived.samples, samples)
    assert derived.thickness == pytest.approx(4 / factors[2], abs=1e-6)
    assert derived.window == series.window
    assert derived.notes == ()


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 2, 1), (1, 1, 3)])
def test_real_geometry_comes_back(tmp_path, real_folder, factors):
    series = read_series(real_folder)
    samples, affine = finer(series, factors)
    derived, made = derive(series, tmp_path / "b", factors)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in samples.shape])).reshape(3, -1)
    for grid in (derived.affine, affine):
        assert grid.shape == (4, 4)
    apart = (derived.affine - affine)[:3] @ np.vstack([corners, np.ones(8)])
    assert np.abs(apart).max() <= 1e-3
    np.testing.assert_array_equal(derived.samples, samples)
    assert [int(each.InstanceNumber) for each in derived.datasets] == list(range(1, samples.shape[2] + 1))
    assert len({each.FrameOfReferenceUID for each in made}) == 1


def test_one_volume_to_highdicom(tmp_path, real_folder):
    hd = pytest.importorskip("highdicom")
    series = read_series(real_folder)
    samples, affine = finer(series, (1, 1, 2))
    _, made = derive(series, tmp_path / "b", (1, 1, 2))
    volume = hd.get_volume_from_series(made)
    for index in np.random.default_rng(0).integers(0, samples.shape, (9, 3)):  # the values, where the affine says
        lps = (affine @ [*index, 1])[:3] * [-1, -1, 1]
        k, row, column = np.rint(volume.map_reference_to_indices(lps[None])[0]).astype(int)
        assert volume.array[k, row, column] == samples[tuple(index)]
        np.testing.assert_allclose(volume.map_indices_to_reference(np.array([[k, row, column]]))[0], lps, atol=2e-3)


def test_values_round_by_at_most_half_a_step(tmp_path):
    rng = np.random.default_rng(1)
    for index, (slope, intercept, modality) in enumerate([(1, 0, "MR"), (0.0754, 3100.8, "MR"), (1, -1024, "CT")]):
        made = slices(3, modality=modality)
        for each in made:
            each.RescaleSlope, each.RescaleIntercept = slope, intercept
        series = read_series(write(tmp_path / f"a{index}", made))
        samples = (series.samples + slope * rng.normal(0, 20, series.samples.shape)).astype(np.float32)
        assert write_derived(series, samples, series.affine, tmp_path / f"b{index}", DERIVATION) == ()
        back = read_series(tmp_path / f"b{index}").samples
        assert np.abs(back.astype(float) - samples).max() <= slope * 0.501
        assert np.abs(back.astype(float) - samples).max() > slope * 0.4  # a finer step would test nothing
    wide = samples * 1000
    (note,) = write_derived(series, wide, series.affine, tmp_path / "wide", DERIVATION)
    assert "more than 65,536 steps" in note


def test_what_the_header_says(tmp_path):
    series = synthetic(tmp_path / "a")
    _, made = derive(series, tmp_path / "b", (2, 2, 1))
    for index, each in enumerate(made):
        assert each.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert each.ImageType == ["DERIVED", "SECONDARY", "M"]
        assert (each.Modality, each.SOPClassUID) == ("MR", series.datasets[0].SOPClassUID)
        assert (each.BitsAllocated, each.BitsStored, each.HighBit, each.PixelRepresentation) == (16, 16, 15, 0)
        assert each.SeriesDescription == "series 4 restored, not for diagnosis"
        assert each.SeriesNumber == 1004
        assert "x2 in plane, dial 0" in each.DerivationDescription
        assert (each.DerivationCodeSequence[0].CodeValue, each.DerivationCodeSequence[0].CodingSchemeDesignator) == (
            "113085",
            "DCM",
        )
        (item,) = each.SourceImageSequence
        assert item.ReferencedSOPInstanceUID == series.datasets[index].SOPInstanceUID
        assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert item.SpatialLocationsPreserved == "NO"
        acquired, processed = each.ContributingEquipmentSequence
        assert (acquired.Manufacturer, acquired.ManufacturerModelName) == ("ACME", "Ring 3")
        assert acquired.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
        assert (processed.Manufacturer, processed.ManufacturerModelName) == ("Veriscale", "mri")
        assert processed.DeviceSerialNumber == "ab" * 32
        assert processed.SoftwareVersions
        assert (each.Manufacturer, each.FrameOfReferenceUID) == ("Veriscale", series.datasets[0].FrameOfReferenceUID)
        assert (each.RepetitionTime, each.EchoTime, each.ScanningSequence) == (3000, 30, "SE")
        assert "LossyImageCompression" not in each


def test_an_image_type_of_one_value_is_a_word(tmp_path):
    made = slices()
    for each in made:
        each.ImageType = "ORIGINAL"
    _, derived = derive(read_series(write(tmp_path / "a", made)), tmp_path / "b")
    assert {tuple(each.ImageType) for each in derived} == {("DERIVED", "SECONDARY", "OTHER")}


def test_the_sources_description_may_hold_a_name_and_is_not_repeated(tmp_path):
    made = slices()
    for each in made:
        each.SeriesDescription, each.SeriesNumber = "Knee of Doe", None
    _, derived = derive(read_series(write(tmp_path / "a", made)), tmp_path / "b")
    assert {each.SeriesDescription for each in derived} == {"restored, not for diagnosis"}


def test_through_the_plane_all_slices_contribute_and_the_same_grid_is_no_resampling(tmp_path):
    series = synthetic(tmp_path / "a", n=3)
    _, through = derive(series, tmp_path / "b", (1, 1, 2))
    expected = [each.SOPInstanceUID for each in series.datasets]
    assert all([s.ReferencedSOPInstanceUID for s in each.SourceImageSequence] == expected for each in through)
    _, same = derive(series, tmp_path / "c")
    assert "DerivationCodeSequence" not in same[0]
    assert same[0].SourceImageSequence[0].SpatialLocationsPreserved == "YES"


def test_identifiers_are_valid_unique_and_of_the_content(tmp_path):
    series = synthetic(tmp_path / "a")
    _, made = derive(series, tmp_path / "b")
    uids = {each.SOPInstanceUID for each in made} | {made[0].SeriesInstanceUID}
    assert len(uids) == len(made) + 1
    assert all(each.is_valid for each in uids)
    assert not uids & {u for each in series.datasets for u in (each.SOPInstanceUID, each.SeriesInstanceUID)}
    derive(series, tmp_path / "again")
    for file in (tmp_path / "b").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    _, other = derive(series, tmp_path / "c", derivation=Derivation("mri", "cd" * 32, "the same"))
    assert not uids & {each.SOPInstanceUID for each in other}
    changed = series.samples.copy()
    changed[0, 0, 0] += 1
    write_derived(series, changed, series.affine, tmp_path / "d", DERIVATION)
    assert not uids & {each.SOPInstanceUID for each in files(tmp_path / "d")}


def test_patient_and_study_are_verbatim(tmp_path):
    made = slices(2)
    for each in made:
        each.PatientName, each.PatientComments, each.OtherPatientIDs = "Müller^Jörg", "asks for a copy", "X1"
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", "1.2.3"
        item.private_block(0x0029, "ACME", create=True).add_new(0x01, "LO", "private")
        each.ReferencedStudySequence = [item]
        each.ClinicalTrialProtocolID, each.ClinicalTrialSeriesID = "P1", "not of the study"
    series = read_series(write(tmp_path / "a", made))
    _, out = derive(series, tmp_path / "b")
    source = series.datasets[0]
    copied = [each for each in source if each.tag.group == 0x0010 or each.keyword in STUDY_KEYWORDS]
    for each in out:
        for element in copied:
            if element.keyword != "ReferencedStudySequence":
                assert each[element.tag] == element
        assert str(each.PatientName) == "Müller^Jörg"
        assert each.ClinicalTrialProtocolID == "P1"
        assert "ClinicalTrialSeriesID" not in each
        assert each.ReferencedStudySequence[0].ReferencedSOPInstanceUID == "1.2.3"
        assert len(each.ReferencedStudySequence[0]) == 2


def test_dates_that_are_none_are_empty_and_others_as_they_are(tmp_path):
    made = slices(2)
    with pydicom.config.disable_value_validation():
        for each in made:
            each.StudyDate, each.PatientBirthDate = "20120000", "19610203"
    _, out = derive(read_series(write(tmp_path / "a", made)), tmp_path / "b")
    assert [(each.StudyDate, each.PatientBirthDate) for each in out] == [("", "19610203")] * 2


def test_several_frames_of_reference_become_one_new(tmp_path):
    made = slices(3)
    for each in made:
        each.FrameOfReferenceUID = generate_uid()
    series = read_series(write(tmp_path / "a", made))
    (note,) = write_derived(series, series.samples, series.affine, tmp_path / "b", DERIVATION)
    assert "one new FrameOfReferenceUID" in note
    write_derived(series, series.samples + 1, series.affine, tmp_path / "c", DERIVATION)
    (frame,) = {each.FrameOfReferenceUID for name in "bc" for each in files(tmp_path / name)}  # of both
    assert frame.is_valid
    assert frame not in [each.FrameOfReferenceUID for each in made]


def outside(header: Dataset) -> list[pydicom.DataElement]:
    """Every element outside the patient and study modules, at every depth."""
    found = []
    for element in header:
        if element.tag.group in (0x0010, 0x0012) or element.keyword in STUDY_KEYWORDS or element.keyword == "PixelData":
            continue
        found.append(element)
        if element.VR == "SQ":
            for item in element.value:
                found += list(item.iterall())
    return found


def check_nothing_personal(made: list[Dataset], words: set[str], own: tuple[str, ...] = ()) -> None:
    """No private element, no name and no time but in `own`, and none of the words."""
    for each in made:
        assert not [e for e in each.iterall() if e.tag.is_private]
        for element in outside(each):
            assert element.keyword in own or element.VR not in ("PN", "DA", "TM", "DT", "AS", "UN"), element.keyword
            if element.VR not in ("UI", "DS", "IS", "US"):
                assert not [word for word in words if word in str(element.value)], element.keyword


def test_nothing_personal_outside_the_copied_modules(tmp_path):
    _, made = derive(synthetic(tmp_path / "a"), tmp_path / "b", (2, 2, 2))
    check_nothing_personal(made, set(PERSONAL))
    assert "InstitutionName" not in made[0]
    made[0].OperatorsName = "Operator^Olga"
    with pytest.raises(AssertionError, match="OperatorsName"):  # the walk sees what it looks for
        check_nothing_personal(made, set(PERSONAL))


def test_nothing_personal_of_real_series(tmp_path, real_folder):
    series = read_series(real_folder)
    _, made = derive(series, tmp_path / "b")
    words = {"Jane", "Regression", "SCD0", "Hanke", "FMRIF", "fmrif", "48Ow", "000301496"}
    keywords = ("InstitutionName", "StationName", "DeviceSerialNumber", "PatientName", "PatientID", "ProtocolName")
    words |= {text for k in keywords if len(text := str(series.datasets[0].get(k, ""))) > 3 and text != "anat-T1w"}
    check_nothing_personal(made, words)


@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_mandatory_attributes_are_there_and_valid(tmp_path, modality):
    standard = pytest.importorskip("highdicom._standard_utils")
    series = synthetic(tmp_path / "a", modality=modality)
    write_derived(series, *finer(series, (1, 1, 2)), tmp_path / "b", DERIVATION)
    modules = [m for m in standard.get_iod_module_map()[f"{modality.lower()}-image"] if m["usage"] == "M"]
    with pydicom.config.strict_reading():
        for each in map(pydicom.dcmread, sorted((tmp_path / "b").iterdir())):
            assert list(each.iterall())  # every value is valid, or reading raises
            for module in modules:
                if module["key"] != "common-instance-reference":
                    standard.check_required_attributes(each, module["key"])


def test_what_slices_say_differently_is_not_said(tmp_path):
    made = slices(3)
    for each, echo in zip(made, (30, 30, 31), strict=True):
        each.EchoTime, each.BodyPartExamined = echo, "KNEE"
    made[1].FlipAngle = 90
    _, out = derive(read_series(write(tmp_path / "a", made)), tmp_path / "b")
    assert {(each.EchoTime, each.BodyPartExamined, each.RepetitionTime) for each in out} == {(None, "KNEE", 3000)}
    assert "FlipAngle" not in out[1]


def test_lossy_history_is_kept(tmp_path):
    made = slices(3)
    for each, ratio in zip(made, (9, 12, 10), strict=True):
        each.LossyImageCompression, each.LossyImageCompressionRatio = "01", ratio
        each.LossyImageCompressionMethod = "ISO_10918_1"
    _, out = derive(read_series(write(tmp_path / "a", made)), tmp_path / "b")
    assert {(e.LossyImageCompression, e.LossyImageCompressionRatio) for e in out} == {("01", 12)}
    assert out[0].LossyImageCompressionMethod == "ISO_10918_1"


def test_thickness_that_is_unknown_stays_unknown(tmp_path):
    made = slices(3)
    for each in made:
        del each.SliceThickness
    series = read_series(write(tmp_path / "a", made))
    derived, out = derive(series, tmp_path / "b", (2, 2, 1))
    assert derived.thickness is None
    assert out[0].SliceThickness is None
    assert derive(series, tmp_path / "c", (1, 1, 2))[0].thickness == pytest.approx(2)


def test_a_single_slice(tmp_path):
    series = synthetic(tmp_path / "a", n=1)
    derived, _ = derive(series, tmp_path / "b", (2, 2, 1))
    np.testing.assert_allclose(derived.affine, finer(series, (2, 2, 1))[1], atol=1e-6)


def test_long_and_foreign_texts_fit(tmp_path):
    made = slices(1)
    made[0].SeriesDescription, made[0].SeriesNumber = "x" * 64, 2**31 - 1
    series = read_series(write(tmp_path / "a", made))
    _, (out,) = derive(series, tmp_path / "b", derivation=Derivation("prióritás" * 20, "ab" * 32, "é\\×" * 900, 77))
    assert len(out.SeriesDescription) <= 64
    assert out.SeriesDescription.endswith("not for diagnosis")
    assert len(out.DerivationDescription) <= 1024
    assert len(out.ManufacturerModelName) <= 64
    assert out.SeriesNumber == 77


def test_source_files_are_never_changed(tmp_path, real_folder):
    def hashes() -> dict[str, str]:
        return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in real_folder.iterdir()}

    before, series = hashes(), read_series(real_folder)
    header = series.datasets[0].to_json_dict()
    derive(series, tmp_path / "b")
    assert hashes() == before
    assert series.datasets[0].to_json_dict() == header


def test_it_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    series = synthetic(tmp_path / "a")
    derive(series, tmp_path / "b")
    before = sorted(each.name for each in tmp_path.iterdir())
    for there in ("b", "a/011"):
        with pytest.raises(InputError, match="exists already and is never written over"):
            write_derived(series, series.samples, series.affine, tmp_path / there, DERIVATION)
    count = iter(range(9))

    def save(self: Dataset, *args, **kwargs) -> None:
        if next(count) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Dataset, "save_as", save)
    with pytest.raises(KeyboardInterrupt):
        write_derived(series, series.samples, series.affine, tmp_path / "c", DERIVATION)
    assert sorted(each.name for each in tmp_path.iterdir()) == before


def test_what_cannot_be_derived(tmp_path):
    series = synthetic(tmp_path / "a")
    with pytest.raises(InputError, match="should run as the source's"):
        write_derived(series, series.samples, np.eye(4), tmp_path / "b", DERIVATION)
    with pytest.raises(InputError, match="make no series"):
        write_derived(series, series.samples[0], series.affine, tmp_path / "b", DERIVATION)
    with pytest.raises(InputError, match="NaN"):
        write_derived(series, series.samples * np.nan, series.affine, tmp_path / "b", DERIVATION)
    with pytest.raises(InputError, match="cannot write the output folder: its folder does not exist"):
        write_derived(series, series.samples, series.affine, tmp_path / "no" / "b", DERIVATION)
    made = slices(2)
    del made[1].SOPInstanceUID
    for each in made:
        each.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    nameless = read_series(write(tmp_path / "nameless", made))
    with pytest.raises(InputError, match="the slice with InstanceNumber 2 has no SOPInstanceUID"):
        write_derived(nameless, nameless.samples, nameless.affine, tmp_path / "b", DERIVATION)
    made = slices(2)
    for each in made:
        each.SOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
    other = read_series(write(tmp_path / "pet", made))
    with pytest.raises(InputError, match="for MR and CT"):
        write_derived(other, other.samples, other.affine, tmp_path / "b", DERIVATION)
