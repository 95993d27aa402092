"""Every line of bad input: one sentence, exit code 2, nothing half-written."""

import errno
import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo

FAST = ("--prior", "tiny", "--sampler", "heun", "--steps", "2", "--device", "cpu")


@pytest.fixture
def cat(skimage_data, tmp_path):
    photo = read_photo(skimage_data / "chelsea.png")
    write_photo(photo.with_pixels(photo.pixels[:24, :32]), tmp_path / "cat.png")
    return tmp_path / "cat.png"


def save_cmyk(path: Path) -> None:
    Image.new("CMYK", (16, 16)).save(path, "JPEG")


BAD_FILES = {
    "truncated.png": (lambda p, cat: p.write_bytes(cat.read_bytes()[:900]), "truncated.png"),
    "prose.png": (lambda p, cat: p.write_text("not a picture at all"), "not an image"),
    "empty.png": (lambda p, cat: p.write_bytes(b""), "empty"),
    "nothing.npy": (lambda p, cat: np.save(p, np.zeros((0, 5, 3), np.float32)), "nothing.npy"),
    "nan.tif": (lambda p, cat: tifffile.imwrite(p, np.full((16, 16, 3), np.nan, np.float32)), "NaN"),
    "cmyk.jpg": (lambda p, cat: save_cmyk(p), "CMYK"),
    "pages.tif": (
        lambda p, cat: tifffile.imwrite(p, np.zeros((3, 16, 16), np.uint8), photometric="minisblack"),
        "page",
    ),
    "small.png": (lambda p, cat: Image.new("RGB", (4, 4)).save(p), "too small"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(refused, cat, tmp_path, name):
    make, word = BAD_FILES[name]
    folder = tmp_path / "in"
    folder.mkdir()
    make(folder / name, cat)
    sentence = refused("restore", folder / name, *FAST)
    assert word in sentence
    assert [p.name for p in folder.iterdir()] == [name]


def test_a_missing_file(refused, tmp_path):
    assert "does not exist" in refused("restore", tmp_path / "missing.png", *FAST)


def test_an_empty_folder(refused, tmp_path):
    assert "holds no image" in refused("restore", tmp_path, *FAST)


def test_no_input(refused):
    assert "No input" in refused("restore", *FAST)


def test_a_decompression_bomb(refused, cat):
    sentence = refused("restore", cat, *FAST, "--max-pixels", 100)
    assert "--max-pixels" in sentence


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--scale", 17), "give a number above 1 and up to 16"),
        (("--scale", 1), "give a number above 1 and up to 16"),
        (("--scale", 0), "give a number above 1 and up to 16"),
        (("--scale", -2), "give a number above 1 and up to 16"),
        (("--scale", "nan"), "--scale is 'nan', and a number is wanted"),
        (("--scale", "2.5x"), "--scale is '2.5x', and a number is wanted"),
        (("--scale", 8, "--samples", 4), "--samples is for what the prior's encoder knows"),
        (("--samples", "2.9"), "--samples is '2.9', and a whole number is wanted"),
        (("--seed", "1.9"), "--seed is '1.9', and a whole number is wanted"),
        (("--max-pixels", "1e3.5"), "--max-pixels is '1e3.5', and a whole number is wanted"),
        (("--dial", "1.2"), "outside [0, 1]"),
        (("--dial", "vivid"), "not a number"),
        (("--dial", "0,,1"), "not a number"),
        (("--path", "interpolat"), "did you mean 'interpolate'"),
        (("--sampler", "hoin"), "known: heun"),
        (("--format", "jp2"), "known: keep"),
        (("--device", "cpv"), "did you mean 'cpu'"),
        (("--prior", "tinny"), "did you mean 'tiny'"),
        (("--noise", "much"), "known: gaussian, poisson, rician"),
        (("--operator", "downsampel:factor=4"), "did you mean 'downsample'"),
        (("--operator", "downsample:facto=4"), "did you mean 'factor'"),
        (("--operator", "downsample:factor=4,kernel=bicubik"), "did you mean 'bicubic'"),
        (("--operator", "downsample:factor=4", "--scale", 2), "contradict"),
        (("--dail", "1"), "--dial"),
        (("--steps", "many"), "--steps is 'many', and a whole number is wanted"),
        (("--samples", 10**9), "ask for fewer --samples, or restore parts with --crop"),
        (("--samples", 10**9, "--dry-run"), "GB of memory, and this machine has"),
        (("--crop", "1,2"), "X,Y,W,H"),
        (("--seed", "-1"), "seed"),
        (("-o", "result.bmp2"), ".png"),
    ],
)
def test_values_that_mean_nothing(refused, cat, arguments, words):
    others = [a for k in range(0, len(FAST), 2) if FAST[k] != arguments[0] for a in FAST[k : k + 2]]
    assert words in refused("restore", cat, *others, *arguments)
    assert [p.name for p in cat.parent.iterdir()] == ["cat.png"]


def test_an_output_folder_that_cannot_be_made(refused, cat, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be made" in refused("restore", cat, *FAST, "-o", tmp_path / "file" / "out")


def test_a_full_disk_leaves_nothing_behind(refused, cat, monkeypatch):
    import veriscale.imaging.atomic as atomic

    def full(source: str, target: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(source))

    monkeypatch.setattr(atomic.os, "replace", full)
    assert "disk is full" in refused("restore", cat, *FAST)
    assert [p.name for p in cat.parent.iterdir()] == ["cat.png"]


def write_pickle(path: Path, tiny: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))


def write_edited_tensor(path: Path, tiny: Path) -> None:
    content = bytearray(tiny.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def write_edited_card(path: Path, tiny: Path) -> None:
    path.write_bytes(tiny.read_bytes().replace(b"CC0", b"CC9"))


def write_other_version(path: Path, tiny: Path) -> None:
    content = tiny.read_bytes()
    old, new = rb"\"format_version\":1", rb"\"format_version\":9"
    assert old in content
    path.write_bytes(content.replace(old, new))


BAD_PRIORS = {
    "truncated": (lambda p, tiny: p.write_bytes(tiny.read_bytes()[:5000]), "truncated"),
    "edited tensor": (write_edited_tensor, "not those its card speaks of"),
    "edited card": (write_edited_card, "edited"),
    "other version": (write_other_version, "format version 9"),
    "pickle": (write_pickle, "pickle"),
    "prose": (lambda p, tiny: p.write_text("not tensors at all, but some words"), "not a safetensors file"),
}


@pytest.mark.parametrize("kind", BAD_PRIORS)
def test_bad_priors(refused, cat, tiny_file, tmp_path, kind):
    make, words = BAD_PRIORS[kind]
    path = tmp_path / "bad.safetensors"
    make(path, tiny_file)
    assert words in refused("restore", cat, "--prior", path, "--quiet")
    if kind != "edited tensor":  # the tensors are not read for the card
        assert words in refused("priors", path)


@pytest.mark.parametrize(
    "line, words",
    [
        ('nmae = "x"', "did you mean 'name'"),
        ("[task]\noperator = 1", "did you mean 'operators'"),
        ("[encoder]\nwidht = 3", "did you mean 'width'"),
        ("= 3", "not valid TOML"),
    ],
)
def test_bad_recipes(refused, tmp_path, line, words):
    recipe = tmp_path / "bad.toml"
    whole = Path("recipes/photo.toml")
    text = (Path(__file__).parents[2] / whole).read_text()
    if line.startswith("["):
        table, key = line.split("\n")
        text = text.replace(table, f"{table}\n{key}", 1)
    else:
        text = f"{line}\n{text}"
    recipe.write_text(text)
    assert words in refused("train", recipe)


def test_a_missing_recipe(refused, tmp_path):
    assert "cannot be read" in refused("train", tmp_path / "none.toml")


def test_a_value_out_of_range_in_set(refused):
    recipe = Path(__file__).parents[2] / "recipes" / "photo.toml"
    assert "weights" in refused("train", recipe, "--set", "task.weights=[1, 2]")
    assert "no stage is called" in refused("train", recipe, "--set", "stage.foto.clip=0.9")
    assert "has no '='" in refused("train", recipe, "--set", "seed")


def test_evaluate_and_degrade_refuse_too(refused, cat, tmp_path):
    assert "does not exist" in refused("evaluate", tmp_path / "none", "--prior", "tiny")
    assert "unknown key" in refused("degrade", cat, "--operator", "downsample:ratio=2")
    assert "at least 1" in refused("degrade", cat, "--operator", "downsample:factor=0")
    assert "too small" in refused("degrade", cat, "--operator", "downsample:factor=64")


def test_photo_without_samples_is_not_written_halfway(tmp_path):
    with pytest.raises(Exception, match="png2"):
        write_photo(Photo(np.zeros((8, 8, 3), np.float32)), tmp_path / "a.png2")
    assert not list(tmp_path.iterdir())
