"""Nobody who is held out is trained on, however the sets were given; and patches fit into slices."""

import nibabel
import pytest
import torch
from tests.stages.scans import RECIPE as SCANS
from tests.stages.scans import write, write_set

from veriscale.errors import InputError
from veriscale.stages.data import load, pack
from veriscale.stages.recipe import read_recipe
from veriscale.stages.training_sets import check_sets, spacing_remarks


@pytest.fixture
def root(tmp_path, skimage_data):
    write_set(tmp_path / "set")
    for name in ("chelsea", "coffee"):
        (tmp_path / f"{name}.png").write_bytes((skimage_data / f"{name}.png").read_bytes())
    (tmp_path / "scans.toml").write_text(SCANS)
    return tmp_path


def check(root, data, validation, *overrides, channels=1):
    def loaded(patterns, part):
        return load(patterns, root, channels, torch.device("cpu"), "CC0", part)

    recipe = read_recipe(root / "scans.toml", overrides)
    check_sets(recipe, [loaded(data, "training")], [loaded(validation, "validation")])


def test_sets_that_share_nobody(root):
    check(root, ["set/one", "set/two"], ["set/held"])
    check(root, ["chelsea.png"], ["coffee.png"])


@pytest.mark.parametrize(
    "data, validation, words",
    [
        (["set"], ["set/held"], r"'held' is in stage\.toy\.data and in stage\.toy\.validation"),
        (["set/*/T1.nii.gz"], ["set/*/T2.nii.gz"], "Subject 'held'"),  # other scans of the same
        (["set/one"], [r"again/P07"], r"one/T1\.nii\.gz of stage\.toy\.data is the same file as again/P07/scan"),
        (["*.png"], ["coffee.png"], r"coffee\.png of stage\.toy\.data is the same file as coffee\.png"),
        (["chelsea.png", "coffee.png"], ["copy"], r"is the same file as copy/x\.png"),
    ],
)
def test_sets_that_share_somebody(root, data, validation, words):
    for source, target in (("set/one/T1.nii.gz", "again/P07/scan.nii.gz"), ("coffee.png", "copy/x.png")):
        (root / target).parent.mkdir(parents=True)
        (root / target).write_bytes((root / source).read_bytes())
    with pytest.raises(InputError, match=words):
        check(root, data, validation)


def test_sets_of_an_archive_too(root):
    pack(["set/one"], ["set"], root, root / "data.zip")
    with pytest.raises(InputError, match="Subject 'one' is in"):
        check(root, ["data.zip"], ["data.zip"])


@pytest.mark.parametrize(
    "override, side", [("encoder.patch=11", 44), ("denoiser.patch=44", 44), ("predictor.patch=20", 80)]
)
def test_slices_smaller_than_a_patch_are_named_before_any_work(root, override, side):
    phase = f"toy.{override.partition('.')[0]}"
    words = rf"Slice set/one/T1\.nii\.gz#2 is 50×42, and a patch of {phase} is {side}×{side} .* stage\.{phase}\.patch"
    with pytest.raises(InputError, match=words):
        check(root, ["set/one"], ["set/held"], f"stage.toy.{override}")


def test_spacings_far_apart_are_said(root):
    def remarks(pattern):
        return spacing_remarks([load([pattern], root, 1, torch.device("cpu"), "", "training")])

    write(root / "set" / "one" / "fine.nii.gz", spacing=(0.34, 0.34, 5))
    assert remarks("set") == []
    write(root / "set" / "one" / "fine.nii.gz", spacing=(0.3, 0.3, 5))
    assert remarks("set")[0].startswith("set: spacings in the plane from 0.3 to 1 mm")
    assert nibabel.load(root / "set" / "one" / "fine.nii.gz").shape == (42, 50, 8)
