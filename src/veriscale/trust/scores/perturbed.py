"""What runs on perturbed inputs disagree on."""

from dataclasses import dataclass
from typing import ClassVar

from veriscale.trust.scores.score import Needs
from veriscale.trust.scores.variance import Variance


@dataclass(frozen=True)
class Perturbed(Variance):
    """`perturbed`: the variance between runs on perturbed inputs, for a tool that has no draws."""

    name: ClassVar[str] = "perturbed"
    needs: ClassVar[Needs] = "perturbed runs"
