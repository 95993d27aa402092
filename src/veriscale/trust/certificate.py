"""A certificate: what was calibrated, on what, and the losses from which every threshold follows; one JSON file."""

import base64
import errno
import hashlib
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing
from veriscale.trust.conformal import Calibration
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.drift import p_value
from veriscale.trust.losses.loss import Loss
from veriscale.trust.losses.registry import make_loss
from veriscale.trust.modes import allowance, feasible
from veriscale.trust.risk_level import exact
from veriscale.trust.scores.registry import parse_score
from veriscale.trust.staircase import RESOLUTION, STEPS, Staircase

FORMAT = "veriscale certificate"
VERSION = 1  # of the file
PROTOCOL = 1  # raised when the same settings would give other records
QUANTILES = 101


class Unit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one promise is about.

    Attributes:
        kind: "picture", or "folder": all pictures of one folder together.
        width, height: of the result in pixels; None where the loss is a mean over tiles and every size is a unit.
        colour: "RGB" or "grey".
        bits: of the measurement and of the delivered picture.
    """

    kind: str
    width: int | None
    height: int | None
    colour: str
    bits: int = 8


class Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must be the same in use as in calibration, or the promise is void.

    Attributes:
        restoration: how a result and its score are made: the prior's or the tool's hash, operator, noise, dial,
            samples, …, and nothing that the result does not depend on.
        unit: what one promise is about.
        score: its string.
        loss, tau, tile: of `losses.make_loss`.
        discrepancy: its string.
        bound: B, of the loss.
        mode, leaked, delta, declared: of `modes.allowance`; declared alphas as they were written.
        n: calibration units.
        protocol: by which they were measured.
    """

    restoration: dict[str, Any]
    unit: Unit
    score: str
    loss: str
    tau: float | None
    tile: int | None
    discrepancy: str
    bound: float
    mode: str
    n: int
    leaked: int
    delta: float | None
    declared: list[str] = []
    protocol: int = PROTOCOL


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


@dataclass(frozen=True, eq=False)
class Certificate:
    """A calibration with everything it speaks of.

    Attributes:
        binding: what must be the same in use.
        information: what need not be: version, device, date, hashes of the calibration files, those left out.
        staircases: one per unit.
        statistics: (pictures, K) of the measurements, for the drift check.
        quantiles: (n, Q) of each unit's scores, from the lowest to the highest, for shares of pixels below a threshold.
        sha256: of the content. It shows an accident, not a forgery: it is no signature.
    """

    binding: Binding
    information: dict[str, Any]
    staircases: tuple[Staircase, ...]
    statistics: NDArray[np.float64]
    quantiles: NDArray[np.float32]
    sha256: str = ""

    @cached_property
    def calibration(self) -> Calibration:
        """The merged staircases."""
        return Calibration(self.staircases, self.binding.bound)

    @property
    def loss(self) -> Loss:
        """The loss, ready to be measured on other units."""
        return make_loss(self.binding.loss, self.binding.tau, self.binding.tile)

    @property
    def usual_alpha(self) -> str:
        """The level that is taken where none is given."""
        return self.loss.usual_alpha

    def threshold(self, alpha: float | str) -> float:
        """t̂: what scores below it is trusted. −∞ (nothing) where alpha is too small for n: see `infeasible`.

        Raises:
            InputError: alpha is no positive number, or was not declared where it had to be.
        """
        return self.calibration.threshold(allowance(alpha=exact(alpha), **self._promise))

    def thresholds(self, alphas: Sequence[float | str]) -> NDArray[np.float64]:
        """`threshold` of many levels."""
        return self.calibration.thresholds([allowance(alpha=exact(a), **self._promise) for a in alphas])

    def infeasible(self, alpha: float | str) -> str | None:
        """A sentence that says why nothing can be trusted at this level and what would do, or None."""
        return feasible(alpha=exact(alpha), **self._promise)

    def shares(self, threshold: float) -> NDArray[np.float64]:
        """(n,) share of each calibration unit's pixels that would be trusted, to about a hundredth."""
        levels = np.linspace(0, 1, self.quantiles.shape[1])
        return np.array([_share_below(row, levels, threshold) for row in self.quantiles])

    def nonempty(self, threshold: float) -> tuple[float, float]:
        """The share of calibration units whose mask is empty, and the mean loss of the others (0 if there are none)."""
        empty = self.quantiles[:, 0] >= threshold
        losses = np.array([s.at(threshold) for s in self.staircases]) * self.binding.bound / RESOLUTION
        return float(empty.mean()), float(losses[~empty].mean()) if (~empty).any() else 0.0

    def drift(self, statistics: NDArray[np.float64]) -> float:
        """The conformal p-value of a measurement's statistics: small where it is unlike those of the calibration."""
        return p_value(self.statistics, statistics)

    def check(self, restoration: Mapping[str, Any]) -> None:
        """Raise `InputError` where a restoration is made otherwise than the certified ones; the sentence names what."""
        for key in [*self.binding.restoration, *restoration]:
            certified, asked = self.binding.restoration.get(key), restoration.get(key)
            if asked != certified:
                raise InputError(
                    f"The certificate is for {key.replace('_', ' ')} {_shown(certified)}, and this is "
                    f"{_shown(asked)}: leave it to the certificate, or calibrate for it."
                )

    def check_unit(self, width: int, height: int, channels: int, bits: int) -> None:
        """Raise `InputError` where a picture of (height, width) pixels is not the certified unit."""
        unit = self.binding.unit
        colour = "RGB" if channels == 3 else "grey"
        if colour != unit.colour:
            raise InputError(f"The certificate is for {unit.colour} pictures and this one is {colour}.")
        if bits != unit.bits:
            raise InputError(
                f"The certificate is for measurements of {unit.bits} bits and this one has {bits}; convert it first."
            )
        if unit.width is None or unit.height is None or (width, height) == (unit.width, unit.height):
            return
        operator = self.binding.restoration["operator"]
        scale = self.binding.restoration.get("scale") or (None if "downsample" in operator else 1)
        what = f"The certificate is for results of {unit.width}×{unit.height} and this one would be {width}×{height}"
        if width >= unit.width and height >= unit.height:
            part = ""
            if scale is not None:
                middle = (width - unit.width) // 2, (height - unit.height) // 2, unit.width, unit.height
                part = " " + ",".join(str(n // scale) for n in middle)
            raise InputError(
                f"{what}; restore a part with --crop{part}, or calibrate with --loss tile-mean, whose "
                "promise is for pictures of any size."
            )
        raise InputError(f"{what}; calibrate for that size with --unit {width}x{height}.")

    @property
    def _promise(self) -> dict[str, Any]:
        b = self.binding
        return {
            "mode": b.mode,
            "n": b.n,
            "bound": b.bound,
            "binary": self.loss.binary,
            "leaked": b.leaked,
            "delta": b.delta,
            "declared": [exact(a) for a in b.declared],
        }

    def save(self, path: str | os.PathLike[str], force: bool = False) -> "Certificate":
        """Write it, whole or not at all; returns it with its hash.

        Raises:
            InputError: the file exists and `force` is not set, or cannot be written.
        """
        scores = np.concatenate([np.empty(0, np.float32), *(s.scores for s in self.staircases)])
        rises = np.concatenate([np.empty(0, np.int64), *(np.diff(s.losses, prepend=0) for s in self.staircases)])
        file = File(
            FORMAT,
            VERSION,
            self.binding,
            self.information,
            self.statistics.tolist(),
            _packed(self.quantiles.ravel().astype("<f4")),
            [s.scores.size for s in self.staircases],
            _packed(scores.astype("<f4"), rises.astype("<u4")),
        )
        file = msgspec.structs.replace(file, sha256=_digest(msgspec.to_builtins(file)))
        with replacing(path, force) as temporary:
            temporary.write_text(json.dumps(msgspec.to_builtins(file), indent=1) + "\n", encoding="utf-8")
        return replace(self, sha256=file.sha256)


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
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"Certificate {path} is truncated or is no JSON ({error}); copy it again.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path} is no certificate of veriscale calibrate.")
    if document.get("version") != VERSION:
        raise InputError(
            f"Certificate {path} is of version {document.get('version')}; this library reads version {VERSION}: "
            "calibrate again."
        )
    if document.get("sha256") != _digest(document):
        raise InputError(f"Certificate {path} was edited or damaged after it was written; copy it or calibrate again.")
    try:
        file = msgspec.convert(document, File)
        staircases = _unpacked(file)
        statistics = np.array(file.statistics, np.float64)
        msgspec.convert(file.information, _Information)
        quantiles = _numbers(file.quantiles, len(file.sizes) * QUANTILES).view("<f4").astype(np.float32)
        quantiles = quantiles.reshape(len(file.sizes), QUANTILES)
        _check_binding(file.binding)
    except (msgspec.ValidationError, ValueError, OverflowError, zlib.error, InputError) as error:
        raise InputError(f"Certificate {path} is not valid: {error}; calibrate again.") from error
    if file.binding.protocol != PROTOCOL:
        raise InputError(
            f"Certificate {path} was measured by protocol {file.binding.protocol}, and this library measures by "
            f"{PROTOCOL}: calibrate again."
        )
    if not file.binding.n == len(staircases) == len(quantiles) <= len(statistics):
        raise InputError(f"Certificate {path} speaks of {file.binding.n} units and holds {len(staircases)}.")
    return Certificate(file.binding, file.information, staircases, statistics, quantiles, file.sha256)


class _Prior(msgspec.Struct):
    """What is read of a prior's restoration."""

    prior: str
    operator: str
    noise: str
    dial: float
    dtype: Literal["float32", "bfloat16", "float16"]
    scale: int | None = None


class _Tool(msgspec.Struct):
    """What is read of a tool's restoration."""

    command: str
    tool: str
    operator: str
    noise: str
    scale: int


class _Information(msgspec.Struct):
    """What is read of the rest."""

    files: dict[str, list[str]] = {}
    failed: dict[str, str] = {}


def _check_binding(binding: Binding) -> None:
    loss = make_loss(binding.loss, binding.tau, binding.tile)
    msgspec.convert(binding.restoration, _Tool if "command" in binding.restoration else _Prior)
    parse_score(binding.score)
    bound = loss.bound(parse_discrepancy(binding.discrepancy).bound)
    if binding.bound != bound:
        raise ValueError(f"B is {binding.bound:g} where {bound:g} belongs")
    alphas = [exact(a) for a in binding.declared] or [exact("0.1")]
    allowance(
        binding.mode,
        alphas[0],
        binding.n,
        bound,
        binary=loss.binary,
        leaked=binding.leaked,
        delta=binding.delta,
        declared=alphas,
    )


def score_quantiles(scores: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Of all pixels of a unit's pictures: the lowest score, 99 between, the highest; none is made up between two."""
    whole = np.sort(np.concatenate([s.ravel() for s in scores]))
    return whole[np.linspace(0, whole.size - 1, QUANTILES).astype(np.int64)]


def _packed(*arrays: NDArray[Any]) -> str:
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


def _share_below(quantiles: NDArray[np.float32], levels: NDArray[np.float64], threshold: float) -> float:
    k = int(np.searchsorted(quantiles, np.float32(threshold)))  # the first that is not below
    if k in (0, len(quantiles)):
        return float(k > 0)
    low, high = float(quantiles[k - 1]), float(quantiles[k])
    inside = (threshold - low) / (high - low) if np.isfinite(high) else 0.0
    return float(levels[k - 1] + (levels[k] - levels[k - 1]) * inside)


def _unpacked(file: File) -> tuple[Staircase, ...]:
    if not all(0 <= size <= STEPS for size in file.sizes):
        raise ValueError(f"a unit has more than {STEPS} steps")
    total = sum(file.sizes)
    packed = _numbers(file.events, 2 * total)
    scores, rises = packed[: 4 * total].view("<f4"), packed[4 * total :].view("<u4").astype(np.int64)
    ends = np.cumsum(file.sizes)[:-1]
    pairs = zip(np.split(scores, ends), np.split(rises, ends), strict=True)
    staircases = tuple(Staircase(s.astype(np.float32), np.cumsum(r)) for s, r in pairs)
    for stairs, rise in zip(staircases, np.split(rises, ends), strict=True):
        ordered = (np.diff(stairs.scores) > 0).all() and (stairs.scores < np.inf).all()
        if stairs.losses.size and not (ordered and (rise > 0).all() and stairs.losses[-1] <= RESOLUTION):
            raise ValueError("a unit's losses are no staircase")
    return staircases


def _digest(document: Mapping[str, Any]) -> str:
    content = {k: v for k, v in document.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _shown(value: Any) -> str:
    text = "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) < 60 else f"{text[:12]}…"
