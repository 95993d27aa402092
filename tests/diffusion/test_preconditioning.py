import torch

from veriscale.diffusion.preconditioning import scalings


def test_input_and_target_have_unit_variance():
    torch.manual_seed(0)
    sigma, sigma_data = torch.tensor(0.3, dtype=torch.float64), torch.tensor(0.07, dtype=torch.float64)
    x = sigma_data * torch.randn(200_000, dtype=torch.float64)
    noisy = x + sigma * torch.randn(200_000, dtype=torch.float64)
    s = scalings(sigma, sigma_data)
    assert abs((s.into * noisy).std() - 1) < 0.01
    assert abs(((x - s.skip * noisy) / s.out).std() - 1) < 0.01


def test_a_network_of_zeros_is_the_best_linear_denoiser():
    sigma, sigma_data = torch.tensor(0.2), torch.tensor(0.1)
    s = scalings(sigma, sigma_data)
    assert torch.isclose(s.skip, sigma_data**2 / (sigma**2 + sigma_data**2))
    assert s.noise == torch.log(sigma / sigma_data) / 4
