"""input.kinds: odd picture files by the command, ×2 with the prior `photo`; and what of a file survives in its kind."""

import contextlib
import io
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odd_files import FILES, RICH, Picture
from results import Row, write_results
from veriscale.cli.main import run
from veriscale.imaging.photo import Photo, from_array
from veriscale.imaging.read import read_photo

OFF = 0.04  # of blocks of 8 × 8 in the mean: below it is the same picture; turned or mirrored it is well above


def command(*arguments: object) -> tuple[int, str]:
    """Exit code and stderr."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = run([str(a) for a in arguments])
    return code, said.getvalue()


def outcome(name: str, folder: Path, prior: str = "photo") -> str:
    """Make a file in an empty folder, restore it, and compare what comes of it with what is in it.

    Returns:
        "restored", "refused", "traceback", or in words what is wrong.
    """
    source, target = folder / name, folder / "out" / "result.png"
    picture = FILES[name](source)
    before = set(folder.iterdir())
    with contextlib.chdir(folder):  # so that a name may begin with a dash
        code, said = command("restore", f"./{name}", *options(prior), "--quiet", "-o", target)
    if code not in (0, 2) or "Traceback" in said:
        return "traceback"
    if set(folder.iterdir()) - before - ({target.parent} if code == 0 else set()):
        return "files are left beside it"
    if code == 2 and (len(said.splitlines()) != 1 or " ".join(name.split()) not in said):
        return f"refused, but not in one sentence that names it: {said!r}"
    if (code == 2) != (picture is None):
        return f"refused, and there is a picture in it: {said!r}" if code else "restored, and there is no picture in it"
    return "refused" if picture is None else compared(picture, read_photo(target))


def options(prior: str) -> tuple[object, ...]:
    return ("--prior", prior, "--scale", 2, "--device", "cpu")


def compared(picture: Picture, result: Photo) -> str:
    """Whether a result is twice a picture: "restored", or in words what is wrong."""
    truth = from_array(np.asarray(picture), "the picture")
    if (result.height, result.width, result.channels) != (2 * truth.height, 2 * truth.width, truth.channels):
        return f"{result.pixels.shape} from {truth.pixels.shape}"
    if (result.alpha is None) != (truth.alpha is None):
        return "transparency was lost or made up"
    if result.bit_depth != min(truth.bit_depth, 16):
        return f"{result.bit_depth} bits from {truth.bit_depth}"
    off = float(np.abs(blocks(result, 16) - blocks(truth, 8)).mean())
    return "restored" if off < OFF else f"another picture, off by {off:.3f}"


def blocks(photo: Photo, side: int) -> NDArray[np.float32]:
    """Grey, times alpha, in blocks."""
    grey = photo.planes().mean(0)
    height, width = (n // side for n in grey.shape)
    return grey[: height * side, : width * side].reshape(height, side, width, side).mean((1, 3))


HOLDS: dict[str, Callable[[Photo], bool]] = {
    "more than 8 bits": lambda p: p.bit_depth > 8,
    "alpha": lambda p: p.alpha is not None,
    "ICC": lambda p: p.icc is not None,
    "EXIF": lambda p: p.exif is not None and b"Camera" in p.exif,
    "dpi": lambda p: p.dpi is not None and abs(p.dpi[0] / (2 * 300) - 1) < 1e-3,
}


def survival(name: str, held: tuple[str, ...], kind: str, folder: Path, prior: str = "photo") -> dict[str, int]:
    """Which of the things that a file holds its result has, and how many of the others no remark speaks of.

    Args:
        name: of `odd_files.RICH`.
        held: keys of `HOLDS`.
        kind: for `--format`.
        folder: an empty one.
        prior: a name.

    Returns:
        By key 1 where the result has it; under "in silence" the number of those that nothing is said of.
    """
    RICH[name][0](folder / name)
    code, said = command("restore", folder / name, *options(prior), "--format", kind, "-o", folder / "out")
    if code:
        raise SystemExit(f"{name} as {kind}: {said}")
    (file,) = (f for f in (folder / "out").iterdir() if f.suffix != ".json")
    result = read_photo(file)
    survived = {key: int(HOLDS[key](result)) for key in held}
    words = {"more than 8 bits": "reduced from", "ICC": "ICC profile", "dpi": "resolution in dpi"}
    silent = [key for key, there in survived.items() if not there and words.get(key, key) not in said]
    return survived | {"in silence": len(silent)}


def rows(folder: Path) -> tuple[list[Row], list[str]]:
    """All rows, and what is wrong with which file."""
    found: dict[str, str] = {}
    for k, name in enumerate(FILES):
        (folder / str(k)).mkdir()
        found[name] = outcome(name, folder / str(k))
    count = Counter(found.values())
    wrong = {name: what for name, what in found.items() if what not in ("restored", "refused", "traceback")}
    made = [
        Row("input.kinds.files", "odd picture files", len(found)),
        Row("input.kinds.restored", "of them restored, in the right size, turn, depth and colours", count["restored"]),
        Row("input.kinds.refused", "of them refused in one sentence that names the file", count["refused"]),
        Row("input.kinds.tracebacks", "of them with a traceback", count["traceback"], bar="<= 0"),
        Row("input.kinds.wrong", "of them with any other outcome", len(wrong), bar="<= 0"),
    ]
    ways = [(name, "keep") for name in RICH] + [("rich.png", kind) for kind in ("jpeg", "tiff", "webp", "npy")]
    for name, kind in ways:
        (place := folder / f"{name}-{kind}").mkdir()
        kept = survival(name, RICH[name][1], kind, place)
        silent = kept.pop("in silence")
        suffix = name.rpartition(".")[2]
        ident, words = (suffix, "in its kind") if kind == "keep" else (f"{suffix}_as_{kind}", f"written as {kind}")
        made.append(
            Row(
                f"input.kinds.survives.{ident}",
                f"{suffix} {words}: of what it holds lost without a word; beside it what is kept",
                silent,
                bar="<= 0",
                against=kept,
            )
        )
    return made, [f"{name}: {what}" for name, what in wrong.items()]


def main() -> None:
    begun = time.monotonic()
    print(f"{len(FILES)} files, about {len(FILES) * 0.5 / 60:.1f} minutes", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        made, wrong = rows(Path(folder))
    notes = (
        "Files of 48 x 32 pixels made by Pillow, tifffile, imagecodecs, NumPy or by hand, restored x2 by the command "
        "with photo. Right is twice the upright size, the depth (floating point becomes 16 bits), the transparency and "
        "the colours: blocks of 8 x 8 are off by less than 0.04 in the mean. Kept is 1 where the result in the input's "
        "kind (PNG where that is only read), or in the kind named, has it."
    )
    write_results("input_kinds", made, " ".join([notes, *wrong]), time.monotonic() - begun)
    print(*made, *wrong, sep="\n")


if __name__ == "__main__":
    main()
