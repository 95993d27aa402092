"""What guides are trained for, around a prior that stays as it is."""

import torch
from torch import Tensor, nn

from veriscale.diffusion.encoder import SPREAD, Condition
from veriscale.diffusion.prior import TrainedPrior
from veriscale.guides.guidance import guidance
from veriscale.guides.networks import Guides, guided_condition, guided_denoise
from veriscale.guides.site import Injection
from veriscale.guides.teaching import shunning_loss, teaching_loss
from veriscale.stages.batches import Batch
from veriscale.stages.losses import DenoiserLoss, inside

GUIDED = {True: (0.0, 1.2), False: (0.0, 1.2)}  # as `DENSITY`: guides count where much is open, without a condition too
TEACHING = 1.0  # of the loss that teaches heads and gate, beside the prior's own
SHUNNING = 0.1  # of what the gate learns of guides that are known to be spoilt


class GuidesLoss(nn.Module):
    """The prior's own losses of mean and denoiser, each with its guides, and what teaches heads and gate.

    The squared error of the mean is in units of the unguided one's; the denoiser's gradient reaches neither it nor
    the experts.

    Args:
        prior: loaded, frozen.
        guides: to be trained.
        margin: measurement pixels of context around a patch.
    """

    def __init__(self, prior: TrainedPrior, guides: Guides, margin: int) -> None:
        super().__init__()
        card = prior.card
        sigma_data = {mode.scale: mode.sigma_data for mode in card.modes}
        knots = card.modes[-1].noise_std
        self.plain = DenoiserLoss(prior.encoder, prior.denoiser, knots, sigma_data, margin, mean=card.mean)
        self.plain.requires_grad_(False)
        self.plain.density = GUIDED
        self.parts = nn.ModuleDict(guides.parts()).requires_grad_(True)
        self.guides = guides

    def forward(self, batch: Batch) -> Tensor:
        """The mean over items and pixels."""
        if batch.guides is None or batch.spoilt is None:
            raise RuntimeError("batches of guides have them")
        encoder, denoiser = self.plain.encoder, self.plain.denoiser
        pictures, valid, spoilt = batch.guides, batch.guides.isfinite(), batch.spoilt
        rest = batch.y, batch.scale, batch.noise_std
        cut = self.plain.margin * batch.scale
        with torch.no_grad():
            plain = encoder(*rest, features=True)
        if batch.estimate is not None:
            there = batch.estimate.isfinite().flatten(1).all(1)
            here = there.view(-1, 1, 1, 1)
            plain = Condition(torch.where(here, batch.estimate, plain.mean), plain.features.masked_fill(here, 0))
            batch = batch._replace(unconditional=batch.unconditional | there)
        refiner = self.guides.encoder
        said = guidance(self.guides.experts, pictures, valid, refiner.site.cell)
        injection = Injection(refiner.site, said)
        condition = Condition(*(inside(t, cut) for t in guided_condition(refiner, injection, plain)))
        weight = 1 / self.plain.usual(batch.scale, batch.noise_std).square()
        total = (weight.view(-1, 1, 1, 1) * (condition.mean - batch.x).square()).mean()
        taught = (
            teaching_loss(injection, (batch.x - inside(plain.mean, cut).float()) / SPREAD, cut)
            * SPREAD**2
            * weight.mean()
        )
        dynamic = refiner.site.fusion == "dynamic"
        if dynamic:
            taught = taught + SHUNNING * shunning_loss(injection, spoilt)

        given = self.plain.noised(batch, Condition(condition.mean.detach(), condition.features))
        if batch.estimate is not None:  # of which the denoiser sees nothing but what the gate has found
            nothing, found = given.seen[:, : denoiser.seen], condition.features[:, encoder.features :]
            found = torch.where(here, found, given.seen[:, denoiser.seen :])
            given = given._replace(seen=torch.cat([nothing, found], 1))
        refiner = self.guides.denoiser
        # where there is little to gain, a gate shuts before its correction is any good
        opened = batch.opened if torch.is_grad_enabled() else None
        injection = Injection(refiner.site, said.inner(cut), opened)
        total = total + given.loss(guided_denoise(denoiser, refiner, injection, *given[1:]))
        taught = taught + teaching_loss(injection, given.truth / given.sigma_data.view(-1, 1, 1, 1))
        if dynamic:
            taught = taught + SHUNNING * shunning_loss(injection, inside(spoilt, cut))
        return total + TEACHING * taught
