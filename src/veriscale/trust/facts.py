"""How a certified result and its score are made: facts that must be the same in use as in calibration."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

Dtype = Literal["float32", "bfloat16", "float16"]


class Facts:
    """What a result depends on, and nothing that it does not; its members are `PriorFacts` and `ToolFacts`.

    Attributes:
        operator, noise: what made the measurement, as strings.
        scale: the factor, where the operator is downsampling by an integer.
    """

    __slots__ = ()

    operator: str
    noise: str
    scale: int | None

    def given(self) -> dict[str, Any]:
        """The facts that are there, by name, in the order of the file."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def measured_by(self, operator: str, noise: str) -> "Facts":
        """The same of another measurement."""
        return facts_of({**self.given(), "operator": operator, "noise": noise})


class PriorFacts(msgspec.Struct, Facts, frozen=True, forbid_unknown_fields=True):
    """Of a prior's result; a fact that nothing depends on is unset and not in the file.

    Attributes:
        prior: sha256 of its tensors.
        mode: "conditional" or "zero-shot".
        operator, scale, noise: as of all facts.
        anchor, consistent, dial: as of a request.
        runtime, dtype: what ran the networks, and in which numbers.
        guides: none so far.
        preset: the settings of the anchor "paper".
        posterior, sampler, steps, path, samples, seed: where the dial or the score asks for draws.
        predictor: sha256 of the predictor's tensors, where it gives the score.
    """

    prior: str
    mode: str
    operator: str
    scale: int | None
    noise: str
    anchor: str
    consistent: bool
    dial: float
    runtime: str
    dtype: Dtype
    guides: list[str]
    preset: dict[str, int | float | None] | UnsetType = UNSET
    posterior: str | UnsetType = UNSET
    sampler: str | UnsetType = UNSET
    steps: int | UnsetType = UNSET
    path: str | UnsetType = UNSET
    samples: int | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    predictor: str | UnsetType | None = UNSET


class ToolFacts(msgspec.Struct, Facts, frozen=True, forbid_unknown_fields=True):
    """Of a tool's result.

    Attributes:
        command: its command line.
        tool: sha256 of what it runs.
        operator, scale, noise: as of all facts.
        samples: runs, where the score asks for them.
        perturbations: of the input, where the score asks for them.
    """

    command: str
    tool: str
    operator: str
    scale: int
    noise: str
    samples: int | UnsetType = UNSET
    perturbations: list[str] | UnsetType = UNSET


def facts_of(given: object) -> Facts:
    """The facts that a file gives by name.

    Raises:
        msgspec.ValidationError: one is missing, unknown or of another type.
    """
    of_tool = isinstance(given, dict) and "command" in given
    return msgspec.convert(given, ToolFacts) if of_tool else msgspec.convert(given, PriorFacts)
