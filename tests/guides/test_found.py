"""What the gate after the encoder has found goes on to the one after the denoiser."""

import pytest
import torch
from tests.guides.conftest import write_guides
from tests.guides.toys import NAMES, guides, injected, refiner, seen

from veriscale.diffusion.encoder import Condition
from veriscale.guides.answers import denoiser_answer, encoder_answer
from veriscale.guides.guide_file import load_guides
from veriscale.guides.networks import guided_denoise
from veriscale.runtime.networks import ConditionalDenoiser, encode, predict_error


def rand(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_answers_are_added():
    network, (pictures, valid) = refiner(), guides()
    one, other, both = (injected(network, pictures, valid) for _ in range(3))
    network(seen(1), one)
    network(seen(2), other)
    network(seen(2), both, found=one.on_condition())
    torch.testing.assert_close(both.answers, one.answers + other.answers)
    product = torch.where(both.valid, one.weights * other.weights, 0)
    torch.testing.assert_close(both.weights, product / product.sum(1, keepdim=True).clamp(min=1e-9))
    network(seen(2), both, found=torch.zeros_like(one.on_condition()))
    assert torch.equal(both.weights, other.weights)
    assert torch.equal(both.amount, other.amount)


@pytest.mark.parametrize("origin", [(0, 0), (3, 2), (1, 3)])
def test_a_cell_that_is_cut_keeps_its_own(guided, origin):
    """Of a window that begins and ends inside of cells."""
    rows, columns = (slice(k, k + 24) for k in origin)
    prior = guided.guided_by({name: rand(1, 30, 30, seed=k) for k, name in enumerate(NAMES)}).within((rows, columns))
    injection = prior.injected(prior.guides.denoiser.site)
    cells = rand(1, 6, *injection.valid.shape[-2:])
    assert torch.equal(injection._by_cells(injection.on_truth_grid(cells)), cells)


def test_it_moves_weights_of_the_conditional_mode_alone(guided, pictures):
    prior, y, x = guided.guided_by(pictures), rand(1, 3, 24, 20), rand(1, 3, 96, 80)
    found, condition = encoder_answer(prior, y, 4, 0.0)
    assert condition.features.shape[1] == prior.features == guided.features + 2 * len(NAMES)
    nothing = condition.features.clone()
    nothing[:, guided.features :] = 0
    told, untold = (
        denoiser_answer(prior, x, 0.5, Condition(condition.mean, f), 4, 0.0) for f in (condition.features, nothing)
    )
    product = torch.where(found.valid, found.weights * untold.weights, 0)
    expected = product / product.sum(0, keepdim=True).clamp(min=1e-9)
    torch.testing.assert_close(told.weights, expected, atol=1e-4, rtol=0)
    assert (told.weights - untold.weights).abs().max() > 0.02
    free = denoiser_answer(prior, x, 0.5, None, 0, 0.0)
    assert free.weights.isfinite().all()


def test_a_condition_without_guides_is_taken_too(guided, tiny, pictures):
    """As where guides are asked what they would make of another's result."""
    y, x = rand(1, 3, 24, 20), rand(1, 3, 96, 80)
    condition = encode(tiny, y, 4, 0.0, features=True)
    assert ConditionalDenoiser(guided.guided_by(pictures), condition, 4, 0.0)(x, 0.1).isfinite().all()


def test_the_predictor_of_the_parent_looks_at_the_parents_features(guided, tiny, pictures):
    condition = encode(guided.guided_by(pictures), rand(1, 3, 24, 20), 4, 0.0, features=True)
    own = condition._replace(features=condition.features[:, : tiny.features])
    assert condition.features.shape != own.features.shape
    assert torch.equal(predict_error(guided, condition, 4, 0.1), predict_error(tiny, own, 4, 0.1))


@pytest.mark.parametrize("fusion", ["mean", "learned", "concat"])
def test_static_weights_find_nothing(tiny, tiny_file, pictures, tmp_path, monkeypatch, fusion):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))
    path = write_guides(tmp_path / "tiny-guided.safetensors", tiny, fusion=fusion)
    prior = load_guides(path, torch.device("cpu"), torch.float32).guided_by(pictures)
    condition = encode(prior, rand(1, 3, 24, 20), 4, 0.0, features=True)
    assert condition.features.shape[1] == prior.features == tiny.features
    assert ConditionalDenoiser(prior, condition, 4, 0.0)(rand(1, 3, 96, 80), 0.1).isfinite().all()


def test_the_denoiser_teaches_the_other_gate_nothing(guided, pictures):
    prior, y, x = guided.guided_by(pictures), rand(1, 3, 24, 20), rand(1, 3, 96, 80)
    for part in prior.guides:
        part.requires_grad_(True)
    with torch.enable_grad():
        condition = prior.encode(y, 4, torch.zeros(1), True)
        assert condition.mean.requires_grad
        seen = torch.cat([condition.mean.detach(), condition.features], 1)
        site, one = prior.guides.denoiser.site, torch.ones(1)
        injection = prior.injected(site)
        guided_denoise(
            prior.denoiser, prior.guides.denoiser, injection, x, one, one, seen, one.long(), 0 * one
        ).sum().backward()
    assert all(p.grad is None for p in prior.guides.encoder.parameters())
    assert site.gate.out.weight.grad.abs().max() > 0
