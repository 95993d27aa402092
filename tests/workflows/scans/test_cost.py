"""What a scan takes, in words and for `--json`; what is foreseen grows with the work."""

import pytest

from veriscale.workflows.scans.cost import Cost, facts, told
from veriscale.workflows.scans.reading import read_scan
from veriscale.workflows.scans.scan_job import scan_job


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0.01, "about 2 seconds"),
        (80, "about 80 seconds"),
        (100, "about 1.7 minutes"),
        (1500, "about 25 minutes"),
        (5400, "about 1.5 hours"),
        (360000, "about 100 hours"),
    ],
)
def test_a_time_is_as_rough_as_it_is_known(seconds, words):
    assert told(seconds) == words


def test_steps_follow_each_other():
    assert facts([Cost("a", 3_000_000, 1.5), Cost("b", 2_000_000, 2.0)]) == {"memory_mb": 3, "seconds": 3.5}


@pytest.mark.parametrize(
    "module, asked",
    [
        ("in_plane", {"operator": "blur:kernel=gaussian,std=1"}),
        ("through_plane", {"spacing": "-,-,1.5", "thickness": 4.8}),
    ],
)
def test_time_is_evaluations_times_voxels(scan, restorer, monkeypatch, module, asked):
    monkeypatch.setattr(f"veriscale.workflows.scans.{module}.denoiser_pace", lambda prior, shape, **_: 1.0)
    found = []
    for dial in ("0", "1"):
        (work,) = scan_job(restorer(**asked, dial=dial, steps=5), read_scan(scan)).planned()
        found.append(work.cost().seconds)
    x, y, z = work.grid.shape
    directions = 1 if module == "in_plane" else 2
    assert found[0] == pytest.approx(16 * directions * x * y * z)
    per_draw = 5 * directions * x * y * z
    assert found[1] - found[0] == pytest.approx(per_draw)
