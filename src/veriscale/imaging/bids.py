"""Names of the Brain Imaging Data Structure: a file's entities, and what a result of it is called.

Source: BIDS 1.10, entities and derivatives; entities and suffixes as in its schema 1.2.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from veriscale.imaging.scan_name import EXTENSIONS, split_scan_name

DESCRIPTION = "dataset_description.json"
"""The file that makes a folder a dataset."""

ENTITIES = (
    *("sub", "tpl", "ses", "cohort", "sample", "task", "tracksys", "acq", "nuc", "voi", "ce", "trc", "stain", "rec"),
    *("dir", "run", "mod", "echo", "flip", "inv", "mt", "part", "proc", "hemi", "space", "split", "recording", "chunk"),
    *("atlas", "seg", "scale", "res", "den", "label", "desc"),
)
"""In the order that the specification fixes."""

SUFFIXES = frozenset(
    (
        *("T1w", "T2w", "PDw", "T2starw", "FLAIR", "inplaneT1", "inplaneT2", "PDT2", "angio", "T2star", "FLASH", "PD"),
        *("UNIT1", "T1map", "T2map", "T2starmap", "R1map", "R2map", "R2starmap", "PDmap", "MTRmap", "MTsat", "T1rho"),
        *("MWFmap", "MTVmap", "Chimap", "S0map", "M0map", "IRT1", "MEGRE", "MESE", "MP2RAGE", "MPM", "MTR", "MTS"),
        *("TB1AFI", "VFA", "sbref", "m0scan"),
    )
)
"""Of single volumes. One volume out of a series (bold, dwi, asl) is none of that series, and no field map either."""

_DERIVED = {"space", "res", "den", "label", "desc", "atlas", "seg", "scale", "hemi", "tpl", "cohort"}
_LABEL = re.compile(r"[0-9a-zA-Z+]+")
_FOLDERS = frozenset(("anat", "func", "dwi", "perf", "fmap", "pet"))
_SAME = 1e-3  # relative: spacings that a label does not tell apart


@dataclass(frozen=True)
class BidsName:
    """A file's name in parts.

    Attributes:
        entities: labels by key, `sub` among them.
        suffix: such as T1w.
        extension: as written.
    """

    entities: dict[str, str]
    suffix: str
    extension: str

    @property
    def raw(self) -> bool:
        """Whether it is a name of raw data: no entity of derivatives is in it."""
        return not _DERIVED & self.entities.keys()

    @property
    def stem(self) -> str:
        """The name without its extension, its entities in the specification's order."""
        return "_".join([*(f"{key}-{self.entities[key]}" for key in ENTITIES if key in self.entities), self.suffix])

    def derived(self, description: str, resolution: str | None = None, suffix: str | None = None) -> "BidsName":
        """The name of a result.

        Args:
            description: such as "restored"; a label that the name has already stands before it, so that results of
                two derivatives keep apart.
            resolution: the label of another grid, as `resolution_label` gives it; None where the grid is the same.
            suffix: of another kind of file, such as "mask".
        """
        told = {"desc": self.entities.get("desc", "") + description}
        if resolution is not None:
            told["res"] = resolution
        return BidsName(self.entities | told, suffix or self.suffix, self.extension)


def bids_name(path: str | os.PathLike[str]) -> BidsName | None:
    """The parts of a scan's name where it is one of BIDS, else None.

    It is one where it is `sub-<label>`, any other entities of the specification, each once, and a suffix of single
    volumes, such as `sub-01_ses-2_acq-fast_T1w.nii.gz`. Where the file lies is not asked.
    """
    stem, extension = split_scan_name(path)
    *parts, suffix = stem.split("_")
    entities: dict[str, str] = {}
    for part in parts:
        key, dash, label = part.partition("-")
        if not dash or key in entities or key not in ENTITIES or not _LABEL.fullmatch(label):
            return None
        entities[key] = label
    if not parts or not parts[0].startswith("sub-") or suffix not in SUFFIXES or extension.lower() not in EXTENSIONS:
        return None
    return BidsName(entities, suffix, extension)


def tree_of(path: Path, name: BidsName) -> Path | None:
    """The folders of a dataset that a file lies in, such as `sub-01/ses-2/anat`; None where it lies elsewhere.

    Args:
        path: the file.
        name: its parts.
    """
    wanted = [f"{key}-{name.entities[key]}" for key in ("sub", "ses") if key in name.entities]
    *above, last = path.absolute().parent.parts
    if last not in _FOLDERS or above[-len(wanted) :] != wanted:
        return None
    return Path(*wanted, last)


def dataset_of(path: Path) -> Path | None:
    """The nearest folder above a file that holds a dataset_description.json."""
    return next((folder for folder in path.absolute().parents if (folder / DESCRIPTION).is_file()), None)


def resolution_label(spacing: Sequence[float]) -> str:
    """The label of a grid: `iso1mm`, `iso0p5mm`, or `0p5x0p5x1mm` where it is not isotropic; p stands for the point.

    Args:
        spacing: (3,), millimetres along the stored axes; three digits of each are told.
    """
    if max(spacing) - min(spacing) <= _SAME * max(spacing):
        return f"iso{_millimetres(spacing[0])}mm".replace(".", "p")
    return f"{'x'.join(map(_millimetres, spacing))}mm".replace(".", "p")


def resolution_text(spacing: Sequence[float]) -> str:
    """What the label stands for, in words, six digits of each number."""
    return f"{' x '.join(f'{s:.6g}' for s in spacing)} mm along the axes as stored"


def _millimetres(value: float) -> str:
    return format(Decimal(f"{value:.3g}").normalize(), "f")
