"""zeroshot.input.*: what dial 0 gains over its input where that is a picture, and what dial 1 adds, by the defaults."""

import time

import numpy as np
from scipy.ndimage import zoom

import veriscale
from cache import measured
from pictures import centre, files
from results import Row, write_results
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.metrics.bootstrap import paired_interval

COUNT, SIDE = 8, 96
CASES = [
    ("jpeg:quality=10", 0.0),
    ("jpeg:quality=40", 0.0),
    ("jpeg:quality=80", 0.0),
    ("inpaint:keep=0.2", 0.0),
    ("inpaint:box=32", 0.0),
    ("hdr:gain=2", 0.0),
    ("hdr:gain=2", 0.05),
    ("nonlinear-blur:seed=0", 0.0),
    ("nonlinear-blur:seed=0", 0.05),
    ("blur:kernel=gaussian,std=2 + jpeg:quality=80", 0.0),
    ("downsample:factor=4 + jpeg:quality=60", 0.0),
    ("hdr:gain=2 + jpeg:quality=60", 0.0),
]


def psnr(image: np.ndarray, x: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(np.clip(image, 0, 1) - x).mean()))


def steepness(image: np.ndarray) -> float:
    """Mean square of the differences between neighbours."""
    return float(np.square(np.diff(image, axis=0)).mean() + np.square(np.diff(image, axis=1)).mean())


def offset(image: np.ndarray, x: np.ndarray) -> float:
    """Mean over channels of how far the channel's mean is off, in grey levels."""
    return float(255 * np.abs((np.clip(image, 0, 1) - x).mean((0, 1))).mean())


def shown(y: Photo, x: np.ndarray) -> np.ndarray:
    """The input on the truth's grid."""
    factor = x.shape[0] // y.pixels.shape[0]
    return (
        y.pixels
        if factor == 1
        else np.clip(zoom(y.pixels, (factor, factor, 1), order=3, mode="reflect", grid_mode=True), 0, 1)
    )


def of_case(operator: str, noise: float) -> dict[str, list[float]]:
    """One value a crop of everything that is compared."""
    prior, out = veriscale.load_prior("photo"), {}
    for number, file in enumerate(files("bsd100")[:COUNT]):
        x = centre(read_photo(file).pixels, SIDE)
        y = veriscale.degrade(Photo(x), operator, noise, seed=number)
        y = y.with_pixels(np.round(np.clip(y.pixels, 0, 1) * 255) / 255)
        asked = {"operator": operator, "noise": noise, "seed": number}
        ours = veriscale.restore(y, prior, dial=[0, 1], **asked)
        pictures = {
            "input": shown(y, x),
            "dial 0": ours.images[0.0].pixels,
            "dial 1": ours.images[1.0].pixels,
            "paper": veriscale.restore(y, prior, anchor="paper", **asked).image.pixels,
        }
        for name, image in pictures.items():
            out.setdefault(f"{name}, dB", []).append(psnr(image, x))
            out.setdefault(f"{name}, gradient energy", []).append(steepness(image) / steepness(x))
            out.setdefault(f"{name}, colours off", []).append(offset(image, x))
    return out


def main() -> None:
    begun = time.monotonic()
    items = [f"{operator} at {noise:g}" for operator, noise in CASES]
    settings = {"count": COUNT, "side": SIDE, "prior": veriscale.load_prior("photo").card.tensors_sha256}
    found = measured("zeroshot_input", settings, items, lambda item: of_case(*CASES[items.index(item)]), 60.0)
    rows = []
    for item, of in zip(items, found, strict=True):
        mean = {name: float(np.mean(values)) for name, values in of.items()}
        id = "zeroshot.input." + item.replace(" at ", ".").replace(" + ", "+").replace(":", ".").replace(",", ".")
        gain = paired_interval(np.array(of["dial 0, dB"]), np.array(of["input, dB"]))
        levels = {n: mean[f"{n}, dB"] for n in ("input", "dial 0", "dial 1", "paper")}
        what = f"{item}: dial 0 over its input"
        rows.append(Row(f"{id}.gain", what, gain.estimate, "dB", (gain.low, gain.high), "> 0", levels))
        steep = {n: mean[f"{n}, gradient energy"] for n in ("dial 0", "dial 1")}
        what = f"{item}: gradient energy, dial 1 over dial 0; beside it both over the truth's"
        rows.append(Row(f"{id}.sharper", what, steep["dial 1"] / steep["dial 0"], "", None, ">= 1", steep))
        off = {n: mean[f"{n}, colours off"] for n in ("input", "dial 1", "paper")}
        what = f"{item}: how far the means of the channels are off at dial 0"
        rows.append(Row(f"{id}.colours", what, mean["dial 0, colours off"], "grey levels", against=off))
    notes = (
        f"Centre crops of {SIDE}² of the first {COUNT} pictures of BSD100, RGB, clipped. Measurements are rounded to "
        "8 bits, as files hold them; noise 0 is what `restore` is told then. Of `downsample` the input is enlarged "
        "by a cubic spline. `paper` is the anchor of that name at its default settings."
    )
    print(write_results("zeroshot_input", rows, notes, time.monotonic() - begun))


if __name__ == "__main__":
    main()
