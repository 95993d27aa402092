"""Certificates without a prior or a picture: made-up maps of scores and discrepancies."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from veriscale.trust.certificate import PROTOCOL, Binding, Certificate, Unit, score_quantiles
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.facts import Facts, PriorFacts
from veriscale.trust.losses.registry import make_loss, staircase

FACTS = PriorFacts(
    prior="0" * 64,
    card="1" * 64,
    mode="conditional",
    operator="downsample:factor=4,kernel=bicubic",
    scale=4,
    noise="gaussian:0",
    anchor="mean",
    consistent=False,
    dial=0.0,
    runtime="torch",
    dtype="float32",
    guides=[],
)
SIDE = 24


def example_maps(n: int = 24, seed: int = 0, infinite: bool = False) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per unit a score with ties and a discrepancy that grows with it on average; no unit is like another."""
    rng = np.random.default_rng(seed)
    maps = []
    for _ in range(n):
        score = rng.normal(rng.normal(), 1, (SIDE, SIDE)).round(2).astype(np.float32)
        apart = np.clip(0.06 * np.exp(0.5 * score) * rng.random((SIDE, SIDE)), 0, 1).astype(np.float32)
        if infinite:
            score[0, 0], score[0, 1] = -np.inf, np.inf
        maps.append((score, apart))
    return maps


def example_certificate(
    loss: str = "area",
    maps: list[tuple[np.ndarray, np.ndarray]] | None = None,
    discrepancy: str = "pointwise",
    restoration: Facts = FACTS,
    **promise: Any,
) -> Certificate:
    """A certificate of `example_maps`; `promise` are fields of the binding."""
    maps = example_maps() if maps is None else maps
    wanted, apart = make_loss(loss), parse_discrepancy(discrepancy)
    binding = Binding(
        restoration=restoration,
        unit=Unit("picture", SIDE, SIDE, "RGB", 8),
        score="predictor",
        loss=loss,
        tau=wanted.tau,
        tile=wanted.tile,
        discrepancy=discrepancy,
        bound=wanted.bound(apart.bound),
        mode="mean",
        n=len(maps),
        leaked=0,
        delta=None,
        declared=[],
        protocol=PROTOCOL,
    )
    certificate = Certificate(
        binding,
        {
            "versions": {"veriscale": "0.1.0"},
            "machine": "x86_64",
            "date": "2026-01-01",
            "files": {"a": ["1" * 64]},
            "trained_on": None,
            "left_out": {},
            "failed": {},
            "timeout": None,
        },
        tuple(staircase(wanted, [pair], apart.bound) for pair in maps),
        np.random.default_rng(1).normal(0, 3, (len(maps), 7)),
        np.stack([score_quantiles([score]) for score, _ in maps]),
    )
    return replace(certificate, binding=msgspec.structs.replace(binding, **promise))
