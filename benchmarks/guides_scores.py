"""What a prior makes of a subject's slices with guides: numbers of every slice, which blocks of them sum up."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from dice import overlaps, thresholds
from guides_cases import Case, Condition
from veriscale.diffusion.prior import Prior, TrainedPrior
from veriscale.guides.answers import Answer, denoiser_answer, encoder_answer
from veriscale.guides.bound import block_sums
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.metrics.detection import area_under_roc
from veriscale.metrics.draw_scores import draw_sums
from veriscale.runtime.networks import encode
from veriscale.settings import Settings, settled
from veriscale.trust.discrepancies import semantic
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.guided_slices import levels
from veriscale.workflows.scans.in_plane import prepare_slices

SAMPLES, SEED = 8, 0

Numbers = dict[str, Any]
"""`places` of slices, `width` of PSNR, and by the name of a condition a list of every number, a slice each."""


def mean_errors(prior: Prior, case: Case, conditions: Sequence[Condition]) -> Numbers:
    """Σ squared error at dial 0 over the foreground, and over that part of it where guides are spoilt."""

    def of(i: int, condition: Condition) -> dict[str, float]:
        square = np.square(_mean(prior, case, i, condition) - case.truth.samples[..., i].astype(np.float64))
        mask = case.mask[..., i]
        return {
            "error": square[mask].sum(),
            "places": mask.sum(),
            "error_inside": square[mask & case.inside(i)].sum(),
        }

    return _table(case, {c.name: [of(i, c) for i in range(len(case.places))] for c in conditions})


def likeness(prior: Prior, case: Case, conditions: Sequence[Condition]) -> Numbers:
    """Σ `semantic` discrepancy at dial 0 in the foreground, and overlaps of the three classes."""
    at = thresholds(case.truth.samples, case.mask)

    def of(i: int, condition: Condition) -> dict[str, float]:
        image = np.asarray(_mean(prior, case, i, condition), np.float32)
        truth, mask = case.truth.samples[..., i], case.mask[..., i]
        delivered, seen = (np.clip(p, 0, 1)[..., None] for p in (image, truth))
        found = {"semantic": float(semantic(delivered, seen)[mask].sum()), "places": mask.sum()}
        same, sizes = overlaps(image[mask], truth[mask], at)
        for k, (s, n) in enumerate(zip(same, sizes, strict=True)):
            found |= {f"same_{k}": s, f"size_{k}": n}
        return found

    return _table(case, {c.name: [of(i, c) for i in range(len(case.places))] for c in conditions})


def localisation(prior: GuidedPrior, case: Case, conditions: Sequence[Condition]) -> Numbers:
    """Of the guide that is spoilt: mean weight inside of the region, outside of it, inside where it is not spoilt, AUC.

    With the mean amount of all guides inside of the region and outside of it. By the encoder, where σ = ∞, and at
    the highest noise level that the denoiser is asked at.
    """

    def of(i: int, condition: Condition) -> dict[str, float]:
        m = prior.guide_card.arguments.modalities.index(case.spoilt_guide(i, condition))
        mask, inside, found = case.mask[..., i], case.inside(i), {}
        answers, sound = (_first(prior, case, i, c) for c in (condition, Condition(condition.given)))
        for name, answer in answers.items():
            w, amount = answer.weights.numpy(), answer.amount.numpy()
            within, beyond = mask & inside, mask & ~inside
            if not (within.any() and beyond.any()):
                continue
            found |= {f"{name}_inside": w[m][within].mean(), f"{name}_outside": w[m][beyond].mean()}
            found |= {f"{name}_sound": sound[name].weights.numpy()[m][within].mean(), f"{name}_slices": 1}
            found |= {f"{name}_amount_inside": amount[within].mean(), f"{name}_amount_outside": amount[beyond].mean()}
            found[f"{name}_auc"] = area_under_roc(-w[m][mask], inside[mask])
        return found

    return _table(case, {c.name: [of(i, c) for i in range(len(case.places))] for c in conditions})


def bound_sums(prior: GuidedPrior, case: Case, conditions: Sequence[Condition]) -> Numbers:
    """Terms of the bound at σ = ∞ and lower noise levels, in the foreground where every guide counts.

    Conditions as `CONDITION @ k`, with k = 0 at σ = ∞; a slice's `BlockSums` for a number, and with them
    `shuffled`, Σ w ℓ with weights of other places of the slice, and `identity`, by how much Σ w ℓ − Σ ℓ(f̄)
    misses the ambiguity, a place.
    """
    slices: dict[str, list[dict[str, Any]]] = {}
    for condition in conditions:
        which = [prior.guide_card.arguments.modalities.index(name) for name in condition.given]
        for i in range(len(case.places)):
            for k, answer in enumerate(_answers(prior, case, i, condition)):
                inside = answer.known(which).numpy() & case.mask[..., i]
                w, f = answer.weights.numpy()[:, inside], answer.predictions.mean(1).numpy()[:, inside]
                x, d = case.truth.samples[..., i][inside], answer.estimate.mean(0).numpy()[inside]
                sums = block_sums(w, f, x, d)
                order = np.random.default_rng(case.places[i]).permutation(x.size)
                off = abs(sums.product - sums.mean_risk - sums.ambiguity) / max(1, x.size)
                controls = {"shuffled": block_sums(w[:, order], f, x, d).product, "identity": off}
                slices.setdefault(f"{condition.name} @ {k}", []).append(sums._asdict() | controls)
    return _table(case, slices)


def draw_errors(prior: Prior, case: Case, conditions: Sequence[Condition]) -> Numbers:
    """What draws at dial 1 say, in sums over the foreground; Σ std where guides are spoilt and elsewhere."""
    slices: dict[str, list[dict[str, Any]]] = {}
    for condition in conditions:
        restorer = PriorRestorer(prior, settled(Settings(scale=case.scale, dial="0", samples=SAMPLES, seed=SEED)))
        work = prepare_slices(restorer, case.measurement, guides=case.volumes(condition))
        draws = np.stack([draw.samples for draw in work.restore(lambda what, done, of: None).samples])
        for i in range(len(case.places)):
            mask, inside = case.mask[..., i], case.inside(i)
            sums, std = (
                draw_sums(list(draws[..., i]), case.truth.samples[..., i], SEED, mask),
                draws[..., i].std(0, ddof=1, dtype=np.float64),
            )
            of = {"crps": sums.crps, "places": mask.sum()}
            of |= {"variance": sums.spread.variance, "squared_error": sums.spread.squared_error}
            of |= {"std_inside": std[mask & inside].sum(), "std_outside": std[mask & ~inside].sum()}
            slices.setdefault(condition.name, []).append(of)
    return _table(case, slices)


def _table(case: Case, slices: dict[str, list[dict[str, Any]]]) -> Numbers:
    """For JSON; what a slice lacks is 0."""
    found: Numbers = {"places": case.places, "width": case.width}
    for condition, each in slices.items():
        names = dict.fromkeys(name for numbers in each for name in numbers)
        found[condition] = {name: [np.asarray(numbers.get(name, 0)).tolist() for numbers in each] for name in names}
    return found


def _mean(prior: Prior, case: Case, i: int, condition: Condition) -> np.ndarray:
    """(H, W), the i-th slice at dial 0."""
    if isinstance(prior, GuidedPrior):
        prior = prior.guided_by(case.pictures(i, condition))
    elif condition.given or not isinstance(prior, TrainedPrior):
        raise TypeError("a trained prior takes no guides, and another has no mean")
    return encode(prior, case.y(i), case.scale, 0.0, features=False).mean[0, 0].numpy()


def _first(prior: GuidedPrior, case: Case, i: int, condition: Condition) -> dict[str, Answer]:
    """By the encoder and by the denoiser at its highest noise level."""
    found = _answers(prior, case, i, condition)
    return {name: next(found) for name in ("mean", "denoiser")}


def _answers(prior: GuidedPrior, case: Case, i: int, condition: Condition) -> Any:
    """At σ = ∞, then at `guided_slices.levels`, the highest first; each when it is asked for."""
    guided = prior.guided_by(case.pictures(i, condition))
    answer, seen = encoder_answer(guided, case.y(i), case.scale, 0.0)
    yield answer
    noise = torch.randn(case.x(i).shape, generator=torch.Generator().manual_seed(case.places[i]))
    for sigma in levels(prior.mode(case.scale), 0.0):
        yield denoiser_answer(guided, case.x(i) + sigma * noise, sigma, seen, case.scale, 0.0)
