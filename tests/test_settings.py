"""What is asked of a restoration: given over certificate over repeated run over default."""

from dataclasses import FrozenInstanceError, fields

import pytest

from veriscale.errors import InputError
from veriscale.settings import ALL, Settings, checked, positions, settled, usual

LAYERS = {"given": "given", "certified": "certified", "repeated": "repeated"}


def test_nothing_said_is_the_default():
    assert settled(Settings()) == Settings(**usual())
    assert usual() == {
        "dial": "0",
        "samples": 0,
        "consistent": False,
        "seed": 0,
        "ensemble": False,
    }


@pytest.mark.parametrize("name", [f.name for f in fields(Settings)])
@pytest.mark.parametrize(
    "said, winner",
    [
        (("given", "certified", "repeated"), "given"),
        (("given", "repeated"), "given"),
        (("certified", "repeated"), "certified"),
        (("repeated",), "repeated"),
        ((), None),
    ],
)
def test_given_over_certificate_over_repeated_run_over_default(name, said, winner):
    layers = {layer: Settings(**{name: layer}) if layer in said else Settings() for layer in LAYERS}
    found = settled(layers["given"], layers["certified"], layers["repeated"])
    assert getattr(found, name) == (usual().get(name) if winner is None else winner)
    others = {k: v for k, v in found.said.items() if k != name}
    apart = {name, "dial"} if name == "sigma0" and said else {name}  # one takes the other's place
    assert others == {k: v for k, v in usual().items() if k not in apart}


def test_what_one_layer_leaves_open_the_next_one_says():
    found = settled(Settings(seed=1), Settings(seed=2, steps=2), Settings(seed=3, steps=3, sampler="heun"))
    assert (found.seed, found.steps, found.sampler, found.dial) == (1, 2, "heun", "0")


def test_zero_and_false_are_said():
    below = Settings(seed=5, samples=4, consistent=True, dial="1")
    found = settled(Settings(seed=0, samples=0, consistent=False, dial="0"), below)
    assert (found.seed, found.samples, found.consistent, found.dial) == (0, 0, False, "0")


@pytest.mark.parametrize("layer", ["certified", "repeated"])
def test_scale_and_operator_take_the_place_of_each_other(layer):
    operator = "downsample:factor=4"
    lower = {layer: Settings(operator=operator, noise="0.1", seed=3)}
    assert (settled(Settings(scale=2), **lower).scale, settled(Settings(scale=2), **lower).operator) == (2, None)
    lower = {layer: Settings(scale=2, noise="0.1", seed=3)}
    found = settled(Settings(operator=operator), **lower)
    assert (found.scale, found.operator, found.noise, found.seed) == (None, operator, "0.1", 3)
    lower = {layer: Settings(scale=2, operator="downsample:factor=2")}
    assert (settled(Settings(), **lower).scale, settled(Settings(), **lower).operator) == (2, "downsample:factor=2")
    both = settled(Settings(scale=4, operator=operator), **lower)
    assert (both.scale, both.operator) == (4, operator)  # whether they contradict each other is not said here


def test_settings_do_not_change():
    given = Settings(seed=1)
    settled(given, Settings(steps=2))
    assert given.said == {"seed": 1}
    with pytest.raises(FrozenInstanceError):
        given.seed = 2


def test_every_setting_has_help_and_commands_that_take_settings():
    for f in fields(Settings):
        assert f.metadata["help"].endswith("."), f.name
        assert f.metadata["commands"], f.name
        assert set(f.metadata["commands"]) <= set(ALL), f.name
        assert f.default is None, f.name


@pytest.mark.parametrize(
    "text, expected",
    [("0", (0,)), ("0.5", (0.5,)), ("1,0,0.5,1", (1, 0, 0.5)), ("0.5, 0.50,5e-1", (0.5,)), ("0 , 1", (0, 1))],
)
def test_positions_are_as_asked_for_each_once(text, expected):
    assert positions(text) == expected


@pytest.mark.parametrize("text", ["", "vivid", "nan", "inf", "0,", "0,,1", "0;1", "0.5 0.6", "0x1", "1_0"])
def test_positions_that_are_no_numbers(text):
    with pytest.raises(InputError, match=r"is not a number in \[0, 1\], or several such as 0,0\.5,1"):
        positions(text)


@pytest.mark.parametrize("text", ["-0.1", "1.001", "0,2", "1e999"])
def test_positions_outside(text):
    with pytest.raises(InputError, match=r"is outside \[0, 1\]; 0 is closest on average"):
        positions(text)


def test_no_position_is_none():
    with pytest.raises(InputError, match="No dial position is given"):
        checked([])
    with pytest.raises(InputError, match="Dial nan is outside"):
        checked([float("nan")])


def test_a_start_and_a_position_take_each_others_place():
    assert settled(Settings(sigma0=0.3)).dial is None
    assert settled(Settings(), repeated=Settings(sigma0=0.3)).said["sigma0"] == 0.3
    assert settled(Settings(), repeated=Settings(sigma0=0.3)).dial is None
    given = settled(Settings(dial="0.5"), repeated=Settings(sigma0=0.3))
    assert (given.dial, given.sigma0) == ("0.5", None)
