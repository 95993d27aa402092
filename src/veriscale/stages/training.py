"""From a recipe to a prior's file."""

import math
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState

from veriscale.diffusion.card import Budget, Card, Data, PhaseBudget
from veriscale.diffusion.checkpoint import load_checkpoint, save_prior
from veriscale.diffusion.library import STATE, SUFFIX
from veriscale.errors import InputError, spoken
from veriscale.imaging.atomic import check_writable, make_folder, refuse_existing, replacing, unmade_on_failure
from veriscale.runtime.device import choose_dtype
from veriscale.stages.archive import pack
from veriscale.stages.card_measurements import measured, scored
from veriscale.stages.consistency import FACTOR
from veriscale.stages.data import PictureSet, data_root
from veriscale.stages.fitting import Trained, fit_networks
from veriscale.stages.guide_training import train_guides
from veriscale.stages.held_out_slices import held_out_slices
from veriscale.stages.inheritance import lineage_of, read_givers, read_parent, untrained
from veriscale.stages.intensity import refuse_photographs_after_scans
from veriscale.stages.latent_training import refuse_there, train_latent
from veriscale.stages.recipe import NETWORKS, Recipe
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.splits import MANIFEST
from veriscale.stages.stage_sets import stage_sets
from veriscale.stages.temperature import spread_doubt
from veriscale.stages.trainer import Progress
from veriscale.stages.training_sets import check_sets, distance_remarks, spacing_remarks, subject_remarks

SPLITS = ".splits.toml"  # of the file that says who was drawn


def train(
    recipe: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    force: bool = False,
    overrides: Sequence[str] = (),
    cpu: bool = False,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda line: None,
    warn: Callable[[str], None] = lambda line: None,
) -> Path | None:
    """Train the prior a recipe describes; on a GPU where there is one, under `accelerate launch` on several.

    The state of the run, its curves (CSV, PNG) and the prior lie side by side; the state is written every three
    minutes, and `resume` takes it up as if it had never been left. Of a finished run only the measurements are made
    again. A recipe may grow by stages, and `resume` goes on with those that are new; while they leave a network
    untrained there is only the state, and None is returned. Where a stage draws subjects, NAME.splits.toml beside the
    prior says who was drawn, as a manifest of splits does. A recipe with `guides` makes a file of guides, one with
    `latent` a folder in the layout of diffusers.

    Args:
        recipe: a TOML file.
        output: the prior's file; NAME.safetensors in the current folder by default, with `latent` the folder NAME.
        resume: take up an earlier run of the same recipe.
        force: replace an existing prior, and begin anew where an earlier run left a state.
        overrides: `key=value` pairs for the recipe.
        cpu: do not use a GPU.
        progress: told every 50 steps, and after every evaluation.
        tell: told in words what is being measured, or what is missing.
        warn: told who is trained on and held out, and what was found that makes the prior doubtful.

    Raises:
        InputError: the recipe, its parent, its data or the state cannot be used, or the output exists.
    """
    document = read_recipe(recipe, overrides)
    parent, givers = read_parent(document, Path(recipe)), read_givers(document, Path(recipe))
    before = [*([] if parent is None else [parent]), *givers.values()]
    path = Path(output or (document.name if document.latent else f"{document.name}.safetensors"))
    if document.latent:
        refuse_there(path)
    elif path.suffix != SUFFIX:
        raise InputError(f"A prior is found by a file NAME{SUFFIX}, and {path} is no such name; call it so.")
    else:
        refuse_existing(path, force)
    state = path.with_suffix(STATE)
    if state.exists() and not (resume or force):
        raise InputError(f"{state} holds an earlier run; `--resume` goes on with it, and `--force` begins anew.")
    if path.exists() and any(path.samefile(p.path) for p in before):
        raise InputError(f"Prior {path} would replace its own parent; write it to another file.")
    with unmade_on_failure(make_folder(path.parent)):
        check_writable(path.parent)  # now, and not after the first minutes
        accelerator = _accelerator(cpu, document.precision)
        device = accelerator.device
        training, validation, table = stage_sets(document, Path(recipe), device)
        refuse_photographs_after_scans([p.card for p in before], [s.name for s in document.stage], training)
        check_sets(document, training, validation, [p.card for p in before])
        for remark in subject_remarks(document, training, validation):
            warn(remark)
        far = [remark for p in before for remark in distance_remarks(p.card, training)]
        for remark in [*spacing_remarks([*training, *validation]), *far]:
            warn(remark)
        quiet: Progress = lambda phase, step, steps, loss, held_out: None  # noqa: E731  # a protocol's shortest member
        if parent is not None and document.guides is not None:
            guides = train_guides(
                document,
                parent,
                training[0],
                validation[0],
                path,
                state=state,
                resume=resume,
                force=force,
                accelerator=accelerator,
                machine=_machine(accelerator),
                progress=progress or quiet,
                tell=tell,
            )
            if accelerator.is_main_process:
                _tell_drawn(path, table)
            return guides
        if document.latent is not None:
            return train_latent(
                document,
                training[0],
                validation[0],
                path,
                root=data_root(Path(recipe)),
                state=state,
                resume=resume,
                accelerator=accelerator,
                machine=_machine(accelerator),
                progress=progress or quiet,
            )
        multiple = math.lcm(
            FACTOR, *document.task.scales, document.denoiser.stem * 2 ** (len(document.denoiser.width) - 1)
        )
        validation = [held_out_slices(v, multiple) for v in validation]
        trained = fit_networks(
            document, training, validation, state, resume, accelerator, progress or quiet, parent, givers, tell
        )
        lacking = untrained(document, parent)
        accelerator.wait_for_everyone()
        if not accelerator.is_main_process:
            return None if lacking else path
        if lacking:
            missing = " and the ".join(lacking)
            tell(
                spoken(
                    f"no prior yet: no stage trains the {missing}; {state} is kept, add a stage and go on with "
                    "`--resume`"
                )
            )
            return None
        card = Card(
            name=path.stem,
            network=trained.network,
            modes=trained.modes,
            training=_distinct(training),
            validation=[validation[-1].facts],
            budget=_budget(document, trained, _machine(accelerator)),
            lineage=lineage_of(before),
            mean=trained.mean,
            normalisation=training[-1].normalisation,
        )
        with TemporaryDirectory() as folder:
            # Everything is measured on the file as it is shipped: in float16, loaded for this machine.
            draft = Path(folder) / path.name
            save_prior(trained.networks, card, draft)
            prior = load_checkpoint(draft, device, choose_dtype(device))
        measure = measured if document.measure == "all" else scored
        card = measure(prior, validation[-1], lambda line: tell(f"measuring {line}"))
        if document.measure == "all" and not validation[-1].stored and (doubt := spread_doubt(card)):
            warn(doubt)
        save_prior(trained.networks, card, path, force)
        _tell_drawn(path, table)
        return path


def _tell_drawn(path: Path, table: str) -> None:
    """Write who was drawn for the prior, and leave no table of another run where nobody was."""
    file = path.with_suffix(SPLITS)
    if not table:
        file.unlink(missing_ok=True)
        return
    with replacing(file, force=True) as temporary:
        temporary.write_text(table, encoding="utf-8")


def pack_data(
    recipe: str | os.PathLike[str],
    archive: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    force: bool = False,
) -> int:
    """Write all pictures of a recipe as one archive that `train` reads; returns their number.

    Raises:
        InputError: the recipe or its data cannot be read, a stage draws who is held out or names an archive, or the
            archive exists.
    """
    stages = read_recipe(recipe, overrides).stage
    for stage in stages:
        if stage.hold_out:
            raise InputError(
                f"stage.{stage.name}.hold_out draws who is held out as training begins, and an archive is packed in "
                f"parts; name stage.{stage.name}.validation."
            )
    sets = {stage.name: {"training": stage.data, "validation": stage.validation} for stage in stages}
    return pack(sets, data_root(Path(recipe)), Path(archive), force, Path(recipe).with_name(MANIFEST))


def _distinct(sets: list[PictureSet]) -> list[Data]:
    """What the card says of each set, once."""
    return [s.facts for i, s in enumerate(sets) if s.facts not in [t.facts for t in sets[:i]]]


def _budget(recipe: Recipe, trained: Trained, machine: str) -> Budget:
    phases = [
        PhaseBudget(
            stage.name,
            network,
            stopped.get("steps", phase.steps),
            phase.batch,
            phase.optimiser,
            stage.trainable,
            trained.parameters[f"{stage.name}.{network}"],
            stopped.get("kept"),
        )
        for stage in recipe.stage
        for network, phase in stage.phases().items()
        for stopped in [trained.stopped.get(f"{stage.name}.{network}", {})]
    ]
    total = {n: sum(p.steps for p in phases if p.network == n) for n in NETWORKS}
    return Budget(total["encoder"], total["denoiser"], round(trained.seconds, 1), machine, total["predictor"], phases)


def _accelerator(cpu: bool, precision: str) -> Accelerator:
    device = torch.device("cuda" if torch.cuda.is_available() and not cpu else "cpu")
    if precision == "auto":
        precision = "bf16" if choose_dtype(device) is torch.bfloat16 else "float32"
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # a step trains the tail of one scale
    mixed = "bf16" if precision == "bf16" else "no"
    AcceleratorState._reset_state()  # it is the process's own, and refuses a second recipe of another precision
    return Accelerator(cpu=cpu, mixed_precision=mixed, kwargs_handlers=[unused])


def _machine(accelerator: Accelerator) -> str:
    if accelerator.device.type == "cuda":
        return torch.cuda.get_device_name(accelerator.device)
    kind = "bf16" if accelerator.mixed_precision == "bf16" else "float32"
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads, {kind}"
