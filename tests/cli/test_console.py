"""Progress: the time that is left is told by the pace of this run."""

import pytest

from veriscale.cli import console


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, to be set."""
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def test_time_left_is_by_what_this_run_has_done(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with console.meter(quiet=False) as shown:
        for done in (1400, 1450, 1500):  # taken up at 1,350
            clock[0] += 25
            shown("encoder", done, 9000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "encoder: 1400 of 9000",
        "encoder: 1450 of 9000, 3775 s left",
        "encoder: 1500 of 9000, 3750 s left",
    ]


def test_time_left_of_work_from_its_beginning(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with console.meter(quiet=False) as shown:
        for what, done, of in (("a", 1, 3), ("a", 2, 3), ("b", 50, 100), ("b", 100, 100), ("b", 1, 2)):
            clock[0] += 20
            shown(what, done, of)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "a: 1 of 3, 40 s left",
        "a: 2 of 3, 20 s left",
        "b: 50 of 100",
        "b: 100 of 100, 0 s left",
        "b: 1 of 2, 20 s left",
    ]
