"""A network and an operator of the user's own, through every door."""

import json
import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

import veriscale as library
from veriscale.errors import InputError
from veriscale.physics.composition import compose
from veriscale.physics.registry import parse_operator

MODULE = """
import veriscale


def shrink(x, sigma):
    s = sigma.view(-1, 1, 1, 1) ** 2
    return (x / s + 0.5 * 16) / (1 / s + 16)

def prior():
    return veriscale.prior_from(shrink, channels=3, version="1", name="grey")

def smear(x):
    return (x + x.roll(1, -1) + x.roll(2, -1)) / 3

def operator():
    return veriscale.operator_from(smear, name="smear", version="2")

def shipped():
    return veriscale.load_prior("photo", "cpu")

def broken():
    raise ValueError("on purpose")

wrong = 7

import types
import torch

net, holder = torch.nn.PReLU(1), types.SimpleNamespace(net=torch.nn.PReLU(1))

def network():
    return veriscale.prior_from(lambda x, s: shrink(x, s) + 0 * net(holder.net(x)), channels=3)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_own.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield "my_own"
    sys.modules.pop("my_own", None)


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).random((32, 40, 3), np.float32) * 0.2 + 0.4
    path = tmp_path / "x.png"
    library.write_photo(library.Photo(pixels), path)
    return path


def test_dial_draws_report_and_run(module, picture, tmp_path):
    prior = library.load_prior("my_own:prior")
    result = library.restore(picture, prior, operator="my_own:operator", dial=[0, 0.5, 1], samples=2, seed=1)
    assert (result.run["prior"]["name"], result.run["mode"]) == ("grey", "zero-shot")
    assert result.run["prior"]["sha256"] == prior.card.tensors_sha256
    assert result.run["operator"] == "own:name=smear,version=2"
    assert len(result.images) == 3
    assert result.std.mean() > 0
    from veriscale.workflows.restoring.reporting import report_html

    assert "own:name=smear" in report_html(result, "x")


def test_a_network_that_was_trained_on_is_refused(picture, tmp_path):
    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(()))

        def forward(self, x, sigma):
            return 0.5 + (x - 0.5) * self.gain / (1 + 16 * sigma.view(-1, 1, 1, 1) ** 2)

    network = Scaled()
    prior = library.prior_from(network, channels=3)
    asked = {"operator": "inpaint:keep=0.5", "noise": 0.02}
    library.restore(picture, prior, **asked)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    network(torch.rand(1, 3, 8, 8), torch.ones(1)).sum().backward()
    optimizer.step()
    calls = (
        lambda: library.restore(picture, prior, **asked),
        lambda: library.calibrate(tmp_path, tmp_path / "c.json", prior=prior, score="gradient", tau=0.05, **asked),
        lambda: library.measure_prior(prior, tmp_path, tmp_path / "card.json"),
        lambda: library.evaluate(picture, prior, scale=2),
    )
    for call in calls:
        with pytest.raises(InputError, match="parameters of prior 'Scaled' have changed"):
            call()


def test_a_sampler_asks_for_a_variance_that_was_measured(module, picture):
    prior = library.load_prior("my_own:prior")
    asked = {"operator": "inpaint:keep=0.5", "noise": 0.02, "sampler": "ancestral"}
    with pytest.raises(InputError, match=r"needs v\(sigma\), which is not on the card of prior 'grey'.*measure_prior"):
        library.restore(picture, prior, dial=1, **asked)
    library.restore(picture, prior, **asked)
    mode = msgspec.structs.replace(prior.mode(0), sigma=[0.01, 1.0], variance=[[1e-4, 0.05]])
    known = replace(prior, card=msgspec.structs.replace(prior.card, modes=[mode]))
    assert library.restore(picture, known, dial=1, **asked).run["sampler"] == "ancestral"


def test_the_name_of_a_shipped_prior_is_not_taken_for_it(picture, tmp_path):
    grey = lambda x, sigma: 0.5 + (x - 0.5) / (1 + 16 * sigma.view(-1, 1, 1, 1) ** 2)  # noqa: E731
    own = library.prior_from(grey, channels=3, version="1", name="photo")
    asked = {"operator": "inpaint:keep=0.5", "noise": 0.02}
    (run,) = library.restore_files(picture, tmp_path / "a", own, **asked)
    assert run["prior"].items() >= {"name": "photo", "sha256": own.card.tensors_sha256, "parameters": 0}.items()
    repeat = tmp_path / "a" / "x_restored.run.json"
    with pytest.raises(InputError, match="prior 'photo' is somebody's own denoiser; give it as prior"):
        library.restore_files(picture, tmp_path / "b", repeat=repeat)
    (again,) = library.restore_files(picture, tmp_path / "c", own, repeat=repeat)
    assert again["prior"] == run["prior"]
    assert (tmp_path / "a" / "x_restored.png").read_bytes() == (tmp_path / "c" / "x_restored.png").read_bytes()


def test_an_object_takes_the_place_of_a_repeated_prior(module, picture, tmp_path):
    asked = {"operator": "inpaint:keep=0.5", "noise": 0.02}
    library.restore_files(picture, tmp_path / "a", "my_own:prior", **asked)
    own = library.load_prior("my_own:prior")
    library.restore_files(picture, tmp_path / "b", own, repeat=tmp_path / "a" / "x_restored.run.json")
    run = json.loads((tmp_path / "b" / "x_restored.run.json").read_text())
    assert run["arguments"]["prior"] == "own:name=grey"


def test_files_take_an_operator_as_an_object(module, picture, tmp_path):
    operator = library.operator_from(lambda x: (x + x.roll(1, -1)) / 2, name="pair", version="1")
    prior = library.load_prior("my_own:prior")
    (run,) = library.restore_files(picture, tmp_path / "out", prior, operator=operator)
    assert run["operator"] == "own:name=pair,version=1"


def test_a_factor_goes_without_an_encoder(module, picture):
    prior = library.load_prior("my_own:prior")
    assert library.restore(picture, prior, scale=2).image.pixels.shape == (64, 80, 3)
    found = library.evaluate(picture, prior, scale=2)
    assert found.settings["sampler"] == "dpm-solver++"
    for call in (library.restore, library.evaluate):
        with pytest.raises(InputError, match="has no encoder and no factor of its own"):
            call(picture, prior)


def test_the_command_line(module, picture, tmp_path, veriscale):
    code, _, _ = veriscale("degrade", picture, "--operator", "my_own:operator", "-o", "y.png")
    assert code == 0
    assert "own:name=smear,version=2" in (tmp_path / "y.png.measurement.json").read_text()
    code, _, err = veriscale("restore", "y.png", "--prior", "my_own:prior", "-o", "a.png")
    assert code == 2
    assert "made of somebody's own functions; give it as --operator" in err
    asked = ("restore", "y.png", "--prior", "my_own:prior", "--operator", "my_own:operator", "-o")
    assert veriscale(*asked, "a.png")[0] == 0
    run = json.loads((tmp_path / "a.run.json").read_text())
    assert run["prior"]["name"] == "grey"
    code, _, err = veriscale("restore", "y.png", "--from", "a.run.json", "-o", "b.png")
    assert code == 2
    assert "is a program; if you trust it, give it as --prior" in err
    given = ("--prior", "my_own:prior", "--operator", "my_own:operator")
    assert veriscale("restore", "y.png", "--from", "a.run.json", *given, "-o", "b.png")[0] == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_run_that_names_a_program_does_not_start_it(module, picture, tmp_path, veriscale):
    assert veriscale("restore", "x.png", "--prior", "my_own:prior", "--scale", "2", "-o", "a.png")[0] == 0
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\n")
    run = json.loads((tmp_path / "a.run.json").read_text())
    for name in ("prior", "operator"):
        run["arguments"] |= {"prior": "photo", "operator": None, name: "evil:run"}
        (tmp_path / "run.json").write_text(json.dumps(run))
        assert veriscale("restore", "x.png", "--from", "run.json", "-o", "b.png")[0] == 2
    assert not (tmp_path / "ran").exists()


def test_certificates_are_of_this_prior_and_operator(module, picture, tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(4):
        truth = library.Photo(rng.random((32, 32, 3), np.float32) * 0.2 + 0.4)
        library.write_photo(truth, folder / f"{k}.png")
    prior = library.load_prior("my_own:prior")
    asked = {"operator": "my_own:operator", "noise": 0.02}
    held = library.calibrate(folder, tmp_path / "c.json", prior=prior, score="gradient", tau=0.05, **asked)
    y = library.degrade(library.read_photo(folder / "0.png"), "my_own:operator", 0.02)
    assert library.restore(y, prior, certificate=held, alpha=0.3, **asked).trusted is not None
    other = library.operator_from(lambda x: (x + x.roll(1, -1)) / 2, name="smear", version="3")
    with pytest.raises(InputError, match=r"version=2"):
        library.restore(y, prior, certificate=held, alpha=0.3, operator=other, noise=0.02)
    with pytest.raises(InputError, match="somebody's own functions"):
        library.restore(y, prior, certificate=held, alpha=0.3)


def test_a_certificate_of_one_s_own_operator_is_evaluated(module, tmp_path, veriscale):
    rng = np.random.default_rng(0)
    for name in ("in", "other"):
        (tmp_path / name).mkdir()
        for k in range(3):
            truth = library.Photo(rng.random((32, 32, 3), np.float32) * 0.2 + 0.4)
            library.write_photo(truth, tmp_path / name / f"{k}.png")
    both = "my_own:operator + inpaint:keep=0.5"
    for text in ("my_own:operator", both):
        stated = ("--prior", "my_own:prior", "--operator", text)
        made = ("--noise", 0.02, "--score", "gradient", "--tau", 0.05, "-o", "c.json", "--force", "--quiet")
        assert veriscale("calibrate", "in", *stated, *made)[0] == 0
        asked = ("evaluate", "other", "--certificate", "c.json", "--alpha", 0.3, "--json", "--quiet")
        code, out, _ = veriscale(*asked, *stated)
        assert (code, len(json.loads(out)["pictures"])) == (0, 3)
    code, _, err = veriscale(*asked, "--prior", "my_own:prior")
    assert code == 2
    assert "'smear' is made of somebody's own functions; give it as --operator" in err
    code, _, err = veriscale(*asked, "--prior", "my_own:prior", "--operator", "my_own:operator")
    assert code == 2
    assert "--operator own:name=smear,version=2 is fixed by the certificate as own:name=smear,version=2 + inp" in err
    code, _, err = veriscale("evaluate", "other", "--prior", "my_own:prior", "--scale", 2, "--operator", both)
    assert code == 2
    assert "--operator is no setting of an evaluation" in err


def test_own_operators_are_parts_of_others(module, picture, tmp_path, veriscale):
    text = "my_own:operator + downsample:factor=2,kernel=box"
    assert veriscale("degrade", picture, "--operator", text, "--noise", 0.02, "-o", "y.png")[0] == 0
    asked = ("restore", "y.png", "--prior", "my_own:prior", "--noise", 0.02, "-o", "a.png")
    assert veriscale(*asked, "--operator", text)[0] == 0
    run = json.loads((tmp_path / "a.run.json").read_text())
    assert run["operator"].startswith("own:name=smear,version=2 + downsample:factor=2")
    given = library.operator_from(lambda x: (x + x.roll(1, -1) + x.roll(2, -1)) / 3, name="smear", version="2")
    y = library.read_photo(tmp_path / "y.png")
    both = compose([given, parse_operator("downsample:factor=2,kernel=box")])
    wanted = library.restore(y, "my_own:prior", operator=both, noise=0.02).image
    assert np.abs(library.read_photo(tmp_path / "a.png").pixels - wanted.pixels).max() <= 0.5 / 255 + 1e-6
    code, _, err = veriscale(*asked, "--force", "--operator", "my_own:operator + blur:kernel=gaussian,std=none")
    assert code == 2
    assert "std=none is not a number" in err


@pytest.mark.parametrize("name", ["evil:run + blur:kernel=gaussian,std=1", "blur:kernel=gaussian,std=1 + evil:run"])
def test_a_run_that_names_a_program_within_a_composition_does_not_start_it(module, picture, tmp_path, veriscale, name):
    assert veriscale("restore", "x.png", "--prior", "my_own:prior", "--scale", "2", "-o", "a.png")[0] == 0
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\n")
    run = json.loads((tmp_path / "a.run.json").read_text())
    run["arguments"] |= {"prior": "photo", "scale": None, "operator": name}
    (tmp_path / "run.json").write_text(json.dumps(run))
    code, _, err = veriscale("restore", "x.png", "--from", "run.json", "-o", "b.png")
    assert code == 2
    assert "is a program; if you trust it, give it as --operator" in err
    assert not (tmp_path / "ran").exists()


def test_its_card_is_shown(module, tmp_path, veriscale):
    code, out, _ = veriscale("priors", "my_own:prior")
    assert code == 0
    sha256 = library.load_prior("my_own:prior").card.tensors_sha256
    for words in (
        "grey  (my_own:prior)",
        "from 0.002 to 10",
        "veriscale.measure_prior measures it",
        f"{sha256}, of what",
    ):
        assert words in out
    assert "no parameters: `version` alone names it" in out
    assert "2 parameters (holder.net, net)" in veriscale("priors", "my_own:network")[1]
    code, out, _ = veriscale("priors", "my_own:prior", "--json")
    assert (code, json.loads(out)["tensors_sha256"]) == (0, sha256)
    assert veriscale("priors", "my_own:shipped")[1].startswith("photo  (my_own:shipped)")
    code, _, err = veriscale("priors", "my_own:operator")
    assert code == 2
    assert "makes OwnOperator, and a Prior is wanted" in err


def test_a_certificate_that_names_a_program_does_not_start_it(module, tmp_path):
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\n")
    from veriscale.workflows.degrading.measurement import find_measurement

    for read in (parse_operator, lambda text: find_measurement(None, text, None, None)):
        with pytest.raises(InputError, match="not of the form key=value"):
            read("evil:run")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name, words",
    [
        ("no_such_module:prior", "cannot be imported"),
        ("my_own:none", "has no 'none'"),
        ("my_own:broken", "failed: ValueError: on purpose"),
        ("my_own:wrong", "makes int, and a Prior is wanted"),
        ("my_own:operator", "makes OwnOperator, and a Prior is wanted"),
    ],
)
def test_bad_factories(module, name, words):
    with pytest.raises(InputError, match=words):
        library.load_prior(name)


def test_measuring_a_prior(module, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(2):
        library.write_photo(library.Photo(rng.random((64, 72, 3), np.float32)), folder / f"{k}.png")
    prior = library.load_prior("my_own:prior")
    found = library.measure_prior(prior, folder, tmp_path / "card.json")
    assert found.mode(0).sigma_data[0] == pytest.approx(12**-0.5, rel=0.02)  # of uniform numbers about ½
    assert found.mode(0).variance_at(2.0, 0.0) > found.mode(0).variance_at(0.02, 0.0) > 0
    assert found.card.validation[0].pattern == "pictures"
    again = library.prior_from(
        sys.modules["my_own"].shrink, channels=3, version="1", name="grey", card=tmp_path / "card.json"
    )
    assert again.card == found.card
    with pytest.raises(InputError, match="exists"):
        library.measure_prior(prior, folder, tmp_path / "card.json")
    library.write_photo(library.Photo(rng.random((40, 72, 3), np.float32)), folder / "small.png")
    with pytest.raises(InputError, match=r"small\.png has less than 64 pixels"):
        library.measure_prior(prior, folder, tmp_path / "other.json")
    (tmp_path / "empty").mkdir()
    for odd, words in (
        ("nowhere", "Folder nowhere does not exist; give one with pictures"),
        ("empty", "Folder empty holds no picture; give one with pictures"),
        (3, "folder is 3, and the name of a file or folder is wanted"),
    ):
        with pytest.raises(InputError, match=words):
            library.measure_prior(prior, odd, tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()
