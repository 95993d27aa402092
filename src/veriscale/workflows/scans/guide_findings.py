"""What guides have done for a restored scan: how much each counted, and whether it lies where it should."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.guides.guided_prior import GuidedPrior
from veriscale.guides.modalities import EDGES
from veriscale.guides.registration import registration
from veriscale.imaging.geometry import spacing_of
from veriscale.imaging.resampling import resampled
from veriscale.imaging.volume import Volume
from veriscale.metrics.foreground import FLOOR
from veriscale.workflows.scans.guided_slices import Asked, answers
from veriscale.workflows.scans.in_plane import PreparedSlices
from veriscale.workflows.scans.through_plane import PreparedThrough

LITTLE = 0.1  # of an even share of the guides: below it, a guide carries almost no weight
_LOOKED_AT = 8  # pictures
_WAYS = (("right", "left"), ("front", "back"), ("head", "feet"))


def findings(work: PreparedSlices | PreparedThrough, image: Volume, measurement: Volume) -> dict[str, Any]:
    """For run.json; empty without guides.

    Of a few pictures of the result, over its foreground: at each noise level, the largest first, the mean amount and
    the mean weight of each guide where it is valid, of those that are `weighed` and valid somewhere there; σ is None
    where it is infinite: for the mean, or through the plane for what corrects the anchor. Of each guide the shift in
    voxels of the result, to the right, front and head, that would fit better.

    Args:
        work: that the scan was restored by.
        image: the result.
        measurement: the scan itself.

    Source: ours, docs/methods.md#guides-in-use
    """
    prior = work.prior
    if not isinstance(prior, GuidedPrior) or prior.pictures is None:
        return {}
    sums: dict[float, NDArray[np.float64]] = {}
    for asked in _looked_at(work, image):
        sums[asked.sigma] = sums.get(asked.sigma, 0) + _sums(asked)
    names = prior.guide_card.arguments.modalities
    rows = []
    for sigma, total in sums.items():
        amount, places, *each = total.tolist()
        there = [m for m, name in enumerate(names) if name in prior.weighed and each[3 * m + 2]]
        weights = {names[m]: each[3 * m] / each[3 * m + 2] for m in there}
        shares = {names[m]: each[3 * m + 1] / each[3 * m + 2] for m in there}
        rows.append(
            {
                "sigma": None if math.isinf(sigma) else round(sigma, 4),
                "amount": round(amount / max(1, places), 4),
                "weights": {name: round(w, 4) for name, w in weights.items()},
                "shares": {name: round(w, 4) for name, w in shares.items()},
            }
        )
    seen = resampled(measurement, work.grid)
    blurred = np.maximum(spacing_of(measurement.affine) / spacing_of(work.grid.affine), 1) / 2
    fits = {
        name: registration(seen, prior.pictures[0, m].numpy(), blurred.tolist())
        for m, name in enumerate(names)
        if name in prior.given and name.casefold() != EDGES
    }
    told = {name: {"shift": list(fit.shift), "gain": round(fit.gain, 4), "off": fit.off} for name, fit in fits.items()}
    return {"levels": rows, "registration": told}


def finding_lines(found: dict[str, Any]) -> list[str]:
    """What is to be said of it: a guide that carries almost no weight, or looks misregistered."""
    lines, levels = [], found.get("levels", [])
    for name in levels[0]["shares"] if levels else ():
        most = max(level["shares"][name] for level in levels)
        if most < LITTLE / len(levels[0]["shares"]):
            lines.append(
                f"The guide {name} carries almost no weight, {most:.1%} at most: it may be of another place or "
                "contrast, or add nothing."
            )
    for name, fit in found.get("registration", {}).items():
        if fit["off"]:
            lines.append(
                f"The guide {name} looks misregistered: moved by {_moved(fit['shift'])}, it would fit "
                f"{fit['gain'] - 1:.0%} better; register it, or leave it out."
            )
    return lines


def finding_facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Rows of a report."""
    rows = []
    for level in found.get("levels", []):
        at = "the anchor" if level["sigma"] is None else f"noise level {level['sigma']:.3g}"
        told = ", ".join(f"{name} {weight:.2f}" for name, weight in level["weights"].items())
        rows.append((f"guides at {at}", f"amount {level['amount']:.2f}, {f'of it {told}' if told else 'no weights'}"))
    return rows


def _looked_at(work: PreparedSlices | PreparedThrough, image: Volume) -> Iterator[Asked]:
    axis = work.volume.slice_axis
    across = [axis] if isinstance(work, PreparedSlices) else [k for k in range(3) if k != axis]
    count = _LOOKED_AT // len(across)
    for each in across:
        n = image.shape[each]
        places = sorted({(2 * i + 1) * n // (2 * count) for i in range(count)})
        yield from answers(work, image, each, places, restored=True)


def _sums(asked: Asked) -> NDArray[np.float64]:
    """Σ a, places; then of each guide Σ w, Σ a·w and places, over the foreground where it is valid."""
    inside = asked.picture > FLOOR
    weights, amount, valid = (each.numpy() for each in asked.answer[:3])
    anywhere = inside & valid.any(0)
    found = [amount[anywhere].sum(dtype=np.float64), anywhere.sum()]
    for w, v in zip(weights, valid & inside, strict=True):
        found += [w[v].sum(dtype=np.float64), (amount * w)[v].sum(dtype=np.float64), v.sum()]
    return np.array(found, np.float64)


def _moved(shift: list[int]) -> str:
    parts = [f"{abs(n)} to the {way[n < 0]}" for n, way in zip(shift, _WAYS, strict=True) if n]
    return f"{', '.join(parts)} (voxels of the result)"
