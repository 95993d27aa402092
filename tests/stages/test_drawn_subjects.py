"""`subjects = k` and `hold_out = k`: some of a set's subjects, by the seed, with the facts of their files alone."""

import hashlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.imaging.dicom.synthetic import slices
from tests.imaging.dicom.synthetic import write as write_series
from tests.stages.scans import blobs, write

from veriscale.errors import InputError
from veriscale.stages.archive import pack
from veriscale.stages.data import PictureSet, load
from veriscale.stages.drawn_subjects import drawn, set_aside

CPU = torch.device("cpu")
KEY = "stage.toy.subjects"


@pytest.fixture
def root(tmp_path):
    """Six subjects: three of files, one of them of two, one of a series, two of an archive of arrays."""
    for seed, (name, spacing) in enumerate({"a_T1": 0.5, "b_T1": 1.0, "b_T2": 2.0, "c_T1": 3.0}.items()):
        write(tmp_path / "set" / f"{name}.nii.gz", spacing=(spacing, spacing, 5.0), seed=seed)
    write_series(tmp_path / "set" / "d", slices())
    arrays = {k: np.moveaxis(blobs((34, 36, 6), seed), 2, 0) for seed, k in enumerate(("e", "f"))}
    np.savez(tmp_path / "set" / "arrays.npz", **arrays)
    return tmp_path


def loaded(root, *patterns, channels=1, planes="axial") -> PictureSet:
    return load(patterns, root, channels, CPU, "CC0", "training", planes=planes)


def test_it_is_the_set_of_their_files(root):
    whole = loaded(root, "set")
    assert set(whole.subjects) == set("abcdef")
    seen = set()
    for seed in range(8):
        few = drawn(whole, 3, seed, KEY)
        subjects = set(few.subjects)
        assert len(subjects) == 3
        seen |= subjects
        of = {"d": "set/d", "e": "set/arrays.npz", "f": "set/arrays.npz"}
        again = loaded(root, *{of.get(s, f"set/{s}_*") for s in subjects})
        assert few.hashes == again.hashes
        assert few.facts.sha256 == again.facts.sha256
        assert (few.facts.files, few.facts.each, few.facts.spacing) == (
            again.facts.files,
            again.facts.each,
            again.facts.spacing,
        )
        kept = [k for k, s in enumerate(again.subjects) if s in subjects]
        assert few.names == [again.names[k] for k in kept]
        assert few.volumes == [again.volumes[k] for k in kept]
        assert few.spacings == {v: s for v, s in again.spacings.items() if v in few.volumes}
        assert all(torch.equal(i, again.images[k]) for i, k in zip(few.images, kept, strict=True))
    assert seen == set("abcdef")  # the seed decides


def test_fewer_are_part_of_more_whoever_else_is_there(root):
    whole = loaded(root, "set")
    sets = [set(drawn(whole, k, 3, KEY).subjects) for k in range(1, 7)]
    assert all(few < more for few, more in pairwise(sets))
    assert sets[-1] == set("abcdef")
    first = next(iter(sets[0]))
    others = loaded(root, *(f"set/{s}_*" for s in "abc"))
    if first in "abc":
        assert set(drawn(others, 1, 3, KEY).subjects) == {first}


def test_all_are_the_set_itself(root):
    whole = loaded(root, "set")
    assert drawn(whole, None, 0, KEY) is whole
    assert drawn(whole, 6, 0, KEY).facts == whole.facts


def test_an_archive_draws_the_same(root):
    pack({"toy": {"training": ["set"], "validation": ["set/a_*"]}}, root, root / "data.zip")
    files, packed = (drawn(loaded(root, pattern), 2, 5, KEY) for pattern in ("set", "data.zip"))
    assert files.names == packed.names
    assert files.facts.sha256 == packed.facts.sha256


def test_each_photograph_is_its_own(skimage_data):
    few = drawn(loaded(skimage_data, "c*.png", channels=3), 2, 0, KEY)
    assert len(few.images) == few.facts.files == 2
    digits = [hashlib.sha256((skimage_data / n).read_bytes()).hexdigest()[:16] for n in few.names]
    assert few.facts.each == digits


def test_fewer_than_asked_is_said(root):
    with pytest.raises(
        InputError, match=r"stage\.toy\.subjects is 7, and the data set hold 6 subjects; ask for at most 6"
    ):
        drawn(loaded(root, "set"), 7, 0, KEY)


def test_a_series_without_axial_slices_is_of_its_files(tmp_path):
    """A column along the body: in an axial slice it is next to nothing, in one across it, it is something."""
    for seed, name in enumerate("ab"):
        stored = np.zeros((32, 32, 32), np.uint16)
        stored[12:19, 13:18] = np.random.default_rng(seed).integers(500, 1000, (7, 5, 32))
        column = slices(spacing=(1, 1, 1), orientation=(1, 0, 0, 0, 1, 0), stored=stored, patient=name)
        write_series(tmp_path / "set" / name, column)
    whole = loaded(tmp_path, "set", planes="all")
    assert set(whole.volumes) == {f"set/{name}#{plane}" for name in "ab" for plane in ("sagittal", "coronal")}
    assert drawn(whole, 2, 0, KEY).facts == whole.facts
    for seed in range(4):
        one = drawn(whole, 1, seed, KEY)
        (subject,) = set(one.subjects)
        assert one.hashes == {f: own for f, own in whole.hashes.items() if f.startswith(f"set/{subject}/")}
        assert one.facts.files == len(one.facts.each) == 32


GROUPS = ["DCM", "HCM", "MINF", "NOR", "RV"]


@pytest.fixture
def groups(tmp_path):
    """Nineteen subjects of five groups, four each but for the last, in archives, and the same in folders."""
    for number in range(19):
        group, values = GROUPS[number // 4], np.moveaxis(blobs((34, 36, 3), number), 2, 0)
        (tmp_path / "archives").mkdir(exist_ok=True)
        np.savez(tmp_path / "archives" / f"patient{number:02}.npz", image=values, group=group)
        folder = tmp_path / "folders" / group / f"sub-{number:02}"
        folder.mkdir(parents=True)
        np.savez(folder / f"sub-{number:02}_T1w.npz", image=values)
    return tmp_path


def group_counts(pictures: PictureSet) -> list[int]:
    """How many subjects of each group, in the order of groups."""
    found = Counter(GROUPS[int(s[-2:]) // 4] for s in set(pictures.subjects))
    return [found[g] for g in GROUPS]


@pytest.mark.parametrize("pattern", ["archives", "folders"])
def test_groups_take_turns(groups, pattern):
    whole = loaded(groups, pattern)
    for seed in range(4):
        assert group_counts(drawn(whole, 10, seed, KEY)) == [2] * 5
        assert sorted(group_counts(drawn(whole, 7, seed, KEY))) == [1, 1, 1, 2, 2]
        assert group_counts(drawn(whole, 18, seed, KEY))[4] == 3  # as evenly as they allow
        sets = [set(drawn(whole, k, seed, KEY).subjects) for k in range(1, 20)]
        assert all(few < more for few, more in pairwise(sets))
    assert len({tuple(sorted(set(drawn(whole, 5, seed, KEY).subjects))) for seed in range(4)}) > 1


def test_without_groups_they_are_not_even(groups):
    """The control: the same subjects in one folder, of no group, are drawn by the seed alone."""
    for file in (groups / "folders").glob("*/*/*"):
        file.rename(groups / "folders" / file.name)
    whole = loaded(groups, "folders/*.npz")
    assert len(set(whole.subjects)) == 19
    assert any(group_counts(drawn(whole, 10, seed, KEY)) != [2] * 5 for seed in range(4))


def test_what_groups_are_called_and_where_they_lie_decides_nothing(groups):
    expected = [drawn(loaded(groups, "folders"), 6, seed, KEY).names for seed in range(3)]
    pack({"toy": {"training": ["folders"], "validation": ["folders/RV"]}}, groups, groups / "data.zip")
    packed = loaded(groups, "data.zip")
    assert not any("folders" in group for group in packed.groups.values())  # paths are told nobody
    assert [[f"folders/{n}" for n in drawn(packed, 6, seed, KEY).names] for seed in range(3)] == [
        [f"folders/{n}" for n in names] for names in expected
    ]
    (groups / "folders" / "DCM").rename(groups / "folders" / "ZZZ")
    renamed = [drawn(loaded(groups, "folders"), 6, seed, KEY).names for seed in range(3)]
    assert [sorted(n.rpartition("/")[2] for n in names) for names in renamed] == [
        sorted(n.rpartition("/")[2] for n in names) for names in expected
    ]


def test_who_is_set_aside_is_of_other_groups_and_apart(groups):
    whole = loaded(groups, "archives")
    for seed in range(3):
        rest, held = set_aside(whole, 2, 10, seed, "stage.toy")
        assert sorted(group_counts(held)) == [0, 0, 0, 1, 1]
        assert set(rest.subjects) | set(held.subjects) == set(whole.subjects)
        assert not set(rest.subjects) & set(held.subjects)
        assert not set(rest.hashes) & set(held.hashes)
        assert held.facts.files == 2
        assert group_counts(drawn(rest, 10, seed, KEY)) == [2] * 5
        assert set_aside(whole, 2, None, seed, "stage.toy")[1].names == held.names  # whatever is trained on
    assert len({tuple(set_aside(whole, 2, None, seed, "stage.toy")[1].names) for seed in range(6)}) > 1


def test_who_cannot_be_set_aside_is_said(groups, root, skimage_data):
    whole = loaded(groups, "archives")
    with pytest.raises(
        InputError, match=r"hold_out is 10 and stage\.toy\.subjects 10, .* hold 19 subjects; ask for at most 19"
    ):
        set_aside(whole, 10, 10, 0, "stage.toy")
    words = r"hold_out is 19 and some have to be left to train on, .* hold 19 subjects; hold out at most 18, or add"
    with pytest.raises(InputError, match=words):
        set_aside(whole, 19, None, 0, "stage.toy")
    assert len(set(set_aside(whole, 18, None, 0, "stage.toy")[0].subjects)) == 1
    with pytest.raises(
        InputError, match=r"set/arrays\.npz holds several subjects, and stage\.toy\.hold_out sets whole files"
    ):
        set_aside(loaded(root, "set/arrays.npz"), 1, None, 0, "stage.toy")
    with pytest.raises(InputError, match=r"hold_out sets patients aside, and the data c\*\.png are photographs"):
        set_aside(loaded(skimage_data, "c*.png", channels=3), 1, None, 0, "stage.toy")
