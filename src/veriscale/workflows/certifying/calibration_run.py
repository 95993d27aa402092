"""From photographs to a certificate: measure, restore, compare, one unit after the other."""

import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.atomic import make_folder, refuse_existing, unmade_on_failure
from veriscale.traversal.method import Tell
from veriscale.trust.certificate import PROTOCOL, Binding, Certificate, Unit, score_quantiles
from veriscale.trust.certificate_file import write_certificate
from veriscale.trust.discrepancies import Discrepancy
from veriscale.trust.facts import Facts
from veriscale.trust.losses.loss import Loss
from veriscale.trust.losses.registry import staircase
from veriscale.trust.measurement_statistics import statistics
from veriscale.trust.modes import MODES, Guarantee
from veriscale.trust.risk_level import exact
from veriscale.workflows.certifying.calibration_log import CalibrationLog, UnitRecord
from veriscale.workflows.certifying.delivery import deliver
from veriscale.workflows.certifying.units import Measuring
from veriscale.workflows.inputs import Item
from veriscale.workflows.known_files import known_to
from veriscale.workflows.restoring.restorer import Restorer
from veriscale.workflows.tools.black_box import ToolError


@dataclass(frozen=True)
class Promise:
    """What is promised.

    Attributes:
        loss, discrepancy: what is bounded.
        mode, delta, declared: how, as in `trust.modes.Guarantee`.
        leaked: how many of the pictures may have been trained on.
        unit: what one promise is about.
        alpha: the level that is meant, and taken in use where none is said; the loss's usual one by default.
    """

    loss: Loss
    discrepancy: Discrepancy
    mode: str = "mean"
    delta: float | None = None
    declared: tuple[str, ...] = ()
    leaked: int = 0
    unit: Literal["picture", "folder", "patient"] = "picture"
    alpha: str | None = None

    def check(self, n: int) -> Guarantee:
        """What is promised of n units; raises `InputError` where the settings do not go together."""
        if self.delta is not None and self.mode == "mean":
            raise InputError(f"`--delta` is of the modes {' and '.join(MODES[1:])}; leave it out.")
        if self.declared and (self.mode != "pac-uniform" or self.loss.binary):
            raise InputError("`--alphas` is of `--mode` pac-uniform with a loss other than violation; leave it out.")
        if self.mode == "pac-uniform" and not self.loss.binary and not self.declared:
            raise InputError("`--mode` pac-uniform needs every level beforehand: `--alphas` 0.02,0.05.")
        guarantee = Guarantee(
            self.mode,
            n,
            self.loss.bound(self.discrepancy.bound),
            binary=self.loss.binary,
            leaked=self.leaked,
            delta=self.delta,
            declared=[exact(a) for a in self.declared],
        )
        for level in guarantee.declared or [exact("0.1")]:
            guarantee.allowance(level)
        return guarantee

    def check_meant(self, n: int, units: str) -> None:
        """Raise `InputError` where nothing can be trusted of n units at the level that is meant."""
        guarantee = self.check(n)
        if self.alpha is not None and (why := guarantee.infeasible(exact(self.alpha), units)):
            raise InputError(why)


def certify(
    pictures: Sequence[Item],
    restorer: Restorer,
    measuring: Measuring,
    promise: Promise,
    output: Path,
    *,
    prior: Prior | None = None,
    left_out: dict[str, str] | None = None,
    force: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, of: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Certificate:
    """Measure, restore and compare every picture, and write the certificate.

    What was measured is kept beside `output` until it is written, so that a run that was cut off goes on where it was.

    Args:
        pictures: truths, with the folder each lies in.
        restorer: what the certificate will be about.
        measuring: how truths are cut and measured.
        promise: what is promised.
        output: of the certificate.
        prior: whose results they are, to know pictures it was trained on.
        left_out: pictures that cannot be used, and why; for the record.
        force: replace an existing certificate.
        progress: told after every evaluation of a network or run of a tool.
        tell: told in words what goes wrong with a picture.

    Raises:
        InputError: the output exists, a picture or setting cannot be used, or the tool failed on every picture.
    """
    refuse_existing(output, force)
    units = _units(pictures, promise.unit == "folder")
    hashes = {str(i.path): hashlib.sha256(i.path.read_bytes()).hexdigest() for i in pictures}

    def unit() -> tuple[Unit, Facts]:
        first, size = measuring(pictures[0].path).measurement, measuring.size
        width, height = (None, None) if size is None else (size.width, size.height)
        colour: Literal["RGB", "grey"] = "RGB" if measuring.channels == 3 else "grey"
        return Unit(promise.unit, width, height, colour, first.bit_depth), restorer.prepare(first).facts

    def record(name: str, shown: Tell) -> UnitRecord:
        return _record(units[name], hashes, restorer, measuring, promise, shown)

    return certify_units(
        Units(
            {name: [str(file) for file in files] for name, files in units.items()},
            hashes,
            {name: [sha256] for name, sha256 in hashes.items()},
            unit,
            record,
            "picture",
        ),
        restorer,
        promise,
        output,
        seed=measuring.seed,
        prior=prior,
        left_out=left_out,
        force=force,
        progress=progress,
        tell=tell,
    )


@dataclass(frozen=True, eq=False)
class Units:
    """What is calibrated on.

    Attributes:
        files: names of each unit's files, by the unit's name.
        hashes: sha256 of each file, or of a series as a whole, by its name.
        contents: of each file, or of every file of a series, likewise.
        first: what one promise is about and how its results are made, by the first file.
        record: measures, restores and compares a unit, by its name; told after every part.
        file: what a sentence calls one.
        guides: hashes of each file's guides, of those that have any.
    """

    files: dict[str, list[str]]
    hashes: dict[str, str]
    contents: Mapping[str, Sequence[str]]
    first: Callable[[], tuple[Unit, Facts]]
    record: Callable[[str, Tell], UnitRecord]
    file: str
    guides: dict[str, list[str]] = field(default_factory=dict)


def certify_units(
    units: Units,
    restorer: Restorer,
    promise: Promise,
    output: Path,
    *,
    seed: int,
    prior: Prior | None,
    left_out: dict[str, str] | None,
    force: bool,
    progress: Tell,
    tell: Callable[[str], None],
) -> Certificate:
    """Measure, restore and compare every unit, and write the certificate; the rest as `certify`."""
    promise.check_meant(len(units.files), f"{promise.unit}s")
    hashes = units.hashes
    twice = [name for name, own in hashes.items() if own in list(hashes.values())[: list(hashes).index(name)]]
    if twice:
        raise InputError(f"{twice[0]} is there twice: a copy is no further {units.file}; take it away.")
    seen = known_to(prior, units.contents)
    leaked = [name for name, files in units.files.items() if set(files) & set(seen)]
    count = len(leaked) if promise.unit == "patient" else len(seen)
    if count > promise.leaked:
        raise InputError(
            f"{len(seen)} of the {units.file}s were used to train the prior or to measure it, such as "
            f"{Path(seen[0]).name}; take them away, or say `--leaked` {count}."
        )
    bound = promise.loss.bound(promise.discrepancy.bound)
    unit, restoration = units.first()
    binding = Binding(
        restoration=restoration,
        unit=unit,
        score=str(restorer.score),
        loss=promise.loss.name,
        tau=promise.loss.tau,
        tile=promise.loss.tile,
        discrepancy=str(promise.discrepancy),
        bound=bound,
        mode=promise.mode,
        n=len(units.files),
        leaked=promise.leaked,
        delta=promise.delta,
        declared=list(promise.declared),
        protocol=PROTOCOL,
    )
    with unmade_on_failure(make_folder(output.parent)):
        head = {
            "binding": msgspec.to_builtins(binding),
            "files": hashes,
            "units": units.files,
            "seed": seed,
            "timeout": restorer.timeout,
            **({"guides": units.guides} if units.guides else {}),
        }
        draws = restorer.score is not None and restorer.score.needs == "draws"
        log = CalibrationLog(output.with_name(output.name + ".part"), head)
        for k, (name, files) in enumerate(units.files.items()):
            maps = _maps(files, restorer.score_files)
            known = log.records.get(name)

            def shown(what: str, done: int, of: int, name: str = name, k: int = k) -> None:
                progress(f"{name}, {what} {done} of {of}: {promise.unit}s", k, len(units.files))

            if known is None or known.maps != maps:  # what failed has failed: in use a tool has one try as well
                log.add(name, replace(units.record(name, shown), maps=maps))
            if log.records[name].failed:
                tell(log.records[name].failed)
            elif draws and not log.records[name].quantiles.any():
                tell(f"{name}: the runs are equal, so that its score is 0 everywhere.")
        kept = {name: r for name, r in log.records.items() if r.staircase is not None}
        failed = {name: r.failed for name, r in log.records.items() if r.failed}
        if not kept:
            log.remove()
            raise InputError(f"The tool failed on every picture, the first time so: {next(iter(failed.values()))}")
        if draws and not any(r.quantiles.any() for r in kept.values()):
            log.remove()
            raise InputError(
                "The tool gave the same picture every time on every picture, so that its runs have no variance; choose "
                "`--score` gradient or perturbed."
            )
        promise.check_meant(len(kept), f"{promise.unit}s")  # what was measured stays, for another level
        information: dict[str, Any] = {
            "versions": {"veriscale": version("veriscale"), "numpy": np.__version__},
            "machine": platform.machine(),
            "date": datetime.now(UTC).date().isoformat(),
            "files": {name: [hashes[f] for f in files] for name, files in units.files.items()},
            "trained_on": len(seen) if prior is not None and _knows(prior) else None,
            "left_out": left_out or {},
            "failed": failed,
            "timeout": restorer.timeout,
            **({} if promise.alpha is None else {"alpha": promise.alpha}),
        }
        made = Certificate(
            msgspec.structs.replace(binding, n=len(kept)),
            information,
            tuple(r.staircase for r in kept.values() if r.staircase is not None),
            np.stack([r.statistics for r in kept.values()]),
            np.stack([r.quantiles for r in kept.values()]),
        )
        certificate = write_certificate(made, output, force)
        log.remove()
        return certificate


def _units(pictures: Sequence[Item], grouped: bool) -> dict[str, list[Path]]:
    units: dict[str, list[Path]] = {}
    for item in pictures:
        if grouped and not item.folder.parts:
            raise InputError(
                f"{item.path} lies in no sub-folder, and `--group` makes each of them a unit; move it into one."
            )
        name = item.folder.parts[0] if grouped else (item.folder / item.path.name).as_posix()
        units.setdefault(name, []).append(item.path)
    return units


def _record(
    files: Sequence[Path],
    hashes: dict[str, str],
    restorer: Restorer,
    measuring: Measuring,
    promise: Promise,
    tell: Tell,
) -> UnitRecord:
    # Pictures of a folder resemble each other: one of them, drawn by lot, stands for it in the drift check.
    drawn = min(files, key=lambda file: hashes[str(file)])
    maps, described = [], np.empty(0)
    for file in files:
        x, y = (m := measuring(file)).truth, m.measurement
        try:
            delivered = deliver(restorer, y, file.stem, tell)
        except ToolError as error:
            return UnitRecord(None, np.empty(0, np.float32), np.empty(0), f"{file.name}: {error}")
        maps.append((delivered.score, promise.discrepancy(delivered.picture, x)))
        if file == drawn:
            described = statistics(y.pixels)
    stairs = staircase(promise.loss, maps, promise.discrepancy.bound)
    return UnitRecord(stairs, score_quantiles([s for s, _ in maps]), described)


def _knows(prior: Prior) -> bool:
    return bool(prior.seen) and all(d.each for d in prior.seen)


def _maps(files: Sequence[str], pattern: str | None) -> str:
    """A hash of the user's own maps of a unit, as far as they are there; a unit with others is measured again."""
    digest = hashlib.sha256()
    for path in [Path(pattern.replace("{stem}", Path(f).stem)) for f in files] if pattern is not None else []:
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()
