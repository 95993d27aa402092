from pathlib import Path

import pytest
import torch
from tests.toy_recipe import toy_networks, toy_phase

from veriscale.diffusion.prior import Networks, build

RECIPE = (
    """
name = "toy"
seed = 3
[task]
operators = ["downsample:factor=2", "downsample:factor=4"]
unconditional = 0.3
"""
    + toy_networks()
    + """
[[stage]]
name = "toy"
data = ["chelsea.png", "coffee.png"]
validation = ["astronaut.png"]
licence = "CC0"
"""
    + toy_phase("encoder", 60, 8, 'optimiser = "muon"', "ema = 0.9")
    + toy_phase("denoiser", 60, 16, "ema = 0.9")
    + toy_phase("predictor", 60, 8, "ema = 0.9")
)


@pytest.fixture
def recipe(tmp_path: Path, skimage_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe that trains in seconds, on scikit-image's photographs."""
    monkeypatch.setenv("VERISCALE_DATA", str(skimage_data))
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def networks(tiny) -> Networks:
    """Of random weights, so that no gradient is zero for a reason of its own."""
    torch.manual_seed(0)
    built = build(tiny.card.network)
    with torch.no_grad():
        for part in built.parts().values():
            for p in part.parameters():
                p.add_(0.05 * torch.randn_like(p))
    return built
