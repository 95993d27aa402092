"""Where priors are found: the package, the user's data folder, and VERISCALE_PRIORS."""

import os
import re
import sys
from pathlib import Path

from veriscale.errors import InputError, closest

SUFFIX = ".safetensors"
STATE = f".training{SUFFIX}"
"""How the name of a training run's state ends, which lies beside the prior that comes of it."""
INDEX = "model_index.json"
"""What lies in every folder that holds a model in the layout of diffusers."""


def folders() -> list[Path]:
    """The folders that are searched, the user's own first."""
    own = [Path(p) for p in os.environ.get("VERISCALE_PRIORS", "").split(os.pathsep) if p]
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return [*own, base / "veriscale" / "priors", Path(__file__).parent.parent / "priors"]


def known_priors() -> dict[str, Path]:
    """Names and files of all priors found; of two with one name the user's comes first."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []:
            if path.name.endswith(STATE):
                continue
            found.setdefault(path.stem, path)
    return found


def known_models() -> dict[str, Path]:
    """Names and folders of all models in the layout of diffusers that lie where priors do, the user's own first."""
    found: dict[str, Path] = {}
    for folder in folders():
        for index in sorted(folder.glob(f"*/{INDEX}")):
            found.setdefault(index.parent.name, index.parent)
    return found


def find_prior(name: str) -> Path:
    """The file of a prior given by name or path.

    Raises:
        InputError: there is none.
    """
    path, own = Path(name), ", or package.module:factory of your own, such as lab.networks:prior"
    if path.suffix == SUFFIX or (os.sep in name and ".py" not in path.name):
        if not path.is_file():
            raise InputError(f"Prior file {name} does not exist.")
        return path
    known = known_priors()
    if name not in known:
        like_a_module = re.search(r"\w[./:]\w", name)
        raise InputError(
            f"No prior is called {name!r}; {closest(name, [*known, *known_models()])}{own if like_a_module else ''}."
        )
    return known[name]
