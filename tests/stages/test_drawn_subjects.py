"""`subjects = k`: k of a set's subjects, by the seed, with the facts of their files alone."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.imaging.dicom.synthetic import slices
from tests.imaging.dicom.synthetic import write as write_series
from tests.stages.scans import blobs, write

from veriscale.errors import InputError
from veriscale.stages.data import PictureSet, load, pack
from veriscale.stages.drawn_subjects import drawn

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


def loaded(root, *patterns, channels=1) -> PictureSet:
    return load(patterns, root, channels, CPU, "CC0", "training")


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
    pack(["set"], ["set/a_*"], root, root / "data.zip")
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
