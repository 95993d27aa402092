"""What is said of somebody's own denoiser, checked."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch

from veriscale.diffusion.adapters import sigmas_of
from veriscale.errors import InputError, closest, shown

PREDICTS = "x0", "epsilon", "v", "flow"
RANGES = (0, 1), (-1, 1)
SIGMAS = 0.002, 10.0  # noise levels that a network of the variance-exploding kind knows, unless it is said
WIDEST = 1024  # stride at most: the picture that a function is tried on has such sides


@dataclass(frozen=True)
class OwnArguments:
    """Arguments of `prior_from`, as it has them; `schedule` is alphas_bar, `sigmas` are of pictures in [0, 1]."""

    channels: int
    range: tuple[int, int]
    predicts: str
    schedule: list[float] | None
    whole_timesteps: bool
    sigmas: tuple[float, float]
    version: str
    name: str
    stride: int
    radius: int | None

    @property
    def symmetric(self) -> bool:
        """Whether its pictures are in [−1, 1]."""
        return self.range == (-1, 1)

    def stated(self) -> list[object]:
        """What goes into its hash."""
        return [
            self.name,
            self.version,
            self.channels,
            list(self.range),
            self.predicts,
            self.whole_timesteps,
            self.schedule,
            self.stride,
            self.radius,
        ]


def own_arguments(function: Callable[..., Any], **given: Any) -> OwnArguments:
    """Arguments of `prior_from` by their names, whatever they are.

    Raises:
        InputError: one is of another kind or out of range, or two contradict each other.
    """
    if not callable(function):
        raise InputError(f"A denoiser is a function (x, sigma) → picture, not {shown(function)}.")
    if not isinstance(given["module"], torch.nn.Module | None):
        raise InputError(f"`module` is a torch.nn.Module, not {shown(given['module'])}.")
    range, predicts = _pair(given["range"]), given["predicts"]
    if range not in RANGES:
        raise InputError(f"The range {shown(given['range'])} is unknown; known: (0, 1), (-1, 1).")
    if not isinstance(predicts, str) or predicts not in PREDICTS:
        raise InputError(f"A network that predicts {shown(predicts)} is unknown; {closest(str(predicts), PREDICTS)}.")
    channels, stride, radius = (_whole(given[k]) for k in ("channels", "stride", "radius"))
    if channels not in (1, 3):
        raise InputError(f"A prior is for 1 or 3 channels, not {shown(given['channels'])}.")
    if stride is None or not 1 <= stride <= WIDEST:
        raise InputError(f"`stride` {shown(given['stride'])} is no number of pixels from 1 to {WIDEST}.")
    if given["radius"] is not None and (radius is None or radius < 0):
        raise InputError(f"`radius` {shown(given['radius'])} is no number of pixels from 0 on; leave it out.")
    if not isinstance(given["whole_timesteps"], bool):
        raise InputError(f"`whole_timesteps` is True or False, not {shown(given['whole_timesteps'])}.")
    for what in ("name", "version"):
        text = given[what]
        if not (text is None and what == "name") and (not isinstance(text, str) or not text.isprintable()):
            raise InputError(f"`{what}` is a line of text, not {shown(text)}.")
    schedule = _schedule(given["alphas_bar"], predicts)
    return OwnArguments(
        channels=channels,
        range=RANGES[RANGES.index(range)],  # whole numbers, which the hash is of
        predicts=predicts,
        schedule=schedule,
        whole_timesteps=given["whole_timesteps"],
        sigmas=_sigmas(given["sigmas"], schedule, range == (-1, 1)),
        version=given["version"],
        name=given["name"] or str(getattr(function, "__name__", type(function).__name__)),
        stride=stride,
        radius=radius,
    )


def _schedule(alphas_bar: object, predicts: str) -> list[float] | None:
    if alphas_bar is None:
        if predicts == "v":
            raise InputError("A network that predicts v needs the schedule it was trained with; give `alphas_bar`.")
        return None
    if predicts == "flow":
        raise InputError("A flow's time is its schedule; leave out `alphas_bar`.")
    try:
        values = torch.as_tensor(alphas_bar, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # whatever torch says of what is no array
        raise InputError(f"`alphas_bar` must be one row of decreasing numbers, not {shown(alphas_bar)}.") from error
    if values.ndim != 1 or len(values) < 2 or not bool((values.diff() < 0).all()):
        raise InputError(
            f"`alphas_bar` must be one row of decreasing numbers, and these, {tuple(values.shape)}, are none."
        )
    if not 1 > float(values[0]) > float(values[-1]) > 0:
        raise InputError("`alphas_bar` must lie between 0 and 1; leave out a last timestep without signal.")
    return [float(v) for v in values]


def _sigmas(given: object, schedule: list[float] | None, symmetric: bool) -> tuple[float, float]:
    if given is None:
        if schedule is None:
            return SIGMAS
        low, high = (float(s) for s in sigmas_of(torch.tensor(schedule, dtype=torch.float64))[[0, -1]])
        return (low / 2, high / 2) if symmetric else (low, high)
    pair = _pair(given)
    if pair is None or not 0 <= pair[0] < pair[1] < math.inf or pair[1] <= SIGMAS[0]:
        raise InputError(
            f"`sigmas` {shown(given)} are no noise levels; give the least and the largest it knows, such as {SIGMAS}."
        )
    return pair


def _pair(given: Any) -> tuple[float, float] | None:
    """Two numbers; None where it is anything else."""
    try:
        low, high = (float(v) for v in given if not isinstance(v, str))
    except (TypeError, ValueError, RuntimeError):  # a tensor of many
        return None
    return low, high


def _whole(given: object) -> int | None:
    return int(given) if isinstance(given, Integral) and not isinstance(given, bool) else None
