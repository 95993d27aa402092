"""BIDS names: what is one, and what its results are called."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veriscale.imaging.bids import ENTITIES, bids_name, dataset_of, resolution_label, resolution_text, tree_of


@pytest.mark.parametrize(
    "name, entities, suffix",
    [
        ("sub-01_T1w.nii.gz", {"sub": "01"}, "T1w"),
        ("a/b/sub-x9_ses-2_acq-fast_run-1_FLAIR.nii", {"sub": "x9", "ses": "2", "acq": "fast", "run": "1"}, "FLAIR"),
        ("sub-1_space-MNI152NLin6Asym_desc-preproc_T2w.NII.GZ", None, "T2w"),
        ("sub-1_inv-2_part-mag_MP2RAGE.nii", None, "MP2RAGE"),
    ],
)
def test_names_of_bids(name, entities, suffix):
    found = bids_name(name)
    assert found.suffix == suffix
    assert entities is None or found.entities == entities


@pytest.mark.parametrize(
    "name",
    [
        "T1w.nii.gz",
        "sub-01.nii.gz",
        "Doe_John_T1w.nii.gz",
        "sub-_T1w.nii.gz",
        "sub-01_T1w.png",
        "sub-01_T1w",
        "ses-1_sub-01_T1w.nii.gz",
        "sub-01_sub-02_T1w.nii.gz",
        "sub-01_who-me_T1w.nii.gz",
        "sub-01_acq-a.b_T1w.nii.gz",
        "sub-01__T1w.nii.gz",
        "sub-01_scan.nii.gz",
        "sub-01_task-rest_bold.nii.gz",
        "sub-01_dwi.nii.gz",
        "sub-01_T1w_restored.nii.gz",
    ],
)
def test_other_names_are_none(name):
    assert bids_name(name) is None


@pytest.mark.parametrize(
    "name, told, result",
    [
        ("sub-01_T1w.nii.gz", ("restored", "iso1mm"), "sub-01_res-iso1mm_desc-restored_T1w"),
        ("sub-01_ses-2_T1w.nii.gz", ("restoredstd", None), "sub-01_ses-2_desc-restoredstd_T1w"),
        ("sub-01_T1w.nii.gz", ("trusted", None, "mask"), "sub-01_desc-trusted_mask"),
        ("sub-01_desc-preproc_T1w.nii", ("restored", "iso2mm"), "sub-01_res-iso2mm_desc-preprocrestored_T1w"),
        ("sub-01_res-iso4mm_label-WM_T1w.nii", ("restored", "iso2mm"), "sub-01_res-iso2mm_label-WM_desc-restored_T1w"),
        ("sub-01_res-iso4mm_T1w.nii", ("restored", None), "sub-01_res-iso4mm_desc-restored_T1w"),
        ("sub-01_run-2_acq-a_T1w.nii", ("restored", None), "sub-01_acq-a_run-2_desc-restored_T1w"),
    ],
)
def test_names_of_results(name, told, result):
    assert bids_name(name).derived(*told).stem == result


@given(st.dictionaries(st.sampled_from(ENTITIES[1:]), st.from_regex(r"[0-9a-zA-Z]{1,5}", fullmatch=True)), st.randoms())
def test_a_results_entities_are_those_of_its_source_in_the_order_of_the_specification(entities, random):
    keys = list(entities)
    random.shuffle(keys)
    source = bids_name("_".join(["sub-01", *(f"{k}-{entities[k]}" for k in keys), "T1w.nii.gz"]))
    again = bids_name(f"{source.derived('restored', 'iso1mm').stem}.nii.gz")
    order = [part.split("-")[0] for part in again.stem.split("_")[:-1]]
    assert order == sorted(order, key=ENTITIES.index)
    kept = {k: v for k, v in again.entities.items() if k not in ("res", "desc", "sub")}
    assert kept == {k: v for k, v in entities.items() if k not in ("res", "desc")}


def test_two_derivatives_of_one_scan_keep_apart():
    names = ("sub-01_T1w.nii", "sub-01_desc-preproc_T1w.nii", "sub-01_desc-brain_T1w.nii")
    assert len({bids_name(name).derived("restored").stem for name in names}) == 3


def test_raw_names_have_no_entity_of_derivatives():
    assert bids_name("sub-01_ses-1_acq-x_T1w.nii").raw
    assert not bids_name("sub-01_space-orig_T1w.nii").raw


@pytest.mark.parametrize(
    "spacing, label",
    [
        ((1, 1, 1), "iso1mm"),
        ((0.99995, 1, 1.00005), "iso1mm"),
        ((0.5, 0.5, 0.5), "iso0p5mm"),
        ((0.5, 0.5, 1), "0p5x0p5x1mm"),
        ((0.6875, 0.6875, 6.5), "0p688x0p688x6p5mm"),
        ((10, 10, 20), "10x10x20mm"),
        ((2e-5, 2e-5, 1e-4), "0p00002x0p00002x0p0001mm"),
        ((100, 100, 200), "100x100x200mm"),
    ],
)
def test_labels_of_grids(spacing, label):
    assert resolution_label(spacing) == label
    assert re.fullmatch("[0-9a-zA-Z]+", label)


def test_the_text_of_a_label_is_exact():
    assert resolution_text((0.6875, 0.6875, 6.5)) == "0.6875 x 0.6875 x 6.5 mm along the axes as stored"


def test_the_tree_that_a_scan_lies_in(tmp_path):
    name = bids_name("sub-01_ses-2_T1w.nii.gz")
    inside = tmp_path / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_T1w.nii.gz"
    assert str(tree_of(inside, name)) == "sub-01/ses-2/anat"
    assert tree_of(tmp_path / "sub-01" / "anat" / inside.name, name) is None
    assert tree_of(tmp_path / "sub-02" / "ses-2" / "anat" / inside.name, name) is None
    assert tree_of(tmp_path / inside.name, name) is None


def test_the_dataset_above_a_scan(tmp_path):
    inside = tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    assert dataset_of(inside) is None
    (tmp_path / "dataset_description.json").write_text("{}")
    assert dataset_of(inside) == tmp_path
