"""Files that appear whole or not at all."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile

from veriscale.errors import InputError

# What the user's disk, folder or rights refuse. Any other failure while a file is made is ours and stays as it is.
_REFUSALS = {
    errno.ENOSPC: "the disk is full; free space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free space or choose another folder",
    errno.EFBIG: "the file is larger than allowed here; choose another folder",
    errno.EACCES: "the folder cannot be written to; choose another or change its rights",
    errno.EPERM: "the folder cannot be written to; choose another or change its rights",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOENT: "its folder does not exist; create it first",
    errno.ENOTDIR: "its folder is a file; choose another",
    errno.ENAMETOOLONG: "its name is too long; choose a shorter one",
    errno.EIO: "the disk reports an error; choose another",
}


@contextmanager
def replacing(path: str | os.PathLike[str], force: bool = False) -> Iterator[Path]:
    """Give a temporary path in the same folder; rename it to `path` on success, remove it on failure.

    The temporary file keeps `path`'s suffix and exists, empty, when the block begins, so that a folder that cannot be
    written to is known before the work and not after it.

    Args:
        path: where the file belongs.
        force: replace a file that is there.

    Raises:
        InputError: `path` exists and `force` is not set, is not a plain file, or cannot be written (no folder, no
            rights, disk full, ...).
    """
    target = Path(path)
    refuse_existing(target, force)
    temporary = target.with_name(f".{secrets.token_hex(8)}{target.suffix[-16:]}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        refuse_existing(target, force)  # the work may have taken hours
        os.replace(temporary, target)
    except OSError as error:
        if error.errno not in _REFUSALS or error.filename not in (None, str(temporary), temporary):
            raise
        raise InputError(f"cannot write {target}: {_REFUSALS[error.errno]}") from error
    finally:
        with suppress(OSError):  # gone already on success; never hide the first error
            temporary.unlink()


@contextmanager
def appearing(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder beside `folder`; rename it on success, remove it with all that it holds on failure.

    Its sentences say "the output folder" and not which: names of folders of scans may be those of patients.

    Raises:
        InputError: something is there already, or it cannot be written (no parent, no rights, disk full, ...).
    """
    target = Path(folder)
    temporary = target.with_name(f".{secrets.token_hex(8)}")
    try:
        _refuse_there(target)
        temporary.mkdir()
        yield temporary
        _refuse_there(target)
        os.rename(temporary, target)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise InputError(f"cannot write the output folder: {_REFUSALS[error.errno]}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _refuse_there(folder: Path) -> None:
    if os.path.lexists(folder):
        raise InputError("the output folder exists already and is never written over; choose another name")


def refuse_existing(path: Path, force: bool) -> None:
    """Raise `InputError` where writing `path` would lose something: before the work, and again by `replacing`."""
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):  # nothing there; whether its folder is, creating the file says
            return
        raise InputError(f"cannot write {path}: {_REFUSALS.get(error.errno or 0, error.strerror)}") from error
    if path.exists() and not path.is_file():  # a link to nowhere may be replaced
        raise InputError(
            f"cannot write {path}: a {'folder' if path.is_dir() else 'device'} is there; choose another name"
        )
    if not force:
        raise InputError(f"{path} exists already; add `--force` (force=True) to replace it, or choose another name")


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and its parents; returns those that were not there, the innermost first.

    Raises:
        InputError: a file is in the way, or it is not allowed.
    """
    made = list(takewhile(lambda each: not each.exists(), (folder, *folder.parents)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The output folder cannot be made: {error.strerror}; choose another.") from error
    return made


def check_writable(folder: Path) -> None:
    """Raise `InputError` where no file can be made in a folder: before the work, and not after it."""
    try:
        TemporaryFile(dir=folder).close()
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise InputError(f"cannot write into {folder.resolve()}: {_REFUSALS[error.errno]}") from error


@contextmanager
def unmade_on_failure(folders: Iterable[Path]) -> Iterator[None]:
    """Remove folders of `make_folder` if the block fails; where something lies in one, it stays."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for folder in folders:
                folder.rmdir()
        raise
