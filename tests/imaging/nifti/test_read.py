"""Reading: what is in the file, in canonical axes, in the scan's units; and files that are none."""

import gzip

import nibabel
import numpy as np
import pytest
from tests.imaging.nifti.scans import AFFINE, header_for, numbers, real, write

from veriscale.errors import InputError
from veriscale.imaging.geometry import world_of
from veriscale.imaging.nifti.read import read_volume


def refused(path, *sentences, **kwargs):
    with pytest.raises(InputError) as error:
        read_volume(path, **kwargs)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    for sentence in sentences:
        assert sentence in message


def check_as_nibabel(path, index=None):
    """Every voxel has the value and the place that nibabel gives it."""
    volume = read_volume(path, index)
    image = nibabel.load(path)
    if index is not None:
        image = image.slicer[..., index]
    image = nibabel.as_closest_canonical(image)
    values = np.asarray(image.dataobj, np.float64).reshape(volume.shape)
    np.testing.assert_allclose(volume.values(), values, atol=1e-6 * np.abs(values).max(), rtol=0)
    corner = np.array(volume.shape) - 1
    np.testing.assert_allclose(
        world_of(volume.affine, [(0, 0, 0), corner]), world_of(image.affine, [(0, 0, 0), corner]), atol=1e-9, rtol=0
    )


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Header, nibabel.Nifti2Header])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "u1", "i1", "<u2", ">i4", "<f4", ">f8"])
def test_kinds_of_numbers(tmp_path, suffix, kind, dtype):
    array = numbers(dtype=dtype)
    fields = {"scl_slope": 0.5, "scl_inter": -30} if dtype == ">i2" else {}
    check_as_nibabel(write(tmp_path / f"a{suffix}", array, header_for(array, kind=kind, **fields)))


@pytest.mark.parametrize("slope, inter", [(0, 7), (np.nan, 7), (np.inf, 7), (np.nan, np.nan)])
def test_a_slope_that_is_none_scales_nothing(tmp_path, slope, inter):
    array = numbers()
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array, scl_slope=slope, scl_inter=inter)))
    assert np.array_equal(np.sort(np.rint(volume.values()).ravel()), np.sort(array.ravel()))


def test_a_file_is_known_by_its_content(tmp_path):
    array = numbers()
    write(tmp_path / "a.nii.gz", array, header_for(array)).rename(tmp_path / "a.nii")
    assert read_volume(tmp_path / "a.nii").samples.size == array.size


def test_the_sform_counts_before_the_qform(tmp_path):
    array = numbers()
    header = header_for(array)
    header["srow_x"][3] += 100
    sform = read_volume(write(tmp_path / "a.nii", array, header)).affine[0, 3]
    header["sform_code"] = 0
    assert sform - read_volume(write(tmp_path / "b.nii", array, header)).affine[0, 3] == pytest.approx(100)


@pytest.mark.parametrize("unit, factor", [("meter", 1000), ("micron", 0.001), ("mm", 1), ("unknown", 1)])
def test_millimetres_whatever_the_files_unit(tmp_path, unit, factor):
    array = numbers()
    header = header_for(array)
    header.set_xyzt_units(unit)
    assert read_volume(write(tmp_path / "a.nii", array, header)).spacing == pytest.approx(
        np.array([3, 1.5, 2]) * factor
    )


def test_slices_are_the_third_axis_or_what_the_header_says(tmp_path):
    array = numbers()
    assert read_volume(write(tmp_path / "a.nii", array, header_for(array))).slice_axis == 0  # runs to the left
    for axis, canonical in ((0, 1), (1, 2), (2, 0)):
        header = header_for(array)
        header.set_dim_info(slice=axis)
        assert read_volume(write(tmp_path / "b.nii", array, header)).slice_axis == canonical


def test_one_slice_and_one_volume(tmp_path):
    for shape in ((5, 6), (5, 6, 1), (5, 6, 7, 1), (5, 6, 7, 1, 1)):
        array = numbers(shape)
        path = write(tmp_path / "a.nii", array, header_for(array))
        assert read_volume(path).samples.size == array.size
        assert np.array_equal(read_volume(path, 0).samples, read_volume(path).samples)


def test_several_volumes_need_an_index(tmp_path):
    array = numbers((5, 6, 7, 2, 2))
    path = write(tmp_path / "a.nii.gz", array, header_for(array))
    refused(path, "holds 4 volumes; say which with index, 0 to 3")
    for index in (-1, 4):
        refused(path, f"index {index} is not in", "it holds 4 volumes, 0 to 3", index=index)
    for index in range(4):
        values = read_volume(path, index).values()
        assert values.sum() == pytest.approx(array.reshape(5, 6, 7, 4, order="F")[..., index].sum(), rel=1e-5)
    single = write(tmp_path / "b.nii", array[..., 0, 0], header_for(array[..., 0, 0]))
    refused(single, "index 1 is not in", "it holds one volume, which needs none", index=1)


@pytest.mark.parametrize("path", real("nifti_odd/*.nii*", "cardiac/sunnybrook/*phase00.nii.gz"))
def test_real_files(path):
    check_as_nibabel(path, 1 if nibabel.load(path).ndim == 4 else None)


# ---- bad input


def test_what_is_no_file(tmp_path):
    refused(tmp_path / "a.nii", "does not exist")
    refused(tmp_path, "is a folder, not a scan")
    (tmp_path / "a.nii").touch()
    refused(tmp_path / "a.nii", "is empty: it has no bytes")


@pytest.mark.parametrize("content", [b"abc", b"P" * 1000, gzip.compress(b"P" * 1000, mtime=0)])
def test_other_files(tmp_path, content):
    (tmp_path / "a.nii").write_bytes(content)
    refused(tmp_path / "a.nii", "is not a NIfTI scan: it does not begin with a NIfTI header")


@pytest.mark.parametrize("keep", [4, 100, 347])
def test_a_file_that_ends_in_its_header(tmp_path, keep):
    (tmp_path / "a.nii").write_bytes(header_for(numbers()).binaryblock[:keep])
    refused(tmp_path / "a.nii", "is truncated: it ends within its header")


@pytest.mark.parametrize(
    "kind, magic, sentence",
    [
        (nibabel.Nifti1Header, b"ni1", "is one half of a .hdr/.img pair; convert the pair"),
        (nibabel.Nifti2Header, b"ni2", "is one half of a .hdr/.img pair"),
        (nibabel.Nifti1Header, b"", "has the magic b'\\x00\\x00\\x00\\x00' and not b'n+1\\x00', as in Analyze 7.5"),
        (nibabel.Nifti2Header, b"n+1", "is not a NIfTI scan: its header has the magic"),
    ],
)
def test_pairs_and_wrong_magic(tmp_path, kind, magic, sentence):
    array = numbers()
    refused(write(tmp_path / "a.hdr", array, header_for(array, kind=kind, magic=magic)), sentence)


def test_line_ends_that_a_text_transfer_changed(tmp_path):
    array = numbers()
    header = header_for(array, kind=nibabel.Nifti2Header, eol_check=[10, 26, 10, 0])
    refused(write(tmp_path / "a.nii", array, header), "is not a NIfTI scan: its header has the magic")


@pytest.mark.parametrize(
    "fields, sentence",
    [
        ({"dim": [3, 5, 0, 7, 1, 1, 1, 1]}, "is empty: a size of 5 × 0 × 7 holds no voxels"),
        ({"dim": [3, 5, -6, 7, 1, 1, 1, 1]}, "is empty: a size of 5 × -6 × 7"),
        ({"dim": [0, 5, 6, 7, 1, 1, 1, 1]}, "says it has 0 dimensions"),
        ({"dim": [9, 5, 6, 7, 1, 1, 1, 1]}, "says it has 9 dimensions"),
        ({"dim": [1, 210, 1, 1, 1, 1, 1, 1]}, "is a line of 210 numbers and not a scan"),
        ({"dim": [3, 5, 6, 8, 1, 1, 1, 1]}, "header announces 5 × 6 × 8, 480 bytes, and it holds 420"),
        ({"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, "limit: max_pixels 27000000000000 (max_voxels= in Python)"),
        ({"datatype": 128}, "holds colours (RGB)"),
        ({"datatype": 2304}, "holds colours (RGB)"),
        ({"datatype": 32}, "holds complex numbers"),
        ({"datatype": 1792}, "holds complex numbers"),
        ({"datatype": 77}, "has numbers of a type that is not read, code 77; known: int8"),
        ({"datatype": 1}, "has numbers of a type that is not read, code 1"),
        ({"datatype": 0}, "has numbers of a type that is not read, code 0"),
        ({"scl_slope": 2, "scl_inter": np.nan}, "has a scl_inter of nan"),
        ({"vox_offset": 17}, "its samples cannot begin at byte 17; at least 352"),
        ({"vox_offset": np.nan}, "its samples cannot begin at byte nan"),
        ({"sform_code": 0, "qform_code": 0}, "does not say where its voxels lie: the codes of sform and qform are 0"),
        ({"srow_x": [0, 0, 0, 1]}, "is singular"),
        ({"srow_x": [0, 0, np.nan, 1]}, "holds NaN"),
        ({"sform_code": 0, "pixdim": [1, 1, 0, 1, 1, 1, 1, 1]}, "is singular"),
        ({"sform_code": 0, "quatern_b": 2}, "has a quaternion that is no rotation"),
    ],
)
def test_headers_that_cannot_be(tmp_path, fields, sentence):
    array = numbers()
    refused(write(tmp_path / "a.nii", array, header_for(array, **fields)), sentence)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda a: a * np.float32(0), "is 0 everywhere"),
        (lambda a: a * 0 + np.float32(7), "is 7 everywhere"),
        (lambda a: np.where(a > 50, np.float32(np.nan), a), "holds NaN or infinite values"),
    ],
)
def test_volumes_with_nothing_in_them(tmp_path, change, sentence):
    array = change(numbers(dtype="<f4"))
    refused(write(tmp_path / "a.nii", array, header_for(array)), sentence)


@pytest.mark.parametrize("volumes, lost", [(None, 1), (None, 300), (3, 10)])
def test_data_shorter_than_the_header_says(tmp_path, volumes, lost):
    array = numbers((5, 6, 7) if volumes is None else (5, 6, 7, volumes))
    for name in ("a.nii", "a.nii.gz"):
        path = write(tmp_path / name, array, header_for(array), cut=lost)
        refused(
            path, "is truncated: its header announces", f"and it holds {array.nbytes - lost}", index=(volumes or 1) - 1
        )


def test_a_gzip_file_that_was_cut_or_damaged(tmp_path):
    array = numbers((20, 20, 20))
    whole = write(tmp_path / "a.nii.gz", array, header_for(array)).read_bytes()
    assert read_volume(tmp_path / "a.nii.gz").samples.size == array.size
    for keep in (200, len(whole) // 2, len(whole) - 6):
        (tmp_path / "a.nii.gz").write_bytes(whole[:keep])
        refused(tmp_path / "a.nii.gz", "the NIfTI file is damaged or truncated")
    for at in (len(whole) // 2, len(whole) - 8):
        (tmp_path / "a.nii.gz").write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        refused(tmp_path / "a.nii.gz", "the NIfTI file is damaged or truncated")


def test_a_header_cannot_make_memory_go(tmp_path):
    array = numbers()
    header = header_for(array, dim=[4, 600, 600, 600, 30000, 1, 1, 1])
    refused(write(tmp_path / "a.nii.gz", array, header), "is truncated", "and it holds too few", index=0)
    refused(write(tmp_path / "b.nii", array, header_for(array)), "limit of 100 voxels", max_voxels=100)


def test_bytes_beyond_what_the_header_announces_are_not_read(tmp_path):
    """As every reader does: a real file of `mri/nifti_odd` has them."""
    array = numbers((5, 6, 7, 2))
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array[..., 0])))
    assert volume.values().sum() == pytest.approx(array[..., 0].sum(), rel=1e-5)


def test_affine_of_the_examples_is_not_diagonal():
    assert np.count_nonzero(AFFINE[:3, :3]) == 3  # or transposed axes would pass
    assert not np.diag(AFFINE[:3, :3]).any()
