"""Processes that find the libraries loaded: this one imports them once and forks for each command.

    python benchmarks/warm_start.py < requests > answers

A request is a line of JSON with `arguments` of the interpreter (`-m MODULE …` or `FILE …`), the folder `cwd`, and the
files `stdout` and `stderr`; the answer is a line with its exit code. Each command is a process of its own with the
checkout's code imported anew; only torch and the like are in memory already, which is most of what a short command
takes.
"""

import gc
import json
import os
import runpy
import signal
import sys
import time
from contextlib import suppress
from importlib import import_module

LIBRARIES = (
    "torch",
    "scipy.ndimage",
    "scipy.stats",
    "scipy.optimize",
    "PIL.Image",
    "tifffile",
    "imagecodecs",
    "cyclopts",
)
LIBRARIES += ("rich.progress", "msgspec", "jinja2", "safetensors.numpy", "safetensors.torch")
PATIENCE = 300.0  # seconds a command may take
POLL = 0.01


def serve() -> dict[str, object] | None:
    """Answer requests until there are none; in the process of a command, that request is returned."""
    for line in sys.stdin:
        request = json.loads(line)
        process = os.fork()
        if process == 0:
            return request
        print(json.dumps({"code": _ended(process)}), flush=True)
    return None


def become(request: dict[str, object]) -> None:
    """Take the command's place: its folder, streams and arguments. What it raises ends this process as it would it."""
    os.chdir(request["cwd"])
    for stream, name in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        file = os.open(name, os.O_RDONLY if stream == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, stream)
        os.close(file)
    sys.stdin = open(0)  # noqa: SIM115  # the old one has read ahead
    sys.path[0] = str(request["cwd"])
    first, *rest = request["arguments"]
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")


def _ended(process: int) -> int:
    """The exit code of a process; the signal's number, negative, where one ended it."""
    end = time.monotonic() + PATIENCE
    while True:
        found, status = os.wait4(process, os.WNOHANG)[:2]
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
        time.sleep(POLL)


if __name__ == "__main__":
    for library in LIBRARIES:
        with suppress(ImportError):  # a checkout may do without
            import_module(library)
    gc.freeze()  # what is loaded is nobody's garbage
    command = serve()
    if command is not None:
        become(command)
