from collections.abc import Callable
from pathlib import Path

import pytest

from veriscale.cli.main import run


@pytest.fixture
def veriscale(capfd: pytest.CaptureFixture[str], tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Run a command in this process: (exit code, stdout, stderr)."""
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def refused(veriscale: Callable) -> Callable:
    """Run a command that must be refused in one sentence; returns the sentence."""

    def call(*arguments: object) -> str:
        code, out, err = veriscale(*arguments)
        assert code == 2, err
        assert out == ""
        assert "Traceback" not in err
        complaints = [line for line in err.splitlines() if line.startswith("veriscale: ")]
        assert len(complaints) == 1, err
        return complaints[0]

    return call
