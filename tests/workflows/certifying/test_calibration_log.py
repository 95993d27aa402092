"""A calibration that was cut off goes on where it was."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.workflows.measured import log_of, without_date

import veriscale
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo
from veriscale.workflows.certifying.calibration import calibrate

N = 24


def interrupted(folder, output, prior, unit, **settings):
    def progress(what, done, of):
        if done == unit - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(folder, output, prior=prior, progress=progress, **settings)
    assert not output.exists()


KILLED = """
import os, signal, sys
import torch
from veriscale.workflows.certifying.calibration import calibrate
from veriscale.workflows.opening import load_prior
def progress(what, done, of):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)
calibrate(*sys.argv[1:3], prior=load_prior(sys.argv[3], "cpu", torch.float32), progress=progress)
"""


def test_a_killed_run_goes_on_where_it_was(tiny, tiny_file, crops, tmp_path, counted):
    whole, cut = tmp_path / "a" / "c.json", tmp_path / "b" / "c.json"
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-c", KILLED, crops, cut, tiny_file]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not cut.exists()
    resumed = calibrate(crops, cut, prior=tiny)
    assert counted == [f"{k:02}" for k in range(5, N)]
    calibrate(crops, whole, prior=tiny)
    assert without_date(whole) == without_date(cut)  # five of the units come from another process
    assert not log_of(cut).exists()
    assert veriscale.read_certificate(cut).sha256 == resumed.sha256


@pytest.mark.parametrize("lost", [1, 20, 5000])
def test_a_line_that_was_being_written_is_measured_again(tiny, few, tmp_path, counted, lost):
    whole, cut = tmp_path / "a.json", tmp_path / "b.json"
    calibrate(few, whole, prior=tiny)
    interrupted(few, cut, tiny, 5)
    content = log_of(cut).read_bytes()
    log_of(cut).write_bytes(content[:-lost])
    counted.clear()
    calibrate(few, cut, prior=tiny)
    assert without_date(whole) == without_date(cut)
    assert len(counted) == {1: 2, 20: 3, 5000: 3}[lost]


def test_lines_after_a_damaged_one_are_not_believed(tiny, few, output, counted):
    interrupted(few, output, tiny, 5)
    lines = log_of(output).read_text().splitlines()
    lines[2] = lines[2].replace('"scores"', '"sores"')
    log_of(output).write_text("\n".join(lines) + "\n")
    counted.clear()
    assert calibrate(few, output, prior=tiny).binding.n == 6
    assert counted == ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize(
    "settings", [{"tau": 0.2}, {"loss": "sup"}, {"mode": "pac", "delta": 0.1}, {"unit": "32x32"}, {"noise": 0.01}]
)
def test_a_log_of_other_settings_is_refused_and_kept(tiny, few, output, settings):
    interrupted(few, output, tiny, 3)
    kept = log_of(output).read_bytes()
    with pytest.raises(InputError, match="other settings, pictures or code; delete it to start again"):
        calibrate(few, output, prior=tiny, **settings)
    assert log_of(output).read_bytes() == kept


def test_a_log_of_other_pictures_is_refused(tiny, few, output):
    interrupted(few, output, tiny, 3)
    write_photo(Photo(1 - read_photo(few / "00.png").pixels), few / "00.png", force=True)
    with pytest.raises(InputError, match="other settings, pictures or code"):
        calibrate(few, output, prior=tiny)


@pytest.mark.parametrize(
    "spoil", [lambda p: p.write_bytes(b"\xff\x00\xfe"), lambda p: p.write_text("{}\n"), Path.mkdir]
)
def test_what_is_no_log_is_refused(tiny, few, output, spoil):
    spoil(log_of(output))
    with pytest.raises(InputError, match="delete it to start again"):
        calibrate(few, output, prior=tiny)


def test_the_log_is_json_with_a_line_for_each_unit(tiny, few, output):
    interrupted(few, output, tiny, 4)
    lines = [json.loads(line) for line in log_of(output).read_text().splitlines()]
    assert [line["unit"] for line in lines[1:]] == ["00.png", "01.png", "02.png"]
