"""Training files: found under the data root, held as uint8, packed into one archive."""

import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from veriscale.diffusion.card import KEPT_DIGITS, Data
from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing
from veriscale.imaging.colour import as_channels
from veriscale.imaging.formats.registry import is_picture
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import quantised


@dataclass(frozen=True)
class Photographs:
    """A set of pictures in memory.

    Attributes:
        images: uint8 (C, H, W) each, on one device.
        names: relative names, sorted.
        facts: what the card says of them.
        normalisation: "photograph" or "scan".
    """

    images: list[Tensor]
    names: list[str]
    facts: Data
    normalisation: str = "photograph"


def data_root(recipe: Path) -> Path:
    """Where a recipe's globs begin: VERISCALE_DATA, else data/ beside the recipe's folder."""
    return Path(os.environ.get("VERISCALE_DATA") or recipe.resolve().parent.parent / "data")


def find(patterns: Sequence[str], root: Path) -> list[Path]:
    """The files of globs under `root`, of folders, or of single paths, sorted, each once.

    Raises:
        InputError: a pattern matches no picture.
    """
    found: set[Path] = set()
    for pattern in patterns:
        given = Path(pattern)
        try:
            places = [given] if given.is_absolute() or given.exists() else sorted(root.glob(pattern))
        except (ValueError, NotImplementedError) as error:
            raise InputError(f"Data {pattern!r} is not a pattern of files: {error}.") from error
        files = [f for p in places for f in (p.rglob("*") if p.is_dir() else [p])]
        pictures = {f for f in files if f.is_file() and is_picture(f)}
        if not pictures:
            raise InputError(
                f"Data {pattern!r} matches no picture under {root}; set VERISCALE_DATA to the data's root."
            )
        found |= pictures
    return sorted(found)


def _decode(content: bytes, name: str, channels: int, device: torch.device) -> Tensor:
    # Photographs are read by path, so that an error can name the file: an archive's member gets one for a moment.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(content)
        samples = as_channels(read_photo(path).pixels, channels)
    return torch.from_numpy(quantised(samples)).permute(2, 0, 1).contiguous().to(device)


def _members(patterns: Sequence[str], root: Path, part: str) -> dict[str, bytes]:
    if len(patterns) == 1 and patterns[0].endswith(".zip"):
        path = Path(patterns[0]) if Path(patterns[0]).exists() else root / patterns[0]
        try:
            with zipfile.ZipFile(path) as archive:
                names = sorted(n for n in archive.namelist() if n.startswith(part + "/"))
                return {n.removeprefix(part + "/"): archive.read(n) for n in names}
        except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
            raise InputError(f"Archive {path} cannot be read: {error}; make it anew with `--pack`.") from error
    files = find(patterns, root)
    inside = all(f.is_relative_to(root) for f in files)
    return {f.relative_to(root).as_posix() if inside else f.name: f.read_bytes() for f in files}


def load(
    patterns: Sequence[str], root: Path, channels: int, device: torch.device, licence: str, part: str
) -> Photographs:
    """Read a set of pictures into memory.

    Args:
        patterns: of `find`, or the one archive that `pack` made.
        root: where relative patterns begin.
        channels: 1 or 3.
        device: where the tensors go.
        licence: for the card.
        part: "training" or "validation", the part of an archive to take.

    Raises:
        InputError: nothing is found, or a file cannot be read.
    """
    members = _members(patterns, root, part)
    if not members:
        raise InputError(f"{', '.join(patterns)} holds no {part} pictures.")
    each = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    digest = hashlib.sha256("".join(f"{name}\n{own}\n" for name, own in each.items()).encode())
    images = [_decode(content, name, channels, device) for name, content in members.items()]
    pattern = " ".join(Path(p).name if p.endswith(".zip") else p for p in patterns)
    facts = Data(pattern, len(images), digest.hexdigest(), licence, [own[:KEPT_DIGITS] for own in each.values()])
    return Photographs(images, list(members), facts)


def pack(training: Sequence[str], validation: Sequence[str], root: Path, path: Path, force: bool = False) -> int:
    """Write the files of a recipe, byte for byte, as one archive that `load` reads; returns their number."""
    buffer = io.BytesIO()
    count = 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for part, patterns in (("training", training), ("validation", validation)):
            for name, content in _members(patterns, root, part).items():
                archive.writestr(zipfile.ZipInfo(f"{part}/{name}"), content)
                count += 1
    with replacing(path, force=force) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return count
