"""README's picture: a real run of the shipped prior on scikit-image's cat."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pictures import measurement
from results import ROOT
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import quantised
from veriscale.workflows.restoring.door import restore
from veriscale.workflows.restoring.evaluation import crop_to_multiple

BOX = (slice(40, 240), slice(120, 320))  # the face
GAP, TITLE = 8, 24


def main() -> None:
    data = Path(find_spec("skimage").submodule_search_locations[0]) / "data"
    x = crop_to_multiple(read_photo(data / "chelsea.png").pixels, 4)
    y = measurement(x, 4)
    result = restore(y, "photo", scale=4, dial=[0, 0.5, 1], samples=8)
    nearest = y.pixels.repeat(4, 0).repeat(4, 1)
    spread = np.repeat(np.sqrt(np.square(result.std).mean(2, keepdims=True)), 3, 2)
    panels = {
        "measurement (4x smaller)": nearest,
        "dial 0: closest on average": result.images[0].pixels,
        "dial 0.5": result.images[0.5].pixels,
        "dial 1: looks real": result.images[1].pixels,
        f"spread of 8 draws (white: {spread[BOX].max():.2f})": spread / spread[BOX].max(),
        "truth": x,
    }
    side = BOX[0].stop - BOX[0].start
    sheet = Image.new("RGB", (3 * side + 2 * GAP, 2 * (side + TITLE)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for k, (title, samples) in enumerate(panels.items()):
        left, top = k % 3 * (side + GAP), k // 3 * (side + TITLE)
        sheet.paste(Image.fromarray(quantised(samples[BOX])), (left, top + TITLE))
        draw.text((left, top + 4), title, "black", font)
    sheet.save(ROOT / "docs" / "picture.png", optimize=True)


if __name__ == "__main__":
    main()
