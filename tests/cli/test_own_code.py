"""Somebody's own code in a command: it may print, exit and import what lies beside it."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import veriscale as library
from veriscale.errors import InputError

MODULE = """
import sys

import veriscale

print("imported")
calls = 0


def shrink(x, sigma):
    import beside_{name}  # when it is called, and not before
    print("called")
    s = sigma.view(-1, 1, 1, 1) ** 2
    return (x / s + 0.5 * 16) / (1 / s + 16)


def prior():
    import beside_{name}

    print("made")
    return veriscale.prior_from(shrink, channels=3, version="1", name="grey")


def smear(x):
    import beside_{name}
    print("smeared")
    return (x + x.roll(1, -1)) / 2


def operator():
    return veriscale.operator_from(smear, name="smear", version="2")


def leaves():
    raise SystemExit(3)


def leaving(x, sigma):
    sys.exit("no GPU here")


def leaving_prior():
    return veriscale.prior_from(leaving, channels=3, version="1")


def late(x, sigma):
    global calls
    calls += 1
    return shrink(x, sigma) if calls < 30 else sys.exit(4)


def late_prior():
    return veriscale.prior_from(late, channels=3, version="1")


def leaving_operator():
    return veriscale.operator_from(lambda x: sys.exit(5), name="leaves", version="1")
"""


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """A module of the user's in the current folder, and one that it imports late."""
    name = f"own_{abs(hash(request.node.nodeid)):x}"
    (tmp_path / f"{name}.py").write_text(MODULE.replace("{name}", name))
    (tmp_path / f"beside_{name}.py").touch()
    (tmp_path / f"exits_{name}.py").write_text("import sys\nsys.exit('no GPU here')\n")
    (tmp_path / f"odd_{name}.py").write_text("import sys\nsys.nothing\n")
    Image.fromarray(np.full((40, 48, 3), 99, np.uint8)).save(tmp_path / "x.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def test_what_it_prints_is_no_part_of_the_picture_and_what_it_imports_late_is_found(module):
    # As the installed command does, and unlike -m, which has the current folder on the path by itself.
    command = [sys.executable, "-P", "-m", "veriscale"]
    own = ["--prior", f"{module}:prior", "--operator", f"{module}:operator", "--noise", "0.05", "--device", "cpu"]
    ways = ["restore", "-", *own, "-o", "-"]
    done = subprocess.run([*command, *ways], input=Path("x.png").read_bytes(), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert Image.open(io.BytesIO(done.stdout)).size == (48, 40)
    for word in (b"imported", b"made", b"called", b"smeared"):
        assert word in done.stderr
    done = subprocess.run([*command, "degrade", "x.png", "--operator", own[3], "-o", "-"], capture_output=True)
    assert (Image.open(io.BytesIO(done.stdout)).size, b"smeared" in done.stderr) == ((48, 40), True)


def test_files_and_numbers_are_all_that_stands_on_stdout(veriscale, module):
    stated = ("--prior", f"{module}:prior", "--device", "cpu")
    code, out, err = veriscale("restore", "x.png", *stated, "--scale", 2, "-o", "a.png")
    assert (code, out.splitlines()) == (0, ["a.png", "a.run.json"])
    assert "called" in err
    code, out, err = veriscale("evaluate", "x.png", *stated, "--scale", 2, "--json")
    assert (code, out[0], "called" in err) == (0, "[", True)


@pytest.mark.parametrize(
    "option, name, words",
    [
        ("prior", "exits_{}:prior", "the module cannot be imported (SystemExit: no GPU here)"),
        ("prior", "odd_{}:prior", "the module cannot be imported (AttributeError"),
        ("prior", "{}:leaves", "failed: SystemExit: 3."),
        ("prior", "{}:leaving_prior", "fails for (1, 3, 64, 64) (SystemExit: no GPU here)"),
        ("prior", "{}:late_prior", "(SystemExit: 4)"),
        ("operator", "{}:leaves", "failed: SystemExit: 3."),
        ("operator", "{}:leaving_operator", "(SystemExit: 5)"),
    ],
)
def test_leaving_is_one_sentence(refused, module, option, name, words):
    stated = {"prior": f"{module}:prior", "operator": "inpaint:keep=0.5", option: name.format(module)}
    given = ("--prior", stated["prior"], "--operator", stated["operator"], "--noise", 0.05, "--dial", 1, "--quiet")
    assert words in refused("restore", "x.png", *given, "--steps", 40, "--device", "cpu")


def test_a_factory_may_change_the_path(tmp_path, module):
    text = "import sys\nsys.path = [p for p in sys.path if p != {!r}]\nfactory = 3\n"
    (tmp_path / f"path_{module}.py").write_text(text.format(str(tmp_path)))
    with pytest.raises(InputError, match="makes int, and a Prior is wanted"):
        library.load_prior(f"path_{module}:factory")


@pytest.mark.parametrize("name", ["lab.networks", "lab/networks.py:prior", "lab.networks.prior", "lab.networks:a.b"])
def test_a_name_like_that_of_a_module_is_told_its_form(name):
    with pytest.raises(InputError, match=r"or package\.module:factory of your own, such as lab\.networks:prior"):
        library.load_prior(name)
    for plain, words in (("foto", r"did you mean 'photo'\? known: [^:]*\.$"), ("no/such", "no/such does not exist.$")):
        with pytest.raises(InputError, match=words):
            library.load_prior(plain)
