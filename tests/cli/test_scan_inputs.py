"""What the commands take for a scan to work on, and what they say of several."""

import shutil

import nibabel
import numpy as np
import pytest
from PIL import Image
from tests.imaging.dicom.synthetic import slices, write

from veriscale.cli.main import run

AFFINE = np.diag([-1.5, 1.5, 4, 1])


@pytest.fixture
def call(tiny_file, tmp_path, monkeypatch, capsys):
    """Run a command in a folder of its own; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))

    def made(command, *words):
        prior = [] if command == "degrade" else ["--prior", "tiny"]
        return run([command, *map(str, words), *prior]), *capsys.readouterr()

    return made


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "scans"
    path.mkdir()
    for seed, name in enumerate(("Doe", "Roe")):
        put(path / f"{name}.nii.gz", seed)
    return path


def put(path, seed=0, shape=(20, 18, 16)):
    values = np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)


HALVED = ("--operator", "downsample:factor=2")


def test_measurements_beside_what_was_measured_are_no_truths(call, folder):
    assert call("degrade", folder, *HALVED)[0] == 0
    code, out, told = call("degrade", folder, *HALVED, "--force")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "2 measurements are left out: what was measured is here too." in told
    assert call("evaluate", folder, "--scale", 2)[1].startswith("2 scans, ")
    assert call("degrade", folder, *HALVED, "-o", folder / "below")[0] == 0
    assert call("evaluate", folder, "--scale", 2)[1].startswith("2 scans, ")
    shutil.rmtree(folder / "below")
    # restored they are, and so are those that lie by themselves
    assert "4 of 4 done" in call("restore", folder, "--scale", 2, "--dry-run")[2]
    for truth in ("Doe.nii.gz", "Roe.nii.gz"):
        (folder / truth).unlink()
    assert len(call("degrade", folder, "--operator", "blur:kernel=gaussian,std=1")[1].splitlines()) == 2


def test_results_beside_scans_are_no_truths(call, folder):
    for words in (("--scale", 2), ("--spacing", "-,-,2", "--thickness", 4, "--report", "--force")):
        assert call("restore", folder, *words)[0] == 0
        assert call("evaluate", folder, "--scale", 2)[1].startswith("2 scans, ")
        assert len(call("degrade", folder, *HALVED, "--force")[1].splitlines()) == 2


@pytest.mark.parametrize("dial", ["0", "0,1"])
def test_a_derived_series_is_no_scan_of_its_folder(call, tmp_path, dial):
    write(tmp_path / "k" / "Doe", slices(4, (16, 18)))
    assert call("restore", "k", "--scale", 2, "--dial", dial, "--dicom-out", "k/derived")[0] == 0
    assert list((tmp_path / "k" / "derived").rglob("*.dcm"))
    for given in ("k", "k/*", "k/**/*"):
        assert "(1 of" not in call("restore", given, "--scale", 2, "--dry-run", "--force")[2]
    (derived,) = {p.parent for p in (tmp_path / "k" / "derived").rglob("0001.dcm") if "dial-1" in str(p) or dial == "0"}
    assert call("restore", derived, "--scale", 2, "--dry-run")[0] == 0  # named, it is taken


def test_folders_of_series_with_points_in_their_names_keep_apart(call, tmp_path):
    for uid in ("1.2.840", "1.2.841"):
        write(tmp_path / "n" / uid, slices(3, (16, 18)))
    assert call("restore", "n", "--scale", 2, "-o", "out")[0] == 0
    assert {p.name for p in (tmp_path / "out").glob("*.nii.gz")} == {f"1.2.84{k}_restored.nii.gz" for k in (0, 1)}


def test_two_scans_of_one_stem_are_refused_before_the_work(call, tmp_path):
    (tmp_path / "n").mkdir()
    put(tmp_path / "n" / "Doe.nii.gz")
    put(tmp_path / "n" / "Doe.nii")
    code, _, told = call("restore", "n", "--scale", 2)
    assert code == 2
    assert "Two scans would have results of one name" in told
    assert "Doe" not in told
    assert len(list((tmp_path / "n").iterdir())) == 2


def test_remarks_of_several_say_of_which(call, folder):
    told = call("restore", folder, "--scale", 2, "--dry-run")[2]
    assert "the scan (1 of 2): 16 slices" in told
    assert "the scan (2 of 2): 16 slices" in told
    for k in range(21):
        put(folder / f"Moe{k}.nii.gz", k, (8, 9, 2))
    told = call("restore", folder, "--scale", 2)[2]
    assert "23 files: 16 slices" in told  # of many, equal things once
    assert "Moe" not in told


def test_degrade_takes_a_volume_of_several(call, tmp_path):
    put(tmp_path / "Doe.nii.gz", 0, (20, 18, 6, 3))
    assert "say which with --volume, 0 to 2" in call("degrade", "Doe.nii.gz", *HALVED)[2]
    assert call("degrade", "Doe.nii.gz", *HALVED, "--volume", 1)[:2] == (0, "Doe_vol-1_degraded.nii.gz\n")
    whole = nibabel.load("Doe.nii.gz")
    nibabel.save(nibabel.Nifti1Image(whole.dataobj[..., 1], AFFINE), "one.nii.gz")
    assert call("degrade", "one.nii.gz", *HALVED)[0] == 0
    found, wanted = (nibabel.load(f"{name}_degraded.nii.gz").get_fdata() for name in ("Doe_vol-1", "one"))
    np.testing.assert_array_equal(found, wanted)
    assert call("restore", "Doe_vol-1_degraded.nii.gz", "--dry-run")[0] == 0
    assert "2 measurements are left out" in call("degrade", ".", *HALVED, "--volume", 0, "--force", "-o", "new")[2]


@pytest.mark.parametrize("words", [("--scale", 2), ("--spacing", "-,-,2", "--thickness", 4)])
def test_names_with_spaces_are_told_nowhere(call, tmp_path, words):
    (tmp_path / "Jane Doe").mkdir()
    put(tmp_path / "Jane Doe" / "Jane Doe.nii.gz")
    for _ in range(2):
        for command in (("restore", "Jane Doe/Jane Doe.nii.gz", *words), ("degrade", "Jane Doe", *HALVED)):
            told = call(*command)[2]
            assert "Doe" not in told
            assert "Jane" not in told
    assert "the measurement exists already" in told


def test_a_series_folder_whose_name_is_a_word_of_the_sentence(call, tmp_path):
    write(tmp_path / "2", slices(3, (16, 18)))
    for k, each in enumerate(slices(2, (16, 18))):
        each.SeriesNumber, each.SeriesDescription = 5, "of Mrs Doe"
        each.SeriesInstanceUID += ".9"
        each.save_as(tmp_path / "2" / f"other{k}", enforce_file_format=True)
    for command, *words in (("restore", "--scale", 2), ("evaluate", "--scale", 2), ("degrade", *HALVED)):
        told = call(command, "2", *words)[2]
        assert "holds 2 series: number 4 (3 files); number 5 (2 files)" in told
        assert "Doe" not in told


@pytest.mark.parametrize(
    "words, said",
    [
        (("restore", "scans/Doe.nii.gz", "--spacing", "-1,1,1"), "--spacing -1 is no distance"),
        (("restore", "scans/Doe.nii.gz", "--scale", 2, "--thickness", 4), "--thickness is of what --spacing"),
        (("restore", "scans/Doe.nii.gz", "--scale", 2, "-o", "a.png"), "names a picture (.png)"),
        (("restore", "scans", "--scale", 2, "-o", "a.nii.gz"), "there are several inputs; name a folder"),
        (("degrade", "scans", *HALVED, "-o", "a.nii.gz"), "there are several inputs; name a folder"),
        (("restore", "scans", "--scale", 2, "--dicom-out", "a"), "derived of one series"),
        (("restore", "a.png", "--scale", 2, "--volume", 0), "--volume is of scans"),
        (("degrade", "a.png", *HALVED, "--volume", 0), "--volume is of scans"),
        (("evaluate", "a.png", "--scale", 2, "--volume", 0), "--volume is of scans"),
        (("restore", "a.png", "--scale", 2, "--dicom-out", "a"), "--dicom-out is of scans"),
        (("restore", "a.png", "--spacing", "1,1,1"), "--spacing is of scans"),
        (("restore", "a.png", "--scale", 2, "--thickness", 4), "--thickness is of scans"),
    ],
    ids=str,
)
def test_what_has_no_effect_is_refused(call, folder, tmp_path, words, said):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    before = set(tmp_path.rglob("*"))
    code, out, told = call(*words)
    assert (code, out) == (2, "")
    assert said in told
    assert set(tmp_path.rglob("*")) == before
