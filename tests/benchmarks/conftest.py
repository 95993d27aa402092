import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A script of benchmarks/ as a module, by its name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def write_package(tmp_path: Path) -> Callable[..., Path]:
    """A checkout with a package of the given files; returns its folder."""

    def write(name: str = "checkout", **files: str) -> Path:
        package = tmp_path / name / "src" / "veriscale"
        for path, source in {"__init__": "", **files}.items():
            file = package / f"{path.replace('__in__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        return tmp_path / name

    return write
