import msgspec
import pytest
import torch
from safetensors import safe_open
from tests.conftest import write_tiny
from tests.guides.conftest import write_guides

from veriscale.diffusion.card import DenoiserArguments, EncoderArguments, Network
from veriscale.diffusion.checkpoint import load_checkpoint
from veriscale.errors import InputError
from veriscale.guides.arguments import GuideArguments
from veriscale.guides.card import GuideCard
from veriscale.guides.guide_file import load_guides, read_guide_card, read_parent_card
from veriscale.guides.networks import build_guides

CPU = torch.device("cpu")


@pytest.fixture
def guide_file(tiny, tiny_file, tmp_path, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))
    return write_guides(tmp_path / "tiny-guided.safetensors", tiny)


def test_the_file_holds_its_own_tensors_and_finds_its_parent(guide_file, tiny):
    prior = load_guides(guide_file, CPU, torch.float32)
    with safe_open(guide_file, "np") as file:
        own = {f"{part}.{name}" for part, module in prior.guides.parts().items() for name in module.state_dict()}
        assert set(file.keys()) == own
    assert prior.card == tiny.card
    assert prior.guide_card == read_guide_card(guide_file)
    assert prior.guide_card.parent_sha256 == tiny.card.tensors_sha256
    for mine, theirs in zip(prior.encoder.parameters(), tiny.encoder.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_parent_that_is_missing_or_another_is_named(guide_file, tiny_file, tmp_path, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path / "nowhere"))
    with pytest.raises(
        InputError, match=r"guides the prior 'tiny', which has to lie beside it or in a .*: no prior is called"
    ):
        load_guides(guide_file, CPU, torch.float32)
    (tmp_path / "others").mkdir()
    other = write_tiny(tmp_path / "others" / "tiny.safetensors", channels=1)
    monkeypatch.setenv("VERISCALE_PRIORS", str(other.parent))
    with pytest.raises(InputError, match=r"guides a prior 'tiny' of sha256 \w{12}, and .* is another, of \w{12}"):
        load_guides(guide_file, CPU, torch.float32)


def test_the_parent_is_found_beside_the_guides_and_by_its_hash(guide_file, tiny_file, tmp_path, monkeypatch):
    """Whatever else there is of its name, and whatever it is called."""
    (tmp_path / "others").mkdir()
    write_tiny(tmp_path / "others" / "tiny.safetensors", channels=1)
    monkeypatch.setenv("VERISCALE_PRIORS", f"{tmp_path / 'others'}:{tiny_file.parent}")
    expected = read_guide_card(guide_file).parent_sha256
    assert load_guides(guide_file, CPU, torch.float32).card.tensors_sha256 == expected
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path / "others"))
    renamed = tmp_path / "others" / "renamed.safetensors"
    renamed.write_bytes(tiny_file.read_bytes())
    assert load_guides(guide_file, CPU, torch.float32).card.tensors_sha256 == expected
    renamed.unlink()
    beside = tmp_path / "tiny.safetensors"
    beside.write_bytes(tiny_file.read_bytes())
    assert read_parent_card(read_guide_card(guide_file), guide_file).tensors_sha256 == expected


def test_a_prior_is_no_guides_and_guides_are_no_prior(guide_file, tiny_file, tmp_path):
    with pytest.raises(InputError, match="it is not a file of guides"):
        read_guide_card(tiny_file)
    with pytest.raises(InputError, match="it is not a prior"):
        load_checkpoint(guide_file, CPU, torch.float32)
    with pytest.raises(InputError, match=r"File of guides .* cannot be read"):
        read_guide_card(tmp_path / "none.safetensors")


def test_the_card_survives_json(guide_file):
    card = read_guide_card(guide_file)
    assert msgspec.json.decode(msgspec.json.encode(card), type=GuideCard) == card


def test_sizes_leave_room_in_a_study_and_in_four_megabytes():
    """Design: networks of a study at most 0.6 M numbers, a shipped file at most 4 MB of float16."""
    network = Network(1, [2, 4], EncoderArguments(), DenoiserArguments())
    for fusion in ("dynamic", "concat"):
        guides = build_guides(network, GuideArguments("T2", ["T1", "T1C", "FLAIR"], fusion=fusion))
        assert sum(p.numel() for part in guides for p in part.parameters()) <= 600_000
    largest = build_guides(network, GuideArguments("T2", ["T1", "T1C", "FLAIR"], width=64))
    assert 2 * sum(p.numel() for part in largest for p in part.parameters()) <= 4_000_000
