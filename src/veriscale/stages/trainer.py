"""The training loop, the same for every network, on CPU and CUDA, in one process or many."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from veriscale.errors import InputError
from veriscale.stages.average import MovingAverage
from veriscale.stages.batches import Batch
from veriscale.stages.curves import Curves
from veriscale.stages.early_stopping import Best
from veriscale.stages.lora import LowRank
from veriscale.stages.muon import BETAS, Muon
from veriscale.stages.recipe import Phase
from veriscale.stages.state import load_best, load_modules, load_optimiser, save_state

WARM_UP = 200  # steps of linear warm-up
SAVE_EVERY = 180.0  # seconds
LONGEST_STEP = 60.0  # seconds: where a step takes more, the process was stopped, and was not training
ADAM_LR = 8e-4  # of what Muon leaves to Adam


class Progress(Protocol):
    """Told every 50 steps, and after every evaluation."""

    def __call__(self, phase: str, step: int, steps: int, loss: float, held_out: float | None) -> None:
        """`step` of `steps` done; `held_out` is what the phase's last evaluation found, None before the first."""


@dataclass
class Run:
    """Where a training run keeps its state, and what it has used so far: seconds of steps, pauses left out."""

    state: Path
    curves: Curves
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


def rate(schedule: str, step: int, steps: int) -> float:
    """The learning rate over its peak: a linear warm-up, then a cosine to zero, or constant."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return warm if schedule == "constant" else warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def optimiser_of(loss: nn.Module, phase: Phase, lr: float) -> torch.optim.Optimizer:
    """The optimiser of a phase over what its loss trains; lr is the peak of the schedule."""
    if phase.optimiser == "muon":
        return Muon(loss, lr, ADAM_LR if phase.adam_lr is None else phase.adam_lr)
    parameters = [p for p in loss.parameters() if p.requires_grad]
    return torch.optim.Adam(parameters, lr=lr, betas=BETAS, fused=True)


def fit(
    name: str,
    phase: Phase,
    loss: nn.Module,
    modules: dict[str, nn.Module],
    make_batch: Callable[[int, range], Batch],
    *,
    lr: float,
    clip: float,
    accelerator: Accelerator,
    run: Run,
    start: int,
    progress: Progress,
    evaluate: Callable[[], float],
    every: int,
    patience: int = 0,
) -> None:
    """Minimise `loss` over the steps of a phase, and leave the averaged weights, merged, in the networks.

    With patience they are the best of those that were evaluated, those that the phase began with among them, and
    `run.facts["stopped"]` says which, and how many steps were made.

    Args:
        name: of the phase in the state file and the curves.
        phase: steps, batch, optimiser, schedule and moving average.
        loss: maps a batch to a scalar; its parameters that require gradients are trained.
        modules: the networks of the state file.
        make_batch: (step, global indices) -> batch.
        lr: peak of the schedule.
        clip: largest gradient norm.
        accelerator: where and how.
        run: files and time used.
        start: the first step to make; above 0 the state file is taken up.
        progress: told every 50 steps, and after every evaluation.
        evaluate: called with the averaged weights in the networks, in every process; must leave them, and every
            random state, as they are.
        every: steps from one evaluation to the next; 0: there is none.
        patience: so many evaluations without a lower value end the phase; 0: none does.

    Raises:
        InputError: the processes cannot share a batch evenly; or the weights are no numbers that a prior's file holds,
            and the state file stays as it was.
    """
    parameters = [p for p in loss.parameters() if p.requires_grad]
    optimizer = optimiser_of(loss, phase, lr)
    peaks = [group["lr"] for group in optimizer.param_groups]
    average = MovingAverage(loss, phase.ema)
    modules = modules | ({"lora": loss.pairs} if isinstance(loss, LowRank) else {})
    best = Best(average, patience) if patience else None
    if start:
        load_modules(run.state, modules)
        load_optimiser(run.state, optimizer, average)
        if best is not None:
            load_best(run.state, best)
    prepared, optimizer = accelerator.prepare(loss, optimizer)
    share, left = divmod(phase.batch, accelerator.num_processes)
    if left:
        raise InputError(f"A batch of {phase.batch} cannot be shared by {accelerator.num_processes} processes evenly.")
    mine = range(accelerator.process_index * share, (accelerator.process_index + 1) * share)
    saved = ticked = time.monotonic()
    prepared.train()
    recent: list[Tensor] = []
    held_out: float | None = None

    def save(step: int) -> None:
        if accelerator.is_main_process:
            facts = {"phase": name, "step": step, "seconds": run.seconds, **run.facts}
            save_state(run.state, modules, optimizer, average, facts, best)
            run.curves.flush()

    def evaluated(step: int) -> float:
        with average.in_place(), accelerator.autocast():
            value = evaluate()
        if best is not None:
            (value,) = broadcast_object_list([value])  # all processes have to end at the same step
            best.hear(step, value)
        return value

    if best is not None and not start:
        run.curves.add(name, 0, run.seconds, None, evaluated(0))
    made = start
    for step in range(start, phase.steps):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * rate(phase.schedule, step, phase.steps)
        with accelerator.autocast():
            value: Tensor = prepared(make_batch(step, mine))
        accelerator.backward(value)
        accelerator.clip_grad_norm_(parameters, clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update(step)
        recent.append(value.detach())
        run.seconds, ticked = run.seconds + min(time.monotonic() - ticked, LONGEST_STEP), time.monotonic()
        found: float | None = None
        made = step + 1
        if every and (made % every == 0 or (best is not None and made == phase.steps)):
            found = held_out = evaluated(made)
            ticked = time.monotonic()  # no training either
        if found is not None or made % 50 == 0:
            loss_now = float(torch.stack(recent).mean())  # the one wait for the device
            run.curves.add(name, made, run.seconds, loss_now, found)
            progress(name, made, phase.steps, loss_now, held_out)
            recent.clear()
        if best is not None and best.ends:
            break
        if time.monotonic() - saved > SAVE_EVERY and made < phase.steps:
            save(made)
            saved = time.monotonic()
    if best is None:
        average.copy_into_module()
    else:
        best.copy_into_module()
        run.facts["stopped"] = {**run.facts.get("stopped", {}), name: {"steps": made, "kept": best.step}}
    if isinstance(loss, LowRank):
        loss.merge()
        del modules["lora"]
    if not all(bool(p.half().isfinite().all()) for part in modules.values() for p in part.parameters()):
        raise InputError(
            f"Training diverged: after stage.{name} weights are not finite or too large for a prior's file; lower "
            f"stage.{name}.lr."
        )
    save(phase.steps)
