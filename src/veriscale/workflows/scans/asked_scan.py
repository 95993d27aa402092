"""What is asked of a scan, by the user's word and by the sidecar that `degrade` has left beside it."""

from dataclasses import dataclass, replace
from pathlib import Path

from veriscale.errors import InputError
from veriscale.physics.composition import Composition
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import Noise, parse_noise
from veriscale.physics.operator import Operator
from veriscale.physics.slice_profile import SliceProfile
from veriscale.workflows.degrading.measurement import Sidecar, contradiction, find_measurement, read_sidecar
from veriscale.workflows.restoring.prior_restorer import PriorRestorer

Spacing = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, eq=False)
class AskedScan:
    """What is known of how a scan came about, and so of what is to be restored.

    Attributes:
        restorer: with operator and noise of its slices.
        spacing: of the result in millimetres along the stored axes, None to keep one; None where the slices' operator
            says what they become.
        notes: sentences for the user.
    """

    restorer: PriorRestorer
    spacing: Spacing | None
    notes: tuple[str, ...] = ()


def asked_scan(restorer: PriorRestorer, path: Path | None) -> AskedScan:
    """Operator and noise of a scan as of `find_measurement`; of thick slices the spacing that they had before.

    Args:
        restorer: by a prior, with what is asked.
        path: the scan; None of one that comes from no file.

    Raises:
        InputError: as `find_measurement`, or the operator is restored by a spacing and none is known.
    """
    v, own = restorer.settings, restorer.operator or restorer.settings.operator
    asked = None if v.spacing is None else spacings(v.spacing)
    file = path if path is not None and path.is_file() else None
    sidecar = None if file is None else read_sidecar(file)
    looked = file if sidecar is not None or asked is None else None
    held, usual = restorer.certificate, "0"
    if held is not None and sidecar is None:
        facts = held.binding.restoration
        own, usual = own or (facts.operator if (v.scale, asked) == (None, None) else None), facts.noise
    operator, noise = find_measurement(looked, own, v.scale, restorer.noise or v.noise, restorer.folder, usual)
    known = noise if isinstance(noise, Noise) else None if noise == "auto" else parse_noise(str(noise))
    by = replace(restorer, operator=operator if asked is None else None, noise=known)
    if operator is None or not any(isinstance(part, SliceProfile) for part in _parts(operator)):
        return AskedScan(
            by, asked, _unlike(sidecar, file, operator or (None if v.scale is None else Downsample(v.scale)), asked)
        )
    if asked is not None:
        return AskedScan(by, asked)
    if own is not None or sidecar is None:
        raise InputError("Thick slices are restored to a spacing; in the place of `--operator` slice say `--spacing`.")
    others = [part for part in _parts(operator) if not isinstance(part, SliceProfile)]
    plain = all(isinstance(part, Downsample) and part.kernel == "bicubic" for part in others)
    if sidecar.spacing is None or not plain:
        raise InputError(
            f"The sidecar says that the scan was measured by {operator}, and not to which spacing that is restored; "
            "say `--spacing`."
        )
    was = " × ".join(f"{s:.4g}" for s in sidecar.spacing)
    note = f"By its sidecar the scan was measured by {operator} at {was} mm: that spacing is restored."
    return AskedScan(replace(by, operator=None), sidecar.spacing, (note,))


def spacings(text: str) -> Spacing:
    """The three of `1,1,1` or `-,-,1`.

    Raises:
        InputError: they are not.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        a, b, c = (None if part == "-" else float(part) for part in parts)
        return a, b, c
    except ValueError as error:
        raise InputError(f"`--spacing` {text} is not three numbers in mm, such as 1,1,1 or -,-,1.") from error


def _unlike(
    sidecar: Sidecar | None, path: Path | None, used: Operator | None, asked: Spacing | None
) -> tuple[str, ...]:
    """A sentence where the sidecar says something else than what is used."""
    if sidecar is None or path is None or used is None:
        return ()
    if asked is None:
        other = contradiction(path, used)
        return () if other is None else (f"{other}.",)
    if all(isinstance(part, Downsample) for part in _parts(used)):
        return ()
    return (f"the sidecar says {sidecar.operator}; `--spacing` takes the scan for plainly coarser.",)


def _parts(operator: Operator) -> tuple[Operator, ...]:
    return tuple(operator.parts) if isinstance(operator, Composition) else (operator,)
