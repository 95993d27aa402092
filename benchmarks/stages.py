"""stages.lora.*, stages.resume.*, stages.processes.*, stages.scratch.*: what is trained, killed, shared, inherited."""

import argparse
import copy
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pictures import DATA
from results import ROOT, Row, write_results
from veriscale.diffusion.checkpoint import read_card
from veriscale.diffusion.encoder import Condition
from veriscale.diffusion.prior import Networks, build
from veriscale.stages.batches import Batch
from veriscale.stages.fitting import CONTEXT, network_of
from veriscale.stages.losses import DenoiserLoss, EncoderLoss, PredictorLoss
from veriscale.stages.recipe import NETWORKS
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.trainable import count, restrict

TRAINABLE = "all", "decoder", "norm+bias", "lora:8"
BATCH, SCALE, PATCH = 4, 4, 24  # measurement pixels
STEPS = 50
RECIPE = """
name = "toy"
seed = 3
precision = "float32"
measure = "modes"
[task]
operators = ["downsample:factor=2", "downsample:factor=4"]
unconditional = 0.3
[encoder]
width = 32
depth = 2
features = 4
[denoiser]
width = [32, 32]
depth = [1, 1]
[predictor]
width = 32
depth = 1
"""
STAGE = """
[[stage]]
name = "{name}"
data = ["{data}"]
validation = ["{validation}"]
licence = "{licence}"
trainable = "{trainable}"
[stage.encoder]
steps = {steps}
batch = 4
patch = 12
[stage.denoiser]
steps = {steps}
batch = 4
patch = 32
[stage.predictor]
steps = {steps}
batch = 4
patch = 12
"""
PHOTOGRAPHS = {"data": "natural/validation/1*", "validation": "natural/validation/2*", "licence": "CC0"}
HEADS = {
    "data": "mri/multicontrast@train",
    "validation": "mri/multicontrast@validation",
    "licence": "CC BY 4.0",
}
HEARTS = {
    "data": "mri/cardiac/acdc@pool",
    "validation": "mri/cardiac/acdc@validation",
    "licence": "CC BY-NC-SA 4.0",
}
# Says which phase begins, and saves its state every third of a second.
CHILD = """
import sys
import veriscale.stages.fitting as fitting
import veriscale.stages.trainer as trainer
from veriscale.stages.training import train
trainer.SAVE_EVERY = 0.3
fit = fitting.fit
def told(name, *arguments, **options):
    print(name, flush=True)
    fit(name, *arguments, **options)
fitting.fit = told
train(sys.argv[1], sys.argv[2], cpu=True, resume=True)
"""


def recipe_of(channels: int, *stages: str) -> str:
    return RECIPE.replace("[task]", f"[task]\nchannels = {channels}") + "".join(stages)


def stage_of(name: str, data: dict[str, str], steps: int, trainable: str = "all", parent: str = "") -> str:
    stage = STAGE.format(name=name, trainable=trainable, steps=steps, **data)
    return stage.replace("data =", f'init_from = "{parent}"\ndata =', 1) if parent else stage


def photo() -> Networks:
    """Of photo's sizes, with random weights, so that nothing is zero."""
    torch.manual_seed(0)
    networks = build(network_of(read_recipe(ROOT / "recipes" / "photo.toml")))
    with torch.no_grad():
        for part in networks.parts().values():
            for p in part.parameters():
                p.add_(0.01 * torch.randn_like(p))
    return networks


def loss_of(networks: Networks, network: str) -> nn.Module:
    encoder, denoiser, predictor = networks
    if network == "encoder":
        return EncoderLoss(encoder)
    if network == "denoiser":
        spread = {s: [0.1, 0.1] for s in (0, *encoder.scales)}
        return DenoiserLoss(encoder, denoiser, [0.0, 0.05], spread, CONTEXT)
    return PredictorLoss(encoder, predictor, CONTEXT)


def batch(network: str) -> Batch:
    g = torch.Generator().manual_seed(0)
    margin = 0 if network == "encoder" else CONTEXT
    x = torch.rand(BATCH, 3, PATCH * SCALE, PATCH * SCALE, generator=g)
    y = torch.rand(BATCH, 3, PATCH + 2 * margin, PATCH + 2 * margin, generator=g)
    uniform, free = torch.rand(BATCH, generator=g), torch.arange(BATCH) % 2 == 0
    return Batch(x, y, SCALE, torch.zeros(BATCH), free, uniform, torch.randn(x.shape, generator=g))


@torch.no_grad()
def outputs(networks: Networks, network: str) -> Tensor:
    """Of the network itself, on random input."""
    g = torch.Generator().manual_seed(1)
    encoder, denoiser, predictor = networks
    y, x = torch.rand(1, 3, 16, 16, generator=g), torch.randn(1, 3, 64, 64, generator=g)
    features = torch.randn(1, encoder.features, 64, 64, generator=g)
    zero = torch.zeros(1)
    if network == "encoder":
        return torch.cat([t.flatten() for t in encoder(y, SCALE, zero)])
    if network == "denoiser":
        return denoiser(x, torch.cat([x, features], 1), zero, zero.long() + 1, zero)
    return predictor(Condition(x, features), SCALE)


def merged_rows() -> list[Row]:
    """With A and B random, the network with W + BA in use against the one that they were merged into."""
    rows = []
    for network in NETWORKS:
        networks = photo()
        plain = outputs(networks, network)
        low = restrict(loss_of(networks, network), networks, network, "lora:8", torch.Generator().manual_seed(0))
        with torch.no_grad():
            for pair in low.pairs:
                pair.add_(0.02 * torch.randn_like(pair))
        used = copy.deepcopy(networks)
        with torch.no_grad():
            for name, a, b in zip(low.names, low.pairs[::2], low.pairs[1::2], strict=True):
                part, _, rest = name.partition(".")
                layer = getattr(used, part).get_submodule(rest.removesuffix(".weight"))
                layer.register_forward_hook(beside(layer, a, b))
        unmerged = outputs(used, network)
        low.merge()
        merged = outputs(networks, network)
        off, moved = (float((merged - other).abs().max() / plain.abs().max()) for other in (unmerged, plain))
        what = f"{network} of photo's size, rank 8: merged against unmerged layer by layer, over the largest output"
        rows.append(Row(f"stages.lora.merged.{network}", what, off, bar="<= 1e-5", against={"unchanged": moved}))
    return rows


def beside(layer: nn.Module, a: Tensor, b: Tensor):
    """A convolution's output plus what A and then B make of its input: LoRA as it is drawn in the paper."""

    def hook(module: nn.Module, given: tuple[Tensor], out: Tensor) -> Tensor:
        down = torch.conv2d(given[0], a.view(-1, *layer.weight.shape[1:]), None, layer.stride, layer.padding)
        return out + torch.conv2d(down, b[:, :, None, None])

    return hook


def cost_rows(rounds: int) -> list[Row]:
    """Numbers trained and time of a step, in turn, so that all see the same machine."""
    steppers, counts = {}, {}
    for network in NETWORKS:
        for trainable in TRAINABLE:
            networks = photo()
            counts[trainable, network] = count(networks, network, trainable)
            loss = restrict(loss_of(networks, network), networks, network, trainable, torch.Generator().manual_seed(0))
            optimizer = torch.optim.Adam([p for p in loss.parameters() if p.requires_grad], lr=1e-5, fused=True)
            steppers[trainable, network] = loss, optimizer, batch(network)
    times: dict[tuple[str, str], list[float]] = {k: [] for k in steppers}
    for _ in range(rounds + 1):
        for k, (loss, optimizer, items) in steppers.items():
            begun = time.perf_counter()
            loss(items).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            times[k].append(time.perf_counter() - begun)
    rows = []
    for network in NETWORKS:
        for trainable in TRAINABLE:
            name = trainable.replace("+", "_").replace(":", "_")
            number, seconds = counts[trainable, network], min(times[trainable, network][1:])
            whole = min(times["all", network][1:])
            what = f"numbers that trainable = '{trainable}' trains in a phase of photo's {network}"
            rows.append(Row(f"stages.lora.parameters.{name}.{network}", what, number))
            what = f"time of a step of photo's {network}, trainable = '{trainable}' over 'all', batch {BATCH}, float32"
            against = {"seconds a step": seconds, "minutes of 1000 steps": seconds * 1000 / 60}
            rows.append(Row(f"stages.lora.time.{name}.{network}", what, seconds / whole, against=against))
    return rows


def tensors(prior: Path) -> dict[str, bytes]:
    """Bytes of every tensor of a prior and of its state."""
    found = {}
    for kind, path in (("prior", prior), ("state", prior.with_suffix(".training.safetensors"))):
        found |= {f"{kind} {k}": v.contiguous().view(torch.uint8).numpy().tobytes() for k, v in plain(path).items()}
    return found


def plain(path: Path) -> dict[str, Tensor]:
    return {k: v.reshape(-1) for k, v in load_file(path).items()}


def untimed(prior: Path) -> bytes:
    """The card without its seconds and its file's name."""
    card = read_card(prior)
    budget = msgspec.structs.replace(card.budget, seconds=0.0)
    return msgspec.json.encode(msgspec.structs.replace(card, budget=budget, name="toy"))


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "VERISCALE_DATA": str(DATA.parent)}


def start(recipe: Path, prior: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(recipe), str(prior)]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)


def resume_rows(folder: Path, steps: int, runs: int) -> list[Row]:
    """A child of RGB: a stage of grey photographs, then one of scans of low rank; killed once in every phase."""
    shutil.copy(ROOT / "recipes" / "splits.toml", folder)
    recipe, parent = folder / "parent.toml", folder / "parent.safetensors"
    recipe.write_text(recipe_of(3, stage_of("only", PHOTOGRAPHS, steps // 4)))
    if start(recipe, parent).wait():
        raise SystemExit("the parent's run failed")
    recipe = folder / "resume.toml"
    first, second = (
        stage_of("first", PHOTOGRAPHS, steps, parent=str(parent)),
        stage_of("second", HEADS, steps, "lora:4"),
    )
    recipe.write_text(recipe_of(1, first, second))
    whole = folder / "whole.safetensors"
    child = start(recipe, whole)
    begun = [(line.strip(), time.monotonic()) for line in child.stdout or ()]
    if child.wait():
        raise SystemExit("the uninterrupted run failed")
    ends = [at for _, at in begun[1:]] + [time.monotonic()]
    lasts = {name: end - at for (name, at), end in zip(begun, ends, strict=True)}
    rng, same, cards, kills = random.Random(0), 0, 0, 0
    for k in range(runs):
        prior = folder / f"run_{k}.safetensors"
        for phase, seconds in lasts.items():
            child = start(recipe, prior)
            if any(line.strip() == phase for line in child.stdout or ()):
                time.sleep(rng.uniform(0, 0.9 * seconds))
                child.send_signal(signal.SIGKILL)
                kills += child.wait() == -signal.SIGKILL
            child.wait()
        if not prior.exists() and start(recipe, prior).wait():
            raise SystemExit("a run that was killed did not go on")
        same += tensors(prior) == tensors(whole)
        cards += untimed(prior) == untimed(whole)
        print(f"run {k + 1} of {runs}, {kills} kills so far", flush=True)
    killed = {"killed": float(kills), "phases": float(len(lasts))}
    what = "share of runs of a child killed at random in every phase of photographs and then scans, these by lora:4"
    return [
        Row("stages.resume.tensors", f"{what}: all bytes of prior and state", same / runs, bar=">= 1", against=killed),
        Row("stages.resume.card", f"{what}: the card but for its seconds", cards / runs, bar=">= 1", against=killed),
    ]


def process_rows(folder: Path, steps: int) -> list[Row]:
    """One process and two, launched as Accelerate expects, on the CPU in float32."""
    rows = []
    for trainable in TRAINABLE:
        recipe = folder / "processes.toml"
        recipe.write_text(recipe_of(3, stage_of("only", PHOTOGRAPHS, steps, trainable.replace("8", "4"))))
        states = []
        for processes in (1, 2):
            prior = folder / f"{trainable[:4]}_{processes}.safetensors"
            launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
            train = ["-m", "veriscale", "train", str(recipe), "-o", str(prior), "--device", "cpu", "--quiet"]
            subprocess.run([sys.executable, *launch, *train], env=environment(), check=True, capture_output=True)
            states.append(plain(prior.with_suffix(".training.safetensors")))
        one, two = states
        names = [k for k in one if k.startswith(NETWORKS)]
        off = max(float((one[k] - two[k]).abs().max()) for k in names)
        name = trainable.partition(":")[0].replace("+", "_")
        what = f"one process and two, {steps} steps a phase, trainable = '{trainable.replace('8', '4')}', float32"
        rows.append(Row(f"stages.processes.{name}", f"{what}: largest difference of a weight", off, bar="<= 1e-5"))
        print(rows[-1].id, off, flush=True)
    return rows


GENERATIONS = {"photo": (3, PHOTOGRAPHS), "mri": (1, HEADS), "cardiac": (1, HEARTS)}  # name: channels, data


def scratch_rows(folder: Path, steps: int) -> list[Row]:
    """From an empty folder, by commands alone: photographs, their child of scans, and its child of other scans.

    So does `make priors`, for days; that its rules go in this order tests/test_makefile.py tells.
    """
    folder.mkdir()
    shutil.copy(ROOT / "recipes" / "splits.toml", folder)
    told = environment() | {"VERISCALE_PRIORS": str(folder)}

    def said(*command: str) -> str:
        full = [sys.executable, "-m", "veriscale", *command]
        return subprocess.run(full, env=told, check=True, capture_output=True, text=True).stdout

    cards, printed, parent = {}, {}, ""
    for name, (channels, data) in GENERATIONS.items():
        recipe = folder / f"{name}.toml"
        recipe.write_text(recipe_of(channels, stage_of(name, data, steps, parent=parent)))
        said("train", str(recipe), "-o", str(folder / f"{name}.safetensors"), "--device", "cpu", "--quiet")
        cards[name], printed[name], parent = json.loads(said("priors", name, "--json")), said("priors", name), name
    facts = [fact for name in cards for fact in of_lineage(name, cards, printed[name])]
    what = "photo, mri and a third generation from an empty folder: share of what their cards should say and print"
    against = {"generations": float(len(cards)), "facts": float(len(facts))}
    return [Row("stages.scratch.cards", what, sum(facts) / len(facts), bar=">= 1", against=against)]


def of_lineage(name: str, cards: dict[str, Any], printed: str) -> list[bool]:
    """Whether a card says what it is, and of each ancestor what that one's own card does."""
    card, names = cards[name], list(cards)
    lineage, ancestors = card["lineage"], names[: names.index(name)][::-1]
    channels, _ = GENERATIONS[name]
    licences = {n: GENERATIONS[n][1]["licence"] for n in (name, *ancestors)}
    own = [cards[n] for n in ancestors]
    # Of each ancestor what is printed up to the next one, or to what binds all.
    told = printed.partition("\n  licences ")[0].split("\n  ancestor ")[1:]
    heard = [
        text.lstrip().startswith(f"{k}: {n} (") and licences[n] in text
        for k, (n, text) in enumerate(zip(ancestors, told, strict=False), 1)
    ]
    return [
        [a["name"] for a in lineage] == ancestors,
        [a["sha256"] for a in lineage] == [c["tensors_sha256"] for c in own],
        [a["steps"] for a in lineage] == [{n: c["budget"][f"{n}_steps"] for n in NETWORKS} for c in own],
        [a["metrics"] for a in lineage] == [c["metrics"] for c in own] and all(c["metrics"] for c in cards.values()),
        {d["licence"] for of in (card, *lineage) for d in of["training"]} == {*licences.values()},
        len(told) == len(ancestors) and all(heard),
        card["normalisation"].startswith("scan") == (channels == 1),
        card["network"]["channels"] == channels,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="few steps, to try it; writes no results")
    small = parser.parse_args().small
    print("about ten minutes on two cores")
    begun = time.perf_counter()
    torch.set_num_threads(1)
    rows = merged_rows() + cost_rows(1 if small else 5)
    with tempfile.TemporaryDirectory() as name:
        rows += resume_rows(Path(name), 60 if small else 200, 1 if small else 5)
        rows += process_rows(Path(name), 5 if small else STEPS)
        rows += scratch_rows(Path(name) / "scratch", 5 if small else STEPS)
    if small:
        for row in rows:
            print(row.id, row.value, row.holds, row.against)
        return
    notes = (
        f"Merged, parameters and times: networks of recipes/photo.toml with random weights, ×{SCALE}, float32, one "
        "thread; the least of five rounds in turn, without making the batch. A low rank of 8 there and of 4 in the toy "
        "recipe of the runs, whose narrowest layer has 12 rows. Resumed: a child, folded to grey, of a prior of RGB; a "
        "stage of grey photographs, then one of scans; a state every third of a second, each run killed by SIGKILL "
        "once in every phase at a time drawn evenly over nine tenths of the phase; the card's seconds differ from run "
        "to run, and are left out of the comparison. Processes by torch.distributed.run, gloo."
    )
    print(write_results("stages", rows, notes, time.perf_counter() - begun))


if __name__ == "__main__":
    main()
