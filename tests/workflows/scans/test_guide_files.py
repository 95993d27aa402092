"""Which file of a folder guides a scan."""

from pathlib import Path

import pytest

from veriscale.errors import InputError
from veriscale.workflows.scans.asked_guides import AskedGuides
from veriscale.workflows.scans.guide_files import contrast_of, find_guide


@pytest.fixture
def put(tmp_path):
    def write(*names):
        for name in names:
            path = tmp_path / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / f"{names[0]}.nii.gz"

    return write


def found(tmp_path, scan, modality):
    file = find_guide(tmp_path, scan, modality)
    return None if file is None else str(file.relative_to(tmp_path)).removesuffix(".nii.gz")


def test_by_the_entities_of_bids(put, tmp_path):
    scan = put(
        "sub-01/ses-2/anat/sub-01_ses-2_acq-fast_T2w",
        "sub-01/ses-2/anat/sub-01_ses-2_T1w",
        "sub-01/ses-2/anat/sub-01_ses-2_ce-gadolinium_T1w",
        "sub-01/ses-2/anat/sub-01_ses-2_FLAIR",
        "sub-01/ses-1/anat/sub-01_ses-1_T1w",
        "sub-02/ses-2/anat/sub-02_ses-2_T1w",
        "sub-02/ses-2/anat/sub-02_ses-2_PDw",
    )
    own = "sub-01/ses-2/anat/sub-01_ses-2_"
    assert found(tmp_path, scan, "t1") == f"{own}T1w"
    assert found(tmp_path, scan, "T1w") == f"{own}T1w"
    assert found(tmp_path, scan, "T1C") == f"{own}ce-gadolinium_T1w"
    assert found(tmp_path, scan, "Flair") == f"{own}FLAIR"
    assert found(tmp_path, scan, "PD") is None


@pytest.mark.parametrize(
    "name, contrast",
    [
        ("sub-01_acq-fast_T2w", "T2"),
        ("sub-01_T1w", "T1"),
        ("sub-01_ce-gadolinium_T1w", "T1C"),
        ("sub-01_FLAIR", "FLAIR"),
        ("ms07_T1C", "T1C"),
        ("ms07_FLAIR_degraded", "FLAIR"),
        ("T1", "T1"),
        ("scan.1", "scan.1"),
    ],
)
def test_the_contrast_of_a_name(name, contrast):
    assert contrast_of(Path(f"{name}.nii.gz")) == contrast


def test_by_what_the_names_begin_with(put, tmp_path):
    scan = put("Doe_2_T2", "Doe_2_T1", "Doe_T1", "Roe_2_T1", "Doe_2_flair", "Doe_2_T1C", "T1")
    assert found(tmp_path, scan, "T1") == "Doe_2_T1"
    assert found(tmp_path, scan, "FLAIR") == "Doe_2_flair"
    assert found(tmp_path, scan, "T2") is None  # not itself


def test_by_the_folders_they_lie_in(put, tmp_path):
    assert found(tmp_path, put("Doe/T2", "Doe/T1", "Roe/T1", "Roe/T2"), "T1") == "Doe/T1"
    assert find_guide(tmp_path / "apart", put("Doe/T2", "apart/Doe/T1", "apart/Roe/T1"), "T1").parent.name == "Doe"


@pytest.mark.parametrize("names", [("Doe/ses_T2", "Roe/ses_T1"), ("Doe/T2", "Roe/T1"), ("Doe/scan", "Roe/scan")])
def test_never_one_of_another_subject(put, tmp_path, names):
    assert found(tmp_path, put(*names), "T1") is None


def test_by_the_same_name_in_a_folder_of_guides(put, tmp_path):
    scan = put("scans/Doe", "guides/Doe", "guides/Roe")
    assert find_guide(tmp_path / "guides", scan, "T1").name == "Doe.nii.gz"


def test_what_was_measured_is_what_names_it(put, tmp_path):
    assert found(tmp_path, put("Doe_T2_degraded", "Doe_T1", "Doe_T2"), "T1") == "Doe_T1"


def test_one_beside_the_scan_comes_first_and_several_others_are_named(put, tmp_path):
    assert found(tmp_path, put("a/Doe_T2", "a/Doe_T1", "b/Doe_T1"), "T1") == "a/Doe_T1"
    with pytest.raises(InputError, match=r"2 files of the folder of the guide FLAIR fit the scan; name the file"):
        find_guide(tmp_path, put("a/Doe_T2", "a/b/Doe_FLAIR", "a/c/Doe_FLAIR"), "FLAIR")


def test_a_restored_scan_is_none(put, tmp_path):
    scan = put("sub-01_T2w", "sub-01_desc-restored_T1w", "sub-01_res-iso1mm_desc-vol0restoreddraw1_T1w")
    assert found(tmp_path, scan, "T1") is None
    put("raw/sub-01_T1w")
    assert found(tmp_path, scan, "T1") == "raw/sub-01_T1w"
    assert found(tmp_path, put("sub-02_T2w", "sub-02_space-T2w_desc-preproc_T1w"), "T1").endswith("preproc_T1w")


def test_a_folder_is_looked_through_once_for_all_scans(put, tmp_path, monkeypatch):
    put(*(f"{name}_{contrast}" for name in ("Doe", "Roe", "Poe") for contrast in ("T1", "T2")))
    walked, rglob = [], Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda folder, pattern: walked.append(folder) or rglob(folder, pattern))
    asked = AskedGuides({"T1": tmp_path}, known=["T1", "FLAIR"])
    assert {file.name for file in asked.guiding(tmp_path.iterdir())} == {
        f"{n}_T1.nii.gz" for n in ("Doe", "Roe", "Poe")
    }
    assert walked == [tmp_path]
