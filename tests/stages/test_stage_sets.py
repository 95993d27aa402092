"""The sets of a recipe's stages, and the manifest of who was drawn for them."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.imaging.dicom.synthetic import slices
from tests.imaging.dicom.synthetic import write as write_series
from tests.stages.scans import RECIPE, write

from veriscale.errors import InputError
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.splits import MANIFEST
from veriscale.stages.stage_sets import MEASURED_ON, StageSets, stage_sets
from veriscale.stages.training import pack_data

FOUR = ["stage.toy.data=set", "stage.toy.validation=[]", "stage.toy.hold_out=1", "stage.toy.subjects=2"]


@pytest.fixture
def scans(tmp_path, monkeypatch) -> Path:
    """A recipe, and four subjects: of BIDS in two files, of a folder, of a file, of a series."""
    for seed, name in enumerate(["sub-01/anat/sub-01_T1w", "sub-01/anat/sub-01_T2w", "P2/T1", "p3_T1"]):
        write(tmp_path / "data" / "set" / f"{name}.nii.gz", seed=seed)
    write_series(tmp_path / "data" / "set" / "d", slices())
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "scans.toml").write_text(RECIPE)
    monkeypatch.setenv("VERISCALE_DATA", str(tmp_path / "data"))
    return tmp_path / "recipes" / "scans.toml"


def sets_of(path: Path, *overrides: str) -> StageSets:
    return stage_sets(read_recipe(path, overrides), path, torch.device("cpu"))


def test_a_manifest_of_who_was_drawn_gives_the_same_sets(scans):
    seen = set()
    for seed in range(6):
        drawn = sets_of(scans, *FOUR, f"seed={seed}")
        tables = tomllib.loads(drawn.table)["set"]
        assert {k: len(v) for k, v in tables.items()} == {"train": 2, "validation": 1, "rest": 1}
        assert set.union(*(set(v) for v in tables.values())) == {"sub-01", "P2", "p3", "d"}
        assert list(tables["validation"]) == [*set(drawn.validation[0].subjects)]
        scans.with_name(MANIFEST).write_text(drawn.table)
        again = sets_of(scans, f"seed={seed}")  # set@train, set@validation
        for one, other in zip(drawn[:2], again[:2], strict=True):
            assert one[0].facts.sha256 == other[0].facts.sha256
            assert one[0].names == other[0].names
        assert again.table == ""
        assert drawn.validation[0].facts.licence == MEASURED_ON
        seen |= set(drawn.validation[0].subjects)
    assert len(seen) > 1  # the seed decides


def write_patients(folder: Path, whose: dict[str, str]) -> None:
    """A series of each name, with that PatientID."""
    for name, patient in whose.items():
        write_series(folder / name, slices(shape=(48, 50), patient=patient))


def test_one_patient_of_two_folders_is_not_drawn_from_at_any_seed(scans, tmp_path):
    write_patients(tmp_path / "data" / "series", {"first": "ID-1", "again": "ID-1", "other": "ID-2", "third": "ID-3"})
    data = ["stage.toy.data=series", "stage.toy.validation=set"]
    for seed in range(4):
        with pytest.raises(
            InputError,
            match=r"Subjects 'again' and 'first' of series are one patient, .* and stage\.toy\.subjects draws pat",
        ) as told:
            sets_of(scans, *data, "stage.toy.subjects=1", f"seed={seed}")
        assert "ID-1" not in str(told.value)
        with pytest.raises(InputError, match=r"are one patient, .* and stage\.toy\.hold_out draws patients; put all"):
            sets_of(scans, *data, "stage.toy.validation=[]", "stage.toy.hold_out=1", f"seed={seed}")
    assert set(sets_of(scans, *data).training[0].subjects) == {"first", "again", "other", "third"}  # nobody is drawn


def test_a_copy_is_no_further_patient_at_any_seed(scans, tmp_path):
    source = tmp_path / "data" / "set" / "P2" / "T1.nii.gz"
    for name in ("P8", "P9"):
        write(tmp_path / "data" / "set" / name / "T1.nii.gz", seed=ord(name[1]))
    copy = tmp_path / "data" / "set" / "P7" / "again.nii.gz"
    copy.parent.mkdir()
    copy.write_bytes(source.read_bytes())
    words = r"set/P2/T1\.nii\.gz and set/P7/again\.nii\.gz of set are the same file, and would count as two patients"
    for seed in range(3):
        with pytest.raises(InputError, match=words):
            sets_of(scans, *FOUR, f"seed={seed}")
    own = source.with_name("again.nii.gz")
    copy.rename(own)  # a visit of her own, twice: of no other patient
    assert sets_of(scans, *FOUR).table


def test_whoever_is_the_rest_is_not_held_out_in_another_series(scans, tmp_path):
    write_patients(tmp_path / "data" / "series", {"first": "ID-1", "other": "ID-2", "third": "ID-3"})
    write_patients(tmp_path / "data" / "held", {"again": "ID-1"})
    asked = ["stage.toy.data=series", "stage.toy.validation=held", "stage.toy.subjects=1"]
    found = []
    for seed in range(8):
        tables = tomllib.loads(sets_of(scans, *asked, f"seed={seed}").table)["series"]
        found.append(list(tables["train"]))
        if found[-1] != ["first"]:
            assert set(tables["rest"]) == {"other", "third"} - {*found[-1]}
    assert ["other"] in found


def test_of_named_splits_the_manifest_says_who_was_not_trained_on(scans):
    scans.with_name(MANIFEST).write_text(sets_of(scans, *FOUR).table.replace(".rest]", ".test]"))
    sets = sets_of(scans, "stage.toy.subjects=1")
    tables = tomllib.loads(sets.table)["set"]
    assert list(tables["train"]) == [*set(sets.training[0].subjects)]
    assert len(tables["rest"]) == 1
    assert "test" not in tables


def test_a_folder_elsewhere_is_named_in_full(scans, tmp_path, monkeypatch):
    (tmp_path / "data" / "set").rename(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    drawn = sets_of(scans, *FOUR, "stage.toy.data=mine")
    assert list(tomllib.loads(drawn.table)) == [str(tmp_path / "mine")]
    scans.with_name(MANIFEST).write_text(drawn.table)
    again = sets_of(scans, f"stage.toy.data={tmp_path}/mine@train", f"stage.toy.validation={tmp_path}/mine@validation")
    assert again.training[0].facts.sha256 == drawn.training[0].facts.sha256


def test_stages_of_one_folder_hold_out_the_same(scans):
    text = RECIPE.replace('data = ["set@train"]\nvalidation = ["set@validation"]', 'data = ["set"]\nhold_out = 1')
    scans.write_text(text + text[text.index("[[stage]]") :].replace('name = "toy"', 'name = "again"'))
    first, again = sets_of(scans, "stage.again.subjects=1").validation
    assert first.names == again.names


def test_all_planes_are_trained_on_and_axial_ones_held_out(scans, tmp_path):
    with pytest.raises(InputError, match=r"stage\.toy\.planes is 'all', and its data hold no isotropic volume"):
        sets_of(scans, *FOUR, "stage.toy.planes=all")
    for seed, path in enumerate(sorted((tmp_path / "data" / "set").rglob("*.nii.gz"))):
        write(path, spacing=(1, 1, 1), shape=(34, 36, 34), seed=seed)
    every = sets_of(scans, *FOUR, "stage.toy.planes=all", "seed=0")
    axial = sets_of(scans, *FOUR, "seed=0")
    assert every.training[0].facts.sha256 == axial.training[0].facts.sha256
    assert set(every.training[0].names) > set(axial.training[0].names)
    assert any("#coronal#" in name for name in every.training[0].names)
    assert every.validation[0].names == axial.validation[0].names
    assert set(every.validation[0].subjects) != {"d"}  # whose slices are thick
    assert every.validation[0].facts == axial.validation[0].facts
    assert (every.training[0].facts.planes, axial.training[0].facts.planes) == ("all", "")
    assert every.table == axial.table


def test_all_planes_are_told_of_who_has_them(scans, tmp_path):
    """Of those who are drawn none may have an isotropic volume."""
    write(tmp_path / "data" / "set" / "P2" / "T1.nii.gz", spacing=(1, 1, 1), shape=(34, 36, 34))
    told = {}
    for seed in range(6):
        one = sets_of(scans, *FOUR, "stage.toy.subjects=1", "stage.toy.planes=all", f"seed={seed}").training[0]
        told[one.subjects[0]] = one.facts.planes
    assert told.pop("P2") == "all"
    assert set(told.values()) == {""}


def test_who_is_held_out_has_axial_slices(scans, tmp_path):
    """A column along the body: in an axial slice it is next to nothing, in one across it, it is something."""
    stored = np.zeros((32, 32, 32), np.uint16)
    stored[12:19, 13:18] = np.random.default_rng(0).integers(500, 1000, (7, 5, 32))
    for name in "ab":
        column = slices(spacing=(1, 1, 1), orientation=(1, 0, 0, 0, 1, 0), stored=stored, patient=name)
        write_series(tmp_path / "data" / "columns" / name, column)
    with pytest.raises(
        InputError, match=r"^Subject '[ab]' of columns is held out by stage\.toy\.hold_out, which measures"
    ):
        sets_of(scans, *FOUR, "stage.toy.data=columns", "stage.toy.subjects=1", "stage.toy.planes=all")


def test_an_archive_cannot_be_packed_of_what_is_drawn_later(scans, tmp_path):
    with pytest.raises(InputError, match=r"stage\.toy\.hold_out draws who is held out as training begins"):
        pack_data(scans, tmp_path / "data.zip", FOUR)
    assert not (tmp_path / "data.zip").exists()


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("key", ["data", "validation"])
def test_an_archive_is_not_packed_again(scans, tmp_path, stages, key):
    """Of several sets in one, a stage would be given those of another."""
    scans.write_text(RECIPE.replace("@train", "/sub-01").replace("@validation", "/P2"))
    if stages == 2:
        again = RECIPE[RECIPE.index("[[stage]]") :].replace('"toy"', '"again"')
        scans.write_text(scans.read_text() + again.replace("@train", "/p3_*").replace("@validation", "/d"))
    archive, other = tmp_path / "data.zip", tmp_path / "other.zip"
    assert pack_data(scans, archive) == {1: 3, 2: 9}[stages]
    last = "again" if stages == 2 else "toy"
    with pytest.raises(InputError, match=r"^Archive \S+/data\.zip is packed already; copy it, or name the files"):
        pack_data(scans, other, [f"stage.{last}.{key}={archive}"])
    assert not other.exists()


def test_data_that_are_not_there_are_named_by_their_key(scans):
    held = ["stage.toy.data=set", "stage.toy.validation=nobody"]
    for overrides, key in ((["stage.toy.data=nobody"], "data"), (held, "validation")):
        with pytest.raises(InputError, match=rf"^stage\.toy\.{key}: Data 'nobody' matches no picture or scan under"):
            sets_of(scans, *overrides)


def test_a_manifest_that_is_empty_is_said_to_be(scans):
    for text, words in (
        ("", r"splits\.toml has no splits at all; write those of 'set'"),
        ("[set]\n", r"splits\.toml has no split of 'set'; write 'train'"),
    ):
        scans.with_name(MANIFEST).write_text(text)
        with pytest.raises(InputError, match=words):
            sets_of(scans)
