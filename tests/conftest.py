"""A tiny prior for tests that are about machinery and not about quality: untrained, but whole; a tool; a place."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

import veriscale.diffusion.card as cards
from veriscale.diffusion.checkpoint import load_checkpoint, save_prior
from veriscale.diffusion.prior import Prior, build

if "PYTEST_XDIST_WORKER" in os.environ:  # a process for each core: threads of their own would be in each other's way
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

settings.register_profile("tests", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("tests")

SKIMAGE = Path(__import__("importlib.util").util.find_spec("skimage").submodule_search_locations[0]) / "data"

RESIZE = """
import sys
from PIL import Image
picture = Image.open(sys.argv[1])
picture.resize((4 * picture.width, 4 * picture.height), Image.BICUBIC).save(sys.argv[2])
"""
"""A tool: a script for the fixture `tool`."""


def tiny_card(name: str = "tiny", channels: int = 3) -> cards.Card:
    network = cards.Network(
        channels=channels,
        scales=[2, 3, 4],
        encoder=cards.EncoderArguments(width=32, depth=2, features=4),
        denoiser=cards.DenoiserArguments(width=[32, 32], depth=[1, 1], stem=2),
        predictor=cards.PredictorArguments(width=32, depth=1),
    )
    sigma = [0.004, 0.05, 0.9]
    modes = [cards.Mode(0, [0.0], [0.25], 0.002, 10.0, 1.0, sigma=sigma, variance=[[1e-5, 1e-3, 0.02]])]
    for scale in network.scales:
        rows = [[1e-5, 8e-4, 4e-3], [1e-5, 9e-4, 6e-3]]
        modes.append(cards.Mode(scale, [0.0, 0.05], [0.07, 0.09], 0.002, 0.9, 0.95, sigma=sigma, variance=rows))
    table = [
        cards.DialTable(s, 0.0, sampler, steps, [0.0, 0.1, 0.9], [0.0, 0.4, 1.0], [0.004, 0.0055, 0.008], 0.05)
        for s in network.scales
        for sampler, steps in (("dpm-solver++", 8), ("heun", 8), ("heun", 2), ("ancestral", 3))
    ]
    data = [cards.Data("pictures/*", 3, "0" * 64, "CC0")]
    return cards.Card(name, network, modes, data, data, cards.Budget(1, 1, 1.0, "test"), table)


def write_tiny(path: Path, channels: int = 3) -> Path:
    torch.manual_seed(0)
    card = tiny_card(path.stem, channels)
    networks = build(card.network)
    with torch.no_grad():
        # Zero-initialised ends would make every path trivial, and a law that holds for nothing is no test.
        for network in networks.parts().values():
            for p in network.parameters():
                p.add_(0.02 * torch.randn_like(p))
    save_prior(networks, card, path, force=True)
    return path


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("priors") / "tiny.safetensors")


@pytest.fixture(scope="session")
def tiny(tiny_file: Path) -> Prior:
    return load_checkpoint(tiny_file, torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders in the layout of diffusers: stable-diffusion, stable-diffusion-3, the same with T5, ldm, ddpm."""
    for name in ("diffusers", "transformers"):
        pytest.importorskip(name, reason=f"{name}, of the extra `latent`, is not installed")
    from tests.latent import models

    place = tmp_path_factory.mktemp("models")
    models.write_stable_diffusion(place / "stable-diffusion")
    models.write_stable_diffusion_3(place / "stable-diffusion-3", third=False)
    models.write_stable_diffusion_3(place / "stable-diffusion-3-t5", third=True)
    models.write_ldm(place / "ldm")
    models.write_ddpm(place / "ddpm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        yield place


@pytest.fixture(scope="session")
def skimage_data() -> Path:
    """Real pictures, from scikit-image's wheel."""
    return SKIMAGE


@pytest.fixture
def noise_picture() -> np.ndarray:
    return np.random.default_rng(0).random((24, 32, 3), np.float32)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Where a certificate goes: a folder of its own."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "certificate.json"


@pytest.fixture
def tool(tmp_path: Path) -> Callable[[str], str]:
    """Make a tool of a script; returns its command."""

    def write(script: str) -> str:
        (tmp_path / "tool.py").write_text(script)
        return f"{shlex.quote(sys.executable)} {shlex.quote(str(tmp_path / 'tool.py'))} {{in}} {{out}}"

    return write
