"""Running anybody's upscaler on one picture: a process that turns a file into a file."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import IO

from veriscale.errors import InputError
from veriscale.imaging.colour import as_channels
from veriscale.imaging.photo import Array, Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo
from veriscale.workflows.tools.command_template import CommandTemplate

_TAIL = 4096  # bytes kept of what a tool says on stderr, however much that is
_LINE = 200  # characters of it shown
_POLL = 0.01  # seconds between looks whether the tool has ended
_PATIENCE = 1.0  # seconds for what was killed to be gone; a process stuck in a driver may never be


class ToolError(Exception):
    """The tool failed on this one picture; the message is one sentence. On others it may succeed."""


def run_tool(template: CommandTemplate, picture: Photo, scale: int, *, timeout: float) -> Photo:
    """Give a picture to a tool and read what it makes of it.

    The tool runs without a shell in the caller's working folder, so that relative names in its command mean what they
    mean to the caller; both files lie in a fresh folder that is removed in any case. It gets a copy: a PNG of the
    picture's 8 or 16 bits (floating point becomes 16, clipped to [0, 1]) with its alpha and profile. Its stdin is
    empty and its stdout goes nowhere. When it ends, its time is up or the user interrupts, every process of its group
    is killed; one that left the group is out of reach. On Windows only the tool itself is killed.

    Args:
        template: the checked command line.
        picture: (h, w, C) in [0, 1].
        scale: the output must have exactly scale × h rows and scale × w columns.
        timeout: seconds the tool may take.

    Returns:
        (scale × h, scale × w, C) in [0, 1], with the depth and alpha of the tool's output and the picture's format and
        profile (unless the tool wrote one). Colour made of a grey picture becomes its luma, and grey made of a picture
        whose channels are equal becomes such a picture again. An opaque alpha is the same as none.

    Raises:
        ToolError: the tool cannot be started, runs out of time, fails, writes nothing or no picture at {out}, or one
            of another size, without the picture's colours or transparency, or with transparency of its own.
        InputError: the temporary folder cannot be written to.
    """
    with tempfile.TemporaryDirectory(prefix="veriscale-", ignore_cleanup_errors=True) as folder:
        source, target = Path(folder, "in.png"), Path(folder, "out.png")
        write_photo(replace(picture, exif=None), source)
        _run(template.words(str(source), str(target)), timeout, template.hidden)
        output = _read(target)
    height, width = scale * picture.height, scale * picture.width
    if (output.height, output.width) != (height, width):
        raise ToolError(
            f"The tool wrote {output.width} × {output.height} pixels; "
            f"{scale} times {picture.width} × {picture.height} is {width} × {height}."
        )
    dpi = None if picture.dpi is None else (picture.dpi[0] * scale, picture.dpi[1] * scale)
    samples, alpha = _samples(output, picture), _alpha(output, picture)
    return Photo(samples, alpha, output.bit_depth, output.icc or picture.icc, dpi, picture.format, picture.exif)


def _run(words: Sequence[str], timeout: float, hidden: Callable[[str], str]) -> None:
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        # Only the main thread is interrupted, and there it can happen after the tool has started and before we know it.
        try:
            pool.submit(_attend, words, timeout, hidden, stop).result()
        finally:
            stop.set()


def _attend(words: Sequence[str], timeout: float, hidden: Callable[[str], str], stop: Event) -> None:
    try:
        process = subprocess.Popen(
            words,
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolError(f"The tool cannot be started: {error.strerror}.") from error
    tail = bytearray()
    # A thread, since a child that outlives the tool may hold the pipe open for ever.
    listener = Thread(target=_listen, args=(process.stderr, tail), daemon=True)
    listener.start()
    end = time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < end and not stop.wait(_POLL):
        pass
    code = process.poll()
    _kill(process)
    listener.join(_PATIENCE)  # the pipe ends with the last of them: from then on nothing is written
    if code is None:
        raise ToolError(f"The tool did not finish within {timeout:g} s and was stopped.")
    if code:
        how = f"was ended by signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"ended with exit code {code}"
        line = _last_line(hidden(tail.decode(errors="replace")))
        raise ToolError(f"The tool {how}; " + (f"its last words: “{line}”." if line else "it said nothing on stderr."))


def _listen(stream: IO[bytes], tail: bytearray) -> None:
    with stream:
        while block := stream.read(1 << 16):
            tail += block
            del tail[:-_TAIL]


def _kill(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # none left; macOS says the latter of a zombie
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines()]
    last = next(filter(None, reversed(lines)), "")
    return "".join(c if c.isprintable() else "?" for c in last)[:_LINE]


def _read(target: Path) -> Photo:
    if not os.path.lexists(target):
        others = sorted(f.name for f in target.parent.glob("*") if f.name != "in.png")
        but = f", but a file {others[0]!r}; {{out}} is the whole name of its output" if others else ""
        raise ToolError(f"The tool wrote nothing at {{out}}{but}.")
    try:
        return read_photo(target)
    except InputError as error:
        reason = str(error).replace(str(target), target.name)  # the folder will be gone
        raise ToolError(f"The tool's output cannot be used: {reason}.") from error


def _samples(output: Photo, picture: Photo) -> Array:
    samples = output.pixels.clip(0, 1) if output.bit_depth == 32 else output.pixels
    if output.channels < picture.channels and (picture.pixels != picture.pixels[..., :1]).any():
        raise ToolError("The tool wrote a grey picture of a coloured one.")
    return as_channels(samples, picture.channels)


def _alpha(output: Photo, picture: Photo) -> Array | None:
    made, given = (p.alpha if p.alpha is not None and (p.alpha < 1).any() else None for p in (output, picture))
    if made is not None and given is None:
        raise ToolError("The tool wrote a partly transparent picture of an opaque one.")
    if made is None and given is not None:
        raise ToolError("The tool lost the picture's transparency; flatten the picture first.")
    return made
