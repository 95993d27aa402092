"""Picture files in and out of a command: kinds, EXIF, quality, what is there already, and what is said of many."""

import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

from veriscale.imaging.read import read_photo

FAST = ("--prior", "tiny", "--device", "cpu", "--scale", 2)
SMOOTH = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((20, 16))


@pytest.fixture
def shot(tmp_path):
    """A photograph with camera, place and a turn."""
    block = Image.Exif()
    block[271], block[274] = "Canon", 6
    block.get_ifd(34853).update({1: "N", 2: (47.0, 22.0, 1.5)})
    SMOOTH.save(tmp_path / "shot.jpg", exif=block, quality=90)
    return tmp_path / "shot.jpg"


def said_of(err: str, word: str) -> list[str]:
    return [line for line in err.splitlines() if word in line]


@pytest.mark.parametrize("name", ["a.bmp", "a.gif", "a.avif", "a.jp2"])
def test_kinds_that_are_only_read_are_kept_as_png(veriscale, refused, tmp_path, name):
    SMOOTH.save(tmp_path / name)
    assert veriscale("restore", tmp_path / name, *FAST, "--format", "keep")[0] == 0
    assert read_photo(tmp_path / "a_x2.png").pixels.shape == (32, 40, 3)
    assert "is read and not written" in refused("restore", tmp_path / name, *FAST, "-o", tmp_path / f"b{name}")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_exif_is_kept_or_stripped(veriscale, shot, tmp_path, suffix):
    for options, words in (((), b"Canon"), (("--strip",), None)):
        code, _, err = veriscale("restore", shot, *FAST, "-o", tmp_path / f"large{suffix}", "--force", *options)
        assert code == 0, err
        block = read_photo(tmp_path / f"large{suffix}").exif
        assert block is None if words is None else words in block
        assert read_photo(tmp_path / f"large{suffix}").pixels.shape[:2] == (40, 32)
        assert not said_of(err, "EXIF")


def test_exif_that_has_no_place_is_said_once(veriscale, shot):
    code, _, err = veriscale(
        "restore", shot, *FAST, "--format", "npy", "--dial", "0,1", "--sampler", "heun", "--steps", 2
    )
    assert (code, len(said_of(err, f"{shot}: EXIF is not kept: NPY has none."))) == (0, 1)
    assert not said_of(
        veriscale("restore", shot, *FAST, "--format", "npy", "--strip", "-o", shot.parent / "b")[2], "EXIF"
    )


def test_quality(veriscale, refused, shot, tmp_path):
    for quality in (95, 20):
        assert veriscale("restore", shot, *FAST, "--quality", quality, "-o", tmp_path / f"{quality}.jpg")[0] == 0
    assert (tmp_path / "20.jpg").stat().st_size < (tmp_path / "95.jpg").stat().st_size
    assert veriscale("restore", shot, *FAST, "--quality", 60, "-o", tmp_path / "60.webp")[0] == 0
    assert read_photo(tmp_path / "60.webp").lossy == "a lossy WebP"
    before = sorted(tmp_path.iterdir())
    assert "--quality 0 is not a whole number from 1 to 100" in refused(
        "restore", shot, *FAST, "--quality", 0, "--format", "jpeg"
    )
    assert "--quality is for JPEG and WebP, and shot_x2.png is neither" in refused(
        "restore", shot, *FAST, "--quality", 80, "--dry-run"
    )
    assert sorted(tmp_path.iterdir()) == before


def test_a_certified_picture_is_not_delivered_at_a_quality(refused, cat, place, tmp_path):
    options = ("--certificate", place / "area.json", "--device", "cpu", "-o", tmp_path / "a.webp", "--quality", 90)
    assert "speaks of the picture as it is delivered" in refused("restore", cat, *options)


@pytest.mark.parametrize("options", [("restore", *FAST), ("degrade", "--operator", "downsample:factor=2")])
def test_a_name_and_a_format_that_contradict_each_other(veriscale, refused, shot, tmp_path, options):
    command, *rest = options
    for name, kind in (("x.png", "webp"), ("x.jpg", "png"), ("x.png", "keep")):
        sentence = refused(command, shot, *rest, "-o", tmp_path / name, "--format", kind)
        assert f"{name} and --format {kind} contradict each other; give one" in sentence
    assert not list(tmp_path.glob("x*"))
    for name, kind in (("x.jpeg", "keep"), ("y.tiff", "tif")):
        assert veriscale(command, shot, *rest, "-o", tmp_path / name, "--format", kind)[0] == 0


# ---- what is said


def test_lossy_input_is_said_in_one_line(veriscale, shot, tmp_path):
    _, _, err = veriscale("restore", shot, *FAST)
    line = f"{shot}: it is a JPEG of quality about 90, and what the compression left is taken for content."
    assert said_of(err, "compression") == [line]
    SMOOTH.save(tmp_path / "a.webp")
    assert len(said_of(veriscale("restore", tmp_path / "a.webp", *FAST)[2], "it is a lossy WebP")) == 1
    SMOOTH.save(tmp_path / "b.webp", lossless=True)
    assert not said_of(veriscale("restore", tmp_path / "b.webp", *FAST)[2], "compression")


@pytest.mark.parametrize("scale", [8, 2.5])
def test_it_is_said_once_of_several_steps_too(veriscale, shot, scale):
    _, _, err = veriscale("restore", shot, *FAST[:-1], scale)
    line = f"{shot}: it is a JPEG of quality about 90, and what the compression left is taken for content."
    assert said_of(err, "compression") == [line]


def test_compression_that_is_named_is_not_taken_for_content(veriscale, shot):
    options = ("--prior", "tiny", "--device", "cpu", "--operator", "jpeg:quality=90", "--dry-run")
    assert not said_of(veriscale("restore", shot, *options)[2], "taken for content")


def test_under_a_certificate_the_mask_says_it_instead(veriscale, cat, place, tmp_path):
    Image.open(cat).save(tmp_path / "cat.jpg", quality=90)
    _, _, err = veriscale("restore", tmp_path / "cat.jpg", "--certificate", place / "area.json", "--device", "cpu")
    assert len(said_of(err, "came as a JPEG of quality about 90")) == 1
    assert not said_of(err, "taken for content")


def test_a_folder_says_what_it_leaves_out(veriscale, shot):
    for name in ("a.HEIC", "b.heic", "c.psd", "notes.txt", "d.x.svg"):
        shot.with_name(name).write_bytes(b"?")
    line = f"Folder {shot.parent}: 4 files are left out: 2 .heic, 1 .psd, 1 .svg."
    for options in (("restore", *FAST), ("degrade", "--operator", "downsample:factor=2")):
        code, _, err = veriscale(options[0], shot.parent, *options[1:], "-o", shot.parent / options[0])
        assert (code, said_of(err, "left out")) == (0, [line])


def test_a_folder_says_what_has_no_name_of_a_picture_and_is_one(veriscale, shot, tmp_path):
    bytes_of_a_picture = shot.read_bytes()
    for name, content in (
        ("scan", bytes_of_a_picture),
        (".hidden", bytes_of_a_picture),
        ("README", b"words"),
        ("e", b""),
    ):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "there.png").symlink_to(tmp_path / "scan")
    (tmp_path / "folder.png").mkdir()
    line = f"Folder {tmp_path}: 3 files are left out: 1 link to nothing, 2 without extension."
    code, out, err = veriscale("restore", tmp_path, *FAST, "-o", tmp_path / "out")
    assert (code, said_of(err, "left out")) == (0, [line])
    assert "there_x2.png" in out
    for name in ("scan", ".hidden"):
        (tmp_path / name).unlink()
    (tmp_path / "there.png").unlink()
    line = f"Folder {tmp_path}: 1 file is left out: 1 link to nothing."
    assert said_of(veriscale("restore", tmp_path, *FAST, "-o", tmp_path / "out", "--force")[2], "left out") == [line]


def test_other_names_of_kinds_that_are_read(veriscale, shot, tmp_path):
    for name in ("b.JFIF", "c.jpe", "d.jif"):
        shot.with_name(name).write_bytes(shot.read_bytes())
    SMOOTH.save(tmp_path / "e.jp2")
    (tmp_path / "e.jp2").rename(tmp_path / "e.jpc")
    for name in ("f.hif", "g.avifs", "h.apng"):
        shot.with_name(name).write_bytes(b"?")
    code, _, err = veriscale("restore", tmp_path, *FAST, "-o", tmp_path / "out")
    assert (code, said_of(err, "left out")) == (
        0,
        [f"Folder {tmp_path}: 3 files are left out: 1 .apng, 1 .avifs, 1 .hif."],
    )
    assert {p.stem for p in (tmp_path / "out").glob("*.png")} == {f"{s}_x2" for s in ("shot", "b", "c", "d", "e")}


def test_an_error_names_its_file(veriscale, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (3, 3)).save(tmp_path / folder / "same.png")
    for options in ((), ("--crop", "9,9,9,9")):  # that sentence says the name and not the folder
        code, _, err = veriscale("restore", tmp_path, *FAST, *options)
        assert code == 2
        for folder in ("a", "b"):
            assert said_of(err, f"veriscale: {tmp_path / folder / 'same.png'}: ")
    code, _, err = veriscale("restore", tmp_path / "a", *FAST)  # a folder of one
    assert said_of(err, f"veriscale: {tmp_path / 'a' / 'same.png'}: ")


@pytest.fixture
def album(tmp_path):
    """Two dozen files: good ones, JPEGs of several qualities, and two kinds of bad ones."""
    folder = tmp_path / "album"
    folder.mkdir()
    for k in range(16):
        SMOOTH.resize((12 + k, 12)).save(folder / f"{k:02}.png")
    for k in range(4):
        SMOOTH.save(folder / f"j{k}.jpg", quality=70 + 5 * k)
    for k in range(3):
        (folder / f"torn{k}.png").write_bytes((folder / "00.png").read_bytes()[: 60 + k])
    (folder / "words.png").write_text("not a picture")
    return folder


def test_of_many_files_equal_things_are_said_once(veriscale, album, tmp_path):
    code, out, err = veriscale("restore", album, *FAST, "-o", tmp_path / "out")
    assert code == 2
    assert len(out.splitlines()) == 40  # a pipe gets every file
    lines = err.splitlines()
    assert len(lines) == 5, err
    names = ", ".join(str(album / f"j{k}.jpg") for k in range(3))
    assert lines[0] == (
        f"4 files: it is a JPEG of quality about 70, and what the compression left is taken for content. ({names} and "
        "1 more; numbers are the first one's)"
    )
    assert re.fullmatch(r"20 of 24 done in \d+ s\.", lines[1])
    assert lines[2] == "veriscale: 4 of 24 inputs failed:"
    assert lines[3].startswith("veriscale: 3 files: cannot be read: the PNG file is damaged or truncated")
    assert all(str(album / f"torn{k}.png") in lines[3] for k in range(3))
    assert str(album / "words.png") in lines[4]
    code, out, err = veriscale("restore", album, *FAST, "-o", tmp_path / "out", "--skip-existing", "--quiet")
    assert (code, out) == (2, "")
    assert [line for line in err.splitlines() if "failed" not in line] == lines[3:]
    code, out, _ = veriscale("restore", album, *FAST, "-o", tmp_path / "out", "--skip-existing", "--json")
    assert len(json.loads(out)) == 20


def test_twenty_files_are_said_one_by_one(veriscale, album, tmp_path):
    for k in range(4):
        (album / f"{k:02}.png").unlink()
    code, _, err = veriscale("restore", album, *FAST, "-o", tmp_path / "out")
    assert code == 2
    assert len(said_of(err, "prior tiny used")) == 16
    assert len(said_of(err, "taken for content")) == 4
    assert len(said_of(err, "torn1.png")) == 1
    assert err.splitlines()[-1] == "veriscale: 4 of 20 inputs failed."


def test_on_a_terminal_many_results_are_not_listed(veriscale, album, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _, out, err = veriscale("restore", album, *FAST, "-o", tmp_path / "out")
    assert out == ""
    assert said_of(err, "20 of 24 done in")
    _, out, _ = veriscale("restore", album / "00.png", *FAST, "-o", tmp_path / "one")
    assert len(out.splitlines()) == 2


def test_a_dry_run_of_many_says_what_would_be_done_with_each(veriscale, album, tmp_path):
    _, _, err = veriscale("restore", album, *FAST, "-o", tmp_path / "out", "--dry-run")
    assert len(said_of(err, "evaluations of the denoiser")) == 20


def test_progress_counts_the_files(veriscale, album, tmp_path, monkeypatch):
    monkeypatch.setattr("veriscale.cli.console.PATIENCE", 0)
    monkeypatch.setattr("veriscale.cli.console.INTERVAL", 0)
    _, _, err = veriscale("restore", album, *FAST, "-o", tmp_path / "out")
    assert said_of(err, ": 19 of 24, ")
