"""The tracer counts what is called after import; circles and lines are read off the files."""

import json
import subprocess
import sys

import pytest
from tests.benchmarks.conftest import BENCHMARKS

MAIN = """
from veriscale.first import begin
begin()
"""
FIRST = """
from veriscale.second import helped, twice
twice()  # on import: counts nowhere
def begin():
    from veriscale.third import Last  # another module's body
    own()
    twice()
    twice()
    sorted([2, 1], key=helped)  # past a library's function
    Last().value
def own():
    pass
"""
SECOND = """
def twice():
    return helped(1)
def helped(x):
    return x
"""
THIRD = """
from veriscale.second import twice
class Last:
    number = twice()
    @property
    def value(self):
        return [x for x in self.numbers()]
    def numbers(self):
        yield 1
        yield 2
"""


def test_moves_are_calls_from_another_file(write_package, tmp_path):
    folder = write_package(__main__=MAIN, first=FIRST, second=SECOND, third=THIRD, fourth="def unused(): pass")
    output = tmp_path / "trace.json"
    tracer = [sys.executable, BENCHMARKS / "house_tracer.py", folder / "src" / "veriscale", output, "restore"]
    subprocess.run(tracer, check=True, env={"PYTHONPATH": str(folder / "src")})
    seen = json.loads(output.read_text())
    assert seen["files"] == ["first.py", "second.py", "third.py"]
    assert sorted(seen["moves"]) == [["first.py", "second.py", 4], ["first.py", "third.py", 1]]


@pytest.mark.parametrize(
    "first, second, count",
    [
        ("import veriscale.second", "x = 1", 0),
        ("import veriscale.second", "from veriscale.first import x", 1),
        ("from veriscale import second", "def f():\n    from veriscale import first", 1),
        ("from .second import x", "class A:\n    def f(self):\n        from . import first", 1),
        ("import veriscale.second", "if TYPE_CHECKING:\n    import veriscale.first", 0),
        ("import veriscale.second", "if TYPE_CHECKING:\n    x = 1\nelse:\n    import veriscale.first", 1),
        ("import veriscale.third", "import veriscale.third", 0),
    ],
)
def test_circles_of_imports(benchmark, write_package, first, second, count):
    folder = write_package(first=first, second=second, third="x = 1")
    found = benchmark("house_shape").circles(folder / "src" / "veriscale")
    assert found == [["veriscale.first", "veriscale.second"]] * count


def test_two_circles_are_two(benchmark, write_package):
    pairs = {"a": "b", "b": "a", "c": "d", "d": "e", "e": "c", "f": "a"}
    folder = write_package(**{name: f"import veriscale.{other}" for name, other in pairs.items()})
    found = benchmark("house_shape").circles(folder / "src" / "veriscale")
    assert sorted(map(len, found)) == [2, 3]


def test_lines_are_those_of_wc(benchmark, write_package):
    folder = write_package(first="x = 1\n\n# why\n", second="y = 2\n")
    assert benchmark("house_shape").lines(folder / "src") == 4
