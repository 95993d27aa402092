"""Files appear whole or not at all, and the disk's refusals are sentences."""

import errno
import os
import stat
from pathlib import Path

import pytest

from veriscale.errors import InputError
from veriscale.imaging.atomic import appearing, check_writable, replacing


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_file_appears_at_the_end_and_whole(tmp_path):
    with replacing(tmp_path / "a.json") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".json"
        assert temporary.exists()
        temporary.write_text("done")
        assert not (tmp_path / "a.json").exists()
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "done"


def test_rights_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("x")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("failure", [ValueError("ours"), KeyboardInterrupt()])
def test_failure_leaves_everything_as_it_was(tmp_path, failure):
    (tmp_path / "a").write_text("precious")

    def work() -> None:
        with replacing(tmp_path / "a", force=True) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(type(failure)):
        work()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "precious"


def test_existing_file_needs_force(tmp_path):
    (tmp_path / "a").write_text("precious")
    with pytest.raises(InputError, match="exists already; add force"), replacing(tmp_path / "a"):
        pytest.fail("the work must not begin")
    with replacing(tmp_path / "a", force=True) as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a").read_text() == "new"


def test_file_that_came_during_the_work_is_kept(tmp_path):
    with pytest.raises(InputError, match="exists already"), replacing(tmp_path / "a"):
        (tmp_path / "a").write_text("theirs")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "theirs"


def test_what_is_no_file_is_never_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="a folder is there"), replacing(tmp_path / "folder", force=True):
        pytest.fail("the work must not begin")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a device is there"), replacing(tmp_path / "pipe", force=True):
        pytest.fail("the work must not begin")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    with pytest.raises(InputError, match="a folder is there"), replacing(tmp_path / "link", force=True):
        pytest.fail("the work must not begin")


@pytest.mark.parametrize(
    "code, reason",
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "cannot be written to"),
        (errno.EROFS, "read-only"),
    ],
)
def test_refusals_of_the_disk_are_sentences(tmp_path, code, reason):
    with pytest.raises(InputError, match=f"cannot write .*a.txt: .*{reason}"), replacing(tmp_path / "a.txt"):
        raise OSError(code, os.strerror(code))
    assert names(tmp_path) == []


def test_folder_that_is_missing_or_a_file_or_a_name_too_long(tmp_path):
    (tmp_path / "file").touch()
    for path, reason in (
        (tmp_path / "none" / "a", "folder does not exist"),
        (tmp_path / "file" / "a", "its folder is a file"),
        (tmp_path / ("n" * 300), "name is too long"),
    ):
        with pytest.raises(InputError, match=reason), replacing(path):
            pytest.fail("the work must not begin")
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_folder_without_rights(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written to"), replacing(tmp_path / "a"):
        pytest.fail("the work must not begin")


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="no folder in which nobody, not even root, may make a file")
def test_a_folder_that_nobody_may_write_to_is_named_before_the_work():
    with pytest.raises(InputError, match=r"^cannot write into /sys: the (folder|disk) .*; choose another"):
        check_writable(Path("/sys"))


def test_a_folder_that_can_be_written_to_is_left_as_it_was(tmp_path):
    check_writable(tmp_path)
    assert names(tmp_path) == []


def test_failures_about_other_files_are_not_the_disks(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        (tmp_path / "an input").read_text()
    with pytest.raises(BrokenPipeError), replacing(tmp_path / "a"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert names(tmp_path) == []


def test_folder_appears_at_the_end_and_whole(tmp_path):
    with appearing(tmp_path / "a") as temporary:
        (temporary / "x").write_text("done")
        assert not (tmp_path / "a").exists()
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["x"]


def test_folder_that_failed_leaves_nothing(tmp_path):
    def work() -> None:
        with appearing(tmp_path / "a") as temporary:
            (temporary / "x").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert names(tmp_path) == []


def test_folder_that_came_during_the_work_is_kept(tmp_path):
    def work() -> None:
        with appearing(tmp_path / "a"):
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "precious").touch()

    with pytest.raises(InputError, match="exists already"):
        work()
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["precious"]


def test_folder_without_a_parent_is_a_sentence_without_its_name(tmp_path):
    with pytest.raises(InputError) as caught, appearing(tmp_path / "Doe" / "a"):
        pytest.fail("the work must not begin")
    assert str(caught.value) == "cannot write the output folder: its folder does not exist; create it first"
