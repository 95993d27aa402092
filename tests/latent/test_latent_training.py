"""Recipes with [latent]: a folder comes out that our loader and diffusers' own read, and killed runs go on."""

import json
from pathlib import Path

import pytest
import torch
from tests.toy_recipe import toy_phase

import veriscale.stages.trainer as trainer
from veriscale.cli.main import run
from veriscale.diffusion.own_prior import OwnPrior
from veriscale.errors import InputError
from veriscale.latent.arguments import LatentArguments
from veriscale.latent.autoencoder import autoencoder_of
from veriscale.latent.new_networks import LOG_VARIANCE, new_autoencoder, new_schedule, new_unet, standardise
from veriscale.latent.pipeline import prior_from_pipeline
from veriscale.latent.prior import LatentPrior
from veriscale.stages import latent_training
from veriscale.stages.batches import Batch
from veriscale.stages.curves import Curves
from veriscale.stages.data import load
from veriscale.stages.latent_losses import AutoencoderLoss, UnetLoss
from veriscale.stages.muon import block_convolutions
from veriscale.stages.patches import Patches
from veriscale.stages.recipe import Task
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.training import train
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import restore

pytest.importorskip("diffusers", reason="diffusers, of the extra `latent`, is not installed")
CPU = torch.device("cpu")

RECIPE = (
    """
name = "toy-latent"
seed = 3
[task]
[latent]
autoencoder = [8, 16]
unet = [32, 32]
[[stage]]
name = "toy"
data = ["chelsea.png", "coffee.png"]
validation = ["astronaut.png"]
licence = "CC0"
evaluate = 30
"""
    + toy_phase("autoencoder", 60, 16, 'optimiser = "muon"', "lr = 3e-3", "ema = 0.9")
    + toy_phase("unet", 60, 32, "lr = 1e-3", "ema = 0.9")
)


FEW = ["stage.toy.autoencoder.steps=20", "stage.toy.unet.steps=20", "stage.toy.evaluate=10"]


@pytest.fixture
def recipe(tmp_path, skimage_data, monkeypatch) -> Path:
    monkeypatch.setenv("VERISCALE_DATA", str(skimage_data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "toy-latent.toml"
    path.write_text(RECIPE)
    return path


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def command(arguments: list[str]) -> int:
    return run(arguments, lambda: False)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.safetensors")}


def test_a_model_comes_out_that_restores(recipe, tmp_path, skimage_data, monkeypatch, capsys):
    held: list[float] = []
    folder = train(recipe, tmp_path / "mine" / "toy-latent", cpu=True, progress=lambda *said: held.append(said[4]))
    assert sorted(p.name for p in folder.parent.iterdir()) == [
        "toy-latent",
        *(f"toy-latent.training.{kind}" for kind in ("csv", "png", "safetensors")),
    ]
    rows = [line.split(",") for line in (tmp_path / "mine" / "toy-latent.training.csv").read_text().splitlines()[1:]]
    for phase in ("toy.autoencoder", "toy.unet"):
        first, *_, last = [float(row[4]) for row in rows if row[0] == phase and row[4]]
        assert last < first

    prior = prior_from_pipeline(folder, device="cpu", dtype=torch.float32)
    assert isinstance(prior, LatentPrior)
    assert prior.card.licences == ["CC0"]
    seen = Patches(load(["chelsea.png", "coffee.png"], skimage_data, 3, CPU, "CC0", "training"), Task(), 5)
    z = prior.autoencoder.encode(seen.patches("a", 0, range(64), 32, (4, 16, 16)).x)
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(4), atol=0.3, rtol=0)
    torch.testing.assert_close(z.std((0, 2, 3)), torch.ones(4), atol=0.2, rtol=0)
    noisy = z + 0.5 * noise(*z.shape)
    assert float((prior.denoise(noisy, 0.5) - z).square().mean()) < 0.25  # less than the noise itself

    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path / "mine"))
    assert load_prior("toy-latent", "cpu").card.tensors_sha256 == prior.card.tensors_sha256
    assert command(["priors", "toy-latent"]) == 0
    said = capsys.readouterr().out
    assert "2 files, chelsea.png coffee.png: CC0" in said
    assert "autoencoder: 60 steps of 2" in said
    assert "RGB PSNR of encoding and decoding alone, dB: " in said
    assert command(["priors"]) == 0
    assert "toy-latent: RGB, any measurement, over latents; trained on CC0" in capsys.readouterr().out
    asked = ["restore", str(skimage_data / "astronaut.png"), "--prior", "toy-latent", "--operator", "denoise"]
    more = ["--noise", "0.05", "--crop", "200,100,37,30", "--dial", "0", "-o", str(tmp_path / "out.png"), "--quiet"]
    assert command([*asked, *more]) == 0
    assert (tmp_path / "out.png").exists()
    assert command(["priors", "toy-laten"]) == 2
    assert "did you mean 'toy-latent'" in capsys.readouterr().err


def test_diffusers_itself_draws_from_it(recipe, tmp_path):
    """Whose pipeline knows a scaling factor and no other statistics of latents."""
    import diffusers

    folder = train(recipe, tmp_path / "toy-latent", cpu=True, overrides=FEW)
    theirs = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32)
    assert type(theirs).__name__ == "LDMPipeline"
    theirs.set_progress_bar_config(disable=True)
    drawn = theirs(num_inference_steps=2, output_type="np", generator=torch.Generator().manual_seed(0)).images
    assert drawn.shape == (1, 32, 32, 3)
    prior, z = prior_from_pipeline(folder, device="cpu", dtype=torch.float32), noise(1, 4, 8, 8)
    with torch.no_grad():
        expected = theirs.vqvae.decode(z / theirs.vqvae.config.scaling_factor).sample
    torch.testing.assert_close(2 * prior.autoencoder.decode(z) - 1, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "phase, seconds",
    [("toy.autoencoder", 0.0), ("toy.unet", 0.0), ("toy.unet", 1e9)],  # the last finds the first phase at its end
)
def test_a_run_that_was_cut_off_ends_with_the_same_bytes(recipe, tmp_path, monkeypatch, phase, seconds):
    monkeypatch.setattr(latent_training, "MEASURED", 2)
    whole = train(recipe, tmp_path / "whole", cpu=True, overrides=FEW)
    monkeypatch.setattr(trainer, "SAVE_EVERY", seconds)
    monkeypatch.setattr(Curves, "_draw", lambda self, path: None)  # a picture after every step takes most of the time

    def cut(name: str, step: int, *others: object) -> None:
        if (name, step) == (phase, 10):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "cut", cpu=True, overrides=FEW, progress=cut)
    assert not (tmp_path / "cut").exists()
    with pytest.raises(InputError, match=r"latent\.channels was 4 and is 8"):
        train(recipe, tmp_path / "cut", cpu=True, resume=True, overrides=[*FEW, "latent.channels=8"])
    resumed = train(recipe, tmp_path / "cut", cpu=True, resume=True, overrides=FEW)
    assert files_of(resumed) == files_of(whole)


def test_without_an_autoencoder_it_is_a_model_of_pictures(recipe, tmp_path):
    overrides = ["latent.autoencoder=[]", *FEW, "stage.toy.autoencoder.steps=0"]
    folder = train(recipe, tmp_path / "toy-ddpm", cpu=True, overrides=overrides)
    assert json.loads((folder / "model_index.json").read_text())["_class_name"] == "DDPMPipeline"
    prior = prior_from_pipeline(folder, device="cpu", dtype=torch.float32)
    assert isinstance(prior, OwnPrior)
    assert restore(torch.rand(16, 16, 3).numpy(), prior, operator="denoise", noise=0.1).image.pixels.shape == (
        16,
        16,
        3,
    )


def test_standardised_latents_are_those_of_the_same_pictures():
    torch.manual_seed(0)
    module = new_autoencoder(LatentArguments(unet=[32], autoencoder=[8, 16]), 3)
    plain, x = autoencoder_of(module, CPU), torch.rand(4, 3, 16, 16)
    z = plain.encode(x)
    before, mean, std = plain.decode(z), z.mean((0, 2, 3)), z.std((0, 2, 3))
    spread = module.encode(2 * x - 1).latent_dist.std
    standardise(module, mean, std)
    found = plain.encode(x)
    torch.testing.assert_close(found.mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std((0, 2, 3)), torch.ones(4))
    torch.testing.assert_close(plain.decode(found), before, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(module.encode(2 * x - 1).latent_dist.std, spread / std.view(1, -1, 1, 1))


def test_new_networks_begin_as_little_as_they_can():
    """Residual blocks as their shortcuts, latents with little noise, and of v nothing."""
    arguments = LatentArguments(unet=[32, 64], autoencoder=[8, 16])
    x, t = noise(2, 4, 8, 8), torch.tensor([3, 900])
    unet, autoencoder = new_unet(arguments, 4, 8), new_autoencoder(arguments, 3)
    assert not unet(x, t).sample.any()
    torch.testing.assert_close(
        autoencoder.encode(noise(2, 3, 8, 8)).latent_dist.logvar, torch.full((2, 4, 4, 4), LOG_VARIANCE)
    )
    blocks = [m for net in (unet, autoencoder) for m in net.modules() if type(m).__name__ == "ResnetBlock2D"]
    assert len(blocks) == 18
    for block in blocks:
        features, of = noise(1, block.in_channels, 8, 8), None if block.time_emb_proj is None else noise(1, 128)
        expected = features if block.conv_shortcut is None else block.conv_shortcut(features)
        torch.testing.assert_close(block(features, of), expected)


def test_muon_takes_the_convolutions_of_their_residual_blocks_and_between_levels():
    arguments = LatentArguments(unet=[32, 64], autoencoder=[8, 16])
    for network in (new_unet(arguments, 4, 8), new_autoencoder(arguments, 3)):
        names = {id(p): name for name, p in network.named_parameters()}
        wanted = {n for n in names.values() if n.endswith((".conv1.weight", ".conv2.weight", "samplers.0.conv.weight"))}
        assert {names[id(p)] for p in block_convolutions(network)} == wanted
        assert wanted


def test_the_loss_of_the_network_is_zero_of_the_one_that_knows():
    """v is what our own adapter of v-prediction makes the clean latents of."""
    schedule = new_schedule(latents=True)
    z, n, uniform = noise(6, 4, 8, 8) + 1, noise(6, 4, 8, 8).flip(0), torch.linspace(0, 1, 6)
    batch = Batch(z, z, 1, uniform, uniform > 2, uniform, n)

    class Knows(torch.nn.Module):
        def forward(self, x, t):
            share = schedule.alphas_bar[t].float().view(-1, 1, 1, 1)
            v = share.sqrt() * n - (1 - share).sqrt() * z
            return type("Out", (), {"sample": v})

    assert float(UnetLoss(Knows(), lambda x: x, schedule.alphas_bar)(batch)) < 1e-12
    t = 300
    sigma = float(((1 - schedule.alphas_bar[t]) / schedule.alphas_bar[t]).sqrt())
    v = lambda x, at: (1 + sigma**2) ** -0.5 * n[:1] - sigma * (1 + sigma**2) ** -0.5 * z[:1]  # noqa: E731
    torch.testing.assert_close(schedule.denoiser(v)(z[:1] + sigma * n[:1], sigma), z[:1], atol=1e-5, rtol=1e-5)

    class Blank(torch.nn.Module):
        def forward(self, x, t):
            return type("Out", (), {"sample": torch.zeros_like(x)})

    assert float(UnetLoss(Blank(), lambda x: x, schedule.alphas_bar)(batch)) > 0.5


def test_noise_of_latents_costs_and_is_paid_for():
    """The divergence of N(m, s²) from N(0, 1) per latent, beside the error of the picture."""

    class Fixed(torch.nn.Module):
        def encode(self, x):
            spread = {"mean": torch.full((2, 4, 4, 4), 0.5), "logvar": torch.full((2, 4, 4, 4), -2.0)}
            return type("Out", (), {"latent_dist": type("Dist", (), spread)})

        def decode(self, z):
            return type("Out", (), {"sample": torch.full((2, 3, 8, 8), 0.5)})

    uniform = torch.zeros(2)
    x = torch.full((2, 3, 8, 8), 0.5)  # 0 of [−1, 1]
    batch = Batch(x, x, 1, uniform, uniform > 2, uniform, noise(2, 4, 4, 4))
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(0.5, torch.tensor(-2.0).div(2).exp()), torch.distributions.Normal(0.0, 1.0)
    )
    assert float(AutoencoderLoss(Fixed())(batch)) == pytest.approx(0.25 + 2.5e-5 * float(expected))


BAD = {
    "latent.encoded_by=networks/taef2": r"latent\.autoencoder and latent\.encoded_by are two autoencoders; leave one",
    "stage.toy.autoencoder.steps=0": "one stage trains the autoencoder and the unet and nothing else",
    "stage.toy.encoder.steps=5": "one stage trains the autoencoder and the unet and nothing else",
    "stage.toy.unet.patch=18": r"stage\.toy\.unet\.patch 18 must be a multiple of 4",
    "stage.toy.autoencoder.patch=7": r"autoencoder\.patch 7 must be a multiple of 2",
    "latent.unet=[20]": r"latent\.unet must be multiples of 32",
    "latent.autoencoder=[4, 8]": r"latent\.autoencoder must be multiples of 8",
    "latent.channels=0": r"latent\.channels",
    "latent.width=3": "unknown key 'width' in latent",
    "stage.toy.patience=2": r"patience is for networks of a prior; leave it out",
    "stage.toy.trainable=decoder": r"trainable is for networks of a prior; leave it out",
    "stage.toy.init_from=photo": r"init_from is for priors",
    "stage.toy.unet.init_from=photo": r"init_from is for a network of a prior",
}


@pytest.mark.parametrize("override", BAD)
def test_recipes_that_cannot_be_are_refused(recipe, override):
    with pytest.raises(InputError, match=BAD[override]):
        read_recipe(recipe, [override])


def test_a_recipe_without_the_table_trains_no_such_network(recipe):
    recipe.write_text(
        RECIPE.replace("[task]", '[task]\noperators = ["downsample:factor=2"]').replace(
            "[latent]\nautoencoder = [8, 16]\nunet = [32, 32]\n", ""
        )
    )
    with pytest.raises(InputError, match=r"needs a \[latent\] table"):
        read_recipe(recipe)


def test_what_is_there_is_not_written_over(recipe, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="exists already, and the folder of a model is never written over"):
        train(recipe, tmp_path / "there", cpu=True, force=True)


def test_a_photograph_that_is_too_small_is_named(recipe, tmp_path):
    with pytest.raises(InputError, match=r"Photograph chelsea\.png is 451×300, and a patch of toy\.unet is 304×304"):
        train(recipe, tmp_path / "out", cpu=True, overrides=["stage.toy.unet.patch=304"])


def test_a_damaged_card_is_said(models, tmp_path):
    import shutil

    shutil.copytree(models / "ldm", tmp_path / "copy")
    assert prior_from_pipeline(models / "ldm", device="cpu").card.training == []
    (tmp_path / "copy" / "card.json").write_text("{}")
    with pytest.raises(InputError, match=r"card\.json is no card of a model"):
        prior_from_pipeline(tmp_path / "copy", device="cpu")
