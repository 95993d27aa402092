"""Bad folders, each refused in one sentence; most need no diffusers to be read."""

import json
from pathlib import Path

import pytest

from veriscale.errors import InputError
from veriscale.latent import file_hashes
from veriscale.latent.folder import read_folder
from veriscale.latent.pipeline import prior_from_pipeline, read_pipeline

KL = {"latent_channels": 4, "in_channels": 3}
UNET = {"in_channels": 4, "block_out_channels": [8, 16]}
SD = {
    "vae": ("AutoencoderKL", KL),
    "unet": ("UNet2DConditionModel", UNET),
    "text_encoder": ("CLIPTextModel", {}),
    "tokenizer": ("CLIPTokenizer", {}),
    "scheduler": ("DDIMScheduler", {}),
}
"""Of each component its class and its configuration."""


def write(folder: Path, components: dict, weights: str = "diffusion_pytorch_model.safetensors") -> Path:
    folder.mkdir()
    (folder / "model_index.json").write_text(
        json.dumps({k: ["diffusers", said[0]] if said else [None, None] for k, said in components.items()})
    )
    for name, (_, config) in ((k, said) for k, said in components.items() if said):
        (folder / name).mkdir()
        (folder / name / ("scheduler_config.json" if name == "scheduler" else "config.json")).write_text(
            json.dumps(config)
        )
        (folder / name / weights).write_bytes(b"0")
    return folder


def without(*names: str, **changed: object) -> dict:
    return {**{k: v for k, v in SD.items() if k not in names}, **changed}


REFUSED = {
    "no vae": (without("vae"), "has no vae, and its network does not denoise pictures but latents of 4 channels"),
    "no vae of an index that names one": (
        {
            **without("vae", "text_encoder", "tokenizer", unet=("UNet2DModel", {**UNET, "in_channels": 3})),
            "vqvae": None,
        },
        "has no vae, and its network does not denoise pictures but latents of 3 channels",
    ),
    "channels of latents in a word": (
        without(vae=("AutoencoderKL", {"latent_channels": "four"})),
        "The configuration of the vae of .* says latent_channels 'four', and a whole number above 0 is wanted",
    ),
    "no channels of a network": (
        without(unet=("UNet2DConditionModel", {**UNET, "in_channels": None})),
        "The configuration of the unet of .* says in_channels None, and a whole number",
    ),
    "another vae": (without(vae=("AutoencoderDC", {})), "The vae of .* is a AutoencoderDC, which is not supported"),
    "other latents": (
        without(vae=("AutoencoderKL", {"latent_channels": 16})),
        "The unet of .* takes 4 channels, and its vae makes latents of 16: these two do not go together",
    ),
    "an inpainting network": (
        without(unet=("UNet2DConditionModel", {**UNET, "in_channels": 9})),
        "takes 9 channels, and its vae makes latents of 4: .* or the network wants to be shown a picture too",
    ),
    "no network": (without("unet"), "has neither a unet nor a transformer; supported: UNet2DModel, UNet2DCond"),
    "an unknown network": (
        without("unet", transformer=("FluxTransformer2DModel", {})),
        "The transformer of .* is a FluxTransformer2DModel, which is not supported; supported: UNet2DModel",
    ),
    "SDXL": (
        without(unet=("UNet2DConditionModel", {**UNET, "addition_embed_type": "text_time"})),
        "is a model of the SDXL kind, which is not supported; SD 1 to 2 and SD 3 are",
    ),
    "a class": (
        without(unet=("UNet2DModel", {**UNET, "num_class_embeds": 10})),
        "The unet of .* wants to be told a class, which is not supported",
    ),
    "no text encoder": (without("tokenizer"), "has no text encoder with a tokenizer, and its network wants a text"),
    "another text encoder": (
        without(text_encoder=("LDMBertModel", {})),
        "The text_encoder of .* is a LDMBertModel, which is not supported; supported: CLIPTextModel",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_missing_or_unknown_is_named(tmp_path, name):
    components, sentence = REFUSED[name]
    with pytest.raises(InputError, match=sentence) as refused:
        assert read_pipeline(write(tmp_path / "model", components)).used
    assert "\n" not in str(refused.value)


def test_a_latent_pipeline_without_its_vae_is_none_of_pictures(tmp_path):
    network = without("vae", "text_encoder", "tokenizer", unet=("UNet2DModel", {**UNET, "in_channels": 3}))
    index = write(tmp_path / "model", network) / "model_index.json"
    assert read_pipeline(tmp_path / "model").used == ["unet", "scheduler"]
    index.write_text(json.dumps({**json.loads(index.read_text()), "_class_name": "LDMPipeline"}))
    with pytest.raises(InputError, match="has no vae, and its network does not denoise pictures but latents of 3"):
        assert read_pipeline(tmp_path / "model").used


def test_code_of_a_folder_is_refused(tmp_path):
    index = write(tmp_path / "model", SD) / "model_index.json"
    said = json.loads(index.read_text())
    for library in ("my_module", ["a", "b"], None):
        index.write_text(json.dumps({**said, "unet": [library, "UNet2DConditionModel"]}))
        with pytest.raises(
            InputError, match=r"The unet of .* is of .*, whose code is not run; supported are classes of"
        ):
            assert read_pipeline(tmp_path / "model").used


def test_a_prediction_type_of_another_type_is_refused(tmp_path):
    pytest.importorskip("diffusers", reason="diffusers, of the extra `latent`, is not installed")
    folder = write(tmp_path / "model", without(scheduler=("DDIMScheduler", {"prediction_type": ["epsilon"]})))
    with pytest.raises(InputError, match=r"predicts \['epsilon'\], which is not supported"):
        assert read_pipeline(folder).schedule


def test_a_whole_folder_is_read(tmp_path):
    assert read_pipeline(write(tmp_path / "model", SD)).used == [
        "unet",
        "vae",
        "scheduler",
        "text_encoder",
        "tokenizer",
    ]


def test_a_pickle_alone_is_refused(tmp_path):
    folder = write(tmp_path / "model", SD, "diffusion_pytorch_model.bin")
    with pytest.raises(
        InputError, match=r"The vae of .* is a pickle alone \(diffusion_pytorch_model.bin\), which can run"
    ):
        read_folder(folder).variant_of("vae")
    with pytest.raises(InputError, match=r"The unet of .* is a pickle alone"):
        prior_from_pipeline(folder, device="cpu")


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no weights of its unet; copy it again, whole"):
        read_folder(write(tmp_path / "model", SD, "other.safetensors")).variant_of("unet")


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no model_index.json, and so is no model in the layout of diffusers"):
        prior_from_pipeline(tmp_path, device="cpu")


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_damaged_index_is_refused(tmp_path, text):
    (tmp_path / "model_index.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"model_index.json (is damaged|holds no object of JSON)"):
        prior_from_pipeline(tmp_path, device="cpu")


@pytest.mark.parametrize("package", ["diffusers", "transformers"])
def test_a_missing_package_says_what_to_install(package, monkeypatch):
    from veriscale.latent.packages import package as find

    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(InputError, match=rf"needs the package {package} .*; install veriscale\[latent\]"):
        find(package)


def test_variants_and_shards_are_told_apart(tmp_path):
    folder = write(tmp_path / "model", {"vae": SD["vae"]}, "diffusion_pytorch_model.fp16.safetensors")
    assert read_folder(folder).variant_of("vae") == "fp16"
    for name in ("diffusion_pytorch_model-00001-of-00002", "diffusion_pytorch_model-00002-of-00002"):
        (folder / "vae" / f"{name}.safetensors").write_bytes(b"00")
    assert read_folder(folder).variant_of("vae") is None
    assert read_folder(folder).size("vae") == 4
    assert read_folder(folder, "fp16").size("vae") == 1


def test_a_hash_is_of_names_and_contents_and_remembered_by_size_and_time(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = write(tmp_path / "model", {"vae": SD["vae"]})
    first = read_folder(folder).sha256(["vae"])
    opened = []
    known = file_hashes.hashlib.file_digest
    monkeypatch.setattr(
        file_hashes.hashlib, "file_digest", lambda file, kind: opened.append(file.name) or known(file, kind)
    )
    assert read_folder(folder).sha256(["vae"]) == first
    assert opened == []
    config = folder / "vae" / "config.json"
    config.write_text(config.read_text().replace("4", "5"))
    assert read_folder(folder).sha256(["vae"]) != first
    assert opened == [str(config)]
    (tmp_path / "cache" / "veriscale" / "file_hashes.json").write_text("damaged")
    again = read_folder(folder).sha256(["vae"])
    assert len(opened) == 4
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert read_folder(folder).sha256(["vae"]) == again  # where nothing can be remembered
