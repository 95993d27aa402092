"""How a certified result and its score are made: facts that must be the same in use as in calibration."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Dtype = Literal["float32", "bfloat16", "float16"]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Facts:
    """What a result depends on, and nothing that it does not; its members are `PriorFacts` and `ToolFacts`.

    Attributes:
        operator, noise: what made the measurement, as strings.
        scale: the factor, where the operator is downsampling by an integer.
    """

    __slots__ = ()

    operator: str
    noise: str
    scale: Count | None

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
        mode: "conditional", "zero-shot" or "latent".
        operator, scale, noise: as of all facts.
        operator_files: hashes of what the files hold that the operator names, as `Operator.contents`.
        anchor, consistent, dial: as of a request.
        runtime, dtype: what ran the networks, and in which numbers.
        guides: the hash of their file and the sorted names of those that are given; empty without any.
        card: sha256 of what the prior's card says that decides these pictures: `Card.deciding_sha256`.
        preset: the settings of the anchor "paper".
        prompt, negative_prompt, guidance: what a latent prior was told, where it takes texts.
        posterior, sampler, steps, path, samples, seed: where the dial or the score asks for draws.
        predictor: sha256 of the predictor's tensors, where it gives the score.
    """

    prior: str
    mode: Literal["conditional", "zero-shot", "latent"]
    operator: str
    scale: Count | None
    noise: str
    anchor: str
    consistent: bool
    dial: Annotated[float, Meta(ge=0, le=1)]
    runtime: str
    dtype: Dtype
    guides: list[str]
    card: str
    operator_files: str | UnsetType = UNSET
    preset: dict[str, bool | int | float | None] | UnsetType = UNSET
    prompt: str | UnsetType = UNSET
    negative_prompt: str | UnsetType = UNSET
    guidance: float | UnsetType = UNSET
    posterior: str | UnsetType = UNSET
    sampler: str | UnsetType = UNSET
    steps: Count | UnsetType = UNSET
    path: str | UnsetType = UNSET
    samples: Count | UnsetType = UNSET
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | UnsetType = UNSET
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
    scale: Count
    noise: str
    samples: Count | UnsetType = UNSET
    perturbations: list[str] | UnsetType = UNSET


def facts_of(given: object) -> Facts:
    """The facts that a file gives by name.

    Raises:
        msgspec.ValidationError: one is missing, unknown or of another type.
    """
    of_tool = isinstance(given, dict) and "command" in given
    return msgspec.convert(given, ToolFacts) if of_tool else msgspec.convert(given, PriorFacts)
