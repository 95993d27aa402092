from pathlib import Path

import pytest
import torch

from veriscale.diffusion.prior import Networks, build

RECIPE = """
name = "toy"
seed = 3
[task]
operators = ["downsample:factor=2", "downsample:factor=4"]
unconditional = 0.3
[encoder]
width = 32
depth = 1
features = 4
[denoiser]
width = [32, 32]
depth = [1, 1]
stem = 2
[predictor]
width = 32
depth = 1
[[stage]]
name = "toy"
data = ["chelsea.png", "coffee.png"]
validation = ["astronaut.png"]
licence = "CC0"
[stage.encoder]
steps = 60
batch = 2
patch = 8
optimiser = "muon"
ema = 0.9
[stage.denoiser]
steps = 60
batch = 2
patch = 16
ema = 0.9
[stage.predictor]
steps = 60
batch = 2
patch = 8
ema = 0.9
"""


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
