import importlib.util
import json
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "results.py"
spec = importlib.util.spec_from_file_location("benchmark_results", PATH)
results = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = results  # dataclasses look their module up
spec.loader.exec_module(results)
Row = results.Row


@pytest.mark.parametrize(
    "bar, inside, outside",
    [
        (">= 27.2", [27.2, 30], [27.19, -30]),
        ("> 5", [5.1], [5, 4]),
        ("<= 1", [1, -7], [1.01]),
        ("< -1", [-1.5], [-1, 0]),
        ("-1..1", [-1, 0, 1], [-1.1, 1.1]),
        ("0.15..0.35", [0.25], [0.1]),
        ("<= 1e-4", [1e-5], [2e-4]),
    ],
)
def test_a_bar_says_what_holds(bar, inside, outside):
    assert all(Row("a.b", "", value, bar=bar).holds for value in inside)
    assert not any(Row("a.b", "", value, bar=bar).holds for value in outside)


@pytest.mark.parametrize("bar", ["27.2", "=> 3", ">= x", "1 - 2", "", ">= 1 <= 2"])
def test_a_bar_that_cannot_be_read_is_refused(bar):
    with pytest.raises(ValueError, match="is not a bar"):
        Row("a.b", "", 1.0, bar=bar)


@pytest.mark.parametrize("interval", [(1.0, 0.9, 1.1), (1.1, 0.9)])
def test_an_interval_has_two_ends(interval):
    with pytest.raises(ValueError, match="two ends"):
        Row("a.b", "", 1.0, interval=interval)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"a\.b"):
        Row("a.b", "", float("nan"))
    with pytest.raises(ValueError, match=r"a\.b"):
        Row("a.b", "", 1.0, against={"bicubic": float("inf")})


def test_a_file_keeps_rows_commit_and_machine(tmp_path):
    rows = [Row("a.b", "what", 27.1999999, "dB", (27.0, 27.4), ">= 27.2", {"bicubic": 25.96}), Row("a.c", "count", 3)]
    path = results.write_results("table", rows, "a note", 12.3456789, tmp_path)
    content = json.loads(path.read_text())
    assert list(content) == ["benchmark", "commit", "machine", "seconds", "rows", "notes"]
    assert content["rows"][0] == {
        "id": "a.b",
        "what": "what",
        "value": 27.2,
        "unit": "dB",
        "interval": [27.0, 27.4],
        "bar": ">= 27.2",
        "holds": True,
        "against": {"bicubic": 25.96},
    }
    assert content["rows"][1] == {"id": "a.c", "what": "count", "value": 3, "unit": ""}
    assert "cores" in content["machine"]
    assert [file.name for file in tmp_path.iterdir()] == ["table.json"]


def test_two_rows_of_one_id_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"share an id: a\.b"):
        results.write_results("table", [Row("a.b", "", 1.0), Row("a.b", "", 2.0)], "", 1.0, tmp_path)
    assert not list(tmp_path.iterdir())
