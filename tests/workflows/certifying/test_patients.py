"""Whose scans are one unit of a certificate, how folders are given, and what is said where it looks wrong."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.imaging.dicom.synthetic import slices
from tests.imaging.dicom.synthetic import write as write_series
from tests.workflows.certifying.scans import write_patients, write_scan

import veriscale
from veriscale.errors import InputError
from veriscale.workflows.certifying.scan_units import subjects_of
from veriscale.workflows.inputs import collect


@pytest.fixture(scope="module")
def certificates(tmp_path_factory, grey):
    """Of a dozen patients by their names, and by their sub-folders."""
    place = tmp_path_factory.mktemp("certificates")
    write_patients(place / "patients", 12)
    for k in range(12):
        write_scan(place / "folders" / f"p{k:02}" / "cine.nii.gz", k)
    veriscale.calibrate(place / "patients", place / "named.json", prior=grey, scale=2, alpha=0.5)
    veriscale.calibrate(place / "folders", place / "grouped.json", prior=grey, scale=2, group=True)
    return place


def count(inputs, grouped=False):
    items, _ = collect(list(map(str, inputs)), scans=True, truths=True)
    return len(set(subjects_of(items, grouped)))


@pytest.mark.parametrize("grouped", [False, True])
def test_patients_of_patterns_are_those_of_their_folder(tmp_path, grouped):
    for name in ("ann", "bob"):
        write_scan(tmp_path / "new" / name / "cine.nii.gz", 3)
    ways = [["new"], ["new/*"], ["new/*/cine.nii.gz"], ["new/**/cine.nii.gz"], ["new/ann", "new/bob"]]
    ways += [["new/ann/cine.nii.gz", "new/bob/cine.nii.gz"]]
    assert [count([tmp_path / each for each in way], grouped) for way in ways] == [2] * len(ways)
    assert count([tmp_path / "new" / "ann"], grouped) == 1


def test_two_studies_with_one_name_are_two_patients_but_for_bids(tmp_path):
    for study in ("first", "second"):
        for name in ("p1", "sub-01"):
            write_scan(tmp_path / study / name / "cine.nii.gz", 3)
    assert count([tmp_path / "first", tmp_path / "second"]) == 3


def test_the_folder_of_a_series_is_a_sub_folder(tmp_path, grey):
    for name in ("ann", "bob"):
        write_series(tmp_path / "dicom" / name, slices(shape=(48, 50), patient=name))
    made = veriscale.calibrate(tmp_path / "dicom", tmp_path / "c.json", prior=grey, scale=2, group=True)
    assert (made.binding.n, made.binding.unit.grouped) == (2, True)


def test_a_file_is_evaluated_by_a_grouped_certificate(certificates, grey, tmp_path):
    file = write_scan(tmp_path / "new" / "ann" / "cine.nii.gz", 300)
    found = veriscale.evaluate_certificate(file, certificates / "grouped.json", grey, alphas="0.5")
    assert [o.picture for o in found.outcomes] == ["patient 1"]


def test_what_a_certificate_is_meant_for_is_evaluated(certificates, grey, tmp_path):
    file = write_scan(tmp_path / "cine.nii.gz", 300)
    assert veriscale.evaluate_certificate(file, certificates / "named.json", grey).alphas == ("0.5",)
    assert len(veriscale.evaluate_certificate(file, certificates / "grouped.json", grey).alphas) == 25


def test_scans_that_have_moved_to_another_patient_are_measured_again(grey, tmp_path):
    for k, name in enumerate(("a/s1", "a/s2", "b/s3", "b/s4")):
        write_scan(tmp_path / "p" / f"{name}.nii.gz", k)
    told = []

    def stop(what, done, of):
        told.append(what)
        if what.startswith("patient 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        veriscale.calibrate(tmp_path / "p", tmp_path / "c.json", prior=grey, scale=2, progress=stop)
    (tmp_path / "p" / "a" / "s2.nii.gz").rename(tmp_path / "p" / "b" / "s2.nii.gz")
    with pytest.raises(InputError, match="is of a calibration with other settings, pictures or code"):
        veriscale.calibrate(tmp_path / "p", tmp_path / "c.json", prior=grey, scale=2)


def warned(grey, folder: Path) -> str:
    lines: list[str] = []
    veriscale.calibrate(folder, folder.parent / "c.json", prior=grey, scale=2, warn=lines.append)
    assert not any("ann" in line or "4711" in line for line in lines)
    return " ".join(lines)


def test_several_people_in_one_folder_are_said(grey, tmp_path):
    for name, patient in {"ann/1": "4711", "ann/2": "4712", "bob/1": "4713"}.items():
        write_series(tmp_path / "dicom" / name, slices(shape=(48, 50), patient=patient))
    said = warned(grey, tmp_path / "dicom")
    assert "Of 2 patients 1 have series of several PatientIDs; if they are of several people, give each" in said


def test_one_number_in_two_groups_is_said(grey, tmp_path):
    for group in ("ill", "well"):
        write_scan(tmp_path / "scans" / group / "sub-01" / "cine.nii.gz", len(group))
    assert "Of 1 patients 1 may be several: scans of one name lie in several folders" in warned(
        grey, tmp_path / "scans"
    )


def test_masks_among_the_scans_are_said(grey, tmp_path):
    scan = nibabel.load(write_scan(tmp_path / "scans" / "ann" / "T1w.nii.gz", 3))
    mask = (np.asarray(scan.dataobj) > 300).astype(np.uint8)
    nibabel.Nifti1Image(mask, scan.affine).to_filename(tmp_path / "scans" / "ann" / "T1w_mask.nii.gz")
    write_scan(tmp_path / "scans" / "bob" / "T1w.nii.gz", 4)
    said = warned(grey, tmp_path / "scans")
    assert "Of 3 scans 1, such as the scan (2 of 3), have no more than 16 levels, as maps of labels have" in said


@pytest.mark.parametrize(
    "asked, words",
    [({"seed": -1}, r"^steps None, samples 0, seed -1"), ({"score": "variance", "samples": 1}, r"^samples is 1")],
)
def test_a_setting_is_not_blamed_on_the_scans(certificates, grey, tmp_path, asked, words):
    with pytest.raises(InputError, match=words):
        veriscale.calibrate(certificates / "patients", tmp_path / "c.json", prior=grey, scale=2, **asked)


def test_files_of_several_volumes_are_told_apart_before(certificates, grey, tmp_path):
    write_scan(tmp_path / "scans" / "a.nii.gz", 3)
    nibabel.Nifti1Image(np.ones((40, 36, 2, 3), np.int16), np.eye(4)).to_filename(tmp_path / "scans" / "b.nii.gz")
    with pytest.raises(InputError, match="holds 3 volumes, and a certificate is of files of one; write each to a file"):
        veriscale.calibrate(tmp_path / "scans", tmp_path / "c.json", prior=grey, scale=2)
