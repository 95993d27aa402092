"""`veriscale train`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from veriscale.cli.console import meter, say


def train(
    recipe: Path,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    pack: Path | None = None,
    overrides: Annotated[list[str] | None, Parameter(name="--set")] = None,
    device: str = "auto",
    force: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train the prior that a recipe describes.

    Parameters
    ----------
    recipe
        A TOML file; see recipes/photo.toml.
    output
        The prior's file; NAME.safetensors in the current folder by default, of a recipe with [latent] the folder NAME.
        State and curves lie beside it.
    resume
        Take up an interrupted run where it was left.
    pack
        Only write the recipe's pictures to this archive; train on it elsewhere with, for each stage,
        --set stage.NAME.data=FILE.zip --set stage.NAME.validation=FILE.zip.
    overrides
        key=value, as in seed=1 or stage.photo.encoder.lr=1e-3; may be given several times;
        key= takes a key out of the recipe.
    device
        auto or cpu.
    force
        Replace an existing prior's file, and without --resume the state of an earlier run; a folder never is.
    quiet
        No progress; who is trained on is said all the same, and what makes the prior doubtful.
    """
    from veriscale.errors import InputError

    if device not in ("auto", "cpu"):
        raise InputError(f"Device {device!r} cannot be chosen for training; known: auto, cpu.")
    try:
        from veriscale.stages.training import pack_data
        from veriscale.stages.training import train as fit
    except ModuleNotFoundError as error:
        if error.name not in ("accelerate", "matplotlib"):
            raise
        raise InputError("Training needs more packages; install them with: pip install 'veriscale[train]'.") from error
    changes = overrides or []
    if pack is not None:
        count = pack_data(recipe, pack, changes, force)
        say(f"{count} pictures packed.", quiet)
        print(pack)
        return 0
    with meter(quiet) as shown:
        path = fit(
            recipe,
            output,
            resume=resume,
            force=force,
            overrides=changes,
            cpu=device == "cpu",
            progress=lambda phase, step, steps, loss, held_out: shown(
                f"{phase}, loss {loss:.4f}" + ("" if held_out is None else f", held out {held_out:.4g}"), step, steps
            ),
            tell=lambda line: say(line, quiet),
            warn=say,
        )
    if path is not None:
        print(path)
    return 0
