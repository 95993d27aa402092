"""What guides have done for a restored scan: how much each counted, and whether it lies where it should."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

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

    Of a few pictures of the result at places where guides are known, over its foreground: at each noise level, the
    largest first, the mean amount, None where no guide is valid, and the mean weight of each guide where it is valid,
    of those that are `weighed` and valid somewhere there; σ is None where it is infinite: for the mean, or through the
    plane for what corrects the anchor. Of each guide the shift in voxels of the result, to the right, front and head,
    that would fit better.

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
    for asked in _looked_at(work, prior.pictures[0].isfinite(), image):
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
                "amount": round(amount / places, 4) if places else None,
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
    return {"weighed": list(prior.weighed), "levels": rows, "registration": told}


def finding_lines(found: dict[str, Any]) -> list[str]:
    """What is to be said of it: a guide that carries almost no weight, or looks misregistered."""
    lines, levels = [], found.get("levels", [])
    for name in found.get("weighed", ()) if levels else ():
        if name not in levels[0]["shares"]:
            lines.append(
                f"The guide {name} is known in no whole cell of the pictures whose weights were looked at: it may do "
                "nothing."
            )
            continue
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
        amount = "no amount" if level["amount"] is None else f"amount {level['amount']:.2f}"
        rows.append((f"guides at {at}", f"{amount}, {f'of it {told}' if told else 'no weights'}"))
    return rows


def _looked_at(work: PreparedSlices | PreparedThrough, known: Tensor, image: Volume) -> Iterator[Asked]:
    axis = work.volume.slice_axis
    across = [axis] if isinstance(work, PreparedSlices) else [k for k in range(3) if k != axis]
    count = _LOOKED_AT // len(across)
    for each in across:
        places = _places(known.movedim(1 + each, 1).flatten(2).any(2), count)
        yield from answers(work, image, each, places, restored=True)


def _places(known: Tensor, count: int) -> list[int]:
    """So many of the places where one of the guides is known, (M, n) bool, and one of each guide that these miss."""
    some = known.any(0).nonzero().flatten().tolist()
    chosen = {some[(2 * i + 1) * len(some) // (2 * count)] for i in range(count)} if some else set()
    for each in known:
        own = each.nonzero().flatten().tolist()
        if own and chosen.isdisjoint(own):
            chosen.add(own[len(own) // 2])
    return sorted(chosen)


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
