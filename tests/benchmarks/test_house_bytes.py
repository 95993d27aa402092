"""Two checkouts that differ are told apart, whatever differs; times and versions are not taken for a difference."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from veriscale.cli.main import run

MAIN = """
import sys, time
from pathlib import Path
Path("result.png").write_bytes(b"{pixels}")
Path("result.run.json").write_text('{{"seconds": {{"all": ' + str(time.time()) + '}}, "dial": {dial}}}')
Path("input.txt").unlink()
print("{said}")
sys.exit({code})
"""
SAME = {"pixels": "pixels", "dial": 0, "said": "done", "code": 0}


@pytest.fixture
def house(benchmark, monkeypatch, tmp_path):
    """house_runs in a folder of its own, with one input."""
    runs = benchmark("house_runs")
    for name, place in {"HOUSE": "house", "WORK": "house/work", "HOME": "house/home"}.items():
        monkeypatch.setattr(runs, name, tmp_path / place)
    (tmp_path / "house").mkdir()

    def write_inputs(folder: Path, shipped: Path) -> None:
        folder.mkdir()
        (folder / "input.txt").write_text("an input")

    monkeypatch.setattr(runs, "write_inputs", write_inputs)
    return runs


@pytest.fixture
def outputs(benchmark, house, write_package):
    """What a command that is written like this leaves behind."""

    def call(side: str = "before", **changes: object) -> dict[str, bytes]:
        folder = write_package(side, __main__=MAIN.format(**{**SAME, **changes}))
        (folder / "src" / "veriscale" / "photo.safetensors").touch()
        command = benchmark("house_matrix").Command("a group", "a", "restore")
        runs = house.Runs(benchmark("checkout").Checkout(side, folder), {"a": command}, cold=True)
        runs.run("a")
        return runs.outputs("a")

    return call


def test_one_code_makes_no_difference(house, outputs):
    before, after = outputs(), outputs("after")
    assert set(before) == {"stdout", "stderr", "exit code", "result.png", "result.run.json", "input.txt is gone"}
    assert house.differences(before, after) == {}


@pytest.mark.parametrize(
    "change, output",
    [
        ({"pixels": "pixelz"}, "result.png"),
        ({"dial": 1}, "result.run.json"),
        ({"said": "Done"}, "stdout"),
        ({"code": 2}, "exit code"),
    ],
)
def test_what_differs_is_named(house, outputs, change, output):
    assert list(house.differences(outputs(), outputs("after", **change))) == [output]


def test_a_file_too_few_or_too_many(house):
    kept = {"stdout": b"", "a.png": b"1"}
    assert list(house.differences(kept, {"stdout": b""})) == ["a.png"]
    assert list(house.differences({"stdout": b""}, kept)) == ["a.png"]


def test_what_ran_is_kept_until_the_code_changes(benchmark, house, outputs, write_package):
    among = {"a": benchmark("house_matrix").Command("a group", "a", "restore")}
    outputs()
    checkout = benchmark("checkout").Checkout

    def missing(side, **changes):
        folder = write_package(side, __main__=MAIN.format(**{**SAME, **changes}))
        return house.Runs(checkout("before", folder), among).missing(["a"])

    assert missing("before") == []
    assert missing("before", said="More") == ["a"]


RUN = """{
  "versions": {
    "veriscale": "0.1.0",
    "torch": "2.13.0"
  },
  "seconds": {
    "anchor": 0.052,
    "sample": 1e-05
  },
  "steps": 8,
  "peak_memory_mb": 329
}"""
PAGE = '<th scope="row">time</th><td>anchor 0.1 s, sample 1.5 s</td><th scope="row">version</th><td>0.1.0</td>'


@pytest.mark.parametrize(
    "name, text, forgiven, changed",
    [
        ("a.run.json", RUN, [("0.052", "31.5"), ("1e-05", "2"), ("0.1.0", "9"), ("329", "400")], [("8", "9")]),
        ("a.run.json", RUN, [], [("anchor", "start"), ("    ", "  "), ('"seconds"', '"times"')]),
        ("a.html", PAGE, [("0.1 s", "7 s"), ("0.1.0", "0.2")], [("sample", "draw"), ("time", "Time")]),
        (
            "stderr",
            "a: encode: 3 of 4, 17 s left\nsaid\n",
            [("a: encode: 3 of 4, 17 s left\n", "")],
            [("said", "Said")],
        ),
        ("stderr", "2 of 3 done in 4 s.\n", [("4", "11")], [("2 of", "3 of"), ("done", "ready")]),
        ("stdout", "photo: /here/src/photo.safetensors\n", [("/here", "<checkout>")], [("photo:", "foto:")]),
        ("a.csv", "encoder,50,0.3,0.02\n", [("0.3", "0.4")], [("0.02", "0.03"), ("50", "51")]),
        ("a.png", RUN, [], [("0.052", "0.053")]),
    ],
)
def test_times_and_versions_are_forgiven_and_nothing_else(benchmark, name, text, forgiven, changed):
    normal = benchmark("house_normal").normal

    def seen(text):
        return normal(name, text.encode(), Path("/here"))

    for old, new in forgiven:
        assert seen(text.replace(old, new)) == seen(text), old
    for old, new in changed:
        assert seen(text.replace(old, new)) != seen(text), old


def test_of_a_prior_the_seconds_are_forgiven(benchmark):
    normal = benchmark("house_normal").normal

    def prior(value, **card):
        text = json.dumps({"seconds": 1.5, "steps": 3, **card}, separators=(",", ":"))
        tensors = {"a": np.full(3, value)}
        return normal("a.safetensors", save(tensors, {"card": text, "card_sha256": str(hash(text))}), Path())

    assert prior(1) == prior(1, seconds=22.75)
    assert prior(1) != prior(2)
    assert prior(1) != prior(1, steps=4)


def test_the_matrix_is_whole(benchmark):
    commands, matrix = benchmark("house_commands"), benchmark("house_matrix")
    among = matrix.commands()
    assert len(among) >= 25
    order = matrix.chosen([], among)
    assert sorted(order) == sorted(among)
    for name, command in among.items():
        assert command.arguments
        assert all(order.index(n) < order.index(name) for n in command.needs)
    lines = [c.line for c in among.values() if c.group == "shipped"]
    assert [line.split()[3] for line in lines] == list(commands.SHIPPED)
    shipped = Path(__file__).parents[2] / "src" / "veriscale" / "priors"
    assert sorted(commands.SHIPPED) == sorted(p.stem for p in shipped.glob("photo*.json"))  # of scans there were none


def test_what_is_asked_for_brings_what_it_needs(benchmark):
    matrix = benchmark("house_matrix")
    among = matrix.commands()
    assert matrix.chosen(["from-certificate"], among) == ["calibrate", "mask", "from-certificate"]
    assert matrix.chosen(["priors"], among)[-1] == "priors-own-json"
    assert matrix.chosen(["no such"], among) == []


LATER = {
    "--sigma0",
    "--ensemble",
    "--quality",
    "--strip",
    "--spacing",
    "--thickness",
    "--volume",
    "--dicom-out",
    "--guide",
    "--another-patient",
    "--bound",
    "--prompt",
    "--negative-prompt",
    "--guidance",
}  # what the checkout before did not have has nothing to be compared with


@pytest.mark.parametrize("name", ["restore", "degrade", "evaluate", "calibrate", "train"])
def test_every_option_is_in_the_matrix(benchmark, capfd, name):
    run([name, "--help"])
    options = set(re.findall(r"--[a-z][a-z0-9-]*", capfd.readouterr().out)) - {"--help", "--version"}
    lines = [c.line for c in benchmark("house_matrix").commands().values() if c.line.startswith(f"{name} ")]
    used = {"--output" if word == "-o" else word for line in lines for word in line.split()}
    assert options
    later = LATER | {"evaluate": {"--samples"}, "calibrate": {"--alpha"}}.get(name, set())
    assert options - later <= used
