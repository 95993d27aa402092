import pytest
import torch

from veriscale.physics.residual_descent import minimal_residual


def system(batch: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    m = torch.eye(n, dtype=torch.float64) * 3 + torch.randn(batch, n, n, generator=generator, dtype=torch.float64) / 4
    return m, torch.randn(batch, n, generator=generator, dtype=torch.float64)


def test_an_unsymmetric_system_is_solved_item_by_item():
    m, b = system(3, 20)
    x, left = minimal_residual(lambda u: torch.einsum("bij,bj->bi", m, u), b, 1e-10, 24)
    torch.testing.assert_close(x, torch.linalg.solve(m, b))
    assert left <= 1e-10


def test_residuals_never_grow_and_are_what_is_said():
    m, b = system(2, 40)
    m = m - 3 * torch.eye(40)  # indefinite: conjugate gradients would run away
    last = 1.0
    for iterations in (4, 8, 16, 32):
        x, left = minimal_residual(lambda u: torch.einsum("bij,bj->bi", m, u), b, 0.0, iterations)
        rest = torch.einsum("bij,bj->bi", m, x) - b
        assert float((rest.norm(dim=1) / b.norm(dim=1)).max()) == pytest.approx(left, rel=1e-6)
        assert left <= last
        last = left


def test_nothing_is_made_of_nothing():
    x, _ = minimal_residual(lambda u: 2 * u, torch.zeros(1, 5), 1e-6, 8)
    assert not x.any()
