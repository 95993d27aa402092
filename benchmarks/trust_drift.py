"""trust.drift.*: are p-values uniform on exchangeable photographs, and small on what is no photograph?

The statistics were chosen on natural/train and natural/validation, with other scans and screenshots than those used
here; of the documents, half of one was among them.
Run: python benchmarks/trust_drift.py
"""

import gzip
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from scipy.stats import kstest

from pictures import DATA, centre, files
from results import Row, write_results
from trust_records import SCALE, measuring
from veriscale.imaging.colour import as_channels
from veriscale.imaging.resize import resize
from veriscale.imaging.rounding import as_stored
from veriscale.metrics.bootstrap import interval
from veriscale.report.page import Report, render_report
from veriscale.trust.drift import p_value, statistics

SIDE = 80  # of a measurement, the unit of the certificate
NOISE = 0.05
RESPLITS = 1000
BRAINS = "gli00000", "gli00001", "ms19", "tcgafg6692"
WINDOWS = ((1280, 900, 1.0), (1000, 700, 1.5), (800, 600, 2.0))
CROPS = 8

NOTES = (
    "Calibration: 50 photographs of natural/calibration; every unit is a measurement of 80 × 80 pixels rounded to 8 "
    "bits. Photographs: the middle of their bicubic ×4, as calibrate cuts it. Scans: the middle slice of 30 hearts "
    "(ACDC) and of four brains in four contrasts, over its 99.9 % quantile. Documents: scikit-image's page and text "
    "in squares. Screenshots: Chromium's of pages written for this, a report of this program among them, at three "
    "sizes and pixel densities, eight places each that are not blank. Noisy: photographs of natural/validation with "
    "Gaussian noise. uniform: the largest distance between the distribution of 100 p-values and the uniform one, as a "
    "share of 1,000 random splits of the 150 photographs into 50 and 100 in which it is as large: an exact test that "
    "takes the common calibration into account, which the textbook's (beside it) does not. uniform.control does the "
    "same with photographs of other sources (natural/train) and must be small. grey.*: calibration and pictures "
    "without colour; what is left of the check where being grey does not give a scan away. Intervals are over "
    "pictures, for scans over people and for screenshots over pages; the squares that are missed lie in cards with "
    "gradients of colour."
)

_STYLE = (
    "<style>body{margin:0;font:15px/1.5 sans-serif;color:#222}td,th{border:1px solid #bbb;padding:5px 12px}</style>"
)
_WORDS = "the report of the second quarter shows that most regions have grown while costs stayed nearly as they were "
PAGES = {
    "article": f"<body style='font:18px/1.6 serif;margin:40px'><h1>A quiet year</h1>{f'<p>{_WORDS * 4}</p>' * 9}",
    "terminal": "<body style='background:#111;color:#3d3;font:14px monospace'><pre>"
    + "\n".join(f"drwxr-xr-x {i:3} user group {i * 7919 % 99991:6} file_{i:03}.txt" for i in range(60)),
    "table": f"{_STYLE}<table style='border-collapse:collapse'>"
    + "".join(
        f"<tr style='background:{'#eef' if i % 2 else '#fff'}'>"
        + "".join(f"<td>{i * j * 37 % 997}</td>" for j in range(1, 13))
        for i in range(1, 40)
    ),
    "form": f"{_STYLE}<div style='padding:24px'><h2>Settings</h2>"
    + "".join(
        f"<p><label>Option {i}</label> <input value='value {i}'> <input type=checkbox {'checked' * (i % 2)}>"
        f"<button style='background:#2{i % 10}7ae2;color:#fff;padding:8px 20px'>Apply</button></p>"
        for i in range(14)
    ),
    "chart": f"{_STYLE}<svg width=1200 height=850><rect width=1200 height=850 fill='#fafafa'/>"
    + "".join(
        f"<polyline fill='none' stroke-width=3 stroke='{colour}' points='"
        + " ".join(f"{x},{400 + 300 * np.sin(x / (60 + 25 * k)) * np.cos(k * x / 400):.1f}" for x in range(0, 1200, 8))
        + "'/>"
        for k, colour in enumerate(["#d62728", "#1f77b4", "#2ca02c", "#9467bd"])
    )
    + "".join(f"<path d='M0 {y}H1200M{y} 0V850' stroke='#ccc'/>" for y in range(50, 1200, 50)),
    "tiles": f"{_STYLE}<body style='background:#e9ecf1'>"
    + "".join(
        f"<div style='float:left;margin:14px;width:180px;height:130px;border-radius:12px;padding:14px;"
        f"background:linear-gradient(135deg,hsl({i * 47 % 360},70%,60%),hsl({i * 47 % 360 + 40},70%,45%));color:#fff'>"
        f"<b>Card {i}</b><br>{_WORDS}</div>"
        for i in range(30)
    ),
}


def main() -> None:
    print("about a minute on one core")
    started = time.perf_counter()
    calibration = described(photographs("calibration"))
    bsd100, elsewhere = described(photographs("bsd100")), described(photographs("train"))
    rng = np.random.default_rng(0)
    plain = photographs("validation")
    scanned = scans()
    kinds = {
        "scans": ("scans (MRI), grey as RGB, against a colour certificate", list(scanned.values())),
        "documents": ("scanned documents", [documents()]),
        "screenshots": ("screenshots", list(screenshots(plain[0]).values())),
        "noisy": (f"photographs with noise of {NOISE}", [noisy(plain, NOISE, rng)]),
    }
    rows = [
        *uniformity(calibration, bsd100, elsewhere),
        *(alarm(f"trust.drift.{kind}", what, calibration, groups, ">= 0.9") for kind, (what, groups) in kinds.items()),
        *(
            alarm(f"trust.drift.noisy.{level:g}", f"photographs with noise of {level:g}", calibration, [pictures])
            for level in (0.01, 0.02)
            for pictures in [noisy(plain, level, rng)]
        ),
        alarm("trust.drift.grey_photographs", "photographs in grey", calibration, [in_grey(plain)]),
    ]
    grey = described(in_grey(photographs("calibration")))
    for kind, (what, groups) in kinds.items():
        # noise is added to the grey measurement: of three channels' noise the luma keeps only 0.67
        pictures = [noisy(in_grey(plain), NOISE, rng)] if kind == "noisy" else [in_grey(group) for group in groups]
        rows.append(alarm(f"trust.drift.grey.{kind}", f"{what}, all in grey", grey, pictures))
    for row in rows:
        print(f"{row.id:32} {row.value:7.3g} {row.interval or ''} {row.bar or '':8} {row.holds}  {row.against or ''}")
    print(write_results("trust_drift", rows, NOTES, time.perf_counter() - started))


def uniformity(calibration: np.ndarray, exchangeable: np.ndarray, elsewhere: np.ndarray) -> list[Row]:
    values = p_values(calibration, exchangeable)
    rng = np.random.default_rng(0)
    textbook = float(kstest(values - rng.random(len(values)) / (len(calibration) + 1), "uniform").pvalue)
    flagged = interval(values < 0.05)
    return [
        Row(
            "trust.drift.uniform",
            "BSD100: KS distance of the p-values from uniform, p-value over resplits",
            resplit_p(calibration, exchangeable),
            bar=">= 0.05",
            against={"distance": distance(values, len(calibration)), "textbook KS p": textbook},
        ),
        Row(
            "trust.drift.false",
            "BSD100: share with p < 0.05 (2/51 expected)",
            flagged.estimate,
            interval=(flagged.low, flagged.high),
        ),
        Row(
            "trust.drift.uniform.control",
            "photographs of other sources: the same p-value (must be small)",
            resplit_p(calibration, elsewhere),
            bar="< 0.05",
            against={"distance": distance(p_values(calibration, elsewhere), len(calibration))},
        ),
    ]


def resplit_p(calibration: np.ndarray, test: np.ndarray) -> float:
    """Share of random splits of all units whose distance is at least that of the given split, itself among them."""
    n, pool = len(calibration), np.vstack([calibration, test])
    rng = np.random.default_rng(0)
    orders = [np.arange(len(pool)), *(rng.permutation(len(pool)) for _ in range(RESPLITS - 1))]
    found = np.array([distance(p_values(pool[order[:n]], pool[order[n:]]), n) for order in orders])
    return float(np.mean(found >= found[0] - 1e-12))


def distance(p: np.ndarray, n: int) -> float:
    """Of the distribution of p from that on 1/(n + 1), …, 1."""
    levels = np.arange(1, n + 2) / (n + 1)
    return float(max(abs(np.mean(p <= level + 1e-9) - level) for level in levels))


def alarm(row_id: str, what: str, calibration: np.ndarray, groups: Sequence[list[np.ndarray]], bar: str = "") -> Row:
    """The share of pictures with p < 0.05; each group is one person's or page's where there are several."""
    found = [p_values(calibration, described(group)) < 0.05 for group in groups]
    values = [group.mean() for group in found] if len(found) > 1 else found[0]
    share = interval(values)
    count = {"pictures": float(sum(map(len, found)))}
    return Row(row_id, f"{what}: share with p < 0.05", share.estimate, "", (share.low, share.high), bar or None, count)


def p_values(calibration: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.array([p_value(calibration, values) for values in new])


def described(pictures: list[np.ndarray]) -> np.ndarray:
    return np.array([statistics(y) for y in pictures])


def photographs(name: str) -> list[np.ndarray]:
    return [measuring()(path).measurement.pixels for path in files(name)]


def noisy(pictures: list[np.ndarray], std: float, rng: np.random.Generator) -> list[np.ndarray]:
    return [stored(y + rng.normal(0, std, y.shape)) for y in pictures]


def in_grey(pictures: list[np.ndarray]) -> list[np.ndarray]:
    return [stored(as_channels(y, 1)) for y in pictures]


def stored(y: np.ndarray) -> np.ndarray:
    return as_stored(y)


def scans() -> dict[str, list[np.ndarray]]:
    """Central squares of middle slices, by person."""
    mri = DATA.parent / "mri"
    volumes = {p.stem: [np.load(p)["image"].transpose(1, 2, 0)] for p in sorted((mri / "cardiac" / "acdc").glob("*"))}
    for name in BRAINS:
        volumes[name] = [nifti(p) for p in sorted((mri / "multicontrast" / name).glob("*.nii.gz"))]
    if not all(volumes.values()):
        raise SystemExit(f"{mri} holds no scans; set VERISCALE_DATA")
    return {name: [square(volume[:, :, volume.shape[2] // 2]) for volume in group] for name, group in volumes.items()}


def nifti(path: Path) -> np.ndarray:
    """The voxels of one of the files used here, all unsigned bytes."""
    content = gzip.decompress(path.read_bytes())
    shape, offset = np.frombuffer(content, "<i2", 3, 42), int(np.frombuffer(content, "<f4", 1, 108)[0])
    return np.frombuffer(content, np.uint8, offset=offset).reshape(shape, order="F")


def square(grey: np.ndarray) -> np.ndarray:
    return centre(stored(grey / np.quantile(grey, 0.999))[..., None], SIDE)


def documents() -> list[np.ndarray]:
    found = []
    for name in ("page.png", "text.png"):
        x = np.asarray(Image.open(Path(skimage.__file__).parent / "data" / name).convert("L"), np.float32)[..., None]
        starts = [range(0, n - SIDE + 1, SIDE) for n in x.shape[:2]]
        found += [x[i : i + SIDE, j : j + SIDE] / 255 for i in starts[0] for j in starts[1]]
    return found


def screenshots(photograph: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Squares of pages as Chromium shows them, by page; seeded, and squares of one colour are passed over."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise SystemExit("no Chromium on this machine: it takes the screenshots")
    rng = np.random.default_rng(0)
    found: dict[str, list[np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, page in {**PAGES, "report": report(photograph)}.items():
            source, target = Path(folder, f"{name}.html"), Path(folder, "shot.png")
            source.write_text(page, encoding="utf-8")
            for width, height, density in WINDOWS:
                options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
                options += [f"--force-device-scale-factor={density}", f"--window-size={width},{height}"]
                command = [browser, *options, f"--screenshot={target}", source.as_uri()]
                subprocess.run(command, check=True, capture_output=True)
                x = np.asarray(Image.open(target).convert("RGB"), np.float32) / 255
                crops: list[np.ndarray] = []
                while len(crops) < CROPS:
                    i, j = (rng.integers(n - SIDE) for n in x.shape[:2])
                    crop = x[i : i + SIDE, j : j + SIDE]
                    crops += [crop] if np.ptp(crop) else []
                found[name] = found.get(name, []) + crops
    return found


def report(photograph: np.ndarray) -> str:
    large = resize(photograph, SCALE * SIDE, SCALE * SIDE)
    content = Report(
        title="photograph.png",
        measurement=photograph,
        dials=[(0.0, large), (1.0, large)],
        spread=np.abs(large - large.mean()),
        residual=np.zeros_like(photograph),
        expected_residual=0.01,
        draws=[large, large],
        facts=[("Prior", "photo"), ("Seed", "0")],
        notes=["Made for a screenshot."],
    )
    return render_report(content)


if __name__ == "__main__":
    main()
