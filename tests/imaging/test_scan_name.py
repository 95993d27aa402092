"""`.nii.gz` is one extension."""

import pytest

from veriscale.imaging.scan_name import is_scan, split_scan_name


@pytest.mark.parametrize(
    "name, stem, extension",
    [
        ("sub-01_T1w.nii.gz", "sub-01_T1w", ".nii.gz"),
        ("folder.nii.gz/a.NII.GZ", "a", ".NII.GZ"),
        ("a.b.nii", "a.b", ".nii"),
        ("a.tar.gz", "a.tar", ".gz"),
        ("a.nii.bz2", "a.nii", ".bz2"),
        ("a", "a", ""),
        (".nii.gz", "", ".nii.gz"),
    ],
)
def test_stem_and_extension(name, stem, extension):
    assert split_scan_name(name) == (stem, extension)


def test_a_scan_is_told_by_its_name():
    assert all(is_scan(name) for name in ("a.nii", "a.nii.gz", "b/a.Nii.GZ"))
    assert not any(is_scan(name) for name in ("a.gz", "a.png", "nii", "a.nii.gz/b", "a.hdr"))
