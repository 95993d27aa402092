"""The files of a recipe as one archive, for a machine that has no data of its own."""

import json
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from veriscale.errors import InputError, closest
from veriscale.imaging.atomic import replacing
from veriscale.imaging.formats.registry import is_picture
from veriscale.stages.files import Found, names_of
from veriscale.stages.splits import select

_STAGES = "stages.json"  # of an archive of several sets: whose is which
# Of an archive of scans: the folders above them, which told it, are not in it.
_SUBJECTS = "subjects.json"
_GROUPS = "groups.json"


def pack(
    stages: Mapping[str, Mapping[str, Sequence[str]]],
    root: Path,
    path: Path,
    force: bool = False,
    splits: Path | None = None,
) -> int:
    """Write the files of all stages, byte for byte, as one archive that `members` reads; returns their number.

    Sets of the same patterns are written once. An archive of one set serves any stage.

    Args:
        stages: by name, of "training" and "validation" the patterns of `splits.select`.
        root: where relative patterns begin.
        path: of the archive.
        force: replace one that is there.
        splits: the manifest of `folder@split`.

    Raises:
        InputError: as `select`, a stage's files are in an archive already, or the archive exists or cannot be written.
    """
    if packed := [own[0] for parts in stages.values() for own in parts.values() if _is_archive(own)]:
        raise InputError(f"Archive {packed[0]} is packed already; copy it, or name the files that it was made from.")
    sets: dict[tuple[str, tuple[str, ...]], str] = {}
    places: dict[str, dict[str, str]] = {}
    for stage, own in stages.items():
        for part, patterns in own.items():
            before = sum(other == part for other, _ in sets)
            place = sets.setdefault((part, tuple(patterns)), f"{part}-{before + 1}" if before else part)
            places.setdefault(stage, {})[part] = place
    count = 0
    told: dict[str, dict[str, dict[str, str]]] = {_STAGES: {}, _SUBJECTS: {}, _GROUPS: {}}
    if len(sets) > len({part for part, _ in sets}):
        told[_STAGES] = places
    numbers: dict[str, str] = {}  # of groups, whose own names are folders of this machine
    with replacing(path, force=force) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for (_, patterns), place in sets.items():
            with members(patterns, root, place, splits) as files:
                for name, found in files.items():
                    archive.writestr(zipfile.ZipInfo(f"{place}/{name}"), found.path.read_bytes())
                    count += 1
                    if not is_picture(found.path):
                        told[_SUBJECTS].setdefault(place, {})[name] = found.subject
                        number = numbers.setdefault(found.group, str(len(numbers)))
                        told[_GROUPS].setdefault(place, {})[name] = number
        for table, content in told.items():
            if content:
                archive.writestr(zipfile.ZipInfo(table), json.dumps(content))
    return count


def packed_part(patterns: Sequence[str], root: Path, stage: str, part: str) -> str:
    """The folder of an archive in which a stage's part lies; of one of one set, and of no archive, the part itself.

    Args:
        patterns: of the stage.
        root: where relative patterns begin.
        stage: its name.
        part: "training" or "validation".

    Raises:
        InputError: the archive cannot be read, or is of several sets and knows no such stage.
    """
    if not _is_archive(patterns):
        return part
    with _opened(patterns[0], root) as archive:
        places = json.loads(archive.read(_STAGES)) if _STAGES in archive.namelist() else {stage: {}}
        own = places.get(stage, {}).get(part, part)
    if stage not in places:
        raise InputError(f"Archive {patterns[0]} holds nothing of a stage {stage!r}; {closest(stage, places)}.")
    return str(own)


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
