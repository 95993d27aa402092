"""Scans in Python: a volume in, a volume out, and what does not go with them."""

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import msgspec
import nibabel
import numpy as np
import pytest
from tests.imaging.dicom.synthetic import PERSONAL, slices

import veriscale
from veriscale.errors import InputError
from veriscale.workflows.degrading.scan_degradation import degrade_scan
from veriscale.workflows.scans.scan_run import restore_scan

SETTINGS = [
    {"scale": 2, "dial": [0, 1], "samples": 2},
    {"spacing": "-,-,1.6", "thickness": 4.8, "dial": "0,1", "samples": 2},
    {"spacing": "1,1,1.6", "thickness": 4.8},
]


@pytest.mark.parametrize("asked", SETTINGS, ids=str)
def test_a_volume_is_restored_as_its_file_is(scan, restorer, tiny, tmp_path, asked):
    said = {k: "0,1" if v == [0, 1] else v for k, v in asked.items()}
    files = [Path(f) for f in restore_scan(restorer(**said), scan, tmp_path / "by_command")["outputs"]]
    result = veriscale.restore(veriscale.read_volume(scan), tiny, **asked)
    written = result.save(tmp_path / "saved", "Doe_John_1970_restored")
    assert [f.name for f in written] == [f.name for f in files]
    for one, other in zip(written, files, strict=True):
        if one.name.endswith(".nii.gz"):
            assert one.read_bytes() == other.read_bytes()
    assert isinstance(result, veriscale.ScanRestoration)
    assert isinstance(result.image, veriscale.Volume)
    assert result.measurement.shape == (20, 18, 9) or sorted(result.measurement.shape) == [9, 18, 20]
    assert len(result.samples) == asked.get("samples", 0)
    assert (result.std is None) == (result.mean is None) == (not result.samples)
    run = json.loads((tmp_path / "saved" / "Doe_John_1970_restored.run.json").read_text())
    assert run["arguments"]["thickness"] == asked.get("thickness")
    assert run["versions"]["veriscale"] == version("veriscale")
    assert "Doe" not in json.dumps(run)
    assert not [p for p in scan.parent.iterdir() if p.name.startswith(".")]  # no state is left beside the scan


def test_a_saved_run_is_repeated_with_the_same_prior(scan, tiny_file, tmp_path, monkeypatch):
    """By the name of the loaded one: the usual prior of scans would be another."""
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))
    tiny = veriscale.load_prior(tiny_file, "cpu")
    veriscale.restore(scan, tiny, scale=2, dial=1, seed=3).save(tmp_path / "a")
    run = tmp_path / "a" / "restored.run.json"
    assert json.loads(run.read_text())["arguments"]["prior"] == "tiny"
    said: list[str] = []
    (again,) = veriscale.restore_files(scan, tmp_path / "b", repeat=run, device="cpu", say=said.append)
    assert again["prior"]["sha256"] == tiny.card.tensors_sha256
    assert not [line for line in said if "repeated run" in line]
    images = [tmp_path / "a" / "restored.nii.gz", Path(again["outputs"][0])]
    one, other = (nibabel.load(image).get_fdata() for image in images)
    assert np.array_equal(one, other)


def test_a_file_is_read_with_what_lies_beside_it(scan, tiny):
    with pytest.raises(InputError, match="give thickness"):
        veriscale.restore(scan, tiny, spacing="-,-,2.4")
    (scan.parent / "Doe_John_1970.json").write_text('{"SliceThickness": 4.8}')
    beside = veriscale.restore(str(scan), tiny, spacing="-,-,2.4")
    said = veriscale.restore(veriscale.read_volume(scan), tiny, spacing="-,-,2.4", thickness=4.8)
    assert np.array_equal(beside.image.samples, said.image.samples)
    with pytest.raises(InputError, match="give thickness"):  # a volume does not know it
        veriscale.restore(veriscale.read_volume(scan), tiny, spacing="-,-,2.4")


@pytest.mark.parametrize("operator", ["downsample:factor=2", "slice:fwhm=9.6,step=9.6,axis=2"])
def test_a_volume_is_measured_as_its_file_is(scan, tmp_path, operator):
    by_file = veriscale.read_volume(degrade_scan(scan, tmp_path / "y.nii.gz", operator, 0.05, 3))
    for given in (scan, str(scan), veriscale.read_volume(scan)):
        y = veriscale.degrade(given, operator, 0.05, 3)
        assert isinstance(y, veriscale.Volume)
        np.testing.assert_allclose(y.values(), by_file.values(), atol=1e-2)
        np.testing.assert_allclose(y.affine, by_file.affine, atol=1e-4)
        assert y.levels.high == pytest.approx(by_file.levels.high, rel=1e-5)
    veriscale.write_volume(y, tmp_path / "again.nii.gz")
    assert nibabel.load(tmp_path / "again.nii.gz").shape == nibabel.load(tmp_path / "y.nii.gz").shape


def test_one_of_several_volumes_is_read_by_its_index(scan, tmp_path):
    image = nibabel.load(scan)
    several = np.stack([image.get_fdata(), 2 * image.get_fdata()], -1).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(several, image.affine), tmp_path / "two.nii.gz")
    first, second = (veriscale.read_volume(tmp_path / "two.nii.gz", k).values().max() for k in (0, 1))
    assert second == pytest.approx(2 * first)
    with pytest.raises(InputError, match="say which with index, 0 to 1"):
        veriscale.read_volume(tmp_path / "two.nii.gz")
    with pytest.raises(InputError, match="path is 5, and the name of a file"):
        veriscale.read_volume(5)
    with pytest.raises(InputError, match="not a scan"):
        veriscale.read_volume(tmp_path / "x.png")


@pytest.mark.parametrize("index", ["first", True, 0.5])
def test_an_index_that_is_none_is_named(scan, tiny, index):
    for call in (
        lambda: veriscale.read_volume(scan, index),
        lambda: veriscale.evaluate(scan, tiny, index=index),
        lambda: veriscale.restore_files(scan, index=index),
    ):
        with pytest.raises(InputError, match=r"^index is .*a whole number is wanted"):
            call()


def test_a_prior_of_modes_alone_draws_without_v_through_the_plane_too(scan, tiny):
    modes = [msgspec.structs.replace(m, sigma=[], variance=[]) for m in tiny.card.modes]
    bare = replace(tiny, card=msgspec.structs.replace(tiny.card, modes=modes, dial=[]))
    asked = {"spacing": "-,-,2.4", "thickness": 4.8}
    assert np.isfinite(veriscale.restore(veriscale.read_volume(scan), bare, dial=1, **asked).image.samples).all()
    with pytest.raises(InputError, match=r"needs v\(sigma\)"):
        veriscale.restore(veriscale.read_volume(scan), bare, dial=1, sampler="ancestral", **asked)


def test_a_spacing_is_three_numbers_or_their_string(scan, tiny):
    volume = veriscale.read_volume(scan)
    said = veriscale.restore(volume, tiny, spacing="-,-,2.4", thickness=4.8)
    for spacing in ((None, None, 2.4), [None, None, np.float32(2.4)], ("-", "-", "2.4")):
        told = veriscale.restore(volume, tiny, spacing=spacing, thickness=4.8)
        assert np.array_equal(told.image.samples, said.image.samples)
        assert told.run["arguments"]["spacing"] == "-,-,2.4"
    for spacing in ((1, 1), (1, 1, "thin"), np.eye(3)):
        with pytest.raises(InputError, match=r"^spacing .* is not three numbers in mm"):
            veriscale.restore(volume, tiny, spacing=spacing, thickness=4.8)


def test_an_array_of_a_volume_is_its_values(scan, tiny):
    image = veriscale.restore(scan, tiny, scale=2).image
    assert np.array_equal(np.asarray(image), image.values())
    assert np.asarray(image, np.float32).dtype == np.float32


def test_a_single_slice_is_restored_in_plane_alone(scan, tiny):
    image = nibabel.load(scan)
    nibabel.save(image.slicer[:, :, 4:5], scan)
    with pytest.raises(InputError, match="single slice"):
        veriscale.restore(scan, tiny, spacing=(None, None, 1), thickness=4.8)
    assert veriscale.restore(scan, tiny, spacing=(1, 1, None)).image.spacing == pytest.approx((1, 1, 4.82), abs=0.01)


def test_what_is_written_is_a_volume(scan, tiny, tmp_path):
    result = veriscale.restore(scan, tiny, scale=2)
    for given in (result, np.zeros((4, 4, 4))):
        with pytest.raises(InputError, match="is no volume; give one of `read_volume` or of a result, its image"):
            veriscale.write_volume(given, tmp_path / "out.nii")
    assert not (tmp_path / "out.nii").exists()


def test_nothing_that_is_printed_tells_whose_scan_it_is(scan, tiny, tmp_path):
    image = nibabel.load(scan)
    image.header["descrip"] = b"Doe^John"
    nibabel.save(image, scan)
    result = veriscale.restore(scan, tiny, scale=2, samples=2)
    assert repr(result.measurement).startswith("Volume of 18 × 20 × 9 voxels of 1.9")
    folder = tmp_path / "series"
    folder.mkdir()
    for number, each in enumerate(slices(shape=(10, 12))):
        each.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    series = veriscale.restore(folder, tiny, scale=2)
    for shown in (result, result.image, result.image.origin, series, series.image.origin):
        assert not [name for name in (*PERSONAL, "Doe", "1970") if name in repr(shown)]


def test_files_are_restored_with_what_the_command_has(scan, tiny, tmp_path):
    image = nibabel.load(scan)
    both = np.stack([np.zeros(image.shape, np.int16), np.asarray(image.dataobj)], -1)
    nibabel.save(nibabel.Nifti1Image(both, image.affine), tmp_path / "both.nii.gz")
    veriscale.restore_files(tmp_path / "both.nii.gz", tmp_path / "one.nii.gz", tiny, index=1, scale=2)
    veriscale.restore_files(scan, tmp_path / "other.nii.gz", tiny, scale=2)
    one, other = (nibabel.load(tmp_path / f"{name}.nii.gz").get_fdata() for name in ("one", "other"))
    assert np.array_equal(one, other)
    folder = tmp_path / "series"
    folder.mkdir()
    for number, each in enumerate(slices(shape=(10, 12))):
        each.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    veriscale.restore_files(folder, tmp_path / "out", tiny, dicom_out=tmp_path / "derived", scale=2)
    assert sorted(veriscale.read_volume(tmp_path / "derived").shape) == [5, 20, 24]


def test_the_tile_does_not_change_the_volume(scan, tiny):
    volume = veriscale.read_volume(scan)
    for asked in ({"scale": 2}, {"spacing": "-,-,2.4", "thickness": 4.8}):
        a, b = (veriscale.restore(volume, tiny, tile=tile, **asked).image.samples for tile in (8, 512))
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_saved_files_are_not_replaced(scan, tiny, tmp_path):
    result = veriscale.restore(scan, tiny, scale=2)
    result.save(tmp_path / "out")
    with pytest.raises(InputError, match="exists already"):
        result.save(tmp_path / "out")
    assert result.save(tmp_path / "out", force=True)[0].name == "restored.nii.gz"


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"certificate": "photo_x4_dial-0_area"}, "The certificate is for photographs, and this is a scan"),
        ({"crop": "0,0,4,4"}, "crop is for photographs yet"),
        ({"ensemble": True, "dial": 1}, "a dial position above 0 is asked for"),
        ({"sigma0": 0.2}, "sigma0 is for photographs yet"),
        ({"command": "tool {in} {out}"}, "belong to a certificate"),
        ({"alpha": 0.1}, "no certificate is given"),
        ({"score": np.zeros((4, 4), np.float32)}, "A score of your own"),
        ({"spacing": "1,1,1", "thickness": 4.8}, "give one"),
    ],
    ids=str,
)
def test_what_does_not_go_with_a_volume(scan, tiny, asked, words):
    with pytest.raises(InputError, match=words):
        veriscale.restore(veriscale.read_volume(scan), tiny, scale=2, **asked)


@pytest.mark.parametrize("asked", [{"preset": "map-rps-sr4"}, {"consistent": True}])
def test_what_does_not_go_through_the_plane(scan, tiny, asked):
    with pytest.raises(InputError, match=f"{next(iter(asked))} is not for what is restored through the plane"):
        veriscale.restore(scan, tiny, spacing="-,-,2.4", thickness=4.8, **asked)
