"""The units measured so far, on disk, so that a calibration that was cut off goes on."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.trust.staircase import Staircase


@dataclass(frozen=True, eq=False)
class UnitRecord:
    """What a certificate keeps of one unit, or why there is nothing.

    Attributes:
        staircase: its losses; None where the tool failed on it.
        quantiles: of its scores.
        statistics: of one of its measurements, (K,).
        failed: what the tool said.
        maps: hash of the user's own maps that it was measured with.
    """

    staircase: Staircase | None
    quantiles: NDArray[np.float32]
    statistics: NDArray[np.float64]
    failed: str = ""
    maps: str = ""


class CalibrationLog:
    """One line of JSON per unit, after a line that says for which calibration.

    Args:
        path: of the log.
        head: everything the records depend on.

    Raises:
        InputError: there is a log of another calibration, or it cannot be written.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self.path = path
        self.records: dict[str, UnitRecord] = {}
        first = json.dumps(head, sort_keys=True)
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is no log of a calibration ({error}); delete it to start again.") from error
        if lines and lines[0] != first:
            raise InputError(
                f"{path} is of a calibration with other settings, pictures or code; delete it to start again."
            )
        for line in lines[1:]:
            try:
                name, record = _decoded(json.loads(line))
            except (ValueError, KeyError, TypeError):
                break  # the line that was being written when the run was cut off; what follows is measured again
            self.records[name] = record
        self.first = first
        try:
            path.open("a").close()  # a folder that cannot be written to is known before the work
            self._write()
        except OSError as error:
            raise InputError(f"Cannot write {path}: {error.strerror}; choose another `--output`.") from error

    def add(self, name: str, record: UnitRecord) -> None:
        """Keep a unit; on disk when this returns."""
        self.records[name] = record
        if len(self.records) == 1:
            self._write()
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_encoded(name, record) + "\n")

    def _write(self) -> None:
        """What is known; nothing is left of a calibration that has measured nothing."""
        if not self.records:
            self.path.unlink(missing_ok=True)
            return
        lines = [self.first, *(_encoded(n, r) for n, r in self.records.items())]
        self.path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def remove(self) -> None:
        """Take it away, once the certificate is written."""
        self.path.unlink(missing_ok=True)


def _encoded(name: str, record: UnitRecord) -> str:
    stairs = record.staircase
    arrays: dict[str, NDArray[Any]] = {
        "scores": np.empty(0, np.float32) if stairs is None else stairs.scores,
        "losses": np.empty(0, np.int64) if stairs is None else stairs.losses,
        "quantiles": record.quantiles,
    }
    line: dict[str, Any] = {k: base64.b85encode(v.tobytes()).decode() for k, v in arrays.items()}
    line |= {"unit": name, "statistics": record.statistics.tolist(), "failed": record.failed, "maps": record.maps}
    return json.dumps(line)


def _decoded(line: dict[str, Any]) -> tuple[str, UnitRecord]:
    kinds = {"scores": np.float32, "losses": np.int64, "quantiles": np.float32}
    arrays = {k: np.frombuffer(base64.b85decode(line[k]), kind) for k, kind in kinds.items()}
    stairs = None if line["failed"] else Staircase(arrays["scores"], arrays["losses"])
    statistics = np.array(line["statistics"], np.float64)
    return line["unit"], UnitRecord(stairs, arrays["quantiles"], statistics, line["failed"], line["maps"])
