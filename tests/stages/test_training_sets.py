"""Nobody who is held out is trained on, however the sets were given; and patches fit into slices."""

import msgspec
import nibabel
import numpy as np
import pydicom
import pytest
import torch
from tests.imaging.dicom.synthetic import slices
from tests.imaging.dicom.synthetic import write as write_series
from tests.stages.scans import RECIPE as SCANS
from tests.stages.scans import write, write_set

from veriscale.diffusion.card import Ancestor, Data
from veriscale.errors import InputError
from veriscale.imaging.read import read_photo
from veriscale.stages.archive import pack
from veriscale.stages.batches import Batches
from veriscale.stages.data import load
from veriscale.stages.fitting import CONTEXT
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.training_sets import check_sets, distance_remarks, spacing_remarks, subject_remarks


@pytest.fixture
def root(tmp_path, skimage_data):
    write_set(tmp_path / "set")
    for name in ("chelsea", "coffee"):
        (tmp_path / f"{name}.png").write_bytes((skimage_data / f"{name}.png").read_bytes())
    (tmp_path / "scans.toml").write_text(SCANS)
    return tmp_path


def check(root, data, validation, *overrides):
    def loaded(patterns, part):
        return load(patterns, root, 1, torch.device("cpu"), "CC0", part)

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


@pytest.fixture
def series(root):
    """Four series: two folders of one patient, one of another, and one of who has no PatientID."""
    for name, patient in (("first", "ID-4711"), ("again", "ID-4711"), ("other", "ID-4712"), ("nobody", "")):
        write_series(root / "series" / name, slices(shape=(48, 50), patient=patient))
    return root


def test_a_patient_of_two_series_is_not_held_out_from_herself(series):
    words = (
        r"Subject 'first' of stage\.toy\.data and 'again' of stage\.toy\.validation are one patient, by the PatientID"
    )
    with pytest.raises(InputError, match=words) as error:
        check(series, ["series/first", "series/other"], ["series/again"])
    assert "4711" not in str(error.value)
    check(series, ["series/first"], ["series/other", "series/nobody"])
    check(series, ["series/first", "series/again"], ["series/other"])


def test_a_patient_of_two_series_counts_once(series):
    recipe = read_recipe(series / "scans.toml")

    def told(data, validation):
        sets = ([load([p], series, 1, torch.device("cpu"), "CC0", "training")] for p in (data, validation))
        return subject_remarks(recipe, *sets)

    assert told("series", "series/[af]*") == [
        "stage.toy: 3 patients in 1 group, 4 scans, 20 slices; 1 patient held out"
    ]
    assert told("set", "series/[no]*") == ["stage.toy: 3 patients in 1 group, 5 scans, 40 slices; 2 patients held out"]
    for file in (series / "series" / "first").iterdir():  # nobody's name is another's PatientID
        header = pydicom.dcmread(file)
        header.PatientID = "nobody"
        header.save_as(file)
    assert told("series", "set") == ["stage.toy: 4 patients in 1 group, 4 scans, 20 slices; 3 patients held out"]
    whole = load(["series"], series, 1, torch.device("cpu"), "CC0", "training")
    whole.patients.update(again={"1", "2"}, first={"1"}, nobody={"2"})  # a folder of two series ties three together
    first, said = subject_remarks(recipe, [whole], [whole])
    assert first == "stage.toy: 2 patients in 1 group, 4 scans, 20 slices; 2 patients held out"
    assert said.startswith("stage.toy: 'again' counts as one patient, and has series of several PatientIDs; if they")


def test_maps_of_labels_are_said(root):
    """A mask that lies beside its scan would be learned from as one more."""
    scan = nibabel.load(root / "set" / "one" / "T1.nii.gz")
    mask = (np.asarray(scan.dataobj) > 400).astype(np.uint8)
    nibabel.Nifti1Image(mask, scan.affine).to_filename(root / "set" / "one" / "T1_mask.nii.gz")
    recipe = read_recipe(root / "scans.toml")
    seen, held = (load([p], root, 1, torch.device("cpu"), "CC0", "training") for p in ("set/one", "set/two/*"))
    first, said = subject_remarks(recipe, [seen], [held])
    assert "3 scans" in first
    assert said == (
        "stage.toy: set/one/T1_mask.nii.gz has no more than 16 levels, as maps of labels have and scans have not; if "
        "it is one, move it elsewhere"
    )


def test_a_copy_is_no_further_patient(series):
    (series / "set" / "copy_T1.nii.gz").write_bytes((series / "set" / "one" / "T1.nii.gz").read_bytes())
    with pytest.raises(InputError, match=r"of stage\.toy\.data are the same file, and would count as two patients"):
        check(series, ["set"], ["series"])


def test_a_packed_patient_is_known_too(series):
    pack({"toy": {"training": ["series/first"], "validation": ["series/again"]}}, series, series / "data.zip")
    with pytest.raises(InputError, match="are one patient, by the PatientID of both"):
        check(series, ["data.zip"], ["data.zip"])


def test_a_prior_is_measured_on_what_it_is_trained_for(root):
    with pytest.raises(
        InputError, match=r"stage\.toy\.data are scans and stage\.toy\.validation photographs; .* scans"
    ):
        check(root, ["set/one"], ["coffee.png"])
    with pytest.raises(InputError, match=r"data are photographs and stage\.toy\.validation scans; .* hold out photo"):
        check(root, ["coffee.png"], ["set/held"])


def test_held_out_slices_smaller_than_a_patch_are_named_where_they_are_evaluated_on(root):
    write(root / "small" / "P9.nii.gz", shape=(34, 36, 8))
    check(root, ["set/one"], ["small"], "stage.toy.encoder.patch=10")
    with pytest.raises(InputError, match=r"Slice small/P9\.nii\.gz#\d is 36×34, and a patch of toy\.encoder is 40×40"):
        check(root, ["set/one"], ["small"], "stage.toy.encoder.patch=10", "stage.toy.evaluate=5")


def test_what_an_ancestor_was_trained_on_is_not_held_out(root, tiny):
    def checked(grandparent):
        ancestor = Ancestor("a", "0" * 64, 1, [2], [grandparent.facts], {}, [], 0.0, {})
        parent = msgspec.structs.replace(tiny.card, name="old", lineage=[ancestor])
        sets = [loaded_from(root, "set/one")], [loaded_from(root, "set/held")]
        check_sets(read_recipe(root / "scans.toml"), *sets, [parent])

    checked(loaded_from(root, "set/two"))
    with pytest.raises(
        InputError, match=r"held/T2\.nii\.gz of stage\.toy\.validation is a file that the parent 'old' or"
    ):
        checked(loaded_from(root, "set/held/T2.nii.gz"))


def loaded_from(root, pattern):
    return load([pattern], root, 1, torch.device("cpu"), "CC0", "training")


def test_sets_of_an_archive_too(root):
    pack({"toy": {"training": ["set/one"], "validation": ["set"]}}, root, root / "data.zip")
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


def test_photographs_smaller_than_a_patch_with_its_surroundings_are_named_before_any_work(root, skimage_data):
    """Of the same size that a batch needs."""
    tile = read_photo(skimage_data / "coffee.png").to_pil()
    for side in (47, 48, 111, 112):
        tile.crop((0, 0, side, 60 + side)).save(root / f"tile{side}.png")
    encoder = ["stage.toy.denoiser.steps=0", "stage.toy.predictor.steps=0"]
    denoiser = ["stage.toy.predictor.steps=0"]
    check(root, ["tile48.png"], ["coffee.png"], *encoder)
    words = (
        r"Photograph tile47\.png is 47×107, and a patch of toy\.encoder is 48×48 of its pixels with its surroundings"
    )
    with pytest.raises(InputError, match=words):
        check(root, ["tile47.png"], ["coffee.png"], *encoder)
    check(root, ["tile112.png"], ["coffee.png"], *denoiser)
    with pytest.raises(InputError, match=r"tile111\.png is 111×171, and a patch of toy\.denoiser is 112×112"):
        check(root, ["tile111.png"], ["coffee.png"], *denoiser)
    task = read_recipe(root / "scans.toml").task
    for side, patch, margin in ((48, 8, 0), (112, 8, CONTEXT)):  # ×4 is the worst of the scales
        batches = Batches(loaded_from(root, f"tile{side}.png"), msgspec.structs.replace(task, weights=[1e-9, 1.0]), 0)
        assert batches.make("any", 0, range(2), patch, margin).scale == 4
        batches = Batches(
            loaded_from(root, f"tile{side - 1}.png"), msgspec.structs.replace(task, weights=[1e-9, 1.0]), 0
        )
        with pytest.raises(InputError, match=f"tile{side - 1}"):
            batches.make("any", 0, range(2), patch, margin)


def test_spacings_far_apart_are_said(root):
    def remarks(pattern):
        return spacing_remarks([load([pattern], root, 1, torch.device("cpu"), "", "training")])

    write(root / "set" / "one" / "fine.nii.gz", spacing=(0.34, 0.34, 5))
    assert remarks("set") == []
    write(root / "set" / "one" / "fine.nii.gz", spacing=(0.3, 0.3, 5))
    assert remarks("set")[0].startswith("set: spacings in the plane from 0.3 to 1 mm")
    assert nibabel.load(root / "set" / "one" / "fine.nii.gz").shape == (42, 50, 8)


def test_spacings_of_each_set_of_one_archive_are_said(root):
    write(root / "set" / "one" / "fine.nii.gz", spacing=(0.3, 0.3, 5))
    pack({"toy": {"training": ["set"], "validation": ["set/held"]}}, root, root / "data.zip")
    sets = [load(["data.zip"], root, 1, torch.device("cpu"), "", part) for part in ("training", "validation")]
    assert [remark.partition(";")[0] for remark in spacing_remarks(sets)] == [
        "data.zip: spacings in the plane from 0.3 to 1 mm"
    ]


def test_spacings_far_from_those_of_the_ancestors_are_said(root, tiny):
    def told(low, high, of, *lineage):
        def data(spacing):
            return Data("old", 1, "0" * 64, "CC0", spacing=spacing)

        write(root / "new" / "a.nii.gz", spacing=(low, low, 5))
        write(root / "new" / "b.nii.gz", spacing=(high, high, 5))
        ancestors = [Ancestor("a", "0" * 64, 1, [2], [data(spacing)], {}, [], 0.0, {}) for spacing in lineage]
        card = msgspec.structs.replace(tiny.card, name="old", training=[data(of)], lineage=ancestors)
        return distance_remarks(card, [load(["new"], root, 1, torch.device("cpu"), "", "training")])

    assert told(0.5, 2, [1.0, 1.0]) == []
    assert told(0.9, 2.01, [1.0, 1.0]) == [
        "new: spacings in the plane from 0.9 to 2.01 mm, far from 1 to 1 mm of the scans that the parent 'old' comes "
        "from; what it knows of detail may not suit them"
    ]
    assert told(0.49, 1, [1.0, 1.0])
    assert told(0.49, 2.01, [1.0, 1.0], [], [0.98, 1.01]) == []  # its grandparent knew such
    assert told(0.1, 9, []) == []  # of photographs nobody knows
