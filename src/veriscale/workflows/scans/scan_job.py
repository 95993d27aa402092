"""One scan with what is asked of it, restored in plane and through it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from veriscale.diffusion.prior import TrainedPrior
from veriscale.errors import InputError
from veriscale.imaging.geometry import Grid, respaced, spacing_of
from veriscale.imaging.normalisation import PHOTOGRAPH
from veriscale.imaging.volume import Volume
from veriscale.latent.prior import LatentPrior
from veriscale.traversal.method import Tell
from veriscale.workflows.restoring.prior_restorer import VERSIONS, PriorRestorer
from veriscale.workflows.scans.asked_guides import AskedGuides
from veriscale.workflows.scans.asked_scan import asked_scan
from veriscale.workflows.scans.guide_findings import findings
from veriscale.workflows.scans.guide_scans import Guide, uncovered
from veriscale.workflows.scans.in_plane import PreparedSlices, prepare_slices, stored_spacing
from veriscale.workflows.scans.kept_state import KeptState
from veriscale.workflows.scans.reading import Scan
from veriscale.workflows.scans.scan_restoration import ScanRestoration
from veriscale.workflows.scans.through_plane import PreparedThrough, prepare_through
from veriscale.workflows.scans.weight_maps import weight_maps

Prepared = PreparedSlices | PreparedThrough

_FAR = 1.5  # beyond what a prior has seen
_SQUARE = 1.5  # length over width; above, the pictures are stretched as few photographs are


@dataclass(frozen=True, eq=False)
class ScanJob:
    """One scan with what is asked of it.

    Attributes:
        restorer: by a prior.
        scan: the measurement.
        grid: of the result, where a spacing is asked for; else None, and the slices are restored by the settings.
        thickness: of the slices in millimetres, where it is known.
        guides: of the scan.
    """

    restorer: PriorRestorer
    scan: Scan
    grid: Grid | None
    thickness: float | None
    guides: Sequence[Guide] = ()

    def __post_init__(self) -> None:
        v = self.restorer.settings
        for name in ("command", "crop", "sigma0"):
            if getattr(v, name):
                raise InputError(f"`--{name}` is for photographs yet, and this is a scan; leave it out.")
        if self.grid is not None and (v.scale is not None or v.operator is not None):
            raise InputError("`--spacing` says the result's grid, and so would `--scale` or `--operator`; give one.")
        if self._through and self.volume.shape[self._axis] == 1:
            raise InputError(
                "A single slice holds nothing of what lies through it; restore it in plane, by `--scale` or by "
                "`--spacing` with - along the slices."
            )
        if self._through and self.restorer.certificate is not None:
            raise InputError(
                "Certificates are for scans restored in plane yet, and this one is restored through it; keep its "
                "slices, by `--spacing` with - along them, or leave out `--certificate`."
            )
        if self.grid is None and v.thickness is not None:
            raise InputError("`--thickness` is of what `--spacing` restores through the plane; leave it out.")
        if self._through and self.thickness is None:
            raise InputError(
                "How thick the scan's slices are is not known: neither a DICOM header nor a JSON file beside it says "
                "its SliceThickness; give `--thickness` in mm."
            )
        if self.grid is not None and not self._through and self._plane is None:
            raise InputError("`--spacing` is that of the scan itself: there is nothing to do; give a finer one.")

    @property
    def volume(self) -> Volume:
        """The measurement."""
        return self.scan.volume

    @property
    def told_guides(self) -> dict[str, dict[str, str]]:
        """What run.json says of the guides: the hash of each."""
        return {"guides": {guide.modality: guide.sha256 for guide in self.guides}} if self.guides else {}

    @property
    def _through(self) -> bool:
        return self.grid is not None and self.grid.shape[self._axis] != self.volume.shape[self._axis]

    @property
    def _axis(self) -> int:
        return self.volume.slice_axis

    @property
    def _plane(self) -> Grid | None:
        """Of the slices as they are and their pixels as they are to be; None where a spacing keeps them."""
        if self.grid is None:
            return None
        wanted: list[float | None] = list(spacing_of(self.grid.affine))
        wanted[self._axis] = None
        plane = respaced(self.volume.grid, wanted)
        return None if plane.shape == self.volume.shape else plane

    def spacing_of(self, first: Prepared) -> tuple[float, float, float] | None:
        """Millimetres along the stored axes of a result on a grid of its own; None where it has the scan's.

        Args:
            first: the first of the steps, prepared.
        """
        grid = self.grid if self.grid is not None and self._through else first.grid
        if grid.shape == self.volume.shape:
            return None
        return stored_spacing(self.volume, grid)

    def planned(self) -> list[Prepared]:
        """The steps, prepared on what stands for the results that they have of each other: zeros that take no room."""
        found, volume = list[Prepared](), self.volume
        for step in self.steps():
            found.append(step(volume))
            grid = found[-1].grid
            volume = replace(volume, samples=np.broadcast_to(np.float32(0), grid.shape), affine=grid.affine)
        return found

    def notes(self, planned: Sequence[Prepared]) -> list[str]:
        """Sentences about the scan, and about what the prior knows of such."""
        prior, card = self.restorer.prior, self.restorer.prior.card
        found, edges = list(self.scan.notes), [pair for step in planned for pair in self._edges(step)]
        found += uncovered(planned[-1].prior)
        if isinstance(prior, TrainedPrior) and card.normalisation == PHOTOGRAPH:
            found.append(
                f"The prior {card.name} was trained on photographs: it has seen no scans and knows no millimetres."
            )
        if seen := [each for data in card.seen for each in data.spacing]:
            least, most = (f(edge for pair in edges for edge in pair) for f in (min, max))
            if least * _FAR < min(seen) or most > _FAR * max(seen):
                known = "," if card.training and card.training[-1].spacing else ", as far as that is known,"
                found.append(
                    f"The prior {card.name} has seen pixels of {min(seen):.2g} to {max(seen):.2g} mm{known} and those "
                    f"of the result are of {least:.2g} to {most:.2g} mm: look at it with care."
                )
        aspect = max(max(pair) / min(pair) for pair in edges)
        if aspect > _SQUARE:
            found.append(
                f"The prior has seen square pixels, and those of a plane here are {aspect:.1f} times as long as wide: "
                "look at the result with care."
            )
        return found

    def _edges(self, step: Prepared) -> list[list[float]]:
        """Of the pixels in the planes that the denoiser sees, in millimetres."""
        through = float(spacing_of(step.grid.affine)[self._axis])
        edges = [float(s) for axis, s in enumerate(spacing_of(step.grid.affine)) if axis != self._axis]
        return [edges] if isinstance(step, PreparedSlices) else [[through, edge] for edge in edges]

    def steps(self) -> list[Callable[[Volume], Prepared]]:
        """Preparations, in turn: in plane first, where there is something to do, then through it.

        Of two the first is at dial 0: its draws would be those of a picture that the second never sees.
        """
        found: list[Callable[[Volume], Prepared]] = []
        by = self.restorer
        if self.grid is None or self._plane is not None:
            first = replace(by, settings=replace(by.settings, dial="0", samples=0)) if self._through else by
            found.append(lambda volume: prepare_slices(first, volume, self._plane, self.guides))
        if self.grid is not None and self._through and self.thickness is not None:
            grid, thickness = self.grid, self.thickness
            found.append(
                lambda volume: prepare_through(
                    by.prior, by.settings, volume, grid, thickness, by.noise, by.tile, self.guides
                )
            )
        return found

    def restore(
        self,
        first: Prepared,
        tell: Tell = lambda phase, done, of: None,
        keep: Callable[[int, Prepared], KeptState | None] = lambda number, work: None,
        look: bool = False,
    ) -> ScanRestoration:
        """All steps in turn.

        Args:
            first: the first of them, prepared.
            tell: told after every part.
            keep: where the state of a step lies, by its number; nowhere by default.
            look: whether run.json and the page say what the guides have done.

        Raises:
            InputError: what is asked does not go with a later step.
        """
        work, result = first, first.restore(tell, keep(0, first))
        for number, step in enumerate(self.steps()[1:], start=1):
            work, before = step(result.image), result.run
            result = work.restore(tell, keep(number, work))
            result.run["before"] = before
        if look and self.guides:
            result.run["guide_findings"] = findings(work, result.image, self.volume)
            result = replace(result, weights=weight_maps(work, result.image))
        return replace(result, measurement=self.volume, run={"versions": dict(VERSIONS), **result.run})


def scan_job(restorer: PriorRestorer, scan: Scan, asked_guides: AskedGuides | None = None) -> ScanJob:
    """What is asked of a scan.

    Args:
        restorer: by a prior.
        scan: the measurement.
        asked_guides: which guides it is restored with.

    Raises:
        InputError: something about the scan, its guides or the settings.
    """
    if isinstance(restorer.prior, LatentPrior):
        raise InputError(
            f"Prior {restorer.prior.card.name!r} is a latent one, which restores photographs and no scans; choose "
            "another."
        )
    v, volume, asked = restorer.settings, scan.volume, asked_scan(restorer, scan.path)
    stated = v.thickness
    if stated is not None and not 0 < stated < 1000:
        raise InputError(f"`--thickness` {stated:g} is no thickness; give millimetres above 0.")
    if stated is not None and scan.thickness not in (None, stated):
        raise InputError(f"`--thickness` is {stated:g} mm, and the scan itself says {scan.thickness:g}; leave it out.")
    inside = None if asked.spacing is None else volume.origin.orientation.values_inside(asked.spacing)
    grid = None if inside is None else respaced(volume.grid, inside)
    guides, notes = ([], []) if asked_guides is None else asked_guides.of(scan)
    scan = replace(scan, notes=(*scan.notes, *asked.notes, *notes))
    return ScanJob(asked.restorer, scan, grid, scan.thickness or stated, guides)
