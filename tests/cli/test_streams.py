"""Standard input and output in the place of files: one picture in, one out, and nothing else on stdout."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import TINY

from veriscale.imaging.read import read_photo


@pytest.fixture
def small(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (12, 16, 3)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "small.png")
    return tmp_path / "small.png"


@pytest.fixture
def piped(monkeypatch, small):
    """Put a picture, or other bytes, on standard input."""

    def put(content=None):
        content = small.read_bytes() if content is None else content
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    put()
    return put


@pytest.mark.parametrize("ways, kind", [((), "PNG"), (("--format", "jpeg"), "JPEG"), (("--format", "keep"), "PNG")])
def test_from_stdin_to_stdout(small, tiny_file, tmp_path, ways, kind):
    command = [sys.executable, "-m", "veriscale", "restore", "-", "--prior", str(tiny_file), "--scale", "2", "-o", "-"]
    done = subprocess.run([*command, *ways], stdin=small.open("rb"), capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = Image.open(io.BytesIO(done.stdout))
    assert (made.format, made.size) == (kind, (32, 24))
    assert done.stderr.startswith(b"standard input: 16\xc3\x9712 to 32\xc3\x9724")
    assert [p.name for p in tmp_path.iterdir()] == ["small.png"]


def test_what_is_piped_is_restored_as_its_file(veriscale, piped, small, tmp_path):
    assert veriscale("restore", "-", *TINY, "--scale", 2, "-o", tmp_path / "piped.png")[0] == 0
    assert veriscale("restore", small, *TINY, "--scale", 2, "-o", tmp_path / "file.png")[0] == 0
    assert (tmp_path / "piped.png").read_bytes() == (tmp_path / "file.png").read_bytes()
    runs = [json.loads((tmp_path / f"{name}.run.json").read_text()) for name in ("piped", "file")]
    assert runs[0]["input"] == {**runs[1]["input"], "name": "-"}
    assert runs[0]["arguments"] == runs[1]["arguments"]


def test_a_piped_run_is_repeated_on_a_picture_that_is_given(veriscale, refused, piped, small, tmp_path):
    veriscale("restore", "-", *TINY, "--scale", 2, "-o", tmp_path / "piped.png")
    again = ("restore", "--from", tmp_path / "piped.run.json", "-o", tmp_path / "again.png")
    assert "took its picture from standard input; give the picture again" in refused(*again)
    assert veriscale(*again, small)[0] == 0
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "piped.png").read_bytes()


def test_a_dry_run_writes_nothing(veriscale, piped):
    code, out, err = veriscale("restore", "-", *TINY, "--scale", 2, "-o", "-", "--dry-run")
    assert (code, out) == (0, "")
    assert "standard input: 16×12 to 32×24" in err


@pytest.mark.parametrize(
    "options, words",
    [
        (("-o", "-"), "no sidecar that tells what it is; say --scale or --operator"),
        (("--scale", 2), "has no name; say --output, a file, or - for standard output"),
        (("--scale", 2, "-o", "folder"), "has no name"),
        (("other.png", "--scale", 2, "-o", "-"), "Standard input is one picture; give - alone"),
        (("--scale", 2, "-o", "-", "--samples", 2), "takes one picture; leave out --samples"),
        (("--scale", 2, "-o", "-", "--dial", "0,1"), "leave out all positions of --dial but one"),
        (("--scale", 2, "-o", "-", "--report"), "leave out --report"),
        (("--scale", 2, "-o", "-", "--json"), "is a picture on stdout"),
    ],
)
def test_what_does_not_go_through_a_pipe(refused, piped, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    assert words in refused("restore", "-", *TINY, *options)
    assert [p.name for p in tmp_path.iterdir()] == ["small.png"]


def test_folders_and_masks_do_not_go_through_a_pipe(refused, cat, place, tmp_path):
    assert "leave out folders" in refused("restore", tmp_path, *TINY, "-o", "-")
    two = (place / "other" / "00.png", place / "other" / "01.png")
    assert "leave out all inputs but one" in refused("restore", *two, *TINY, "-o", "-")
    assert "leave out --certificate" in refused("restore", cat, "--certificate", place / "area.json", "-o", "-")


@pytest.mark.parametrize("content, words", [(b"prose", "is not an image of a known kind"), (b"", "has no bytes")])
def test_what_is_no_picture_is_called_by_its_name(refused, piped, content, words):
    piped(content)
    sentence = refused("restore", "-", *TINY, "--scale", 2, "-o", "-")
    assert sentence.startswith("veriscale: standard input is ")
    assert words in sentence


# ---- measurements

HALF = ("--operator", "downsample:factor=2")


def test_a_measurement_goes_through_a_pipe(small, tmp_path):
    command = [sys.executable, "-m", "veriscale", "degrade", "-", *HALF, "-o", "-", "--format", "tiff"]
    done = subprocess.run(command, stdin=small.open("rb"), capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    made = Image.open(io.BytesIO(done.stdout))
    assert (made.format, made.size) == ("TIFF", (8, 6))
    assert [p.name for p in tmp_path.iterdir()] == ["small.png"]


def test_what_is_piped_is_measured_as_its_file(veriscale, piped, small, tmp_path):
    noisy = (*HALF, "--noise", 0.1)
    assert veriscale("degrade", "-", *noisy, "-o", tmp_path / "piped.png")[0] == 0
    assert veriscale("degrade", small, *noisy, "-o", tmp_path / "file.png")[0] == 0
    for end in ("", ".measurement.json"):
        assert (tmp_path / f"piped.png{end}").read_bytes() == (tmp_path / f"file.png{end}").read_bytes()


def test_a_file_is_measured_to_stdout(small, tmp_path):
    command = [sys.executable, "-m", "veriscale", "degrade", "small.png", "--operator", "sensing:ratio=0.5", "-o", "-"]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.load(io.BytesIO(done.stdout)).dtype == np.float32
    assert [p.name for p in tmp_path.iterdir()] == ["small.png"]


@pytest.mark.parametrize(
    "ways, words",
    [
        (("-",), "What comes from standard input has no name; say --output"),
        (("-", "other.png", "-o", "-"), "Standard input is one picture; give - alone"),
        ((".", "-o", "-"), "Standard output takes one picture; leave out folders"),
        (("*.png", "-o", "-"), "leave out all inputs but one"),
    ],
)
def test_what_of_measurements_does_not_go_through_a_pipe(refused, piped, small, tmp_path, monkeypatch, ways, words):
    monkeypatch.chdir(tmp_path)
    small.with_name("b.png").write_bytes(small.read_bytes())
    assert words in refused("degrade", *ways, *HALF)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.png", "small.png"]


def test_what_is_no_picture_is_not_measured(refused, piped):
    piped(b"prose")
    sentence = refused("degrade", "-", *HALF, "-o", "-")
    assert sentence.startswith("veriscale: standard input is not an image of a known kind")


# ---- patterns that no shell has expanded


def test_a_pattern_stands_for_the_files_it_matches(veriscale, small, tmp_path):
    for name in ("b", "a", "c.x"):
        small.with_name(f"{name}.png").write_bytes(small.read_bytes())
    code, out, _ = veriscale("restore", tmp_path / "[ab].png", *TINY, "--scale", 2, "-o", tmp_path / "out")
    assert code == 0
    assert [line.rsplit("/")[-1] for line in out.splitlines() if line.endswith("png")] == ["a_x2.png", "b_x2.png"]
    one, _, _ = veriscale("restore", tmp_path / "s*.png", *TINY, "--scale", 2, "-o", tmp_path / "one.png")
    assert one == 0
    assert read_photo(tmp_path / "one.png").width == 32


def test_a_pattern_takes_what_a_folder_takes(veriscale, small, tmp_path):
    (tmp_path / "fold" / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/a.png", "notes.txt", "deep/raw.heic", "deep/README"):
        (tmp_path / "fold" / name).write_bytes(small.read_bytes())
    command = ("restore", tmp_path / "fold" / "**", *TINY, "--scale", 2, "-o", tmp_path / "fold" / "out")
    for _ in range(2):  # the second time, the results lie among what the pattern matches
        code, out, err = veriscale(*command, "--force")
        assert (code, err.splitlines()[0]) == (
            0,
            f"Pattern {command[1]}: 3 files are left out: 1 .heic, 1 .txt, 1 without extension.",
        )
        made = [line.rsplit("/out/")[1] for line in out.splitlines() if line.endswith("png")]
        assert made == ["a_x2.png", "deep/a_x2.png"]
    assert veriscale("restore", tmp_path / "fold", *TINY, "--scale", 2)[0] == 0
    assert veriscale(*command, "--skip-existing")[:2] == (0, "")


@pytest.mark.parametrize("name", ["notes.txt", "raw.heic", "a_x2.png"])
def test_a_pattern_without_a_picture_says_so(veriscale, refused, small, tmp_path, name):
    if name == "a_x2.png":
        small.rename(tmp_path / "a.png")
        veriscale("restore", tmp_path / "a.png", *TINY, "--scale", 2)
    else:
        (tmp_path / name).write_bytes(small.read_bytes())
    sentence = refused("restore", tmp_path / f"{name[:3]}*", *TINY, "--scale", 2)
    assert "is no picture, or a result of an earlier run; known: .png" in sentence


def test_a_file_of_that_name_comes_before_the_pattern(veriscale, small, tmp_path):
    (tmp_path / "[s]mall.png").write_bytes(small.read_bytes())
    _, out, _ = veriscale("restore", tmp_path / "[s]mall.png", *TINY, "--scale", 2, "-o", tmp_path / "out")
    assert out.splitlines()[0].endswith("/[s]mall_x2.png")


def test_a_pattern_that_matches_nothing_says_so(refused, tmp_path):
    assert "*.jpg; check the folder and the pattern" in refused("restore", tmp_path / "*.jpg", *TINY)


def test_names_and_patterns_that_begin_with_a_bracket(veriscale, small, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("[a].png", "a.png", "b.png"):
        (tmp_path / name).write_bytes(small.read_bytes())
    for command in (("restore", *TINY, "--scale", 2), ("degrade", *HALF)):
        for given, stems in (("[a].png", ["[a]"]), ("[ab]*.png", ["a", "b"])):
            code, out, err = veriscale(command[0], given, *command[1:], "-o", f"{command[0]}{len(stems)}")
            assert code == 0, err
            assert [line.rsplit("/")[-1][: len(stems[0])] for line in out.splitlines() if line.endswith("g")] == stems
    (tmp_path / "[x]").symlink_to(place / "other", target_is_directory=True)
    code, out, err = veriscale("evaluate", "[x]", *TINY, "--quiet")
    assert (code, out[:10]) == (0, "4 pictures"), err
    (tmp_path / "[y]").symlink_to(place / "calibration", target_is_directory=True)
    assert veriscale("calibrate", "[y]", *TINY, "-o", "[c].json", "--quiet")[0] == 0
    assert veriscale("calibrate", "[x][0]*.png", *TINY, "-o", "d.json", "--quiet")[0] == 2  # nothing matches that
    (tmp_path / "x0").symlink_to(place / "other", target_is_directory=True)
    assert veriscale("evaluate", "[x][0]/*.png", *TINY, "--quiet")[1][:10] == "4 pictures"
