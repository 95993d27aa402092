"""What the results of a scan are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from veriscale.imaging.scan_name import split_scan_name

EXTENSION = ".nii.gz"


@dataclass(frozen=True)
class ScanNames:
    """The files of one restored scan, all in one folder."""

    images: dict[float, Path]
    draws: list[Path]
    mean: Path
    std: Path
    run: Path
    kept: Path
    """Where the state of an unfinished run lies."""
    report: Path | None = None
    """None where no report is wanted."""

    def all(self) -> list[Path]:
        """Those that will be written."""
        spread = [*self.draws, self.mean, self.std] if self.draws else []
        return [*self.images.values(), *spread, *([self.report] if self.report else []), self.run]


def scan_names(
    folder: Path, stem: str, dials: Sequence[float], samples: int, extension: str = EXTENSION, report: bool = False
) -> ScanNames:
    """The names for a stem such as `scan_restored`: `scan_restored.nii.gz`, of several dials `…_dial-0.50.nii.gz`."""

    def name(what: str = "") -> Path:
        return folder / f"{stem}{what}{extension}"

    return ScanNames(
        images={f: name() if len(dials) == 1 else name(f"_dial-{f:.2f}") for f in dials},
        draws=[name(f"_draw-{k}") for k in range(samples)],
        mean=name("_mean"),
        std=name("_std"),
        run=folder / f"{stem}.run.json",
        kept=folder / f".{stem}.unfinished",
        report=folder / f"{stem}_report.html" if report else None,
    )


def result_of(path: Path, output: Path | None) -> tuple[Path, str, str]:
    """Folder, stem and extension of a scan's results.

    Args:
        path: the scan.
        output: a file, a folder, or None for beside the scan.
    """
    stem, extension = split_scan_name(path)
    extension = extension if extension.lower() in (".nii", EXTENSION) else EXTENSION
    if output is None:
        return path.parent, f"{stem}_restored", extension
    named, suffix = split_scan_name(output)
    if suffix.lower() in (".nii", EXTENSION) and not output.is_dir():
        return output.parent, named, suffix
    return output, f"{stem}_restored", extension
