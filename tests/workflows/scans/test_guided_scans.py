"""A scan restored with guides: they lie where it lies, any subset will do, and none is the unguided prior."""

import json
import math
import shutil

import nibabel
import numpy as np
import pytest
from tests.workflows.scans.guided import COARSE, SHAPE, finer, install, save, values, write_subject

import veriscale as library
from veriscale.errors import InputError
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.imaging.nifti.read import read_volume
from veriscale.settings import Settings
from veriscale.workflows.batch_door import restore_files
from veriscale.workflows.opening import open_restorer
from veriscale.workflows.restoring.door import restore
from veriscale.workflows.scans.asked_guides import asked_guides
from veriscale.workflows.scans.kept_state import KeptState
from veriscale.workflows.scans.reading import read_scan
from veriscale.workflows.scans.scan_job import scan_job


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(install(tmp_path / "priors")))
    return tmp_path


@pytest.fixture
def scan(place):
    return write_subject(place / "scans")


def beside(scan, modality):
    return scan.with_name(scan.name.replace("T2", modality))


THROUGH = {"spacing": "-,-,2", "thickness": 4.0, "noise": "0.05"}
WAYS = [
    {"scale": 2},
    {"scale": 2, "dial": "0,0.5,1", "sampler": "heun", "steps": 2},
    {"operator": "blur:kernel=gaussian,std=1"},
]


@pytest.mark.parametrize("asked", [*WAYS, {"scale": 2, "ensemble": True}, THROUGH], ids=str)
def test_guides_change_the_result_and_none_are_the_unguided_prior(scan, asked):
    guides = {"t1": beside(scan, "T1"), "Flair": beside(scan, "FLAIR")}
    plain = restore(scan, "grey", **asked)
    without = restore(scan, "grey-guided", **asked)
    guided = restore(scan, "grey-guided", guides=guides, **asked)
    one = restore(scan, "grey-guided", guides={"t1": guides["t1"]}, **asked)
    for dial, image in plain.images.items():
        np.testing.assert_array_equal(without.images[dial].samples, image.samples)
        assert np.isfinite(guided.images[dial].samples).all()
        assert np.abs(guided.images[dial].samples - image.samples).max() > 1e-4
        assert np.abs(guided.images[dial].samples - one.images[dial].samples).max() > 1e-4
    assert set(guided.run["guides"]) == {"T1", "FLAIR"}
    assert guided.run["guides"]["T1"] == read_scan(guides["t1"]).sha256
    assert guided.run["prior"]["guides"] == "grey-guided"


class AskedFor(Exception):
    """A prior by its name."""


@pytest.mark.parametrize("guided", [True, False])
def test_where_no_prior_is_named_scans_with_guides_have_one_of_their_own(scan, place, monkeypatch, guided):
    def load(name, *others):
        raise AskedFor(name)

    for module in ("restoring.evaluation", "certifying.calibration", "opening"):  # the last is imported by the others
        monkeypatch.setattr(f"veriscale.workflows.{module}.load_prior", load)
    asked = {"guides": {"T1": place / "scans"} if guided else None, "scale": 2}
    doors = (
        lambda: restore(scan, **asked),
        lambda: restore_files(scan, place / "out", **asked),
        lambda: library.evaluate(place / "scans", **asked),
        lambda: library.calibrate(place / "scans", place / "mine.json", loss="area", tau=0.1, **asked),
    )
    for door in doors:
        with pytest.raises(AskedFor, match=r"^mri-guided$" if guided else r"^mri$"):
            door()


def test_a_scan_of_a_contrast_that_guides_have_not_learnt_to_help_is_told_of(place, scan):
    said = []
    for name, other in (("FLAIR", "T1"), ("T2", "FLAIR")):
        asked = {"guides": {other: beside(scan, other)}, "scale": 2, "device": "cpu", "say": said.append}
        restore_files(beside(scan, name), place / name, "grey-guided", **asked)
        told = "By its name the scan is FLAIR, and these guides have learnt to help T2." in "\n".join(said)
        assert told == (name == "FLAIR")
        said.clear()


@pytest.mark.parametrize("planes", ["all", ""])
def test_what_corrects_an_anchor_through_the_plane_is_told_of(scan, tmp_path, monkeypatch, planes):
    monkeypatch.setenv("VERISCALE_PRIORS", str(install(tmp_path / "others", planes=planes)))
    result = restore(scan, "grey-guided", guides={"t1": beside(scan, "T1")}, **THROUGH)
    first, *others = result.run["guide_findings"]["levels"]
    corrected = planes == "all"
    assert result.run.get("corrected") == ("by guides" if corrected else None)
    assert (first["sigma"] is None) == corrected
    assert len(others) == (3 if corrected else 2)
    assert (result.weights[0].level == "the anchor") == corrected
    if corrected:
        assert 0 < first["amount"] < 1
        assert first["weights"] == {"T1": 1.0}
    monkeypatch.setattr(GuidedPrior, "about", lambda prior, x: prior)  # the denoiser's gate is told of no anchor
    untold = restore(scan, "grey-guided", guides={"t1": beside(scan, "T1")}, **THROUGH).run["guide_findings"]["levels"]
    differ = [one != other for one, other in zip([first, *others], untold, strict=True)]
    assert differ == ([False, True, True, True] if corrected else [False, False, False])


def test_draws_of_a_run_that_was_cut_off_are_told_of_the_same_anchor(scan, tmp_path, monkeypatch):
    monkeypatch.setenv("VERISCALE_PRIORS", str(install(tmp_path / "all", planes="all")))
    restorer = open_restorer(Settings(prior="grey-guided", dial="1", samples=2, steps=3, **THROUGH))
    (work,) = scan_job(restorer, read_scan(scan), asked_guides(restorer.prior, {"T1": beside(scan, "T1")})).planned()

    def stop(phase, done, of):
        if done > work.method.first_evaluations + 4:  # in the second draw
            raise KeyboardInterrupt

    whole = work.restore(lambda phase, done, of: None, KeptState(tmp_path / "whole", work.facts()))
    with pytest.raises(KeyboardInterrupt):
        work.restore(stop, KeptState(tmp_path / "cut", work.facts()))
    taken_up = []
    again = work.restore(lambda phase, done, of: taken_up.append(done), KeptState(tmp_path / "cut", work.facts()))
    assert min(taken_up) > work.method.first_evaluations
    for one, other in zip(whole.samples, again.samples, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


def test_time_and_memory_through_the_plane_are_of_what_draws_are_told_of(scan, tmp_path, monkeypatch):
    asked = []

    def pace(prior, shape, anew):
        asked.append((prior.given, prior.estimate is not None, anew))
        return 1.0

    monkeypatch.setattr("veriscale.workflows.scans.through_plane.denoiser_pace", pace)
    memory = []
    for planes in ("all", ""):
        monkeypatch.setenv("VERISCALE_PRIORS", str(install(tmp_path / f"of{planes}", planes=planes)))
        restorer = open_restorer(Settings(prior="grey-guided", dial="1", **THROUGH))
        guides = asked_guides(restorer.prior, {"T1": beside(scan, "T1")})
        (work,) = scan_job(restorer, read_scan(scan), guides).planned()
        work.cost()
        memory.append(work.memory)
    both = [((), False, True), (("T1",), True, True), (("T1",), False, True)]
    assert asked == [one for one in both for _ in range(2)]
    assert memory[0] - memory[1] == 4 * math.prod(work.grid.shape)


def test_a_guide_counts_where_it_lies_in_the_world(scan, place):
    """The same guide in other axes, finer, or with voxels far away, is the same guide."""
    matrix, shape = finer(2)
    given = beside(scan, "T1")
    expected = restore(scan, "grey-guided", guides={"T1": given}, scale=2).image.samples
    turned = matrix[:, [2, 0, 1, 3]] @ np.diag([-1.0, 1, 1, 1])
    turned[:3, 3] = matrix[:3, 3] + matrix[:3, 2] * (shape[2] - 1)
    samples = nibabel.load(given).get_fdata(dtype=np.float32)
    other = save(place / "turned.nii.gz", samples.transpose(2, 0, 1)[::-1], turned)
    found = restore(scan, "grey-guided", guides={"T1": other}, scale=2).image.samples
    np.testing.assert_allclose(found, expected, atol=1e-6)
    volume = read_volume(given)
    np.testing.assert_array_equal(restore(scan, "grey-guided", guides={"T1": volume}, scale=2).image.samples, expected)


def test_outside_its_field_of_view_and_where_it_is_nan_a_guide_does_nothing(scan, place):
    """Far from the rim of what is known the result is the unguided one, bit for bit."""
    matrix, shape = finer(2)
    samples = values(shape, 5)
    samples[:, :, 3:] = np.nan
    plain = restore(scan, "grey", scale=2).image.samples
    found = restore(scan, "grey-guided", guides={"T1": save(place / "nan.nii.gz", samples, matrix)}, scale=2)
    np.testing.assert_array_equal(found.image.samples[..., 3:], plain[..., 3:])
    assert np.abs(found.image.samples[..., :3] - plain[..., :3]).max() > 1e-4
    short = save(place / "short.nii.gz", samples[:, :, :3], matrix)
    np.testing.assert_allclose(
        restore(scan, "grey-guided", guides={"T1": short}, scale=2).image.samples, found.image.samples, atol=2e-3
    )


def test_edges_of_the_measurement_and_label_maps_guide_too(scan, place):
    plain = restore(scan, "grey", scale=2).image.samples
    edges = restore(scan, "grey-guided", guides={"edges": "auto"}, scale=2)
    assert edges.run["guides"] == {"edges": "auto"}
    assert np.abs(edges.image.samples - plain).max() > 1e-4
    matrix, shape = finer(2)
    labels = (values(shape, 3) > 400).astype(np.uint8)
    found = [
        restore(scan, "grey-guided", guides={"labels": save(place / "labels.nii.gz", each, matrix)}, scale=2)
        for each in (labels, 9 - 5 * labels)
    ]
    np.testing.assert_array_equal(*(each.image.samples for each in found))
    assert np.abs(found[0].image.samples - plain).max() > 1e-4


def test_labels_that_are_no_whole_numbers_are_refused(scan, place):
    matrix, shape = finer(2)
    grey = save(place / "grey.nii.gz", values(shape, 3), matrix)
    with pytest.raises(InputError, match=r"guide labels holds [\d.]+, and labels are whole numbers; give a map"):
        restore(scan, "grey-guided", guides={"labels": grey}, scale=2)


def test_a_folder_of_scans_finds_its_guides_by_name_and_leaves_them_out(place):
    """Beside the scan, and in a folder of their own; one that lacks a guide goes without; one run can be skipped."""
    for seed, name in enumerate(("Doe", "Roe")):
        write_subject(place / "scans", name, seed=10 * seed)
    (place / "scans" / "Roe_FLAIR.nii.gz").unlink()
    said = []
    asked = {"prior": "grey-guided", "scale": 2, "device": "cpu", "say": said.append}
    guides = {"t1": place / "scans", "flair": place / "scans"}
    done = restore_files(place / "scans", place / "out", guides=guides, **asked)
    assert sorted(p.name for p in (place / "out").glob("*.nii.gz")) == [
        f"{n}_T2_restored.nii.gz" for n in ("Doe", "Roe")
    ]
    assert [set(run["guides"]) for run in done] == [{"T1", "FLAIR"}, {"T1"}]
    told = "\n".join(said)
    assert "3 scans are left out, by name guides of the others" in told
    assert "No guide FLAIR is found for it" in told
    assert "guided by T1, FLAIR, by grey-guided, trained for T2" in told
    assert "Doe" not in told
    assert "The guide FLAIR is known on 67% of the result's voxels" in told
    alone = restore_files(place / "scans" / "Doe_T2.nii.gz", place / "one", guides=guides, **asked)
    assert alone[0]["guides"] == done[0]["guides"]
    again = restore_files(place / "scans", place / "out", guides=guides, skip_existing=True, **asked)
    assert [run["skipped"] for run in again] == [True, True]
    with pytest.raises(library.InputError, match="with another guide"):
        restore_files(
            place / "scans" / "Doe_T2.nii.gz",
            place / "one",
            skip_existing=True,
            guides={"t1": place / "scans"},
            **asked,
        )


def test_a_measurement_of_degrade_finds_the_guides_of_what_was_measured(scan, place):
    low = scan.with_name("Doe_T2_degraded.nii.gz")
    shutil.copy(scan, low)
    done = restore_files(low, place / "out", "grey-guided", guides={"T1": scan.parent}, scale=2, device="cpu")
    assert set(done[0]["guides"]) == {"T1"}


def test_a_run_is_repeated_with_its_guides_given_again(scan, place):
    said = []
    asked = {"device": "cpu", "say": said.append}
    restore_files(scan, place / "out", "grey-guided", guides={"T1": beside(scan, "T1")}, scale=2, **asked)
    run = place / "out" / "Doe_T2_restored.run.json"
    content = json.loads(run.read_text())
    assert "Doe" not in json.dumps(content)
    assert content["arguments"]["prior"] == "grey-guided"
    restore_files(scan, place / "two", guides={"T1": beside(scan, "T1")}, repeat=run, **asked)
    files = [place / folder / "Doe_T2_restored.nii.gz" for folder in ("out", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert not any("another" in line for line in said)
    restore_files(scan, place / "three", guides={"T1": beside(scan, "FLAIR")}, repeat=run, **asked)
    assert "this is another guide than in the repeated run: the result will differ." in said[-1] + "".join(said)
    restore_files(scan, place / "plain", "grey-guided", scale=2, **asked)
    run = place / "plain" / "Doe_T2_restored.run.json"
    restore_files(scan, place / "four", guides={"T1": beside(scan, "T1")}, repeat=run, **asked)
    assert any("the repeated run had no guide: the result will differ." in line for line in said)


def test_what_python_gives_is_checked(scan, place):
    volume = read_volume(scan)
    for guides in ({"t1": volume}, {"t1": scan}):
        with pytest.raises(InputError, match="The guide T1 is the scan itself"):
            library.restore(volume, prior="grey-guided", scale=2, guides=guides)
    with pytest.raises(InputError, match="The guide T1 is the scan itself"):
        library.restore(scan, prior="grey-guided", scale=2, guides={"t1": volume})
    for guides in ([("t1", volume)], "t1=x", {1: volume}):
        with pytest.raises(InputError, match="give a mapping from names, such as T1, to files or volumes"):
            library.restore(scan, prior="grey-guided", scale=2, guides=guides)
    with pytest.raises(InputError, match="guide"):
        library.restore(scan, prior="grey-guided", scale=2, guides={"t1": volume.samples})


def test_a_repeated_run_says_that_its_guides_have_to_be_given_again(scan, place):
    restore_files(scan, place / "out", "grey-guided", guides={"T1": beside(scan, "T1")}, scale=2, device="cpu")
    with pytest.raises(
        library.InputError, match="had guides, whose files it does not tell; give them again with guide"
    ):
        restore_files(scan, place / "two", repeat=place / "out" / "Doe_T2_restored.run.json", device="cpu")


def test_one_file_does_not_guide_several_scans(scan, place):
    write_subject(place / "scans", "Roe")
    scans = [scan, place / "scans" / "Roe_T2.nii.gz"]
    asked = {"guides": {"T1": beside(scan, "T1")}, "scale": 2, "device": "cpu"}
    with pytest.raises(library.InputError, match="The guide T1 is one scan, and there are 2 scans to be guided"):
        restore_files(scans, place / "out", "grey-guided", **asked)
    with pytest.raises(library.InputError, match="give a folder in which each has its own"):
        library.evaluate(scans, "grey-guided", **asked)


def test_two_steps_are_both_guided(scan):
    """In plane first and then through it, each on its own voxels."""
    asked = {"spacing": "1,1,2", "thickness": 4.0, "noise": "0.05"}
    plain, guided = (
        restore(scan, prior, guides=guides, **asked)
        for prior, guides in (("grey", None), ("grey-guided", {"T1": beside(scan, "T1")}))
    )
    assert guided.image.shape == (2 * SHAPE[0], 2 * SHAPE[1], 2 * SHAPE[2])
    assert guided.run["before"]["prior"]["guides"] == "grey-guided"
    assert np.abs(guided.image.samples - plain.image.samples).max() > 1e-4
    assert np.allclose(np.linalg.norm(COARSE[:3, :3], axis=0), (2, 2, 4))
