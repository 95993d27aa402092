"""What masks are measured on: each picture's staircases for every score, loss and discrepancy, kept in the cache."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache import measured
from pictures import files
from results import ROOT
from veriscale.diffusion.prior import Prior
from veriscale.imaging.rounding import as_stored
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.settings import Settings, settled
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.losses.loss import Loss
from veriscale.trust.losses.registry import make_loss, staircase
from veriscale.trust.scores.registry import parse_score
from veriscale.trust.staircase import Staircase
from veriscale.workflows.certifying.delivery import deliver
from veriscale.workflows.certifying.units import Measured, Measuring, Size
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.tools.command_template import parse_command
from veriscale.workflows.tools.tool_restorer import ToolRestorer

SCALE, SIDE, DRAWS = 4, 320, 8
ORACLE = "oracle"  # the error itself
LEVELS = 1001  # of each score's quantiles, for what lies below a threshold
SECONDS = 9.0  # a picture: eight draws of eight evaluations


@dataclass(frozen=True)
class Records:
    """Of one set of pictures: staircases by (score, loss, discrepancy), a row of quantiles per picture by score."""

    names: list[str]
    staircases: dict[tuple[str, str, str], list[Staircase]]
    quantiles: dict[str, np.ndarray]
    inside: dict[str, np.ndarray]  # mean squared error of the pixels up to each quantile


def measuring() -> Measuring:
    return Measuring(Downsample(SCALE), GaussianNoise(0.0), 3, Size(SIDE, SIDE))


def loss_of(text: str) -> Loss:
    """`area`, or with its tau `area>0.02`."""
    name, _, tau = text.partition(">")
    return make_loss(name, float(tau) if tau else None)


def trusted(quantiles: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(n,) share of each picture's pixels below its own threshold, to a thousandth."""
    rows = zip(quantiles, thresholds, strict=True)
    return np.array([np.searchsorted(q, t, side="left") / q.size for q, t in rows])


def records(
    prior: Prior, folder: str, scores: Sequence[str], kinds: Sequence[tuple[str, str]], draws: bool = True
) -> Records:
    """Measure a set, or take it from the cache.

    Args:
        prior: whose restorations at dial 0 are scored.
        folder: a set of `pictures.files`.
        scores: their strings, or `ORACLE`.
        kinds: pairs of loss and discrepancy.
        draws: whether a score needs them; without, a picture takes a tenth of a second.
    """
    settings = {"prior": prior.card.tensors_sha256, "set": folder, "scores": list(scores), "kinds": list(kinds)}
    paths = {p.name: p for p in files(folder)}

    def measure(name: str) -> dict[str, Any]:
        unit = measuring()(paths[name])
        chosen = settled(Settings(scale=SCALE, samples=DRAWS if draws else 0))
        result = PriorRestorer(prior, chosen).prepare(unit.measurement).restore()
        picture, runs = as_stored(result.image.pixels), [p.pixels for p in result.samples]
        maps = {s: score_of(s, prior, unit, paths[name], picture, runs) for s in scores}
        return {s: staircase_record(m, picture, unit.truth, kinds) for s, m in maps.items()}

    values = measured("trust_records", settings, paths, measure, SECONDS if draws else 0.5)
    return gathered(list(paths), values, scores, kinds)


def tool_records(tool: str, folder: str, score: str, kinds: Sequence[tuple[str, str]]) -> Records:
    """The same of one of the tools in benchmarks/tools/enlarge.py, run as a command."""
    script = ROOT / "benchmarks" / "tools" / "enlarge.py"
    template = parse_command(f"'{sys.executable}' '{script}' {tool} {{in}} {{out}}")
    restorer = ToolRestorer(template, Downsample(SCALE), "gaussian:0", parse_score(score))
    settings = {"tool": tool, "sha256": template.tool_sha256, "set": folder, "score": score, "kinds": list(kinds)}
    paths = {p.name: p for p in files(folder)}

    def measure(name: str) -> dict[str, Any]:
        unit = measuring()(paths[name])
        delivered = deliver(restorer, unit.measurement, paths[name].stem)
        return {score: staircase_record(delivered.score, delivered.picture, unit.truth, kinds)}

    values = measured("trust_tools", settings, paths, measure, 3.0 if restorer.score.name == "perturbed" else 0.4)
    return gathered(list(paths), values, [score], kinds)


def gathered(
    names: list[str], values: list[dict[str, Any]], scores: Sequence[str], kinds: Sequence[tuple[str, str]]
) -> Records:
    """Records from what the cache holds of each picture."""
    return Records(
        names,
        {(s, *k): [unpacked(v[s]["steps"][" ".join(k)]) for v in values] for s in scores for k in kinds},
        {s: np.array([v[s]["quantiles"] for v in values], np.float32) for s in scores},
        {s: np.array([v[s]["inside"] for v in values]) for s in scores},
    )


def staircase_record(
    score: np.ndarray, picture: np.ndarray, truth: np.ndarray, kinds: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """One picture under one score, as JSON holds it."""
    steps = {}
    for loss, apart in kinds:
        discrepancy = parse_discrepancy(apart)
        stairs = staircase(loss_of(loss), [(score, discrepancy(picture, truth))], discrepancy.bound)
        steps[f"{loss} {apart}"] = [stairs.scores.tolist(), stairs.losses.tolist()]
    order = np.argsort(score, axis=None, kind="stable")
    at = np.linspace(0, order.size - 1, LEVELS).astype(int)
    squares = np.cumsum(np.square(picture - truth, dtype=np.float64).mean(axis=2).ravel()[order]) / np.arange(
        1, order.size + 1
    )
    return {"steps": steps, "quantiles": score.ravel()[order][at].tolist(), "inside": squares[at].tolist()}


def score_of(
    text: str, prior: Prior, unit: Measured, path: Path, picture: np.ndarray, runs: Sequence[np.ndarray]
) -> np.ndarray:
    if text == ORACLE:
        return parse_discrepancy("pointwise")(picture, unit.truth)
    name, _, few = text.partition(" of ")  # "variance of 4": with fewer draws
    score = parse_score(name)
    if score.name == "predictor":
        restorer = PriorRestorer(prior, settled(Settings(scale=SCALE)), score=score)
        return deliver(restorer, unit.measurement, path.stem).score
    return score.smoothed(score.of_pictures(picture, runs[: int(few)] if few else runs))


def unpacked(pair: list[list[float]]) -> Staircase:
    return Staircase(np.array(pair[0], np.float32), np.array(pair[1], np.int64))
