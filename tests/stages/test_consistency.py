import numpy as np
import pytest
import torch

from veriscale.diffusion.card import Data
from veriscale.stages import consistency
from veriscale.stages.data import PictureSet
from veriscale.traversal.consistency import judge


def test_a_prediction_interval_holds_the_next_value_in_95_of_100_cases():
    generator = torch.Generator().manual_seed(0)
    inside = 0
    for _ in range(2000):
        logs = 0.1 * torch.randn(21, generator=generator, dtype=torch.float64)
        found = consistency._ranges("a", "fast", [0.05], [logs[:20].exp()], 1000)
        inside += found.low[0] <= float(logs[20].exp()) <= found.high[0]
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


def test_student_is_that_of_scipy():
    from scipy.stats import t

    for degrees in (7, 19, 100):
        assert consistency._student(degrees) == pytest.approx(t.ppf(0.975, degrees), abs=1e-2)


def test_what_is_measured_is_what_judge_looks_up(tiny, monkeypatch):
    monkeypatch.setattr(consistency, "CROP", 32)
    monkeypatch.setattr(consistency, "ZERO_SHOT", ("inpaint:keep=0.5",))
    monkeypatch.setattr(consistency, "NOISES", (0.05, 0.1))
    rng = np.random.default_rng(0)
    images = [torch.from_numpy(rng.integers(0, 256, (3, 40, 48), np.uint8)) for _ in range(consistency.FEWEST)]
    photographs = PictureSet(images, list("abcdefgh"), Data("x/*", 8, "0" * 64, "CC0"))
    told: list[str] = []
    found = consistency.measure_consistency(tiny, photographs, told.append)
    assert [(c.operator, c.anchor) for c in found] == [
        ("inpaint:keep=0.5", "fast"),
        *((f"downsample:factor={s},kernel=bicubic", "mean") for s in (2, 3, 4)),
    ]
    assert all(low < high for c in found for low, high in zip(c.low, c.high, strict=True))
    import msgspec

    from veriscale.physics.registry import parse_operator

    card = msgspec.structs.replace(tiny.card, consistency=found)
    verdict = judge(card, parse_operator("inpaint:keep=0.5,seed=7"), 0.07, "fast", 1e6, 1000)
    assert verdict.alarm
    assert verdict.low is not None
    assert judge(card, parse_operator("inpaint:keep=0.5"), 0.3, "fast", 1e6, 1000).low is None
