"""Names and files of results."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veriscale.errors import InputError
from veriscale.imaging.atomic import refuse_existing, replacing
from veriscale.imaging.formats.registry import suffixes
from veriscale.imaging.photo import Photo


@dataclass(frozen=True)
class Names:
    """The files of one restoration, all in one folder."""

    images: dict[float, Path]
    draws: list[Path]
    mean: Path
    std: Path
    trusted: Path
    overlay: Path
    run: Path
    report: Path
    masked: bool = False

    def all(self, report: bool) -> list[Path]:
        """Those that will be written."""
        spread = [*self.draws, self.mean, self.std] if self.draws else []
        mask = [self.trusted, self.overlay] if self.masked else []
        return [*self.images.values(), *spread, *mask, self.run, *([self.report] if report else [])]


def output_names(
    folder: Path, stem: str, dials: Sequence[float], samples: int, suffix: str = ".png", masked: bool = False
) -> Names:
    """The names for a stem such as `cat_x4`: `cat_x4.png` for one dial position, `cat_x4_dial-0.50.png` for several."""
    one = len(dials) == 1
    return Names(
        images={f: folder / (f"{stem}{suffix}" if one else f"{stem}_dial-{_digits(f)}{suffix}") for f in dials},
        draws=[folder / f"{stem}_draw-{k}{suffix}" for k in range(samples)],
        mean=folder / f"{stem}_mean{suffix}",
        std=folder / f"{stem}_std.tif",
        trusted=folder / f"{stem}_trusted.png",
        overlay=folder / f"{stem}_overlay.png",
        run=folder / f"{stem}.run.json",
        report=folder / f"{stem}_report.html",
        masked=masked,
    )


def refuse_existing_results(names: Names, report: bool, force: bool) -> None:
    """Raise `InputError` before any work where a result would be overwritten."""
    for path in names.all(report):
        refuse_existing(path, force)


def refuse_input(target: Path, source: Path) -> None:
    """Raise `InputError` where a result would take the place of its input, whatever `force` says."""
    if target.exists() and target.samefile(source):
        raise InputError(f"{target} is the input itself; choose another name.")


def write_json(document: dict[str, Any], path: Path, force: bool) -> None:
    """Write a document, whole or not at all."""
    text = json.dumps(document, indent=2, allow_nan=False)
    with replacing(path, force) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def suffix_of(name: str, photo: Photo) -> str:
    """The suffix for `--format`: a format's name, or `keep` for the input's kind.

    Raises:
        InputError: unknown format.
    """
    known, kind = suffixes(), photo.format if name == "keep" else name
    if kind not in known:
        raise InputError(f"Unknown format {name!r}; known: keep, {', '.join(sorted(known))}.")
    return known[kind]


def _digits(f: float) -> str:
    short = f"{f:.2f}"
    return short if float(short) == f else f"{f:g}"
