"""Folders in the layout of well-known pipelines, with tiny random weights, written by diffusers itself."""

import json
from pathlib import Path

import torch

WORDS = [
    *("<|startoftext|>", "<|endoftext|>", "a", "cat", "on", "mat", "</w>", "a</w>", "cat</w>", "t</w>", "c", "t"),
    *("ca", "b", "d", "e", "f", "g", "h", "i", "n", "o", "s", "m"),
]


def write_vae(folder: Path, channels: int = 4, **config: object) -> None:
    from diffusers import AutoencoderKL

    AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=4,
        sample_size=32,
        **config,
    ).save_pretrained(folder)


def write_clip(folder: Path, tokenizer: Path, projected: bool, width: int = 16) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    config = CLIPTextConfig(
        vocab_size=len(WORDS),
        hidden_size=width,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=8,
        projection_dim=width,
        bos_token_id=0,
        eos_token_id=1,
    )
    (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).save_pretrained(folder)
    tokenizer.mkdir(parents=True)
    (tokenizer / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(WORDS)}))
    (tokenizer / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n")
    CLIPTokenizer.from_pretrained(tokenizer, model_max_length=8).save_pretrained(tokenizer)


def write_t5(folder: Path, tokenizer: Path, width: int) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import Unigram
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    words = [("▁", -2.0), ("▁a", -1.5), ("▁cat", -1.0), *((letter, -3.0) for letter in "abcdefghimnost")]
    pieces = Tokenizer(Unigram([("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *words], unk_id=2))
    T5TokenizerFast(tokenizer_object=pieces, extra_ids=0).save_pretrained(tokenizer)
    config = T5Config(
        vocab_size=len(words) + 3, d_model=width, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    T5EncoderModel(config).save_pretrained(folder)


def write_index(folder: Path, pipeline: str, **components: str) -> None:
    libraries = {"CLIP": "transformers", "T5En": "transformers"}
    said = {name: [libraries.get(kind[:4], "diffusers"), kind] for name, kind in components.items()}
    index = {"_class_name": pipeline, "_diffusers_version": "0.36.0", **said}
    (folder / "model_index.json").write_text(json.dumps(index))


def write_stable_diffusion(folder: Path, scheduler: str = "PNDMScheduler", **schedule: object) -> Path:
    """The layout of Stable Diffusion 1.5."""
    import diffusers

    torch.manual_seed(0)
    write_vae(folder / "vae")
    diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
        sample_size=16,
    ).save_pretrained(folder / "unet")
    write_clip(folder / "text_encoder", folder / "tokenizer", projected=False)
    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", **schedule}
    getattr(diffusers, scheduler)(**config).save_pretrained(folder / "scheduler")
    write_index(
        folder,
        "StableDiffusionPipeline",
        vae="AutoencoderKL",
        unet="UNet2DConditionModel",
        text_encoder="CLIPTextModel",
        tokenizer="CLIPTokenizer",
        scheduler=scheduler,
    )
    return folder


def write_stable_diffusion_3(folder: Path, third: bool) -> Path:
    """The layout of Stable Diffusion 3, with its third text encoder, which reads long prompts, or as many have it."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel

    torch.manual_seed(0)
    write_vae(
        folder / "vae", 16, shift_factor=0.0609, scaling_factor=1.5305, use_quant_conv=False, use_post_quant_conv=False
    )
    SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=64,
        caption_projection_dim=16,
        pooled_projection_dim=32,
        pos_embed_max_size=24,
    ).save_pretrained(folder / "transformer")
    for number in ("", "_2"):
        write_clip(folder / f"text_encoder{number}", folder / f"tokenizer{number}", projected=True)
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    write_index(
        folder,
        "StableDiffusion3Pipeline",
        vae="AutoencoderKL",
        transformer="SD3Transformer2DModel",
        text_encoder="CLIPTextModelWithProjection",
        tokenizer="CLIPTokenizer",
        text_encoder_2="CLIPTextModelWithProjection",
        tokenizer_2="CLIPTokenizer",
        scheduler="FlowMatchEulerDiscreteScheduler",
    )
    index = json.loads((folder / "model_index.json").read_text())
    if third:
        write_t5(folder / "text_encoder_3", folder / "tokenizer_3", 64)
        more = {
            "text_encoder_3": ["transformers", "T5EncoderModel"],
            "tokenizer_3": ["transformers", "T5TokenizerFast"],
        }
    else:
        more = {name: [None, None] for name in ("text_encoder_3", "tokenizer_3")}
    (folder / "model_index.json").write_text(json.dumps({**index, **more}))
    return folder


def write_unet(folder: Path, channels: int, answered: int | None = None) -> None:
    """Of a network that answers with more channels than it is given, the others are a variance."""
    from diffusers import UNet2DModel

    UNet2DModel(
        sample_size=16,
        in_channels=channels,
        out_channels=answered or channels,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=4,
    ).save_pretrained(folder)


def write_ldm(folder: Path) -> Path:
    """The layout of latent diffusion on FFHQ: VQ, f 4, three channels."""
    from diffusers import DDIMScheduler, VQModel

    torch.manual_seed(0)
    VQModel(
        block_out_channels=(4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=3,
        num_vq_embeddings=64,
        norm_num_groups=4,
        scaling_factor=0.18215,
    ).save_pretrained(folder / "vqvae")
    write_unet(folder / "unet", 3)
    DDIMScheduler(beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear").save_pretrained(
        folder / "scheduler"
    )
    write_index(folder, "LDMPipeline", vqvae="VQModel", unet="UNet2DModel", scheduler="DDIMScheduler")
    return folder


def write_ddpm(folder: Path) -> Path:
    """The layout of a DDPM of pictures."""
    from diffusers import DDPMScheduler

    torch.manual_seed(0)
    write_unet(folder / "unet", 3)
    DDPMScheduler().save_pretrained(folder / "scheduler")
    write_index(folder, "DDPMPipeline", unet="UNet2DModel", scheduler="DDPMScheduler")
    return folder
