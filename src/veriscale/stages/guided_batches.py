"""Training items with their guides: some of the modalities, at times one or all of them spoilt, one in part known."""

import math

import torch
from torch import Tensor

from veriscale.guides.arguments import GuideArguments
from veriscale.stages.batches import Batch, Batches, key, turned
from veriscale.stages.border import continued
from veriscale.stages.contrasts import Contrasts
from veriscale.stages.corruption import corrupted, harm
from veriscale.stages.recipe import Task

PARTLY = 0.2  # of the items: the field of view of one guide ends inside
ALL = 0.5  # of the items with a spoilt guide: all that are there are, in one way, at one place
FAR = 8  # slices: the nearest that a guide is swapped with, where there is one so far


class GuidedBatches(Batches):
    """Makes batches of the target's slices, with the guides at their places.

    Args:
        contrasts: registered slices.
        task: of the recipe.
        guides: names of the modalities.
        seed: of the recipe.
        corrupt: share of the items in which guides are spoilt.
    """

    def __init__(self, contrasts: Contrasts, task: Task, guides: GuideArguments, seed: int, corrupt: float) -> None:
        super().__init__(contrasts.target, task, seed)
        self.contrasts = contrasts
        self.modalities = guides.modalities
        self.corrupt = corrupt

    def make(
        self, phase: str, step: int, items: range, patch: int, margin: int = 0, unconditional: float | None = None
    ) -> Batch:
        """As `Batches.make`, which it does not change, with guides."""
        batch = super().make(phase, step, items, patch, margin, unconditional)
        made = [self._guides(phase, step, i, patch, margin, batch.scale) for i in items]
        guides, spoilt = (torch.stack(each) for each in zip(*made, strict=True))
        if self.contrasts.estimates:
            each = [self._estimate(phase, step, i, patch, margin, batch.scale) for i in items]
            batch = batch._replace(estimate=torch.stack(each))
        opened = torch.tensor([i % 2 == 0 for i in items], device=guides.device)
        return batch._replace(guides=guides, spoilt=spoilt, opened=opened)

    def _estimate(self, phase: str, step: int, i: int, patch: int, margin: int, scale: int) -> Tensor:
        """(1, H, W) of one item, from thick slices; NaN where there is none, and in half of the others."""
        index, u = self.item(phase, step, i)
        whose, place = self.contrasts.places[index]
        image, side, context = self.data.images[index], patch * scale, margin * scale
        g = torch.Generator().manual_seed(key(self.seed, phase, step, i, "estimate"))
        each = self.contrasts.estimates.get(whose, {}).get(place)
        if each is None or float(torch.rand((), generator=g)) < 0.5:
            return torch.full((1, *2 * [side + 2 * context]), math.nan, device=image.device)
        found = each[int(torch.randint(len(each), (), generator=g))]
        return turned(continued(found, *_corner(image, side, u), side, context, scale) / 255, u)

    def _guides(self, phase: str, step: int, i: int, patch: int, margin: int, scale: int) -> tuple[Tensor, Tensor]:
        """(M, H, W) of one item, NaN where one is left out or lacking, and where they are spoilt."""
        index, u = self.item(phase, step, i)
        whose, place = self.contrasts.places[index]
        image = self.data.images[index]
        side, context = patch * scale, margin * scale
        top, left = _corner(image, side, u)
        g = torch.Generator().manual_seed(key(self.seed, phase, step, i, "guides"))
        order = torch.randperm(len(self.modalities), generator=g).tolist()
        chosen = order[: 1 + int(torch.randint(len(order), (), generator=g))]
        corrupt, every = torch.rand(2, generator=g).tolist()
        seed = key(self.seed, phase, step, i, "spoilt")
        spoilt = [] if corrupt >= self.corrupt else chosen if every < ALL else chosen[:1]
        wide = side + 2 * context
        out = torch.full((len(self.modalities), wide, wide), math.nan, device=image.device)
        harmed = torch.zeros(out.shape, dtype=torch.bool, device=image.device)
        for m in chosen:
            slices = self.contrasts.volumes.get((whose, self.modalities[m]), {})
            if place not in slices:
                continue
            far = [k for k in slices if abs(k - place) >= FAR] or list(slices)
            how = torch.Generator().manual_seed(seed)  # anew for each: guides that are wrong together agree
            other = far[int(torch.randint(len(far), (), generator=how))]
            own, swapped = (continued(slices[k], top, left, side, context, scale)[0] / 255 for k in (place, other))
            out[m] = corrupted(own, swapped, how) if m in spoilt else own
            if m in spoilt:
                harmed[m] = harm(own, out[m])
        view = torch.Generator().manual_seed(key(self.seed, phase, step, i, "view"))
        if float(torch.rand((), generator=view)) < PARTLY:
            out[chosen[-1]][beyond_line(wide, view).to(out.device)] = math.nan
        return turned(out, u), turned(harmed, u)


def _corner(image: Tensor, side: int, u: list[float]) -> tuple[int, int]:
    """Where `Batches` cuts the target's patch of an item."""
    top, left = (int(v * (n - side + 1)) for v, n in zip(u[1:3], image.shape[-2:], strict=True))
    return top, left


def beyond_line(side: int, generator: torch.Generator) -> Tensor:
    """(side, side) bool: one side of a straight line in any direction through a place of the middle half."""
    angle, *at = torch.rand(3, dtype=torch.float64, generator=generator).tolist()
    rows, columns = (torch.arange(side) - side * (0.25 + 0.5 * v) for v in at)
    turn = 2 * math.pi * angle
    beyond: Tensor = math.sin(turn) * rows[:, None] + math.cos(turn) * columns > 0
    return beyond
