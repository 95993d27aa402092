"""Results of BIDS scans: their names, where they lie, what is told of them, and what the validator says."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.workflows.scans.scan_run import RAW, restore_scan

TOLD = {
    "SliceThickness": 4.8,
    "EchoTime": 0.012,
    "MagneticFieldStrength": 3,
    "PatientName": "Doe",
    "PatientBirthDate": "1970-01-01",
    "InstitutionName": "Doe Clinic",
    "AcquisitionDateTime": "2020-01-02T03:04:05",
    "Sources": ["bids::sub-Doe/anat/sub-Doe_T1w.nii.gz"],
}


@pytest.fixture
def dataset(scan, tmp_path):
    """A dataset of raw data with one scan of two sessions; gives the two."""
    root = tmp_path / "raw"
    (root / "sub-Doe").mkdir(parents=True)
    (root / "dataset_description.json").write_text('{"Name": "Raw", "BIDSVersion": "1.10.0"}')
    found = []
    for session, suffix in (("1", "T1w"), ("2", "T2w")):
        folder = root / "sub-Doe" / f"ses-{session}" / "anat"
        folder.mkdir(parents=True)
        found.append(folder / f"sub-Doe_ses-{session}_run-1_{suffix}.nii.gz")
        shutil.copy(scan, found[-1])
        (folder / f"sub-Doe_ses-{session}_run-1_{suffix}.json").write_text(json.dumps(TOLD))
    return found


def written(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_result_in_a_folder_is_a_dataset_of_derivatives(dataset, restorer, tmp_path):
    out = tmp_path / "out"
    restore_scan(restorer(spacing="1,1,1"), dataset[0], out)
    name = "sub-Doe/ses-1/anat/sub-Doe_ses-1_run-1_res-iso1mm_desc-restored_T1w"
    files = [f"{name}{end}" for end in (".json", ".nii.gz", ".run.json")]
    assert written(out) == [".bidsignore", "dataset_description.json", *files]
    described = json.loads((out / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    assert described["GeneratedBy"][0]["Version"]


def test_draws_and_dials_have_labels_of_their_own(dataset, restorer, tmp_path):
    done = restore_scan(restorer(scale=2, dial="0,0.5", samples=2), dataset[0], tmp_path / "out")
    names = {p.rsplit("desc-", 1)[1] for p in done["outputs"] if p.endswith(".nii.gz")}
    labels = ("dial000", "dial050", "draw0", "draw1", "mean", "std")
    assert names == {f"restored{label}_T1w.nii.gz" for label in labels}
    assert all("_res-1x0p963x4p81mm_" in p for p in done["outputs"])
    texts = {json.loads(p.read_text())["Description"] for p in (tmp_path / "out").rglob("*_T1w.json")}
    assert len(texts) == 6


def test_where_the_grid_stays_there_is_no_resolution(dataset, restorer, tmp_path):
    asked = restorer(operator="blur:kernel=gaussian,std=1")
    restore_scan(asked, dataset[0], tmp_path / "out")
    (sidecar,) = (tmp_path / "out").rglob("*_T1w.json")
    assert sidecar.name == "sub-Doe_ses-1_run-1_desc-restored_T1w.json"
    assert "Resolution" not in json.loads(sidecar.read_text())


def test_the_json_file_tells_physics_and_nobodys_name(dataset, restorer, tmp_path):
    restore_scan(restorer(scale=2), dataset[0], tmp_path / "out")
    (sidecar,) = (tmp_path / "out").rglob("*_T1w.json")
    told = json.loads(sidecar.read_text())
    assert told["Sources"] == [f"hash://sha256/{hashlib.sha256(dataset[0].read_bytes()).hexdigest()}"]
    assert told["EchoTime"] == 0.012
    assert told["SkullStripped"] is False
    (label,) = told["Resolution"]
    assert f"_res-{label}_" in sidecar.name
    assert told["Resolution"][label].endswith("mm along the axes as stored")
    (run,) = (tmp_path / "out").rglob("*.run.json")
    for path in (sidecar, run):
        assert not any(word in path.read_text() for word in ("Doe", "1970", "2020", str(tmp_path)))
    endings = [f"restored_T1w{end}" for end in (".nii.gz", ".json")]
    assert json.loads(run.read_text())["outputs"] == [*endings, "restored_T1w.run.json"]


def test_labels_of_the_scans_name_are_in_no_record(scan, restorer, tmp_path):
    path = scan.rename(tmp_path / "sub-Doe_acq-Doe_label-Doe_desc-Doe_T1w.nii.gz")
    restore_scan(restorer(scale=2, dial="0,1"), path, tmp_path / "out")
    for record in [*(tmp_path / "out").glob("*.json")]:
        assert "Doe" not in record.read_text()


@pytest.mark.parametrize("asked, kept", [({"scale": 2}, True), ({"spacing": "-,-,2.4"}, False)])
def test_a_thickness_is_told_of_slices_that_are_still_the_same(dataset, restorer, tmp_path, asked, kept):
    restore_scan(restorer(**asked), dataset[0], tmp_path / "out")
    (sidecar,) = (tmp_path / "out").rglob("*_T1w.json")
    assert (json.loads(sidecar.read_text()).get("SliceThickness") == 4.8) is kept


@pytest.mark.parametrize(
    "name, told, stripped",
    [
        ("sub-1_T1w", {}, False),
        ("sub-1_T1w", {"SkullStripped": True}, True),
        ("sub-1_desc-brain_T1w", {}, None),
        ("sub-1_space-orig_T1w", {"SkullStripped": False}, False),
    ],
)
def test_whether_a_skull_was_stripped_is_never_guessed(scan, restorer, tmp_path, name, told, stripped):
    path = scan.rename(scan.with_name(f"{name}.nii.gz"))
    path.with_name(f"{name}.json").write_text(json.dumps(told))
    done = restore_scan(restorer(scale=2), path, None)
    (sidecar,) = (p for p in done["outputs"] if p.endswith("T1w.json"))
    with open(sidecar) as stream:
        assert json.load(stream).get("SkullStripped") is stripped


def test_a_reference_in_space_is_kept_where_it_names_nobody(scan, restorer, tmp_path):
    for number, (reference, kept) in enumerate([("orig", True), ("https://a.org/b", True), ("sub-Doe/x.nii", False)]):
        path = tmp_path / f"sub-{number}_space-a_T1w.nii.gz"
        shutil.copy(scan, path)
        path.with_name(f"sub-{number}_space-a_T1w.json").write_text(json.dumps({"SpatialReference": reference}))
        restore_scan(restorer(scale=2), path, tmp_path / "out")
        (sidecar,) = (tmp_path / "out").glob(f"sub-{number}_*_T1w.json")
        assert (json.loads(sidecar.read_text()).get("SpatialReference") == reference) is kept


def test_a_flat_folder_makes_no_dataset(scan, restorer, tmp_path):
    path = scan.rename(tmp_path / "sub-1_T1w.nii.gz")
    restore_scan(restorer(spacing="1,1,2", thickness=4.8), path, tmp_path / "out")
    name = "sub-1_res-1x1x2mm_desc-restored_T1w"
    assert written(tmp_path / "out") == [f"{name}{end}" for end in (".json", ".nii.gz", ".run.json")]


def test_an_output_folder_that_is_the_tree_already_is_not_nested(dataset, restorer, tmp_path):
    restore_scan(restorer(scale=2), dataset[0], tmp_path / "out" / "sub-Doe" / "ses-1" / "anat")
    assert (tmp_path / "out" / "dataset_description.json").is_file()
    assert len(list((tmp_path / "out").rglob("anat"))) == 1


def test_a_file_that_the_user_names_is_called_so(dataset, restorer, tmp_path):
    restore_scan(restorer(scale=2), dataset[0], tmp_path / "mine.nii.gz")
    assert (tmp_path / "mine.nii.gz").is_file()
    assert not (tmp_path / "mine.json").exists()


def test_beside_a_raw_scan_a_line_says_what_the_validator_will(dataset, restorer, tmp_path):
    before, said = written(tmp_path / "raw"), []
    restore_scan(restorer(scale=2), dataset[0], None, say=said.append)
    assert RAW in said
    added = set(written(tmp_path / "raw")) - set(before)
    assert all("desc-restored" in name for name in added)
    said.clear()
    restore_scan(restorer(scale=2), dataset[0], tmp_path / "out", say=said.append)
    restore_scan(restorer(scale=2), dataset[1], tmp_path / "out", say=said.append)
    assert RAW not in said


def test_a_json_file_that_is_there_is_not_replaced(dataset, restorer, tmp_path):
    restore_scan(restorer(scale=2), dataset[0], tmp_path / "out")
    for path in (tmp_path / "out").rglob("*T1w.nii.gz"):
        path.unlink()
    for path in (tmp_path / "out").rglob("*.run.json"):
        path.unlink()
    with pytest.raises(InputError, match=r"T1w\.json exists already"):
        restore_scan(restorer(scale=2), dataset[0], tmp_path / "out")
    (tmp_path / "out" / "dataset_description.json").write_text('{"Name": "mine", "DatasetType": "derivative"}')
    restore_scan(restorer(scale=2), dataset[0], tmp_path / "out", force=True)
    assert json.loads((tmp_path / "out" / "dataset_description.json").read_text())["Name"] == "mine"
    assert (tmp_path / "out" / ".bidsignore").read_text().split() == ["*.run.json", "*_report.html"]


def errors_of(folder):
    """What the published validator finds, by file."""
    if importlib.util.find_spec("bids_validator_deno") is None:
        pytest.skip("no bids-validator-deno: pip install veriscale[dev]")
    run = "from bids_validator_deno import cli; cli()"
    done = subprocess.run(
        [sys.executable, "-c", run, "--format", "json", str(folder)], capture_output=True, text=True, timeout=120
    )
    found = json.loads(done.stdout)["issues"]["issues"]
    return {(i["code"], i["location"].rsplit("/", 1)[-1]) for i in found if i["severity"] == "error"}


def test_the_validator_takes_the_tree(dataset, restorer, tmp_path):
    out = tmp_path / "out"
    restore_scan(restorer(spacing="1,1,1"), dataset[0], out)
    restore_scan(restorer(scale=2, dial="0,0.5,1", samples=2), dataset[1], out, report=True)
    assert errors_of(out) == set()


def test_the_validator_sees_what_is_wrong(dataset, restorer, tmp_path):
    out = tmp_path / "out"
    restore_scan(restorer(scale=2), dataset[0], out)
    (out / ".bidsignore").unlink()
    (sidecar,) = out.rglob("*_T1w.json")
    told = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({k: v for k, v in told.items() if k not in ("Resolution", "SkullStripped")}))
    (image,) = out.rglob("*.nii.gz")
    image.with_name("sub-Doe_ses-1_desc-restored_res-x_T1w.nii.gz").write_bytes(image.read_bytes())
    assert np.unique([code for code, _ in errors_of(out)]).size >= 3
