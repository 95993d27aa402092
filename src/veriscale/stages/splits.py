"""Splits by subject: `folder@split` in a recipe, by the manifest splits.toml beside it, with hashes."""

import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from veriscale.diffusion.card import KEPT_DIGITS
from veriscale.errors import InputError, closest
from veriscale.imaging.formats.registry import is_picture
from veriscale.stages.files import Found, find, merged
from veriscale.stages.subjects import is_named

MANIFEST = "splits.toml"

Manifest = dict[str, dict[str, dict[str, str]]]
"""Folder → split → subject → the first digits of `subject_sha256`."""


def select(patterns: Sequence[str], root: Path, manifest: Path | None = None) -> list[Found]:
    """The files of all patterns, sorted, each once; of `folder@split` those of the subjects that the manifest names.

    Args:
        patterns: of `files.find`, some with `@split`.
        root: where they begin.
        manifest: the file; without one there are no splits.

    Raises:
        InputError: as `files.find`, `read_splits`; no such folder or split in it, a subject that the folder does not
            hold, or one with other files than the manifest's hash is of; or two folders have scans of subjects of one
            name, and nothing says whether they are one person.
    """
    sets, plain = [], []
    for pattern in patterns:
        folder, split = _parted(pattern, root)
        if split is None:
            plain.append(find(pattern, root))
            sets.append(plain[-1])
            continue
        if manifest is None:
            raise InputError(f"Data {pattern!r} names a split, and no {MANIFEST} is beside the recipe; write one.")
        splits = read_splits(manifest)
        if not splits:
            raise InputError(f"Data {pattern!r}: {manifest} has no splits at all; write those of {folder!r}.")
        if folder not in splits:
            raise InputError(f"Data {pattern!r}: {manifest} has no splits of {folder!r}; {closest(folder, splits)}.")
        if not splits[folder]:
            raise InputError(f"Data {pattern!r}: {manifest} has no split of {folder!r}; write {split!r}.")
        if split not in splits[folder]:
            raise InputError(
                f"Data {pattern!r}: {manifest} has no split {split!r} of {folder!r}; {closest(split, splits[folder])}."
            )
        sets.append(_of_subjects(find(folder, root), splits[folder][split], folder, manifest))
    _check_one_root(merged(plain))
    return merged(sets)


def read_splits(manifest: Path) -> Manifest:
    """Read and check a manifest of splits.

    Raises:
        InputError: it is missing, not TOML or no such table, or a subject stands in two splits of one folder.
    """
    try:
        splits = msgspec.convert(tomllib.loads(manifest.read_text(encoding="utf-8")), Manifest)
    except OSError as error:
        raise InputError(f"Splits {manifest} cannot be read: {error.strerror}; write that file.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"Splits {manifest} are not valid TOML: {error}.") from error
    except msgspec.ValidationError as error:
        raise InputError(
            f'Splits {manifest}: {error}; what would do is a table ["folder".split] of subject = "hash".'
        ) from error
    for folder, tables in splits.items():
        seen: dict[str, str] = {}
        for split, subjects in tables.items():
            if both := sorted(seen.keys() & subjects):
                raise InputError(
                    f"Splits {manifest}: subject {both[0]!r} of {folder!r} stands in {seen[both[0]]!r} and in "
                    f"{split!r}; take it out of one of them."
                )
            seen |= dict.fromkeys(subjects, split)
    return splits


def split_table(folder: str, root: Path, **splits: Iterable[str]) -> str:
    """The tables of a folder's splits, for a manifest.

    Args:
        folder: below `root`, as recipes will name it.
        root: of the data.
        splits: subjects of each split.

    Raises:
        InputError: the folder holds no data, or not that subject.
    """
    found = find(folder, root)
    tables = []
    for split, subjects in splits.items():
        lines = [f"[{json.dumps(folder, ensure_ascii=False)}.{split}]"]
        for subject in subjects:
            key = subject if re.fullmatch(r"[A-Za-z0-9_-]+", subject) else json.dumps(subject, ensure_ascii=False)
            lines.append(f'{key} = "{subject_sha256(_files_of(found, subject, folder))}"')
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


def drawn_table(patterns: Sequence[str], root: Path, splits: Mapping[str, Collection[str]]) -> str:
    """The tables of what was drawn of the folders of some patterns, for a manifest; empty where none is a folder's.

    Args:
        patterns: of `select`; folders and files below the current folder are named in full.
        root: where they begin.
        splits: subjects of each split; those of a folder in which it has no file are left out of its table.
    """
    tables = []
    for given in dict.fromkeys(_parted(pattern, root)[0] for pattern in patterns):
        folder = str(Path(given).absolute()) if Path(given).exists() else given
        there = {f.subject for f in find(folder, root)}
        own = {split: sorted(there.intersection(subjects)) for split, subjects in splits.items()}
        tables.append(split_table(folder, root, **{split: subjects for split, subjects in own.items() if subjects}))
    return "\n".join(filter(None, tables))


def subject_sha256(files: Iterable[Found]) -> str:
    """The first digits of a hash over a subject's files: their names below the folder, sorted, and their contents."""
    digest = hashlib.sha256()
    for name, path in sorted((f.path.relative_to(f.base).as_posix(), f.path) for f in files):
        digest.update(f"{name}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:KEPT_DIGITS]


def _check_one_root(found: list[Found]) -> None:
    roots: dict[str, Path] = {}
    for f in found:
        if is_picture(f.path) or is_named(f.subject):
            continue
        if (other := roots.setdefault(f.subject, f.base)) != f.base:
            raise InputError(
                f"Folders {other} and {f.base} both have a subject {f.subject!r}, and nothing says whether that is one "
                f"person; call the folders of one person sub-{re.sub('[^0-9a-zA-Z+]', '', f.subject)} in both, or give "
                "two people names of their own."
            )


def _parted(pattern: str, root: Path) -> tuple[str, str | None]:
    """The folder and the split of `folder@split`; a name that has an @ of its own is whole."""
    folder, at, split = pattern.rpartition("@")
    plain = not at or not re.fullmatch(r"[\w-]+", split) or (root / pattern).exists() or Path(pattern).exists()
    return (pattern, None) if plain else (folder, split)


def _of_subjects(found: list[Found], subjects: dict[str, str], folder: str, manifest: Path) -> list[Found]:
    taken = []
    for subject, told in subjects.items():
        files = _files_of(found, subject, folder)
        if (now := subject_sha256(files)) != told:
            raise InputError(
                f"Subject {subject!r} of {folder!r} has other files than {manifest} says: their hash is {now} and not "
                f"{told}; bring the files back, or correct the hash."
            )
        taken += files
    return taken


def _files_of(found: list[Found], subject: str, folder: str) -> list[Found]:
    files = [f for f in found if f.subject == subject]
    if not files:
        known = sorted({f.subject for f in found})
        raise InputError(f"Folder {folder!r} has no subject {subject!r}; {closest(subject, known)}.")
    return files
