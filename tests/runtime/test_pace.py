"""Seconds a pixel, by one evaluation of as many as were counted."""

import pytest
import torch

from veriscale.runtime import pace


@pytest.mark.parametrize("shape", [(8, 12), (400, 31), (1000, 1000)])
@pytest.mark.parametrize("kind", ["denoiser", "encoder"])
def test_pixels_are_those_that_were_evaluated(tiny, monkeypatch, shape, kind):
    seen = []

    def timed(evaluate):
        found = evaluate()
        seen.append(found if isinstance(found, torch.Tensor) else found.mean)
        return 1.0

    monkeypatch.setattr(pace, "_seconds", timed)
    made = pace.denoiser_pace(tiny, shape) if kind == "denoiser" else pace.encoder_pace(tiny, shape, 2, True)
    (x,) = seen
    assert 1 / made == pytest.approx(len(x) * x.shape[-2] * x.shape[-1])
    assert len(x) * x.shape[-2] * x.shape[-1] <= pace.PIXELS
    assert x.shape[-2] <= shape[0]
    assert x.shape[-1] <= shape[1]
