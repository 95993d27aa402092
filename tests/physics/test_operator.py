import numpy as np
import torch

from veriscale.physics.operator import LinearOperator


class Twice(LinearOperator):
    """y = 2x, with nothing but what the base class asks for."""

    name = "twice"

    def forward(self, x):
        return 2 * x

    def adjoint(self, y):
        return 2 * y

    def norm(self, shape):
        return 2.0

    def __str__(self):
        return self.name


def test_defaults():
    a, x = Twice(), torch.rand(2, 3, 4, 5, dtype=torch.float64)
    assert a.measure(x).equal(2 * x)
    assert a.measurement_shape((3, 4, 5)) == a.truth_shape((3, 4, 5)) == (3, 4, 5)
    assert a.support((3, 4, 5)) is None
    assert a.notes == ()
    assert a.bind(np.eye(4)) is a
    assert a.beside("anywhere") is a
    # (4 + ρ)x = 2y + ρv
    torch.testing.assert_close(a.prox(x, torch.ones_like(x), 4.0), (2 + 4 * x) / 8)
    weight = torch.rand(2, 1, 4, 5, dtype=torch.float64) + 0.1
    expected = (2 * weight + 4 * x) / (4 * weight + 4)
    torch.testing.assert_close(a.prox(x, torch.ones_like(x), 4.0, weight), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(a.pinv(2 * x), x, atol=1e-3, rtol=0)
