import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veriscale.errors import InputError
from veriscale.physics.blur import Blur
from veriscale.physics.composition import compose
from veriscale.physics.downsample import Downsample
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.jpeg import Jpeg
from veriscale.physics.registry import parse_operator, read_operator_file
from veriscale.physics.sensing import Sensing
from veriscale.physics.slice_profile import SliceProfile


@pytest.mark.parametrize(
    "text, operator",
    [
        ("downsample:factor=4", Downsample(4)),
        ("downsample:factor=4x1,kernel=box", Downsample((4, 1), "box")),
        ("downsample:kernel=box,factor=2.50", Downsample(2.5, "box")),
        ("downsample:factor=1e1", Downsample(10)),
        ("jpeg", Jpeg()),
        ("inpaint:keep=.5", Inpaint(keep=0.5, seed=0)),
        (" jpeg:quality=3  +  jpeg ", compose([Jpeg(3), Jpeg()])),
    ],
)
def test_strings(text, operator):
    assert parse_operator(text) == operator


@given(st.floats(1, 64), st.floats(1, 64), st.floats(0.05, 1000), st.floats(-360, 360))
def test_every_number_survives(a, b, std, angle):
    for operator in (
        Downsample((a, b)),
        Blur("anisotropic", (std, std / 2 + 0.05), angle),
        Blur("gaussian", std),
        Sensing(1 / a, 2**63 - 1),
        SliceProfile(a, b, 1),
    ):
        assert parse_operator(str(operator)) == operator


@pytest.mark.parametrize(
    "text, message",
    [
        ("blurr:std=3", "Unknown operator 'blurr'; did you mean 'blur'.* known: downsample, denoise, blur"),
        ("", "Unknown operator ''"),
        ("lab.optics:lens+inpaint:keep=0.5", r"a \+ between two needs a space on both sides, as in 'A \+ B'"),
        ("blur:kernel=gaussian,std=3+nonlinear-blur", "needs a space on both sides"),
        ("inpaint:keep=0.5 +lab.optics:lens", "needs a space on both sides"),
        ("inpaint:keep=0.5+ hdr", "needs a space on both sides"),
        ("lab.optics.lens", r"known: downsample, .*, or package\.module:factory of your own, such as lab\.optics:lens"),
        ("lab/optics.py:lens", r"or package\.module:factory of your own"),
        ("lab.optics:lens.wide", r"or package\.module:factory of your own"),
        ("blur:kernel=no+such.npy", r"no\+such\.npy"),
        ("downsample:factor=2 + ", "Unknown operator ''"),
        ("downsample", "needs factor=…; its keys: factor, kernel"),
        ("downsample:facto=4", "unknown key 'facto'; did you mean 'factor'"),
        ("downsample:factor=x", "factor=x is not a number or two, such as 4 or 4x1"),
        ("downsample:factor=4x", "factor=4x is not a number or two"),
        ("downsample:factor=nan", "factor=nan is not a number or two"),
        ("downsample:factor=0.5", "factor=0.5 is out of range; factor is at least 1 and at most 64"),
        ("downsample:factor=1e5", "factor=100000 is out of range"),
        ("downsample:factor=2,kernel=", "kernel has no value"),
        ("downsample:factor=2,kernel=bicubik", "unknown kernel 'bicubik'; did you mean 'bicubic'"),
        ("downsample:2", "'2' is not of the form key=value"),
        ("downsample:factor=4,", "'' is not of the form key=value"),
        ("downsample:factor=4,factor=2", "'factor' is given twice"),
        ("downsample:factor=4,bicubic", "factor=4,bicubic is not a number"),
        ("jpeg:quality=40.5", "quality=40.5 is not a whole number"),
        ("jpeg:quality=99999999999999999999", "not a whole number"),
        ("hdr:gain=２", "gain=２ is not a number"),
        ("nothing.toml", "nothing.toml cannot be read"),
        ("a\0.toml", "is not TOML"),
        ("blur:kernel=nothing.npy", "nothing.npy cannot be read"),
        ("inpaint:mask=nothing.png", "nothing.png does not exist"),
    ],
)
def test_strings_that_mean_nothing(text, message):
    with pytest.raises(InputError, match=message):
        parse_operator(text)


@given(st.text(max_size=40) | st.text(alphabet="blur:kernel=gaussian,std=3 + downsample:factor", max_size=60))
def test_any_text_is_an_operator_or_an_input_error(text):
    with contextlib.suppress(InputError):
        parse_operator(text)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_files(tmp_path):
    np.save(tmp_path / "k.npy", np.ones((3, 3)))
    path = write(
        tmp_path / "scan.toml",
        'noise = "poisson:peak=30"\n'
        '[[operator]]\nname = "blur"\nkernel = "k.npy"\nboundary = "reflect"\n'
        '[[operator]]\nname = "downsample"\nfactor = [4, 1.5]\n'
        '[[operator]]\nname = "inpaint"\nkeep = 0.5\nseed = 3\n',
    )
    operator, noise = read_operator_file(path)
    assert noise == "poisson:peak=30"
    expected = f"blur:kernel={tmp_path / 'k.npy'},boundary=reflect + downsample:factor=4x1.5 + inpaint:keep=0.5,seed=3"
    assert operator == parse_operator(expected) == parse_operator("scan.toml", tmp_path) == parse_operator(str(path))


def test_a_file_with_one_operator_and_a_number_for_noise(tmp_path):
    path = write(tmp_path / "a.toml", 'noise = 0.05\n[operator]\nname = "downsample"\nfactor = 4\n')
    assert read_operator_file(path) == (Downsample(4), "0.05")
    path = write(tmp_path / "a.toml", '[[operator]]\nname = "downsample"\nfactor = "4x2"\n')
    assert read_operator_file(path) == (Downsample((4, 2)), None)


@pytest.mark.parametrize(
    "text, message",
    [
        ("noise = 1", "names no operator"),
        ("operator = 3", "names no operator"),
        ("operator = []", "names no operator"),
        ("[[operator]]\nfactor = 4", r"a\.toml: an \[\[operator\]\] has no name; known: downsample"),
        ("[[operator]]\nname = 'blurr'", r"a\.toml: Unknown operator 'blurr'; did you mean 'blur'"),
        ("[[operator]]\nname = 'downsample'\nfacto = 4", r"a\.toml: .*did you mean 'factor'"),
        ("[[operator]]\nname = 'downsample'\nfactor = true", "factor is neither text nor a number"),
        ("[[operator]]\nname = 'downsample'\nfactor = [1, 2, 3]", "nor a list of two numbers"),
        ("[[operator]]\nname = 'downsample'\nfactor = inf", "factor=inf is not a number"),
        ("nois = 1\n[[operator]]\nname = 'jpeg'", "unknown key 'nois'; did you mean 'noise'"),
        ("[[operator", "is not TOML"),
        ("[[operator]]\nname = 'jpeg'\nquality = 3\nquality = 4", "is not TOML"),
        ("[[operator]]\nname = 'fourier'\naccel = 4\n[[operator]]\nname = 'jpeg'", "does not give a picture"),
    ],
)
def test_files_that_mean_nothing(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_operator_file(write(tmp_path / "a.toml", text))


def test_paths_that_would_not_read_back(tmp_path):
    for name in ("a + b.npy", "a,b=c.npy"):
        np.save(tmp_path / name, np.ones((3, 3)))
        with pytest.raises(InputError, match="rename the file"):
            Blur(str(tmp_path / name))
    np.save(tmp_path / "a, b.npy", np.ones((3, 3)))
    a = parse_operator("blur:kernel=a, b.npy,boundary=reflect", tmp_path)
    assert parse_operator(str(a)) == a


def test_contents_are_what_the_files_hold(tmp_path):
    def contents():
        return parse_operator(f"blur:kernel={tmp_path}/k.npy + inpaint:mask={tmp_path}/m.npy").contents

    mask = (np.arange(64).reshape(8, 8) % 3 == 0).astype(np.float32)
    np.save(tmp_path / "k.npy", np.ones((3, 3)))
    np.save(tmp_path / "m.npy", mask)
    kernel, holes = contents()
    np.save(tmp_path / "m.npy", 1 - mask)
    assert contents()[0] == kernel
    assert contents()[1] != holes
    assert parse_operator("blur:kernel=gaussian,std=1 + inpaint:keep=0.5").contents == ()
