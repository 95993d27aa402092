import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.imaging.npz import read_group, read_npz

VOLUME = np.arange(24).reshape(2, 3, 4)


def test_the_key_image_counts_where_it_is(tmp_path):
    np.savez(tmp_path / "a.npz", image=VOLUME, label=np.zeros(2), group="DCM")
    np.savez_compressed(tmp_path / "b.npz", one=VOLUME, two=VOLUME / 2)
    assert list(read_npz(tmp_path / "a.npz")) == ["image"]
    found = read_npz(tmp_path / "b.npz")
    assert list(found) == ["one", "two"]
    assert np.array_equal(found["two"], VOLUME / 2)


@pytest.mark.parametrize(
    "name, words",
    [
        ("none.npz", "does not exist"),
        ("empty.npz", "it holds no array"),
        ("bytes.npz", "it has no bytes"),
        (
            "plane.npz",
            r"'image' int64 of shape \(3, 4\), which is no volume; numbers of shape \(slices, rows, columns\)",
        ),
        ("nothing.npz", r"shape \(0, 3, 4\)"),
        ("truth.npz", "'image' bool of shape"),
        ("cut.npz", "the NPZ file is damaged or truncated"),
        ("array.npz", "the NPZ file is damaged or truncated"),
        ("objects.npz", "the NPZ file is damaged or truncated"),
    ],
)
def test_what_is_no_volume_is_named(tmp_path, name, words):
    np.savez(tmp_path / "empty.npz")
    (tmp_path / "bytes.npz").write_bytes(b"")
    np.savez(tmp_path / "plane.npz", image=VOLUME[0])
    np.savez(tmp_path / "nothing.npz", image=VOLUME[:0])
    np.savez(tmp_path / "truth.npz", image=VOLUME > 3)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "plane.npz").read_bytes()[:-30])
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, VOLUME)
    np.savez(tmp_path / "objects.npz", image=np.full((2, 2, 2), None))
    with pytest.raises(InputError, match=words):
        read_npz(tmp_path / name)


def test_a_group_is_told_beside_the_volume_image_alone(tmp_path):
    np.savez(tmp_path / "told.npz", image=VOLUME, group="DCM")
    np.savez(tmp_path / "untold.npz", image=VOLUME)
    np.savez(tmp_path / "volumes.npz", one=VOLUME, group=VOLUME)
    assert [read_group(tmp_path / f"{n}.npz") for n in ("told", "untold", "volumes")] == ["DCM", "", ""]


@pytest.mark.parametrize(
    "group, words", [(3, "int64 of shape"), (["DCM", "NOR"], r"<U3 of shape \(2,\), which is no word")]
)
def test_a_group_that_is_no_word_is_named(tmp_path, group, words):
    np.savez(tmp_path / "a.npz", image=VOLUME, group=group)
    with pytest.raises(InputError, match=words):
        read_group(tmp_path / "a.npz")
