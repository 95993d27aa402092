"""The code of docs/own-denoiser.md runs, in its order, and does what the page says."""

import re
from pathlib import Path

import numpy as np

import veriscale

PAGE = Path(__file__).parents[1] / "docs/own-denoiser.md"


def test_the_examples_run(skimage_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    coffee = veriscale.read_photo(skimage_data / "coffee.png")
    photo = coffee.with_pixels(np.ascontiguousarray(coffee.pixels[100:196, 200:328]))
    veriscale.write_photo(photo, tmp_path / "photo.png")
    (tmp_path / "pictures").mkdir()
    for k in range(2):
        part = coffee.with_pixels(np.ascontiguousarray(coffee.pixels[50 * k : 50 * k + 64, 300:364]))
        veriscale.write_photo(part, tmp_path / "pictures" / f"{k}.png")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    names: dict = {}
    errors = []
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
        result, measured = names["result"], names["measured"]
        errors.append(float(np.square(result.images[0.0].pixels - photo.pixels).mean()))
        if block is blocks[0]:
            dots = float(np.square(measured.pixels - photo.pixels).mean())
            assert errors[0] < dots / 20
    assert max(errors) < dots / 20
    assert (tmp_path / "filtered" / "restored.run.json").exists()
    assert names["prior"].card.validation[0].files == 2
