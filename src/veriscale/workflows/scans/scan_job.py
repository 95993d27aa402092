"""One scan of a batch: read, restored, written."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from veriscale.imaging.atomic import make_folder
from veriscale.imaging.nifti.read import read_volume
from veriscale.traversal.method import Tell
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.in_plane import prepare_slices
from veriscale.workflows.scans.kept_state import KeptState
from veriscale.workflows.scans.scan_names import result_of, scan_names
from veriscale.workflows.scans.scan_restoration import refuse_existing_of


def restore_scan(
    restorer: PriorRestorer,
    path: Path,
    output: Path | None,
    *,
    index: int | None = None,
    force: bool = False,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda line: None,
    tell: Tell = lambda phase, done, of: None,
) -> dict[str, Any]:
    """Restore one scan; returns the content of its run.json and the files written.

    Args:
        restorer: by a prior.
        path: the scan.
        output: a file, a folder, or None for beside the scan.
        index: which volume of a file of several.
        force: replace what is there.
        dry_run: check everything, and stop.
        say: told what is to be said; nothing of it tells whose scan it is.
        tell: told after every part.

    Raises:
        InputError: something about the scan, the settings or the results.
    """
    volume = read_volume(path, index)
    work = prepare_slices(restorer, volume)
    folder, stem, extension = result_of(path, output)
    names = scan_names(folder, stem, work.dials, work.samples, extension)
    refuse_existing_of(names, force)
    for line in [*work.lines(), *(work.costs() if dry_run else [])]:
        say(line)
    if dry_run:
        return {"input": {}, "dry_run": True, "outputs": []}
    make_folder(folder)
    arguments = asdict(restorer.settings)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    facts = {"input": digest, "volume": index, "arguments": arguments, **work.facts()}
    kept = KeptState(names.kept, facts)
    result = work.restore(tell, kept)
    result.run.update(arguments=arguments, input={"sha256": digest, "volume": index})
    files, notes = result.write(names, force)
    kept.remove()
    for line in notes:
        say(line)
    return {**result.run, "outputs": [str(f) for f in files]}
