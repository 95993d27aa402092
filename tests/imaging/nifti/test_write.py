"""Writing: a result is like the file it came from, says nothing about anybody, and appears whole or not at all."""

import gzip
from dataclasses import dataclass

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.imaging.affines import affine, affines, shapes
from tests.imaging.nifti.scans import AFFINE, header_for, numbers, real, stored, write

from veriscale.errors import InputError
from veriscale.imaging.geometry import Grid, corners_of, finer, respaced, world_of
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.nifti.write import write_volume
from veriscale.imaging.normalisation import Levels
from veriscale.imaging.orientation import Orientation, orientation_of
from veriscale.imaging.stored_numbers import StoredNumbers
from veriscale.imaging.volume import volume_of

MICRO = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
TEXTS = {"descrip", "aux_file", "db_name", "intent_name", "data_type", "unused_str"}
MOVED = {"pixdim", "dim", "vox_offset", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"}


def enlarged(volume, factors):
    """A result of integer factors: every voxel repeated."""
    samples = volume.samples
    for axis, factor in enumerate(factors):
        samples = np.repeat(samples, factor, axis=axis)
    return volume.like(samples[None], finer(volume.affine, factors))


def altered(before, after):
    """The fields that are neither text nor about the grid and are not what they were, to the bit."""
    return {f for f in set(before.keys()) - TEXTS - MOVED if not same_bits(before, after, f)}


def same_bits(a, b, field):
    return np.asarray(a[field]).tobytes() == np.asarray(b[field]).tobytes()


def world_error(path, expected, shape):
    corners = corners_of(shape)
    return np.linalg.norm(world_of(nibabel.load(path).affine, corners) - world_of(expected, corners), axis=1).max()


# ---- what was read is written


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Header, nibabel.Nifti2Header])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "u1", "i1", "<u2", ">i4", "<f4"])
@pytest.mark.parametrize("qform, sform", [(1, 1), (2, 0), (0, 4), (1, 3)])
def test_a_scan_is_written_as_it_was_read(tmp_path, suffix, kind, dtype, qform, sform):
    array = numbers(dtype=dtype)
    header = header_for(array, kind=kind, qform=qform, sform=sform, cal_max=900, toffset=3, slice_end=6, slice_code=1)
    header.set_dim_info(0, 1, 2)
    if dtype == ">i2":
        header["scl_slope"], header["scl_inter"] = 0.0754, 3100.8
    before = write(tmp_path / "a.nii", array, header)
    assert write_volume(read_volume(before), tmp_path / f"b{suffix}") == []
    (theirs, old, where), (ours, new, there) = stored(before), stored(tmp_path / f"b{suffix}")
    if dtype == "<f4":
        np.testing.assert_allclose(ours, theirs, rtol=2e-7)
    else:
        np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(there, where)
    assert altered(old, new) == set()
    assert all(same_bits(old, new, field) for field in MOVED)


@pytest.mark.parametrize(
    "path", real("nifti_odd/*.nii*", "cardiac/sunnybrook/*.nii.gz", "multicontrast/ms*/*_T1.nii.gz")
)
def test_real_files_are_written_as_they_were_read(tmp_path, path):
    index = 1 if nibabel.load(path).ndim == 4 else None
    notes = write_volume(read_volume(path, index), tmp_path / "b.nii.gz")
    (theirs, old, where), (ours, new, there) = stored(path), stored(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(ours, theirs if index is None else theirs[..., index])
    assert notes == []
    np.testing.assert_allclose(there, where, atol=1e-4, rtol=0)
    assert altered(old, new) == set()
    assert index is not None or all(same_bits(old, new, f) for f in MOVED - {"vox_offset"})


@MICRO
@given(affines, shapes, st.sampled_from([(1, 1), (1, 0), (0, 1)]))
def test_world_coordinates_come_back(tmp_path, matrix, shape, codes):
    array = numbers(shape) + np.arange(shape[0], dtype=np.int16)[:, None, None] + 1
    array[0, 0, 0] = 0
    if array.size == 1:
        return
    before = write(tmp_path / "a.nii", array, header_for(array, matrix, qform=codes[0], sform=codes[1]))
    write_volume(read_volume(before), tmp_path / "b.nii", True)
    assert world_error(tmp_path / "b.nii", nibabel.load(before).affine, shape) <= 1e-4


# ---- a finer grid


@MICRO
@given(affines, st.tuples(*[st.integers(1, 4)] * 3), st.sampled_from([(1, 1), (1, 0), (0, 1)]))
def test_a_factor_in_the_users_own_axes(tmp_path, matrix, factors, codes):
    array = numbers((3, 4, 5))
    before = write(tmp_path / "a.nii", array, header_for(array, matrix, qform=codes[0], sform=codes[1]))
    volume = read_volume(before)
    outside = volume.origin.orientation.values_outside(factors)
    write_volume(enlarged(volume, factors), tmp_path / "b.nii", True)
    (theirs, old, where), (ours, new, _) = stored(before), stored(tmp_path / "b.nii")
    repeated = theirs
    for axis, factor in enumerate(outside):
        repeated = np.repeat(repeated, factor, axis=axis)
    np.testing.assert_array_equal(ours, repeated)
    assert world_error(tmp_path / "b.nii", finer(where, outside), ours.shape) <= 1e-4
    assert (int(new["qform_code"]), int(new["sform_code"])) == codes
    if codes[0]:
        assert all(same_bits(old, new, field) for field in ("quatern_b", "quatern_c", "quatern_d"))
        assert new["pixdim"][0] == old["pixdim"][0]
        step = finer(nibabel.Nifti1Header.get_qform(old), outside)
        np.testing.assert_allclose(nibabel.Nifti1Header.get_qform(new), step, atol=1e-4, rtol=0)


@pytest.mark.parametrize("path", real("nifti_odd/*.nii*", "cardiac/sunnybrook/*phase00.nii.gz"))
@pytest.mark.parametrize("spacing", [(1, 1, 1), (None, 1.3, None), (1.9, None, 1.99)])
def test_a_spacing_of_real_files(tmp_path, path, spacing):
    image = nibabel.load(path)
    volume = read_volume(path, 0 if image.ndim == 4 else None)
    spacing = [new and min(new, old) for new, old in zip(spacing, volume.spacing, strict=True)]
    grid = respaced(volume.grid, spacing)
    write_volume(volume.like(np.zeros((1, *grid.shape), np.float32), grid.affine), tmp_path / "b.nii")
    made = nibabel.load(tmp_path / "b.nii")
    outside = volume.origin.orientation.values_outside(tuple(spacing))
    for axis, wanted in enumerate(outside):
        wanted = wanted or nibabel.affines.voxel_sizes(image.affine)[axis]
        assert nibabel.affines.voxel_sizes(made.affine)[axis] == pytest.approx(wanted, abs=1e-6)
    middles = [world_of(i.affine, (np.array(i.shape[:3]) - 1) / 2) for i in (image, made)]
    np.testing.assert_allclose(middles[0], middles[1], atol=1e-4, rtol=0)
    assert nibabel.aff2axcodes(made.affine) == nibabel.aff2axcodes(image.affine)


def test_a_blob_stays_where_it_is(tmp_path):
    """What is at a world point before is there after, judged by nibabel."""
    array = numbers((16, 17, 18))
    matrix = affine(3)
    matrix[:3, :3] *= (2.1, 1.7, 2.4) / np.linalg.norm(matrix[:3, :3], axis=0)
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array, matrix)))
    point = world_of(matrix, (7.2, 7.6, 9.5))
    grid = respaced(Grid(finer(volume.affine, (2, 1, 3)), tuple(np.array(volume.shape) * (2, 1, 3))), (None, 0.7, None))
    where = world_of(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    blob = np.exp(-0.5 * ((where - point) ** 2).sum(-1) / 2.0**2)
    write_volume(volume.like(blob[None].astype(np.float32), grid.affine), tmp_path / "b.nii")
    made = nibabel.load(tmp_path / "b.nii")
    weight = made.get_fdata() - volume.levels.low
    there = world_of(made.affine, np.moveaxis(np.indices(made.shape), 0, -1))
    centroid = (weight[..., None] * there).sum((0, 1, 2)) / weight.sum()
    np.testing.assert_allclose(centroid, point, atol=0.05)


def test_files_in_other_units_stay_in_them(tmp_path):
    array = numbers()
    header = header_for(array)
    header.set_xyzt_units("micron", "msec")
    volume = read_volume(write(tmp_path / "a.nii", array, header))
    write_volume(enlarged(volume, (2, 1, 1)), tmp_path / "b.nii")
    _, new, matrix = stored(tmp_path / "b.nii")
    assert same_bits(header, new, "xyzt_units")
    np.testing.assert_allclose(matrix, finer(AFFINE, (1, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(new["pixdim"][1:4], (1.5, 2, 1.5), atol=1e-6)


def test_times_of_slices_go_with_the_slices(tmp_path):
    array = numbers()
    header = header_for(array, slice_code=1, slice_end=6, slice_duration=0.1)
    volume = read_volume(write(tmp_path / "a.nii", array, header))
    write_volume(enlarged(volume, (1, 2, 2)), tmp_path / "in_plane.nii")
    assert stored(tmp_path / "in_plane.nii")[1]["slice_end"] == 6
    write_volume(enlarged(volume, (2, 1, 1)), tmp_path / "through.nii")
    assert not any(stored(tmp_path / "through.nii")[1][f] for f in ("slice_code", "slice_end", "slice_duration"))


def test_dimensions_are_the_files(tmp_path):
    for shape, factors, dimensions in [
        ((5, 6), (1, 1, 1), [2, 5, 6, 1]),
        ((5, 6), (1, 1, 2), [3, 5, 6, 2]),
        ((5, 6, 7, 1), (1, 1, 1), [4, 5, 6, 7]),
        ((5, 6, 7, 2), (1, 1, 1), [3, 5, 6, 7]),
    ]:
        array = numbers(shape)
        path = write(tmp_path / "a.nii", array, header_for(array, np.eye(4)))
        volume = read_volume(path, 0 if shape[-1] == 2 else None)
        write_volume(enlarged(volume, factors), tmp_path / "b.nii", True)
        assert stored(tmp_path / "b.nii")[1]["dim"].tolist() == [*dimensions, 1, 1, 1, 1]


# ---- numbers


def test_results_beyond_what_integers_hold_are_clipped_and_that_is_said(tmp_path):
    array = numbers(dtype="u1")
    array[0, 0, 0] = 255
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array, scl_slope=0.01, scl_inter=5)))
    result = volume.like(5.5 * volume.planes() - 4, volume.affine)
    notes = write_volume(result, tmp_path / "b.nii")
    (ours, new, _), value = stored(tmp_path / "b.nii"), result.values()
    outside = np.mean((value < 4.995) | (value > 7.555))
    assert notes == [f"clipped to what uint8 with the scan's slope holds: {outside:.2%} of the values lay outside"]
    assert (ours.min(), ours.max()) == (0, 255)
    assert same_bits(new, header_for(array, scl_slope=0.01), "scl_slope")


def test_values_are_rounded_to_the_files_own_step_and_no_coarser(tmp_path):
    array = numbers(dtype=">i2")
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array, scl_slope=0.25, scl_inter=-7)))
    write_volume(enlarged(volume.like(volume.planes() * 0.77, volume.affine), (2, 2, 1)), tmp_path / "b.nii")
    wanted = enlarged(volume.like(volume.planes() * 0.77, volume.affine), (2, 2, 1))
    made = read_volume(tmp_path / "b.nii")
    off = np.abs(made.values() - wanted.values())
    assert 0.1 < off.max() <= 0.125 + 1e-3


def test_masks_and_spreads_have_numbers_of_their_own(tmp_path):
    array = numbers(dtype=">i2")
    fields = {"scl_slope": 0.25, "scl_inter": -7, "cal_max": 500, "intent_code": 3, "intent_p1": 5}
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array, **fields)))
    mask = (volume.samples > 0.5)[None].astype(np.float32)
    on_levels = volume.like(mask, volume.affine)
    write_volume(
        type(volume)(on_levels.samples, volume.affine, Levels(0, 1), volume.origin),
        tmp_path / "mask.nii",
        stored=StoredNumbers(np.dtype("u1")),
    )
    ours, new, _ = stored(tmp_path / "mask.nii")
    assert ours.dtype == np.uint8
    np.testing.assert_array_equal(ours, volume.origin.orientation.outside(mask[0]))
    assert [float(new[f]) for f in ("scl_slope", "scl_inter", "cal_max", "intent_code", "intent_p1")] == [1, 0, 0, 0, 0]
    spread = type(volume)(volume.samples, volume.affine, Levels(0, volume.levels.width), volume.origin)
    write_volume(spread, tmp_path / "std.nii", stored=StoredNumbers(np.dtype(np.float32)))
    ours, new, _ = stored(tmp_path / "std.nii")
    assert ours.dtype == np.dtype(">f4")  # in the file's byte order
    np.testing.assert_allclose(ours, volume.origin.orientation.outside(volume.samples) * volume.levels.width, rtol=1e-6)


# ---- privacy


@pytest.mark.parametrize("kind", [nibabel.Nifti1Header, nibabel.Nifti2Header])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_no_text_survives(tmp_path, kind, suffix):
    array = numbers()
    header = header_for(array, kind=kind)
    for field in TEXTS & set(header.keys()):
        header[field] = b"JANEDOE"
    header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"JANEDOE was here"))
    header["vox_offset"] += header.extensions.get_sizeondisk()
    with (tmp_path / "janedoe.nii").open("wb") as file:
        header.write_to(file)
        file.write(array.tobytes(order="F"))
    assert (tmp_path / "janedoe.nii").read_bytes().count(b"JANEDOE") >= 5
    volume = read_volume(tmp_path / "janedoe.nii")
    out = tmp_path / f"janedoe_restored{suffix}"
    write_volume(volume, out)
    raw = out.read_bytes()
    content = gzip.decompress(raw) if suffix == ".nii.gz" else raw
    assert b"janedoe" not in (raw + content).lower()
    assert len(content) == len(header.binaryblock) + 4 + array.nbytes
    np.testing.assert_array_equal(stored(out)[0], array)


# ---- what a qform cannot hold


def slanted(volume, angle=0.3):
    """A grid whose first axis leans."""
    leaning = volume.affine.copy()
    leaning[:3, 0] += np.tan(angle) * leaning[:3, 1] * volume.spacing[0] / volume.spacing[1]
    return leaning


@pytest.mark.parametrize("codes", [(1, 0), (2, 1), (0, 3)])
def test_shear_goes_to_the_sform_and_that_is_said(tmp_path, codes):
    array = numbers()
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array, qform=codes[0], sform=codes[1])))
    leaning = slanted(volume)
    notes = write_volume(volume.like(volume.planes(), leaning), tmp_path / "b.nii")
    _, new, matrix = stored(tmp_path / "b.nii")
    wanted = volume.origin.orientation.affine_outside(leaning, volume.shape)
    np.testing.assert_allclose(matrix, wanted, atol=1e-4)
    assert int(new["qform_code"]) == 0
    assert int(new["sform_code"]) == (codes[1] or codes[0])
    why = "where the voxels lie is in the sform alone: a qform cannot hold axes that are not at right angles"
    assert notes == ([why] if codes[0] else [])


def test_beside_a_sform_a_qform_may_be_as_far_off_as_rounded_axes_are(tmp_path):
    array = numbers()
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array, qform=1, sform=1)))
    leaning = slanted(volume, 1e-3)
    (note,) = write_volume(volume.like(volume.planes(), leaning), tmp_path / "b.nii")
    _, new, matrix = stored(tmp_path / "b.nii")
    wanted = volume.origin.orientation.affine_outside(leaning, volume.shape)
    np.testing.assert_allclose(matrix, wanted, atol=1e-5)
    corners = corners_of(array.shape)
    off = np.abs(world_of(new.get_qform(), corners) - world_of(wanted, corners)).max()
    assert 1e-3 < off <= 0.02
    assert int(new["qform_code"]) == 1
    assert note.startswith("where the voxels lie is in the sform: the qform cannot hold axes")


def test_a_grid_that_is_turned_is_held_by_a_qform_where_it_can(tmp_path):
    array = numbers()
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array, qform=1, sform=0)))
    angle = 0.4
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert write_volume(volume.like(volume.planes(), turn @ volume.affine), tmp_path / "b.nii") == []
    _, new, matrix = stored(tmp_path / "b.nii")
    np.testing.assert_allclose(matrix, turn @ AFFINE, atol=1e-4)
    assert (int(new["qform_code"]), int(new["sform_code"])) == (1, 0)


def test_a_turn_near_180_degrees_goes_to_the_sform(tmp_path):
    array = numbers((300, 2, 2))
    near = np.eye(4)
    c, s = np.cos(np.pi - 6e-4), np.sin(np.pi - 6e-4)
    tilted = np.array([[1, 0, 0], [0, np.cos(0.5), -np.sin(0.5)], [0, np.sin(0.5), np.cos(0.5)]])
    near[:3, :3] = tilted @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ tilted.T
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array, np.eye(4), qform=1, sform=0)))
    notes = write_volume(volume.like(volume.planes(), near), tmp_path / "b.nii")
    assert notes == ["where the voxels lie is in the sform alone: a qform cannot hold this rotation to 0.001 mm"]
    assert world_error(tmp_path / "b.nii", near, array.shape) <= 1e-4


def test_quaternions_near_180_degrees_are_kept(tmp_path):
    """Remade from a matrix of float32, as in an sform, they would not hold: the negative control."""
    rng, remade_errors = np.random.default_rng(0), []
    for _ in range(8):
        bcd = rng.normal(size=3)
        bcd *= np.sqrt(1 - 8e-4**2) / np.linalg.norm(bcd)
        quaternion = dict(zip(("quatern_b", "quatern_c", "quatern_d"), bcd, strict=True))
        array = numbers((100, 80, 2), dtype="u1")
        header = header_for(array, qform=1, sform=0, **quaternion)
        volume = read_volume(write(tmp_path / "a.nii", array, header))
        assert write_volume(enlarged(volume, (2, 1, 2)), tmp_path / "b.nii", True) == []
        ours, new, _ = stored(tmp_path / "b.nii")
        wanted = finer(header.get_qform(), volume.origin.orientation.values_outside((2, 1, 2)))
        assert all(same_bits(header, new, field) for field in quaternion)
        assert world_error(tmp_path / "b.nii", wanted, ours.shape) <= 1e-4
        remade, corners = new.copy(), corners_of(ours.shape)
        remade.set_qform(wanted.astype(np.float32))
        remade_errors.append(np.abs(world_of(remade.get_qform(), corners) - world_of(wanted, corners)).max())
    assert max(remade_errors) > 1e-3


def test_a_qform_that_is_none_beside_a_sound_sform_is_dropped(tmp_path):
    array = numbers()
    for broken in ({"quatern_b": 2}, {"qoffset_x": np.nan}):
        volume = read_volume(write(tmp_path / "a.nii", array, header_for(array, **broken)))
        notes = write_volume(enlarged(volume, (2, 1, 1)), tmp_path / "b.nii", True)
        assert notes == ["the qform is not kept: it places nothing"]
        _, new, matrix = stored(tmp_path / "b.nii")
        np.testing.assert_allclose(matrix, finer(AFFINE, (1, 1, 2)), atol=1e-5)
        assert (int(new["qform_code"]), int(new["sform_code"])) == (0, 1)


# ---- volumes of other files


HOUNSFIELD = StoredNumbers(np.dtype(np.uint16), 2.0, -1024.0)


@dataclass(frozen=True)
class Elsewhere:
    """The origin of a volume that was no NIfTI file."""

    orientation: Orientation
    slice_axis: int = 1
    stored: StoredNumbers = HOUNSFIELD
    step: float = 1.0


@pytest.mark.parametrize("seed", range(5))
def test_a_volume_of_another_kind_of_file_gets_a_new_header(tmp_path, seed):
    matrix = affine(seed)
    array = numbers(dtype="<u2")
    volume = volume_of(array, matrix, Elsewhere(orientation_of(matrix)), "scan")
    assert write_volume(volume, tmp_path / "b.nii.gz") == []
    ours, new, where = stored(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(ours, array)
    np.testing.assert_allclose(where, matrix, atol=1e-4)
    np.testing.assert_allclose(new.get_qform(), matrix, atol=1e-3)
    assert (float(new["scl_slope"]), float(new["scl_inter"])) == (2, -1024)
    assert (new.get_dim_info(), new.get_xyzt_units()[0]) == ((None, None, 1), "mm")
    assert nibabel.load(tmp_path / "b.nii.gz").shape == array.shape
    assert np.array_equal(read_volume(tmp_path / "b.nii.gz").samples, volume.samples)


# ---- the file


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    array = numbers()
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array)))
    for name in ("b.nii.gz", "c.nii.gz"):
        write_volume(volume, tmp_path / name)
    assert (tmp_path / "b.nii.gz").read_bytes() == (tmp_path / "c.nii.gz").read_bytes()
    assert (tmp_path / "b.nii.gz").read_bytes()[3:8] == bytes(5)  # gzip's flags and time: no name, no date


def test_files_appear_whole_or_not_at_all(tmp_path, monkeypatch):
    array = numbers()
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array)))
    with pytest.raises(InputError, match="exists already"):
        write_volume(volume, tmp_path / "a.nii")
    write_volume(volume, tmp_path / "a.nii", force=True)
    with pytest.raises(InputError, match=r"cannot write .*its folder does not exist"):
        write_volume(volume, tmp_path / "nowhere" / "b.nii.gz")
    monkeypatch.setattr(StoredNumbers, "numbers", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_volume(volume, tmp_path / "b.nii.gz")
    assert [file.name for file in tmp_path.iterdir()] == ["a.nii"]


@pytest.mark.parametrize("name", ["b.png", "b", "b.hdr", "b.gz", "b.nii.bz2"])
def test_other_extensions_are_refused(tmp_path, name):
    array = numbers()
    volume = read_volume(write(tmp_path / "a.nii", array, header_for(array)))
    with pytest.raises(InputError, match=r"scans are written as NIfTI; .*known: \.nii\.gz, \.nii"):
        write_volume(volume, tmp_path / name)


def test_an_axis_too_long_for_nifti_1(tmp_path):
    array = numbers((2, 3, 2))
    for kind in (nibabel.Nifti1Header, nibabel.Nifti2Header):
        volume = read_volume(write(tmp_path / "a.nii", array, header_for(array, np.eye(4), kind=kind)))
        long = volume.like(np.zeros((1, 2, 33000, 1), np.float32), finer(volume.affine, (1, 11000, 1)))
        if kind is nibabel.Nifti2Header:
            write_volume(long, tmp_path / "b.nii")
            continue
        with pytest.raises(InputError, match="33000 voxels along an axis are too many for NIfTI-1"):
            write_volume(long, tmp_path / "b.nii")
