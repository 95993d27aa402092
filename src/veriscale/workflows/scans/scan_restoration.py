"""What a restored scan is, and the files it becomes."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.atomic import make_folder, refuse_existing, replacing
from veriscale.imaging.nifti.write import write_volume
from veriscale.imaging.normalisation import Levels
from veriscale.imaging.stored_numbers import StoredNumbers
from veriscale.imaging.volume import Volume
from veriscale.report.weight_table import LevelMaps
from veriscale.trust.certificate import Certificate
from veriscale.workflows.certifying.mask import Mask
from veriscale.workflows.certifying.scan_mask import make_scan_mask
from veriscale.workflows.restoring.restoration import named_from, write_json
from veriscale.workflows.scans.scan_names import ScanNames, scan_names


@dataclass(frozen=True, eq=False)
class ScanRestoration:
    """What comes back of a scan.

    Attributes:
        images: a volume per dial position.
        measurement: what was restored.
        samples: draws at dial 1.
        mean, std: of the samples, per voxel, the latter times `run["temperature"]` where there is one; None without
            samples.
        run: what was done.
        score: (X, Y, Z), higher where the result is less trustworthy; None where none was asked for.
        mask: what a certificate says of the volume at its dial; None without one.
        weights: where each guide counted in one picture; empty without guides.
    """

    images: dict[float, Volume]
    measurement: Volume
    samples: list[Volume]
    mean: Volume | None
    std: Volume | None
    run: dict[str, Any]
    score: NDArray[np.float32] | None = None
    mask: Mask | None = None
    weights: Sequence[LevelMaps] = ()

    @property
    def image(self) -> Volume:
        """The volume at the first dial position asked for."""
        return next(iter(self.images.values()))

    @property
    def trusted(self) -> NDArray[np.bool_] | None:
        """(X, Y, Z), which voxels a certificate trusts, none of them outside of the foreground; None without one."""
        return None if self.mask is None else self.mask.trusted

    def masked(self, certificate: Certificate, alpha: str | None) -> "ScanRestoration":
        """The same with the mask of a certificate that it was checked against.

        Raises:
            InputError: there is no score, the foreground is empty, or alpha is no level.
        """
        if self.score is None:
            raise InputError("A scan without a score has no mask; restore it under the certificate.")
        mask = make_scan_mask(certificate, alpha, self.score, self.image.grid, self.measurement)
        return replace(self, mask=mask, run={**self.run, "certificate": mask.facts()})

    def save(self, folder: str | os.PathLike[str], stem: str = "restored", force: bool = False) -> list[Path]:
        """Write all volumes and run.json into a folder; returns the files.

        Raises:
            InputError: a file exists and `force` is not set, or cannot be written.
        """
        names = scan_names(Path(folder), stem, sorted(self.images), len(self.samples), masked=self.mask is not None)
        refuse_existing_of(names, force)
        make_folder(names.run.parent)
        arguments = self.run["arguments"]
        held = arguments["certificate"] and named_from(arguments["certificate"], names.run.parent)
        moved = replace(self, run={**self.run, "arguments": {**arguments, "certificate": held}})
        return moved.write(names, force)[0]

    def write(self, names: ScanNames, force: bool = False, page: str = "") -> tuple[list[Path], list[str]]:
        """Write the volumes, the report and run.json.

        Args:
            names: of the files.
            force: replace what is there.
            page: the report, where the names have one.

        Returns:
            The files, and a sentence for everything they do not keep.

        Raises:
            InputError: a file exists and `force` is not set, or cannot be written.
        """
        refuse_existing_of(names, force)
        notes: dict[str, None] = {}

        def put(volume: Volume, path: Path, stored: StoredNumbers | None = None) -> None:
            notes.update(dict.fromkeys(f"{n}." for n in write_volume(volume, path, force, stored=stored)))

        for f, path in names.images.items():
            put(self.images[f], path)
        for volume, path in zip(self.samples, names.draws, strict=True):
            put(volume, path)
        if self.mean is not None and self.std is not None:
            put(self.mean, names.mean)
            put(self.std, names.std, StoredNumbers(np.dtype(np.float32)))
        if self.trusted is not None and names.trusted is not None:
            shown = replace(self.image, samples=self.trusted.astype(np.float32), levels=Levels(0.0, 1.0))
            put(shown, names.trusted, StoredNumbers(np.dtype(np.uint8)))
        if names.report is not None:
            with replacing(names.report, force) as temporary:
                temporary.write_text(page, encoding="utf-8")
        write_json({**self.run, "outputs": names.endings()}, names.run, force)
        return names.all(), list(notes)


def refuse_existing_of(names: ScanNames, force: bool) -> None:
    """Raise `InputError` before any work where a result would be overwritten."""
    for target in names.all():
        refuse_existing(target, force)


def operator_told(run: dict[str, Any]) -> str:
    """The operator's string; of one that was read from a file its name alone, for the file's may tell a patient's."""
    operator: str = run["operator"]
    if "operator_files" not in run:
        return operator
    named = re.match(r"[a-z-]*", operator)
    return f"{named[0] if named else ''}, with a file"
