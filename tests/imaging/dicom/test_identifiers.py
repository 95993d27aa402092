"""Identifiers are valid, and differ exactly where content does."""

from pydicom.uid import UID

from veriscale.imaging.dicom.identifiers import uid_of


def test_valid_repeatable_and_unique():
    parts = [("a", "b"), ("ab", ""), ("a", b"b", ""), ("b", "a")]
    uids = [uid_of(*each) for each in parts]
    assert len(set(uids)) == len(parts)
    assert uids == [uid_of(*each) for each in parts]
    assert all(UID(each).is_valid and each.startswith("2.25.") for each in uids)


def test_version_is_that_of_a_uuid():
    from uuid import UUID

    assert UUID(int=int(uid_of("x").removeprefix("2.25."))).version == 5
