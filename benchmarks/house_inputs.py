"""What the commands of house_commands.py work on: small parts of scikit-image's photographs, in every kind of file."""

import json
import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

PHOTOGRAPHS = Path(find_spec("skimage").submodule_search_locations[0]) / "data"
SOURCES = ("chelsea.png", "coffee.png", "astronaut.png")

INTERRUPTING = '''"""An upscaler whose third run interrupts whoever called it, once."""
import os, signal, sys, time
from pathlib import Path
from PIL import Image
seen = Path("runs.txt")
runs = len(seen.read_text()) + 1 if seen.exists() else 1
seen.write_text("|" * runs)
if runs == 3:
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(60)
with Image.open(sys.argv[1]) as picture:
    picture.resize((4 * picture.width, 4 * picture.height), Image.Resampling.BICUBIC).save(sys.argv[2])
'''

DRAWING = '''"""An upscaler that gives another picture every time, the same series in every folder."""
import sys
from pathlib import Path
import numpy as np
from PIL import Image
seen = Path("draws.txt")
runs = len(seen.read_text()) + 1 if seen.exists() else 1
seen.write_text("|" * runs)
with Image.open(sys.argv[1]) as picture:
    large = np.asarray(picture.resize((4 * picture.width, 4 * picture.height), Image.Resampling.BICUBIC), float)
noisy = large + np.random.default_rng(runs).normal(0, 4, large.shape)
Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8)).save(sys.argv[2])
'''

FAILING = "import sys\nsys.exit('no model here')\n"

RECIPE = """
name = "toy"
seed = 3
[task]
operators = ["downsample:factor=2"]
unconditional = 0.3
[encoder]
width = 32
depth = 1
features = 4
[denoiser]
width = [32, 32]
depth = [1, 1]
stem = 2
[predictor]
width = 32
depth = 1
[[stage]]
name = "toy"
data = ["chelsea.png", "coffee.png"]
validation = ["astronaut.png"]
licence = "CC0"
encoder_steps = 110
denoiser_steps = 110
predictor_steps = 110
encoder_patch = 8
denoiser_patch = 16
predictor_patch = 8
encoder_batch = 2
denoiser_batch = 2
predictor_batch = 2
ema = 0.9
"""

IN_PYTHON = '''"""What the README and docs/trust.md show of the library."""
import veriscale
result = veriscale.restore("cat.png", scale=4, dial=[0, 0.5, 1], samples=3, path="renoise")
for path in result.save("out"):
    print(path)
result = veriscale.restore("holes.png", operator="inpaint:mask=mask.png", noise=0.02, dial=1, steps=3)
for path in result.save("out", "holes"):
    print(path)
certificate = veriscale.calibrate("pictures", "mine.json", prior="photo", scale=4, unit="48x48")
print(certificate.infeasible("0.01"))
print(certificate.shares(certificate.threshold("0.05")).mean())
result = veriscale.restore("small.png", certificate="mine.json", alpha="0.3")
print(result.mask.share, result.mask.drift, *result.mask.sentences(), sep="\\n")
print(result.trusted.mean(), result.score.mean())
try:
    veriscale.restore("cat.png", scale=7)
except veriscale.InputError as error:
    print(type(error).__name__)
'''


def write_inputs(folder: Path, shipped: Path) -> None:
    """Write everything below a folder that is empty or not there; the same bytes every time.

    Args:
        folder: where the commands run.
        shipped: the folder of the shipped prior and its certificates.
    """
    for name in ("folder/below", "pictures", "others", "groups", "maps", "bad", "train", "tools", "home"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _pictures(folder)
    _folders(folder)
    _measurements(folder)
    _bad(folder, shipped)
    own = Path(__file__).parent / "tools" / "enlarge.py"
    (folder / "tools" / "enlarge.py").write_bytes(own.read_bytes())
    for name, script in {"interrupting": INTERRUPTING, "drawing": DRAWING, "failing": FAILING}.items():
        (folder / "tools" / f"{name}.py").write_text(script)
    (folder / "toy.toml").write_text(RECIPE)
    (folder / "in_python.py").write_text(IN_PYTHON)


def part(k: int, top: int, left: int, height: int, width: int) -> Image.Image:
    """A part of one of the photographs, RGB."""
    with Image.open(PHOTOGRAPHS / SOURCES[k % len(SOURCES)]) as whole:
        return whole.convert("RGB").crop((left, top, left + width, top + height))


def _pictures(folder: Path) -> None:
    cat = part(0, 100, 150, 20, 24)
    cat.save(folder / "cat.png", dpi=(300, 300))
    part(0, 80, 120, 48, 48).save(folder / "truth.png")
    part(0, 60, 100, 80, 80).save(folder / "unit.png")
    part(2, 30, 180, 12, 12).save(folder / "small.png")
    cat.convert("L").save(folder / "grey.png")
    cat.convert("P", palette=Image.Palette.ADAPTIVE, colors=32).save(folder / "palette.png")
    ramp = Image.fromarray(np.linspace(0, 255, 20 * 24).reshape(20, 24).astype(np.uint8))
    glass = cat.copy()
    glass.putalpha(ramp)
    glass.save(folder / "glass.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned
    part(1, 100, 200, 20, 24).save(folder / "turned.jpg", quality=90, exif=exif)
    cat.save(folder / "cat.webp", lossless=True)
    deep = np.asarray(part(0, 100, 150, 24, 20), np.uint16) * 257
    tifffile.imwrite(folder / "deep.tif", deep, photometric="rgb", resolution=(200, 200), resolutionunit=2)
    Image.fromarray(deep[..., 0]).save(folder / "deep.png")
    values = np.asarray(cat, np.float32) / 255
    tifffile.imwrite(folder / "float.tif", values, photometric="rgb")
    np.save(folder / "array.npy", values)


def _folders(folder: Path) -> None:
    part(0, 40, 200, 16, 16).save(folder / "folder" / "a.png")
    part(1, 40, 200, 16, 20).save(folder / "folder" / "a.jpg", quality=95)
    part(2, 40, 200, 20, 16).save(folder / "folder" / "below" / "b.tif")
    (folder / "folder" / "notes.txt").write_text("no picture")
    rng = np.random.default_rng(0)
    for k in range(20):
        part(k, *map(int, rng.integers(0, 240, 2)), 48, 48).save(folder / "pictures" / f"{k:02}.png")
    for k in range(3):
        part(k + 1, *map(int, rng.integers(0, 240, 2)), 52, 60).save(folder / "others" / f"o{k}.png")
        np.save(folder / "maps" / f"o{k}.npy", rng.random((48, 48), np.float32))
    for k in range(6):
        place = folder / "groups" / f"g{k // 2}"
        place.mkdir(exist_ok=True)
        part(k, *map(int, rng.integers(0, 240, 2)), 48, 48).save(place / f"{k}.png")
        (folder / "few").mkdir(exist_ok=True)
        if k < 4:
            part(k, *map(int, rng.integers(0, 240, 2)), 48, 48).save(folder / "few" / f"{k}.png")
            np.save(folder / "maps" / f"{k}.npy", rng.random((48, 48), np.float32))
    (folder / "fewer_maps").mkdir()
    for k in range(2):
        (folder / "fewer_maps" / f"{k}.npy").write_bytes((folder / "maps" / f"{k}.npy").read_bytes())
    np.save(folder / "maps" / "small.npy", rng.random((48, 48), np.float32))
    for k, name in enumerate(SOURCES):
        part(k, 40, 40, 96, 96).save(folder / "train" / name)


def _measurements(folder: Path) -> None:
    """Made here and not by `degrade`, whose own output is compared elsewhere."""
    rng = np.random.default_rng(1)
    mask = rng.random((20, 24)) < 0.6
    Image.fromarray((255 * mask).astype(np.uint8)).save(folder / "mask.png")
    values = np.asarray(part(0, 100, 150, 20, 24), float)
    holes = np.where(mask[..., None], values + rng.normal(0, 5, values.shape), 0).clip(0, 255).round()
    Image.fromarray(holes.astype(np.uint8)).save(folder / "holes.png")
    noisy = (values + rng.normal(0, 5, values.shape)).clip(0, 255).round()
    Image.fromarray(noisy.astype(np.uint8)).save(folder / "noisy.png")
    part(0, 100, 150, 8, 8).save(folder / "tiny.png")
    np.save(folder / "kernel.npy", np.outer([1, 2, 1], [1, 2, 1]))
    (folder / "operator.toml").write_text('noise = 0.05\n[[operator]]\nname = "inpaint"\nkeep = 0.5\n')


def _bad(folder: Path, shipped: Path) -> None:
    bad = folder / "bad"
    (bad / "torn.png").write_bytes((folder / "cat.png").read_bytes()[:600])
    (bad / "prose.png").write_text("not a picture at all")
    (bad / "empty.png").write_bytes(b"")
    Image.new("CMYK", (16, 16)).save(bad / "cmyk.jpg")
    Image.new("RGB", (4, 4)).save(bad / "small.png")
    tifffile.imwrite(bad / "nan.tif", np.full((16, 16, 3), np.nan, np.float32), photometric="rgb")
    tifffile.imwrite(bad / "pages.tif", np.zeros((3, 16, 16), np.uint8), photometric="minisblack")
    (bad / "mixed").mkdir()
    for name in ("torn.png", "prose.png"):
        (bad / "mixed" / name).write_bytes((bad / name).read_bytes())
    (bad / "mixed" / "good.png").write_bytes((folder / "cat.png").read_bytes())
    (bad / "mixed_truths").mkdir()
    for k in range(3):
        (bad / "mixed_truths" / f"{k}.png").write_bytes((folder / "pictures" / f"{k:02}.png").read_bytes())
    (bad / "mixed_truths" / "torn.png").write_bytes((bad / "torn.png").read_bytes())
    with (shipped / "photo.safetensors").open("rb") as file:
        (bad / "torn.safetensors").write_bytes(file.read(5000))
    (bad / "pickle.safetensors").write_bytes(pickle.dumps({"weights": [1, 2, 3]}, protocol=4))
    document = json.loads((shipped / "photo_x4_dial-0_sup.json").read_text())
    document["binding"]["n"] = 1000
    (bad / "edited.json").write_text(json.dumps(document))
    (bad / "none.json").write_text('{"binding": 1}')
    (bad / "run.json").write_text('{"arguments": {"dail": "1"}}')
    (bad / "recipe.toml").write_text(RECIPE.replace("[encoder]", "[encoder]\nwidht = 3"))
