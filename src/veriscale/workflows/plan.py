"""What a restoration will do, checked before any work: scale, noise, dials, sampler, cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from veriscale.diffusion.prior import Prior
from veriscale.diffusion.samplers import evaluations, sampler
from veriscale.errors import InputError, closest
from veriscale.imaging.colour import premultiplied
from veriscale.imaging.photo import Photo
from veriscale.physics.measurement_noise import estimate_noise, parse_noise
from veriscale.traversal.dial import PATHS, check_dials, find_table

SMALLEST = 8  # measurement pixels a side


@dataclass(frozen=True)
class Plan:
    """A checked request.

    Attributes:
        scale: factor from the measurement to the result.
        noise_std: of the measurement, as given or estimated.
        dials: positions, sorted.
        path: how positions between 0 and 1 are reached.
        samples: draws at dial 1 for mean and std.
        sampler, steps: of the second stage.
        seed: of all noise.
        shape: (H, W) of the result.
    """

    scale: int
    noise_std: float
    dials: tuple[float, ...]
    path: str
    samples: int
    sampler: str
    steps: int
    seed: int
    shape: tuple[int, int]

    @property
    def chains(self) -> int:
        """Runs of the sampler."""
        above = [f for f in self.dials if f > 0]
        if self.path == "interpolate":
            return max(self.samples, 1 if above else 0)
        return self.samples + len([f for f in above if f < 1 or not self.samples])

    @property
    def evaluations(self) -> int:
        """Evaluations of the denoiser, each over one picture."""
        return self.chains * evaluations(self.sampler, self.steps)

    def memory(self, channels: int, features: int) -> int:
        """Bytes of canvases at the peak, beside the networks and their tile: an upper estimate."""
        pixels = 4 * self.shape[0] * self.shape[1]
        draws = self.samples + len(self.dials)
        return pixels * (channels * (3 + draws) + (features + 5 * channels if self.chains else 0))


def make_plan(
    photo: Photo,
    prior: Prior,
    *,
    scale: int | None,
    noise: str | float,
    dial: float | Sequence[float],
    path: str,
    samples: int,
    sampler_name: str,
    steps: int,
    seed: int,
) -> Plan:
    """Check a request against a photograph and a prior.

    Raises:
        InputError: the prior does not know the scale, noise or channels, a value is out of range, or the picture is
            too small.
    """
    scales = prior.card.network.scales
    scale = max(scales) if scale is None else scale
    if scale not in scales:
        known = ", ".join(f"×{s}" for s in sorted(scales))
        raise InputError(f"Prior {prior.card.name!r} does not know scale ×{scale}; it knows {known}.")
    if photo.channels > prior.card.network.channels:
        raise InputError(
            f"Prior {prior.card.name!r} is for grey pictures and this one has {photo.channels} channels; "
            "convert it to grey or choose a colour prior."
        )
    if min(photo.height, photo.width) < SMALLEST:
        raise InputError(
            f"A picture of {photo.width}×{photo.height} is too small; {SMALLEST} pixels a side are the least."
        )
    noise_std = (
        estimate_noise(premultiplied(photo.samples, photo.alpha)) if noise == "auto" else parse_noise(str(noise))
    )
    largest = prior.mode(scale).noise_std[-1]
    if noise == "auto":
        noise_std = min(noise_std, largest)
    if noise_std > largest:
        raise InputError(f"Prior {prior.card.name!r} knows noise up to {largest:g}, not {noise_std:g}.")
    if path not in PATHS:
        raise InputError(f"Unknown path {path!r}; {closest(path, PATHS)}.")
    sampler(sampler_name)
    if steps < 1 or samples < 0 or seed < 0:
        raise InputError(
            f"steps {steps}, samples {samples}, seed {seed}: steps must be at least 1, the others at least 0."
        )
    if samples == 1:
        raise InputError("samples is 1, and one draw has no spread; ask for at least 2, or for --dial 1.")
    dials = check_dials([dial] if isinstance(dial, int | float) else dial)
    if any(0 < f < 1 for f in dials):
        find_table(prior.card, scale, noise_std, sampler_name, steps)
    shape = (photo.height * scale, photo.width * scale)
    return Plan(scale, noise_std, dials, path, samples, sampler_name, steps, seed, shape)


def parse_dials(text: str) -> tuple[float, ...]:
    """`0.5` or `0,0.5,1`.

    Raises:
        InputError: not numbers in [0, 1].
    """
    if not re.fullmatch(r"[\d.eE+\-, ]+", text):
        raise InputError(f"Dial {text!r} is not a number in [0, 1], or several such as 0,0.5,1.")
    try:
        return check_dials([float(part) for part in text.split(",")])
    except ValueError as error:
        raise InputError(f"Dial {text!r} is not a number in [0, 1], or several such as 0,0.5,1.") from error
