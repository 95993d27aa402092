"""The real loading paths, on folders that diffusers wrote, against what diffusers itself makes of them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tests.latent.models import write_unet

import veriscale
from veriscale.diffusion.adapters import from_epsilon
from veriscale.diffusion.own_prior import OwnPrior
from veriscale.errors import InputError
from veriscale.latent.pipeline import prior_from_pipeline, read_pipeline
from veriscale.latent.prior import LatentPrior, Prompt

CPU = torch.device("cpu")


def load(folder: Path, **asked) -> LatentPrior:
    return prior_from_pipeline(folder, device="cpu", dtype=torch.float32, **asked)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def edited(folder: Path, tmp_path: Path, component: str, **changes: object) -> Path:
    """A copy of a model with another configuration of a part."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / component / ("scheduler_config.json" if component == "scheduler" else "config.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return copy


@pytest.fixture
def pipeline(models):
    """A pipeline of diffusers, loaded by diffusers."""
    import diffusers

    def of(name: str):
        absent = dict.fromkeys(("text_encoder_3", "tokenizer_3")) if name == "stable-diffusion-3" else {}
        return diffusers.DiffusionPipeline.from_pretrained(models / name, local_files_only=True, **absent)

    return of


def test_stable_diffusion_is_told_what_diffusers_tells_it(models, pipeline):
    prior, theirs = load(models / "stable-diffusion"), pipeline("stable-diffusion")
    told, other = prior.texts.conditions("a cat", "mat")
    expected = theirs.encode_prompt("a cat", CPU, 1, True, negative_prompt="mat")
    torch.testing.assert_close(told["encoder_hidden_states"], expected[0])
    torch.testing.assert_close(other["encoder_hidden_states"], expected[1])
    assert not torch.allclose(expected[0], expected[1])


@pytest.mark.parametrize("timestep", [5, 400, 900])
def test_stable_diffusion_denoises_as_a_step_of_diffusers(models, pipeline, timestep):
    """The clean latents of DDIM at a timestep, with classifier-free guidance."""
    import diffusers

    prior, theirs = load(models / "stable-diffusion"), pipeline("stable-diffusion")
    ddim = diffusers.DDIMScheduler.from_config(theirs.scheduler.config, clip_sample=False)
    ddim.set_timesteps(1000)
    z_t, guidance = noise(1, 4, 8, 10), 3.0
    with torch.no_grad():
        text, other = theirs.encode_prompt("a cat", CPU, 1, True, negative_prompt="mat")
        one, without = (theirs.unet(z_t, timestep, encoder_hidden_states=e).sample for e in (text, other))
        expected = ddim.step(without + guidance * (one - without), timestep, z_t).pred_original_sample
        bar = float(ddim.alphas_cumprod[timestep])
        told = prior.told(Prompt("a cat", "mat", guidance))
        found = told.denoise(z_t / bar**0.5, ((1 - bar) / bar) ** 0.5)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    assert not torch.allclose(prior.denoise(z_t / bar**0.5, ((1 - bar) / bar) ** 0.5), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["stable-diffusion-3", "stable-diffusion-3-t5"])
def test_stable_diffusion_3_denoises_as_diffusers(models, pipeline, name):
    prior, theirs = load(models / name), pipeline(name)
    z_t, time = noise(1, 16, 8, 10), 0.6
    with torch.no_grad():
        text, other, pooled, other_pooled = theirs.encode_prompt("a cat", None, None, device=CPU, negative_prompt="mat")
        flows = [
            theirs.transformer(
                z_t, encoder_hidden_states=e, pooled_projections=p, timestep=torch.tensor([600.0])
            ).sample
            for e, p in ((text, pooled), (other, other_pooled))
        ]
        expected = z_t - time * (flows[1] + 2.0 * (flows[0] - flows[1]))
        found = prior.told(Prompt("a cat", "mat", 2.0)).denoise(z_t / (1 - time), time / (1 - time))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert prior.widest == 48
    assert prior.grid(30, 37) == (32, 40)


def test_the_third_text_encoder_reads_longer_prompts(models):
    prior, long = load(models / "stable-diffusion-3-t5"), " ".join(["a cat on a mat"] * 3)
    told, _ = prior.told(Prompt(long)).texts.conditions(long, "")
    assert told["encoder_hidden_states"].shape[1] == 8 + 256  # CLIP's tokens, then T5's
    with pytest.raises(InputError, match="tokens, and prior 'stable-diffusion-3-t5' reads 256; shorten it"):
        prior.told(Prompt(" ".join(["a cat on a mat"] * 30)))
    with pytest.raises(InputError, match="reads 8; shorten it"):
        load(models / "stable-diffusion-3").told(Prompt(long))


def test_a_learned_variance_is_left_out(models, tmp_path):
    """As of many pixel models: twice as many channels come out as go in, and the first of them are the answer."""
    import diffusers

    shutil.copytree(models / "ldm", tmp_path / "ldm")
    write_unet(tmp_path / "ldm" / "unet", 3, answered=6)
    network = diffusers.UNet2DModel.from_pretrained(tmp_path / "ldm" / "unet").eval()
    prior, z = load(tmp_path / "ldm"), noise(1, 3, 8, 8)
    with torch.no_grad():
        expected = network(z, torch.tensor([100.0])).sample
        assert expected.shape[1] == 6
        torch.testing.assert_close(prior.backbone(z, torch.tensor([100.0]), {}), expected[:, :3])


@pytest.mark.parametrize("name", ["stable-diffusion", "stable-diffusion-3"])
def test_latents_are_scaled_and_shifted_as_in_diffusers(models, pipeline, name):
    prior, vae = load(models / name), pipeline(name).vae
    x, shift = torch.rand(1, 3, 32, 24, generator=torch.Generator().manual_seed(0)), vae.config.shift_factor or 0
    with torch.no_grad():
        raw = vae.encode(2 * x - 1).latent_dist.mode()
        expected = (raw - shift) * vae.config.scaling_factor
        torch.testing.assert_close(prior.autoencoder.encode(x), expected)
        torch.testing.assert_close(prior.autoencoder.decode(expected), vae.decode(raw).sample / 2 + 0.5)


def test_latents_with_a_mean_and_a_std_of_each_channel(models, tmp_path):
    mean, std = [0.1, -0.2, 0.3, 0.0], [1.0, 2.0, 3.0, 4.0]
    folder = edited(models / "stable-diffusion", tmp_path, "vae", latents_mean=mean, latents_std=std)
    plain, prior = (load(f).autoencoder for f in (models / "stable-diffusion", folder))
    x = torch.rand(1, 3, 32, 24, generator=torch.Generator().manual_seed(0))
    raw = plain.encode(x) / 0.18215
    at = [torch.tensor(v).view(1, 4, 1, 1) for v in (mean, std)]
    torch.testing.assert_close(prior.encode(x), (raw - at[0]) * 0.18215 / at[1])
    torch.testing.assert_close(prior.decode(prior.encode(x)), plain.decode(plain.encode(x)))


def test_ldm_goes_through_its_codebook(models, pipeline):
    prior, vq = load(models / "ldm"), pipeline("ldm").vqvae
    z = 0.18215 * noise(1, 3, 8, 10)
    with torch.no_grad():
        torch.testing.assert_close(prior.autoencoder.decode(z), vq.decode(z / 0.18215).sample / 2 + 0.5)
    with pytest.raises(InputError, match="was trained without texts; leave out"):
        prior.told(Prompt("a cat"))


@pytest.mark.parametrize("name", ["stable-diffusion", "stable-diffusion-3", "ldm"])
def test_the_decoder_has_derivatives_both_ways(models, name):
    """Attention, norms and a codebook among what they go through."""
    autoencoder = load(models / name).autoencoder
    z, u = (noise(2, autoencoder.channels, 8, 6, seed=k) for k in (1, 2))
    x, push, pull = autoencoder.linearised(z)
    g = noise(*x.shape, seed=3)
    forward, back = float((push(u) * g).sum()), float((u * pull(g)).sum())
    assert forward == pytest.approx(back, rel=1e-3)
    if autoencoder.rounded is None:
        step = 1e-3
        difference = (autoencoder.decode(z + step * u) - autoencoder.decode(z - step * u)) / (2 * step)
        torch.testing.assert_close(push(u), difference, rtol=0.02, atol=0.02 * float(difference.abs().max()))


def test_a_model_of_pictures_goes_through_the_own_denoisers_door(models, pipeline):
    prior, theirs = load(models / "ddpm"), pipeline("ddpm")
    unet = theirs.unet
    assert isinstance(prior, OwnPrior)
    x, sigma = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)), 0.3
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    with torch.no_grad():
        denoise = from_epsilon(lambda v, t: unet(v, t).sample, torch.cumprod(1 - betas, 0))
        expected = (denoise(2 * x - 1, 2 * sigma) + 1) / 2
        torch.testing.assert_close(prior.denoise(x, sigma), expected, rtol=1e-4, atol=1e-5)

    def function(v, t):
        return unet(v, t).sample

    own = veriscale.prior_from(
        function, channels=3, range=(-1, 1), predicts="epsilon", alphas_bar=theirs.scheduler.alphas_cumprod, stride=2
    )
    picture = veriscale.Photo(torch.rand(20, 23, 3, generator=torch.Generator().manual_seed(1)).numpy())
    asked = {"operator": "inpaint:keep=0.5", "noise": 0.05, "dial": [0, 1], "steps": 3}
    for one, other in zip(*(veriscale.restore(picture, p, **asked).images.values() for p in (prior, own)), strict=True):
        assert abs(one.pixels - other.pixels).max() < 1e-5


def test_only_a_half_precision_variant_is_taken_as_it_is(models, tmp_path, pipeline):
    theirs = pipeline("ldm")
    for part in ("unet", "vqvae", "scheduler"):
        getattr(theirs, part).save_pretrained(
            tmp_path / "half" / part, **({} if part == "scheduler" else {"variant": "fp16"})
        )
    shutil.copy(models / "ldm" / "model_index.json", tmp_path / "half")
    read = read_pipeline(tmp_path / "half")
    assert read.folder.variant_of("unet") == "fp16"
    x = noise(1, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "half").denoise(x, 1.0), load(models / "ldm").denoise(x, 1.0))
    with pytest.raises(InputError, match=r"The unet of .*half has no variant 'int8'; there: fp16"):
        load(tmp_path / "half", variant="int8")


def test_offers_say_what_is_there_without_loading(models):
    offers = read_pipeline(models / "stable-diffusion-3").offers()
    assert (offers["space"], offers["predicts"], offers["texts"], offers["channels"]) == ("latents", "flow", True, 3)
    assert [p["class"] for p in offers["components"]][:2] == ["SD3Transformer2DModel", "AutoencoderKL"]
    assert read_pipeline(models / "ddpm").offers()["space"] == "pictures"


def test_files_that_change_are_noticed(models, tmp_path):
    shutil.copytree(models / "stable-diffusion", tmp_path / "sd")
    prior = load(tmp_path / "sd")
    prior.check_unchanged()
    assert prior.card.tensors_sha256 == load(models / "stable-diffusion").card.tensors_sha256  # wherever it lies
    merges = tmp_path / "sd" / "tokenizer" / "tokenizer_config.json"
    merges.write_text(merges.read_text() + " ")
    with pytest.raises(InputError, match="have changed since they were loaded; load it again"):
        prior.check_unchanged()
    assert load(tmp_path / "sd").card.tensors_sha256 != prior.card.tensors_sha256


def test_a_prompt_that_is_too_long_is_refused(models):
    prior, long = load(models / "stable-diffusion"), "a cat on a mat on a cat on a mat"
    for prompt in (Prompt(long), Prompt("a cat", long)):
        with pytest.raises(InputError, match="has 20 tokens, and prior 'stable-diffusion' reads 8; shorten it"):
            prior.told(prompt)
    prior.told(Prompt("a cat", "mat")).denoise(noise(1, 4, 8, 8), 1.0)


def test_large_pictures_go_whole(models, tmp_path):
    """Whatever side an autoencoder was trained at, beyond which diffusers would cut it into tiles."""
    sizes = []
    for side in (8, 64):
        autoencoder = load(
            edited(models / "stable-diffusion", tmp_path / str(side), "vae", sample_size=side)
        ).autoencoder
        z = noise(1, 4, 16, 800)
        sizes.append(autoencoder.decode(z))
    assert torch.equal(*sizes)


@pytest.mark.parametrize(
    ("name", "guidance"), [("stable-diffusion", 1), ("stable-diffusion", 3), ("stable-diffusion-3", 1), ("ldm", 1)]
)
def test_what_the_network_keeps_for_a_gradient_is_known_in_advance(models, name, guidance):
    prior, held = load(models / name).told(Prompt(guidance=guidance)), {}

    def keep(t):
        held[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    weights = {p.untyped_storage().data_ptr() for p in prior.backbone.module.parameters()}
    x = noise(1, prior.backbone.channels, 32, 32).requires_grad_()
    prior.denoise(x.detach(), 1.0)  # reads its prompt
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        prior.denoise(x, 1.0)
    found = sum(size for place, size in held.items() if place not in weights) / 32**2
    assert 0.5 * found < prior.graph < 2 * found


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried to"),
        MemoryError(),
    ],
)
def test_what_does_not_fit_into_memory_says_which_setting_to_lower(models, monkeypatch, error):
    def full(*_, **__):
        raise error

    monkeypatch.setattr("veriscale.latent.pipeline.autoencoder_of", full)
    with pytest.raises(InputError, match="does not fit into the memory of cpu; load it with another device"):
        load(models / "ldm")


@pytest.mark.parametrize("part", ["unet", "vqvae"])
def test_damaged_weights_are_refused(models, tmp_path, part):
    shutil.copytree(models / "ldm", tmp_path / "ldm")
    (weights,) = (tmp_path / "ldm" / part).glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="ldm cannot be loaded: "):
        load(tmp_path / "ldm")
