"""A plan that the machine has no room for is refused before any work."""

import pytest

import veriscale
from veriscale.errors import InputError
from veriscale.workflows.restoring import room


def test_pictures_that_memory_does_not_hold(tiny, cat, monkeypatch):
    veriscale.restore(cat, tiny, scale=2)
    monkeypatch.setattr(room, "machine_memory", lambda: 1000)
    with pytest.raises(
        InputError, match=r"^96×84 pixels would take about 0\.0 GB of memory.*; restore parts with crop\.$"
    ):
        veriscale.restore(cat, tiny, scale=2)
    with pytest.raises(InputError, match=r"and 4 samples would take .*; ask for fewer samples, or restore parts"):
        veriscale.restore(cat, tiny, scale=2, samples=4)
    monkeypatch.setattr(room, "machine_memory", lambda: 4 * 4 * 3 * 192 * 168)
    with pytest.raises(InputError, match="384×336 pixels would take"):
        veriscale.restore(cat, tiny, scale=8)  # its last step is too large, and no step is made


def test_canvases_in_files_need_the_disk_and_not_memory(tiny, cat, monkeypatch):
    monkeypatch.setattr(room, "IN_MEMORY", 1000)
    veriscale.restore(cat, tiny, scale=2)
    needed = 4 * 96 * 84 * 3
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: room.shutil._ntuple_diskusage(0, 0, needed - 1))
    with pytest.raises(InputError, match=r"GB of disk in .*, which has"):
        veriscale.restore(cat, tiny, scale=2)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: room.shutil._ntuple_diskusage(0, 0, needed))
    veriscale.restore(cat, tiny, scale=2)


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    whole = room.machine_memory()
    monkeypatch.setattr(room, "_LIMIT", tmp_path / "memory.max")
    assert room.machine_memory() >= whole
    (tmp_path / "memory.max").write_text("max\n")
    assert room.machine_memory() >= whole
    (tmp_path / "memory.max").write_text("1000000\n")
    assert room.machine_memory() == 1_000_000
