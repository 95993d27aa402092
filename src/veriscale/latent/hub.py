"""Models of the hub: the files that are needed, fetched or found in its store."""

import re
from collections.abc import Callable
from pathlib import Path

from veriscale.diffusion.library import INDEX
from veriscale.errors import InputError
from veriscale.latent.folder import SMALL_FILES, Folder, read_folder
from veriscale.latent.packages import first_line, package

MARK = "hub:"
_NAME = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


def is_hub(name: object) -> bool:
    """Whether a prior's name is one of the hub, `hub:owner/name` or `hub:owner/name@revision`."""
    return isinstance(name, str) and name.startswith(MARK)


def hub_folder(
    name: str,
    used: Callable[[Folder], list[str]],
    revision: str | None = None,
    variant: str | None = None,
    local_only: bool = False,
) -> Path:
    """The folder of a model of the hub: fetched, where its store does not have it.

    Args:
        name: `hub:owner/name`, with `@revision` if it is not said by itself.
        used: says by a model's configurations which of its components are used; the weights of others stay there.
        revision: a branch, a tag or a commit.
        variant: of the weights, such as "fp16"; the plain ones by default, or what there is.
        local_only: whether nothing may be fetched.

    Raises:
        InputError: the name is none, or the model is not in the store and cannot be fetched.
    """
    said = _NAME.fullmatch(name.removeprefix(MARK))
    if said is None:
        raise InputError(f"{name!r} names no model of the hub; it is hub:owner/name or hub:owner/name@revision.")
    package("diffusers")  # which brings the hub's own
    from huggingface_hub import HfApi, snapshot_download

    model, at = said["id"], {"revision": revision or said["revision"]}
    try:
        index = [INDEX, *(f"*/*{suffix}" for suffix in SMALL_FILES)]
        found = Path(snapshot_download(model, **at, local_files_only=local_only, allow_patterns=index))
        folder = read_folder(found, variant)
        components = used(folder)
        if local_only:
            return found
        if found.parent.name == "snapshots":  # a branch may go on between two downloads
            at = {"revision": found.name}
        try:
            files = HfApi().list_repo_files(model, **at)
        except Exception:  # as below: what was fetched once is used without a way there
            if _is_whole(folder, components):
                return found
            raise
        weights = [f for f in files if f.endswith(".safetensors") and str(Path(f).parent) in components]
        return Path(snapshot_download(model, **at, allow_patterns=[*index, *_of_variant(weights, variant, model)]))
    except InputError:
        raise
    except Exception as error:  # of the hub's library, of its HTTP client or of the network below it
        raise InputError(
            f"The model {model} cannot be had from the hub ({first_line(error)}); copy it to a folder and give that."
        ) from error


def _is_whole(folder: Folder, components: list[str]) -> bool:
    """Whether the weights of all components are there: a scheduler and tokenizers have none."""
    try:
        for component in components:
            if component != "scheduler" and not component.startswith("tokenizer"):
                folder.variant_of(component)
    except InputError:
        return False
    return True


def _of_variant(files: list[str], variant: str | None, model: str) -> list[str]:
    """Of each component the files of a variant; by default those without one, else all.

    Raises:
        InputError: a component has no such variant.
    """
    found = []
    for folder in {Path(f).parent for f in files}:
        own = [f for f in files if Path(f).parent == folder]
        marked = {f: Path(f).stem.partition(".")[2] for f in own}
        wanted = [f for f in own if marked[f].partition("-0")[0] == (variant or "")]
        if variant and not wanted:
            raise InputError(f"The {folder} of {model} has no variant {variant!r} on the hub; choose another.")
        found += wanted or own
    return found
