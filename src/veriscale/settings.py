"""What can be asked of a restoration: strings and numbers, a line of help each.

One form for every door: the command line makes its options of the fields, Python's arguments become it, run.json holds
it, certificates fix some of it.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from math import isnan
from operator import index
from os import PathLike, fspath
from typing import Any, TypedDict, TypeVar, get_args, get_type_hints

from veriscale.errors import InputError, shown

Door = TypeVar("Door", bound=Callable[..., Any])

ALL = ("restore", "calibrate", "evaluate")
"""The commands that take settings."""


def _setting(help: str, *, usual: str | int | bool | None = None, commands: Sequence[str] = ALL) -> Any:
    return field(default=None, metadata={"help": help, "usual": usual, "commands": commands})


@dataclass(frozen=True)
class Settings:
    """What is asked of a restoration; None is not said, and left to a certificate, an earlier run, or the default."""

    prior: str | None = _setting(
        "A name that `veriscale priors` lists, a file, a folder in the layout of diffusers or hub:owner/name, or "
        "package.module:factory of your own; that of the certificate by default, else `photo`, of scans `mri`, with "
        "guides `mri-guided`."
    )
    scale: float | None = _setting(
        "Factor; the prior's largest by default. restore reaches others, 2.5 or 8, by way of the prior's, at dial 0."
    )
    operator: str | None = _setting(
        "What made the measurement, instead of --scale: downsample, denoise, blur, inpaint, sensing, fourier, slice, "
        "hdr, nonlinear-blur or jpeg with its keys, as inpaint:keep=0.5; several as 'A + B'; a TOML file; or "
        "package.module:factory of your own. The sidecar that `degrade` wrote says it by itself. For evaluate "
        "of scans alone, or where a certificate is for one of your own.",
    )
    noise: str | None = _setting(
        "Standard deviation of the measurement's noise in [0, 1] units; 0 by default. For restore, "
        "calibrate and scans also poisson:peak=30 or rician:0.05, for restore auto."
    )
    dial: str | None = _setting(
        "0 is closest on average, 1 looks real; several as 0,0.5,1, but one for calibrate.", usual="0"
    )
    sigma0: float | None = _setting(
        "Noise level at which the second stage begins, the paper's knob, instead of --dial; 0 is the anchor.",
        commands=("restore",),
    )
    path: str | None = _setting(
        "How positions between 0 and 1 are reached: renoise or interpolate; what looks better by default."
    )
    samples: int | None = _setting(
        "Number of draws at dial 1, for their mean and spread; of runs of a tool, for their variance. For calibrate 8 "
        "where the score needs them. For evaluate also how far the spread can be believed.",
        usual=0,
    )
    command: str | None = _setting(
        "A tool instead of a prior: 'tool {in} {out}'. No shell; {env:NAME} is filled in when it runs."
    )
    certificate: str | None = _setting(
        "A file of `veriscale calibrate`, or a name that `veriscale priors` lists: it gives the settings that are left "
        "open, and a mask of what can be trusted.",
        commands=("restore", "evaluate"),
    )
    alpha: str | None = _setting(
        "Risk level of the mask, fixed before the result is seen; what the certificate is meant for, else 0.05 for the "
        "loss area and 0.1 for others, by default. For evaluate several, as 0.02,0.05; where none is "
        "meant, a sweep. For calibrate what the certificate is meant for: refused where it would hold too few.",
    )
    score_files: str | None = _setting(
        "Your own maps, where the score is files: a path with {stem} for the picture's name."
    )
    timeout: float | None = _setting(
        "Seconds a tool may take for one run; those of the certificate, else 600, by default."
    )
    anchor: str | None = _setting(
        "First stage: mean (the prior's encoder), fast, draws or paper; what fits the measurement by default.",
        commands=("restore",),
    )
    posterior: str | None = _setting(
        "Second stage: conditional, proximal, dps or covariance, of latents dps or gauss-newton; likewise.",
        commands=("restore",),
    )
    preset: str | None = _setting(
        "The paper's settings for a task: map-rps-sr4, map-rps-inpainting, map-rps-denoising, map-rps-blur; of latents "
        "lmap-rps-ffhq- with one of these tasks, lmap-rps-coco- with sr4, inpainting, blur, sensing, hdr or "
        "nonlinear-blur.",
        commands=("restore",),
    )
    prompt: str | None = _setting("What the picture shows, for a latent prior that was trained with texts.")
    negative_prompt: str | None = _setting("What it does not show, likewise.")
    guidance: float | None = _setting(
        "How much more of the --prompt than of the --negative-prompt; 1 is none. That of the preset by default, which "
        "is 1 without either."
    )
    consistent: bool | None = _setting(
        "Move the result until what is left of the measurement is what its noise explains.",
        usual=False,
        commands=("restore",),
    )
    sampler: str | None = _setting("heun, dpm-solver++ or ancestral.")
    steps: int | None = _setting("Steps of the sampler.")
    seed: int | None = _setting("Of all noise; 0 by default.", usual=0)
    spacing: str | None = _setting(
        "Of a scan: millimetres from voxel to voxel of the result along the file's axes, as 1,1,1 or -,-,1; - keeps an "
        "axis. Where slices come nearer, their thickness is known from the DICOM series or the JSON file beside the "
        "scan, or said by --thickness.",
        commands=("restore",),
    )
    thickness: float | None = _setting(
        "Of a scan: thickness of its slices in millimetres, where no file says it.", commands=("restore",)
    )
    crop: str | None = _setting("Restore a part only: X,Y,W,H in pixels of the input.", commands=("restore",))

    ensemble: bool | None = _setting(
        "At dial 0 the mean over the eight flips and rotations of the picture: eight times the time.",
        usual=False,
        commands=("restore", "calibrate"),
    )

    def __post_init__(self) -> None:
        if isinstance(self.scale, float) and self.scale.is_integer():
            object.__setattr__(self, "scale", int(self.scale))  # ×4 is written in one way

    @property
    def said(self) -> dict[str, Any]:
        """Those that are not None."""
        return {k: v for k, v in vars(self).items() if v is not None}


class Asked(TypedDict, total=False):
    """`Settings` as Python says them: an `Operator` or a `Noise` may stand in the place of its string."""

    scale: float | str | None
    operator: object
    noise: object
    dial: str | float | Sequence[float] | None
    sigma0: float | None
    path: str | None
    samples: int | None
    command: str | None
    alpha: float | str | None
    score_files: str | None
    timeout: float | None
    anchor: str | None
    posterior: str | None
    preset: str | None
    prompt: str | None
    negative_prompt: str | None
    guidance: float | None
    consistent: bool | None
    sampler: str | None
    steps: int | None
    seed: int | None
    spacing: str | Sequence[float | None] | None
    thickness: float | None
    crop: str | None
    ensemble: bool | None


KINDS: dict[str, type] = {name: get_args(kinds)[0] for name, kinds in get_type_hints(Settings).items()}
"""The type of every setting."""

_WORDS = {str: "a string", int: "a whole number", float: "a number", bool: "True or False"}


def as_kind(name: str, given: Any, kind: type | None = None) -> Any:
    """A value in the type that is wanted: a number may come as a string, a whole one as 4.0.

    Args:
        name: of a setting, or of another argument.
        given: its value.
        kind: that of the setting by default.

    Raises:
        InputError: it is of another kind.
    """
    kind = kind or KINDS[name]
    try:
        if kind in _NUMBERS and not isinstance(given, bool):
            return _NUMBERS[kind](given)
        if type(given) is not kind:
            raise TypeError(given)
    except (TypeError, ValueError) as error:
        raise InputError(f"`--{name.replace('_', '-')}` is {given!r}, and {_WORDS[kind]} is wanted.") from error
    return given


def as_name(name: str, given: Any) -> str:
    """The name of a file, of a folder or of what is installed.

    Raises:
        InputError: the argument `name` is something else.
    """
    if not isinstance(given, str | PathLike):
        raise InputError(f"`--{name}` is {shown(given)}, and the name of a file or folder is wanted.")
    return str(fspath(given))


def as_names(name: str, given: Any) -> list[str]:
    """The names in a row of them, or the one.

    Raises:
        InputError: the argument `name` is neither.
    """
    row = given if isinstance(given, Iterable) and not isinstance(given, str | bytes | PathLike) else [given]
    return [as_name(name, one) for one in row]


def check_functions(**given: object) -> None:
    """Raise `InputError` for an argument that is not called."""
    for name, function in given.items():
        if not callable(function):
            raise InputError(f"`--{name}` is {shown(function)}, and a function is wanted.")


def _whole(given: Any) -> int:
    try:
        return int(given) if isinstance(given, str) else index(given)
    except (TypeError, ValueError):
        if not float(given).is_integer():
            raise
    return int(float(given))


def _number(given: Any) -> float:
    number: float = given if type(given) is int else float(given)
    if isnan(number):
        raise ValueError(given)
    return number


_NUMBERS: dict[type, Callable[[Any], float]] = {int: _whole, float: _number}


def takes_asked(function: Door) -> Door:
    """Let `help` show the settings in the place of `**asked`."""
    signature, helped = inspect.signature(function), {f.name: f.metadata["help"] for f in fields(Settings)}
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    asked = [inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=None) for k in Asked.__annotations__]
    function.__signature__ = signature.replace(parameters=[*own, *asked])  # type: ignore[attr-defined]  # for inspect
    lines = (f"        {p.name}: {helped[p.name]}" for p in asked)
    function.__doc__ = "\n".join([function.__doc__ or "", "    Settings:", *lines, ""])
    return function


def usual() -> dict[str, Any]:
    """The defaults, of the settings that have one."""
    return {f.name: f.metadata["usual"] for f in fields(Settings) if f.metadata["usual"] is not None}


def settled(given: Settings, certified: Settings | None = None, repeated: Settings | None = None) -> Settings:
    """Given over certificate over repeated run over default.

    Scale and operator say the same thing, as dial and sigma0 do: one of them given takes the place of both.
    """
    values = usual()
    for said in (layer.said for layer in (repeated, certified, given) if layer is not None):
        for one, other in (("scale", "operator"), ("dial", "sigma0")):
            if (one in said) != (other in said):
                values |= {one: None, other: None}
        values |= said
    return Settings(**values)


def positions(dial: str) -> tuple[float, ...]:
    """The dial positions in `0.5` or `0,0.5,1`, as asked for, each once.

    Raises:
        InputError: not numbers in [0, 1].
    """
    wrong = f"Dial {dial!r} is not a number in [0, 1], or several such as 0,0.5,1."
    if not re.fullmatch(r"[\d.eE+\-, ]+", dial):
        raise InputError(wrong)
    try:
        return checked([float(part) for part in dial.split(",")])
    except ValueError as error:
        raise InputError(wrong) from error


def checked(dials: Sequence[float]) -> tuple[float, ...]:
    """The dial positions, as asked for, each once.

    Raises:
        InputError: one lies outside [0, 1], or there is none.
    """
    if not dials:
        raise InputError("No dial position is given; 0 is closest on average, 1 looks real.")
    for f in dials:
        if not 0 <= f <= 1:
            raise InputError(f"Dial {f:g} is outside [0, 1]; 0 is closest on average, 1 looks real.")
    return tuple(dict.fromkeys(dials))
