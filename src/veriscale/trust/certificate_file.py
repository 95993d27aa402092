"""The file of a certificate: JSON, with the many numbers packed."""

import base64
import errno
import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing
from veriscale.trust.certificate import PROTOCOL, QUANTILES, Binding, Certificate, Information
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.facts import facts_of
from veriscale.trust.losses.registry import make_loss
from veriscale.trust.modes import Guarantee
from veriscale.trust.risk_level import exact
from veriscale.trust.scores.registry import parse_score
from veriscale.trust.staircase import RESOLUTION, STEPS, Staircase

FORMAT = "veriscale certificate"
VERSION = 1  # of the file
_LARGEST = 1e6  # of the drift statistics, which are tenths of logarithms and of shares


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The certificate as it is stored; `sha256` is of everything else."""

    format: str
    version: int
    binding: Binding
    information: dict[str, Any]
    statistics: list[list[float]]
    quantiles: str
    sizes: list[int]
    events: str
    sha256: str = ""


def write_certificate(certificate: Certificate, path: str | os.PathLike[str], force: bool = False) -> Certificate:
    """Write it, whole or not at all; returns it with its hash.

    Raises:
        InputError: the file exists and `force` is not set, or cannot be written.
    """
    scores = np.concatenate([np.empty(0, np.float32), *(s.scores for s in certificate.staircases)])
    rises = np.concatenate([np.empty(0, np.int64), *(np.diff(s.losses, prepend=0) for s in certificate.staircases)])
    file = File(
        FORMAT,
        VERSION,
        certificate.binding,
        certificate.information,
        certificate.statistics.tolist(),
        packed(certificate.quantiles.ravel().astype("<f4")),
        [s.scores.size for s in certificate.staircases],
        packed(scores.astype("<f4"), rises.astype("<u4")),
    )
    file = msgspec.structs.replace(file, sha256=digest(msgspec.to_builtins(file)))
    with replacing(path, force) as temporary:
        temporary.write_text(json.dumps(msgspec.to_builtins(file), indent=1) + "\n", encoding="utf-8")
    return replace(certificate, sha256=file.sha256)


def read_certificate(path: str | os.PathLike[str]) -> Certificate:
    """Read and check a certificate.

    Raises:
        InputError: missing, truncated, edited, something else, or of another version.
    """
    try:
        if not Path(path).is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))  # nor one that never ends
        text = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"Certificate {path} cannot be read: {error.strerror}.") from error
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"Certificate {path} is truncated or is no JSON ({error}); copy it again.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path} is no certificate of veriscale calibrate.")
    if document.get("version") != VERSION:
        raise InputError(
            f"Certificate {path} is of version {document.get('version')}; this library reads version {VERSION}: "
            "calibrate again."
        )
    if document.get("sha256") != digest(document):
        raise InputError(f"Certificate {path} was edited or damaged after it was written; copy it or calibrate again.")
    try:
        file = msgspec.convert(document, File, dec_hook=lambda kind, given: facts_of(given))
        staircases = _unpacked(file)
        statistics = np.array(file.statistics, np.float64)
        if statistics.ndim != 2 or not (np.abs(statistics) < _LARGEST).all():
            raise ValueError("its statistics are none of pictures")
        information = msgspec.convert(file.information, Information)
        quantiles = _numbers(file.quantiles, len(file.sizes) * QUANTILES).view("<f4").astype(np.float32)
        quantiles = quantiles.reshape(len(file.sizes), QUANTILES)
        if not (quantiles[:, 1:] >= quantiles[:, :-1]).all():
            raise ValueError("a unit's quantiles are not in order")
        for what, held in (("units", len(staircases)), ("rows of drift statistics", len(statistics))):
            if held != file.binding.n:
                raise ValueError(f"it speaks of {file.binding.n} units and holds {held} {what}")
        _check_promise(file.binding, information.alpha)
    except (msgspec.ValidationError, ValueError, OverflowError, zlib.error, InputError) as error:
        raise InputError(f"Certificate {path} is not valid: {error}; calibrate again.") from error
    if file.binding.protocol != PROTOCOL:
        raise InputError(
            f"Certificate {path} was measured by protocol {file.binding.protocol}, and this library measures by "
            f"{PROTOCOL}: calibrate again."
        )
    return Certificate(file.binding, file.information, staircases, statistics, quantiles, file.sha256)


def _check_promise(binding: Binding, meant: str | UnsetType) -> None:
    if (binding.unit.kind == "patient") != (binding.unit.scans is not UNSET):
        raise ValueError("patients are of scans, and pictures and folders are not")
    loss = make_loss(binding.loss, binding.tau, binding.tile)
    parse_score(binding.score)
    bound = loss.bound(parse_discrepancy(binding.discrepancy).bound)
    if binding.bound != bound:
        raise ValueError(f"B is {binding.bound:g} where {bound:g} belongs")
    alphas = [exact(a) for a in binding.declared] or [exact("0.1")]
    guarantee = Guarantee(
        binding.mode, binding.n, bound, binary=loss.binary, leaked=binding.leaked, delta=binding.delta, declared=alphas
    )
    guarantee.allowance(alphas[0] if meant is UNSET else exact(meant))


def packed(*arrays: NDArray[Any]) -> str:
    """Numbers of four bytes as text; bytes of one significance lie together, which halves what compression leaves."""
    content = b"".join(a.tobytes() for a in arrays)
    planes = np.frombuffer(content, np.uint8).reshape(-1, 4).T.tobytes()
    return base64.b85encode(zlib.compress(planes, 9)).decode()


def _numbers(text: str, count: int) -> NDArray[np.uint8]:
    """The bytes of `count` packed numbers; a text that unpacks to more is not unpacked."""
    content = zlib.decompressobj().decompress(base64.b85decode(text), 4 * count + 1)
    if len(content) != 4 * count:
        raise ValueError(f"it does not hold the {count} numbers that its sizes ask for")
    return np.ascontiguousarray(np.frombuffer(content, np.uint8).reshape(4, -1).T).ravel()


def _unpacked(file: File) -> tuple[Staircase, ...]:
    if not all(0 <= size <= STEPS for size in file.sizes):
        raise ValueError(f"a unit has more than {STEPS} steps")
    total = sum(file.sizes)
    numbers = _numbers(file.events, 2 * total)
    scores, rises = numbers[: 4 * total].view("<f4"), numbers[4 * total :].view("<u4").astype(np.int64)
    ends = np.cumsum(file.sizes)[:-1]
    pairs = zip(np.split(scores, ends), np.split(rises, ends), strict=True)
    staircases = tuple(Staircase(s.astype(np.float32), np.cumsum(r)) for s, r in pairs)
    for stairs, rise in zip(staircases, np.split(rises, ends), strict=True):
        ordered = (np.diff(stairs.scores) > 0).all() and (stairs.scores < np.inf).all()
        if stairs.losses.size and not (ordered and (rise > 0).all() and stairs.losses[-1] <= RESOLUTION):
            raise ValueError("a unit's losses are no staircase")
    return staircases


def digest(document: Mapping[str, Any]) -> str:
    """The hash of a certificate's document, its own field `sha256` apart."""
    content = {k: v for k, v in document.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
