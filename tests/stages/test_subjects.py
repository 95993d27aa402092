from pathlib import Path

import pytest

from veriscale.stages.subjects import group_of, perhaps_groups, subject_of

ROOT = Path("/data/set")


@pytest.mark.parametrize(
    "path, subject",
    [
        ("sub-01/ses-1/anat/sub-01_ses-1_T1w", "sub-01"),
        ("derivatives/sub-02/anat/T1w", "sub-02"),
        ("flat/sub-03_T1w", "sub-03"),
        ("ms07/ms07_T1", "ms07"),
        ("P01/visit1/T1", "P01"),  # not the visit, of which every patient has a first
        ("msl01_study1_T1", "msl01"),
        ("SCD0000101_phase00", "SCD0000101"),
        ("patient001", "patient001"),
        ("subject-1_T1", "subject-1"),
        ("T1_brain", "set"),  # nobody is called so, and the folder was given as a whole
        ("flair", "set"),
    ],
)
def test_whose_a_file_is(path, subject):
    file = ROOT / path
    assert subject_of(file.name, file.parent, ROOT) == subject


def test_bids_counts_above_the_root_of_a_pattern():
    folder = ROOT / "sub-04" / "anat"
    assert subject_of("T1w", folder, folder) == "sub-04"


@pytest.mark.parametrize(
    "folder, base, subject",
    [("t1_oblique", "", "t1_oblique"), ("P01/t1_oblique", "", "P01"), ("t1_oblique", "t1_oblique", "t1_oblique")],
)
def test_a_series_goes_by_its_folder(folder, base, subject):
    assert subject_of("IM_0001", ROOT / folder, ROOT / base, series=True) == subject


@pytest.mark.parametrize(
    "subject, folder, group",
    [
        ("sub-01", "DCM/sub-01/ses-1/anat", "DCM"),
        ("sub-01", "DCM/sub-01_ses-1", "DCM"),
        ("sub-03", "flat", "flat"),  # of files alone: the folder that they lie in
        ("P01", "DCM/P01/visit1", "DCM"),
        ("t1_oblique", "DCM/t1_oblique", "DCM"),
        ("patient001", "", ""),
    ],
)
def test_a_group_is_what_lies_above_a_subject(subject, folder, group):
    assert group_of(subject, ROOT / folder) == ROOT / group


def test_one_number_in_two_groups_is_noticed():
    paths = ["a/sub-01/anat/T1w.nii.gz", "b/sub-01/anat/T1w.nii.gz", "a/sub-02/T1w.nii.gz", "b/sub-02/T2w.nii.gz"]
    named = [("sub-01" if "sub-01" in path else "sub-02", ROOT / path) for path in paths]
    assert perhaps_groups(named) == ["sub-01"]
    assert perhaps_groups([("sub-07", ROOT / g / "sub-07_T1w.nii.gz") for g in "ab"]) == ["sub-07"]


@pytest.mark.parametrize(
    "paths, doubtful",
    [
        (["DCM/p1/cine.nii.gz", "DCM/p2/cine.nii.gz", "P01/T1.nii.gz"], ["DCM"]),
        (["DCM/p1/series", "DCM/p2/series"], ["DCM"]),
        (["P01/a/T1.nii.gz", "P01/a/T2.nii.gz", "P02/a/T1.nii.gz"], []),  # one folder each
        (["sub-01/ses-1/T1w.nii.gz", "sub-01/ses-2/T1w.nii.gz"], []),  # the name says whose
        (["DCM/p1.nii.gz", "DCM/p2.nii.gz", "P01/p1_T1.nii.gz", "P01/p1_T2.nii.gz"], ["DCM"]),
        (["P01/T1.nii.gz", "P01/flair.nii.gz", "P01/t1.nii.gz", "P01/new.nii.gz"], []),  # contrasts, and one more
    ],
)
def test_a_patient_that_may_be_a_group_is_noticed(paths, doubtful):
    assert perhaps_groups((path.partition("/")[0], ROOT / path) for path in paths) == doubtful
