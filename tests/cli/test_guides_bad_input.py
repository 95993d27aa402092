"""Every line of bad input that a guide can be: one sentence, exit code 2, nobody's name, nothing left behind."""

import nibabel
import numpy as np
import pytest
from tests.imaging.dicom import synthetic
from tests.workflows.scans.guided import finer, install, save, values, write_subject

from veriscale.errors import InputError
from veriscale.physics.downsample import Downsample
from veriscale.trust.scores.registry import parse_score
from veriscale.workflows.scans.asked_guides import asked_of
from veriscale.workflows.tools.command_template import parse_command
from veriscale.workflows.tools.tool_restorer import ToolRestorer


@pytest.fixture
def scan(veriscale, tmp_path, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(install(tmp_path / "priors")))
    return write_subject(tmp_path / "scans")


@pytest.fixture
def bad(scan, refused, tmp_path):
    """Restore the scan with guides that cannot be used; returns the sentence."""

    def call(*guides: object, prior: str = "grey-guided", given=None) -> str:
        asked = [word for guide in guides for word in ("--guide", guide)]
        out = tmp_path / "out"
        said = refused("restore", given or scan, "--prior", prior, "--scale", 2, *asked, "-o", out)
        assert not list(out.glob("*")) if out.exists() else True
        assert "Doe" not in said.replace("Doe_T2.nii", "")
        return said

    return call


def guide(tmp_path, samples=None, matrix=None, name="Doe_bad.nii.gz"):
    usual, shape = finer(2)
    return save(tmp_path / name, values(shape, 7) if samples is None else samples, usual if matrix is None else matrix)


def test_no_such_modality(bad, tmp_path):
    said = bad(f"t3={guide(tmp_path)}")
    assert "No guide of 'grey-guided' is called 't3'; known: T1, FLAIR, edges, labels." in said


def test_the_same_name_twice(bad, tmp_path):
    file = guide(tmp_path)
    assert "The guide t1 is given twice; give it once." in bad(f"t1={file}", f"t1={file}")
    assert "The guide T1 is given twice; give it once." in bad(f"t1={file}", f"T1={file}")


def test_no_pair(bad, tmp_path):
    for text in ("t1", "=file", "t1="):
        assert f"--guide {text!r} is no NAME=FILE, such as t1=t1.nii.gz." in bad(text)


def test_no_such_file(bad, tmp_path):
    assert "The file or folder of the guide T1 does not exist" in bad(f"t1={tmp_path / 'Doe_none.nii.gz'}")


def test_without_overlap(bad, tmp_path):
    matrix, _ = finer(2)
    matrix[2, 3] += 500
    said = bad(f"t1={guide(tmp_path, matrix=matrix)}")
    assert "The guide T1 has no overlap with the scan" in said


def test_without_an_affine(bad, tmp_path):
    file = guide(tmp_path)
    image = nibabel.load(file)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), None), file)
    raw = nibabel.load(file)
    raw.header["sform_code"] = raw.header["qform_code"] = 0
    nibabel.save(nibabel.Nifti1Image(np.asarray(raw.dataobj), None, raw.header), file)
    assert "the guide T1 does not say where its voxels lie" in bad(f"t1={file}")


def test_of_four_dimensions(bad, tmp_path):
    said = bad(f"t1={guide(tmp_path, np.stack([values(finer(2)[1], k) for k in range(3)], -1))}")
    assert "the guide T1 holds 3 volumes, and a guide is one; write it to a file of its own." in said


def test_nothing_but_nan(bad, tmp_path):
    said = bad(f"t1={guide(tmp_path, np.full(finer(2)[1], np.nan, np.float32))}")
    assert "the guide T1 holds nothing but NaN" in said


def test_infinite_values(bad, tmp_path):
    samples = values(finer(2)[1], 0)
    samples[0, 0, 0], samples[1, 0, 0] = np.inf, np.nan  # which a guide may hold
    assert "the guide T1 holds infinite values" in bad(f"t1={guide(tmp_path, samples)}")


def test_the_scan_itself(bad, scan, tmp_path):
    copy, unzipped = tmp_path / "Doe_bad.nii.gz", tmp_path / "Doe_bad.nii"
    copy.write_bytes(scan.read_bytes())
    nibabel.save(nibabel.load(scan), unzipped)
    for file in (scan, copy, unzipped):
        assert "The guide T1 is the scan itself; give another" in bad(f"t1={file}")


def test_one_scan_by_two_names(bad, tmp_path):
    file = guide(tmp_path)
    assert "The guides T1 and FLAIR are one scan; give it once." in bad(f"t1={file}", f"flair={file}")


def test_no_scan(bad, tmp_path):
    (tmp_path / "Doe_text.txt").write_text("hello")
    assert "the guide T1 is not a scan" in bad(f"t1={tmp_path / 'Doe_text.txt'}")


def test_what_is_not_made_of_the_scan(bad):
    assert "Only edges can be made of the scan itself; give --guide T1 a file." in bad("t1=auto")


def test_a_prior_that_takes_none(bad, tmp_path):
    said = bad(f"t1={guide(tmp_path)}", prior="grey")
    assert "The prior 'grey' takes no guides; leave --prior out, give a file of guides" in said


def test_a_photograph(bad, tmp_path, skimage_data):
    said = bad(f"t1={guide(tmp_path)}", given=skimage_data / "brick.png")
    assert "--guide is of scans, and this is a photograph; leave it out." in said


def test_several_files_of_a_folder_fit(bad, tmp_path):
    for folder in ("one", "two"):
        guide(tmp_path / "others" / "Doe" / folder, name="Doe_T1.nii.gz")
    said = bad(f"t1={tmp_path / 'others'}")
    assert "2 files of the folder of the guide T1 fit the scan; name the file." in said


def series(folder, patient="ID-4711", frame="1.2.3", described="T2", seed=0):
    made = synthetic.slices(stored=np.random.default_rng(seed).integers(0, 1000, (12, 12, 6)).astype(np.uint16))
    for each in made:
        each.PatientID, each.FrameOfReferenceUID, each.SeriesDescription = patient, frame, described
    return synthetic.write(folder, made)


def test_another_patient_is_refused_unless_it_is_said(bad, veriscale, tmp_path):
    scan, other = series(tmp_path / "Doe"), series(tmp_path / "Doe_other", patient="ID-1", seed=1)
    said = bad(f"t1={other}", given=scan)
    assert "The guide T1 is of another patient than the scan, by the PatientID of both" in said
    assert "--another-patient" in said
    assert "ID-" not in said
    asked = ("--prior", "grey-guided", "--scale", 2, "--guide", f"t1={other}", "-o", tmp_path / "out.nii.gz")
    code, _, err = veriscale("restore", scan, *asked, "--another-patient")
    assert code == 0, err
    assert "FrameOfReferenceUID" not in err.replace("carry", "")


def test_a_series_without_a_patient_is_said(veriscale, scan, tmp_path):
    own, other = series(tmp_path / "Doe"), series(tmp_path / "Doe_other", patient="", seed=1)
    asked = ("--prior", "grey-guided", "--scale", 2, "-o", tmp_path / "out.nii.gz", "--force")
    code, _, err = veriscale("restore", own, "--guide", f"t1={other}", *asked)
    assert code == 0, err
    assert "Of the guide T1: nobody says whether it is of the same patient, since the guide has no PatientID." in err
    code, _, err = veriscale("restore", own, "--guide", f"t1={other}", "--another-patient", *asked)
    assert "PatientID" not in err


def test_another_patient_without_a_guide(veriscale, scan, tmp_path):
    out = tmp_path / "out.nii.gz"
    asked = ("--prior", "grey-guided", "--scale", 2, "--another-patient", "-o", out)
    code, _, err = veriscale("restore", scan, *asked)
    assert code == 2
    assert "--another-patient is of guides, and there is none; leave it out, or give a --guide." in err
    assert not out.exists()


def test_another_frame_of_reference_is_said(scan, veriscale, tmp_path):
    own, other = series(tmp_path / "Doe"), series(tmp_path / "Doe_other", frame="1.2.4", seed=1)
    asked = ("--prior", "grey-guided", "--scale", 2, "-o", tmp_path / "out.nii.gz")
    code, _, err = veriscale("restore", own, "--guide", f"t1={other}", *asked)
    assert code == 0, err
    assert "Of the guide T1: it has another FrameOfReferenceUID than the scan" in err
    same = series(tmp_path / "Doe_same", described="T1", seed=1)
    code, _, err = veriscale("restore", own, "--guide", f"t1={same}", *asked, "--force")
    assert code == 0, err
    assert "another FrameOfReferenceUID" not in err


def test_the_file_of_guides_without_its_parent(bad, tmp_path):
    (tmp_path / "priors" / "grey.safetensors").unlink()
    said = bad(f"t1={guide(tmp_path)}")
    assert "guides the prior 'grey', which has to lie beside it or in a folder of VERISCALE_PRIORS" in said


def test_a_tool_takes_none(scan, tmp_path, tool):
    restorer = ToolRestorer(parse_command(tool("")), Downsample(2), "0", parse_score("gradient"), 0, 10.0, None)
    with pytest.raises(InputError, match="A tool takes no guides"):
        asked_of(restorer, {"t1": guide(tmp_path)}, False)
    with pytest.raises(InputError, match="A tool takes no guides"):
        asked_of(restorer, {}, True)
    assert asked_of(restorer, {}, False) is None
