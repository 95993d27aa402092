"""What earlier runs left, by their run.json: results that are no inputs, and that need not be made again."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veriscale.errors import InputError, spoken
from veriscale.imaging.scan_name import split_scan_name
from veriscale.workflows.degrading.measurement import MEASURED, sidecar_path
from veriscale.workflows.scans.scan_names import outputs_of

# Known by their hashes; and a result does not depend on a time limit.
_WITHOUT_A_SAY = ("prior", "certificate", "timeout")


_GUIDES = "`--guide`"


def hashes(run: dict[str, Any]) -> dict[str, str | None]:
    """What decides the pictures of a run.json beside its arguments and its input, by what it is the hash of."""
    prior, held = run.get("prior") or {}, run.get("certificate") or {}
    return {
        "`--prior`": prior.get("sha256"),
        "card of `--prior`": prior.get("card"),
        "file of guides as `--prior`": prior.get("guides_sha256"),
        _GUIDES: " + ".join(f"{name} {sha256}" for name, sha256 in sorted((run.get("guides") or {}).items())) or None,
        "content of the files of `--operator`": run.get("operator_files"),
        "`--certificate`": held.get("sha256"),
        "tool behind `--command`": run.get("tool"),
    }


@dataclass(frozen=True)
class Origin:
    """What a result is made of.

    Attributes:
        path: the input.
        known: what its run.json will say of it.
    """

    path: Path
    known: dict[str, Any]

    def other(self, run: dict[str, Any]) -> str | None:
        """A phrase that says in what the origin of a run.json is another; None where it is this one."""
        known = json.loads(json.dumps(self.known))
        if run["input"]["sha256"] != known["input"]["sha256"]:
            return f"of another picture than {self.path} is"
        if run["input"].get("volume") != known["input"].get("volume"):
            return "with another `--volume`"
        then = hashes(run)
        changed = [what for what, now in hashes(known).items() if now != then[what]]
        for part in ("file", "arguments"):
            now = known.get(part, {})
            other = [k for k in now if k not in _WITHOUT_A_SAY and now[k] != run[part].get(k, now[k])]
            changed += [f"`--{k.replace('_', '-')}`" for k in other]
        return f"with another {changed[0]}" if changed else None


def made_beside(files: Iterable[Path]) -> set[Path]:
    """What earlier runs wrote into the folders of files."""
    return {path for folder in {f.parent for f in files} for run in folder.glob("*.run.json") for path in _made(run)}


def measured_of_others(files: Iterable[Path]) -> set[Path]:
    """Those that `degrade` has made of another of them, by their names and sidecars, whichever folders they lie in."""
    by_sidecar = {file: sidecar_path(file).is_file() for file in files}
    plain, measured = (
        {s for f, has in by_sidecar.items() if has == which for s in (split_scan_name(f)[0], f.name.replace(".", "_"))}
        for which in (False, True)
    )
    found = set()
    for file in (file for file, has in by_sidecar.items() if has):
        stem = split_scan_name(file)[0]
        truth = re.sub(rf"(_vol-\d+)?{MEASURED}$", "", stem)
        if truth in plain or (truth != stem and truth in measured):
            found.add(file)
    return found


def all_made(run: Path, files: Sequence[Path], force: bool, origin: Origin) -> bool:
    """Whether an earlier run of this origin has left everything here.

    Args:
        run: the run.json.
        files: everything, the run.json too.
        force: whether what is here may be replaced.
        origin: of what will be made.

    Raises:
        InputError: something is here that none, or one of another origin has left, and `force` is not set.
    """
    made = _made(run)
    there = [p for p in files if p.exists()]
    foreign = [p for p in there if p not in made]
    if foreign and not force:
        raise InputError(
            f"{foreign[0]} exists already, and {run.name} does not say that veriscale made it; add `--force` "
            "(force=True) to replace it, or choose another name"
        )
    if not there or foreign:
        return False
    other = _other(run, origin)
    if other is not None and not force:
        raise InputError(
            f"{there[0]} was made {other}; add `--force` (force=True) to replace it, or choose another folder"
        )
    return len(there) == len(files) and other is None


def unlike(origin: Origin, then: dict[str, str | None], sha256: str | None) -> list[str]:
    """What is another than in the run that is repeated, and was not asked to be.

    Args:
        origin: of what will be made.
        then: `hashes` of the repeated run.
        sha256: of its input, where it is known.
    """
    now = hashes(origin.known)
    said = [
        f"this is another {what} than in the repeated run: the result will differ."
        for what in now
        if now[what] is not None and then[what] not in (None, now[what])
    ]
    if now[_GUIDES] is not None and then[_GUIDES] is None:
        said.append(f"the repeated run had no {_GUIDES}: the result will differ.")
    if sha256 not in (None, origin.known["input"]["sha256"]):
        said.append("not the input of the repeated run: only its settings are.")
    return [spoken(line) for line in said]


def _made(run: Path) -> set[Path]:
    """What the run of a run.json wrote; nothing where there is none of ours."""
    try:
        document = json.loads(run.read_text(encoding="utf-8"))
        names, given = [str(name) for name in document["outputs"]], document.get("input")
        of_scan = isinstance(given, dict) and "name" not in given
        return outputs_of(run, names) if of_scan else {run.parent / name for name in names}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()  # not one of ours: it claims nothing


def _other(run: Path, origin: Origin) -> str | None:
    try:
        return origin.other(json.loads(run.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"of something that {run.name} does not say"
