"""Whatever a tool does, as a real process, is a picture or one sentence, and nothing stays behind."""

import fcntl
import os
import shlex
import signal
import sys
import tempfile
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from veriscale.imaging.photo import Photo
from veriscale.imaging.write import write_photo
from veriscale.workflows.tools import black_box
from veriscale.workflows.tools.black_box import ToolError, run_tool
from veriscale.workflows.tools.command_template import parse_command

PYTHON = shlex.quote(sys.executable)
TOOLS = shlex.quote(str(Path(__file__).parent))
LONG = 30.0  # seconds: a limit that is not reached


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where temporary folders go: empty again after every test, whatever the tool did."""
    folder = tmp_path / "a temporary folder"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


def picture(channels=3, depth=8, alpha=None, grey=False):
    shape = (6, 5, 1 if grey else channels)
    values = np.random.default_rng(0).integers(0, 2**depth, shape) / np.float32(2**depth - 1)
    samples = np.ascontiguousarray(np.broadcast_to(values, (6, 5, channels)), np.float32)
    return Photo(samples, None if alpha is None else np.full((6, 5), alpha, np.float32), depth)


def enlarged(samples):
    return samples.repeat(4, axis=0).repeat(4, axis=1)


def enlarge(way, photo, **options):
    return run_tool(parse_command(f"{PYTHON} {TOOLS}/enlarge.py '{way}' {{in}} {{out}}"), photo, 4, timeout=LONG)


def misbehave(how, *rest, timeout=LONG, scale=4):
    words = shlex.join(map(str, rest)).replace("{", "{{").replace("}", "}}")
    template = parse_command(f"{PYTHON} -I -S {TOOLS}/misbehave.py {shlex.quote(how)} {{in}} {{out}} {words}")
    return run_tool(template, picture(), scale, timeout=timeout)


def is_held(lock, patience=10.0):
    """Whether a process still lives that locked this file; a killed one may take a moment to go."""
    assert lock.read_text().isdigit()
    end = time.monotonic() + patience
    with lock.open("r+") as file:
        while time.monotonic() < end:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.01)
            else:
                return False
    return True


# ---- what a good tool makes


@pytest.mark.parametrize("photo", [picture(3), picture(1), picture(3, depth=16), picture(3, alpha=0.6)])
def test_a_tool_gets_the_picture_as_it_is_and_gives_it_back_larger(photo):
    made = enlarge("same", photo)
    assert np.array_equal(made.pixels, enlarged(photo.pixels))
    assert (made.alpha is None) == (photo.alpha is None)
    assert made.bit_depth == photo.bit_depth


def test_profile_and_format_are_the_pictures_and_the_resolution_grows():
    given = picture()
    given = Photo(given.pixels, icc=b"profile", dpi=(72.0, 96.0), format="jpeg")
    made = enlarge("same", given)
    assert (made.icc, made.dpi, made.format) == (b"profile", (288.0, 384.0), "jpeg")


def test_exif_is_the_pictures_and_the_tool_does_not_see_it(monkeypatch):
    seen = []
    monkeypatch.setattr(black_box, "write_photo", lambda p, path: [seen.append(p.exif), write_photo(p, path)])
    assert enlarge("same", Photo(picture().pixels, exif=b"block")).exif == b"block"
    assert seen == [None]


def test_a_tool_may_write_more_bits_than_it_was_given():
    made = enlarge("16 bits", picture())
    assert made.bit_depth == 16
    assert np.allclose(made.pixels, enlarged(picture().pixels), atol=1e-7)


def test_floating_point_is_clipped_on_both_sides():
    given = picture(depth=32)
    given = given.with_pixels(np.linspace(-0.5, 1.5, 90, dtype=np.float32).reshape(6, 5, 3))
    made = enlarge("same", given)
    assert made.bit_depth == 16
    assert np.allclose(made.pixels, enlarged(given.pixels.clip(0, 1)), atol=1e-5)
    made = enlarge("float", picture())
    assert np.allclose(made.pixels, enlarged((picture().pixels * 255 / 128 - 0.25).clip(0, 1)), atol=1e-6)
    assert made.pixels.min() == 0
    assert made.pixels.max() == 1


def test_channels_are_the_pictures():
    given = picture(1)
    made = enlarge("colour", given)
    luma = enlarged(given.pixels) * (0.299 + 0.587) + 0.114
    assert np.allclose(made.pixels, luma, atol=1e-6)
    without_colour = picture(3, grey=True)
    assert np.array_equal(enlarge("grey", without_colour).pixels, enlarged(without_colour.pixels))
    with pytest.raises(ToolError, match="grey picture of a coloured one"):
        enlarge("grey", picture())


def test_an_opaque_alpha_is_none():
    assert enlarge("opaque", picture()).alpha is None
    assert enlarge("without alpha", picture(alpha=1.0)).alpha is None


def test_transparency_neither_comes_nor_goes():
    with pytest.raises(ToolError, match="partly transparent picture of an opaque one"):
        enlarge("transparent", picture())
    with pytest.raises(ToolError, match="lost the picture's transparency"):
        enlarge("without alpha", picture(alpha=0.6))


def test_the_size_is_exact():
    with pytest.raises(ToolError, match=r"wrote 20 × 23 pixels; 4 times 5 × 6 is 20 × 24\.$"):
        enlarge("a row less", picture())


# ---- what a tool finds


def test_relative_names_are_the_callers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("copy.py").write_text("import shutil, sys; shutil.copy(*sys.argv[1:])")
    made = run_tool(parse_command(f"{PYTHON} copy.py {{in}} {{out}}"), picture(), 1, timeout=LONG)
    assert np.array_equal(made.pixels, picture().pixels)
    with pytest.raises(ToolError, match=str(tmp_path)):
        misbehave("says its folder")


def test_no_shell_touches_the_words():
    words = ["$HOME", "*", "~", "a b", "{in}", "`id`", "", "'"]
    with pytest.raises(ToolError) as error:
        misbehave("says its words", *words)
    assert repr(words) in str(error.value)


def test_stdin_is_at_its_end():
    misbehave("reads stdin", scale=1)


def test_a_tool_that_spoils_its_input_spoils_a_copy():
    assert np.array_equal(misbehave("spoils its input", scale=1).pixels, picture().pixels)


# ---- what a bad tool does


@pytest.mark.parametrize("how", ["hangs", "ignores SIGTERM"])
def test_time_runs_out(how):
    start = time.monotonic()
    with pytest.raises(ToolError, match=r"^The tool did not finish within 0\.5 s and was stopped\.$"):
        misbehave(how, timeout=0.5)
    assert 0.5 <= time.monotonic() - start < 1.4


def test_grandchildren_die_at_the_time_out(tmp_path):
    with pytest.raises(ToolError, match="did not finish"):
        misbehave("hangs with a child", tmp_path / "lock", timeout=1.0)
    assert not is_held(tmp_path / "lock")


def test_children_left_behind_die_and_are_not_waited_for(tmp_path):
    misbehave("leaves a child", tmp_path / "lock", scale=1)
    assert not is_held(tmp_path / "lock")


def test_a_daemon_that_holds_stderr_does_not_keep_us(tmp_path):
    start = time.monotonic()
    misbehave("leaves a daemon", tmp_path / "lock", scale=1)
    assert time.monotonic() - start < 5
    assert is_held(tmp_path / "lock", 1.0)  # the documented limit, and the proof that the lock tells the living
    os.kill(int((tmp_path / "lock").read_text()), signal.SIGKILL)


def test_an_interrupt_kills_the_tool(tmp_path):
    def interrupt():
        while not lock.exists() or not lock.stat().st_size:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    lock = tmp_path / "lock"
    thread = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            misbehave("hangs with a child", lock)
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert not is_held(lock)


@pytest.mark.parametrize(
    "how, sentence",
    [
        ("fails", r"ended with exit code 3; its last words: “no model \?found”\.$"),
        ("fails in silence", r"ended with exit code 1; it said nothing on stderr\.$"),
        ("crashes", r"was ended by signal 11, Segmentation fault; it said nothing on stderr\.$"),
        ("writes nothing", r"wrote nothing at \{out\}\.$"),
        ("removes the folder", r"wrote nothing at \{out\}\.$"),
        ("writes a name of its own", r"wrote nothing at \{out\}, but a file 'out\.png\.jpg'; \{out\} is the whole"),
        ("writes an empty file", r"output cannot be used: out\.png is empty"),
        ("writes text", r"output cannot be used: out\.png is not an image of a known kind"),
        ("writes half a picture", r"output cannot be used: out\.png"),
        ("makes a folder", r"output cannot be used: out\.png is a folder"),
        ("makes a pipe", r"output cannot be used: out\.png is a device"),
    ],
)
def test_every_failure_is_one_sentence(how, sentence):
    with pytest.raises(ToolError, match=sentence) as error:
        misbehave(how)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("how, words", [("floods", "“enough”"), ("floods without a line break", "“�?é{199,200}”")])
def test_megabytes_of_words_are_heard_to_the_end_and_not_kept(how, words):
    tracemalloc.start()
    try:
        with pytest.raises(ToolError, match=words):
            misbehave(how)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_a_program_that_the_system_refuses(tmp_path):
    tool = tmp_path / "tool"
    tool.write_text("#!/nowhere/at/all\n")
    tool.chmod(0o755)
    with pytest.raises(ToolError, match=r"^The tool cannot be started: No such file or directory\.$"):
        run_tool(parse_command(f"{tool} {{in}} {{out}}"), picture(), 4, timeout=LONG)
