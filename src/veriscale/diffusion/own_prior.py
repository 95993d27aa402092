"""Somebody's own denoiser as a prior: any callable that takes noise away, in its own parametrisation."""

import hashlib
import inspect
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from veriscale.diffusion.adapters import (
    from_epsilon,
    from_flow,
    from_v,
    from_x0,
    in_symmetric_range,
    sigmas_of,
)
from veriscale.diffusion.card import (
    Budget,
    Card,
    Consistency,
    Data,
    DenoiserArguments,
    EncoderArguments,
    Mode,
    Network,
)
from veriscale.diffusion.prior import Prior
from veriscale.diffusion.samplers import Denoiser
from veriscale.errors import InputError, closest

Function = Callable[[Tensor, Tensor], Tensor]
"""(x, sigma) or (x_t, t) → what it predicts; the second argument is (B,)."""

PREDICTS = "x0", "epsilon", "v", "flow"
SIGMAS = 0.002, 10.0  # noise levels that a network of the variance-exploding kind knows, unless it is said
SPREAD = 0.25  # of pictures about mid-grey, until it is measured
PROBE, SIDE = (0.05, 0.5), 64  # noise levels and side of the picture that every new function is tried on
_RESTLESS = nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd  # their common bases
FAR = 1.0  # RMS from the truth at which an answer is none


@dataclass(frozen=True)
class OwnPrior(Prior):
    """A prior without an encoder, made of a function; `prior_from` makes it.

    Attributes:
        function: (x, sigma) → E[x0 | x0 + sigma·n = x], pictures in [0, 1].
        place, kind: device and type of its parameters.
        multiple: what both sides of a picture must be multiples of.
        radius: how far around a pixel it looks; None where it sees whole pictures.
        notes: what a user should be told of it.
        blind: whether it takes no noise level.
    """

    function: Denoiser
    place: torch.device
    kind: torch.dtype
    multiple: int = 1
    radius: int | None = None
    notes: tuple[str, ...] = ()
    blind: bool = False

    @property
    def device(self) -> torch.device:
        """Of its parameters."""
        return self.place

    @property
    def dtype(self) -> torch.dtype:
        """Of its parameters."""
        return self.kind

    @property
    def stride(self) -> int:
        """As it was stated."""
        return self.multiple

    @property
    def receptive_radius(self) -> int | None:
        """As it was stated."""
        return self.radius

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """As `Prior.denoise`.

        Raises:
            InputError: a gradient is asked for, and the function gives none; or the answer is not finite.
        """
        mode = self.mode(0)
        told = min(max(sigma, mode.sigma_min), mode.sigma_max)  # beyond what it knows the nearest level it does
        out = self.function(x.to(self.kind), told).to(x.dtype)
        if x.requires_grad and torch.is_grad_enabled() and not out.requires_grad:
            raise InputError(
                f"Prior {self.card.name!r} gives no gradient; choose `--anchor` fast and `--posterior` proximal, "
                "or a denoiser that does."
            )
        if not bool(torch.isfinite(out).all()):
            raise InputError(f"Prior {self.card.name!r} answers noise {sigma:.3g} with values that are not finite.")
        return out


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured of somebody's own prior on pictures of theirs: a small file.

    Attributes:
        prior: its hash.
        mode: with sigma_data, v(sigma), and the first level and trust of the anchor `fast`.
        consistency: what is usual for that anchor.
        pictures: on which.
    """

    prior: str
    mode: Mode
    consistency: list[Consistency]
    pictures: Data


def prior_from(
    function: Function,
    *,
    channels: int,
    range: tuple[float, float] = (0, 1),
    predicts: str = "x0",
    alphas_bar: Sequence[float] | Tensor | None = None,
    whole_timesteps: bool = False,
    sigmas: tuple[float, float] | None = None,
    module: torch.nn.Module | None = None,
    version: str = "",
    name: str | None = None,
    stride: int = 1,
    radius: int | None = None,
    card: str | os.PathLike[str] | None = None,
) -> OwnPrior:
    """A prior from a denoiser of any kind, tried once before it is believed.

    Args:
        function: (x, t) → (B, C, H, W), or with C more channels behind, which are left out (a learned variance). x is
            (B, C, H, W) in the function's own `range`; t is (B,): the noise level sigma in the units of that range, or
            with `alphas_bar` the timestep, or for a flow the time from 0 to 1. A function that takes no level may
            ignore t. Differentiable in x where `dps` or `covariance` is wanted.
        channels: 1 for grey, 3 for colour.
        range: of the pictures it knows, (0, 1) or (-1, 1).
        predicts: "x0", the picture; "epsilon", the unit noise; "v", √ᾱ·epsilon − √(1 − ᾱ)·x0; or "flow", noise less
            picture.
        alphas_bar: (T,) decreasing, where x is √ᾱ·x0 + √(1 − ᾱ)·n; without it x is x0 + sigma·n.
        whole_timesteps: whether timesteps between two are unknown to it.
        sigmas: the least and the largest noise level it knows, pictures in [0, 1]; by default those of `alphas_bar`,
            else 0.002 and 10. Draws begin at the largest at most.
        module: whose parameters are hashed; by default what the function is, belongs to, or refers to by name.
        version: names this very denoiser, in addition to its parameters or where there are none.
        name: for people and files; the function's by default.
        stride: what both sides of a picture must be multiples of; pictures are continued by reflection.
        radius: how far around a pixel it looks. With it large pictures go in tiles; without it they go whole.
        card: what `measure_prior` wrote; stated defaults where there is none.

    Raises:
        InputError: an argument is wrong, nothing says which denoiser this is, the answer to a noisy picture has another
            shape, is not finite or is no picture, or the card is of another denoiser.

    Source: design and parametrisations as in docs/own-denoiser.md; the adapters name theirs.
    """
    if range not in ((0, 1), (-1, 1)):
        raise InputError(f"The range {range!r} is unknown; known: (0, 1), (-1, 1).")
    if predicts not in PREDICTS:
        raise InputError(f"A network that predicts {predicts!r} is unknown; {closest(predicts, PREDICTS)}.")
    if channels not in (1, 3):
        raise InputError(f"A prior is for 1 or 3 channels, not {channels}.")
    if not isinstance(stride, int) or stride < 1 or not (radius is None or (isinstance(radius, int) and radius >= 0)):
        raise InputError(f"`stride` {stride!r} and `radius` {radius!r} are pixels: from 1 and from 0 on.")
    schedule = _schedule(alphas_bar, predicts)
    modules = _modules(function, module)
    if not modules and not version:
        raise InputError(
            "The function has no parameters that can be found; give `module`, whose parameters are hashed, or "
            "`version`, a string that names this very denoiser."
        )
    if any(part.training and isinstance(part, _RESTLESS) for m in modules.values() for part in m.modules()):
        raise InputError("The network is in training mode, where it answers otherwise every time; call its `eval()`.")
    weights = [p for m in modules.values() for p in m.parameters()]
    name = name or str(getattr(function, "__name__", type(function).__name__))
    stated = [name, version, channels, list(range), predicts, whole_timesteps, schedule, stride, radius]
    denoise = _adapted(_of_shape(function, channels), predicts, schedule, whole_timesteps)
    symmetric = range == (-1, 1)
    if sigmas is None:
        known = SIGMAS if schedule is None else (float(s) for s in sigmas_of(torch.tensor(schedule))[[0, -1]])
        low, high = (s / 2 if symmetric and schedule is not None else s for s in known)
    else:
        low, high = sigmas
    if not 0 <= low < high < math.inf:
        raise InputError(f"Noise levels from {low:g} to {high:g} are none; give the least and the largest it knows.")
    mode = Mode(0, [0.0], [SPREAD], max(low, SIGMAS[0]), high, mask_high=min(0.5, high), high=min(0.9, high))
    network = Network(channels, [], EncoderArguments(), DenoiserArguments())
    digest = _digest(stated, modules)
    prior = OwnPrior(
        Card(name, network, [mode], [], [], Budget(0, 0, 0.0, "unknown"), tensors_sha256=digest),
        in_symmetric_range(denoise) if symmetric else denoise,
        weights[0].device if weights else torch.device("cpu"),
        weights[0].dtype if weights else torch.float32,
        stride,
        radius,
    )
    notes, blind = _tried(prior)
    prior = replace(prior, notes=notes, blind=blind)
    return prior if card is None else with_card(prior, Path(card))


def with_card(prior: OwnPrior, path: Path) -> OwnPrior:
    """The prior with what was measured of it.

    Raises:
        InputError: the file cannot be read, is no such card, or is of another denoiser.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Measured)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(f"Card {path} cannot be used: {error}; measure the prior again.") from error
    if found.prior != prior.card.tensors_sha256:
        raise InputError(f"Card {path} is of another denoiser than {prior.card.name!r}; measure this one.")
    return measured(prior, found)


def measured(prior: OwnPrior, found: Measured) -> OwnPrior:
    """The prior with a card of what was found."""
    card = msgspec.structs.replace(
        prior.card, modes=[found.mode], consistency=found.consistency, validation=[found.pictures]
    )
    return replace(prior, card=card)


def _schedule(alphas_bar: Sequence[float] | Tensor | None, predicts: str) -> list[float] | None:
    if alphas_bar is None:
        if predicts == "v":
            raise InputError("A network that predicts v needs the schedule it was trained with; give `alphas_bar`.")
        return None
    if predicts == "flow":
        raise InputError("A flow's time is its schedule; leave out `alphas_bar`.")
    values = torch.as_tensor(alphas_bar, dtype=torch.float64)
    if values.ndim != 1 or len(values) < 2 or not bool((values.diff() < 0).all()):
        raise InputError("`alphas_bar` must be one row of decreasing numbers.")
    if not 1 > float(values[0]) > float(values[-1]) > 0:
        raise InputError("`alphas_bar` must lie between 0 and 1; leave out a last timestep without signal.")
    return [float(v) for v in values]


def _adapted(network: Function, predicts: str, schedule: list[float] | None, whole: bool) -> Denoiser:
    if predicts == "flow":
        return from_flow(network)
    if schedule is not None:
        adapter = {"x0": from_x0, "epsilon": from_epsilon, "v": from_v}[predicts]
        return adapter(network, torch.tensor(schedule, dtype=torch.float64), whole)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        out = network(x, torch.full((len(x),), sigma, device=x.device, dtype=torch.float32))
        return x - sigma * out if predicts == "epsilon" else out

    return denoise


def _of_shape(function: Function, channels: int) -> Function:
    def checked(x: Tensor, t: Tensor) -> Tensor:
        try:
            out = function(x, t)
        except InputError:
            raise
        except Exception as error:  # whatever a user's function raises
            raise InputError(f"The denoiser fails for {tuple(x.shape)} ({type(error).__name__}: {error}).") from error
        wanted = tuple(x.shape)
        extra = (len(x), 2 * channels, *wanted[2:])
        if not isinstance(out, Tensor) or tuple(out.shape) not in (wanted, extra):
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise InputError(f"The denoiser answers {wanted} with {got}; (B, C, H, W) as given, or 2C, is wanted.")
        return out[:, :channels]

    return checked


def _modules(function: Function, module: torch.nn.Module | None) -> dict[str, torch.nn.Module]:
    """The networks that a function is made of, by name."""
    if module is not None:
        return {"": module}
    for whole in (function, getattr(function, "__self__", None)):
        if isinstance(whole, torch.nn.Module):
            return {"": whole}
    if not inspect.isfunction(function):
        return {}
    seen = inspect.getclosurevars(function)
    return {k: v for k, v in sorted({**seen.globals, **seen.nonlocals}.items()) if isinstance(v, torch.nn.Module)}


def _digest(stated: list[object], modules: dict[str, torch.nn.Module]) -> str:
    """Sha256 of what was stated and of every parameter and buffer."""
    digest = hashlib.sha256(json.dumps(stated).encode())
    for name, module in modules.items():
        for key, value in sorted(module.state_dict().items()):
            digest.update(f"{name}.{key} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def _tried(prior: OwnPrior) -> tuple[tuple[str, ...], bool]:
    """What one noisy picture tells of a denoiser, and whether it is blind; raises `InputError` where it is none."""
    side = -(-SIDE // prior.stride) * prior.stride
    ramp = torch.linspace(0.2, 0.8, side)
    x = (ramp[:, None] + ramp[None, :]).mul(0.5).expand(1, prior.card.network.channels, side, side).to(prior.device)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(prior.device)
    levels = [min(max(s, prior.mode(0).sigma_min), prior.mode(0).sigma_max) for s in PROBE]
    answers = [prior.denoise(x + s * noise, s) for s in levels]
    for level, answer in zip(levels, answers, strict=True):
        off = float((answer - x).square().mean().sqrt())
        if off > FAR:
            raise InputError(
                f"The denoiser's answer to a picture with noise {level:.2g} is off by {off:.2g} (root mean square), "
                "far outside of [0, 1]; look at `range`, `predicts` and `alphas_bar`."
            )
    left = float((answers[-1] - x).square().mean().sqrt())
    notes = []
    if left > levels[-1]:
        notes.append(
            f"It leaves more than noise {levels[-1]:.2g} of noise {levels[-1]:.2g}: is it told what it expects"
        )
    blind = torch.equal(prior.denoise(x + levels[0] * noise, levels[-1]), answers[0])
    if blind:
        notes.append(
            "It takes no noise level and judges it by the picture, so that it cannot be told how far to trust one: "
            "where little noise is left, and where the input is no picture with white noise, it may judge wrong"
        )
    return tuple(notes), blind
