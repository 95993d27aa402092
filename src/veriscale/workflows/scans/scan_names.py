"""What the results of a scan are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from veriscale.imaging.bids import BidsName, bids_name, resolution_label, tree_of
from veriscale.imaging.scan_name import split_scan_name
from veriscale.imaging.slice_thickness import sidecar_of

EXTENSION = ".nii.gz"


@dataclass(frozen=True)
class ScanNames:
    """The files of one restored scan, all in one folder.

    Attributes:
        images, draws, mean, std: volumes.
        run: the run's record.
        kept: where the state of an unfinished run lies.
        common: what the names of all begin with: it may tell whose scan it is, and no record repeats it.
        report: the page; None where none is wanted.
        bids: the scan's own name where the results have names of BIDS derivatives, each with a JSON file beside it.
        resolution: the label of their grid, where the names tell one.
        dataset: the folder that is to be a dataset of derivatives.
        trusted: the mask; None where there is none.
    """

    images: dict[float, Path]
    draws: list[Path]
    mean: Path
    std: Path
    run: Path
    kept: Path
    common: str
    report: Path | None = None
    bids: BidsName | None = None
    resolution: str | None = None
    dataset: Path | None = None
    trusted: Path | None = None

    @property
    def volumes(self) -> list[Path]:
        """Those that will be written, without their records."""
        spread = [*self.draws, self.mean, self.std] if self.draws else []
        return [*self.images.values(), *spread, *([] if self.trusted is None else [self.trusted])]

    def all(self) -> list[Path]:
        """Those that will be written."""
        return [*self.volumes, *([] if self.bids is None else map(sidecar_of, self.volumes)), *self._page, self.run]

    @property
    def _page(self) -> list[Path]:
        return [self.report] if self.report else []

    def endings(self) -> list[str]:
        """Those that will be written, without what may tell whose scan it is."""
        return [path.name.removeprefix(self.common) for path in self.all()]

    def labels(self) -> dict[Path, str]:
        """What a sentence calls them, without what may tell whose scan it is."""
        return {path: f"the result …{end}" for path, end in zip(self.all(), self.endings(), strict=True)}


def outputs_of(run: Path, endings: Sequence[str]) -> set[Path]:
    """The files that a run.json of a scan names by their endings, the last of which is its own; none if renamed."""
    own = endings[-1] if endings else run.name
    return {run.with_name(f"{run.name.removesuffix(own)}{end}") for end in endings if run.name.endswith(own)}


def names_of(
    path: Path,
    output: Path | None,
    dials: Sequence[float],
    samples: int,
    spacing: Sequence[float] | None,
    report: bool = False,
    index: int | None = None,
    masked: bool = False,
) -> ScanNames:
    """The names for a scan: those of BIDS derivatives where its own is one of BIDS, else `<stem>_restored.nii.gz`.

    Of BIDS are names alone, wherever the scan lies; a file that the user names is called so and nothing else. Where
    the scan lies in folders of a dataset, such as `sub-01/ses-2/anat`, they are made in the output folder too.

    Args:
        path: the scan.
        output: a file, a folder, or None for beside the scan.
        dials: positions of the results.
        samples: draws among them.
        spacing: (3,), millimetres along the stored axes of a result on another grid than the scan's, else None.
        report: whether there is one.
        index: of the volume that was asked for, in a file of several: its results have names of their own.
        masked: whether there is a mask.

    Source: BIDS 1.10, derivatives; the labels are ours: docs/methods.md#scans-geometry-and-intensity
    """
    folder, stem, extension = result_of(path, output)
    name = bids_name(path)
    if index is not None and name is None and not names_file(output):
        stem = f"{split_scan_name(path)[0]}_vol-{index}_restored"
    if name is None or names_file(output):
        return scan_names(folder, stem, dials, samples, extension, report, masked)
    dataset, tree = None, tree_of(path, name)
    if output is not None and tree is not None:
        # an output folder that is the tree already: of a batch that keeps the inputs' folders
        inside = folder.absolute().parts[-len(tree.parts) :] == tree.parts
        dataset = folder.absolute().parents[len(tree.parts) - 1] if inside else folder
        folder = folder if inside else folder / tree
    label = None if spacing is None else resolution_label(spacing)
    restored = "restored" if index is None else f"vol{index}restored"

    def named(what: str = "") -> Path:
        return folder / f"{name.derived(f'{restored}{what}', label).stem}{extension}"

    stem = name.derived(restored, label).stem
    # With the suffix in its label: masks of a T1w and a T2w would have one name.
    what = f"{name.suffix}trusted" if index is None else f"vol{index}{name.suffix}trusted"
    trusted = name.derived(what, label, "mask").stem
    return ScanNames(
        images={f: named() if len(dials) == 1 else named(f"dial{f:.2f}".replace(".", "")) for f in dials},
        draws=[named(f"draw{k}") for k in range(samples)],
        mean=named("mean"),
        std=named("std"),
        run=folder / f"{stem}.run.json",
        kept=folder / f".{stem}.unfinished",
        common=stem[: stem.rindex(restored)],
        report=folder / f"{stem}_report.html" if report else None,
        bids=name,
        resolution=label or name.entities.get("res"),
        dataset=dataset,
        trusted=folder / f"{trusted}{extension}" if masked else None,
    )


def scan_names(
    folder: Path,
    stem: str,
    dials: Sequence[float],
    samples: int,
    extension: str = EXTENSION,
    report: bool = False,
    masked: bool = False,
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
        common=stem,
        report=folder / f"{stem}_report.html" if report else None,
        trusted=name("_trusted") if masked else None,
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
    if names_file(output):
        named, suffix = split_scan_name(output)
        return output.parent, named, suffix
    return output, f"{stem}_restored", extension


def names_file(output: Path | None) -> bool:
    """Whether an output is a file and not a folder: it has the extension of a scan, and no folder is there."""
    return output is not None and split_scan_name(output)[1].lower() in (".nii", EXTENSION) and not output.is_dir()
