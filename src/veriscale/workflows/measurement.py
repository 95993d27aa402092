"""What made a measurement, by the user's word, an operator file or the sidecar beside it."""

from pathlib import Path

from veriscale.errors import InputError
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import Noise
from veriscale.physics.operator import Operator
from veriscale.physics.registry import parse_operator, read_operator_file
from veriscale.workflows.degradation import MEASURED, read_sidecar, sidecar_path


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
    scale: int | None,
    noise: str | float | Noise | None,
    folder: Path = Path(),
) -> tuple[Operator | None, str | float | Noise]:
    """The operator, None for plain upscaling, and the noise of a measurement.

    Args:
        path: its file, where it has one.
        operator: as stated, which wins over the sidecar.
        scale: as stated, likewise.
        noise: as stated, likewise; 0 where nobody says anything.
        folder: what paths in the operator start from.

    Raises:
        InputError: scale and operator contradict each other, or the sidecar is missing, edited or of another file.
    """
    sidecar = None if path is None else read_sidecar(path)
    found: Operator | None = None
    if operator is not None:
        found, named = read_operator(operator, folder)
        noise = named if noise is None else noise
        if scale is not None and not (isinstance(found, Downsample) and found.scale == scale):
            raise InputError(f"--scale {scale} and --operator {operator} contradict each other; give one.")
    elif sidecar and path and scale is None:
        found = parse_operator(sidecar.operator, path.parent)
    elif path and sidecar is None and scale is None and path.stem.endswith(MEASURED):
        raise InputError(
            f"{path} looks like a measurement of veriscale degrade, and its sidecar {sidecar_path(path).name} is "
            "missing; say --operator and --noise, or --scale to upscale it as it is."
        )
    if noise is None:
        noise = sidecar.noise if sidecar else "0"
    return found, noise
