"""The parts of an answer are those of the very evaluation that a restoration makes."""

import pytest
import torch
from tests.guides.conftest import write_guides
from tests.guides.toys import NAMES

from veriscale.diffusion.encoder import Condition
from veriscale.guides.answers import denoiser_answer, encoder_answer
from veriscale.guides.guide_file import load_guides
from veriscale.runtime.networks import ConditionalDenoiser, UnconditionalDenoiser, encode


def rand(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_estimates_are_what_a_restoration_computes(guided, pictures):
    prior = guided.guided_by({k: pictures[k] for k in NAMES[:2]})
    y, x = rand(1, 3, 24, 20), rand(1, 3, 96, 80)
    found, condition = encoder_answer(prior, y, 4, 0.02)
    whole = encode(prior, y, 4, 0.02, features=True)
    torch.testing.assert_close(found.estimate, whole.mean[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(condition.features.float(), whole.features, atol=1e-5, rtol=0)
    conditional = denoiser_answer(prior, x, 0.1, condition, 4, 0.02)
    expected = ConditionalDenoiser(prior, Condition(*whole), 4, 0.02)(x, 0.1)[0]
    torch.testing.assert_close(conditional.estimate, expected, atol=1e-5, rtol=0)
    free = denoiser_answer(prior, x, 0.3, None, 0, 0.0)
    torch.testing.assert_close(free.estimate, UnconditionalDenoiser(prior)(x, 0.3)[0], atol=1e-5, rtol=0)
    for answer in (found, conditional, free):
        assert answer.predictions.shape == (3, 3, 96, 80)
        valid = answer.valid.any(0)
        torch.testing.assert_close(answer.weights.sum(0), valid.float())
        assert not answer.weights[~answer.valid].any()
        assert not answer.amount[~valid].any()
        assert not answer.valid[2].any()
        assert torch.equal(answer.known([0, 1]), answer.valid[0] & answer.valid[1])
        assert not answer.known([0, 2]).any()  # what is known nowhere here is no other than what ends elsewhere


@pytest.mark.parametrize("fusion", ["dynamic", "learned"])
def test_parts_are_in_float32_whatever_the_networks_are_in(tiny, tiny_file, pictures, tmp_path, monkeypatch, fusion):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))
    path = write_guides(tmp_path / "tiny-guided.safetensors", tiny, fusion=fusion)
    prior = load_guides(path, torch.device("cpu"), torch.bfloat16).guided_by(pictures)
    found, _ = encoder_answer(prior, rand(1, 3, 24, 20), 4, 0.0)
    parts = (found.weights, found.amount, found.predictions, found.estimate)
    assert {part.dtype for part in parts} == {torch.float32}


@pytest.mark.parametrize("part", ["encoder", "denoiser"])
def test_mixed_predictions_are_the_estimate_where_the_amount_is_one(guided, pictures, part):
    """Of `predictions`, D = (1 − a)·D₀ + a·Σ w f: with what is unguided taken out, f̄ is left."""
    if guided.guides.denoiser.site.mix == "features":
        pytest.skip("its estimator is another than the mean of predictions")
    prior = guided.guided_by(pictures)
    y, x = rand(1, 3, 24, 20), rand(1, 3, 96, 80)
    found, condition = encoder_answer(prior, y, 4, 0.0)
    plain = encode(guided, y, 4, 0.0, features=True).mean[0]
    if part == "denoiser":
        found = denoiser_answer(prior, x, 0.1, condition, 4, 0.0)
        own = condition._replace(features=condition.features[:, : guided.features].float())
        plain = ConditionalDenoiser(guided, own, 4, 0.0)(x, 0.1)[0]
    mean = (found.weights[:, None] * found.predictions).sum(0)
    expected = (1 - found.amount) * plain + found.amount * mean
    torch.testing.assert_close(found.estimate, torch.where(found.valid.any(0), expected, plain), atol=2e-5, rtol=0)
