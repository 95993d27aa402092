"""misbehave.py HOW IN OUT [FILE]: what a tool should not do. Imports Python alone, to start quickly."""

import fcntl
import os
import shutil
import signal
import sys
import time
from pathlib import Path

how, source, target, *rest = sys.argv[1:]


def hang():
    time.sleep(30)


def fork_one_that_stays(session=False):
    """The child holds a lock on FILE, where it writes its number, until it dies."""
    if os.fork() == 0:
        if session:
            os.setsid()
        with open(rest[0], "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(str(os.getpid()))
            file.flush()
            hang()
        os._exit(0)
    while not (os.path.exists(rest[0]) and os.path.getsize(rest[0])):
        time.sleep(0.005)


def say(stream, text, megabytes=8):
    for _ in range(megabytes):
        stream.write(text * ((1 << 20) // len(text)))


if how == "hangs":
    hang()
elif how == "ignores SIGTERM":
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    hang()
elif how == "hangs with a child":
    fork_one_that_stays()
    hang()
elif how == "leaves a child":
    fork_one_that_stays()
    shutil.copy(source, target)
elif how == "leaves a daemon":
    fork_one_that_stays(session=True)
    shutil.copy(source, target)
elif how == "fails":
    print("loading", file=sys.stderr)
    print("no model \x1bfound\n", file=sys.stderr)
    sys.exit(3)
elif how == "fails in silence":
    sys.exit(1)
elif how == "crashes":
    os.kill(os.getpid(), signal.SIGSEGV)
elif how == "floods":
    say(sys.stdout, "line\n")
    say(sys.stderr, "line\n")
    sys.exit("enough")
elif how == "floods without a line break":
    say(sys.stderr, "é")
    sys.exit(1)
elif how == "reads stdin":
    if sys.stdin.read() == "":
        shutil.copy(source, target)
elif how == "spoils its input":
    shutil.copy(source, target)
    Path(source).write_bytes(b"spoilt")
elif how == "removes the folder":
    shutil.rmtree(os.path.dirname(target))
elif how == "says its words":
    sys.exit(repr(rest))
elif how == "says its folder":
    sys.exit(os.getcwd())
elif how == "writes a name of its own":
    shutil.copy(source, target + ".jpg")
elif how == "writes an empty file":
    Path(target).touch()
elif how == "writes text":
    Path(target).write_text("done")
elif how == "writes half a picture":
    data = Path(source).read_bytes()
    Path(target).write_bytes(data[: len(data) // 2])
elif how == "makes a folder":
    Path(target).mkdir()
elif how == "makes a pipe":
    os.mkfifo(target)
