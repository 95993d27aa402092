"""A forked command is a process of its own: folder, arguments, streams, exit code, modules."""

import json
import subprocess
import sys

import pytest
from tests.benchmarks.conftest import BENCHMARKS

MAIN = """
import os, sys, veriscale
veriscale.seen.append(1)
print(os.getcwd(), __name__, sys.argv[1:], len(veriscale.seen), sys.stdin.read())
print("said", file=sys.stderr)
"""


@pytest.fixture
def answers(write_package, tmp_path):
    """Each command's exit code, stdout and stderr, by a server that finds none of the libraries."""
    (tmp_path / "torch.py").write_text("raise ImportError")

    def call(*commands, **files):
        folder = write_package(**{"__init__": "seen = []", **files})
        streams = [(tmp_path / f"{k}.out", tmp_path / f"{k}.err") for k in range(len(commands))]
        requests = [
            json.dumps({"arguments": a, "cwd": str(folder), "stdout": str(o), "stderr": str(e)})
            for a, (o, e) in zip(commands, streams, strict=True)
        ]
        done = subprocess.run(
            [sys.executable, BENCHMARKS / "warm_start.py"],
            input="\n".join(requests),
            env={"PYTHONPATH": f"{tmp_path}:{folder / 'src'}"},
            capture_output=True,
            text=True,
            check=True,
        )
        codes = [json.loads(line)["code"] for line in done.stdout.splitlines()]
        return folder, [(c, o.read_text(), e.read_text()) for c, (o, e) in zip(codes, streams, strict=True)]

    return call


def test_one_does_not_see_the_other(answers):
    folder, found = answers(["-m", "veriscale", "a", "b"], ["-m", "veriscale"], __main__=MAIN)
    assert found == [(0, f"{folder} __main__ ['a', 'b'] 1 \n", "said\n"), (0, f"{folder} __main__ [] 1 \n", "said\n")]


@pytest.mark.parametrize(
    "body, code, words",
    [
        ("sys.exit(2)", 2, ""),
        ("sys.exit('a sentence')", 1, "a sentence\n"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("os.kill(os.getpid(), 9)", -9, ""),
        ("import atexit; atexit.register(print, 'last', file=sys.stderr)", 0, "last\n"),
    ],
)
def test_the_end_of_a_command(answers, body, code, words):
    _, [(found, out, err)] = answers(["-m", "veriscale"], __main__=f"import os, sys\n{body}")
    assert (found, out) == (code, "")
    assert words in err


def test_a_script(answers, tmp_path):
    (tmp_path / "script.py").write_text("import sys\nprint(__name__, sys.argv[1:])")
    _, found = answers([str(tmp_path / "script.py"), "1"])
    assert found == [(0, "__main__ ['1']\n", "")]
