"""What restoring a scan takes, before it is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_ABOVE = 1.5  # of a larger unit, from where on it is spoken of
_UNITS = (("hours", 3600), ("minutes", 60))


@dataclass(frozen=True)
class Cost:
    """Of one step.

    Attributes:
        work: a phrase that counts the evaluations and their memory.
        memory: bytes at the peak beside the networks, an upper estimate.
        seconds: on this machine, by one small evaluation.
    """

    work: str
    memory: int
    seconds: float

    @property
    def line(self) -> str:
        """In words."""
        return f"{self.work}; {told(self.seconds)} on this machine."


def told(seconds: float) -> str:
    """A time in words, as rough as its estimate: `about 12 minutes`."""
    for unit, length in _UNITS:
        if seconds >= _ABOVE * length:
            count = seconds / length
            return f"about {count:.0f} {unit}" if count >= 10 else f"about {count:.1f} {unit}"
    return f"about {max(2, round(seconds))} seconds"


def facts(costs: Sequence[Cost]) -> dict[str, Any]:
    """Of all steps, one after the other, for `--json`."""
    return {
        "memory_mb": round(max(cost.memory for cost in costs) / 1e6),
        "seconds": round(sum(cost.seconds for cost in costs), 3),
    }
