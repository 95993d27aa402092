import json
import random
import struct

import msgspec
import pytest
import torch

from veriscale.diffusion.card import Mode
from veriscale.diffusion.checkpoint import load_checkpoint, read_card
from veriscale.diffusion.library import find_prior, known_priors
from veriscale.errors import InputError

CPU = torch.device("cpu")


def test_what_is_saved_is_what_is_loaded(tiny, tiny_file):
    again = load_checkpoint(tiny_file, CPU, torch.float32)
    assert again.card == tiny.card == read_card(tiny_file)
    assert len(again.card.tensors_sha256) == 64
    for a, b in zip(again.encoder.parameters(), tiny.encoder.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, a.half().float())  # stored in float16


def mutated(content: bytes, seed: int) -> bytes:
    rng = random.Random(seed)
    data = bytearray(content)
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for _ in range(rng.choice((1, 1, 3, 20))):
        end = header if rng.random() < 0.8 else len(data)
        kind = rng.randrange(3)
        at = rng.randrange(min(end, len(data)))
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        else:
            del data[at : at + rng.randrange(1, 9)]
    return bytes(data[: rng.randrange(len(data))]) if rng.random() < 0.1 else bytes(data)


def test_mutated_files_are_refused_in_a_sentence(tiny_file, tmp_path):
    content = tiny_file.read_bytes()
    path = tmp_path / "mutated.safetensors"
    refused = 0
    for seed in range(300):
        path.write_bytes(mutated(content, seed))
        try:
            load_checkpoint(path, CPU, torch.float32)
        except InputError:
            refused += 1
    assert refused >= 290  # a flip in the padding of the header may change nothing


def test_a_card_that_lies_about_sizes_is_refused(tiny_file, tmp_path):
    from hashlib import sha256

    content = tiny_file.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    card = json.loads(header["__metadata__"]["card"])
    card["network"]["encoder"]["width"] = 64
    text = json.dumps(card)
    header["__metadata__"] = {"card": text, "card_sha256": sha256(text.encode()).hexdigest()}
    new = json.dumps(header).encode()
    new += b" " * (-len(new) % 8)
    path = tmp_path / "lies.safetensors"
    path.write_bytes(struct.pack("<Q", len(new)) + new + content[8 + size :])
    with pytest.raises(InputError, match="does not fit the sizes"):
        load_checkpoint(path, CPU, torch.float32)


def test_priors_are_found_by_name_and_path(tiny_file, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))
    assert known_priors()["tiny"] == tiny_file
    assert find_prior("tiny") == tiny_file == find_prior(str(tiny_file))
    with pytest.raises(InputError, match=r"known: .*tiny"):
        find_prior("gigantic")
    with pytest.raises(InputError, match="does not exist"):
        find_prior("nowhere/tiny.safetensors")


def test_the_state_of_a_training_run_is_no_prior(tiny_file, tmp_path, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path))
    for name in ("own.safetensors", "own.training.safetensors"):
        (tmp_path / name).write_bytes(tiny_file.read_bytes())
    assert "own" in known_priors()
    assert "own.training" not in known_priors()


def test_statistics_are_interpolated_between_the_knots():
    mode = Mode(4, [0.0, 0.05], [0.06, 0.08], 0.002, 0.8, 1.0, sigma=[0.01, 0.1], variance=[[1e-4, 1e-3], [1e-4, 3e-3]])
    assert mode.sigma_data_at(0.025) == pytest.approx(0.07)
    assert mode.variance_at(0.1, 0.0) == pytest.approx(1e-3)
    assert mode.variance_at(0.1, 0.025) == pytest.approx(3e-3**0.5 * 1e-3**0.5)
    assert mode.variance_at(0.005, 0.0) == pytest.approx(1e-4 / 4)  # all noise, no signal, below the levels


def test_the_card_survives_json(tiny):
    assert msgspec.json.decode(msgspec.json.encode(tiny.card), type=type(tiny.card)) == tiny.card


def test_a_card_of_before_planes_were_told_is_one_of_data_without(tiny):
    """And which planes were seen is nothing that decides pictures of the same tensors."""
    content = msgspec.to_builtins(tiny.card)
    for data in (*content["training"], *content["validation"]):
        del data["planes"]
    old = msgspec.convert(content, type(tiny.card))
    assert old == tiny.card
    assert [data.planes for data in (*old.training, *old.validation)] == ["", ""]
    every = [msgspec.structs.replace(data, planes="all") for data in tiny.card.training]
    other = msgspec.structs.replace(tiny.card, training=every)
    assert other != tiny.card
    assert all(other.deciding_sha256(m.scale) == tiny.card.deciding_sha256(m.scale) for m in other.modes)
