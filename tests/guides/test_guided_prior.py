import dataclasses

import pytest
import torch
from msgspec.structs import replace
from tests.guides.conftest import write_guides
from tests.guides.toys import NAMES

from veriscale.errors import InputError
from veriscale.guides.guidance import mirrored
from veriscale.guides.guide_file import load_guides
from veriscale.runtime.networks import ConditionalDenoiser, UnconditionalDenoiser, encode


def rand(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def some_guides(height: int, width: int) -> dict[str, torch.Tensor]:
    """One known everywhere, one with a hole, one on the left alone."""
    made = {name: rand(1, height, width, seed=k) for k, name in enumerate(NAMES)}
    made["T1C"][:, 30:50, 20:41] = torch.nan
    made["FLAIR"][..., 33:] = torch.nan
    return made


def restored(prior, tile: int = 1536) -> list[torch.Tensor]:
    """An encoding with the encoder's features, a conditional evaluation of two pictures at once, an unconditional."""
    y, x = rand(1, 3, 24, 20), rand(2, 3, 96, 80)
    condition = encode(prior, y, 4, 0.02, features=True, tile=tile)
    return [
        condition.mean,
        condition.features[:, : prior.plain.features],
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


def windows(prior, monkeypatch) -> list[tuple[slice, slice]]:
    """Where it is asked to look, from here on."""
    seen, within = [], type(prior).within
    monkeypatch.setattr(type(prior), "within", lambda self, window: seen.append(window) or within(self, window))
    return seen


@pytest.mark.parametrize("scale, sides, tile", [(2, (101, 23), 22), (3, (121, 21), 20), (4, (120, 18), 48)])
def test_means_in_tiles_are_those_of_the_whole(guided, monkeypatch, scale, sides, tile):
    height, width = (scale * n for n in sides)
    prior, y = guided.guided_by(some_guides(height, width)), rand(1, 3, *sides)
    whole = encode(prior, y, scale, 0.0, features=True)
    asked = windows(prior, monkeypatch)
    parts = encode(prior, y, scale, 0.0, features=True, tile=tile)
    assert any(0 < rows.start < rows.stop < height for rows, _ in asked)
    assert scale == 4 or any(rows.start % 4 for rows, _ in asked)
    for a, b in zip(whole, parts, strict=True):
        assert (a - b).abs().max() <= 1e-5
    assert (whole.mean - encode(guided, y, scale, 0.0, features=False).mean).abs().max() > 0.1


def test_answers_of_the_denoiser_in_tiles_are_those_of_the_whole(guided, monkeypatch):
    x = rand(1, 3, 330, 290)
    prior = guided.guided_by(some_guides(330, 290))
    whole = UnconditionalDenoiser(prior)(x, 0.3)
    asked = windows(prior, monkeypatch)
    parts = UnconditionalDenoiser(prior, 48)(x, 0.3)
    assert len(asked) > 20
    assert any(columns.stop - columns.start < 290 for _, columns in asked)
    assert (whole - parts).abs().max() <= 1e-5
    assert (whole - UnconditionalDenoiser(guided)(x, 0.3)).abs().max() > 1e-2


def test_without_guides_tiles_are_those_of_the_unguided_prior(guided, tiny):
    for a, b in zip(restored(guided, 16), restored(tiny, 16), strict=True):
        assert torch.equal(a, b)


def test_guides_reach_the_edges_of_sides_that_are_no_whole_cells(guided):
    y = rand(1, 3, 13, 11)
    plain = encode(guided, y, 2, 0.0, features=False).mean
    found = encode(guided.guided_by({"T1": rand(1, 26, 22)}), y, 2, 0.0, features=False).mean
    changed = (found - plain).abs().amax((0, 1)) > 0
    assert changed[-2:].any()
    assert changed[:, -2:].any()


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
    halos = 4 * (tiny.encoder.receptive_radius + prior.encoder_extra), prior.receptive_radius
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
    condition, x = encode(tiny, y, 4, 0.0, features=True), rand(1, 3, 96, 80)
    a, b, plain = (ConditionalDenoiser(prior, condition, 4, 0.0)(x, 0.1) for prior in (fine, rough, tiny))
    assert 0 < (a - b).square().mean() <= 0.1**2 * (a - plain).square().mean()


def test_memory_is_that_of_pictures_and_of_what_is_kept_of_them(guided, pictures):
    prior = guided.guided_by(pictures)
    encode(prior, rand(1, 3, 24, 20), 4, 0.0, features=True)
    UnconditionalDenoiser(prior)(rand(1, 3, 96, 80), 0.3)
    kept = [*prior.kept.guidance.features, *(k for i in prior.kept.injections.values() for k in i.keys)]
    assert len(prior.kept.injections) == 1
    assert (
        prior.pictures.nbytes + sum(t.nbytes for t in kept)
        <= prior.memory
        <= prior.pictures.nbytes + 2 * sum(t.nbytes for t in kept)
    )
    assert guided.memory == 0


def test_guides_smaller_than_the_padded_picture_go_on_as_their_mirror_image(guided, pictures):
    prior = guided.guided_by({"T1C": pictures["T1C"]})
    cut = prior.within((slice(80, 112), slice(64, 96)))
    assert cut.pictures.shape == (1, 3, 32, 32)
    assert torch.equal(cut.pictures[0, 1, :16, :16], pictures["T1C"][0, 80:, 64:])
    assert torch.equal(cut.pictures[0, 1, 16:], cut.pictures[0, 1, :16].flip(0))
    assert torch.equal(cut.pictures[0, 1, :, 16:], cut.pictures[0, 1, :, :16].flip(1))


def test_at_an_edge_guides_and_what_they_correct_go_on_as_their_mirror_image(guided, pictures, monkeypatch):
    """As patches of the training do: of a picture beside its mirror images the middle is what it is alone."""
    monkeypatch.setattr("veriscale.guides.guided_prior.CONTEXT", 128)  # beyond all reach
    card = replace(guided.guide_card, training=[replace(guided.guide_card.training[0], planes="all")])
    prior, edges = dataclasses.replace(guided, guide_card=card), (40, 40, 48, 48)
    small = {name: picture[:, :48, :40] for name, picture in pictures.items()}
    x, middle = rand(1, 3, 48, 40), (..., slice(48, 96), slice(40, 80))
    alone = prior.guided_by(small).corrected(x)
    wide = prior.guided_by({name: mirrored(picture, edges) for name, picture in small.items()})
    torch.testing.assert_close(wide.corrected(mirrored(x, edges))[middle], alone, atol=1e-5, rtol=0)
    monkeypatch.setattr("veriscale.guides.guided_prior.CONTEXT", 0)
    assert (prior.guided_by(small).corrected(x) - alone).abs().max() > 1e-3


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


def test_what_is_not_given_takes_no_time_with_gradients_either(guided, pictures, monkeypatch):
    asked = []
    for k, expert in enumerate(guided.guides.experts.each):
        forward = expert.forward
        monkeypatch.setattr(expert, "forward", lambda *seen, k=k, of=forward: asked.append(k) or of(*seen))
    prior = guided.guided_by({NAMES[1]: pictures[NAMES[1]]})
    _, pull = UnconditionalDenoiser(prior).pullback(rand(1, 3, 96, 80), 0.3)
    assert pull(torch.ones(1, 3, 96, 80)).abs().max() > 0
    assert set(asked) == {1}


def test_what_is_no_guide_of_it_is_refused(guided, pictures):
    with pytest.raises(InputError, match=r"is called 'PD'; known: T1, T1C, FLAIR"):
        guided.guided_by({"PD": pictures["T1"]})
    with pytest.raises(InputError, match=r"T1 1×96×80, FLAIR 1×96×79; resample"):
        guided.guided_by({"T1": pictures["T1"], "FLAIR": pictures["FLAIR"][..., :-1]})


def test_run_json_tells_prior_and_guides(guided, tiny):
    assert guided.facts == tiny.facts | {"guides": "tiny-guided", "guides_sha256": guided.guide_card.tensors_sha256}
