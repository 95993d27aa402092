"""An upscaler as its users have it: python enlarge.py KIND IN OUT, four times larger."""

import sys

import numpy as np
from PIL import Image, ImageFilter


def main(kind: str, source: str, target: str) -> None:
    with Image.open(source) as image:
        small = image.convert("RGB")
    size = (4 * small.width, 4 * small.height)
    if kind == "pillow-bicubic":
        large = small.resize(size, Image.Resampling.BICUBIC)
    elif kind == "pillow-lanczos":
        large = small.resize(size, Image.Resampling.LANCZOS)
    elif kind == "skimage-resize":
        from skimage.transform import resize

        values = resize(np.asarray(small), (size[1], size[0]), order=3)
        large = Image.fromarray((255 * values.clip(0, 1)).round().astype(np.uint8))
    elif kind == "sharpening-chain":
        sharp = ImageFilter.UnsharpMask(radius=3, percent=120, threshold=2)
        large = small.resize(size, Image.Resampling.LANCZOS).filter(ImageFilter.MedianFilter(3)).filter(sharp)
    else:
        raise SystemExit(f"unknown kind {kind}")
    large.save(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
