import shutil
import zipfile

import pytest
import torch

from veriscale.errors import InputError
from veriscale.stages.data import load
from veriscale.stages.splits import select
from veriscale.stages.training import pack_data

CPU = torch.device("cpu")


def test_an_archive_reads_as_the_files_it_was_made_of(recipe, tmp_path, skimage_data):
    assert pack_data(recipe, tmp_path / "data.zip") == 3
    files = load(["chelsea.png", "coffee.png"], skimage_data, 3, CPU, "CC0", "training")
    packed = load([str(tmp_path / "data.zip")], skimage_data, 3, CPU, "CC0", "training")
    assert packed.names == files.names
    assert packed.facts.sha256 == files.facts.sha256
    assert all(torch.equal(a, b) for a, b in zip(files.images, packed.images, strict=True))
    assert load([str(tmp_path / "data.zip")], skimage_data, 1, CPU, "", "validation").images[0].shape == (1, 512, 512)


def test_packing_twice_gives_the_same_bytes(recipe, tmp_path):
    for name in ("a.zip", "b.zip"):
        pack_data(recipe, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_folders_and_globs_are_found_once(skimage_data, tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    shutil.copy(skimage_data / "coffee.png", tmp_path / "deep" / "er" / "a.png")
    (tmp_path / "deep" / "notes.txt").write_text("no picture")
    assert [f.path.name for f in select(["deep", "deep/er/*"], tmp_path)] == ["a.png"]
    (tmp_path / "empty").mkdir()
    for name, what in (("none", "is not there"), ("empty", "holds no picture and no scan")):
        with pytest.raises(InputError, match=rf"^Data {tmp_path}/{name} {what}; give a folder of photographs, NIfTI"):
            select([str(tmp_path / name)], tmp_path)
    with pytest.raises(InputError, match="matches no picture"):
        select(["shallow/*"], tmp_path)


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match=r"bad\.zip"):
        load([str(tmp_path / "bad.zip")], tmp_path, 3, CPU, "", "training")


def test_folders_of_an_archive_are_no_pictures(skimage_data, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.mkdir("training/deep")
        archive.write(skimage_data / "coffee.png", "training/deep/a.png")
    assert load([str(tmp_path / "a.zip")], tmp_path, 3, CPU, "", "training").names == ["deep/a.png"]
