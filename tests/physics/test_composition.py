import numpy as np
import pytest
import torch
from PIL import Image

from veriscale.errors import InputError
from veriscale.physics.blur import Blur
from veriscale.physics.composition import compose
from veriscale.physics.downsample import Downsample
from veriscale.physics.fourier import Fourier
from veriscale.physics.hdr import Clip
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.jpeg import Jpeg
from veriscale.physics.operator import LinearOperator
from veriscale.physics.registry import parse_operator
from veriscale.physics.slice_profile import SliceProfile


def test_left_comes_first():
    x = torch.rand(1, 3, 12, 16)
    blur, small = Blur("gaussian", 1.5), Downsample(2)
    torch.testing.assert_close(compose([blur, small]).forward(x), small.forward(blur.forward(x)))
    assert str(compose([blur, small])) == f"{blur} + {small}"


def test_linear_when_all_parts_are():
    assert isinstance(compose([Blur("gaussian", 1.0), Inpaint(keep=0.5)]), LinearOperator)
    assert not isinstance(compose([Blur("gaussian", 1.0), Clip()]), LinearOperator)
    assert compose([Clip()]) == Clip()


def test_nested_compositions_are_flat():
    a, b, c = Blur("gaussian", 1.0), Downsample(2), Inpaint(keep=0.5)
    assert compose([compose([a, b]), c]) == compose([a, compose([b, c])]) == compose([a, b, c])


def test_what_gives_no_picture_stands_last():
    a = compose([Blur("gaussian", 1.0), Fourier(4.0)])
    assert not a.picture
    assert not a.local
    assert compose([Blur("gaussian", 1.0), Downsample(2)]).local
    with pytest.raises(InputError, match=r"'fourier:accel=4.*' does not give a picture"):
        compose([Fourier(4.0), Downsample(2)])
    with pytest.raises(InputError, match=r"'sensing:ratio=0\.5,seed=0' does not give a picture"):
        parse_operator("sensing:ratio=0.5 + hdr:gain=2")


def test_shapes_that_do_not_meet(tmp_path):
    Image.fromarray(np.ones((20, 30), np.uint8)).save(tmp_path / "m.png")
    a = parse_operator("downsample:factor=2 + inpaint:mask=m.png", tmp_path)
    assert a.measurement_shape((3, 40, 60)) == (3, 20, 30)
    assert a.truth_shape((3, 20, 30)) == (3, 40, 60)
    message = r"do not meet: after 'downsample:factor=2,.*', the mask .*m\.png of 30×20 .* picture of 15×10"
    with pytest.raises(InputError, match=message):
        a.measurement_shape((3, 20, 30))
    b = parse_operator("inpaint:mask=m.png + downsample:factor=2", tmp_path)
    with pytest.raises(InputError, match=r"before 'downsample.*', the mask .*m\.png of 30×20 .* picture of 40×40"):
        b.truth_shape((3, 20, 20))


def test_measure_uses_each_instrument():
    x = torch.rand(1, 3, 16, 16)
    small = Downsample(2)
    torch.testing.assert_close(compose([small, Jpeg(50)]).measure(x), Jpeg(50).measure(small.forward(x)))


def test_holes_before_a_downsampling_are_holes_after_it():
    a = compose([Inpaint(box=6), Downsample(3, "box")])
    assert a.support((1, 4, 4)).shape == (1, 4, 4)
    assert (~a.support((1, 4, 4)).bool()).nonzero().tolist() == [[0, 1, 1], [0, 1, 2], [0, 2, 1], [0, 2, 2]]
    assert compose([Blur("gaussian", 1.0), Downsample(3)]).support((1, 4, 4)) is None
    both = compose([Inpaint(box=2), Inpaint(keep=0.5)])
    assert (both.support((1, 6, 6)) == Inpaint(box=2).support((1, 6, 6)) * Inpaint(keep=0.5).support((1, 6, 6))).all()


def test_grids_move_from_part_to_part():
    affine = np.diag([1.0, 1, 0.5, 1])
    thick = SliceProfile(2.0, 2.0, 2)
    a = compose([thick, SliceProfile(6.0, 6.0, 2)]).bind(affine)
    assert [part.spacing for part in a.parts] == [0.5, 2.0]
    assert a.measurement_shape((1, 5, 5, 24)) == (1, 5, 5, 2)
    np.testing.assert_allclose(a.moved(affine)[:3, 2], [0, 0, 6])


def test_beside(tmp_path):
    Image.fromarray(np.ones((4, 4), np.uint8)).save(tmp_path / "m.png")
    a = parse_operator("inpaint:mask=m.png + downsample:factor=2", tmp_path)
    assert str(a.beside(tmp_path)) == "inpaint:mask=m.png + downsample:factor=2,kernel=bicubic"
