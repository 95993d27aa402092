"""Python's way in: arguments become settings."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from veriscale.decimals import shortest
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError, closest
from veriscale.imaging.photo import Photo
from veriscale.imaging.volume import Volume
from veriscale.physics.measurement_noise import Noise
from veriscale.physics.operator import Operator
from veriscale.physics.own_operator import check_operator
from veriscale.runtime.device import Device
from veriscale.runtime.networks import TILE
from veriscale.settings import KINDS, Asked, Settings, as_kind, check_functions, checked, takes_asked
from veriscale.traversal.method import Tell
from veriscale.trust.certificate import Certificate
from veriscale.trust.scores.registry import parse_score
from veriscale.workflows.image import Image, as_photo
from veriscale.workflows.inputs import OF_SCANS
from veriscale.workflows.opening import find_certificate, open_restorer, usual_prior
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.restoring.restoration import Restoration
from veriscale.workflows.scans.asked_guides import asked_of
from veriscale.workflows.scans.reading import Scan, read_scan, takes_scan
from veriscale.workflows.scans.scan_job import scan_job
from veriscale.workflows.scans.scan_restoration import ScanRestoration
from veriscale.workflows.tools.black_box import ToolError

Array = NDArray[np.float32]


def as_settings(asked: Asked) -> Settings:
    """Python's arguments as strings and numbers.

    Raises:
        InputError: a dial position outside [0, 1], or a value of another kind than its setting's.
        TypeError: a name that is no setting's.
    """
    if unknown := [k for k in asked if k not in KINDS]:
        raise TypeError(f"{unknown[0]!r} is no setting; {closest(unknown[0], KINDS)}")
    check_operator(asked.get("operator"))
    written = ("operator", "noise", "alpha")  # as they print: 0.02 of 32 bits is not 0.0199999996
    said: dict[str, Any] = {k: str(v) if k in written else _plain(v) for k, v in asked.items() if v is not None}
    if "dial" in said and not isinstance(said["dial"], str):
        said["dial"] = ",".join(map(shortest, checked(_numbers(said["dial"]))))
    if isinstance(apart := said.get("spacing"), Iterable) and not isinstance(apart, str):
        said["spacing"] = ",".join("-" if each is None else str(each) for each in apart)
    return Settings(**{name: as_kind(name, given) for name, given in said.items()})


def _plain(value: object) -> object:
    """A number of NumPy's as Python's, a path as its string."""
    if isinstance(value, np.generic):
        return value.item()
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _numbers(dial: object) -> list[float]:
    try:
        values = np.atleast_1d(np.asarray(dial, np.float64))
        if values.ndim > 1:
            raise ValueError(values.shape)
    except (TypeError, ValueError) as error:
        raise InputError(f"Dial {dial!r} is not a number in [0, 1], or several such as [0, 0.5, 1].") from error
    return [float(f) for f in values]


def _count(name: str, given: object) -> int:
    """A whole number from 1 on, as an argument."""
    count = int(as_kind(name, given, int))
    if count < 1:
        raise InputError(f"`--{name}` is {given!r}, and a whole number from 1 on is wanted.")
    return count


def _picture(image: Image | Volume) -> Photo | Scan:
    if isinstance(image, Volume):
        return Scan(image, "", None)
    if isinstance(image, str | os.PathLike) and takes_scan(Path(image)):
        return read_scan(Path(image))
    return as_photo(image)


@overload
def restore(
    image: Volume,
    prior: Prior | str | os.PathLike[str] | None = None,
    *,
    certificate: Certificate | str | os.PathLike[str] | None = None,
    guides: Mapping[str, str | os.PathLike[str] | Volume] | None = None,
    another_patient: bool = False,
    device: Device = "auto",
    tile: int = TILE,
    batch: int | None = None,
    progress: Tell | None = None,
    **asked: Unpack[Asked],
) -> ScanRestoration: ...  # and of a path to a scan


@overload
def restore(
    image: Image,
    prior: Prior | str | os.PathLike[str] | None = None,
    *,
    certificate: Certificate | str | os.PathLike[str] | None = None,
    score: Array | None = None,
    device: Device = "auto",
    tile: int = TILE,
    batch: int | None = None,
    progress: Tell | None = None,
    **asked: Unpack[Asked],
) -> Restoration: ...


@takes_asked
def restore(
    image: Image | Volume,
    prior: Prior | str | os.PathLike[str] | None = None,
    *,
    certificate: Certificate | str | os.PathLike[str] | None = None,
    score: Array | None = None,
    guides: Mapping[str, str | os.PathLike[str] | Volume] | None = None,
    another_patient: bool = False,
    device: Device = "auto",
    tile: int = TILE,
    batch: int | None = None,
    progress: Tell | None = None,
    **asked: Unpack[Asked],
) -> Restoration | ScanRestoration:
    """Restore a measurement, anywhere between closest on average (dial 0) and looks real (dial 1).

    Args:
        image: a file, an array, a tensor, a picture of Pillow's or a `Photo`, as of `as_photo`; or a scan: a `Volume`,
            a NIfTI file or a folder of a DICOM series. How thick its slices are a file may say, a `Volume` does not.
        prior: name, path or a loaded prior; that of the certificate by default, else `photo`, of scans `mri`.
        certificate: of `calibrate`, its file or its name: it gives the settings that are left open, and the mask.
        score: your own map (H, W), where the certificate's score is "files".
        guides: of a scan, other modalities that help it, where the prior is a file of guides: by name a file, a folder
            in which it lies under a name like the scan's, or a `Volume`, registered; edges may be "auto".
        another_patient: take guides whose DICOM headers tell another PatientID.
        device: "auto", "cuda", "mps" or "cpu"; that of a prior that is loaded already.
        tile: side of a network's tile in output pixels; bounds memory, does not change the picture.
        batch: draws sampled together; by memory by default.
        progress: called after every evaluation of a network over the picture, and in plane after every slice.
        asked: every setting of `veriscale.Settings` by its name, such as `scale`, `operator` (a string or an
            `Operator`), `noise` (a number, a string or a `Noise`), `dial` (a number or several), `samples`, `seed`,
            `spacing` (a string or three numbers, None to keep an axis); `command` restores with a tool.

    Returns:
        Of a scan a `ScanRestoration`.

    Raises:
        InputError: the picture or a setting cannot be used.

    Example:
        >>> restore("small.png", scale=4, dial=[0, 1]).save("out")  # doctest: +SKIP
        >>> restore(read_volume("scan.nii.gz"), spacing=(None, None, 1), thickness=4).save("out")  # doctest: +SKIP
    """
    held = None if certificate is None else find_certificate(certificate)
    if asked.get("alpha") is not None and held is None:
        raise InputError("alpha is the level of a certificate's mask, and no certificate is given.")
    if score is not None and (held is None or parse_score(held.binding.score).needs != "maps"):
        raise InputError("A score of your own goes with a certificate whose score is 'files', and here is none.")
    if progress is not None:
        check_functions(progress=progress)
    picture = _picture(image)
    if score is not None and isinstance(picture, Scan):
        raise InputError("A score of your own is for photographs yet, and this is a scan; leave it out.")
    given = as_settings(asked)
    if isinstance(prior, str | os.PathLike):
        given, prior = replace(given, prior=os.fspath(prior)), None
    if isinstance(certificate, str | os.PathLike):
        given = replace(given, certificate=os.fspath(certificate))
    default = usual_prior(isinstance(picture, Scan), guides)
    restorer = open_restorer(given, held, prior=prior, default=default, device=device)
    if isinstance(restorer, PriorRestorer):
        operator, noise = asked.get("operator"), asked.get("noise")
        restorer = replace(
            restorer,
            operator=operator if isinstance(operator, Operator) else restorer.operator,
            noise=noise if isinstance(noise, Noise) else None,
            own_score=score,
            tile=_count("tile", tile),
            batch=None if batch is None else _count("batch", batch),
        )
    tell = progress or (lambda phase, done, of: None)
    if guides and not isinstance(picture, Scan):
        raise InputError(OF_SCANS.format("guide"))
    if isinstance(picture, Scan):
        if not isinstance(restorer, PriorRestorer):
            raise InputError("A tool is given photographs, and this is a scan; leave out `--command`.")
        job = scan_job(restorer, picture, asked_of(restorer, guides or {}, another_patient))
        result = job.restore(job.planned()[0], tell, look=True)
        told = {"arguments": restorer.told, **job.told_guides}
        return replace(result, run={**result.run, **told})
    path = Path(image) if isinstance(image, str | os.PathLike) else None
    try:
        return restorer.prepare(picture, path).restore(tell)
    except ToolError as error:
        raise InputError(f"The tool failed: {error}") from error
