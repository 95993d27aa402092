"""The device and the number type that networks run in."""

import os

import torch

from veriscale.errors import InputError, closest

DEVICES = ("auto", "cuda", "mps", "cpu")

Device = str | torch.device


def choose_device(device: Device = "auto") -> torch.device:
    """The named device, or the fastest there is.

    Raises:
        InputError: it is unknown or not on this machine.
    """
    name = str(device)
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(k for k, there in present.items() if there))
    if name not in present:
        raise InputError(f"Unknown device {name!r}; {closest(name, DEVICES)}.")
    if not present[name]:
        raise InputError(
            f"Device {name!r} is not on this machine; present: {', '.join(k for k, p in present.items() if p)}."
        )
    return torch.device(name)


_WITHOUT_BF16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI")
"""Values of ONEDNN_MAX_CPU_ISA under which bfloat16 is emulated, several times slower than float32."""


def choose_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware computes in it, and oneDNN is not kept from it, else float32."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported()
    elif device.type == "cpu":
        there = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        fast = there and os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() not in _WITHOUT_BF16
    else:
        fast = False
    return torch.bfloat16 if fast else torch.float32
