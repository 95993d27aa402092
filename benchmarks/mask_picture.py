"""README's picture of a mask: the demo's photograph, what is trusted of it, and where it really is off."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pictures import measurement
from results import ROOT
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import as_stored, quantised
from veriscale.report.overlay import overlay
from veriscale.trust.discrepancies import pointwise
from veriscale.workflows.opening import find_certificate
from veriscale.workflows.restoring.door import restore
from veriscale.workflows.restoring.evaluation import crop_to_multiple

LEFT, TOP, SIDE = 35, 10, 80  # of the measurement, as in `make demo`
GAP, TITLE = 8, 24


def main() -> None:
    data = Path(find_spec("skimage").submodule_search_locations[0]) / "data"
    whole = crop_to_multiple(read_photo(data / "coffee.png").pixels, 4)
    y = measurement(whole, 4)
    y = y.with_pixels(np.ascontiguousarray(y.pixels[TOP : TOP + SIDE, LEFT : LEFT + SIDE]))
    x = whole[4 * TOP : 4 * (TOP + SIDE), 4 * LEFT : 4 * (LEFT + SIDE)]
    certificate = find_certificate("photo_x4_dial-0_area")
    result = restore(y, certificate=certificate, alpha="0.05")
    mask = result.mask
    bad = pointwise(as_stored(result.image.pixels), x) > (certificate.binding.tau or 0)
    caught = np.repeat(1 - 0.25 * mask.trusted[..., None].astype(np.float32), 3, 2)
    caught[bad & ~mask.trusted] = (0.45, 0.45, 0.45)
    caught[bad & mask.trusted] = (0.8, 0.1, 0.1)
    panels = {
        "dial 0": result.image.pixels,
        f"trusted at alpha 0.05: {mask.share:.0%}": overlay(result.image.pixels, mask.trusted),
        f"off by more than {certificate.binding.tau:g}; red: trusted ({(bad & mask.trusted).mean():.1%})": caught,
    }
    side = 4 * SIDE
    sheet = Image.new("RGB", (3 * side + 2 * GAP, side + TITLE), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for k, (title, samples) in enumerate(panels.items()):
        left = k * (side + GAP)
        sheet.paste(Image.fromarray(quantised(samples)), (left, TITLE))
        draw.text((left, 4), title, "black", font)
    sheet.save(ROOT / "docs" / "mask.png", optimize=True)


if __name__ == "__main__":
    main()
