"""What scans become in memory: which slices, in which intensities, of whom; and what is refused."""

import gzip
import re
from functools import partial

import nibabel
import numpy as np
import pytest
import torch
from tests.imaging.dicom.synthetic import slices
from tests.imaging.dicom.synthetic import write as write_series
from tests.stages.scans import blobs, write, write_set

from veriscale.errors import InputError, spoken
from veriscale.imaging.normalisation import SCAN, levels_of
from veriscale.imaging.read import read_photo
from veriscale.stages import data as data_module
from veriscale.stages.archive import pack
from veriscale.stages.data import load
from veriscale.stages.slices import LEAST, read_slices

CPU = torch.device("cpu")


def loaded(root, *patterns: str, channels: int = 1, part: str = "training"):
    return load(patterns, root, channels, CPU, "CC0", part)


def test_a_slice_is_the_normalised_volume_in_8_bits(tmp_path):
    values = write(tmp_path / "a.nii.gz")
    (cut,) = read_slices(tmp_path / "a.nii.gz", "a")
    assert list(cut.pixels) == list(range(2, 8))  # the first two are empty
    assert cut.spacing == pytest.approx((1, 1))
    expected = levels_of(values, "a").applied(values).clip(0, 1) * 255
    for k, pixels in cut.pixels.items():
        assert pixels.dtype == np.uint8
        assert np.abs(pixels - expected[..., k]).max() <= 0.5 + 1e-3


def test_slices_that_hold_nothing_are_left_out(tmp_path):
    values = np.zeros((40, 40, 4), np.float32)
    share = (1.2 * LEAST, 0.8 * LEAST, 0, 0.5)
    for k, s in enumerate(share):
        values[..., k].flat[: int(s * 1600)] = 100
    values[..., 2] = 2  # 0.02 of the levels is air
    nibabel.Nifti1Image(values, np.diag([1, 1, 5, 1])).to_filename(tmp_path / "a.nii")
    (cut,) = read_slices(tmp_path / "a.nii", "a")
    assert list(cut.pixels) == [0, 3]


@pytest.mark.parametrize(
    "spacing, dim_info, axis",
    [((1, 1, 5), 0, 2), ((5, 1, 1), 1, 0), ((1, 1, 1), 0, 2), ((1, 1, 1), 1, 2)],  # isotropic ones are cut axially
)
def test_across_which_axis_a_volume_is_cut(tmp_path, spacing, dim_info, axis):
    image = nibabel.Nifti1Image(blobs((34, 36, 38)), np.diag([*spacing, 1.0]))
    if dim_info:
        image.header.set_dim_info(1, 2, 0)
    image.to_filename(tmp_path / "a.nii")
    (cut,) = read_slices(tmp_path / "a.nii", "a")
    assert {p.shape for p in cut.pixels.values()} == {tuple(n for k, n in enumerate((34, 36, 38)) if k != axis)}


def test_an_isotropic_volume_in_all_planes(tmp_path):
    for name, spacing in (("even", 1.0), ("thick", 5.0)):
        image = nibabel.Nifti1Image(blobs((34, 36, 38)), np.diag([1, 1, spacing, 1]))
        image.to_filename(tmp_path / f"{name}.nii")
    axial, coronal, sagittal = cuts = list(read_slices(tmp_path / "even.nii", "a", "all"))
    assert [cut.plane for cut in cuts] == ["", "coronal", "sagittal"]
    (alone,) = read_slices(tmp_path / "even.nii", "a")
    assert axial.pixels.keys() == alone.pixels.keys()
    for k, pixels in coronal.pixels.items():  # (X, Z) at Y = k
        for j in axial.pixels.keys() & set(range(38)):
            assert np.array_equal(pixels[:, j], axial.pixels[j][:, k])
    assert {p.shape for p in sagittal.pixels.values()} == {(36, 38)}
    (thick,) = read_slices(tmp_path / "thick.nii", "a", "all")
    assert thick.plane == ""
    found = load(["*.nii"], tmp_path, 1, torch.device("cpu"), "CC0", "", planes="all")
    assert set(found.volumes) == {"even.nii", "even.nii#coronal", "even.nii#sagittal", "thick.nii"}
    assert set(found.subjects) == {"even", "thick"}


def test_an_archive_of_arrays(tmp_path):
    stack = np.moveaxis(blobs((34, 36, 6)), 2, 0)
    np.savez(tmp_path / "patient001.npz", image=stack, label=np.zeros(3))
    np.savez(tmp_path / "crops.npz", a_1=stack, b=stack[:, :, ::-1])
    one = loaded(tmp_path, "patient001.npz")
    assert one.names == [f"patient001.npz#{k}" for k in range(2, 6)]
    assert (set(one.subjects), one.facts.spacing, one.normalisation) == ({"patient001"}, [], SCAN)
    many = loaded(tmp_path, "crops.npz")
    assert (many.names[0], many.facts.files) == ("crops.npz#a_1#2", 1)
    assert many.subjects == ["a_1"] * 4 + ["b"] * 4  # every key is a subject of its own
    assert torch.equal(many.images[0], one.images[0])
    assert one.images[0].shape == (1, 34, 36)


def test_a_dicom_series_is_one_volume_whatever_its_files_are_called(tmp_path):
    write_series(tmp_path / "P_01" / "t1", slices())
    one = loaded(tmp_path, "*")
    assert set(one.subjects) == {"P_01"}
    assert set(one.volumes) == {"P_01/t1"}
    assert one.facts.files == len(list((tmp_path / "P_01" / "t1").iterdir()))
    assert set(loaded(tmp_path, "P_01/t1").subjects) == {"t1"}  # and not every file a subject
    first = sorted((tmp_path / "P_01" / "t1").iterdir())[0]
    assert loaded(tmp_path, f"P_01/t1/{first.name}").names == one.names  # of a series all files or none


def test_facts_of_a_set(tmp_path):
    write_set(tmp_path / "set")
    write(tmp_path / "set" / "fine" / "T1.nii.gz", spacing=(0.5, 0.25, 5))
    data = loaded(tmp_path, "set")
    assert data.facts.files == len(data.hashes) == len(data.facts.each) == 6
    assert data.facts.spacing == [0.25, 1.0]
    assert data.names[0] == "set/fine/T1.nii.gz#2"
    assert len(set(data.names)) == len(data.images) == len(data.subjects) == len(data.volumes)


def test_names_keep_their_folders_outside_the_root(tmp_path):
    for name in ("x", "y"):
        write(tmp_path / "away" / name / "T1.nii.gz")
    data = loaded(tmp_path / "root", str(tmp_path / "away" / "x"), str(tmp_path / "away" / "y"))
    assert set(data.volumes) == {"x/T1.nii.gz", "y/T1.nii.gz"}


def test_a_series_outside_the_root_is_called_by_its_folder(tmp_path):
    write_series(tmp_path / "away" / "t1", slices())
    assert set(loaded(tmp_path / "root", str(tmp_path / "away" / "t1")).volumes) == {"t1"}
    assert set(loaded(tmp_path / "root", str(tmp_path / "away")).volumes) == {"t1"}


def test_an_archive_reads_as_the_scans_it_was_made_of(tmp_path):
    write_set(tmp_path / "set")
    write_series(tmp_path / "series" / "t1", slices())
    np.savez(tmp_path / "set" / "patient_1.npz", image=np.moveaxis(blobs((34, 36, 6)), 2, 0))
    patterns = ["set/one", "set/*.npz", "series"]  # `one` is told by no name of a file
    pack({"toy": {"training": patterns, "validation": ["set/held"]}}, tmp_path, tmp_path / "data.zip")
    files, packed = loaded(tmp_path, *patterns), loaded(tmp_path, "data.zip")
    assert (packed.names, packed.subjects, packed.volumes) == (files.names, files.subjects, files.volumes)
    assert (packed.facts.sha256, packed.facts.spacing) == (files.facts.sha256, files.facts.spacing)
    assert all(torch.equal(a, b) for a, b in zip(packed.images, files.images, strict=True))
    assert loaded(tmp_path, "data.zip", part="validation").facts.files == 2


@pytest.mark.parametrize(
    "name, words",
    [
        ("mixed", r"hold photographs, such as mixed/a\.png, and scans, such as mixed/b\.nii\.gz; give a pattern"),
        ("four.nii", r"four\.nii holds 3 volumes, and training takes one a file; write each to a file of its own"),
        ("huge.nii.gz", r"huge\.nii\.gz says it is 30000 × 30000 × 1, above the limit of \d+ voxels; crop it"),
        ("colour.nii", "holds colours"),
        ("flat.nii", "is 5 everywhere"),
        ("flat.npz", r"flat\.npz, 'image', is 5 everywhere"),
        ("plane.npz", r"under the key 'image' int64 of shape \(4, 4\), which is no volume"),
        ("words.npz", "which is no volume"),
        ("objects.npz", "the NPZ file is damaged"),
        ("broken.npz", "the NPZ file is damaged"),
        ("dots.nii", "hold no slice in which there is anything"),
    ],
)
def test_what_cannot_be_learned_from_is_named(tmp_path, skimage_data, name, words):
    def nifti(file: str, values: np.ndarray) -> None:
        nibabel.Nifti1Image(values, np.eye(4)).to_filename(tmp_path / file)

    write(tmp_path / "mixed" / "b.nii.gz")
    (tmp_path / "mixed" / "a.png").write_bytes((skimage_data / "coffee.png").read_bytes())
    nifti("four.nii", np.ones((4, 4, 4, 3), np.float32))
    nifti("colour.nii", np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    nifti("flat.nii", np.full((4, 4, 4), 5, np.float32))
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 1))
    header.set_sform(np.eye(4), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    (tmp_path / "huge.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(1000)))
    dots = np.zeros((40, 40, 4), np.float32)
    dots[3] = 7
    nifti("dots.nii", dots)
    np.savez(tmp_path / "flat.npz", image=np.full((4, 4, 4), 5))
    np.savez(tmp_path / "plane.npz", image=np.zeros((4, 4), np.int64))
    np.savez(tmp_path / "words.npz", image=np.full((4, 4, 4), "a"))
    np.savez(tmp_path / "objects.npz", image=np.full((4, 4, 4), None))
    (tmp_path / "broken.npz").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match=words) as caught:
        loaded(tmp_path, name)
    assert not re.search("--|volume=|max_|index", spoken(caught.value.args[0]))  # options that training lacks


def test_a_picture_above_the_limit_is_named_without_an_option(tmp_path, skimage_data, monkeypatch):
    monkeypatch.setattr(data_module, "read_photo", partial(read_photo, max_pixels=1000))
    with pytest.raises(
        InputError, match=r"coffee\.png says it is 600 × 400, .* 1000 pixels; shrink it, or leave it out"
    ):
        loaded(skimage_data, "coffee.png", channels=3)


def test_scans_are_grey(tmp_path):
    write(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=r"are scans, which are grey, and task\.channels is 3; set it to 1"):
        loaded(tmp_path, "a.nii.gz", channels=3)
