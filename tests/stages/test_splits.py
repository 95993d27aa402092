"""Splits by subject: what they select, how a manifest is made, and every way that one can be wrong."""

import json
from pathlib import Path

import pytest
import torch
from tests.stages.scans import write_set

from veriscale.errors import InputError
from veriscale.stages.data import load
from veriscale.stages.splits import select, split_table


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    write_set(tmp_path / "set")
    path = tmp_path / "splits.toml"
    path.write_text(split_table("set", tmp_path, train=["one"], validation=["held"]))
    return path


def test_a_split_is_the_files_of_its_subjects(manifest, tmp_path):
    def names(*patterns: str) -> list[str]:
        return [f.path.relative_to(tmp_path).as_posix() for f in select(patterns, tmp_path, manifest)]

    assert names("set@train") == ["set/one/T1.nii.gz", "set/one/T2.nii.gz"]
    assert names("set@validation") == ["set/held/T1.nii.gz", "set/held/T2.nii.gz"]
    assert names("set@train", "set/two") == [*names("set@train"), "set/two/T1.nii.gz"]
    assert len(names("set")) == 5  # `two` is in no split, and in the folder all the same


def test_what_a_table_is_made_of(manifest, tmp_path):
    text = manifest.read_text()
    assert text.startswith('["set".train]\none = "')
    # Other notes of a subject, such as JSON files beside its scans, do not enter; a scan of it more does.
    (tmp_path / "set" / "one" / "T1.json").write_text(json.dumps({}))
    assert split_table("set", tmp_path, train=["one"], validation=["held"]) == text
    (tmp_path / "set" / "one" / "T3.nii.gz").write_bytes(b"more")
    assert split_table("set", tmp_path, train=["one"], validation=["held"]) != text
    with pytest.raises(InputError, match=r"no subject 'onw'; did you mean 'one'\? known: held, one, two"):
        split_table("set", tmp_path, train=["onw"])


def test_a_name_that_toml_would_not_take_is_quoted(tmp_path):
    write_set(tmp_path / "set.1")
    (tmp_path / "set.1" / "one").rename(tmp_path / "set.1" / "J. D.")
    path = tmp_path / "splits.toml"
    path.write_text(split_table("set.1", tmp_path, train=["J. D."]))
    assert len(select(["set.1@train"], tmp_path, path)) == 2


def test_what_is_no_split_is_a_pattern(manifest, tmp_path, monkeypatch):
    (tmp_path / "set@home").mkdir()
    write_set(tmp_path / "set@home")
    assert len(select(["set@home"], tmp_path, manifest)) == 5
    assert len(select(["set@home/one"], tmp_path)) == 2
    monkeypatch.chdir(tmp_path)  # a folder of one's own, and not below the data's root
    assert len(select(["set@home"], tmp_path / "elsewhere", manifest)) == 5


@pytest.mark.parametrize(
    "pattern, words",
    [
        ("set@trian", r"no split 'trian' of 'set'; did you mean 'train'\? known: train, validation"),
        ("sets@train", r"no splits of 'sets'; did you mean 'set'\? known: set"),
    ],
)
def test_an_unknown_split_is_named(manifest, tmp_path, pattern, words):
    with pytest.raises(InputError, match=words):
        select([pattern], tmp_path, manifest)


def refused(manifest: Path, text: str, pattern: str = "set@train") -> str:
    manifest.write_text(text)
    with pytest.raises(InputError) as error:
        select([pattern], manifest.parent, manifest)
    return str(error.value)


def test_a_manifest_that_is_wrong_is_refused(manifest):
    text = manifest.read_text()
    assert "Folder 'set' has no subject 'four'" in refused(manifest, text.replace("one =", "four ="))
    once = text.splitlines()[1]
    both = refused(manifest, f"{text}{once}\n")
    assert "subject 'one' of 'set' stands in 'train' and in 'validation'; take it out of one of them" in both
    assert "not valid TOML" in refused(manifest, "[")
    assert "Expected `str`, got `int`" in refused(manifest, '["set".train]\none = 3\n')
    manifest.unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        select(["set@train"], manifest.parent, manifest)
    with pytest.raises(InputError, match=r"names a split, and no splits\.toml"):
        select(["set@train"], manifest.parent)


def test_other_files_than_the_manifest_says_are_named_with_both_hashes(manifest, tmp_path):
    told = manifest.read_text().split('"')[3]
    file = tmp_path / "set" / "one" / "T1.nii.gz"
    file.write_bytes(file.read_bytes() + b"\0")
    now = split_table("set", tmp_path, train=["one"]).split('"')[3]
    assert now != told
    with pytest.raises(InputError, match=f"'one' of 'set' has other files .* hash is {now} and not {told}"):
        select(["set@train"], tmp_path, manifest)
    file.rename(file.with_name("T9.nii.gz"))  # another name is another file too
    with pytest.raises(InputError, match="'one' of 'set' has other files"):
        select(["set@train"], tmp_path, manifest)


def test_a_split_is_loaded(manifest, tmp_path):
    data = load(["set@train"], tmp_path, 1, torch.device("cpu"), "CC0", "training", manifest)
    assert set(data.subjects) == {"one"}
    assert (data.facts.pattern, data.facts.files) == ("set@train", 2)
