"""The hash of files that may be gigabytes, remembered by size and time."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing

Known = dict[str, list[int | str]]
"""File → its size, its time of change in nanoseconds, its sha256."""


def files_sha256(folder: Path, files: Iterable[Path]) -> str:
    """Sha256 of the names within a folder and the contents of files; their order and the folder's place do not count.

    Raises:
        InputError: one cannot be read.
    """
    memory = _memory()
    known, digest, fresh = _recalled(memory), hashlib.sha256(), False
    for path in sorted(set(files)):
        try:
            stat = path.stat()
            marks: list[int | str] = [stat.st_size, stat.st_mtime_ns]
            held = known.get(str(path.resolve()), [])
            if held[:2] != marks:
                with path.open("rb") as file:
                    held = [*marks, hashlib.file_digest(file, "sha256").hexdigest()]
                known[str(path.resolve())], fresh = held, True
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.") from error
        digest.update(f"{path.relative_to(folder).as_posix()} {held[2]}\n".encode())
    if fresh:
        _remember(memory, {name: held for name, held in known.items() if Path(name).is_file()})
    return digest.hexdigest()


def _memory() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "veriscale" / "file_hashes.json"


def _recalled(memory: Path) -> Known:
    try:
        found = json.loads(memory.read_bytes())
        return {k: v for k, v in found.items() if isinstance(v, list) and len(v) == 3}
    except (OSError, ValueError, AttributeError):  # none yet, or damaged: everything is hashed anew
        return {}


def _remember(memory: Path, known: Known) -> None:
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with replacing(memory, force=True) as place:
            place.write_text(json.dumps(known))
    except (OSError, InputError):  # no room, or no right: the next run hashes again
        return
