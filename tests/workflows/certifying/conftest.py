"""What the tests of calibration watch."""

import pytest
from tests.conftest import write_tiny

import veriscale
from veriscale.workflows.restoring.prior_restorer import PriorRestorer


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    """A tiny prior of grey pictures."""
    return veriscale.load_prior(write_tiny(tmp_path_factory.mktemp("grey") / "grey.safetensors", 1), "cpu")


@pytest.fixture
def counted(monkeypatch):
    """Which pictures are restored."""
    stems, prepare = [], PriorRestorer.prepare

    def watched(self, photo, path=None, stem=None):
        if stem is not None:
            stems.append(stem)
        return prepare(self, photo, path, stem)

    monkeypatch.setattr(PriorRestorer, "prepare", watched)
    return stems
