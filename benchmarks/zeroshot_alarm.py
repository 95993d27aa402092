"""zeroshot.alarm.*: does consistency tell a wrong operator or noise from the right one, on BSD100?"""

import time

import numpy as np
import torch

from cache import measured
from results import Row, write_results
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.operator import Operator
from veriscale.physics.registry import parse_operator
from veriscale.traversal.consistency import Verdict, judge
from veriscale.workflows.opening import load_prior
from zeroshot_problems import NOISE, TASKS, Methods, crops, problem

COUNT = 100
BATCH = 20
# What really made the measurement, where the user states the operator of TASKS and s = 0.05.
WRONG = {
    "blur": {
        "kernel": ("blur:kernel=anisotropic,std=20x1,angle=75", NOISE),
        "scale": ("blur:kernel=anisotropic,std=10x2,angle=45", NOISE),
        "noise x2": (TASKS["blur"], 2 * NOISE),
        "noise /2": (TASKS["blur"], NOISE / 2),
    },
    "sr": {
        "kernel": ("blur:kernel=gaussian,std=2 + downsample:factor=4,kernel=box", NOISE),
        "scale": ("blur:kernel=gaussian,std=4 + downsample:factor=4,kernel=box", NOISE),
        "noise x2": (TASKS["sr"], 2 * NOISE),
        "noise /2": (TASKS["sr"], NOISE / 2),
    },
    "inpainting": {
        "kernel": ("blur:kernel=gaussian,std=1 + inpaint:keep=0.5", NOISE),
        "noise x2": (TASKS["inpainting"], 2 * NOISE),
        "noise /2": (TASKS["inpainting"], NOISE / 2),
    },
}


def area_under_curve(right: np.ndarray, wrong: np.ndarray) -> float:
    """Probability that a wrong case looks odder than a right one, ties counted half."""
    pairs = wrong[:, None] - right[None, :]
    return float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    run = Methods(prior)
    x = crops("bsd100", COUNT)

    def measure(item: str) -> list[float]:
        task, _, case = item.partition(" ")
        made, noise_std = WRONG[task].get(case, (TASKS[task], NOISE))
        stated, stored = parse_operator(TASKS[task]), case == "8 bits"
        values = []
        for first in range(0, COUNT, BATCH):
            y = problem(x[first : first + BATCH], made, noise_std, seed=first).y
            data = DataTerm(stated, y, GaussianNoise(NOISE))
            if stored:
                data = DataTerm(stated, (y.clamp(0, 1) * 255).round() / 255, GaussianNoise(NOISE))
            values += data.consistency(run.fast(data), stored=stored).tolist()
        return values

    def verdict(value: float, operator: Operator) -> Verdict:
        shape = operator.measurement_shape(tuple(x.shape[1:]))
        values = DataTerm(operator, torch.zeros(1, *shape), GaussianNoise(NOISE)).measured
        return judge(prior.card, operator, NOISE, "fast", value, values)

    items = [f"{task} {case}" for task in TASKS for case in ("right", "8 bits", *WRONG[task])]
    settings = {"prior": prior.card.tensors_sha256, "wrong": WRONG, "count": COUNT}
    found = dict(zip(items, measured("zeroshot_alarm", settings, items, measure, 12.0), strict=True))
    rows = []
    for task, text in TASKS.items():
        operator = parse_operator(text)
        bar = task == "blur"

        def raised(values: list[float], operator=operator) -> float:
            verdicts = [verdict(v, operator) for v in values]
            return float(np.mean([v.alarm or v.overstated for v in verdicts]))

        usual = verdict(1.0, operator)
        middle = np.log(usual.low * usual.high) / 2

        def oddness(values: list[float], middle=middle) -> np.ndarray:
            return np.abs(np.log(values) - middle)

        right = found[f"{task} right"]
        rows.append(
            Row(
                f"zeroshot.alarm.{task}.false",
                f"{task}: false alarms",
                raised(right),
                bar="<= 0.05" if bar else None,
                against={"usual from": usual.low, "usual to": usual.high, "median": float(np.median(right))},
            )
        )
        stored = raised(found[f"{task} 8 bits"])
        rows.append(Row(f"zeroshot.alarm.{task}.false_8_bits", f"{task}: false alarms, 8-bit files", stored))
        everything = []
        for case in WRONG[task]:
            values = found[f"{task} {case}"]
            everything += values
            rows.append(
                Row(
                    f"zeroshot.alarm.{task}.{case.replace(' ', '_').replace('/', 'over')}",
                    f"{task}, wrong {case}: alarms raised",
                    raised(values),
                    against={
                        "area under ROC": area_under_curve(oddness(right), oddness(values)),
                        "median consistency": float(np.median(values)),
                    },
                )
            )
        rows.append(
            Row(
                f"zeroshot.alarm.{task}",
                f"{task}: alarms raised over all wrong cases",
                raised(everything),
                bar=">= 0.95" if bar else None,
                against={"area under ROC": area_under_curve(oddness(right), oddness(everything))},
            )
        )
    notes = "100 centre crops of 128² of BSD100; the user states the operator of the task and s = 0.05. What is said "
    notes += "of a measurement that is less noisy than was stated counts as an alarm."
    write_results("zeroshot_alarm", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
