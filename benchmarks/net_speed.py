"""net.speed.*: the denoiser against diffusers' UNet2DModel of equal parameters: time, and loss after equal time."""

import statistics
import time
from collections.abc import Callable

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from pictures import DATA
from results import Row, write_results
from veriscale.diffusion.denoiser import Denoiser
from veriscale.diffusion.encoder import Condition, Encoder
from veriscale.diffusion.prior import build
from veriscale.stages.batches import Batches
from veriscale.stages.data import load
from veriscale.stages.held_out import held_out
from veriscale.stages.losses import DenoiserLoss
from veriscale.stages.recipe import Task
from veriscale.workflows.opening import load_prior

SIDE, BATCH = 128, 8
RACE, PILOT = 300.0, 40.0  # seconds
RATES = {"ours": (1e-3,), "peer": (3e-4, 1e-3)}
FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


class Peer(nn.Module):
    """UNet2DModel in the place of `Denoiser`: the same inputs, on the pixel grid."""

    def __init__(self, inputs: int, attention: bool) -> None:
        super().__init__()
        kinds = ("AttnDownBlock2D", "AttnUpBlock2D") if attention else ("DownBlock2D", "UpBlock2D")
        self.net = UNet2DModel(
            in_channels=inputs,
            out_channels=3,
            block_out_channels=(48, 48, 96) if attention else (48, 64, 96),
            layers_per_block=2,
            norm_num_groups=16,
            down_block_types=("DownBlock2D", kinds[0], kinds[0]),
            up_block_types=(kinds[1], kinds[1], "UpBlock2D"),
            add_attention=attention,
        )
        self.into = nn.Identity()

    def forward(self, x: Tensor, seen: Tensor, c_noise: Tensor, mode: Tensor, noise_std: Tensor) -> Tensor:
        dtype = next(self.net.parameters()).dtype
        # c_noise in the range of the integer steps that the sinusoidal embedding was made for
        return self.net(torch.cat([x, seen], 1).to(dtype), 250 * (c_noise + 2)).sample


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def seconds(work: Callable[[], object], repeats: int = 7) -> float:
    work()
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def timings(network: nn.Module, features: int, memory: torch.memory_format) -> tuple[float, float]:
    """Seconds of an evaluation and of a training step, bf16."""
    g = torch.Generator().manual_seed(0)
    x, seen = torch.randn(BATCH, 3, SIDE, SIDE, generator=g), torch.randn(BATCH, 3 + features, SIDE, SIDE, generator=g)
    x, seen = x.to(memory_format=memory), seen.to(memory_format=memory)
    rest = (torch.zeros(BATCH), torch.zeros(BATCH, dtype=torch.long), torch.zeros(BATCH))
    network = network.to(memory_format=memory)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-6, fused=True)

    def train() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            out = network(x, seen, *rest)
        out.float().square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    training = seconds(train, 5)
    network = network.to(torch.bfloat16).eval()
    with torch.inference_mode():
        inference = seconds(lambda: network(x, seen, *rest))
    return inference, training


def race(
    make: Callable[[], nn.Module],
    encoder: Encoder,
    sigma_data: dict,
    knots: list,
    batches: Batches,
    lr: float,
    budget: float,
) -> tuple[nn.Module, int]:
    """Train for `budget` seconds; returns the network and the number of steps."""
    torch.manual_seed(0)
    network = make().to(memory_format=torch.channels_last)
    loss = DenoiserLoss(encoder, network, knots, sigma_data, 8)  # type: ignore[arg-type]
    encoder.requires_grad_(False)  # both see the same frozen features
    optimizer = torch.optim.Adam(network.parameters(), lr=lr, betas=(0.9, 0.99), fused=True)
    start, step = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < budget:
        optimizer.param_groups[0]["lr"] = lr * min(1, (step + 1) / 100) * max(0.02, 1 - spent / budget)
        batch = batches.make("denoiser", step, range(8), 96 // batches.scale("denoiser", step), 8)
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(batch)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
    return network, step


@torch.inference_mode()
def validation_loss(network: nn.Module, prior, photographs) -> float:  # a Prior
    from veriscale.diffusion.prior import denoise_residual, denoiser_input

    network.eval()
    mode = prior.mode(4)
    x, condition = held_out(prior.encoder, photographs, 4, 0.0)
    x, condition = x[..., :96, :96], Condition(condition.mean[..., :96, :96], condition.features[..., :96, :96])
    sd, n = mode.sigma_data[0], len(x)
    losses = []
    for ratio in (0.1, 0.3, 1.0, 3.0):
        sigma = ratio * sd
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        full = (torch.full((n,), sigma), torch.full((n,), sd))
        index = torch.full((n,), prior.mode_index(4))
        with torch.autocast("cpu", torch.bfloat16):
            residual = x - condition.mean
            out = denoise_residual(
                network, residual + sigma * noise, *full, denoiser_input(condition), index, torch.zeros(n)
            )
        weight = (sigma**2 + sd**2) / (sigma * sd) ** 2
        losses.append(float((weight * (out - residual).square()).mean()))
    return statistics.mean(losses)


def main() -> None:
    print("about 15 minutes on an idle machine")
    begun = time.monotonic()
    prior = load_prior("photo", dtype=torch.float32)
    network = prior.card.network
    features = network.encoder.features

    def ours() -> Denoiser:
        return build(network).denoiser

    rows, notes = [], []
    mine = timings(ours(), features, torch.channels_last)
    size = parameters(ours())
    bars = {False: (">= 5", ">= 3.5"), True: (">= 5", ">= 3.5")}
    for attention in (False, True):
        name = "with its default attention" if attention else "without attention"
        peer = Peer(6 + features, attention)
        share = parameters(peer) / size
        measured = [timings(Peer(6 + features, attention), features, m) for m in FORMATS.values()]
        theirs = tuple(min(m[i] for m in measured) for i in (0, 1))
        key = "attention" if attention else "plain"
        rows.append(Row(f"net.speed.parameters_{key}", f"peer's parameters over ours, {name}", share, bar="0.9..1.1"))
        for i, phase in enumerate(("inference", "training")):
            what = f"time of UNet2DModel {name} over ours, {phase}, bf16, {BATCH} × {SIDE}²"
            rows.append(Row(f"net.speed.{phase}_{key}", what, theirs[i] / mine[i], bar=bars[attention][i]))
        print([f"{r.id} {r.value:.2f}" for r in rows[-3:]], flush=True)

    root, device = DATA.parent, torch.device("cpu")
    training = load(["natural/train/[!0-9]*"], root, 3, device, "", "training")
    held = load(["natural/validation"], root, 3, device, "", "validation")
    task = Task(operators=[f"downsample:factor={s}" for s in network.scales], noise=(0.0, 0.05))
    batches = Batches(training, task, seed=1)
    sigma_data = {m.scale: m.sigma_data for m in prior.card.modes}
    knots = prior.card.modes[-1].noise_std
    losses, steps = {}, {}
    for name, make in (("ours", ours), ("peer", lambda: Peer(6 + features, False))):
        common = (make, prior.encoder, sigma_data, knots, batches)
        pilots = (
            {lr: validation_loss(race(*common, lr, PILOT)[0], prior, held) for lr in RATES[name]}
            if len(RATES[name]) > 1
            else {}
        )
        lr = min(pilots, key=pilots.__getitem__) if pilots else RATES[name][0]
        trained, steps[name] = race(*common, lr, RACE)
        losses[name] = validation_loss(trained, prior, held)
        notes.append(
            f"{name}: learning rate {lr:g}{f' of {list(pilots)} by pilots' if pilots else ''}, {steps[name]} steps"
        )
        print(notes[-1], losses[name], flush=True)
    what = f"validation denoising loss after {RACE:.0f} s of training, ours over UNet2DModel without attention"
    rows.append(Row("net.speed.loss_ratio", what, losses["ours"] / losses["peer"], bar="< 1", against=losses))
    notes.append("The peer is timed in channels-last and contiguous memory and the faster counts.")
    write_results("net_speed", rows, "; ".join(notes), time.monotonic() - begun)


if __name__ == "__main__":
    main()
