"""A prior with the pictures that guide it: what runtime asks of a prior, answered with guides."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from veriscale.diffusion.card import Data
from veriscale.diffusion.encoder import Condition
from veriscale.diffusion.prior import TrainedPrior
from veriscale.errors import InputError, closest
from veriscale.guides.card import GuideCard
from veriscale.guides.guidance import Guidance, guidance, mirrored
from veriscale.guides.networks import Guides, found_in, guided_condition, guided_denoise
from veriscale.guides.refiner import Refiner
from veriscale.guides.site import Injection, Site
from veriscale.imaging.tiles import Window
from veriscale.runtime.networks import TILE

CONTEXT = 8  # pixels: what a patch has around it in training, at the least


@dataclass
class KeptGuidance:
    """What guides say of a place, and what either network makes of it."""

    place: object = None
    guidance: Guidance | None = None
    injections: dict[Site, Injection] = field(default_factory=dict)


@dataclass(frozen=True)
class GuidedPrior(TrainedPrior):
    """A trained prior, networks that let guides help it, and the guides of one picture.

    Attributes:
        guides: on the prior's device, in its type.
        guide_card: of their file.
        pictures: (N, M, H, W) float32 on the truth grid from its first row and column, NaN where nothing is known; N is
            1, or the number of pictures denoised at once. Of a volume (1, M, X, Y, Z), to be cut into those. None: no
            guides, and the prior is the unguided one.
        given: the modalities that are among them, which may be known elsewhere than here.
        estimate: (N, C, H, W), or (1, C, X, Y, Z), of the picture that they are of, which they can be compared with
            where there is no condition; None: there is none.
        origin: row and column of their first pixel in the whole picture.
        kept: what the last evaluation has made of the guides alone, which the next takes as it is, of a picture that is
            one tile.
    """

    guides: Guides = field(kw_only=True)
    guide_card: GuideCard = field(kw_only=True)
    pictures: Tensor | None = field(default=None, kw_only=True)
    given: tuple[str, ...] = field(default=(), kw_only=True)
    estimate: Tensor | None = field(default=None, kw_only=True)
    origin: tuple[int, int] = field(default=(0, 0), kw_only=True)
    kept: KeptGuidance = field(default_factory=KeptGuidance, kw_only=True, repr=False, compare=False)

    def guided_by(self, pictures: Mapping[str, Tensor]) -> Self:
        """This prior for one picture with guides; any subset of the modalities will do.

        Args:
            pictures: by modality, (N, H, W) each on the truth grid, or (1, X, Y, Z) of a volume; normalised to [0, 1],
                NaN where not valid.

        Raises:
            InputError: a modality is not known, or they differ in shape.
        """
        known = self.guide_card.arguments.modalities
        pictures = {self.modality(name): picture for name, picture in pictures.items()}
        shapes = {name: tuple(picture.shape) for name, picture in pictures.items()}
        if len(set(shapes.values())) > 1:
            each = ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in shapes.items())
            raise InputError(f"Guides have to lie on one grid, and these are of {each}; resample them to the result's.")
        if not pictures:
            return replace(self, pictures=None, given=(), estimate=None)
        nowhere = torch.full(next(iter(shapes.values())), math.nan)
        stacked = torch.stack([pictures.get(name, nowhere) for name in known], 1).float()
        stacked = torch.where(stacked.isfinite(), stacked, math.nan)
        given = tuple(name for name in known if name in pictures)
        return replace(self, pictures=stacked, given=given, estimate=None, kept=KeptGuidance())

    def modality(self, name: str) -> str:
        """A modality as the card spells it; upper and lower case are one.

        Raises:
            InputError: there is none.
        """
        known = self.guide_card.arguments.modalities
        for each in known:
            if each.casefold() == name.casefold():
                return each
        raise InputError(f"No guide of {self.guide_card.name!r} is called {name!r}; {closest(name, known)}.")

    @property
    def weighed(self) -> tuple[str, ...]:
        """Those that are given, where they have weights: not where all count alike or lie side by side."""
        return self.given if self.guide_card.arguments.fusion in ("dynamic", "learned") else ()

    @property
    def binding_guides(self) -> tuple[str, ...]:
        """The hash of the guides' file and the modalities that are given; nothing without any."""
        return (self.guide_card.tensors_sha256, *sorted(self.given)) if self.given else ()

    @property
    def named(self) -> str:
        """By its own file, not that of its parent."""
        return self.guide_card.name

    @property
    def notes(self) -> tuple[str, ...]:
        """Who guides it."""
        card = self.guide_card
        if not self.given:
            return (*super().notes, f"no guide is given: {card.name} is the prior {card.parent} then")
        return (
            *super().notes,
            f"guided by {', '.join(self.given)}, by {card.name}, trained for {card.arguments.target}",
        )

    @property
    def seen(self) -> list[Data]:
        """Of the guides' training too."""
        return [*super().seen, *self.guide_card.training]

    @property
    def memory(self) -> int:
        """Bytes of the guides' pictures, and of what is kept of one, or of its largest tile."""
        if self.pictures is None:
            return 0
        experts, (*_, rows, columns) = self.guides.experts, sorted(self.pictures.shape[2:])
        pixels = min(rows * columns, TILE**2) + 2 * self._context * (min(rows, TILE) + min(columns, TILE))
        feature = experts.width * experts.dtype.itemsize * pixels // experts.stride**2
        return self.pictures.nbytes + 3 * len(self.given) * feature  # with a key of it for either network

    @property
    def facts(self) -> dict[str, str | int]:
        """Which one it is, for run.json."""
        return {**super().facts, "guides": self.guide_card.name, "guides_sha256": self.guide_card.tensors_sha256}

    @property
    def corrects(self) -> bool:
        """Where there are guides, whose training knows estimates from thick slices."""
        return self.pictures is not None and any(data.planes == "all" for data in self.guide_card.training)

    def corrected(self, x: Tensor) -> Tensor:
        """As `Prior.corrected`, of the whole picture that `pictures` are of."""
        if not self.corrects:
            return x
        refiner = self.guides.encoder
        return guided_condition(refiner, self.injected(refiner.site), self._condition(x)).mean

    def about(self, x: Tensor) -> Self:
        """With an estimate that could be `corrected`, of the whole picture that `pictures` are of."""
        return replace(self, estimate=x) if self.corrects and self._gated else self

    def unconditional_input(self, x: Tensor) -> Tensor:
        """With what the gate finds in the estimate, where there is one."""
        nothing = super().unconditional_input(x)
        if self.estimate is None:
            return nothing
        refiner, condition = self.guides.encoder, self._condition(self.estimate.to(self.device))
        found = found_in(refiner, self.injected(refiner.site), condition)
        return torch.cat([nothing, found.expand(len(x), -1, -1, -1)], 1)

    def _condition(self, x: Tensor) -> Condition:
        """An estimate of which there are no features."""
        return Condition(x, torch.zeros(len(x), self.card.network.encoder.features, *x.shape[2:], device=x.device))

    @property
    def plain(self) -> Self:
        """The unguided one."""
        return self.guided_by({})

    @property
    def features(self) -> int:
        """With what the gate has found, as `Injection.on_condition`."""
        return super().features + (2 * len(self.guide_card.arguments.modalities) if self._gated else 0)

    @property
    def _gated(self) -> bool:
        """Whether there is a gate to hand on what it finds, and guides to find it in."""
        return self.pictures is not None and self.guide_card.arguments.fusion == "dynamic"

    @property
    def encoder_extra(self) -> int:
        """By the guides' own reach, at the smallest scale."""
        if self.pictures is None:
            return super().encoder_extra
        return math.ceil(self._reach(self.guides.encoder) / min(self.card.network.scales))

    @property
    def receptive_radius(self) -> int:
        """Of the denoiser with the guides beyond it, and of a correction: a multiple of the stride."""
        if self.pictures is None:
            return super().receptive_radius
        own, looked_at = super().receptive_radius, self._reach(self.guides.encoder)
        told = own if self.estimate is None else max(own, looked_at)  # of an estimate, and handed on
        farthest = max(told + self._reach(self.guides.denoiser), looked_at)
        return math.ceil(farthest / self.stride) * self.stride

    def _reach(self, refiner: Refiner) -> int:
        """In pixels of the truth; of the grids' pixels the last counts whole."""
        return self.guides.experts.reach + refiner.reach + refiner.site.stride - 1

    def rearranged(self, how: Callable[[Tensor], Tensor]) -> Self:
        """With the guides rearranged as the pictures are."""
        if self.pictures is None:
            return self
        estimate = None if self.estimate is None else how(self.estimate)
        return replace(self, pictures=how(self.pictures), estimate=estimate, kept=KeptGuidance())

    def within(self, window: Window) -> Self:
        """With the guides cut to a window; beyond their own edge they are mirrored."""
        if self.pictures is None:
            return self
        cut = self.pictures[(..., *window)]
        rows, columns = (w.stop - w.start - n for w, n in zip(window, cut.shape[-2:], strict=True))
        top, left = (first + w.start for first, w in zip(self.origin, window, strict=True))
        whole = cut.shape == self.pictures.shape  # of one of several tiles nothing is kept
        kept = self.kept if whole else KeptGuidance()
        edges = 0, columns, 0, rows
        estimate = None if self.estimate is None else mirrored(self.estimate[(..., *window)], edges)
        return replace(self, pictures=mirrored(cut, edges), estimate=estimate, origin=(top, left), kept=kept)

    def encode(self, y: Tensor, scale: int, noise_std: Tensor, features: bool) -> Condition:
        """As `TrainedPrior.encode`, of the whole picture that `pictures` are of."""
        if self.pictures is None:
            return super().encode(y, scale, noise_std, features)
        condition = super().encode(y, scale, noise_std, True)
        refiner = self.guides.encoder
        guided = guided_condition(refiner, self.injected(refiner.site), condition)
        return guided if features else guided._replace(features=guided.features[:, :0])

    def denoise_residual(
        self, residual: Tensor, sigma: Tensor, sigma_data: Tensor, seen: Tensor, mode: Tensor, noise_std: Tensor
    ) -> Tensor:
        """As `TrainedPrior.denoise_residual`, of the whole picture that `pictures` are of."""
        if self.pictures is None:
            return super().denoise_residual(residual, sigma, sigma_data, seen, mode, noise_std)
        refiner = self.guides.denoiser
        injection = self.injected(refiner.site)
        return guided_denoise(self.denoiser, refiner, injection, residual, sigma, sigma_data, seen, mode, noise_std)

    def injected(self, site: Site) -> Injection:
        """What the guides bring to a place, for one evaluation."""
        if self.pictures is None:
            raise RuntimeError("asked only where there are guides")
        # `kept` is shared with those that this one was cut from; what inference makes is of no use where gradients go
        place = self.origin, self.pictures.shape, torch.is_inference_mode_enabled()
        if self.kept.guidance is None or self.kept.place != place:
            pictures, experts = self.pictures.to(self.device), self.guides.experts
            said = guidance(experts, pictures, pictures.isfinite(), site.cell, self.origin, self._context)
            self.kept.place, self.kept.guidance, self.kept.injections = place, said, {}
        if site not in self.kept.injections:
            said = self.kept.guidance
            if site is self.guides.denoiser.site:  # which is trained on patches without a context
                said = said.inner(self._context)
            self.kept.injections[site] = Injection(site, said)
        return self.kept.injections[site]

    @property
    def _context(self) -> int:
        """Pixels beyond an edge by which guides, and what they correct, are mirrored: whole cells."""
        cell = self.guides.encoder.site.cell
        return math.ceil(CONTEXT / cell) * cell
