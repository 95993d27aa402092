"""Training data: photographs or slices of scans, held as uint8."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from veriscale.diffusion.card import KEPT_DIGITS, Data
from veriscale.errors import InputError
from veriscale.imaging.colour import as_channels
from veriscale.imaging.formats.guard import AboveLimit
from veriscale.imaging.formats.registry import is_picture
from veriscale.imaging.geometry import Affine
from veriscale.imaging.normalisation import PHOTOGRAPH, SCAN
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import quantised
from veriscale.stages.archive import members
from veriscale.stages.files import Found, is_series_file
from veriscale.stages.slices import read_slices


@dataclass(frozen=True)
class PictureSet:
    """A set of pictures in memory: photographs, or slices of scans.

    Attributes:
        images: uint8 (C, H, W) each, on one device.
        names: of each, its own: the file's relative name, of a slice with its place, such as `a/T1.nii.gz#12`.
        facts: what the card says of them.
        subjects: whose each is; of photographs each file is its own.
        volumes: of slices, the name of the volume that each is cut from.
        normalisation: what 0 and 1 are: `PHOTOGRAPH`, or `SCAN` for the levels of a scan.
        hashes: sha256 of each file by its name.
        largest: side of the largest crop that measurements at the end of training may take; None: any.
        spacings: of volumes, in the plane, in millimetres, where that is known.
        affines: of volumes, voxels to millimetres, where that is known.
        groups: of scans, to which group each subject belongs; names that are compared and told nobody.
        patients: of DICOM series, the PatientID of each subject; compared and told nobody, too.
        other_planes: of volumes, which are an isotropic one cut into sagittal or coronal slices.
    """

    images: list[Tensor]
    names: list[str]
    facts: Data
    subjects: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    normalisation: str = PHOTOGRAPH
    hashes: dict[str, str] = field(default_factory=dict)
    largest: int | None = None
    spacings: dict[str, tuple[float, float]] = field(default_factory=dict)
    affines: dict[str, Affine] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    patients: dict[str, set[str]] = field(default_factory=dict)
    other_planes: frozenset[str] = frozenset()

    @property
    def axial(self) -> "PictureSet":
        """The slices that are not of `other_planes`."""
        if not self.other_planes:
            return self
        return self.at([k for k, volume in enumerate(self.volumes) if volume not in self.other_planes])

    @property
    def stored(self) -> bool:
        """Whether measurements of them come in 8 bits: those of scans are neither rounded nor clipped."""
        return self.normalisation == PHOTOGRAPH

    def at(self, places: Sequence[int]) -> "PictureSet":
        """The pictures at some places; what is said of files stays that of the whole set."""
        images, names = [self.images[k] for k in places], [self.names[k] for k in places]
        subjects, volumes = ([of[k] for k in places] if of else [] for of in (self.subjects, self.volumes))
        return replace(self, images=images, names=names, subjects=subjects, volumes=volumes)


def data_root(recipe: Path) -> Path:
    """Where a recipe's globs begin: VERISCALE_DATA, else data/ beside the recipe's folder."""
    return Path(os.environ.get("VERISCALE_DATA") or recipe.resolve().parent.parent / "data")


def load(
    patterns: Sequence[str],
    root: Path,
    channels: int,
    device: torch.device,
    licence: str,
    part: str,
    splits: Path | None = None,
    planes: str = "axial",
) -> PictureSet:
    """Read a set of pictures into memory.

    Args:
        patterns: of `splits.select`, or the one archive that `archive.pack` made.
        root: where relative patterns begin.
        channels: 1 or 3; of scans 1.
        device: where the tensors go.
        licence: for the card.
        part: of `archive.packed_part`, which files of an archive are taken.
        splits: the manifest of `folder@split`.
        planes: of isotropic volumes, axial or all.

    Raises:
        InputError: nothing is found, photographs and scans are found, or a file cannot be read.
    """
    with members(patterns, root, part, splits) as files:
        if not files:
            raise InputError(f"{', '.join(patterns)} holds no {part} pictures.")
        hashes = {name: _sha256(found.path) for name, found in files.items()}
        pattern = " ".join(Path(p).name if p.endswith(".zip") else p for p in patterns)
        facts = facts_of(pattern, licence, hashes)
        scans = [name for name, found in files.items() if not is_picture(found.path)]
        if not scans:
            images = [_decoded(found.path, channels, device) for found in files.values()]
            return PictureSet(images, list(files), facts, list(files), hashes=hashes)
        if len(scans) < len(files):
            other = next(name for name in files if name not in scans)
            raise InputError(
                f"Data {pattern} hold photographs, such as {other}, and scans, such as {scans[0]}; give a pattern of "
                "one kind, such as 'folder/*.nii.gz'."
            )
        if channels != 1:
            raise InputError(f"Data {pattern} are scans, which are grey, and task.channels is {channels}; set it to 1.")
        return _cut(files, facts, hashes, device, planes)


def facts_of(
    pattern: str,
    licence: str,
    hashes: Mapping[str, str],
    spacings: Iterable[tuple[float, float]] = (),
    other_planes: bool = False,
) -> Data:
    """What a card says of a set of files.

    Args:
        pattern: of the recipe.
        licence: of the recipe.
        hashes: sha256 of each file by its name.
        spacings: of their volumes, in the plane, in millimetres.
        other_planes: whether some of their slices are of `PictureSet.other_planes`.
    """
    digest = hashlib.sha256("".join(f"{name}\n{own}\n" for name, own in hashes.items()).encode()).hexdigest()
    each = [own[:KEPT_DIGITS] for own in hashes.values()]
    all_ = [s for both in spacings for s in both]
    spacing = [round(f(all_), 4) for f in (min, max)] if all_ else []
    return Data(pattern, len(hashes), digest, licence, each, spacing, "all" if other_planes else "")


def _decoded(path: Path, channels: int, device: torch.device) -> Tensor:
    try:
        samples = as_channels(read_photo(path).pixels, channels)
    except AboveLimit as error:
        raise InputError(f"{str(error).rpartition(';')[0]}; shrink it, or leave it out") from error
    return torch.from_numpy(quantised(samples)).permute(2, 0, 1).contiguous().to(device)


def _cut(
    members: dict[str, Found], facts: Data, hashes: dict[str, str], device: torch.device, planes: str
) -> PictureSet:
    """The slices of all volumes that hold something."""
    whole = {}
    for name, found in members.items():
        series = is_series_file(found.path)
        at, file = (PurePosixPath(name).parent, found.path.parent) if series else (PurePosixPath(name), found.path)
        whole[at.as_posix()] = (file, found)
    images, names, subjects, volumes = [], [], [], []
    spacings: dict[str, tuple[float, float]] = {}
    affines: dict[str, Affine] = {}
    groups: dict[str, str] = {}
    patients: dict[str, set[str]] = {}
    other_planes: set[str] = set()
    for name, (file, found) in whole.items():
        for cut in read_slices(file, name, planes):
            volume = "#".join(part for part in (name, cut.key, cut.plane) if part)
            subject = cut.key or found.subject
            groups.setdefault(subject, cut.group or found.group)
            patients.setdefault(subject, set()).update(cut.patients)
            for k, pixels in cut.pixels.items():
                images.append(torch.from_numpy(pixels)[None].to(device))
                names.append(f"{volume}#{k}")
                subjects.append(subject)
                volumes.append(volume)
            if cut.plane:
                other_planes.add(volume)
            if cut.spacing:
                spacings[volume] = cut.spacing
            if cut.affine is not None:
                affines[volume] = cut.affine
    if not images:
        raise InputError(f"Data {facts.pattern} hold no slice in which there is anything; check what they are.")
    facts = facts_of(facts.pattern, facts.licence, hashes, spacings.values(), not other_planes.isdisjoint(volumes))
    return PictureSet(
        images,
        names,
        facts,
        subjects,
        volumes,
        SCAN,
        hashes,
        spacings=spacings,
        affines=affines,
        groups=groups,
        patients=patients,
        other_planes=frozenset(other_planes),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
