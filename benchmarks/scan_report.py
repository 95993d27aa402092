"""scan.report: how large the page of a 182×218×182 restoration is, and how soon a browser shows it."""

import base64
import hashlib
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from results import ROOT, Row, write_results
from veriscale.imaging.geometry import finer
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.normalisation import Levels
from veriscale.imaging.volume import Volume
from veriscale.workflows.restoring.prior_restorer import VERSIONS
from veriscale.workflows.scans.scan_report import scan_report_html
from veriscale.workflows.scans.scan_restoration import ScanRestoration

DATA = Path(os.environ.get("VERISCALE_DATA") or ROOT.parent / "shared" / "data") / "mri" / "multicontrast"
SCAN = DATA / "ms19" / "ms19_FLAIR.nii.gz"
SHAPE = (182, 218, 182)
THICK = 4  # millimetres
OPENINGS = 5
PATIENCE = 60  # seconds
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--remote-debugging-port=0",  # so that it stays open
    "--window-size=1400,1000",
]
# Says when the planes stand on the screen, in milliseconds from the start of the navigation.
WATCH = """
const watch = () => {
  const viewer = document.getElementById("viewer");
  if (!viewer || !viewer.dataset.drawn) { setTimeout(watch, 5); return; }
  requestAnimationFrame(() => requestAnimationFrame(() => console.log(`painted after ${performance.now()} ms`)));
};
watch();
"""
RUN = {
    "prior": {"name": "mri", "sha256": "0" * 64},
    "mode": "zero-shot",
    "operator": "slice:fwhm=4,step=4,axis=2",
    "noise": "gaussian:0",
    "anchor": "fast",
    "posterior": "proximal",
    "path": "interpolate",
    "samples": 8,
    "sampler": "heun",
    "steps": 8,
    "evaluations": 144,
    "seed": 0,
    "device": "cpu",
    "dtype": "bfloat16",
    "seconds": {"volume": 0.0},
    "versions": dict(VERSIONS),
}


def restoration(dials: int) -> ScanRestoration:
    """Of thick slices: dial 1 is a scan itself, dial 0 what lies between its slices, the spread how far they differ."""
    scan = read_volume(SCAN)
    width = [(0, max(0, wanted - n)) for wanted, n in zip(SHAPE, scan.shape, strict=True)]
    mirrored = np.pad(scan.samples, width, "symmetric")[tuple(map(slice, SHAPE))]
    truth = replace(scan, samples=mirrored)
    slices = SHAPE[2] // THICK
    means = mirrored[:, :, : slices * THICK].reshape(*SHAPE[:2], slices, THICK).mean(-1)
    smooth: NDArray[np.float32] = zoom(means, (1, 1, SHAPE[2] / slices), order=1)
    images = {f: blended(truth, smooth, f) for f in np.linspace(0, 1, dials).tolist()} if dials > 1 else {1.0: truth}
    return ScanRestoration(
        images=images,
        measurement=replace(truth, samples=means, affine=finer(truth.affine, (1, 1, 1 / THICK))),
        samples=[],
        mean=None,
        std=replace(truth, samples=np.abs(mirrored - smooth), levels=Levels(0.0, truth.levels.width)),
        run=RUN,
    )


def blended(truth: Volume, smooth: NDArray[np.float32], share: float) -> Volume:
    return replace(truth, samples=smooth + np.float32(share) * (truth.samples - smooth))


def first_paint(page: str) -> float:
    """Seconds from the start of the navigation until the planes are painted, median of some fresh browsers."""
    digest = base64.b64encode(hashlib.sha256(WATCH.encode()).digest()).decode("ascii")
    watched = page.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    watched = watched.replace("<head>", f"<head><script>{WATCH}</script>", 1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "report.html"
        file.write_text(watched, encoding="utf-8")
        return statistics.median(opened(file, Path(folder) / f"profile-{k}") for k in range(OPENINGS))


def opened(file: Path, profile: Path) -> float:
    command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={profile}", file.as_uri()]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as browser:
        watchdog = threading.Timer(PATIENCE, browser.kill)
        watchdog.start()
        try:
            for line in browser.stderr or ():
                if told := re.search(r"painted after ([\d.]+) ms", line):
                    return float(told[1]) / 1000
        finally:
            watchdog.cancel()
            browser.terminate()
    raise SystemExit(f"the page was not painted within {PATIENCE} s")


def main() -> None:
    if not SCAN.is_file():
        raise SystemExit(f"{SCAN} is not there; set VERISCALE_DATA")
    print("about 15 seconds")
    begun = time.monotonic()
    one, three = (scan_report_html(restoration(dials)) for dials in (1, 3))
    what = "182×218×182, measurement, std"
    rows = [
        Row("scan.report.size", f"page of {what}, one dial", len(one.encode()) / 1e6, "MB", bar="<= 20"),
        Row("scan.report.size.dials3", f"page of {what}, three dials", len(three.encode()) / 1e6, "MB", bar="<= 20"),
    ]
    if CHROMIUM is not None:
        painted = f"planes of the page of {what}, one dial, painted"
        rows.append(Row("scan.report.first_paint", painted, first_paint(one), "s", bar="<= 5"))
    notes = (
        f"ms19 FLAIR, mirrored to {'×'.join(map(str, SHAPE))}, slices of 4 mm as the measurement; nothing is restored. "
        "First paint: headless Chromium, from the start of the navigation to the frame with the planes, median of "
        f"{OPENINGS} fresh profiles. One dial: {told_of(one)}; three: {told_of(three)}."
    )
    print(write_results("scan_report", rows, notes, time.monotonic() - begun))
    print(rows)


def told_of(page: str) -> str:
    """How the page keeps its volumes."""
    steps = re.search(r"in (\d+) steps of", page)
    thinned = re.search(r"one voxel of ([\d, ]+) of the results", page)
    return f"{steps[1] if steps else '?'} steps of value, " + (
        f"one voxel of {thinned[1]}" if thinned else "all voxels"
    )


if __name__ == "__main__":
    main()
