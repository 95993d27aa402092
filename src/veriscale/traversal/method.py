"""A method: how a prior restores one kind of measurement. Conditional, zero-shot and latent are its members."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor

from veriscale.diffusion.noise_field import NoiseField
from veriscale.runtime.networks import TILE
from veriscale.traversal.anchor import Kept
from veriscale.traversal.dial import Dial

Tell = Callable[[str, int, int], None]
"""(phase, done, of): told after every evaluation of a network over the picture."""


def labelled(tell: Tell, label: str) -> Tell:
    """Tells the same of something that has a name."""
    return lambda what, done, of: tell(f"{label}: {what}", done, of)


@dataclass(frozen=True)
class Work:
    """What a problem will be asked, and how it is carried out.

    Attributes:
        features: whether draws or predictions of the error will be asked for.
        evaluations: of the denoiser, in all.
        tile: side of a network's tile in output pixels.
        tell: told after every evaluation.
        kept: where an anchor leaves its state, and a draw itself, if they do.
    """

    features: bool
    evaluations: int
    tile: int = TILE
    tell: Tell = lambda phase, done, of: None
    kept: Kept | None = None


class Problem(Protocol):
    """One measurement under restoration: the first stage is done, the second is on call."""

    anchor: Tensor
    """(1, C, H, W); at its bottom and right it may be continued beyond the picture."""
    fell_back: bool
    """Whether the anchor `fast` left its splitting."""

    def draw(self, fields: Sequence[tuple[NoiseField, int]], start: float) -> Tensor:
        """Draws from the noise level `start`, (B, C, H, W), one per field and number."""

    def dial(self, full: Sequence[Tensor], partial: Callable[[float], Tensor] | None) -> Dial:
        """Where positions between 0 and 1 lie.

        Args:
            full: independent full draws, as many as `Method.pilots` says.
            partial: start → a draw from there; None where all positions lie on the path `interpolate`.
        """

    def predicted_error(self, threshold: Tensor) -> Tensor:
        """The logit of P(|x − anchor| > threshold | y), (1, H, W) for a threshold per pixel, (1, H, W).

        Raises:
            InputError: the method has no such prediction.
        """


class Method(Protocol):
    """Everything about a restoration but the picture, the dial and the draws asked for; known before any work.

    A frozen dataclass with the prior that it uses as a field.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """For people and run.json."""

    @property
    def how(self) -> str:
        """A phrase that says how the prior is used."""

    @property
    def scale(self) -> int | None:
        """Of bicubic downsampling, where the prior was trained for this very measurement; None elsewhere."""

    @property
    def anchor(self) -> str:
        """The first stage's name."""

    @property
    def posterior(self) -> str:
        """The second stage's name."""

    @property
    def path(self) -> str:
        """How positions of the dial are reached, unless it is said."""

    @property
    def sampler(self) -> str:
        """Of the second stage."""

    @property
    def steps(self) -> int:
        """Of the sampler."""

    @property
    def sigma_max(self) -> float:
        """The noise level at which a full draw starts."""

    @property
    def first_evaluations(self) -> int:
        """Evaluations of the denoiser in the first stage."""

    @property
    def evaluations(self) -> int:
        """Evaluations of the denoiser in one draw."""

    @property
    def pilots(self) -> tuple[int, int]:
        """Full and partial draws it takes to learn a dial position on the path `renoise`; a card's table takes none."""

    @property
    def gradient(self) -> bool:
        """Whether a draw keeps the graph of the network: one at a time, then."""

    @property
    def settings(self) -> dict[str, Any]:
        """Of a preset, as far as its first stage reads it: binding in a certificate, and then it reads the seed too."""

    @property
    def told(self) -> dict[str, Any]:
        """What the prior is told of the picture beside its measurement, by the names of settings."""

    def check_dial(self) -> None:
        """Raise `InputError` where positions between 0 and 1 cannot be reached."""

    def memory(self, pixels: int, channels: int, pictures: int, features: bool) -> int:
        """Bytes of canvases at the peak for so many pictures, beside the networks and their tile: an upper estimate."""

    def costs(self) -> tuple[str, str]:
        """Two phrases about the first stage and the memory."""

    def begin(self, y: Tensor, copies: int, noise: Callable[[], NoiseField], work: "Work") -> Problem:
        """The first stage.

        Args:
            y: (1, C, h, w), the measurement with the prior's channels, float32 on the CPU.
            copies: how many of them are the same channel.
            noise: makes the restoration's noise.
            work: what the problem will be asked, and how.
        """
