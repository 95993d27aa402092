"""What the tests of calibration watch."""

import pytest

from veriscale.workflows.restoring.prior_restorer import PriorRestorer


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
