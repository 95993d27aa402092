"""Every line of bad input that a scan can be: one sentence, exit code 2, nobody's name, nothing left behind."""

import gzip
import json
import shutil
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.imaging.dicom import synthetic

from veriscale.cli.main import run

NAME = "Doe_Jane"
VALUES = np.random.default_rng(0).integers(0, 900, (12, 14, 6)).astype(np.int16)
AFFINE = np.diag([-1.5, 1.5, 4, 1.0])
NAN = float("nan")


def written(values=VALUES, affine=AFFINE, *fields) -> bytes:
    """A gzipped scan, with fields (offset, format, values) of its header overwritten."""
    raw = bytearray(nibabel.Nifti1Image(values, affine, dtype=values.dtype).to_bytes())
    for offset, kind, *numbers in fields:
        struct.pack_into(f"<{kind}", raw, offset, *numbers)
    return gzip.compress(bytes(raw))


def colours() -> np.ndarray:
    return np.zeros((12, 14, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])


def where(values, number) -> np.ndarray:
    return np.where(VALUES > 800, number, values).astype(np.float32)


BAD = {
    "empty": (b"", "is empty"),
    "empty gzip": (gzip.compress(b""), "not a NIfTI scan"),
    "text": (b"hello" * 200, "not a NIfTI scan"),
    "truncated gzip": (written()[:1500], "damaged or truncated"),
    "another length": (written(VALUES, AFFINE, (40, "4h", 3, 13, 14, 6)), "truncated: its header announces"),
    "far too long": (written(VALUES, AFFINE, (40, "4h", 3, 32000, 32000, 32000)), "above the limit"),
    "no voxels": (written(VALUES, AFFINE, (40, "4h", 3, 12, 0, 6)), "holds no voxels"),
    "no such dimensions": (written(VALUES, AFFINE, (40, "h", 9)), "9 dimensions"),
    "singular": (written(VALUES, AFFINE, (280, "4f", 0, 0, 0, 0)), "singular"),
    "affine NaN": (written(VALUES, AFFINE, (280, "f", NAN)), "NaN or infinite"),
    "no affine": (written(VALUES, AFFINE, (252, "2h", 0, 0)), "does not say where its voxels lie"),
    "pixdim 0": (written(VALUES, AFFINE, (252, "2h", 1, 0), (80, "3f", 0, 0, 0)), "singular"),
    "colours": (written(colours()), "RGB"),
    "complex": (written(VALUES.astype(np.complex64)), "complex"),
    "NaN": (written(where(VALUES, NAN)), "NaN or infinite"),
    "infinite": (written(where(VALUES, np.inf)), "holds infinite values"),
    "constant": (written(np.full_like(VALUES, 7)), "7 everywhere"),
    "absurd slope": (written(VALUES, AFFINE, (112, "2f", 1e38, 0)), "which no scan has"),
    "four dimensions": (written(np.stack([VALUES, VALUES + 1], -1)), "--volume, 0 to 1"),
    "five dimensions": (written(np.stack([VALUES] * 3, -1)[..., None]), "--volume, 0 to 2"),
    "a line": (written(VALUES[:, 0, 0]), "a line of 12 numbers"),
}


@pytest.fixture
def refused(tiny_file, capsys):
    """Run a command on a scan that must be refused; returns the sentence."""

    def call(command: str, path: Path, *words: object) -> str:
        before = set(path.parent.rglob("*"))
        prior = ["--prior", str(tiny_file)] if command == "restore" else []
        assert run([command, str(path), *map(str, words), *prior]) == 2
        out, told = capsys.readouterr()
        assert out == ""
        (sentence,) = (line for line in told.splitlines() if line.startswith("veriscale: "))
        assert "Traceback" not in told
        assert NAME not in told
        assert str(path.parent) not in told
        assert set(path.parent.rglob("*")) == before  # no hidden folder either
        return sentence

    return call


WAYS = [
    ("restore", "--scale", 2),
    ("restore", "--scale", 2, "--dry-run"),
    ("degrade", "--operator", "downsample:factor=2"),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: " ".join(map(str, way)))
@pytest.mark.parametrize("kind", BAD)
def test_bad_files(tmp_path, refused, kind, way):
    content, said = BAD[kind]
    path = tmp_path / f"{NAME}.nii.gz"
    path.write_bytes(content)
    assert said in refused(way[0], path, *way[1:])


@pytest.mark.parametrize(
    "told, said",
    [
        ("{broken", "sidecar cannot be read"),
        ("", "sidecar cannot be read"),
        ("[1]", "holds no fields"),
        ("null", "holds no fields"),
        ('{"SliceThickness": "4"}', "no distance"),
        ('{"SliceThickness": -1}', "no distance"),
        ('{"SliceThickness": NaN}', "no distance"),
        ('{"SliceThickness": 4, "SpacingBetweenSlices": 2}', "2 mm apart, and its affine 4"),
    ],
)
def test_bad_sidecars(tmp_path, refused, told, said):
    path = tmp_path / f"{NAME}.nii.gz"
    path.write_bytes(written())
    path.with_name(f"{NAME}.json").write_text(told)
    assert said in refused("restore", path, "--spacing", "-,-,2")


@pytest.mark.parametrize(
    "words, said",
    [
        (("--spacing", "nan,1,1"), "no distance"),
        (("--spacing", "0,1,1"), "no distance"),
        (("--spacing", "inf,1,1"), "no distance"),
        (("--spacing", "9,1,1"), "coarser"),
        (("--spacing", "a,b,c"), "not three numbers"),
        (("--spacing", "0.01,0.01,0.01"), "give at least 0.0234"),
        (("--spacing", "-,-,1e-300"), "give at least 0.0625"),
        (("--spacing", "-,-,2"), "is not known"),  # how thick the slices are is never guessed
        (("--spacing", "1,1,2", "--thickness", 4, "--posterior", "dps"), "Through the plane"),  # before any work in it
        (("--spacing", "-,-,2", "--thickness", 4, "--noise", "auto"), "--noise"),
        (("--scale", 2, "--volume", -1), "--volume"),
        (("--scale", 2, "--volume", 99), "--volume"),
        (("--scale", 2, "--volume", "x"), "--volume"),
        (("--operator", "slice:fwhm=4,step=4,axis=2"), "say --spacing"),
        (("--scale", 2, "--max-pixels", 1000), "--max-pixels 1008"),
    ],
    ids=str,
)
def test_what_cannot_be_asked(tmp_path, refused, words, said):
    path = tmp_path / f"{NAME}.nii.gz"
    path.write_bytes(written())
    assert said in refused("restore", path, *words)


def test_a_result_that_is_there(tmp_path, refused):
    path = tmp_path / f"{NAME}.nii.gz"
    path.write_bytes(written())
    path.with_name(f"{NAME}_restored.nii.gz").write_bytes(b"mine")
    path.with_name(f"{NAME}_degraded.nii.gz").write_bytes(b"mine")
    assert "exists already" in refused("restore", path, "--scale", 2)
    assert "exists already" in refused("degrade", path, "--operator", "downsample:factor=2")


def test_a_result_for_which_there_is_no_room(tmp_path, refused, monkeypatch):
    path = tmp_path / f"{NAME}.nii.gz"
    path.write_bytes(written())
    monkeypatch.setattr("veriscale.workflows.scans.scan_room.machine_memory", lambda: 10_000_000)
    assert "of memory" in refused("restore", path, "--spacing", "-,-,0.0625", "--thickness", 4, "--dry-run")
    usage = shutil._ntuple_diskusage(10**9, 10**9, 1000)
    monkeypatch.setattr("veriscale.workflows.scans.scan_room.shutil.disk_usage", lambda folder: usage)
    assert "of disk" in refused("restore", path, "--scale", 2)


def test_one_bad_slice_among_good_ones(tmp_path, refused):
    folder = synthetic.write(tmp_path / NAME, synthetic.slices())
    third = sorted(folder.iterdir())[2]
    third.write_bytes(third.read_bytes()[:300])
    assert "damaged" in refused("restore", folder, "--scale", 2)
    assert "damaged" in refused("degrade", folder, "--operator", "downsample:factor=2")


def sparse() -> np.ndarray:
    values = np.zeros((16, 16, 10), np.int16)
    values[5:9, 5:9, 3:7] = np.random.default_rng(1).integers(100, 900, (4, 4, 4))
    assert (values == 0).mean() > 0.97
    return values


@pytest.mark.parametrize(
    "values",
    [VALUES.astype(">i2"), VALUES - 500, VALUES.astype(np.int64), (VALUES % 255).astype(np.uint8), sparse(),
     VALUES.astype(np.float64), VALUES[:, :, 0]],
    ids=["big-endian", "negative", "int64", "uint8", "97 % constant", "float64", "one slice"],
)  # fmt: skip
def test_what_looks_odd_and_works(tmp_path, tiny_file, values):
    path = tmp_path / f"{NAME}.nii.gz"
    header = nibabel.Nifti1Header(endianness=values.dtype.byteorder if values.dtype.byteorder == ">" else "<")
    nibabel.save(nibabel.Nifti1Image(values, AFFINE, header, dtype=values.dtype), path)
    assert run(["restore", str(path), "--scale", "2", "--prior", str(tiny_file), "--quiet"]) == 0
    result = nibabel.load(tmp_path / f"{NAME}_restored.nii.gz")
    assert result.get_data_dtype().newbyteorder("=") == values.dtype.newbyteorder("=")
    assert np.isfinite(result.get_fdata()).all()
    assert json.loads((tmp_path / f"{NAME}_restored.run.json").read_text())["outputs"] == [".nii.gz", ".run.json"]
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
