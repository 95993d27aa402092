"""What `veriscale restore` does with its arguments, input by input."""

import hashlib
import re
import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from veriscale.cli.console import say
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.atomic import make_folder
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import MAX_PIXELS, read_photo
from veriscale.imaging.write import EXTENSIONS, format_of
from veriscale.traversal.dial import PATH
from veriscale.workflows.inputs import collect
from veriscale.workflows.measurement import find_measurement
from veriscale.workflows.outputs import (
    Names,
    output_names,
    refuse_existing_results,
    refuse_input,
    save_restoration,
    suffix_of,
)
from veriscale.workflows.plan import Plan, make_plan
from veriscale.workflows.request import Request, parse_dials
from veriscale.workflows.restoration import Progress, load_prior, run_plan


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The restoration's own arguments, from the command line, a run.json, or the defaults."""

    prior: str = "photo"
    scale: int | None = None
    operator: str | None = None
    noise: str | None = None
    dial: str = "0"
    path: str = PATH
    samples: int = 0
    anchor: str | None = None
    posterior: str | None = None
    preset: str | None = None
    consistent: bool = False
    sampler: str | None = None
    steps: int | None = None
    seed: int = 0
    crop: str | None = None


class Recorded(msgspec.Struct, frozen=True):
    """What a run.json says that matters for repeating it."""

    class Input(msgspec.Struct, frozen=True):
        """The restored file, from the folder of the results."""

        name: str
        sha256: str

    class Prior(msgspec.Struct, frozen=True):
        """The prior that was used."""

        sha256: str

    arguments: Settings
    input: Input
    prior: Prior


def read_run(path: Path) -> Recorded:
    """A run.json of `veriscale restore`.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recorded)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not a run.json of veriscale restore: {error}.") from error


@dataclass(frozen=True)
class Job:
    """One input and where its results go."""

    path: Path
    folder: Path
    stem: str | None  # of the results; made from the input's name when None
    suffix: str | None
    name: str  # what the stem is made from


@dataclass
class Session:
    """Settings and the loaded prior, shared by all inputs."""

    settings: Settings
    device: str
    format: str
    report: bool
    force: bool
    skip_existing: bool
    quiet: bool
    max_pixels: int | None
    folder: Path  # from which the operator's files are named
    repeated: Recorded | None = None
    loaded: Prior | None = field(default=None)

    def jobs(self, inputs: list[Path], output: Path | None) -> list[Job]:
        """All inputs, each with its place."""
        items, many = collect(inputs, output)
        if many and output is not None and output.suffix.lower() in EXTENSIONS and not output.is_dir():
            raise InputError(f"--output {output} names a picture, and there are several inputs; name a folder.")
        if output is not None and not many and output.suffix and not output.is_dir():
            format_of(output)
            return [Job(items[0].path, output.parent, output.stem, output.suffix, items[0].stem)]
        return [Job(i.path, i.path.parent if output is None else output / i.folder, None, None, i.stem) for i in items]

    def run(self, job: Job, dry_run: bool, progress: Progress) -> dict[str, Any]:
        """Restore one input; returns the content of its run.json and the files written.

        Raises:
            InputError: something about the input or its results.
        """
        v = self.settings
        photo = self._crop(read_photo(job.path, MAX_PIXELS if self.max_pixels is None else self.max_pixels), job.path)
        prior = self._prior()
        operator, noise = find_measurement(job.path, v.operator, v.scale, v.noise, self.folder)
        if v.crop is not None and operator is not None and not operator.divisible:
            raise InputError(
                f"--crop does not go with {operator}, whose holes or coefficients are those of the whole picture; "
                "crop the result instead."
            )
        request = Request(
            scale=v.scale if operator is None else None,
            operator=operator,
            noise=noise,
            dial=parse_dials(v.dial),
            path=v.path,
            samples=v.samples,
            anchor=v.anchor,
            posterior=v.posterior,
            preset=v.preset,
            consistent=v.consistent,
            sampler=v.sampler,
            steps=v.steps,
            seed=v.seed,
        )
        plan = make_plan(photo, prior, request)
        stem = job.stem or f"{job.name}_{plan.suffix}"
        suffix = job.suffix or suffix_of(self.format, photo)
        names = output_names(job.folder, stem, plan.dials, plan.samples, suffix)
        if self.skip_existing and all(p.exists() for p in names.all(self.report)):
            say(f"{job.path.name}: done already, skipped.", self.quiet)
            return {"input": {"name": job.path.name}, "skipped": True, "outputs": []}
        for target in names.all(self.report):
            refuse_input(target, job.path)
        if not self.skip_existing:  # what is there of an incomplete set is made again
            refuse_existing_results(names, self.report, self.force)
        self._announce(job, photo, prior, plan, dry_run)
        if dry_run:
            return {"input": {"name": job.path.name}, "dry_run": True, "outputs": []}
        return self._restore(job, photo, prior, plan, names, stem, suffix, progress)

    def _restore(
        self,
        job: Job,
        photo: Photo,
        prior: Prior,
        plan: Plan,
        names: Names,
        stem: str,
        suffix: str,
        progress: Progress,
    ) -> dict[str, Any]:
        make_folder(names.run.parent)  # refused before the work, not after it
        result = run_plan(photo, prior, plan, progress=progress)
        result.run["arguments"] = {
            **msgspec.to_builtins(self.settings),
            "noise": str(plan.noise),
            "scale": plan.scale,
            "operator": None if plan.conditional else str(plan.operator.beside(job.folder)),
        }
        digest = hashlib.sha256(job.path.read_bytes()).hexdigest()
        if self.repeated and self.repeated.input.sha256 != digest:
            say(f"{job.path.name} is not the input of the repeated run: only its settings are.", self.quiet)
        result.run["input"] = {"name": _relative(job.path, job.folder), "sha256": digest}
        result.run["peak_memory_mb"] = peak_memory_mb()
        files, notes = save_restoration(
            result, job.folder, stem, suffix=suffix, report=self.report, force=self.force or self.skip_existing
        )
        for note in notes:
            say(note, self.quiet)
        if not plan.conditional or result.verdict.alarm:
            say(f"{job.path.name}: {result.verdict.sentence()}.", self.quiet)
        if result.run["fell_back"]:
            say(
                f"{job.path.name}: the anchor's splitting grew apart and went on by half-quadratic splitting.",
                self.quiet,
            )
        return {**result.run, "outputs": [str(f) for f in files]}

    def _prior(self) -> Prior:
        if self.loaded is None:
            self.loaded = load_prior(self.settings.prior, self.device)
            if self.repeated and self.loaded.card.tensors_sha256 != self.repeated.prior.sha256:
                say("The prior is not the one of the repeated run: the result will differ.", self.quiet)
        return self.loaded

    def _crop(self, photo: Photo, path: Path) -> Photo:
        text = self.settings.crop
        if text is None:
            return photo
        match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", text)
        x, y, w, h = map(int, match.groups()) if match else (0, 0, 0, 0)
        if not w or not h or x + w > photo.width or y + h > photo.height:
            raise InputError(
                f"--crop {text} is not X,Y,W,H inside the {photo.width}×{photo.height} pixels of {path.name}."
            )
        alpha = None if photo.alpha is None else photo.alpha[y : y + h, x : x + w]
        return photo.with_samples(photo.samples[y : y + h, x : x + w], alpha)

    def _announce(self, job: Job, photo: Photo, prior: Prior, plan: Plan, dry_run: bool) -> None:
        known = ", ".join(f"×{s}" for s in sorted(prior.card.network.scales))
        asked = self.settings.scale or self.settings.operator or plan.scale is None
        chosen = "" if asked else f" (the prior knows {known})"
        how = "conditionally" if plan.conditional else f"unconditionally (zero-shot, anchor {plan.anchor})"
        say(
            f"{job.path.name}: {photo.width}×{photo.height} to {plan.shape[1]}×{plan.shape[0]}, {plan.operator}, prior "
            f"{prior.card.name} used {how}, {plan.why}{chosen}, noise {plan.noise}, "
            f"dial {', '.join(f'{f:g}' for f in plan.dials)}.",
            self.quiet,
        )
        for note in plan.notes:
            say(f"  {note}.", self.quiet)
        if dry_run:
            n = prior.card.network
            first = "one of the encoder" if plan.conditional else f"{plan.anchor_evaluations} for the anchor"
            whole = "" if plan.conditional else " The whole picture is one problem; only the network runs in tiles."
            say(
                f"  {plan.evaluations - plan.anchor_evaluations} evaluations of the denoiser after {first}; "
                f"about {plan.memory(n.channels, n.encoder.features) / 1e6:.0f} MB of pictures beside "
                f"{plan.tile_memory / 1e9:.1f} GB at most for the networks and a tile.{whole}",
                self.quiet,
            )


def peak_memory_mb() -> int:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))


def _relative(path: Path, folder: Path) -> str:
    """A name that leads from the results to the input and tells nothing of the rest of the machine."""
    import os

    return os.path.relpath(path.resolve(), folder.resolve())
