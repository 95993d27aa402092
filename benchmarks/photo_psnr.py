"""photo.psnr.*: luma PSNR of the prior `photo` at dial 0 on full pictures, beside bicubic and published methods."""

import time

import numpy as np

from cache import measured
from pictures import files, measurement, truth
from results import Row, write_results
from veriscale.imaging.resize import resize
from veriscale.metrics.bootstrap import interval, paired_interval
from veriscale.metrics.distortion import psnr_luma
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import restore

# ×4 luma PSNR as published: Dong et al. 2014, Hui et al. 2019, Lim et al. 2017.
PUBLISHED = {
    "set5": {"SRCNN": 30.48, "IMDN": 32.21, "EDSR": 32.46},
    "bsd100": {"SRCNN": 26.90, "IMDN": 27.56, "EDSR": 27.71},
}
BARS = {"set5": ">= 31.7", "bsd100": ">= 27.4"}
BICUBIC = {"set5": "28.40..28.44", "bsd100": "25.94..25.98"}
TASKS = [(2, 0.0), (3, 0.0), (4, 0.0), (4, 0.02)]


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    rows = []
    for name in ("set5", "set14", "bsd100"):
        for scale, noise_std in TASKS:

            def measure(path: str, scale: int = scale, noise_std: float = noise_std) -> list[float]:
                x = truth(path, scale)
                y = measurement(x, scale, noise_std)
                images = [restore(y, prior, scale=scale, noise=noise_std).image.pixels]
                images.append(resize(y.pixels, *x.shape[:2]))
                if noise_std == 0:
                    images.append(restore(y, prior, scale=scale, ensemble=True).image.pixels)
                return [psnr_luma(image, x, scale) for image in images]

            settings = {"prior": prior.card.tensors_sha256, "set": name, "scale": scale, "noise_std": noise_std}
            values = np.array(measured("photo_psnr", settings, map(str, files(name)), measure, 2.0))
            plain = scale == 4 and noise_std == 0
            noisy = f"_noise{noise_std:g}" if noise_std else ""
            against = {"bicubic": float(values[:, 1].mean())} | (PUBLISHED.get(name, {}) if plain else {})
            if plain and name in BICUBIC:
                what = f"{name} ×4 luma PSNR of bicubic: the convention"
                rows.append(
                    Row(f"photo.psnr.{name}_x4_bicubic", what, float(values[:, 1].mean()), "dB", bar=BICUBIC[name])
                )
            bounds = interval(values[:, 0])
            rows.append(
                Row(
                    f"photo.psnr.{name}_x{scale}{noisy}_dial0",
                    f"{name} ×{scale}{f', noise {noise_std:g},' if noise_std else ''} luma PSNR, dial 0",
                    float(values[:, 0].mean()),
                    "dB",
                    (bounds.low, bounds.high),
                    BARS.get(name) if plain else None,
                    against,
                )
            )
            if noise_std == 0:
                bounds = paired_interval(values[:, 2], values[:, 0])
                what = f"{name} ×{scale}: what the mean over eight flips and rotations gains at dial 0"
                levels = {"ensemble": float(values[:, 2].mean())}
                row_id = f"photo.psnr.{name}_x{scale}_ensemble"
                rows.append(Row(row_id, what, bounds.estimate, "dB", (bounds.low, bounds.high), against=levels))
            print(rows[-1].id, f"{rows[-1].value:.2f}", flush=True)
    notes = "Full pictures; measurement rounded to 8 bits; border of scale pixels left out; intervals over pictures."
    write_results("photo_psnr", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
