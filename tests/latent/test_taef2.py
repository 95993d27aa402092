"""The autoencoder TAEF2: read from its own files, and saved in a folder with the network over its latents."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from veriscale.diffusion.card import Data
from veriscale.errors import InputError
from veriscale.imaging.read import read_photo
from veriscale.latent.arguments import LatentArguments
from veriscale.latent.model_card import ModelCard
from veriscale.latent.new_folder import write_model
from veriscale.latent.new_networks import new_scheduler, new_unet
from veriscale.latent.pipeline import prior_from_pipeline
from veriscale.latent.taef2 import Taef2, autoencoder_of_taef2, load_taef2, read_taef2

CPU = torch.device("cpu")
ROOT = Path(os.environ.get("VERISCALE_DATA") or Path(__file__).parents[3] / "shared" / "data")


def made() -> Taef2:
    torch.manual_seed(0)
    found = Taef2()
    found.get_buffer("mean").normal_()
    found.get_buffer("std").uniform_(0.5, 2)
    return found


def test_a_latent_is_of_eight_by_eight_pixels_and_standardised():
    module, x = made(), torch.rand(2, 3, 16, 24)
    coded = autoencoder_of_taef2(module, CPU)
    z = coded.encode(x)
    assert z.shape == (2, 32, 2, 3)
    raw = z * module.std.view(1, -1, 1, 1) + module.mean.view(1, -1, 1, 1)
    torch.testing.assert_close(raw, module.encoder(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(coded.decode(z), module.decoder(raw), atol=1e-5, rtol=1e-5)
    _, pull = coded.pullback(z)
    assert float(pull(torch.ones_like(x)).abs().sum()) > 0


def test_its_two_files_are_read_and_others_refused(tmp_path):
    module = made()
    for part in ("encoder", "decoder"):
        save_file(module.get_submodule(part).state_dict(), tmp_path / f"one_{part}.safetensors")
    found, x = read_taef2("one", tmp_path), torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(found.encoder(x), module.encoder(x))
    with pytest.raises(InputError, match=r"two_encoder\.safetensors is no part of TAEF2 .*; copy it again"):
        read_taef2("two", tmp_path)
    save_file(module.decoder.state_dict(), tmp_path / "one_encoder.safetensors")
    with pytest.raises(InputError, match=r"one_encoder\.safetensors is no part of TAEF2"):
        read_taef2("one", tmp_path)


def test_a_folder_holds_it_with_its_statistics(tmp_path, monkeypatch):
    pytest.importorskip("diffusers", reason="diffusers, of the extra `latent`, is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    module, folder = made(), tmp_path / "model"
    folder.mkdir()
    unet = new_unet(LatentArguments(unet=[32]), 32, 2)
    card = ModelCard([Data("*", 1, "0", "CC0")], [], [], 1.0, "test")
    write_model(folder, unet, module, new_scheduler(latents=True), card)
    kept = load_taef2(folder / "vqvae" / "diffusion_pytorch_model.safetensors")
    torch.testing.assert_close(kept.std, module.std)
    prior, x = prior_from_pipeline(folder, device="cpu", dtype=torch.float32), torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(prior.autoencoder.encode(x), autoencoder_of_taef2(module, CPU).encode(x))
    assert prior.grid(15, 17) == (16, 24)
    assert prior.denoise(torch.randn(1, 32, 2, 2), 1.0).shape == (1, 32, 2, 2)


def test_the_trained_one_gives_a_photograph_back(skimage_data):
    if not (ROOT / "networks" / "taef2_encoder.safetensors").is_file():
        pytest.skip("the networks of others are not here")
    coded = autoencoder_of_taef2(read_taef2("networks/taef2", ROOT), CPU)
    pixels = torch.from_numpy(read_photo(skimage_data / "astronaut.png").pixels)
    x = pixels[:64, 160:224].permute(2, 0, 1)[None].contiguous()
    error = (coded.decode(coded.encode(x)) - x).square().mean()
    assert float(error) < 10**-2.5  # 25 dB; 29 are told of a photograph, 23.5 of a saturated one
