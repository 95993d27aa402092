"""A certificate of guided restorations is about these guides, all of them, and no others."""

import shutil

import numpy as np
import pytest
from tests.workflows.certifying.scans import blobs
from tests.workflows.scans.guided import install, save

import veriscale as library
from veriscale.errors import InputError

AFFINE = [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]]
ASKED = {"scale": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Seven patients with two contrasts each, and an eighth."""
    place = tmp_path_factory.mktemp("guided")
    install(place / "priors")
    for k in range(8):
        for name, seed in (("T2", k), ("T1", 100 + k)):
            folder = "patients" if k < 7 else "others"
            save(place / folder / f"Doe{k}_{name}.nii.gz", blobs(seed, (24, 20, 2)), np.array(AFFINE))
    return place


@pytest.fixture
def place(made, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(made / "priors"))
    file = made / "cert.json"
    if not file.exists():
        library.calibrate(made / "patients", file, prior="grey-guided", guides={"t1": made / "patients"}, **ASKED)
    return made


def test_it_binds_which_guides_and_the_hash_of_their_file(place):
    held = library.read_certificate(place / "cert.json")
    prior = library.load_prior("grey-guided", "cpu")
    assert held.binding.restoration.guides == [prior.guide_card.tensors_sha256, "T1"]
    assert held.binding.n == 7  # the T1s are no patients' scans to be restored


def test_in_use_it_finds_the_guides_file_and_wants_the_guides(place):
    scan, guide = (place / "others" / f"Doe7_{name}.nii.gz" for name in ("T2", "T1"))
    result = library.restore(scan, certificate=place / "cert.json", guides={"T1": guide}, alpha=0.3, **ASKED)
    assert result.mask is not None
    assert result.run["prior"]["guides"] == "grey-guided"
    flair = place / "others" / "Doe7_other.nii.gz"
    save(flair, blobs(200, (24, 20, 2)), np.array(AFFINE))
    cases = {"none": None, "FLAIR, T1": {"T1": guide, "FLAIR": flair}, "FLAIR": {"FLAIR": flair}}
    for this, guides in cases.items():
        said = rf"The certificate is for guides T1\b.*, and this is {this}: give the guides that it was calibrated"
        with pytest.raises(InputError, match=said):
            library.restore(scan, certificate=place / "cert.json", guides=guides, alpha=0.3, **ASKED)
    flair.unlink()


def test_other_guides_of_the_same_names_are_refused(place, tmp_path, monkeypatch):
    install(tmp_path, width=8)
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path))
    scan, guide = (place / "others" / f"Doe7_{name}.nii.gz" for name in ("T2", "T1"))
    with pytest.raises(InputError, match="which are not installed; name their file with"):
        library.restore(scan, certificate=place / "cert.json", guides={"T1": guide}, **ASKED)
    with pytest.raises(InputError, match="The certificate is for guides"):
        library.restore(scan, "grey-guided", certificate=place / "cert.json", guides={"T1": guide}, **ASKED)


def test_without_guides_the_certificate_of_the_unguided_prior_holds(place, tmp_path):
    """They are the same restorations bit for bit."""
    library.calibrate(place / "patients", tmp_path / "plain.json", prior="grey", **ASKED)
    scan = place / "others" / "Doe7_T2.nii.gz"
    held = library.restore(scan, "grey-guided", certificate=tmp_path / "plain.json", alpha=0.3, **ASKED)
    assert held.mask is not None


def test_its_masks_are_evaluated_with_guides(place):
    found = library.evaluate_certificate(
        place / "others", place / "cert.json", alphas=[0.3], guides={"T1": place / "others"}, device="cpu"
    )
    assert [o.picture for o in found.outcomes] == ["patient 1"]
    with pytest.raises(InputError, match="The certificate is for guides"):
        library.evaluate_certificate(
            place / "others" / "Doe7_T2.nii.gz", place / "cert.json", alphas=[0.3], device="cpu"
        )


def test_a_scan_that_lacks_a_guide_is_refused_or_left_out(place, tmp_path):
    shutil.copytree(place / "patients", tmp_path / "patients")
    (tmp_path / "patients" / "Doe3_T1.nii.gz").unlink()
    asked = {"prior": "grey-guided", "guides": {"T1": tmp_path / "patients"}, **ASKED}
    with pytest.raises(InputError, match=r"No guide T1 is found for it, and a certificate is about all .*skip_bad"):
        library.calibrate(tmp_path / "patients", tmp_path / "cert.json", **asked)
