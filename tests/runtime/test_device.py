"""Networks run in the number type that is the faster one on the processor as it may be used."""

import pytest
import torch

from veriscale.runtime.device import choose_dtype

CPU = torch.device("cpu")


@pytest.mark.parametrize("limit", ["AVX2", "avx2", "AVX512_CORE", "AVX512_CORE_VNNI"])
def test_bfloat16_is_not_emulated(limit, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    for wide in ("", "DEFAULT", "AVX512_CORE_BF16", "AVX512_CORE_AMX"):
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", wide)
        assert choose_dtype(CPU) == torch.bfloat16
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert choose_dtype(CPU) == torch.float32


def test_a_processor_without_it_computes_in_float32(monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert choose_dtype(CPU) == torch.float32
