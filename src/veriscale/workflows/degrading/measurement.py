"""What made a measurement: the user's word, an operator file, or the sidecar beside it."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing
from veriscale.imaging.scan_name import split_scan_name
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import Noise
from veriscale.physics.operator import Operator
from veriscale.physics.registry import parse_operator, read_operator_file

SIDECAR = ".measurement.json"
MEASURED = "_degraded"
"""What the name of a measurement ends in where the user gives none."""


class Sidecar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What made a measurement.

    Attributes:
        operator: its string; files in it are named as seen from the sidecar's folder.
        noise: the noise's string.
        seed: of the noise.
        sha256: of the file it lies beside.
        check: of the other fields, so that an edited sidecar is known for one.
        spacing: of the scan that was measured, in millimetres along the axes as stored; None of a photograph.
    """

    operator: str
    noise: str
    seed: int
    sha256: str
    check: str = ""
    spacing: tuple[float, float, float] | None = None

    def sealed(self) -> "Sidecar":
        """With its check."""
        told = [self.operator, self.noise, self.seed, self.sha256]
        content = json.dumps(told if self.spacing is None else [*told, self.spacing])
        return msgspec.structs.replace(self, check=hashlib.sha256(content.encode()).hexdigest()[:16])


def read_operator(operator: str | Operator, folder: Path = Path()) -> tuple[Operator, str | None]:
    """An operator by its string, or a TOML file's with the noise that the file states.

    Raises:
        InputError: it is not known, or the file cannot be used.
    """
    if isinstance(operator, Operator):
        return operator, None
    if operator.strip().endswith(".toml"):
        return read_operator_file(folder / operator.strip())
    return parse_operator(operator, folder), None


def find_measurement(
    path: Path | None,
    operator: str | Operator | None,
    scale: float | None,
    noise: str | float | Noise | None,
    folder: Path = Path(),
    usual: str = "0",
) -> tuple[Operator | None, str | float | Noise]:
    """The operator, None for plain upscaling, and the noise of a measurement.

    Args:
        path: its file, where it has one.
        operator: as stated, which wins over the sidecar.
        scale: as stated, likewise.
        noise: as stated, likewise.
        folder: what paths in the operator start from.
        usual: noise where nobody says anything.

    Raises:
        InputError: scale and operator contradict each other, or the sidecar is missing, edited or of another file.
    """
    sidecar = None if path is None else read_sidecar(path)
    found: Operator | None = None
    if operator is not None:
        found, named = read_operator(operator, folder)
        noise = named if noise is None else noise
        if scale is not None and not (isinstance(found, Downsample) and found.scale == scale):
            raise InputError(f"`--scale` {scale:g} and `--operator` {operator} contradict each other; give one.")
    elif sidecar and path and scale is None:
        found = parse_operator(sidecar.operator, path.parent)
    elif path and sidecar is None and scale is None and split_scan_name(path)[0].endswith(MEASURED):
        raise InputError(
            f"{path} looks like a measurement of veriscale degrade, and its sidecar {sidecar_path(path).name} is "
            "missing; say `--operator` and `--noise`, or `--scale` to upscale it as it is."
        )
    if noise is None:
        noise = sidecar.noise if sidecar else usual
    return found, noise


def contradiction(path: Path | None, operator: Operator) -> str | None:
    """A phrase where the sidecar beside a file names another operator than the one that is used; None where not.

    Raises:
        InputError: as `read_sidecar`.
    """
    sidecar = None if path is None else read_sidecar(path)
    if path is None or sidecar is None or sidecar.operator == str(operator.beside(path.parent)):
        return None
    return f"the sidecar says {sidecar.operator}, noise {sidecar.noise}; as stated, {operator} is used"


def write_sidecar(
    measurement: Path,
    operator: Operator,
    noise: Noise,
    seed: int,
    spacing: tuple[float, float, float] | None = None,
) -> None:
    """Say beside a written measurement how it was made, as `Sidecar`; replaces an older sidecar."""
    digest = hashlib.sha256(measurement.read_bytes()).hexdigest()
    sidecar = Sidecar(str(operator.beside(measurement.parent)), str(noise), seed, digest, spacing=spacing).sealed()
    with replacing(sidecar_path(measurement), force=True) as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(sidecar), indent=2) + b"\n")


def sidecar_path(measurement: str | os.PathLike[str]) -> Path:
    """Where a measurement's sidecar lies."""
    return Path(f"{os.fspath(measurement)}{SIDECAR}")


def read_sidecar(measurement: Path) -> Sidecar | None:
    """The sidecar of a measurement, None where there is none.

    Raises:
        InputError: it cannot be read, was edited, or is of another file than the one it lies beside.
    """
    path = sidecar_path(measurement)
    if not path.exists():
        return None
    try:
        document: Any = json.loads(path.read_bytes())
        sidecar = msgspec.convert(document, Sidecar)
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise InputError(f"Sidecar {path} cannot be used: {error}; delete it, or degrade again.") from error
    if sidecar.sealed() != sidecar:
        raise InputError(
            f"Sidecar {path} was edited after it was written; degrade again, or delete it and say `--operator` "
            "and `--noise`."
        )
    if sidecar.sha256 != hashlib.sha256(measurement.read_bytes()).hexdigest():
        raise InputError(f"Sidecar {path} is of another version of {measurement.name}; delete it, or degrade again.")
    return sidecar
