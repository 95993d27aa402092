"""Models in the layout of diffusers from the command line: restored with, listed, certified; and bad input."""

import json
import shutil

import nibabel
import numpy as np
import pytest
import torch
from tests.cli.conftest import CPU, pixels

import veriscale as library

QUICK = ("--noise", "0.05", "--steps", "3", *CPU)
HOLES = ("--operator", "inpaint:keep=0.5")


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "x.png"
    library.write_photo(library.Photo(np.random.default_rng(0).random((18, 21, 3), np.float32)), path)
    return path


@pytest.fixture
def small(monkeypatch):
    """A preset of few iterations."""
    from dataclasses import replace

    from veriscale.traversal import presets

    monkeypatch.setitem(presets.LATENT_PRESETS, "quick", replace(presets.LATENT_DEFAULT, iterations=3, steps=3))
    return ("--preset", "quick")


@pytest.mark.parametrize("name", ["stable-diffusion", "stable-diffusion-3", "ldm", "ddpm"])
def test_a_folder_restores(veriscale, models, picture, small, tmp_path, name):
    told = ("--prompt", "a cat", "--negative-prompt", "mat") if "diffusion" in name else ()
    preset = () if name == "ddpm" else small
    asked = (picture, "--prior", models / name, *HOLES, *QUICK, *told, *preset, "--dial", "0,0.5,1", "--samples", "2")
    out = tmp_path / "out"
    code, _, err = veriscale("restore", *asked, "-o", out)
    assert code == 0, err
    run = json.loads((out / "x_restored.run.json").read_text())
    assert run["mode"] == ("zero-shot" if name == "ddpm" else "latent")
    assert run.get("prompt") == ("a cat" if told else None)
    assert run.get("guidance") == (1.5 if told else None)
    three = [pixels(out / f"x_restored_dial-{f}.png") for f in ("0.00", "0.50", "1.00")]
    assert {p.shape for p in three} == {(18, 21, 3)}
    assert not np.array_equal(three[0], three[2])
    assert (out / "x_restored_std.tif").is_file()
    again = tmp_path / "again"
    code, _, err = veriscale("restore", picture, "--from", out / "x_restored.run.json", "-o", again, *CPU)
    assert code == 0, err
    for file in out.glob("*.png"):
        assert np.array_equal(pixels(file), pixels(again / file.name)), file.name


@pytest.mark.parametrize(
    "operator", ["downsample:factor=4,kernel=box", "hdr:gain=2", "sensing:ratio=0.5", "jpeg:quality=40"]
)
@pytest.mark.parametrize("posterior", ["dps", "gauss-newton"])
def test_every_operator_goes_through_the_decoder(models, small, operator, posterior):
    photo = library.Photo(np.random.default_rng(0).random((32, 40, 3), np.float32))
    measured = library.degrade(photo, operator, 0.05)
    asked = {"operator": operator, "noise": 0.05, "dial": 1, "steps": 2, "posterior": posterior, "preset": "quick"}
    result = library.restore(measured, library.load_prior(models / "ldm", "cpu", torch.float32), **asked)
    assert result.run["posterior"] == posterior
    assert result.image.pixels.shape == (32, 40, 3)
    assert np.isfinite(result.image.pixels).all()


def test_a_prompt_changes_the_picture_and_the_seed_does(models, picture, small):
    prior = library.load_prior(models / "stable-diffusion", "cpu")
    asked = {"operator": HOLES[1], "noise": 0.05, "steps": 2, "preset": "quick"}
    one, told, seeded, again, negative = (
        library.restore(picture, prior, **asked, **more).image.pixels
        for more in ({}, {"prompt": "a cat", "guidance": 4}, {"seed": 1}, {"seed": 0}, {"negative_prompt": "mat"})
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, told)
    assert not np.array_equal(one, seeded)
    assert not np.array_equal(one, negative)


def test_noise_belongs_to_latent_pixels(models, small, monkeypatch):
    """However many draws there are at once."""
    prior = library.load_prior(models / "ldm", "cpu", torch.float32)
    photo = library.Photo(np.random.default_rng(0).random((16, 20, 3), np.float32))
    asked = {"operator": HOLES[1], "noise": 0.05, "steps": 2, "preset": "quick", "samples": 3}
    one, three = (library.restore(photo, prior, **asked, batch=batch).samples for batch in (1, 3))
    for a, b in zip(one, three, strict=True):
        assert abs(a.pixels - b.pixels).max() < 1e-4
    assert abs(one[0].pixels - one[1].pixels).max() > 1e-3


def test_what_a_folder_offers_is_listed(veriscale, models):
    code, out, err = veriscale("priors", models / "stable-diffusion")
    assert code == 0, err
    for line in (
        "stable-diffusion  (",
        "unet            UNet2DConditionModel, 0.",
        "scheduler       PNDMScheduler",
        "denoises        latents, predicts epsilon, levels from 0.0292 to 14.6",
        "texts           --prompt and --negative-prompt",
        "hash            sha256 ",
    ):
        assert line in out
    code, out, _ = veriscale("priors", models / "ddpm", "--json")
    assert (code, json.loads(out)["space"], json.loads(out)["texts"]) == (0, "pictures", False)


@pytest.fixture
def certified(models, few, tmp_path, small):
    """A folder with a model of our own to spoil, a quick certificate of it, and a measurement."""
    model = tmp_path / "model"
    shutil.copytree(models / "stable-diffusion", model)
    asked = {"operator": HOLES[1], "noise": 0.05, "prompt": "a cat", "score": "gradient", "tau": 0.4}
    library.calibrate(few, tmp_path / "c.json", prior=model, device="cpu", preset=small[1], **asked)
    photo = next(iter(sorted(few.iterdir())))
    measured = tmp_path / "y.png"
    library.write_photo(library.degrade(library.read_photo(photo), HOLES[1], 0.05), measured)
    return model, tmp_path / "c.json", measured


def test_a_certificate_binds_the_files_and_the_prompt(veriscale, refused, certified, tmp_path, monkeypatch):
    model, certificate, measured = certified
    asked = (
        measured,
        "--prior",
        model,
        "--certificate",
        certificate,
        *HOLES,
        "--noise",
        "0.05",
        "-o",
        tmp_path / "o",
        *CPU,
    )
    code, _, err = veriscale("restore", *asked)
    assert code == 0, err
    run = json.loads((tmp_path / "o" / "y_restored.run.json").read_text())
    assert (run["prompt"], run["guidance"]) == ("a cat", 1.5)
    assert "prompt" in refused("restore", *asked, "--prompt", "a mat", "--force")
    found = (measured, "--certificate", certificate, "--dry-run", *HOLES, "--noise", "0.05", *CPU)
    assert "which is not installed; name its folder with --prior." in refused("restore", *found)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model_index.json").write_text("{}")
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path))
    code, _, err = veriscale("restore", *found)  # beside the priors, whatever it is called there
    assert code == 0, err
    index = model / "model_index.json"
    index.write_text(index.read_text() + "\n")
    assert "prior" in refused("restore", *asked, "--force")


BAD = {
    "a prompt for an unconditional model": (
        "ldm",
        ("--prompt", "a cat"),
        "'ldm' was trained without texts; leave out --prompt.",
    ),
    "a prompt for pictures": (
        "ddpm",
        ("--negative-prompt", "a"),
        "was trained without texts; leave out --negative-prompt.",
    ),
    "guidance for an unconditional model": ("ldm", ("--guidance", "2"), "leave out --guidance."),
    "a guidance that is none": ("stable-diffusion", ("--guidance", "-1"), "--guidance is -1, and a number from 0 on"),
    "a preset of pictures": (
        "ldm",
        ("--preset", "map-rps-sr4"),
        "No preset for latents is called 'map-rps-sr4'; did you mean",
    ),
    "a preset of latents": (
        "ddpm",
        ("--preset", "lmap-rps-coco-sr4"),
        "is for latent priors, and this one is of pictures",
    ),
    "an anchor of pictures": (
        "ldm",
        ("--anchor", "fast"),
        "The anchor 'fast' is not of latent priors such as 'ldm'; known: paper.",
    ),
    "a posterior of pictures": ("ldm", ("--posterior", "proximal"), "The posterior 'proximal' is not of latent priors"),
    "a posterior of latents": (
        "ddpm",
        ("--posterior", "gauss-newton"),
        "is of latent priors, and this one is of pictures",
    ),
    "a sampler for dps": (
        "ldm",
        ("--sampler", "heun"),
        "The posterior 'dps' is a sampler of its own; leave out --sampler.",
    ),
    "a sampler with a variance": (
        "ldm",
        ("--posterior", "gauss-newton", "--sampler", "ancestral"),
        "The sampler 'ancestral' needs v(sigma), which is not known of latent priors; choose --sampler heun.",
    ),
    "a negative prompt without guidance": (
        "stable-diffusion",
        ("--negative-prompt", "mat", "--guidance", "1"),
        "--negative-prompt is not read at guidance 1; choose another --guidance, or leave it out.",
    ),
    "a prompt that is too long": (
        "stable-diffusion",
        ("--prompt", "a cat on a mat on a cat on a mat", "--dry-run"),
        "has 20 tokens, and prior 'stable-diffusion' reads 8; shorten it.",
    ),
    "counts of photons": (
        "ldm",
        ("--posterior", "gauss-newton", "--noise", "poisson:peak=30"),
        "Posterior 'gauss-newton' needs Gaussian noise, not poisson:peak=30; choose 'dps'.",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_go_together_is_refused(refused, models, picture, name):
    model, asked, sentence = BAD[name]
    noise = () if "--noise" in asked else ("--noise", "0.05")
    assert sentence in refused("restore", picture, "--prior", models / model, *HOLES, *noise, *asked, *CPU)


def test_a_picture_larger_than_the_network_takes_is_refused(refused, models, tmp_path):
    path = tmp_path / "x.png"
    library.write_photo(library.Photo(np.zeros((20, 100, 3), np.float32)), path)
    said = refused("restore", path, "--prior", models / "stable-diffusion-3", *HOLES, *QUICK)
    assert "takes pictures of up to 96 pixels a side, and this one has 100; restore parts with --crop." in said


def test_a_scan_is_refused(refused, models, tmp_path):
    scan = nibabel.Nifti1Image(np.random.default_rng(0).random((16, 16, 4), np.float32), np.diag([1.0, 1, 4, 1]))
    nibabel.save(scan, tmp_path / "s.nii.gz")
    said = refused("restore", tmp_path / "s.nii.gz", "--prior", models / "ldm", "--scale", "2", *CPU)
    assert "'ldm' is a latent one, which restores photographs and no scans; choose another." in said


def test_too_little_memory_says_what_to_lower(refused, models, picture, small, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr("veriscale.latent.method.LatentMisfit", full)
    said = refused("restore", picture, "--prior", models / "ldm", *HOLES, *QUICK, *small)
    assert said.endswith("There is not enough memory for 21×18 pixels; restore parts with --crop.")
    told = ("--prior", models / "stable-diffusion", "--prompt", "a cat", "--guidance", 3)
    said = refused("restore", picture, *told, *HOLES, *QUICK, *small)
    assert said.endswith("; leave out guidance with --guidance 1, or restore parts with --crop.")


def test_a_folder_that_is_no_model_is_refused(refused, picture, tmp_path):
    said = refused("restore", picture, "--prior", tmp_path, *HOLES)
    assert "has no model_index.json, and so is no model in the layout of diffusers." in said
    assert "has no model_index.json" in refused("priors", tmp_path)
