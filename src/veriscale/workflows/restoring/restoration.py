"""What a restoration gives back, and the files it becomes."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.atomic import make_folder, refuse_existing, replacing
from veriscale.imaging.formats.registry import format_of, suffixes
from veriscale.imaging.photo import Photo
from veriscale.imaging.write import write_photo
from veriscale.physics.operator import Operator
from veriscale.report.embedding import embed_pictures
from veriscale.report.overlay import overlay
from veriscale.traversal.consistency import Verdict
from veriscale.trust.certificate import Certificate
from veriscale.workflows.certifying.mask import Mask, make_mask

Page = Callable[["Restoration", str], str]


@dataclass(frozen=True, eq=False)
class Restoration:
    """What comes back.

    Attributes:
        images: a photograph per dial position, as asked for: the anchor at 0, else draw 0 on its way.
        measurement: what was restored.
        samples: draws at dial 1.
        mean, std: of the samples, per pixel and channel, the latter times the prior's temperature; None without
            samples.
        operator: what made the measurement, bound to its grid.
        verdict: whether the anchor agrees with the measurement.
        score: (H, W), higher where the result is less trustworthy; None where none was asked for.
        mask: what a certificate says of the picture at its dial; None without one.
        run: what was done: versions, prior, operator, noise, dials, seed, device, seconds by phase.
    """

    images: dict[float, Photo]
    measurement: Photo
    samples: list[Photo]
    mean: Photo | None
    std: NDArray[np.float32] | None
    operator: Operator
    verdict: Verdict
    run: dict[str, Any]
    score: NDArray[np.float32] | None = None
    mask: Mask | None = None

    @property
    def consistency(self) -> float:
        """‖A·anchor − y‖²/(n·s²): about 1 or a little less where operator and noise are right."""
        return self.verdict.value

    @property
    def trusted(self) -> NDArray[np.bool_] | None:
        """(H, W), which pixels a certificate trusts; None without one."""
        return None if self.mask is None else self.mask.trusted

    @property
    def image(self) -> Photo:
        """The photograph at the first dial position asked for."""
        return next(iter(self.images.values()))

    def _repr_html_(self) -> str:
        """For a notebook: every picture, and what is trusted of one."""
        shown = {f"dial {f:g}": photo.pixels for f, photo in self.images.items()}
        if self.mask is not None:
            title = f"{self.mask.share:.0%} trusted at alpha {self.mask.alpha}"
            shown[title] = overlay(self.images[self.mask.dial or 0.0].pixels, self.mask.trusted)
        figure = '<figure style="display: inline-block"><img src="{}"><figcaption>{}</figcaption></figure>'
        uris, _ = embed_pictures(list(shown.values()))
        return "".join(figure.format(uri, title) for uri, title in zip(uris, shown, strict=True))

    def masked(self, certificate: Certificate, alpha: str | None) -> "Restoration":
        """The same with the mask of a certificate that it was checked against.

        Raises:
            InputError: there is no score, or alpha is no level.
        """
        if self.score is None:
            raise InputError("The certificate's score is of the user's own maps; give `--score-files`.")
        mask = make_mask(certificate, alpha, self.score, self.measurement)
        return replace(self, mask=mask, run={**self.run, "certificate": mask.facts()})

    def save(self, folder: str | os.PathLike[str], stem: str = "restored", force: bool = False) -> list[Path]:
        """Write all pictures and run.json into a folder; returns the files.

        Raises:
            InputError: a file exists and `force` is not set, or cannot be written.
        """
        results, arguments = Path(folder), self.run["arguments"]
        moved = {"certificate": arguments["certificate"] and named_from(arguments["certificate"], results)}
        moved["operator"] = arguments["operator"] and str(self.operator.beside(results))
        return replace(self, run={**self.run, "arguments": arguments | moved}).write(results, stem, force=force)[0]

    def write(
        self,
        folder: Path,
        stem: str,
        *,
        suffix: str = ".png",
        page: Page | None = None,
        force: bool = False,
        quality: int | None = None,
    ) -> tuple[list[Path], list[str]]:
        """Write the pictures, the spread, the mask and its overlay, run.json and, if there is a page, the report.

        Args:
            folder: made where it does not exist.
            stem: what every name begins with.
            suffix: of the pictures.
            page: makes the report's HTML of the restoration and its title.
            force: replace what is there.
            quality: of the pictures, where their format has one.

        Returns:
            The files, and a sentence for everything they do not keep.

        Raises:
            InputError: a file exists and `force` is not set, the suffix is unknown, or the folder cannot be written to.
        """
        mask, report = self.mask, page is not None
        names = output_names(folder, stem, sorted(self.images), len(self.samples), suffix, mask is not None)
        refuse(names, report, force)
        make_folder(folder)
        notes: dict[str, None] = {}

        def write(photo: Photo, path: Path) -> None:
            graded = quality if path.suffix == suffix else None
            notes.update(dict.fromkeys(f"{n}." for n in write_photo(photo, path, force, graded)))

        for f, path in names.images.items():
            write(self.images[f], path)
        for photo, path in zip(self.samples, names.draws, strict=True):
            write(photo, path)
        if self.mean is not None and self.std is not None:
            write(self.mean, names.mean)
            write(Photo(np.ascontiguousarray(self.std), bit_depth=32, format="tiff"), names.std)
        if mask is not None:
            delivered = self.images[mask.dial or 0.0]
            shown = overlay(delivered.pixels, mask.trusted)
            write(Photo(mask.trusted[..., None].astype(np.float32)), names.trusted)
            write(Photo(shown, icc=delivered.icc, dpi=delivered.dpi), names.overlay)
        if page is not None:
            with replacing(names.report, force) as temporary:
                temporary.write_text(page(self, stem), encoding="utf-8")
        written = [p.name for p in names.all(report)]
        write_json({**self.run, "outputs": written}, names.run, force)
        return names.all(report), list(notes)


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


def named_from(file: str | Path, results: Path) -> str:
    """A file as seen from the results, telling nothing of the rest of the machine; what is no file keeps its name."""
    return os.path.relpath(Path(file).resolve(), results.resolve()) if Path(file).is_file() else str(file)


def refuse(names: Names, report: bool, force: bool, source: Path | None = None) -> None:
    """Raise `InputError` before any work where a result would be overwritten, or take the place of its input."""
    for target in names.all(report):
        if source is not None and target.exists() and target.samefile(source):
            raise InputError(f"{target} is the input itself; choose another name.")
        refuse_existing(target, force)


def write_json(document: dict[str, Any], path: Path, force: bool) -> None:
    """Write a document, whole or not at all."""
    text = json.dumps(document, indent=2, allow_nan=False)
    with replacing(path, force) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def suffix_of(name: str, photo: Photo) -> str:
    """The suffix for `--format`: a format's name, or `keep` for the input's kind, PNG where that is only read.

    Raises:
        InputError: unknown format.
    """
    known = suffixes()
    if name == "keep":
        return known.get(photo.format, known["png"])
    if name not in known:
        raise InputError(f"Unknown format {name!r}; known: keep, {', '.join(sorted(known))}.")
    return known[name]


def result_suffix(file: Path | None, name: str | None, photo: Photo) -> str:
    """That of the file that `--output` names, else of `--format`, else of PNG.

    Raises:
        InputError: unknown format, or they contradict each other.
    """
    suffix = suffix_of(name or "png", photo)
    if file is None:
        return suffix
    if name is not None and format_of(file) is not format_of(f"result{suffix}"):
        raise InputError(f"`--output` {file} and `--format` {name} contradict each other; give one.")
    return file.suffix


def _digits(f: float) -> str:
    short = f"{f:.2f}"
    return short if float(short) == f else f"{f:g}"
