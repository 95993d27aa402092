"""restore.determinism.*: one tile against many, batches, threads: the shipped prior on a real picture."""

import time

import numpy as np
import torch

from pictures import centre, files, measurement, truth
from results import Row, write_results
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import restore

TYPES = {"float32": (torch.float32, "<= 1e-4"), "bf16": (torch.bfloat16, "<= 1e-3")}


def main() -> None:
    print("about 2 minutes")
    begun = time.monotonic()
    y = measurement(centre(truth(files("validation")[0], 4), 320), 4)
    rows = []
    for name, (dtype, bar) in TYPES.items():
        prior = load_prior("photo", device="cpu", dtype=dtype)

        def images(threads: int = 2, **settings: object) -> list[np.ndarray]:
            torch.set_num_threads(threads)
            result = restore(y, prior, scale=4, dial=[0.5, 1.0], path="renoise", samples=8, **settings)  # noqa: B023
            return [result.images[0.5].pixels, result.images[1.0].pixels, *(p.pixels for p in result.samples)]

        whole = images()
        others = {"tiles": images(tile=128), "batch": images(batch=1), "threads": images(threads=1)}
        for what, pictures in others.items():
            pairs = [np.abs(a - b) for a, b in zip(whole, pictures, strict=True)]
            worst = max(float(d.max() if dtype is torch.float32 else np.sqrt(np.square(d).mean())) for d in pairs)
            kind = "largest difference" if dtype is torch.float32 else "RMS difference"
            say = {"tiles": "one tile against nine", "batch": "batch 8 against 1", "threads": "2 threads against 1"}[
                what
            ]
            text = f"{kind}, {say}, dial 0.5, 1 and 8 draws, {name}"
            rows.append(Row(f"restore.determinism.{what}_{name}", text, worst, bar=bar))
            print(rows[-1].id, worst, rows[-1].holds, flush=True)
    write_results("restore_determinism", rows, "320² output pixels, path renoise.", time.monotonic() - begun)


if __name__ == "__main__":
    main()
