"""Scans whose process is ended half-way: the same command goes on to the same bytes and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time

import nibabel
import numpy as np
import pytest

PATIENCE = 120  # seconds
ASKED = {
    "in plane": ("--scale", "2", "--dial", "1", "--samples", "2"),
    "through the plane": ("--spacing", "-,-,1", "--thickness", "4", "--dial", "1", "--samples", "2"),
}


@pytest.fixture
def scan(tmp_path):
    values = np.random.default_rng(0).integers(0, 900, (40, 36, 24)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.5, 1.5, 4, 1])), tmp_path / "Doe_Jane.nii.gz")
    return tmp_path / "Doe_Jane.nii.gz"


@pytest.fixture
def begun(scan, tiny_file):
    """Start the command."""

    def start(asked, out):
        command = (sys.executable, "-m", "veriscale", "restore", scan, *asked, "--prior", tiny_file, "-o", out)
        return subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
        )

    return start


def ended_when(process, there, by):
    """Send a signal as soon as something is there; the process' exit code and what it said."""
    limit = time.monotonic() + PATIENCE
    while not there() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.002)
    process.send_signal(by)
    _, told = process.communicate(timeout=PATIENCE)
    return process.returncode, told


def finished(process):
    out, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    return out


def check_same(whole, again):
    assert sorted(p.name for p in whole.iterdir()) == sorted(p.name for p in again.iterdir())  # hidden ones too
    for path in whole.glob("*.nii.gz"):
        assert path.read_bytes() == (again / path.name).read_bytes()


def test_killed_in_plane(begun, tmp_path):
    finished(begun(ASKED["in plane"], tmp_path / "whole"))
    out = tmp_path / "out"
    count = out / ".Doe_Jane_restored.unfinished" / "0" / "done.txt"
    code, _ = ended_when(
        begun(ASKED["in plane"], out), lambda: count.is_file() and int(count.read_text()) > 4, signal.SIGKILL
    )
    assert code == -signal.SIGKILL
    assert 4 < int(count.read_text()) < 24
    assert not list(out.glob("*.nii.gz"))
    finished(begun(ASKED["in plane"], out))
    check_same(tmp_path / "whole", out)


def test_interrupted_and_killed_through_the_plane(begun, tmp_path):
    finished(begun(ASKED["through the plane"], tmp_path / "whole"))
    out = tmp_path / "out"
    kept = out / ".Doe_Jane_restored.unfinished" / "0"
    code, told = ended_when(
        begun(ASKED["through the plane"], out), (kept / "anchor.safetensors").is_file, signal.SIGINT
    )
    assert code == 130
    assert told.splitlines()[-1] == "veriscale: Interrupted; the same command goes on from there."
    assert "Doe" not in told
    assert not list(kept.glob("draw-*"))
    code, _ = ended_when(begun(ASKED["through the plane"], out), lambda: any(kept.glob("draw-0*")), signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert len(list(kept.glob("draw-*"))) == 1
    assert not list(out.glob("*.nii.gz"))
    finished(begun(ASKED["through the plane"], out))
    check_same(tmp_path / "whole", out)
