import pytest
import torch

from veriscale.errors import InputError
from veriscale.latent.schedule import LARGEST, Schedule, schedule_of

STABLE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


@pytest.fixture(autouse=True)
def diffusers():
    return pytest.importorskip("diffusers", reason="diffusers, of the extra `latent`, is not installed")


def scaled_linear() -> torch.Tensor:
    roots = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)
    return torch.cumprod(1 - roots**2, 0)


@pytest.mark.parametrize(
    "kind", ["PNDMScheduler", "DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"]
)
def test_levels_are_those_of_the_configuration(kind):
    found = schedule_of(kind, STABLE, "it")
    bar = scaled_linear()
    torch.testing.assert_close(found.alphas_bar, bar, rtol=1e-4, atol=0)
    assert found.sigmas == pytest.approx((0.0292, 14.61), rel=2e-3)
    assert found.level(50) == pytest.approx(float(((1 - bar[50]) / bar[50]) ** 0.5), rel=1e-4)
    assert found.predicts == "epsilon"


def test_a_timestep_without_signal_is_left_out():
    plain = schedule_of("DDIMScheduler", {**STABLE, "prediction_type": "v_prediction"}, "it")
    zero = schedule_of(
        "DDIMScheduler", {**STABLE, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True}, "it"
    )
    assert (plain.predicts, zero.predicts) == ("v", "v")
    assert (len(plain.alphas_bar), len(zero.alphas_bar)) == (1000, 999)
    assert zero.sigmas[1] == LARGEST


def test_a_flow_has_levels_of_its_time_and_its_shift():
    found = schedule_of("FlowMatchEulerDiscreteScheduler", {"num_train_timesteps": 1000, "shift": 3.0}, "it")
    assert (found.predicts, found.alphas_bar) == ("flow", None)
    assert found.sigmas == (pytest.approx(1e-3), LARGEST)
    shifted = 3 * 0.05 / (1 + 2 * 0.05)
    assert found.level(50) == pytest.approx(shifted / (1 - shifted))


EXACT = {
    "epsilon": lambda z, bar: (1 - bar) ** 0.5 * z,
    "v": lambda z, bar: 0 * z,
    "x0": lambda z, bar: bar**0.5 * z,
}
"""What a network of N(0, 1) predicts, exactly."""


@pytest.mark.parametrize("predicts", EXACT)
@pytest.mark.parametrize("sigma", [0.05, 1.0, 9.0])
def test_an_exact_network_becomes_the_exact_denoiser(predicts, sigma):
    bar = scaled_linear()
    asked = []

    def network(z, t):
        asked.append(float(t[0]))
        return EXACT[predicts](z, 1 / (1 + sigma**2))

    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = Schedule(predicts, bar, 1000).denoiser(network)(x, sigma)
    torch.testing.assert_close(found, x / (1 + sigma**2))
    levels = ((1 - bar) / bar) ** 0.5
    assert levels[int(asked[0])] <= sigma <= levels[int(asked[0]) + 1]


def test_an_exact_flow_is_told_timesteps_and_becomes_the_exact_denoiser():
    sigma, asked = 0.7, []
    time = sigma / (1 + sigma)

    def network(z, t):
        asked.append(float(t[0]))
        return (time - (1 - time)) / (time**2 + (1 - time) ** 2) * z

    x = torch.randn(1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = Schedule("flow", None, 1000, 3.0).denoiser(network)(x, sigma)
    torch.testing.assert_close(found, x / (1 + sigma**2))
    assert asked == [pytest.approx(1000 * time)]


@pytest.mark.parametrize(
    "kind, config, sentence",
    [
        ("EDMEulerScheduler", {}, "it has a EDMEulerScheduler, which is not supported; supported: DDPMScheduler"),
        ("DDIMScheduler", {"prediction_type": "noise"}, "predicts 'noise', which is not supported; supported: epsilon"),
        (
            "EulerDiscreteScheduler",
            {"timestep_type": "continuous"},
            "tells its network 'continuous' timesteps, which is",
        ),
        ("DDIMScheduler", {"beta_schedule": "square"}, "The noise schedule of it cannot be made"),
        ("DDIMScheduler", {"trained_betas": [0.1, 2.0, 0.1]}, "does not go from little noise to much"),
    ],
)
def test_what_is_unknown_is_refused(kind, config, sentence):
    with pytest.raises(InputError, match=sentence):
        schedule_of(kind, config, "it")
