"""The files of a recipe as one archive, for a machine that has no data of its own."""

import json
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing
from veriscale.imaging.formats.registry import is_picture
from veriscale.stages.files import Found, names_of
from veriscale.stages.splits import select

# Of an archive of scans: the folders above them, which told it, are not in it.
_SUBJECTS = "subjects.json"
_GROUPS = "groups.json"


def pack(
    sets: Mapping[str, Sequence[str]], root: Path, path: Path, force: bool = False, splits: Path | None = None
) -> int:
    """Write the files of some sets, byte for byte, as one archive that `members` reads; returns their number.

    Args:
        sets: by their part, "training" or "validation", or that of one stage by `part_of`, patterns of `splits.select`.
        root: where relative patterns begin.
        path: of the archive.
        force: replace one that is there.
        splits: the manifest of `folder@split`.

    Raises:
        InputError: as `select`, or the archive exists or cannot be written.
    """
    count = 0
    told: dict[str, dict[str, dict[str, str]]] = {_SUBJECTS: {}, _GROUPS: {}}
    numbers: dict[str, str] = {}  # of groups, whose own names are folders of this machine
    with replacing(path, force=force) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for part, patterns in sets.items():
            with members(patterns, root, part, splits) as files:
                for name, found in files.items():
                    archive.writestr(zipfile.ZipInfo(f"{part}/{name}"), found.path.read_bytes())
                    count += 1
                    if not is_picture(found.path):
                        told[_SUBJECTS].setdefault(part, {})[name] = found.subject
                        number = numbers.setdefault(found.group, str(len(numbers)))
                        told[_GROUPS].setdefault(part, {})[name] = number
        for table, parts in told.items():
            if parts:
                archive.writestr(zipfile.ZipInfo(table), json.dumps(parts))
    return count


def part_of(stage: str, part: str) -> str:
    """What the part of one stage is called in an archive of several sets."""
    return f"stage/{stage}/{part}"


def packed_part(patterns: Sequence[str], root: Path, stage: str, part: str) -> str:
    """Where a stage's part lies in an archive: under its own name, or, in an archive of one set, that of all stages.

    Args:
        patterns: of the stage; what is no archive has no such places.
        root: where relative patterns begin.
        stage: its name.
        part: "training" or "validation".

    Raises:
        InputError: the archive cannot be read.
    """
    if not _is_archive(patterns):
        return part
    own = part_of(stage, part)
    with _opened(patterns[0], root) as archive:
        return own if any(name.startswith(f"{own}/") for name in archive.namelist()) else part


@contextmanager
def members(patterns: Sequence[str], root: Path, part: str, splits: Path | None) -> Iterator[dict[str, Found]]:
    """Name → file; an archive is unpacked as long as it takes, since readers read files.

    Args:
        patterns: of `splits.select`, or the one archive that `pack` made.
        root: where relative patterns begin.
        part: of `packed_part`.
        splits: the manifest of `folder@split`.

    Raises:
        InputError: as `select`, or the archive cannot be read.
    """
    if _is_archive(patterns):
        with tempfile.TemporaryDirectory() as folder:
            yield _unpacked(patterns[0], root, part, Path(folder))
        return
    found = select(patterns, root, splits)
    yield dict(zip(names_of(found, root), found, strict=True))


def _is_archive(patterns: Sequence[str]) -> bool:
    return len(patterns) == 1 and patterns[0].endswith(".zip")


@contextmanager
def _opened(pattern: str, root: Path) -> Iterator[zipfile.ZipFile]:
    path = Path(pattern) if Path(pattern).exists() else root / pattern
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, ValueError, AttributeError, zlib.error, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"Archive {path} cannot be read: {error}; make it anew with `--pack`.") from error


def _unpacked(pattern: str, root: Path, part: str, folder: Path) -> dict[str, Found]:
    with _opened(pattern, root) as archive:
        inside = [n for n in archive.namelist() if n.startswith(f"{part}/") and not n.endswith("/")]
        names = [n.removeprefix(f"{part}/") for n in inside]
        subjects, groups = (
            json.loads(archive.read(table)).get(part, {}) if table in archive.namelist() else {}
            for table in (_SUBJECTS, _GROUPS)
        )
        whose = {name: (str(subjects.get(name, name)), str(groups.get(name, ""))) for name in names}
        files = {name: Path(archive.extract(f"{part}/{name}", folder)) for name in sorted(names, key=PurePosixPath)}
    return {name: Found(file, folder, *whose[name]) for name, file in files.items()}
