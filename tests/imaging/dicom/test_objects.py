"""A mask and a spread lie on the derived series, to a reader of another hand."""

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from tests.imaging.dicom.synthetic import slices, write
from tests.imaging.dicom.test_derived import DERIVATION, check_nothing_personal, finer

from veriscale.errors import InputError
from veriscale.imaging.dicom.derived import write_derived
from veriscale.imaging.dicom.objects import write_mask, write_spread
from veriscale.imaging.dicom.series import Series, read_series

OWN_TIMES = (
    *("ContentDate", "ContentTime", "InstanceCreationDate", "InstanceCreationTime", "ContributionDateTime"),
    *("SeriesDate", "SeriesTime", "ContentCreatorName"),
)
"""When the object was made, which highdicom writes, and what is empty."""


@pytest.fixture
def derived(tmp_path: Path) -> Series:
    made = slices(3)
    for each in made:
        each.PatientName = "Müller^Jörg"
    series = read_series(write(tmp_path / "a", made))
    write_derived(series, *finer(series, (2, 1, 2)), tmp_path / "b", DERIVATION)
    return read_series(tmp_path / "b")


def placed(volume, derived: Series) -> np.ndarray:
    """The volume's values at the derived series' voxels, found through patient coordinates alone."""
    index = np.indices(derived.samples.shape).reshape(3, -1)
    lps = (derived.affine @ np.vstack([index, np.ones(index.shape[1])]))[:3] * [[-1], [-1], [1]]
    there = volume.map_reference_to_indices(lps.T)
    assert np.abs(there - np.rint(there)).max() < 1e-2
    return volume.array[tuple(np.rint(there).astype(int).T)].reshape(derived.samples.shape)


def test_mask_is_where_it_should_be(tmp_path, derived):
    hd = pytest.importorskip("highdicom")
    mask = np.random.default_rng(0).random(derived.samples.shape) < 0.3
    write_mask(derived, mask, tmp_path / "mask.dcm", DERIVATION)
    found = hd.seg.segread(tmp_path / "mask.dcm")
    np.testing.assert_array_equal(placed(found.get_volume(combine_segments=True), derived), mask)
    assert found.StudyInstanceUID == derived.datasets[0].StudyInstanceUID
    assert found.FrameOfReferenceUID == derived.datasets[0].FrameOfReferenceUID
    referred = found.ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == derived.datasets[0].SeriesInstanceUID
    assert {each.ReferencedSOPInstanceUID for each in referred.ReferencedInstanceSequence} == {
        each.SOPInstanceUID for each in derived.datasets
    }
    assert found.SegmentSequence[0].SegmentLabel == "trusted"
    assert "not for diagnosis" in found.SeriesDescription
    assert str(found.PatientName) == "Müller^Jörg"


def test_an_empty_mask_is_written_too(tmp_path, derived):
    hd = pytest.importorskip("highdicom")
    mask = np.zeros(derived.samples.shape, bool)
    write_mask(derived, mask, tmp_path / "none.dcm", DERIVATION)
    mask[..., 1] = True
    write_mask(derived, mask, tmp_path / "one.dcm", DERIVATION)
    for name in ("none.dcm", "one.dcm"):
        assert hd.seg.segread(tmp_path / name).NumberOfFrames == derived.samples.shape[2]


def test_spread_is_where_it_should_be(tmp_path, derived):
    hd = pytest.importorskip("highdicom")
    std = np.random.default_rng(0).random(derived.samples.shape, np.float32) * 30
    write_spread(derived, std, tmp_path / "std.dcm", DERIVATION)
    found = hd.imread(tmp_path / "std.dcm")
    np.testing.assert_array_equal(placed(found.get_volume(), derived).astype(np.float32), std)
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == derived.datasets[0].SeriesInstanceUID
    write_spread(derived, std * 0, tmp_path / "zero.dcm", DERIVATION)
    with pytest.raises(InputError, match="NaN"):
        write_spread(derived, std * np.nan, tmp_path / "nan.dcm", DERIVATION)


def test_real_series_take_both(tmp_path, real_folder):
    hd = pytest.importorskip("highdicom")
    series = read_series(real_folder)
    write_derived(series, series.samples, series.affine, tmp_path / "b", DERIVATION)
    derived = read_series(tmp_path / "b")
    mask = derived.samples > derived.samples.mean()
    write_mask(derived, mask, tmp_path / "mask.dcm", DERIVATION)
    write_spread(derived, derived.samples / 7, tmp_path / "std.dcm", DERIVATION)
    found = hd.seg.segread(tmp_path / "mask.dcm").get_volume(combine_segments=True)
    np.testing.assert_array_equal(placed(found, derived), mask)
    spread = hd.imread(tmp_path / "std.dcm").get_volume()
    np.testing.assert_allclose(placed(spread, derived), derived.samples / 7, rtol=1e-6)


def test_identifiers_are_valid_and_of_the_content(tmp_path, derived):
    pytest.importorskip("highdicom")
    mask = derived.samples > 500
    for name, each in (("a1", mask), ("a2", mask), ("a3", ~mask)):
        write_mask(derived, each, tmp_path / name, DERIVATION)
    first, again, other = (pydicom.dcmread(tmp_path / f"a{k}").SOPInstanceUID for k in (1, 2, 3))
    assert first == again != other
    assert first.is_valid


def test_nothing_personal_outside_the_copied_modules(tmp_path, derived):
    pytest.importorskip("highdicom")
    write_mask(derived, derived.samples > 500, tmp_path / "mask.dcm", DERIVATION)
    write_spread(derived, derived.samples, tmp_path / "std.dcm", DERIVATION)
    for name in ("mask.dcm", "std.dcm"):
        found = pydicom.dcmread(tmp_path / name)
        assert not any(found.get(each) for each in ("SeriesDate", "SeriesTime", "ContentCreatorName", "OperatorsName"))
        words = {"Müller", "Surgeon", "Lakeside", "Operator", "Bed 7", "ID-4711", "19610203", "20190405"}
        check_nothing_personal([found], words, own=OWN_TIMES)


def test_unknown_thickness_and_a_single_slice(tmp_path):
    hd = pytest.importorskip("highdicom")
    made = slices(1)
    del made[0].SliceThickness
    series = read_series(write(tmp_path / "a", made))
    write_derived(series, series.samples, series.affine, tmp_path / "b", DERIVATION)
    derived = read_series(tmp_path / "b")
    write_mask(derived, derived.samples > 500, tmp_path / "mask.dcm", DERIVATION)
    volume = hd.seg.segread(tmp_path / "mask.dcm").get_volume(combine_segments=True)
    np.testing.assert_array_equal(placed(volume, derived), derived.samples > 500)


def test_existing_files_and_shapes(tmp_path, derived):
    pytest.importorskip("highdicom")
    with pytest.raises(InputError, match="should agree"):
        write_mask(derived, np.zeros((2, 2, 2), bool), tmp_path / "mask.dcm", DERIVATION)
    (tmp_path / "mask.dcm").write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        write_mask(derived, derived.samples > 0, tmp_path / "mask.dcm", DERIVATION)
    assert (tmp_path / "mask.dcm").read_text() == "precious"


def test_without_highdicom(tmp_path, derived, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    for writer, values in ((write_mask, derived.samples > 0), (write_spread, derived.samples)):
        with pytest.raises(InputError, match=r"pip install 'veriscale\[dicom\]'"):
            writer(derived, values, tmp_path / "x.dcm", DERIVATION)
    assert not (tmp_path / "x.dcm").exists()
