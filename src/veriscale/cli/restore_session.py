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
from veriscale.physics.operator import parse_operator
from veriscale.traversal.dial import PATH
from veriscale.traversal.renoise import SAMPLER, STEPS
from veriscale.workflows.degradation import read_sidecar
from veriscale.workflows.inputs import collect
from veriscale.workflows.outputs import (
    Names,
    output_names,
    refuse_existing_results,
    refuse_input,
    save_restoration,
    suffix_of,
)
from veriscale.workflows.plan import Plan, make_plan, parse_dials
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
    sampler: str = SAMPLER
    steps: int = STEPS
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
        scale, noise = self._measurement(job.path)
        plan = make_plan(
            photo,
            prior,
            scale=scale,
            noise=noise,
            dial=parse_dials(v.dial),
            path=v.path,
            samples=v.samples,
            sampler_name=v.sampler,
            steps=v.steps,
            seed=v.seed,
        )
        stem = job.stem or f"{job.name}_x{plan.scale}"
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
            "noise": repr(plan.noise_std),
            "scale": plan.scale,
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
        return {**result.run, "outputs": [str(f) for f in files]}

    def _prior(self) -> Prior:
        if self.loaded is None:
            self.loaded = load_prior(self.settings.prior, self.device)
            if self.repeated and self.loaded.card.tensors_sha256 != self.repeated.prior.sha256:
                say("The prior is not the one of the repeated run: the result will differ.", self.quiet)
        return self.loaded

    def _measurement(self, path: Path) -> tuple[int | None, str]:
        v = self.settings
        sidecar = read_sidecar(path)
        operator = v.operator or (sidecar.operator if sidecar and v.scale is None else None)
        noise = v.noise if v.noise is not None else (repr(sidecar.noise_std) if sidecar else "0")
        if operator is None:
            return v.scale, noise
        parsed = parse_operator(operator)
        if v.scale not in (None, parsed.factor):
            raise InputError(f"--scale {v.scale} and --operator {operator} contradict each other; give one of them.")
        if parsed.kernel != "bicubic":
            raise InputError(f"Operator {operator!r}: only kernel=bicubic can be restored.")
        return parsed.factor, noise

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
        asked = self.settings.scale or self.settings.operator
        chosen = "" if asked else f" (the prior knows {known})"
        say(
            f"{job.path.name}: {photo.width}×{photo.height} to {plan.shape[1]}×{plan.shape[0]}, prior "
            f"{prior.card.name} used conditionally, since it knows bicubic ×{plan.scale}{chosen}, "
            f"noise {plan.noise_std:.3g}, dial {', '.join(f'{f:g}' for f in plan.dials)}.",
            self.quiet,
        )
        if dry_run:
            n = prior.card.network
            say(
                f"  {plan.evaluations} evaluations of the denoiser after one of the encoder; "
                f"about {plan.memory(n.channels, n.encoder.features) / 1e6:.0f} MB of pictures beside 1.5 GB at most "
                "for the networks and a tile.",
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
