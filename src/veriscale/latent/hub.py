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

    at = {"revision": revision or said["revision"]}
    try:
        index = [INDEX, *(f"*/*{suffix}" for suffix in SMALL_FILES)]
        found = Path(snapshot_download(said["id"], **at, local_files_only=local_only, allow_patterns=index))
        components = used(read_folder(found))
        if local_only:
            return found
        files = HfApi().list_repo_files(said["id"], **at)
        weights = [f for f in files if f.endswith(".safetensors") and str(Path(f).parent) in components]
        return Path(snapshot_download(said["id"], **at, allow_patterns=[*index, *_of_variant(weights, variant)]))
    except InputError:
        raise
    except Exception as error:  # of the hub's library, of its HTTP client or of the network below it
        raise InputError(
            f"The model {said['id']} cannot be had from the hub ({first_line(error)}); copy it to a folder "
            "and give that."
        ) from error


def _of_variant(files: list[str], variant: str | None) -> list[str]:
    """Of each component the files of a variant where it has them, else those without one, else all."""
    found = []
    for folder in {Path(f).parent for f in files}:
        own = [f for f in files if Path(f).parent == folder]
        marked = {f: Path(f).stem.partition(".")[2] for f in own}
        wanted = [f for f in own if marked[f].partition("-0")[0] == (variant or "")]
        found += wanted or own
    return found
