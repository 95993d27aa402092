"""photo.flat.*: fine energy where the truth is flat and where it is textured, whole pictures of BSD100, ×4 and ×2."""

import time
from dataclasses import astuple
from functools import reduce
from operator import add

import numpy as np

from cache import measured
from pictures import files, measurement, truth
from results import Row, write_results
from veriscale.metrics.bootstrap import ratio_interval
from veriscale.metrics.fine_energy import FineSums, fine_sums
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import restore

DIALS = (0.0, 0.5, 1.0)
BARS = {"flat": "0.85..1.15", "textured": "0.85..1.1"}


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    rows = []
    for scale in (4, 2):

        def measure(path: str, scale: int = scale) -> list:
            x = truth(path, scale)
            images = restore(measurement(x, scale), prior, scale=scale, dial=DIALS).images.values()
            return [[astuple(sums) for sums in fine_sums(image.pixels, x)] for image in images]

        settings = {"prior": prior.card.tensors_sha256, "scale": scale, "dials": DIALS}
        values = measured("photo_flat", settings, map(str, files("bsd100")), measure, 4.0)
        for k, kind in enumerate(BARS):
            ratios = {}
            for d, dial in enumerate(DIALS):
                sums = [FineSums(*picture[d][k]) for picture in values]
                ratios[dial] = reduce(add, sums).ratio
                squares = ratio_interval(*(np.array([getattr(s, name) for s in sums]) for name in ("image", "truth")))
                what = f"×{scale}, {kind} blocks: fine energy at dial {dial:g} over the truth's, RMS"
                bounds = float(np.sqrt(squares.low)), float(np.sqrt(squares.high))
                bar = BARS[kind] if dial == 1 else None
                rows.append(Row(f"photo.flat.x{scale}_{kind}_dial{dial:g}", what, ratios[dial], "", bounds, bar))
                print(rows[-1].id, f"{ratios[dial]:.3f}", flush=True)
            low, middle, high = ratios.values()
            share = (middle - low) / (high - low)
            what = f"×{scale}, {kind} blocks: how far from dial 0 to dial 1 the fine energy of dial 0.5 lies"
            rows.append(Row(f"photo.flat.x{scale}_{kind}_between", what, share, bar="0..1"))
    blocks = sum(picture[0][0][0] for picture in values)
    notes = (
        "Whole pictures, measurement rounded to 8 bits; blocks of 16², flat where the truth's luma std is below 3 grey "
        f"levels ({blocks} at ×2), textured in the upper quarter of a picture; sums over all blocks of all pictures, "
        "intervals over pictures."
    )
    write_results("photo_flat", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
