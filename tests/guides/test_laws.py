"""What holds of guides whatever they have learnt."""

from itertools import permutations

import pytest
import torch
from tests.guides.toys import guides, injected, perturbed, refiner, seen

from veriscale.guides.expert import Experts
from veriscale.guides.gate import Temperature, weights
from veriscale.guides.guidance import guidance
from veriscale.guides.site import Injection

FUSIONS = "dynamic", "mean", "learned", "concat"
TAUS = "constant", "falling", "reversed", "learned", "modality"


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("tau", TAUS)
def test_weights_sum_to_one_over_valid_guides_and_are_zero_elsewhere(fusion, tau):
    pictures, valid = guides()
    network = refiner(fusion=fusion, tau=tau)
    injection = injected(network, pictures, valid)
    network(seen(), injection)
    any_valid = injection.valid.any(1)
    assert any_valid.any()
    assert not any_valid.all()
    torch.testing.assert_close(injection.weights.sum(1), any_valid.float())
    assert (injection.weights[~injection.valid] == 0).all()
    assert (injection.weights[injection.valid] > 0).all()
    assert (injection.amount[:, 0][~any_valid] == 0).all()
    assert (injection.amount[:, 0][any_valid] > 0).all()


@pytest.mark.parametrize("mix", ["features", "predictions"])
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("hidden", [torch.nan, 1e9, "noise"])
def test_nothing_under_an_invalid_pixel_matters(fusion, mix, hidden):
    pictures, valid = guides()
    under = torch.rand(pictures.shape) if hidden == "noise" else torch.tensor(hidden)
    answers = []
    for given in (pictures, torch.where(valid, pictures, under), torch.where(valid, 1 - pictures, under)):
        network = refiner(fusion=fusion, mix=mix)
        injection = injected(network, given, valid)
        correction = network(seen(), injection)
        assert (correction is None) == (mix == "predictions")
        made = injection.mixed() if correction is None else correction
        answers.append((made, injection.weights, injection.amount))
    for a, b in zip(*answers[:2], strict=True):
        assert torch.equal(a, b)
        assert a.isfinite().all()
    assert not torch.equal(answers[2][0], answers[0][0])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_where_no_guide_is_valid_nothing_is_added(fusion):
    pictures, valid = guides()
    network = refiner(fusion=fusion)
    added = network(seen(), injected(network, pictures, valid))
    assert not added[..., 6:].any()
    assert added[..., :6].any(1).all()
    nothing = injected(network, torch.full_like(pictures, torch.nan), torch.zeros_like(valid))
    assert not network(seen(), nothing).any()


@pytest.mark.parametrize("tau", TAUS)
def test_permuting_modalities_permutes_weights(tau):
    pictures, valid = guides()
    network = refiner(tau=tau)
    torch.manual_seed(1)
    experts = perturbed(Experts(2, 16, 1, 3))
    before = Injection(network.site, guidance(experts, pictures, valid, 4))
    correction, mixed = network(seen(), before), before.mixed()
    for order in permutations(range(3)):
        other, moved = refiner(tau=tau), Experts(2, 16, 1, 3)
        for i, k in enumerate(order):
            moved.each[i], other.site.heads[i] = experts.each[k], network.site.heads[k]
        if tau == "modality":
            other.site.temperature.level.copy_(network.site.temperature.level[list(order)])
            other.site.temperature.slope.copy_(network.site.temperature.slope[list(order)])
        after = Injection(other.site, guidance(moved, pictures[:, list(order)], valid[:, list(order)], 4))
        torch.testing.assert_close(other(seen(), after), correction)
        torch.testing.assert_close(after.weights, before.weights[:, list(order)])
        torch.testing.assert_close(after.mixed(), mixed)


def drawn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    logits, losses = (torch.randn(5, 4, 3, 3, dtype=torch.float64, generator=g) for _ in range(2))
    valid = torch.rand(5, 4, 3, 3, generator=g) < 0.8
    valid[:, 0] = True
    return logits, losses, valid


def test_infinite_temperature_is_uniform_and_zero_is_the_best_alone():
    logits, _, valid = drawn()
    uniform = valid / valid.sum(1, keepdim=True)
    torch.testing.assert_close(weights(logits, 1e12, valid), uniform.double())
    best = torch.where(valid, logits, -torch.inf).argmax(1)
    alone = torch.nn.functional.one_hot(best, 4).movedim(-1, 1).double()
    torch.testing.assert_close(weights(logits, 1e-12, valid), alone)


def test_the_derivative_of_the_risk_in_inverse_temperature_is_a_covariance():
    """d(Σ w ℓ)/d(1/τ) = Cov_w(g, ℓ): design of the gate, docs/methods.md#guides."""
    logits, losses, valid = drawn()
    inverse, step = 0.7, 1e-5

    def risk(b: float) -> torch.Tensor:
        return (weights(logits, 1 / b, valid) * losses).sum(1)

    finite = (risk(inverse + step) - risk(inverse - step)) / (2 * step)
    w = weights(logits, 1 / inverse, valid)
    covariance = (w * logits * losses).sum(1) - (w * logits).sum(1) * (w * losses).sum(1)
    torch.testing.assert_close(finite, covariance, atol=1e-8, rtol=1e-6)
    assert covariance.abs().max() > 0.1


def test_gradients_of_weights_are_finite_where_nothing_is_valid():
    logits, losses, valid = drawn()
    valid[2:] = False
    logits.requires_grad_()
    (weights(logits, 1.0, valid) * losses).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[:2].abs().max() > 0


def test_temperatures_go_the_way_their_names_say():
    share = torch.tensor([0.0, 0.5, 1.0])
    tau = {kind: Temperature(kind, 3)(share)[..., 0, 0] for kind in TAUS}
    torch.testing.assert_close(tau["constant"], torch.ones(3, 1))
    torch.testing.assert_close(tau["falling"], torch.tensor([[0.5], [1.0], [2.0]]))
    torch.testing.assert_close(tau["reversed"], tau["falling"].flip(0))
    torch.testing.assert_close(tau["learned"], torch.ones(3, 1), atol=2e-3, rtol=0)
    assert tau["modality"].shape == (3, 3)


def test_an_amount_cannot_close_for_good():
    """As it did where the gate's answer was its logit: whatever the gate says, a gradient is left to open it again."""
    pictures, valid = guides()
    shut = refiner()
    shut.site.gate.out.weight[1] = 0
    shut.site.gate.out.bias[1] = -1e4
    injection = injected(shut, pictures, valid)
    shut(seen(), injection)
    known = injection.valid.any(1)
    assert 0.01 < injection.amount[:, 0][known].min() < injection.amount[:, 0][known].max() < 0.02


def test_opened_items_have_an_amount_of_one_where_any_guide_is_valid():
    pictures, valid = guides()
    network = refiner()
    some, plain = (injected(network, pictures, valid, opened=o) for o in (torch.tensor([True, False]), None))
    corrections = [network(seen(), injection) for injection in (some, plain)]
    assert torch.equal(some.amount[0, 0], some.valid[0].any(0).float())
    assert (plain.amount[0] < 0.99).all()
    assert torch.equal(some.amount[1], plain.amount[1])
    opened, shut = (injection.on_own_grid(injection.amount) for injection in (some, plain))
    torch.testing.assert_close(corrections[0] * shut, corrections[1] * opened)
