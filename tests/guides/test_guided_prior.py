import pytest
import torch
from tests.guides.conftest import write_guides
from tests.guides.toys import NAMES

from veriscale.errors import InputError
from veriscale.guides.guide_file import load_guides
from veriscale.runtime.networks import ConditionalDenoiser, UnconditionalDenoiser, encode


def rand(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def restored(prior, tile: int = 1536) -> list[torch.Tensor]:
    """An encoding with features, a conditional evaluation of two pictures at once, and an unconditional one."""
    y, x = rand(1, 3, 24, 20), rand(2, 3, 96, 80)
    condition = encode(prior, y, 4, 0.02, features=True, tile=tile)
    return [
        *condition,
        ConditionalDenoiser(prior, condition, 4, 0.02, tile)(x, 0.1),
        UnconditionalDenoiser(prior, tile)(x[..., :93, :75], 0.3),
    ]


def test_without_guides_it_is_the_unguided_prior_bit_for_bit(guided, tiny):
    for name, prior in {"none": guided, "an empty set": guided.guided_by({})}.items():
        for a, b in zip(restored(prior), restored(tiny), strict=True):
            assert torch.equal(a, b), name


def test_guides_known_nowhere_are_none(guided, tiny):
    nowhere = guided.guided_by({"T1": torch.full((1, 96, 80), torch.nan)})
    for a, b in zip(restored(nowhere), restored(tiny), strict=True):
        assert torch.equal(a, b)


def test_guides_change_what_is_restored(guided, tiny, pictures):
    each = zip(restored(guided.guided_by(pictures)), restored(tiny), strict=True)
    for name, (a, b) in zip(("mean", "features", "conditional", "unconditional"), each, strict=True):
        assert ((a - b).abs().max() > 1e-4) == (name != "features"), name


def test_any_subset_is_as_if_the_others_were_known_nowhere(guided, pictures):
    whole = pictures | {"T1C": torch.full((1, 96, 80), torch.nan)}
    some = {name: pictures[name] for name in NAMES if name != "T1C"}
    for a, b in zip(restored(guided.guided_by(some)), restored(guided.guided_by(whole)), strict=True):
        assert torch.equal(a, b)
        assert a.isfinite().all()


@pytest.mark.parametrize("tile", [16, 48])
def test_in_tiles_it_is_the_whole(guided, pictures, tile):
    prior = guided.guided_by(pictures)
    for a, b in zip(restored(prior), restored(prior, tile), strict=True):
        assert (a - b).abs().max() <= 1e-5


@pytest.mark.parametrize("sides, tile", [((23, 21), 15), ((24, 20), 27)])
def test_cells_are_those_of_the_whole_where_tiles_begin_at_odd_pixels(guided, pictures, sides, tile):
    prior = guided.guided_by({name: picture[:, : 3 * sides[0], : 3 * sides[1]] for name, picture in pictures.items()})
    y = rand(1, 3, *sides)
    whole, parts = (encode(prior, y, 3, 0.0, features=True, tile=size) for size in (1536, tile))
    assert whole.mean.shape[-2:] == (3 * sides[0], 3 * sides[1])
    for a, b in zip(whole, parts, strict=True):
        assert (a - b).abs().max() <= 1e-5


def test_the_halo_has_the_reach_of_the_guides(guided, tiny):
    """A guide's pixel that is changed changes nothing farther than the halo of either network, and something far."""
    y, x = rand(1, 3, 40, 40), rand(1, 3, 160, 160)
    guide = rand(1, 160, 160)
    other = guide.clone()
    other[..., 80, 80] += 100
    found = []
    for picture in (guide, other):
        prior = guided.guided_by({"T1": picture, "FLAIR": rand(1, 160, 160, seed=2)})
        condition = encode(tiny, y, 4, 0.0, features=True)
        found.append(
            (encode(prior, y, 4, 0.0, features=False).mean, ConditionalDenoiser(prior, condition, 4, 0.0)(x, 0.1))
        )
    halos = 4 * (tiny.encoder.receptive_radius + guided.encoder_extra), guided.receptive_radius
    for a, b, halo in zip(*found, halos, strict=True):
        rows = (a - b).abs().amax((0, 1, 3)).nonzero().flatten()
        far = int((rows - 80).abs().max())
        assert guided.guides.experts.reach + guided.guides.denoiser.reach - 8 <= far <= halo


def test_bf16_is_close_to_float32(tiny, tiny_file, tmp_path, monkeypatch, pictures):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))
    path = write_guides(tmp_path / "tiny-guided.safetensors", tiny)
    fine, rough = (
        load_guides(path, torch.device("cpu"), t).guided_by(pictures) for t in (torch.float32, torch.bfloat16)
    )
    y = rand(1, 3, 24, 20)
    a, b, plain = (encode(prior, y, 4, 0.0, features=False).mean for prior in (fine, rough, tiny))
    assert 0 < (a - b).square().mean() <= 0.02**2 * (a - plain).square().mean()
    for prior in (fine, rough):
        assert (
            ConditionalDenoiser(prior, encode(prior, y, 4, 0.0, features=True), 4, 0.0)(rand(1, 3, 96, 80), 0.1)
            .isfinite()
            .all()
        )


def test_guides_smaller_than_the_padded_picture_end_where_they_end(guided, pictures):
    prior = guided.guided_by({"T1C": pictures["T1C"]})
    cut = prior.within((slice(80, 112), slice(64, 96)))
    assert cut.pictures.shape == (1, 3, 32, 32)
    assert torch.equal(cut.pictures[0, 1, :16, :16], pictures["T1C"][0, 80:, 64:])
    assert cut.pictures[0, 1, 16:].isnan().all()
    assert cut.pictures[0, 1, :, 16:].isnan().all()


def test_what_experts_say_is_found_once_for_all_noise_levels(guided, pictures, monkeypatch):
    prior, expert = guided.guided_by(pictures), guided.guides.experts.each[0]
    other = prior.rearranged(lambda t: t.flip(-1))
    asked, forward = [], expert.forward
    monkeypatch.setattr(expert, "forward", lambda *seen: asked.append(1) or forward(*seen))
    x = rand(1, 3, 96, 80)
    first, again, turned = (UnconditionalDenoiser(p)(x, 0.3) for p in (prior, prior, other))
    assert len(asked) == 2
    assert torch.equal(first, again)
    assert not torch.allclose(turned, first)
    with torch.inference_mode():
        UnconditionalDenoiser(prior)(x, 0.1)
    denoised, pull = UnconditionalDenoiser(prior).pullback(x, 0.3)
    torch.testing.assert_close(denoised, first)
    assert pull(torch.ones_like(x)).abs().max() > 0


def test_what_is_no_guide_of_it_is_refused(guided, pictures):
    with pytest.raises(InputError, match=r"is called 'PD'; known: T1, T1C, FLAIR"):
        guided.guided_by({"PD": pictures["T1"]})
    with pytest.raises(InputError, match=r"T1 1×96×80, FLAIR 1×96×79; resample"):
        guided.guided_by({"T1": pictures["T1"], "FLAIR": pictures["FLAIR"][..., :-1]})


def test_run_json_tells_prior_and_guides(guided, tiny):
    assert guided.facts == tiny.facts | {"guides": "tiny-guided", "guides_sha256": guided.guide_card.tensors_sha256}
