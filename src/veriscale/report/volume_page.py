"""The report of a scan: one HTML file with three planes through its volumes, and what is known about them.

Nothing in it tells whose scan it is: it is made of samples, of where they lie, and of facts about the run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.geometry import spacing_of
from veriscale.imaging.volume import Volume
from veriscale.report.colourmap import palette, scale_of
from veriscale.report.document import document, source
from veriscale.report.embedding import embed_map
from veriscale.report.packed_volume import BUDGET, Crop, Packing, Scale, crop_of, pack
from veriscale.report.view import Legend, dial_caption, percent
from veriscale.report.volume_frame import FLAT, Frame, frame_of
from veriscale.report.volume_overlay import hatched
from veriscale.report.weight_table import LevelMaps, weight_table

TITLE = "Restored scan"
OBLIQUE = 1.0  # degrees from which on it is said
_SPREAD = "How much the draws differ: one standard deviation per voxel. Bright is where detail is guessed."
_TRUSTED = "Hatched where it is not trusted. Outside of the foreground nothing is trusted, and it is left as it is."
_LEAST, _MOST = 0.0005, 0.9995  # quantiles between which values are told apart
_LOOKED_AT = 1_000_000  # voxels of a volume


@dataclass(frozen=True, eq=False)
class VolumeReport:
    """What a page of volumes is made of; all in the same canonical axes, whatever their spacing.

    Attributes:
        measurement: what was restored, on its own grid.
        dials: (dial value, volume), at least one, all on one grid; shown in rising order.
        spread: standard deviation of the draws on that grid, its levels those of a difference.
        trust: the mask of one of them; None without one.
        facts: (label, value) rows about the run, none of which tells whose scan it is.
        notes: sentences about this run, put before the standing ones.
        weights: where each guide counted, level by level; empty without guides.
    """

    measurement: Volume
    dials: Sequence[tuple[float, Volume]]
    spread: Volume | None = None
    trust: "VolumeTrust | None" = None
    facts: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    weights: Sequence[LevelMaps] = ()


@dataclass(frozen=True, eq=False)
class VolumeTrust:
    """What a certificate says of one volume.

    Attributes:
        dial: of the volume.
        trusted, counted: (X, Y, Z), the mask, and the voxels that the promise is about.
        promise: sentences, what the mask promises and what it does not.
        facts: (label, value) rows about it.
    """

    dial: float
    trusted: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    promise: Sequence[str]
    facts: Sequence[tuple[str, str]] = ()


def render_volume_report(report: VolumeReport) -> str:
    """Return the page as HTML, at most 20 MB; larger volumes go in with fewer steps or voxels, and the page says so.

    Raises:
        InputError: there is no dial position, one is given twice, or the volumes' axes are not parallel.
    """
    dials = sorted(report.dials, key=lambda position: position[0])
    if not dials:
        raise InputError("a report needs the volume at one dial position at least: give one")
    if len({dial for dial, _ in dials}) < len(dials):
        raise InputError("a report got two volumes for the same dial position: give each dial once")
    grey_volumes = [*(volume for _, volume in dials), report.measurement]
    frame = frame_of(dials[0][1].grid, grey_volumes)
    scale = _grey_scale([crop_of(volume, frame, Scale(0, 1)) for volume in grey_volumes])
    crops = [crop_of(volume, frame, scale) for volume in grey_volumes]
    measured = f"What was measured, its voxels {_grid(report.measurement)}, as they are."
    labels: list[tuple[str, str, str, float | None]] = [
        *((f"dial-{dial:g}", *dial_caption(dial), dial) for dial, _ in dials),
        ("measurement", "Measurement", measured, None),
    ]
    if report.trust is not None:
        certified = dict(dials)[report.trust.dial]
        drawn = hatched(certified.samples, report.trust.trusted, report.trust.counted)
        crops.append(crop_of(replace(certified, samples=drawn), frame, scale))
        labels.append(("trusted", f"Trusted, dial {report.trust.dial:g}", _TRUSTED, None))
    top = above = 0.0
    if report.spread is not None:
        found = scale_of(_some(crop_of(report.spread, frame, scale)))
        top, above = found.top, found.above
        crops.append(crop_of(report.spread, frame, Scale(0, top)))
        labels.append(("spread", "Spread of the draws", _SPREAD, None))
    packed, packing = pack(crops, BUDGET)
    volumes = [
        {"key": key, "label": label, "caption": caption, "dial": dial, "spread": key == "spread", "packed": volume}
        for (key, label, caption, dial), volume in zip(labels, packed, strict=True)
    ]
    levels = dials[0][1].levels
    ends: list[float] = levels.undone(np.array([scale.low, scale.high])).tolist()
    width = levels.width if report.spread is None else report.spread.levels.width
    return document(
        "volume_page.html.j2",
        source("page.css") + source("volume_page.css"),
        source("volume_samples.js") + source("volume_page.js"),
        title=TITLE,
        size=_grid(dials[0][1]),
        positions=[dial for dial, _ in dials],
        volumes=volumes,
        legend={"legend": None if report.spread is None else _legend(top * width, above)},
        weights=weight_table(report.weights),
        colour_bar=embed_map(np.arange(len(palette()), dtype=np.uint8)[None]),
        facts=[*report.facts, *([] if report.trust is None else report.trust.facts)],
        notes=[
            *([] if report.trust is None else report.trust.promise),
            *report.notes,
            *_standing_notes(report, frame, packing, ends),
        ],
        view={
            "size": frame.size.tolist(),
            "origin": frame.origin.tolist(),
            "axes": frame.axes.tolist(),
            "inverse": np.linalg.inv(frame.axes).tolist(),
            "letters": frame.letters(),
            "steps": packing.steps,
            "grey": ends,
            "window": [levels.low, levels.high],
            "top": top * width,
            "palette": palette().tolist(),
            "volumes": [_described(entry) for entry in volumes],
        },
    )


def _described(entry: dict[str, Any]) -> dict[str, Any]:
    """What the script is told of a volume; its samples stand in the page by themselves."""
    packed = entry["packed"]
    told = {key: entry[key] for key in ("key", "label", "caption", "dial", "spread")}
    return {**told, "shape": packed.shape, "edge": packed.edge, "step": packed.step}


def _grey_scale(crops: Sequence[Crop]) -> Scale:
    """One for all: the scan's levels, and beyond them what is not a rare exception."""
    ends = [np.quantile(_some(crop), (_LEAST, _MOST)) for crop in crops]
    low, high = min(float(e[0]) for e in ends), max(float(e[1]) for e in ends)
    return Scale(min(low, 0.0), max(high, 1.0))


def _some(crop: Crop) -> NDArray[np.float32]:
    """Enough voxels to tell how values are distributed; every n-th along each axis."""
    n = math.ceil((crop.samples.size / _LOOKED_AT) ** (1 / 3))
    return crop.samples[::n, ::n, ::n]


def _grid(volume: Volume) -> str:
    """Voxels and their size, in words."""
    return f"{_times(volume.shape)} of {_times(spacing_of(volume.affine).tolist())}\N{NO-BREAK SPACE}mm"


def _times(numbers: Sequence[float]) -> str:
    return " × ".join(f"{n:.3g}" if isinstance(n, float) else str(n) for n in numbers)


def _legend(top: float, above: float) -> Legend:
    beyond = f"{percent(above)} of the voxels lie above {top:.3g} and have the last colour." if above > 0 else ""
    return Legend(tuple(f"{top * quarter / 4:.3g}" for quarter in range(5)), "in the scan's own units", beyond)


def _standing_notes(report: VolumeReport, frame: Frame, packing: Packing, ends: Sequence[float]) -> list[str]:
    low, high = ends
    notes = [
        "Not for diagnosis. Detail that is not in the measurement comes from the prior, which was learned from other "
        "pictures. Do not read findings from it that the measurement does not show.",
        "Dial 0 aims at the smallest expected error. Turning the dial up adds detail that looks real and agrees "
        "with the measurement, at the price of a larger error.",
        "Radiological convention: axial and coronal planes are seen from the feet and from the front, so that the "
        "patient's left is on the right; in the sagittal plane anterior is on the left. Millimetres are those of the "
        "scan's own coordinates.",
        "Voxels are shown as they are, in true proportions, and nothing is interpolated: thick slices look thick.",
        f"Values are those of the scan in {packing.steps + 1} steps of {(high - low) / packing.steps:.3g}; "
        f"what lies below {low:.4g} or above {high:.4g} is shown as that.",
    ]
    if (frame.size < frame.field - 0.5).any():
        notes.append(
            f"Shown are {_times(frame.size.round(0).astype(int).tolist())} mm of "
            f"{_times(frame.field.round(0).astype(int).tolist())}: what lies outside differs from the background by "
            f"less than {percent(FLAT)} of the scan's range."
        )
    if frame.tilt > OBLIQUE:
        notes.append(
            f"The scan lies obliquely: its planes, which are shown, are up to {frame.tilt:.0f}° from the body's axes, "
            "and the letters at the edges say what they are nearest to."
        )
    if max(packing.every) > 1:
        notes.append(
            f"To keep this page small it holds, along left to right, back to front and foot to head, one voxel of "
            f"{', '.join(map(str, packing.every))} of the results. Judge fine detail on the files themselves."
        )
    if report.spread is not None:
        notes.append(
            "The spread says how much the prior's own guesses differ. It is not an error bound: a prior can be sure "
            "and wrong, above all on scans unlike what it learned from."
        )
    return notes
