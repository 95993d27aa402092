"""enlarge.py WAY IN OUT: every pixel becomes four by four, and the file is written in one of several ways."""

import sys

import imagecodecs
import numpy as np

way, source, target = sys.argv[1:]
with open(source, "rb") as file:
    pixels = imagecodecs.png_decode(file.read())
large = pixels.repeat(4, axis=0).repeat(4, axis=1)
grey = large if large.ndim == 2 else large[..., 0]
opaque = np.full_like(grey, 255)
stored = {
    "same": large,
    "16 bits": large.astype(np.uint16) * 257,
    "float": large.astype(np.float32) / 128 - 0.25,
    "grey": grey,
    "colour": np.stack([grey, grey, opaque], axis=-1),
    "opaque": np.dstack([large, opaque]),
    "transparent": np.dstack([large, opaque - 1]),
    "without alpha": large[..., :3],
    "a row less": large[1:],
}[way]
with open(target, "wb") as file:
    if stored.dtype == np.float32:
        np.save(file, stored)
    else:
        file.write(imagecodecs.png_encode(np.ascontiguousarray(stored)))
