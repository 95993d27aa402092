import pytest
import torch

from veriscale.diffusion.schedule import geometric, karras
from veriscale.errors import InputError

SPACINGS = [karras, geometric]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [1, 2, 7, 100])
@pytest.mark.parametrize("sigma_max", [0.1, 1 / 3, 5.0, 80.0])  # the powers of some do not cancel to the last bit
def test_a_schedule_falls_from_sigma_max_exactly_to_zero(spacing, sigma_max, steps):
    sigmas = spacing(sigma_max, 0.002, steps)
    assert sigmas.shape == (steps + 1,)
    assert sigmas.dtype == torch.float64
    assert sigmas[0].item() == sigma_max
    assert sigmas[-1].item() == 0
    assert (sigmas.diff() < 0).all()


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_last_level_above_zero_is_sigma_min(spacing):
    assert spacing(20.0, 0.01, 12)[-2].item() == pytest.approx(0.01, rel=1e-12)


def test_karras_is_even_in_the_root_and_geometric_in_the_logarithm():
    roots = karras(20.0, 0.01, 12, rho=5)[:-1] ** (1 / 5)
    torch.testing.assert_close(roots.diff(), roots.diff()[:1].expand(11), rtol=1e-9, atol=0)
    logs = geometric(20.0, 0.01, 12)[:-1].log()
    torch.testing.assert_close(logs.diff(), logs.diff()[:1].expand(11), rtol=1e-9, atol=0)
    torch.testing.assert_close(karras(20.0, 0.01, 12, rho=1e7), geometric(20.0, 0.01, 12), rtol=1e-4, atol=0)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(
    "sigma_max, sigma_min, steps", [(1.0, 0.01, 0), (0.01, 0.01, 5), (0.01, 1.0, 5), (1.0, 0.0, 5)]
)
def test_what_cannot_fall_is_refused_in_one_sentence(spacing, sigma_max, sigma_min, steps):
    with pytest.raises(InputError) as error:
        spacing(sigma_max, sigma_min, steps)
    assert "\n" not in str(error.value)
