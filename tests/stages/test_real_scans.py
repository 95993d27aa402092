"""The scans that priors are trained on, where they are: who is in which split, and how many slices they give."""

import os
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import torch

from veriscale.guides.arguments import GuideArguments
from veriscale.imaging.npz import read_group
from veriscale.stages.contrasts import contrasts_of
from veriscale.stages.data import load
from veriscale.stages.held_out_slices import held_out_slices
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.splits import read_splits, select
from veriscale.stages.stage_sets import stage_sets

SPLITS = Path(__file__).parents[2] / "recipes" / "splits.toml"
GROUPS = {"DCM": range(1, 17), "HCM": range(21, 37), "MINF": range(41, 57), "NOR": range(61, 77), "RV": range(81, 97)}


@pytest.fixture
def root() -> Path:
    folder = Path(os.environ.get("VERISCALE_DATA", ""))
    if "VERISCALE_DATA" not in os.environ or not (folder / "mri" / "multicontrast").is_dir():
        pytest.skip("no real scans: VERISCALE_DATA names no folder with mri/multicontrast")
    return folder


def test_the_shipped_splits_hold_everybody_once():
    splits = read_splits(SPLITS)
    assert sorted(splits) == ["mri/cardiac/acdc", "mri/domain/brain_ms", "mri/multicontrast"]
    assert set(splits["mri/multicontrast"]["test"]) == {"ms19", "gli00001"}
    hearts = splits["mri/cardiac/acdc"]
    assert {name: len(subjects) for name, subjects in hearts.items()} == {"pool": 20, "validation": 2, "test": 8}
    for numbers in GROUPS.values():
        held = [s for name in ("test", "validation") for s in hearts[name] if int(s.removeprefix("patient")) in numbers]
        assert len(held) == 2  # balanced: four of each group in the pool


def test_every_subject_has_the_files_of_the_manifest(root):
    for folder, splits in read_splits(SPLITS).items():
        found = [f for split in splits for f in select([f"{folder}@{split}"], root, SPLITS)]
        assert {f.path for f in found} == {f.path for f in select([folder], root)}


def test_what_a_prior_of_brains_learns_from(root):
    patterns = ["mri/multicontrast@train", "mri/domain/brain_ms@train"]
    data = load(patterns, root, 1, torch.device("cpu"), "CC BY", "training", SPLITS)
    multicontrast = {"gli00000": 537, "ms07": 440, "pgbm003": 88, "tcgafg6692": 490}  # of four contrasts each
    brains = {"msl01": 138, "msl03": 137, "msl09": 39, "msl20": 88}
    assert Counter(data.subjects) == multicontrast | brains
    assert data.facts.spacing == [0.5729, 1.0]
    assert min(n for i in data.images for n in i.shape[1:]) == 131
    brightest: dict[str, int] = {}
    for volume, image in zip(data.volumes, data.images, strict=True):
        brightest[volume] = max(brightest.get(volume, 0), int(image.max()))
    assert all(225 < value <= 255 for value in brightest.values())  # each by its own levels, with headroom


def test_what_a_prior_of_brains_is_measured_on(root):
    patterns = ["mri/multicontrast@validation", "mri/domain/brain_ms@validation"]
    chosen = held_out_slices(load(patterns, root, 1, torch.device("cpu"), "", "validation", SPLITS), 8)
    assert Counter(chosen.subjects) == {"tcgadu7294": 8, "msl04": 8, "msl12": 8}
    assert chosen.largest == 128


def test_series_and_arrays(root):
    series = load(["mri/dicom"], root, 1, torch.device("cpu"), "", "training")
    assert Counter(series.subjects) == {"cardiac_sax_oblique": 11, "epi_brain": 15, "t1_oblique": 8}
    crops = load(["mri/domain/hippocampus_t1.npz"], root, 1, torch.device("cpu"), "", "training")
    assert len(set(crops.subjects)) == 86


def test_the_heart_is_learnt_from_two_of_each_group(root):
    recipe = SPLITS.with_name("cardiac.toml")
    training, validation, table = stage_sets(read_recipe(recipe), recipe, torch.device("cpu"))
    (splits,) = tomllib.loads(table).values()
    assert set(splits["train"]) == set(training[0].subjects)
    assert set(splits["validation"]) == set(validation[0].subjects) == {"patient053", "patient073"}
    for own in (splits["train"], splits["rest"]):
        groups = [read_group(root / "mri" / "cardiac" / "acdc" / f"{subject}.npz") for subject in own]
        assert [groups.count(g) for g in GROUPS] == [2] * 5
    assert not {*splits["train"], *splits["rest"]} & set(read_splits(SPLITS)["mri/cardiac/acdc"]["test"])


def test_all_contrasts_of_the_validation_subject_lie_at_its_places(root):
    pictures = load(["mri/multicontrast@validation"], root, 1, torch.device("cpu"), "CC BY", "validation", SPLITS)
    found = contrasts_of(pictures, GuideArguments("T2", ["T1", "T1C", "FLAIR"]), "data")
    assert {name for _, name in found.volumes} == {"T1", "T1C", "T2", "FLAIR"}
    assert len(found.places) > 100
    assert all(volume.keys() == {k for _, k in found.places} for volume in found.volumes.values())
