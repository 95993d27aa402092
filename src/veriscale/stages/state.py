"""The state of a training run on disk: everything `--resume` needs, as safetensors."""

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from veriscale.diffusion.card import MEAN, Mode
from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing
from veriscale.stages.average import MovingAverage
from veriscale.stages.early_stopping import Best


class _BestFacts(msgspec.Struct):
    step: int
    score: float
    waited: int


class _Facts(msgspec.Struct):
    """What a state says of its run: the last phase, how far it was done, what it came from and what was measured."""

    phase: str
    step: Annotated[int, msgspec.Meta(ge=0)]
    seconds: float
    recipe: Any  # of `provenance`
    modes: list[Mode] = []
    measured_for: list[str] = []
    mean: float = MEAN
    stopped: dict[str, dict[str, int]] = {}
    best: _BestFacts | None = None


def save_state(
    path: Path,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    average: MovingAverage,
    facts: dict[str, Any],
    best: Best | None = None,
) -> None:
    """Write networks, moving average, optimiser, the best weights if they are kept and facts (step, …) atomically.

    Raises:
        InputError: it cannot be written; what was there stays.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"{name}.{k}": v for k, v in module.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state().items()}
    if best is not None:
        tensors |= {f"best.{k}": v for k, v in best.state().items()}
        facts = {**facts, "best": best.facts}
    for i, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{k}": v for k, v in entry.items()}
    contiguous = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    with replacing(path, force=True) as temporary:
        temporary.write_bytes(save(contiguous, {"facts": json.dumps(facts)}))  # save_file has errors of its own


def read_facts(path: Path) -> dict[str, Any]:
    """The facts alone.

    Raises:
        InputError: the file is not a state that `save_state` wrote, or says of its run what cannot be.
    """
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get("facts")
        if text is None:
            raise InputError(f"{path} is no training state but another file; move it away, or choose another output.")
        facts: dict[str, Any] = json.loads(text)
        known = msgspec.convert(facts, _Facts)
    except (OSError, SafetensorError, json.JSONDecodeError, RecursionError, msgspec.ValidationError) as error:
        raise InputError(f"Training state {path} cannot be read: {error}; delete it to start again.") from error
    phases = known.recipe.get("phases") if isinstance(known.recipe, dict) else [known.phase]  # of a version before
    if not isinstance(phases, list) or phases[-1:] != [known.phase]:
        raise InputError(
            f"Training state {path} cannot be read: its phase {known.phase!r} is not the last of its recipe; delete it "
            "to start again."
        )
    return facts


def load_modules(path: Path, modules: dict[str, nn.Module]) -> None:
    """Put the saved weights into the networks."""
    with safe_open(path, "pt") as file:
        for name, module in modules.items():
            prefix = f"{name}."
            keys = [k for k in file.keys() if k.startswith(prefix)]  # noqa: SIM118  # not a mapping
            module.load_state_dict({k.removeprefix(prefix): file.get_tensor(k) for k in keys})


def load_optimiser(path: Path, optimizer: torch.optim.Optimizer, average: MovingAverage) -> None:
    """Put the saved optimiser state and moving average in place."""
    entries: dict[int, dict[str, Tensor]] = {}
    averages: dict[str, Tensor] = {}
    with safe_open(path, "pt") as file:
        for key in file.keys():  # noqa: SIM118  # not a mapping
            kind, _, rest = key.partition(".")
            if kind == "average":
                averages[rest] = file.get_tensor(key)
            elif kind == "optimizer":
                position, _, name = rest.partition(".")
                entries.setdefault(int(position), {})[name] = file.get_tensor(key)
    state = optimizer.state_dict()
    optimizer.load_state_dict({"state": entries, "param_groups": state["param_groups"]})
    for parameter, entry in optimizer.state.items():
        for name, value in entry.items():
            if value.shape == parameter.shape:
                # The fused step walks parameter and moments by address: both must lie in the same order.
                entry[name] = torch.empty_like(parameter).copy_(value)
    average.restore(averages)


def load_best(path: Path, best: Best) -> None:
    """Put the saved best weights in place.

    Raises:
        InputError: the state has none.
    """
    facts = read_facts(path).get("best")
    if facts is None:
        raise InputError(f"Training state {path} cannot be read: it lacks `best`; delete it to start again.")
    with safe_open(path, "pt") as file:
        keys = [k for k in file.keys() if k.startswith("best.")]  # noqa: SIM118  # not a mapping
        best.restore({k.removeprefix("best."): file.get_tensor(k) for k in keys}, facts)
