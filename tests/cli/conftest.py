import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import RESIZE
from tests.workflows.photographs import write_crops, write_measurement

import veriscale as library
from veriscale.cli.main import run
from veriscale.workflows.certifying.calibration import calibrate

TINY = ("--prior", "tiny", "--device", "cpu")
CPU = ("--device", "cpu")
QUICK = {"sampler": "heun", "steps": 2}


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


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


@pytest.fixture
def few(tmp_path, skimage_data):
    """Three photographs that a test may spoil."""
    write_crops(tmp_path / "few", skimage_data, 3)
    return tmp_path / "few"


@pytest.fixture(scope="session")
def place(tmp_path_factory, tiny_file, skimage_data):
    """24 photographs with certificates of them, others, and a measurement of one of those."""
    place = tmp_path_factory.mktemp("certified")
    write_crops(place / "calibration", skimage_data, 24)
    write_crops(place / "other", skimage_data, 4, seed=1)
    write_measurement(place / "other" / "00.png", place / "cat.png")
    prior = library.load_prior(str(tiny_file), "cpu")
    for name, settings in {
        "area": {},
        "sup": {"loss": "sup"},
        "tiles": {"loss": "tile-mean", "tile": 16},
        "variance": {"score": "variance", "samples": 2, "dial": 0.5, **QUICK},
        "renoised": {"score": "variance:smooth=1", "samples": 2, "seed": 4, "dial": 0.5, "path": "renoise", **QUICK},
        "noisy": {"noise": 0.02},
        "dialled": {"dial": 0.5, "path": "interpolate", **QUICK},
        "uniform": {"mode": "pac-uniform", "delta": 0.2, "alphas": ["0.3"]},
    }.items():
        calibrate(place / "calibration", place / f"{name}.json", prior=prior, **settings)
    return place


@pytest.fixture
def cat(place, tmp_path):
    """A measurement of a photograph beside those of the certificates."""
    shutil.copy(place / "cat.png", tmp_path / "cat.png")
    return tmp_path / "cat.png"


@pytest.fixture
def run_of(veriscale, place):
    """Restore under a certificate; returns run.json and what was said."""

    def call(source, certificate, *options, output):
        code, out, err = veriscale(
            "restore", source, *CPU, "--certificate", place / certificate, *options, "-o", output
        )
        assert code == 0, err
        (run,) = output.glob("*.run.json")
        assert {line.rsplit("/")[-1] for line in out.splitlines()} == {p.name for p in output.iterdir()}
        return json.loads(run.read_text()), err

    return call


@pytest.fixture
def resizer(place, tmp_path, tool, monkeypatch):
    """A tool's command, with a certificate of it in the current folder."""
    monkeypatch.chdir(tmp_path)
    command = tool(RESIZE)
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted((place / "calibration").iterdir())[:5]:
        shutil.copy(file, few)
    calibrate(few, tmp_path / "tool.json", command=command, scale=4, score="gradient:std=1,smooth=1")
    return command
