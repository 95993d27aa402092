"""zeroshot.spread.*: do full draws vary as the posterior does, at the start and steps that restore takes?"""

import time

import numpy as np
import torch
from torch import Tensor

from cache import measured
from exact import PIXEL_VARIANCE, Problem, prior
from results import Row, write_results
from veriscale.diffusion.samplers import sample
from veriscale.diffusion.schedule import karras
from veriscale.metrics.bootstrap import paired_interval, ratio_interval
from veriscale.physics.data_term import DataTerm
from veriscale.traversal.posterior import Covariance, Proximal
from veriscale.traversal.renoise import renoise
from veriscale.traversal.zero_shot import SAMPLER, STEPS
from veriscale.workflows.opening import load_prior
from zeroshot_problems import NOISE, TASKS, Methods, crops, perception, problem, start_of

OPERATORS = TASKS | {"sensing": "sensing:ratio=0.5"}
ORACLE_SIDE, ORACLE_PICTURES, ORACLE_DRAWS, ORACLE_SIGMA_MIN = 64, 16, 16, 0.002
DRAWS = 4
SKILL = "0.85..1.15"
FEW, SMALL = 4, 64  # crops for `covariance`, whose gradients take long, and their side


def oracle(text: str) -> dict:
    """Std of `proximal` draws over the exact posterior's, picture by picture."""
    found = Problem.of(prior(ORACLE_SIDE), text, NOISE)
    data = found.measured(ORACLE_PICTURES, 0)
    mean, variance = found.mean(data), found.variance()
    many = DataTerm(data.operator, data.y.repeat_interleave(ORACLE_DRAWS, 0), data.noise)
    generator = torch.Generator().manual_seed(3)
    wide = mean.repeat_interleave(ORACLE_DRAWS, 0)
    start = start_of(data)
    x = wide + start * torch.randn(wide.shape, generator=generator, dtype=torch.float64)
    posterior = Proximal(found.prior.denoise, many, PIXEL_VARIANCE)
    sigmas = karras(start, ORACLE_SIGMA_MIN, STEPS)
    x = sample(SAMPLER, posterior, x, sigmas, found.prior.variance, lambda step: x)
    shares = x.reshape(ORACLE_PICTURES, ORACLE_DRAWS, -1).var(1).mean(1) / variance
    return {"share": shares.tolist(), "start": start}


def of_draws(x: Tensor, anchor: Tensor, draws: list[Tensor]) -> dict:
    """Sums per picture that g, spread–skill and looks are made of."""

    def mse(image: Tensor) -> list[float]:
        return (image - x).double().square().mean((1, 2, 3)).tolist()

    stack = torch.stack(draws).double()
    looks = {name: [v.tolist() for v in perception(t, x)] for name, t in (("anchor", anchor), ("draw", draws[0]))}
    return {
        "anchor": mse(anchor),
        "draws": np.mean([mse(d) for d in draws], 0).tolist(),
        "mean": mse(stack.mean(0).float()),
        "variance": stack.var(0).mean((1, 2, 3)).tolist(),
        "looks": looks,
    }


def photographs(run: Methods, text: str, x: Tensor, noise: float = NOISE) -> dict:
    data = problem(x, text, noise)
    anchor, start = run.fast(data), start_of(data)
    draws = [run.proximal(data, anchor, STEPS, SAMPLER, start, k) for k in range(DRAWS)]
    return of_draws(x, anchor, draws)


def covariance(run: Methods, text: str, x: Tensor) -> dict:
    data = problem(x, text)
    anchor, start = run.fast(data), start_of(data)

    def draw(posterior, k: int) -> Tensor:
        return renoise(
            anchor,
            posterior,
            start,
            sigma_min=run.mode.sigma_min,
            sampler=SAMPLER,
            steps=STEPS,
            variance=lambda s: 0.0,
            fields=run.fields(len(x), k),
        )

    posteriors = {
        "covariance": Covariance(run.network.pullback, data),
        "proximal": Proximal(run.network, data, run.variance),
    }
    return {name: of_draws(x, anchor, [draw(p, k) for k in range(2)]) for name, p in posteriors.items()}


def main() -> None:
    begun = time.monotonic()
    prior_file = load_prior("photo")
    run = Methods(prior_file)
    x = crops("bsd100")
    middle = slice((x.shape[-1] - SMALL) // 2, (x.shape[-1] + SMALL) // 2)

    def measure(item: str) -> dict:
        kind, task = item.split(" ")
        if kind == "oracle":
            return oracle(OPERATORS[task])
        if kind == "covariance":
            return covariance(run, OPERATORS[task], x[:FEW, :, middle, middle])
        return photographs(run, OPERATORS[task], x, 0.0 if kind == "noiseless" else NOISE)

    kinds = "oracle", "photographs", "noiseless", "covariance"
    items = [f"{kind} {task}" for kind in kinds for task in OPERATORS]
    settings = {"prior": prior_file.card.tensors_sha256, "stage 2": [SAMPLER, STEPS]}
    found = dict(zip(items, measured("zeroshot_spread", settings, items, measure, 120.0), strict=True))
    rows = [row for task in OPERATORS for row in rows_of(task, found)]
    notes = (
        f"Draws by `proximal` from where restore starts them, {STEPS} steps of {SAMPLER}, s = {NOISE} unless 0 "
        f"is said, and then in 8 bits. Oracle: {ORACLE_SIDE}², {ORACLE_PICTURES} pictures, {ORACLE_DRAWS} draws each, "
        f"from the exact mean. Photographs: 16 centre crops of 128² of BSD100, {DRAWS} draws each, from `fast`. "
        f"`covariance` and, beside it, `proximal`: the middle {SMALL}² of {FEW} of the crops, 2 draws."
    )
    write_results("zeroshot_spread", rows, notes, time.monotonic() - begun)


def spread_skill(of: dict, draws: int) -> float:
    return float(np.sqrt((draws + 1) / draws * np.sum(of["variance"]) / np.sum(of["mean"])))


def rows_of(task: str, found: dict) -> list[Row]:
    key = f"zeroshot.spread.{task}"
    shares, of = np.array(found[f"oracle {task}"]["share"]), found[f"photographs {task}"]
    start = {"start": found[f"oracle {task}"]["start"]}
    margin = 1.96 * shares.std(ddof=1) / len(shares) ** 0.5
    ends = tuple(float(max(0.0, shares.mean() + m) ** 0.5) for m in (-margin, margin))
    rows = [
        Row(
            f"{key}.oracle",
            f"{task}: std of draws over the exact posterior's, Gaussian oracle",
            float(shares.mean() ** 0.5),
            "",
            (ends[0], ends[1]),
            "0.9..1.1",
            start,
        ),
    ]
    for end, s, drawn in (("", NOISE, of), (".noiseless", 0.0, found[f"noiseless {task}"])):
        g = ratio_interval(np.array(drawn["draws"]), np.array(drawn["anchor"]))
        what, interval = f"{task}, s = {s:g}", (g.low, g.high)
        rows += [
            Row(f"{key}.g{end}", f"{what}: MSE(1)/MSE(0)", g.estimate, "", interval, "1.75..2.25"),
            Row(f"{key}.skill{end}", f"{what}: spread–skill of {DRAWS} draws", spread_skill(drawn, DRAWS), bar=SKILL),
        ]
    for number, name in enumerate(("sliced", "energy")):
        anchor, draw = (np.array(of["looks"][k][number]) for k in ("anchor", "draw"))
        gain = paired_interval(anchor, draw)
        what = f"{task}: {name} W2 of dial 0 less that of dial 1, lower end of the paired interval"
        levels = {"dial 0": float(anchor.mean()), "dial 1": float(draw.mean()), "gain": gain.estimate}
        rows.append(Row(f"{key}.{name}", what, gain.low, bar="> 0", against=levels))
    for name, few in found[f"covariance {task}"].items():
        ratio = float(np.sum(few["draws"]) / np.sum(few["anchor"]))
        looks = {k: float(np.mean(v)) for k, v in zip(("sliced W2", "energy W2"), few["looks"]["draw"], strict=True)}
        looks["spread–skill"] = spread_skill(few, 2)
        rows.append(Row(f"{key}.small.{name}", f"{task}: g of {name}, {FEW} crops of {SMALL}²", ratio, against=looks))
    return rows


if __name__ == "__main__":
    main()
