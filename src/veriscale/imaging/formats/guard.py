"""The border between files and arrays: size limits, and a decoder's failure as one sentence."""

import logging
import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from veriscale.errors import InputError

_QUIET = threading.RLock()
_LOGS = [logging.getLogger(name) for name in ("tifffile", "imagecodecs")]


class AboveLimit(InputError):
    """A file announces more than is read without being asked to."""


def first_bytes(file: Path, count: int, kind: str) -> bytes:
    """The beginning of a file, at least one byte.

    Args:
        file: of any name.
        count: how many bytes at most.
        kind: what it should be, in words, such as 'an image file'.

    Raises:
        InputError: there is none, it is a folder or a device, cannot be opened, or is empty.
    """
    try:
        if not file.exists():
            raise InputError(f"{file} does not exist; check the name")
        if not file.is_file():  # a pipe would be waited for, a device never ends
            raise InputError(f"{file} is {'a folder' if file.is_dir() else 'a device'}, not {kind}")
        with file.open("rb") as stream:
            head = stream.read(count)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{file} cannot be opened: {reason}") from error
    if not head:
        raise InputError(f"{file} is empty: it has no bytes")
    return head


@contextmanager
def decoding(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged file into an `InputError`.

    Only calls into a decoder belong inside. The decoders document no closed set of exceptions: mutated files make them
    raise ValueError, struct.error, SyntaxError, KeyError, TypeError, MemoryError, ZeroDivisionError, RuntimeError and
    more, all of which mean the same to the user. Hence the one broad `except` of this package.
    """
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path} needs more memory than there is; crop or shrink it first") from error
    except Exception as error:
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{path} cannot be read: the {kind} file is damaged or truncated ({detail})") from error


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep tifffile's and imagecodecs' log lines off the bare standard error.

    Log handlers that the user has set still see them.
    """
    handler = logging.NullHandler()
    for log in _LOGS:
        log.addHandler(handler)
    try:
        yield
    finally:
        for log in _LOGS:
            log.removeHandler(handler)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep decoders from printing log lines and Python warnings.

    The warning filters are the process's, so they are changed under a lock and given back.
    """
    with _QUIET, unlogged(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture by its header, before memory is taken for it."""
    if width < 1 or height < 1:
        raise InputError(f"{path} is empty: {width} × {height} holds no pixels")
    if width * height > max_pixels:
        raise AboveLimit(
            f"{path} says it is {width} × {height}, above the limit of {max_pixels} pixels; "
            f"if you trust it, raise the limit: `--max-pixels` {width * height} (max_pixels= in Python)"
        )


def plausible_dpi(x: float, y: float) -> tuple[float, float] | None:
    """The resolution, or None for a value that no device has and not every format could hold."""
    return (x, y) if all(math.isfinite(v) and 1 <= v <= 65535 for v in (x, y)) else None
