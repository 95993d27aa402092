"""What the end of training measures of a prior for its card."""

import math
from collections.abc import Callable
from dataclasses import replace

import msgspec

from veriscale.diffusion.card import Card
from veriscale.diffusion.prior import TrainedPrior
from veriscale.metrics.detection import area_under_roc
from veriscale.metrics.distortion import psnr_luma
from veriscale.metrics.scan_distortion import scan_psnr
from veriscale.runtime.networks import predict_error
from veriscale.stages.anchor_rule import SIDE, measure_anchor_rule
from veriscale.stages.consistency import measure_consistency
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import crops, held_out
from veriscale.stages.measurements import measure_calm, measure_dial, measure_level_ratio, measure_variance
from veriscale.stages.path_rule import measure_path_rule
from veriscale.stages.temperature import SPREAD_SKILL, measure_spread_skill, temperature_of
from veriscale.traversal.renoise import SAMPLER, STEPS

BAD = 0.1  # an error that is seen, by which the predictor is judged


def scored(prior: TrainedPrior, validation: PictureSet, tell: Callable[[str], None]) -> Card:
    """The card with its metrics; it has its modes already.

    Args:
        prior: loaded as it is shipped.
        validation: of `held_out_slices`.
        tell: told in words what is being measured.
    """
    tell("distortion at dial 0, and how well its error is predicted")
    metrics = {}
    for scale in prior.card.network.scales:
        x, condition = held_out(prior.encoder, validation, scale, 0.0)
        pairs = zip(condition.mean.permute(0, 2, 3, 1).numpy(), x.permute(0, 2, 3, 1).numpy(), strict=True)
        if validation.stored:
            values = [psnr_luma(image, truth, scale) for image, truth in pairs]
        else:
            values = [scan_psnr(image, truth, 1.0) for image, truth in pairs]
        what = "luma PSNR" if validation.stored else "PSNR of peak 1"
        metrics[f"validation crops, x{scale}, {what} at dial 0, dB"] = round(sum(values) / len(values), 3)
        if prior.predictor is not None:
            bad = (condition.mean.clamp(0, 1) - x).abs().amax(1) > BAD
            told = predict_error(prior, condition, scale, BAD)
            name = f"validation crops, x{scale}, area under the ROC curve of predicted errors above {BAD:g}"
            metrics[name] = round(area_under_roc(told.numpy(), bad.numpy()), 3)
    return msgspec.structs.replace(prior.card, metrics=metrics)


def measured(prior: TrainedPrior, validation: PictureSet, tell: Callable[[str], None]) -> Card:
    """The card with all that restorations look up in it; arguments as `scored`."""
    card = scored(prior, validation, tell)
    tell("the level ratio")
    card = msgspec.structs.replace(card, modes=measure_level_ratio(prior, validation, SAMPLER, STEPS))
    prior = replace(prior, card=card)
    tell("where draws are to be calm")
    card = msgspec.structs.replace(card, calm=measure_calm(prior, validation, SAMPLER, STEPS))
    prior = replace(prior, card=card)
    tell("v(sigma)")
    card = msgspec.structs.replace(card, modes=measure_variance(prior, validation))
    prior = replace(prior, card=card)
    tell("where the anchor 'fast' begins, its relaxation and trust")
    mode = measure_anchor_rule(prior, crops(validation, SIDE), validation.stored)
    card = msgspec.structs.replace(card, modes=[mode, *card.modes[1:]])
    prior = replace(prior, card=card)
    tell("which path looks better without the encoder")
    card = msgspec.structs.replace(card, modes=measure_path_rule(prior, validation))
    prior = replace(prior, card=card)
    if not validation.stored:
        tell("the temperature")
        ratio = measure_spread_skill(prior, validation, SAMPLER, STEPS)
        raw = {SPREAD_SKILL: round(ratio, 3)} if math.isfinite(ratio) else {}
        card = msgspec.structs.replace(card, temperature=temperature_of(ratio), metrics=card.metrics | raw)
    return msgspec.structs.replace(
        card,
        dial=measure_dial(prior, validation, SAMPLER, STEPS, tell),
        consistency=measure_consistency(prior, validation, tell),
    )
