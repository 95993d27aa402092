"""Somebody's own denoiser: the same prior in every parametrisation, and what is refused."""

import json

import numpy as np
import pytest
import torch
from tests.traversal.problem import OPERATORS, SIDE, coloured_of, measured, posteriors, relative

from veriscale.diffusion.adapters import ddpm_linear, sigmas_of, timestep_of
from veriscale.diffusion.card import Consistency
from veriscale.diffusion.own_card import Measured
from veriscale.diffusion.own_prior import prior_from, with_card
from veriscale.errors import InputError
from veriscale.physics.data_term import DataTerm
from veriscale.runtime.networks import UnconditionalDenoiser
from veriscale.traversal.anchor import fast
from veriscale.traversal.splitting import splitting_for
from veriscale.workflows.opening import load_prior

SCHEDULE = ddpm_linear()


def plain(x, sigma):
    """A picture is grey with a spread of 1/4: exact for white pictures."""
    s = sigma.view(-1, 1, 1, 1)
    return (x / s**2 + 0.5 * 16) / (1 / s**2 + 16)


def level(t: torch.Tensor, halved: bool) -> torch.Tensor:
    """The noise level of a timestep, with pictures in [0, 1]."""
    logs = sigmas_of(SCHEDULE).log()
    low = t.double().floor().long().clamp(max=len(logs) - 2)
    sigma = torch.lerp(logs[low], logs[low + 1], t.double() - low).exp()
    return (sigma / (2 if halved else 1)).float()


def as_network(predicts: str, symmetric: bool):
    """`plain` as a network of another kind: (x_t, t) → what it predicts, pictures in its own range."""

    def network(x_t, t):
        if predicts == "flow":
            time = t.view(-1, 1, 1, 1)
            sigma, seen = (t / (1 - t)), x_t / (1 - time)
        else:
            sigma = level(t, False)
            seen = x_t * (1 + sigma.view(-1, 1, 1, 1) ** 2).sqrt()
        x0 = 2 * plain((seen + 1) / 2, sigma / 2) - 1 if symmetric else plain(seen, sigma)
        s = sigma.view(-1, 1, 1, 1)
        noise, signal = (seen - x0) / s, (1 + s**2) ** -0.5
        return {"x0": x0, "epsilon": noise, "v": signal * (noise - s * x0), "flow": noise - x0}[predicts]

    return network


@pytest.mark.parametrize("predicts", ["x0", "epsilon", "v", "flow"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_every_parametrisation_is_the_same_prior(predicts, symmetric):
    prior = prior_from(
        as_network(predicts, symmetric),
        channels=3,
        range=(-1, 1) if symmetric else (0, 1),
        predicts=predicts,
        alphas_bar=None if predicts == "flow" else SCHEDULE,
        version="1",
    )
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for sigma in (0.02, 0.3, 2.0):
        wanted = plain(x, torch.full((2,), sigma))
        assert float((UnconditionalDenoiser(prior)(x, sigma) - wanted).abs().max()) < 1e-4


def test_noise_without_a_schedule():
    prior = prior_from(
        lambda x, s: (x - plain(x, s)) / s.view(-1, 1, 1, 1), channels=1, predicts="epsilon", version="1"
    )
    x = torch.rand(1, 1, 16, 16)
    assert torch.allclose(prior.denoise(x, 0.3), plain(x, torch.tensor([0.3])), atol=1e-6)


def test_the_levels_it_knows_are_those_of_its_schedule():
    for span, factor in (((0, 1), 1), ((-1, 1), 2)):
        prior = prior_from(as_network("x0", factor == 2), channels=3, range=span, alphas_bar=SCHEDULE, version="1")
        assert prior.mode(0).sigma_max == pytest.approx(float(sigmas_of(SCHEDULE)[-1]) / factor)
    assert timestep_of(float(sigmas_of(SCHEDULE)[-1]), SCHEDULE) == pytest.approx(999)


def test_a_learned_variance_is_left_out():
    prior = prior_from(lambda x, s: torch.cat([plain(x, s), x], 1), channels=3, version="1")
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(prior.denoise(x, 0.3), plain(x, torch.tensor([0.3])))


def test_whole_timesteps():
    asked = []

    def network(x_t, t):
        asked.append(t)
        return as_network("x0", False)(x_t, t)

    prior_from(network, channels=3, alphas_bar=SCHEDULE, whole_timesteps=True, version="1").denoise(
        torch.rand(1, 3, 8, 8), 0.123
    )
    assert all(float(t[0]) == int(t[0]) for t in asked)


@pytest.mark.parametrize("name, within", [("box", 1e-4), ("half", 2e-3), ("smear", 1e-4)])
def test_a_gaussian_denoiser_has_the_posterior_mean_as_its_anchor(name, within):
    gaussians = {side: coloured_of(side) for side in (SIDE, 64)}

    def exact(x, sigma):
        return gaussians[x.shape[-1]].denoise(x.double(), float(sigma[0])).float()

    prior = prior_from(exact, channels=1, version="1")
    _, data = measured(gaussians[SIDE], OPERATORS[name])
    wanted = posteriors(gaussians[SIDE], data)[0].mean[None]
    data = DataTerm(data.operator, data.y.float(), data.noise)
    way = splitting_for(data, (1, SIDE, SIDE), prior.mode(0))
    found = fast(UnconditionalDenoiser(prior), data, way, torch.full((1, 1, SIDE, SIDE), 0.5), 1 / 16).x
    assert relative(found.double(), wanted) < within


class Net(torch.nn.Module):
    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(gain))

    def forward(self, x, sigma):
        return plain(x, sigma) * self.gain

    def denoised(self, x, sigma):
        return self(x, sigma)


def test_its_hash_is_that_of_parameters_and_of_what_was_stated():
    def digest(function, **stated):
        return prior_from(function, channels=3, **stated).card.tensors_sha256

    net = Net()
    same = [digest(net, name="a"), digest(Net(), name="a"), digest(net.denoised, name="a")]
    assert len(set(same)) == 1
    others = [
        digest(Net(0.999), name="a"),
        digest(net, name="b"),
        digest(net, name="a", version="2"),
        digest(as_network("x0", False), name="a", version="1", alphas_bar=SCHEDULE),
        digest(as_network("x0", False), name="a", version="1", alphas_bar=SCHEDULE, whole_timesteps=True),
    ]
    assert len({*same, *others}) == 6


def test_networks_that_a_function_refers_to_are_found():
    net, other = Net(), Net(0.999)
    one, two = (prior_from(lambda x, s, n=n: n(x, s), channels=3, module=n) for n in (net, other))
    assert one.card.tensors_sha256 != two.card.tensors_sha256
    assert (
        prior_from(lambda x, s: net(x, s), channels=3, name="a").card.tensors_sha256
        != prior_from(lambda x, s: other(x, s), channels=3, name="a").card.tensors_sha256
    )


def test_a_blind_denoiser_is_told_apart():
    prior = prior_from(lambda x, s: x.mean((2, 3), keepdim=True).expand_as(x), channels=3, version="1")
    assert "takes no noise level" in prior.notes[0]
    assert prior_from(plain, channels=3, version="1").notes == ()


@pytest.mark.parametrize(
    "stated",
    [
        {"alphas_bar": SCHEDULE},
        {"alphas_bar": SCHEDULE, "predicts": "epsilon", "range": (-1, 1)},
        {"alphas_bar": SCHEDULE, "predicts": "v"},
        {"predicts": "flow"},
        {"predicts": "epsilon"},
        {"sigmas": (0.6, 0.8)},
    ],
)
def test_blindness_is_told_through_every_wrapping(stated):
    def blind(x, t):
        return x - x.mean((2, 3), keepdim=True)

    def told(x, t):
        return blind(x, t) * t.view(-1, 1, 1, 1) / 1000

    assert prior_from(blind, channels=3, version="1", **stated).blind
    assert not prior_from(told, channels=3, version="1", **stated).blind


def bounded(low):
    """Exact for plain pictures of any tone from `low` to 1."""

    def denoise(x, sigma):
        return x.mean((2, 3), keepdim=True).clamp(low, 1).expand_as(x) + 1e-3 * sigma.view(-1, 1, 1, 1) * x

    return denoise


def test_a_wrong_range_is_told_where_dark_pictures_are_none_to_it():
    (note,) = prior_from(bounded(0), channels=3, version="1", range=(-1, 1)).notes
    assert "is its `range` the one that was stated" in note
    assert prior_from(bounded(0), channels=3, version="1").notes == ()
    assert prior_from(bounded(-1), channels=3, version="1", range=(-1, 1)).notes == ()


def test_the_shipped_prior_is_told_of_in_its_wrong_range_alone():
    photo = load_prior("photo", "cpu", torch.float32)

    def network(x, t):
        return photo.denoise(x, float(t[0]))

    stated = {"channels": 3, "version": "1"}
    assert prior_from(network, **stated).notes == ()
    assert len(prior_from(network, range=(-1, 1), **stated).notes) == 1
    symmetric = lambda x, t: 2 * photo.denoise((x + 1) / 2, float(t[0]) / 2) - 1  # noqa: E731
    assert prior_from(symmetric, range=(-1, 1), **stated).notes == ()


def test_parameters_that_change_afterwards_are_noticed():
    network = Net()
    prior = prior_from(network, channels=3)
    prior.check_unchanged()
    with torch.no_grad():
        network.gain.data.mul_(0.9)
    with pytest.raises(InputError, match="parameters of prior 'Net' have changed since"):
        prior.check_unchanged()
    prior_from(network, channels=3).check_unchanged()


def test_a_denoiser_that_leaves_noise_is_told():
    prior = prior_from(lambda x, s: x + 0.01 * s.view(-1, 1, 1, 1) * torch.sign(x - 0.5), channels=3, version="1")
    assert "leaves more than noise" in prior.notes[0]


@pytest.mark.parametrize(
    "function, stated, words",
    [
        (plain, {"channels": 2}, "for 1 or 3 channels, not 2"),
        (plain, {"range": (0, 255)}, r"range \(0, 255\) is unknown"),
        (plain, {"predicts": "x_0"}, "did you mean 'x0'"),
        (plain, {"predicts": "v"}, "give `alphas_bar`"),
        (plain, {"predicts": "flow", "alphas_bar": SCHEDULE}, "leave out `alphas_bar`"),
        (plain, {"alphas_bar": [0.1, 0.9]}, "decreasing"),
        (plain, {"alphas_bar": [0.9, 0.0]}, "between 0 and 1"),
        (plain, {"sigmas": (1, 0.1)}, "give the least and the largest"),
        (plain, {"sigmas": (0.1, float("inf"))}, "give the least and the largest"),
        (plain, {"sigmas": 3}, "`sigmas` 3 are no noise levels"),
        (plain, {"sigmas": "01"}, "`sigmas` '01' are no noise levels"),
        (plain, {"sigmas": (float("nan"), 1)}, "give the least and the largest"),
        (plain, {"sigmas": (0.1, 0.5, 1)}, "give the least and the largest"),
        (plain, {"stride": 0}, "`stride` 0 is no number of pixels"),
        (plain, {"stride": 1.5}, "`stride` 1.5 is no"),
        (plain, {"stride": 10**6}, "from 1 to 1024"),
        (plain, {"radius": -1}, "`radius` -1 is no number of pixels from 0 on"),
        (plain, {"radius": "8"}, "`radius` '8' is no"),
        (plain, {"channels": "3"}, "1 or 3 channels, not '3'"),
        (plain, {"channels": 2.5}, "1 or 3 channels, not 2.5"),
        (plain, {"channels": True}, "1 or 3 channels, not True"),
        (plain, {"channels": 0}, "1 or 3 channels, not 0"),
        (plain, {"range": 1}, "range 1 is unknown"),
        (plain, {"range": np.zeros((2, 2))}, "is unknown; known"),
        (plain, {"range": (-1, 1, 1)}, "is unknown"),
        (plain, {"predicts": None}, "predicts None is unknown"),
        (plain, {"predicts": ["x0"]}, r"predicts \['x0'\] is unknown"),
        (plain, {"alphas_bar": "abc"}, "not 'abc'"),
        (plain, {"alphas_bar": [0.9, None]}, r"not \[0.9, None\]"),
        (plain, {"alphas_bar": [[0.9], [0.1]]}, r"these, \(2, 1\), are none"),
        (plain, {"alphas_bar": [0.9, float("nan"), 0.1]}, "one row of decreasing"),
        (plain, {"alphas_bar": 0.5}, "one row of decreasing"),
        (plain, {"whole_timesteps": "no"}, "True or False, not 'no'"),
        (plain, {"name": 2}, "`name` is a line of text, not 2"),
        (plain, {"name": "two\nlines"}, "`name` is a line of text"),
        (plain, {"version": 1}, "`version` is a line of text, not 1"),
        (plain, {"module": "net"}, "`module` is a torch.nn.Module, not 'net'"),
        (plain, {"card": 7}, "Card 7 cannot be used"),
        ("denoise", {}, "is a function .* not 'denoise'"),
        (lambda x, s: x[:, :1], {}, r"\(1, 3, 64, 64\) with \(1, 1, 64, 64\)"),
        (lambda x, s: x[..., ::2], {}, r"with \(1, 3, 64, 32\)"),
        (lambda x, s: None, {}, "with NoneType"),
        (lambda x, s: x * float("nan"), {}, "not finite"),
        (lambda x, s: 255 * x, {}, "far outside"),
        (plain, {"version": ""}, "give `module`.*or `version`"),
    ],
)
def test_bad_denoisers(function, stated, words):
    with pytest.raises(InputError, match=words):
        prior_from(function, **{"channels": 3, "version": "1", **stated})


def test_numbers_of_numpy_and_lists_are_as_good():
    given = {"channels": np.int64(3), "stride": np.int64(2), "range": np.array([-1.0, 1.0]), "sigmas": [0.01, 1]}
    usual = {"channels": 3, "stride": 2, "range": (-1, 1), "sigmas": (0.01, 1)}
    one, two = (prior_from(plain, version="1", **stated) for stated in (given, usual))
    assert one.card == two.card


def test_a_schedule_s_highest_level_can_be_asked_for():
    network = as_network("epsilon", True)
    prior = prior_from(network, channels=3, range=(-1, 1), predicts="epsilon", alphas_bar=SCHEDULE, version="1")
    assert prior.denoise(torch.rand(1, 3, 8, 8), prior.mode(0).sigma_max).shape == (1, 3, 8, 8)


def test_a_function_that_fails_says_what_it_was_given():
    def function(x, sigma):
        raise ValueError("no such thing")

    with pytest.raises(InputError, match=r"fails for \(1, 3, 64, 64\).*no such thing"):
        prior_from(function, channels=3, version="1")


def test_gradients_that_there_are_not(tmp_path):
    @torch.no_grad()
    def still(x, sigma):
        return plain(x, sigma)

    weight = torch.ones((), requires_grad=True)
    for function in (still, lambda x, sigma: weight * plain(x.detach(), sigma)):
        for radius in (None, 4):
            denoise = UnconditionalDenoiser(prior_from(function, channels=3, version="1", radius=radius), 8)
            x = torch.rand(1, 3, 16, 16)
            with pytest.raises(InputError, match="gives no gradient; choose anchor fast and posterior proximal"):
                denoise.pullback(x, 0.3)[1](x)


def test_a_card_of_another_denoiser_is_refused(tmp_path):
    import msgspec

    prior = prior_from(plain, channels=3, version="1")
    path = tmp_path / "card.json"
    facts = Measured(prior.card.tensors_sha256, prior.mode(0), [], tiny_data())
    path.write_bytes(msgspec.json.encode(facts))
    assert with_card(prior, path).card.validation == [tiny_data()]
    assert prior_from(plain, channels=3, version="1", card=path).card.validation == [tiny_data()]
    with pytest.raises(InputError, match="of another denoiser"):
        prior_from(plain, channels=3, version="2", card=path)
    path.write_text("{}")
    with pytest.raises(InputError, match="cannot be used"):
        with_card(prior, path)
    with pytest.raises(InputError, match="cannot be used"):
        with_card(prior, tmp_path / "none.json")


def full_card(prior):
    """What `measure_prior` writes, as JSON has it."""
    import msgspec

    mode = msgspec.structs.replace(prior.mode(0), sigma=[0.01, 1.0], variance=[[0.0001, 0.05]])
    usual = Consistency("blur", "fast", [0.0, 0.1], [0.5, 0.6], [1.5, 1.4], 100)
    return msgspec.to_builtins(Measured(prior.card.tensors_sha256, mode, [usual], tiny_data()))


@pytest.mark.parametrize(
    "where, value, words",
    [
        ("mode trust", -1, "trust is -1, and a number above 0"),
        ("mode high", 0, "high is 0, and a number above 0"),
        ("mode relaxation", 0, "relaxation is 0, and a number above 0, 1 at most"),
        ("mode mask_relaxation", 5, "mask_relaxation is 5, and a number above 0, 1 at most"),
        ("mode mask_low", -0.1, "mask_low is -0.1, and a number from 0 on"),
        ("mode trust", "high", "Expected `float`, got `str`"),
        ("mode sigma_data", [0.2, 0.3], "one sigma_data"),
        ("mode sigma_data", [-0.2], "sigma_data is -0.2"),
        ("mode scale", 4, "not the unconditional one"),
        ("mode path", "straight", "path is 'straight'; known: renoise, interpolate"),
        ("mode sigma", [1.0, 0.1], "that increase"),
        ("mode sigma", [0.1], "one row of 1 numbers"),
        ("mode variance", [[0.1, -1]], "variance numbers above 0"),
        ("mode variance", [], "one row of 2 numbers"),
        ("mode sigma_max", 3, "measured with noise levels from 0.002 to 3, and these are 0.002 to 10"),
        ("mode better", 1, "unknown field `better`"),
        ("trusted", 1, "unknown field `trusted`"),
        ("consistency 0 low", [0.5], "as many low and high as noise_std"),
        ("consistency 0 low", [0.5, 2], "between a low and a high"),
        ("consistency 0 noise_std", [0.1, 0.1], "from 0 on that increase"),
        ("consistency 0 values", 0, "at least one of `values`"),
        ("pictures files", "many", "Expected `int`, got `str`"),
    ],
)
def test_a_card_with_odd_numbers_is_refused(tmp_path, where, value, words):
    prior = prior_from(plain, channels=3, version="1")
    facts, path = full_card(prior), tmp_path / "card.json"
    path.write_text(json.dumps(facts))
    with_card(prior, path)
    *inside, last = where.split()
    part = facts
    for key in inside:
        part = part[int(key) if key.isdigit() else key]
    part[last] = value
    path.write_text(json.dumps(facts))
    with pytest.raises(InputError, match=words):
        with_card(prior, path)


@pytest.mark.parametrize("text", ["[" * 9999, '{"prior": NaN}', '{"prior": 1e999}', "\udcff"])
def test_a_card_that_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "card.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match="cannot be used"):
        with_card(prior_from(plain, channels=3, version="1"), path)


def tiny_data():
    from veriscale.diffusion.card import Data

    return Data("x", 1, "0" * 64, "CC0")


def test_sides_that_do_not_fit_are_continued():
    seen = []

    def function(x, sigma):
        seen.append(tuple(x.shape[-2:]))
        return plain(x, sigma)

    prior = prior_from(function, channels=1, version="1", stride=16)
    x = torch.from_numpy(np.random.default_rng(0).random((1, 1, 21, 35), np.float32))
    assert UnconditionalDenoiser(prior)(x, 0.1).shape == x.shape
    assert seen[-1] == (32, 48)
    tiled = prior_from(function, channels=1, version="1", stride=16, radius=16)
    UnconditionalDenoiser(tiled, 32)(torch.rand(1, 1, 96, 96), 0.1)
    assert max(seen[-1]) < 96


@pytest.mark.parametrize("shape", [(21, 35), (5, 3), (1, 1), (2, 40)])
def test_sides_far_below_the_stride_are_continued_too(shape):
    seen = []

    def function(x, sigma):
        seen.append(x.detach())
        return x.sigmoid() * x.roll(1, -1) / (1 + sigma.view(-1, 1, 1, 1))

    denoise = UnconditionalDenoiser(prior_from(function, channels=1, version="1", stride=16))
    generator = torch.Generator().manual_seed(0)
    x, v, g = torch.rand(3, 1, 1, *shape, generator=generator)
    out, pull = denoise.pullback(x, 0.5)
    padded = seen[-1][0, 0].numpy()
    wide = [(0, -side % 16) for side in shape]
    assert np.array_equal(padded, np.pad(x[0, 0].numpy(), wide, mode="reflect"))
    assert torch.equal(out, denoise(x, 0.5))
    step = 1e-2
    slope = (denoise(x + step * v, 0.5) - denoise(x - step * v, 0.5)) / (2 * step)
    assert float((g * slope).sum()) == pytest.approx(float((pull(g) * v).sum()), rel=1e-2)


def test_a_halo_of_any_size_goes_with_any_stride():
    prior = prior_from(plain, channels=1, version="1", stride=16, radius=40)
    x = torch.rand(1, 1, 96, 160)
    assert torch.equal(UnconditionalDenoiser(prior, 32)(x, 0.1), UnconditionalDenoiser(prior, 1024)(x, 0.1))


def test_levels_beyond_those_it_knows_are_not_asked_for():
    asked = []

    def function(x, sigma):
        asked.append(float(sigma[0]))
        return plain(x, sigma)

    prior = prior_from(function, channels=1, version="1", sigmas=(0.05, 0.3))
    for sigma in (0.001, 0.1, 2.0):
        prior.denoise(torch.rand(1, 1, 8, 8), sigma)
    assert asked[-3:] == pytest.approx([0.05, 0.1, 0.3])


def test_a_network_in_training_mode_is_refused():
    network = torch.nn.Sequential(torch.nn.Dropout())
    with pytest.raises(InputError, match=r"call its `eval\(\)`"):
        prior_from(lambda x, s: network(x), channels=1, module=network, version="1")
    prior_from(lambda x, s: network(x), channels=1, module=network.eval(), version="1")


def test_a_network_that_was_trained_on_in_training_mode_is_refused():
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(1)).eval()
    prior = prior_from(lambda x, s: network(x), channels=1, module=network)
    network.train()
    with pytest.raises(InputError, match=r"call its `eval\(\)`"):
        prior.check_unchanged()


@pytest.mark.parametrize("network", [torch.nn.Conv2d(1, 1, 1, device="meta"), torch.nn.LazyConv2d(1, 1)])
def test_a_network_without_weights_is_refused(network):
    with pytest.raises(InputError, match=r"cannot be hashed; load its weights first"):
        prior_from(lambda x, s: network(x), channels=1, module=network)


def test_how_pictures_are_cut_is_part_of_its_hash():
    digests = {prior_from(plain, channels=1, version="1", stride=s).card.tensors_sha256 for s in (1, 16)}
    assert len(digests) == 2
