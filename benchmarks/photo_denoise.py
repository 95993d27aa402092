"""photo.denoise.*: the prior's unconditional mode as a denoiser of BSD100, beside scikit-image's best and FFDNet.

`--pictures N` takes the first N, prints, and writes no results.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from cache import measured
from pictures import centre, files, truth
from results import Row, write_results
from veriscale.diffusion.prior import Prior
from veriscale.imaging.photo import Photo
from veriscale.metrics.bootstrap import interval
from veriscale.workflows.degrading.degradation import degrade
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import restore

FFDNET = {15: 33.87, 25: 31.21, 50: 27.96}
"""RGB PSNR on CBSD68, 68 of much the same pictures, as published: Zhang et al. 2018."""
BARS = {15: 33.3, 25: 30.5, 50: 27.1}
TUNED_ON = 8  # validation crops of 160²
Tool = Callable[[np.ndarray, float, float], np.ndarray]
TOOLS: dict[str, tuple[Tool, tuple[float, ...]]] = {  # strengths, in units of the noise
    "total variation": (
        lambda y, s, strength: denoise_tv_chambolle(y, strength * s, channel_axis=2),
        (0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5),
    ),
    "non-local means": (
        lambda y, s, strength: denoise_nl_means(y, 5, 6, strength * s, sigma=s, channel_axis=2),
        (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0),
    ),
}


def noisy(x: np.ndarray, std: float) -> np.ndarray:
    """In floating point: neither clipped nor rounded, as published methods are measured."""
    return degrade(Photo(x), "denoise", std).pixels


def psnr(image: np.ndarray, x: np.ndarray) -> float:
    """RGB, with the peak 1."""
    return float(-10 * np.log10(np.square(np.clip(image, 0, 1) - x, dtype=np.float64).mean()))


def tuned(std: float) -> dict[str, float]:
    """The strength of every tool that is best on crops of validation photographs."""
    crops = [centre(truth(path, 1)) for path in files("validation")[:TUNED_ON]]
    found = {}
    for name, (tool, strengths) in TOOLS.items():
        scores = {w: np.mean([psnr(tool(noisy(x, std), std, w), x) for x in crops]) for w in strengths}
        found[name] = max(scores, key=lambda w: scores[w])
        if found[name] in (strengths[0], strengths[-1]):
            raise SystemExit(f"{name} at {std:.3f} is best at the edge of its grid: widen it")
    return found


def measure(path: str, std: float, strengths: dict[str, float], prior: Prior) -> list[float]:
    """PSNR of the prior, and of every tool."""
    x = truth(path, 1)
    y = noisy(x, std)
    image = restore(Photo(y), prior, operator="denoise", noise=std).image.pixels
    return [psnr(image, x), *(psnr(tool(y, std, strengths[name]), x) for name, (tool, _) in TOOLS.items())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, help="only so many")
    count = parser.parse_args().pictures
    begun, prior, rows = time.monotonic(), load_prior("photo"), []
    for sigma, published in FFDNET.items():
        std = sigma / 255
        strengths = tuned(std)
        settings = {"prior": prior.card.tensors_sha256, "std": std, "strengths": strengths}
        names = [str(path) for path in files("bsd100")[:count]]

        def one(path: str, std: float = std, strengths: dict[str, float] = strengths) -> list[float]:
            return measure(path, std, strengths, prior)

        values = np.array(measured("photo_denoise", settings, names, one, 6.0))
        bounds = interval(values[:, 0])
        against = {
            f"{name} at {strengths[name]:g}": float(v) for name, v in zip(TOOLS, values[:, 1:].mean(0), strict=True)
        }
        row = Row(
            f"photo.denoise.sigma{sigma}",
            f"BSD100, noise of {sigma}/255: RGB PSNR, dial 0",
            float(values[:, 0].mean()),
            "dB",
            (bounds.low, bounds.high),
            f">= {BARS[sigma]}",
            against | {"FFDNet on CBSD68, as published": published},
        )
        rows.append(row)
        print(row, flush=True)
    if count is not None:
        return
    notes = (
        "Whole pictures, noise neither clipped nor rounded, results clipped; one evaluation of the denoiser. Tools of "
        f"scikit-image at the strength, in units of the noise, that is best on {TUNED_ON} crops of validation "
        "photographs, without an optimum on an edge of its grid."
    )
    write_results("photo_denoise", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
