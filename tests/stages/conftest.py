from pathlib import Path

import pytest

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
encoder_steps = 60
denoiser_steps = 60
predictor_steps = 60
encoder_patch = 8
denoiser_patch = 16
predictor_patch = 8
encoder_batch = 2
denoiser_batch = 2
predictor_batch = 2
ema = 0.9
"""


@pytest.fixture
def recipe(tmp_path: Path, skimage_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe that trains in seconds, on scikit-image's photographs."""
    monkeypatch.setenv("VERISCALE_DATA", str(skimage_data))
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE)
    return path
