"""A prior for a user's own scans by one command, and the recipe of the heart."""

import runpy
import tomllib
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import write_tiny
from tests.stages.scans import blobs, write

import veriscale as library
from veriscale.diffusion.checkpoint import read_card
from veriscale.stages.recipe import NETWORKS
from veriscale.stages.splits import read_splits, split_table

RECIPES = Path(__file__).parents[2] / "recipes"
TINY = [
    *("encoder.width=32", "encoder.depth=2", "encoder.features=4", "measure=modes"),
    *("denoiser.width=[32, 32]", "denoiser.depth=[1, 1]", "predictor.width=32", "predictor.depth=1"),
    *("stage.target.denoiser.patch=32", "stage.target.denoiser.batch=2"),
    *(f"stage.target.{n}.{key}" for n in ("encoder", "predictor") for key in ("patch=8", "batch=2")),
    *(f"stage.target.{n}.steps=4" for n in NETWORKS),
    *("stage.target.evaluate=2", "stage.target.patience=1"),
]


@pytest.fixture
def parent(tmp_path) -> Path:
    return write_tiny(tmp_path / "tiny-grey.safetensors", channels=1)


@pytest.fixture
def patients(tmp_path) -> Path:
    """Six of BIDS in two groups."""
    for number in range(6):
        name = f"{'ab'[number % 2]}/sub-{number}/anat/sub-{number}_T1w.nii.gz"
        write(tmp_path / "mine" / name, (42, 50, 5), seed=number)
    return tmp_path / "mine"


def sets(*overrides: str) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]


def test_one_command_for_a_folder(veriscale, parent, patients, tmp_path):
    given = sets(f"stage.target.data={patients}", "stage.target.licence=CC BY-NC 4.0 (our hospital)")
    given += sets(f"stage.target.init_from={parent}", *TINY)
    options = ("-o", tmp_path / "mine.safetensors", "--device", "cpu")
    code, out, err = veriscale("train", RECIPES / "target.toml", *given, *options)
    assert (code, out) == (0, f"{tmp_path / 'mine.safetensors'}\n"), err
    assert "stage.target.denoiser ended after" in err
    assert "stage.target: 4 patients in 2 groups, 4 scans, 12 slices; 2 patients held out" in err
    assert "counts as one patient" not in err
    card = read_card(tmp_path / "mine.safetensors")
    assert (card.training[0].files, card.validation[0].files) == (4, 2)
    assert card.lineage[0].name == "tiny-grey"
    assert card.non_commercial == ["CC BY-NC 4.0 (our hospital)"]
    (splits,) = tomllib.loads((tmp_path / "mine.splits.toml").read_text()).values()
    assert {k: len(v) for k, v in splits.items()} == {"train": 4, "validation": 2}
    assert {int(subject[-1]) % 2 for subject in splits["validation"]} == {0, 1}  # one of each group
    assert read_splits(tmp_path / "mine.splits.toml")

    before = (tmp_path / "mine.splits.toml").read_bytes()
    code, _, err = veriscale("train", RECIPES / "target.toml", *given, *options, "--resume", "--force")
    assert (code, (tmp_path / "mine.splits.toml").read_bytes()) == (0, before), err
    assert read_card(tmp_path / "mine.safetensors") == card

    # What is refused leaves the table alone, and what nobody was drawn for leaves none.
    code, _, err = veriscale("train", RECIPES / "target.toml", *given, *sets("seed=5"), *options, "--resume", "--force")
    assert (code, (tmp_path / "mine.splits.toml").read_bytes()) == (2, before), err
    named = sets(f"stage.target.data={patients / 'a'}", f"stage.target.validation={patients / 'b'}")
    code, _, err = veriscale(
        "train", RECIPES / "target.toml", *given, *named, *sets("stage.target.hold_out=0"), *options, "--force"
    )
    assert (code, (tmp_path / "mine.splits.toml").exists()) == (0, False), err


def test_groups_that_count_as_patients_are_said(veriscale, parent, tmp_path):
    for number in range(6):
        write(tmp_path / "mine" / "abc"[number // 2] / f"p{number % 2}" / "cine.nii.gz", (42, 50, 5), seed=number)
    given = sets(f"stage.target.data={tmp_path / 'mine'}", "stage.target.licence=CC0", *TINY)
    given += sets(f"stage.target.init_from={parent}", "stage.target.hold_out=1")
    code, _, err = veriscale(
        *("train", RECIPES / "target.toml", *given, "-o", tmp_path / "mine.safetensors", "--device", "cpu", "--quiet")
    )
    assert code == 0, err
    assert "stage.target: 2 patients in 1 group, 4 scans, 12 slices; 1 patient held out" in err
    assert "counts as one patient, like 2 more, and looks like several: scans of one name lie in several" in err


def test_one_name_in_two_groups_is_refused(refused, parent, tmp_path):
    for number in range(4):
        write(tmp_path / "ab"[number // 2] / f"p{number % 2}" / "cine.nii.gz", (42, 50, 5), seed=number)
    given = sets(f"stage.target.data={[str(tmp_path / g) for g in 'ab']}", "stage.target.licence=CC0", *TINY)
    given += sets(f"stage.target.init_from={parent}", "stage.target.hold_out=1")
    said = refused("train", RECIPES / "target.toml", *given, "-o", tmp_path / "out" / "mine.safetensors")
    assert f"Folders {tmp_path / 'a'} and {tmp_path / 'b'} both have a subject 'p0'" in said
    assert "call the folders of one person sub-p0 in both" in said
    assert not list((tmp_path / "out").glob("*"))


def test_too_few_patients_are_said_in_a_sentence(refused, parent, patients, tmp_path):
    given = sets(f"stage.target.data={patients}", "stage.target.licence=CC0", f"stage.target.init_from={parent}", *TINY)
    options = ("-o", tmp_path / "out" / "mine.safetensors", "--device", "cpu", "--quiet")
    for more, words in (
        (["stage.target.subjects=5"], "stage.target.hold_out is 2 and stage.target.subjects 5, and the data "),
        (["stage.target.hold_out=6"], "stage.target.hold_out is 6 and some have to be left to train on, and the data "),
        (["stage.target.hold_out=0"], "stage.target.validation is empty; name held-out pictures or scans, or set "),
    ):
        assert words in refused("train", RECIPES / "target.toml", *given, *sets(*more), *options)
        assert not list((tmp_path / "out").glob("*"))


def test_the_hearts_recipe_trains_and_the_others_certify(veriscale, parent, tmp_path, monkeypatch, capfd):
    """On archives in five groups that stand for it."""
    folder = tmp_path / "data" / "mri" / "cardiac" / "acdc"
    folder.mkdir(parents=True)
    for number in range(18):
        image = np.moveaxis(blobs((34, 36, 4), number), 2, 0)
        np.savez(folder / f"patient{number:03}.npz", image=image, group="ABCDE"[number % 5])
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "cardiac.toml").write_text((RECIPES / "cardiac.toml").read_text())
    names = [f"patient{number:03}" for number in range(18)]
    table = split_table("mri/cardiac/acdc", tmp_path / "data", pool=names[:16], validation=names[16:])
    (tmp_path / "recipes" / "splits.toml").write_text(table)
    monkeypatch.setenv("VERISCALE_DATA", str(tmp_path / "data"))
    given = sets(*TINY, f"stage.target.init_from={parent}")
    options = ("-o", tmp_path / "cardiac.safetensors", "--device", "cpu", "--quiet")
    code, _, err = veriscale("train", tmp_path / "recipes" / "cardiac.toml", *given, *options)
    assert code == 0, err
    splits = read_splits(tmp_path / "cardiac.splits.toml")["mri/cardiac/acdc"]
    assert {k: len(v) for k, v in splits.items()} == {"train": 10, "validation": 2, "rest": 6}
    counts = np.bincount([int(s[-3:]) % 5 for s in splits["train"]])
    assert counts.tolist() == [2] * 5
    assert read_card(tmp_path / "cardiac.safetensors").non_commercial

    certify = runpy.run_path(str(RECIPES / "cardiac_certificate.py"))["certify"]
    certify(tmp_path / "cardiac.safetensors", tmp_path / "certificate.json")
    held = library.read_certificate(tmp_path / "certificate.json")
    assert (held.binding.n, held.binding.unit.kind, held.dial) == (len(splits["rest"]), "patient", 0)
    assert (held.usual_alpha, held.infeasible("0.15")) == ("0.15", None)  # of five patients it would be refused
    assert "At alpha 0.15 about" in capfd.readouterr().out
