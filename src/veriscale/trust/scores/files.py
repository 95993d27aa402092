"""Maps that the user brings."""

from dataclasses import dataclass
from typing import ClassVar

from veriscale.trust.scores.score import Needs, Score


@dataclass(frozen=True)
class Files(Score):
    """`files`: one map per picture."""

    name: ClassVar[str] = "files"
    needs: ClassVar[Needs] = "maps"
