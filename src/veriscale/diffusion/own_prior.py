"""Somebody's own denoiser as a prior: any callable that takes noise away, in its own parametrisation."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import torch
from torch import Tensor

from veriscale.diffusion.adapters import (
    from_epsilon,
    from_flow,
    from_v,
    from_x0,
    in_symmetric_range,
)
from veriscale.diffusion.card import (
    Budget,
    Card,
    DenoiserArguments,
    EncoderArguments,
    Mode,
    Network,
)
from veriscale.diffusion.own_arguments import SIGMAS, OwnArguments, own_arguments
from veriscale.diffusion.own_card import Measured, read_measured
from veriscale.diffusion.own_networks import networks_of, networks_sha256, values_of
from veriscale.diffusion.own_trial import Function, takes_batches, tried
from veriscale.diffusion.prior import Prior, no_gradient
from veriscale.diffusion.samplers import Denoiser
from veriscale.errors import InputError

MARK = "own:name="  # before the name of what no file holds, as of operators
FLOATS = torch.float16, torch.bfloat16, torch.float32, torch.float64  # of parameters that pictures are given in
SPREAD = 0.25  # of pictures about mid-grey, until it is measured


@dataclass(frozen=True)
class OwnPrior(Prior):
    """A prior without an encoder, made of a function; `prior_from` makes it.

    Attributes:
        function: (x, sigma) → E[x0 | x0 + sigma·n = x], pictures in [0, 1].
        digest: its hash as it is now.
        hashed: how many numbers of each network that is for, by the name it was found under.
        place, kind: device of its parameters, and the first type of theirs that pictures can have, else float32.
        multiple: what both sides of a picture must be multiples of.
        radius: how far around a pixel it looks; None where it sees whole pictures.
        notes: what a user should be told of it.
        blind: whether it takes no noise level.
    """

    function: Denoiser
    digest: Callable[[], str]
    hashed: dict[str, int]
    place: torch.device
    kind: torch.dtype
    multiple: int = 1
    radius: int | None = None
    notes: tuple[str, ...] = ()
    blind: bool = False

    @property
    def named(self) -> str:
        """Its name, marked: a prior that is installed under the same one is another."""
        return f"{MARK}{self.card.name}"

    @property
    def facts(self) -> dict[str, str | int]:
        """As `Prior.facts`, with how many numbers the hash is of, beside what was stated."""
        return {**super().facts, "parameters": sum(self.hashed.values())}

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

    def check_unchanged(self) -> None:
        """As `Prior.check_unchanged`: a network can be trained on, or be given other weights."""
        if self.digest() != self.card.tensors_sha256:
            raise InputError(
                f"The parameters of prior {self.card.name!r} have changed since `prior_from` made it; make it again, "
                "and its card."
            )

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """As `Prior.denoise`.

        Raises:
            InputError: a gradient is asked for, and the function gives none; or the answer is not finite.
        """
        mode = self.mode(0)
        told = min(max(sigma, mode.sigma_min), mode.sigma_max)  # beyond what it knows the nearest level it does
        out = self.function(x.to(self.kind), told).to(x.dtype)
        if x.requires_grad and torch.is_grad_enabled() and not out.requires_grad:
            raise no_gradient(self.card.name)
        if not bool(torch.isfinite(out).all()):
            raise InputError(f"Prior {self.card.name!r} answers noise {sigma:.3g} with values that are not finite.")
        return out


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
        module: whose parameters are hashed; by default what the function is, belongs to, or refers to by name, itself
            or by way of one object, row or function (`hashed` says how many numbers of which).
        version: names this very denoiser, in addition to its parameters or where there are none.
        name: for people and files; the function's by default.
        stride: what both sides of a picture must be multiples of; pictures are continued by reflection.
        radius: how far around a pixel it looks. With it large pictures go in tiles; without it they go whole.
        card: what `measure_prior` wrote; stated defaults where there is none.

    Raises:
        InputError: an argument is wrong, nothing says which denoiser this is, the answer to a noisy picture has another
            shape, is not finite, is no picture or is another one the next time, or the card is of another denoiser.

    Source: design and parametrisations as in docs/own-denoiser.md; the adapters name theirs.
    """
    said = own_arguments(
        function,
        channels=channels,
        range=range,
        predicts=predicts,
        alphas_bar=alphas_bar,
        whole_timesteps=whole_timesteps,
        sigmas=sigmas,
        module=module,
        version=version,
        name=name,
        stride=stride,
        radius=radius,
    )
    networks = networks_of(function, module)
    if not said.version and not any(m.state_dict() for m in networks.values()):
        raise InputError(
            "The denoiser has no parameters that can be found; give `module`, whose parameters are hashed, or "
            "`version`, a string that names this very denoiser."
        )
    weights = [p for m in networks.values() for p in (*m.parameters(), *m.buffers())]
    shaped, wrapped = _of_shape(function, said.channels), partial(_adapted, said=said)
    low, high = said.sigmas
    mode = Mode(0, [0.0], [SPREAD], max(low, SIGMAS[0]), high, mask_high=min(0.5, high), high=min(0.9, high))
    network = Network(said.channels, [], EncoderArguments(), DenoiserArguments())
    digest = partial(networks_sha256, said.stated(), networks)
    prior = OwnPrior(
        Card(said.name, network, [mode], [], [], Budget(0, 0, 0.0, "unknown"), tensors_sha256=digest()),
        wrapped(shaped),
        digest,
        values_of(networks),
        weights[0].device if weights else torch.device("cpu"),
        next((p.dtype for p in weights if p.dtype in FLOATS), torch.float32),
        said.stride,
        said.radius,
    )
    notes, blind = tried(prior, shaped, wrapped)
    prior = replace(prior, notes=notes, blind=blind)
    if not takes_batches(prior):
        prior = replace(prior, function=wrapped(_one_by_one(shaped)))
    return prior if card is None else with_card(prior, card)


def with_card(prior: OwnPrior, path: str | os.PathLike[str]) -> OwnPrior:
    """The prior with what was measured of it.

    Raises:
        InputError: the file cannot be read, is no such card, or is of another denoiser or other noise levels.
    """
    return measured(prior, read_measured(path, prior.card))


def measured(prior: OwnPrior, found: Measured) -> OwnPrior:
    """The prior with a card of what was found."""
    card = msgspec.structs.replace(
        prior.card, modes=[found.mode], consistency=found.consistency, validation=[found.pictures]
    )
    return replace(prior, card=card)


def _adapted(network: Function, said: OwnArguments) -> Denoiser:
    """The function as (x, sigma) → E[x0 | x0 + sigma·n = x], pictures in [0, 1]."""
    denoise = _in_its_range(network, said)
    return in_symmetric_range(denoise) if said.symmetric else denoise


def _in_its_range(network: Function, said: OwnArguments) -> Denoiser:
    if said.predicts == "flow":
        return from_flow(network)
    if said.schedule is not None:
        adapter = {"x0": from_x0, "epsilon": from_epsilon, "v": from_v}[said.predicts]
        return adapter(network, torch.tensor(said.schedule, dtype=torch.float64), said.whole_timesteps)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        out = network(x, torch.full((len(x),), sigma, device=x.device, dtype=torch.float32))
        return x - sigma * out if said.predicts == "epsilon" else out

    return denoise


def _one_by_one(function: Function) -> Function:
    return lambda x, t: torch.cat([function(x[k : k + 1], t[k : k + 1]) for k in range(len(x))])


def _of_shape(function: Function, channels: int) -> Function:
    def checked(x: Tensor, t: Tensor) -> Tensor:
        try:
            out = function(x.clone(), t.clone())  # which it may change in place
        except InputError:
            raise
        except (Exception, SystemExit) as error:  # whatever a user's function raises
            raise InputError(f"The denoiser fails for {tuple(x.shape)} ({type(error).__name__}: {error}).") from error
        wanted = tuple(x.shape)
        extra = (len(x), 2 * channels, *wanted[2:])
        if not isinstance(out, Tensor) or tuple(out.shape) not in (wanted, extra):
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise InputError(f"The denoiser answers {wanted} with {got}; (B, C, H, W) as given, or 2C, is wanted.")
        if not out.is_floating_point():
            raise InputError(f"The denoiser answers in {out.dtype}, which no picture is in; let it answer in x.dtype.")
        return out[:, :channels]

    return checked
