"""A restored scan as a page: what was measured, what came of it, what was done, and nobody's name."""

import re
from pathlib import Path

import numpy as np
import pytest
from tests.report.volumes import facts_in, samples_in

from veriscale.errors import InputError
from veriscale.imaging.nifti.read import read_volume
from veriscale.workflows.scans.scan_names import scan_names
from veriscale.workflows.scans.scan_restoration import operator_told
from veriscale.workflows.scans.scan_run import restore_scan


def page_of(scan, restorer, folder, **asked):
    done = restore_scan(restorer(**asked), scan, folder, report=True)
    (page,) = (Path(file) for file in done["outputs"] if file.endswith(".html"))
    return page.read_text(encoding="utf-8"), page.name, done


def test_in_plane_with_dials_and_spread(scan, restorer, tmp_path):
    page, name, done = page_of(scan, restorer, tmp_path / "out", scale=2, dial="0,0.5,1", samples=2)
    assert name == "Doe_John_1970_restored_report.html"
    assert list(samples_in(page)) == ["dial-0", "dial-0.5", "dial-1", "measurement", "spread"]
    for told in ("downsample:factor=2,kernel=bicubic", "tiny", "was measured on other pictures", "Not for diagnosis"):
        assert told in page
    facts, volume = facts_in(page), read_volume(scan)
    steps = {told["key"]: told["step"] for told in facts["volumes"]}
    np.testing.assert_allclose(steps["measurement"], volume.spacing, atol=1e-4)
    finer = [s if k == volume.slice_axis else s / 2 for k, s in enumerate(volume.spacing)]
    np.testing.assert_allclose(steps["dial-0"], finer, atol=1e-4)
    low, high = facts["grey"]
    brightest = low + (high - low) * samples_in(page)["measurement"].max() / facts["steps"]
    assert brightest == pytest.approx(volume.values().max(), rel=0.02)
    assert "evaluations in all" in page
    assert str(done["evaluations"]) in page


def test_of_two_steps_the_page_compares_with_the_scan_itself(scan, restorer, tmp_path):
    page, _, _ = page_of(scan, restorer, tmp_path / "out", spacing="1.1,1,1.7", thickness=5)
    steps = {told["key"]: told["step"] for told in facts_in(page)["volumes"]}
    np.testing.assert_allclose(steps["measurement"], read_volume(scan).spacing, atol=1e-4)
    assert ">before<" in page
    assert "slice:fwhm=5" in page


def test_nothing_tells_whose_scan_it_is(scan, restorer, tmp_path):
    page, _, done = page_of(scan, restorer, tmp_path / "out", scale=2)
    text = re.sub(r'<script type="text/plain"[^>]*>[^<]*|data:[^"]*|sha256-[^\']*', "", page)
    for told in ("doe_", "john", "1970", ".nii", str(tmp_path).lower(), tmp_path.name.lower(), done["input"]["sha256"]):
        assert told not in text.lower()
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b", text)


def test_a_file_of_an_operator_is_not_named():
    run = {"operator": "inpaint:mask=/home/doe/Doe, John + MR.png", "operator_files": "0" * 64}
    assert operator_told(run) == "inpaint, with a file"
    assert operator_told({"operator": "blur:kernel=gaussian,std=3"}) == "blur:kernel=gaussian,std=3"


def test_without_being_asked_for_there_is_none(scan, restorer, tmp_path):
    restore_scan(restorer(scale=2), scan, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.html"))


def test_a_report_that_is_there_is_not_written_over(scan, restorer, tmp_path):
    names = scan_names(tmp_path / "out", "Doe_John_1970_restored", [0.0], 0, report=True)
    names.report.parent.mkdir()
    names.report.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        restore_scan(restorer(scale=2), scan, tmp_path / "out", report=True)
    assert names.report.read_text() == "mine"
    assert [p.name for p in (tmp_path / "out").iterdir()] == [names.report.name]
    restore_scan(restorer(scale=2), scan, tmp_path / "out", report=True, force=True)
    assert names.report.read_text().startswith("<!DOCTYPE html>")
