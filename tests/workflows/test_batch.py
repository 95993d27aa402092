"""Files and folders: what is taken for input, and what becomes of each."""

import json

import numpy as np
import pytest
from PIL import Image
from tests.conftest import RESIZE
from tests.workflows.photographs import write_measurement

import veriscale
from veriscale.errors import InputError
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import as_stored
from veriscale.workflows.certifying.calibration import calibrate
from veriscale.workflows.inputs import collect


@pytest.fixture
def tree(tmp_path):
    for name in ("a.png", "a.jpg", "deep/a.png", "deep/notes.txt", "out/old_x4.png", "done_x4.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "done_x4.run.json").write_text(json.dumps({"outputs": ["done_x4.png", "done_x4.run.json"]}))
    return tmp_path


def test_one_stem_in_one_folder_is_told_apart_by_its_extension(tree):
    items, many = collect([tree], tree / "out")
    stems = {(i.folder.as_posix(), i.stem) for i in items}
    assert many
    assert stems == {(".", "a_png"), (".", "a_jpg"), ("deep", "a")}


def test_results_of_earlier_runs_are_not_inputs(tree):
    assert "done_x4.png" not in {i.path.name for i in collect([tree])[0]}


def test_two_folders_must_not_share_a_result(tree):
    (tree / "deep" / "a.jpg").touch()
    with pytest.raises(InputError, match="same result"):
        collect([tree / "a.png", tree / "deep" / "a.png"], tree / "out")
    assert len(collect([tree / "a.png", tree / "deep" / "a.png"])[0]) == 2


def test_the_same_file_twice_is_one_input(tree):
    assert len(collect([tree / "a.png", tree / "a.png"])[0]) == 1


# ---- files and folders, by Python

FAST = {"sampler": "heun", "steps": 2}


@pytest.fixture
def folder(few, tmp_path):
    """Two measurements, one of them in a sub-folder."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write_measurement(few / "00.png", tmp_path / "in" / "a.png")
    write_measurement(few / "01.png", tmp_path / "in" / "deep" / "b.png")
    return tmp_path / "in"


def names(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_is_restored_with_its_sub_folders(tiny, folder, tmp_path):
    told = []
    runs = veriscale.restore_files(
        folder, tmp_path / "out", tiny, dial=[0, 1], seed=3, **FAST, progress=lambda *told_now: told.append(told_now)
    )
    stems = ("a_x4", "deep/b_x4")
    expected = {f"{s}{end}" for s in stems for end in ("_dial-0.00.png", "_dial-1.00.png", ".run.json")}
    assert names(tmp_path / "out") == expected
    assert {f for run in runs for f in run["outputs"]} == {str(tmp_path / "out" / name) for name in expected}
    for run, stem, file in zip(runs, stems, ("a.png", "deep/b.png"), strict=True):
        result = veriscale.restore(folder / file, tiny, dial=[0, 1], seed=3, **FAST)
        for f in (0, 1):
            written = read_photo(tmp_path / "out" / f"{stem}_dial-{f}.00.png")
            assert np.array_equal(written.pixels, as_stored(result.images[f].pixels))
        stored = json.loads((tmp_path / "out" / f"{stem}.run.json").read_text())
        assert {**stored, "outputs": run["outputs"]} == run
        assert (stored["arguments"]["seed"], stored["arguments"]["dial"], stored["mode"]) == (3, "0,1", "conditional")
    assert {what.split(":")[0] for what, _, _ in told} == {"a.png (1 of 2)", "b.png (2 of 2)"}


def test_results_lie_beside_the_input_or_where_they_are_named(tiny, folder, tmp_path):
    veriscale.restore_files(folder / "a.png", prior=tiny)
    assert names(folder) == {"a.png", "a_x4.png", "a_x4.run.json", "deep/b.png"}
    veriscale.restore_files([str(folder / "a.png")], str(tmp_path / "out" / "large.tif"), tiny, scale=2)
    assert names(tmp_path / "out") == {"large.tif", "large.run.json"}
    assert read_photo(tmp_path / "out" / "large.tif").pixels.shape == (24, 24, 3)
    veriscale.restore_files(folder / "a.png", tmp_path / "kept", tiny, format="webp", report=True)
    assert names(tmp_path / "kept") == {"a_x4.webp", "a_x4.run.json", "a_x4_report.html"}


def test_one_of_several_that_cannot_be_used_is_told_and_an_only_one_raises(tiny, folder, tmp_path):
    (folder / "torn.png").write_bytes((folder / "a.png").read_bytes()[:100])
    said = []
    runs = veriscale.restore_files(folder, tmp_path / "out", tiny, say=said.append)
    assert [run["input"]["name"].rsplit("/")[-1] for run in runs] == ["a.png", "b.png"]
    assert sum("torn.png" in line for line in said) == 1
    with pytest.raises(InputError, match=r"torn\.png"):
        veriscale.restore_files(folder / "torn.png", tmp_path / "alone", tiny)
    assert not (tmp_path / "alone").exists()


@pytest.mark.parametrize("quality", [50.5, True, "50", 0, 101, float("nan")])
def test_a_quality_that_is_none_is_refused_once_and_for_all(tiny, folder, tmp_path, quality):
    with pytest.raises(InputError, match=f"quality {quality!r} is not a whole number from 1 to 100"):
        veriscale.restore_files(folder, tmp_path / "out", tiny, format="jpeg", quality=quality)
    with pytest.raises(InputError, match="is not a whole number from 1 to 100"):
        veriscale.write_photo(read_photo(folder / "a.png"), tmp_path / "x.jpg", quality=quality)
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_kept_replaced_or_refused_in_pythons_words(tiny, folder, tmp_path):
    out = tmp_path / "out"
    veriscale.restore_files(folder / "a.png", out, tiny)
    before = (out / "a_x4.png").read_bytes()
    with pytest.raises(InputError, match="exists already; add force \\(force=True\\) to replace"):
        veriscale.restore_files(folder / "a.png", out, tiny, dial=1, **FAST)
    (skipped,) = veriscale.restore_files(folder / "a.png", out, tiny, skip_existing=True)
    assert (skipped["skipped"], skipped["outputs"]) == (True, [])
    assert (out / "a_x4.png").read_bytes() == before
    veriscale.restore_files(folder / "a.png", out, tiny, dial=1, force=True, **FAST)
    assert (out / "a_x4.png").read_bytes() != before


def test_a_run_is_repeated_but_for_what_is_given(tiny, folder, tmp_path):
    veriscale.restore_files(folder / "a.png", tmp_path / "a", tiny, dial=1, seed=7, scale=3, **FAST)
    run = tmp_path / "a" / "a_x3.run.json"
    veriscale.restore_files([], tmp_path / "b", tiny, repeat=run)
    assert (tmp_path / "a" / "a_x3.png").read_bytes() == (tmp_path / "b" / "a_x3.png").read_bytes()
    (other,) = veriscale.restore_files(folder / "deep" / "b.png", tmp_path / "c", tiny, repeat=run, seed=8)
    assert (other["seed"], other["dial"], other["sampler"], other["steps"]) == (8, [1.0], "heun", 2)
    assert names(tmp_path / "c") == {"b_x3.png", "b_x3.run.json"}
    veriscale.restore_files([], tmp_path / "d", tiny, repeat=run, operator="downsample:factor=2")
    assert names(tmp_path / "d") == {"a_x2.png", "a_x2.run.json"}


def test_files_under_a_certificate_have_masks(tiny, few, folder, output, tmp_path):
    made = calibrate(few, output, prior=tiny)
    (run, _) = veriscale.restore_files(folder, tmp_path / "masks", tiny, certificate=str(output), alpha=0.3)
    expected = {f"{s}{end}" for s in ("a_x4", "deep/b_x4") for end in (".png", "_trusted.png", "_overlay.png")}
    assert expected <= names(tmp_path / "masks")
    trusted = read_photo(tmp_path / "masks" / "a_x4_trusted.png").pixels[..., 0] == 1
    result = veriscale.restore(folder / "a.png", tiny, certificate=made, alpha=0.3)
    assert np.array_equal(trusted, result.trusted)
    assert run["certificate"] == result.run["certificate"]
    assert run["arguments"]["certificate"] == "../out/certificate.json"


def test_files_by_a_tool(few, folder, output, tool, tmp_path):
    command = tool(RESIZE)
    calibrate(few, output, command=command, scale=4, score="gradient")
    runs = veriscale.restore_files(folder, tmp_path / "made", certificate=str(output), command=command)
    assert [run["mode"] for run in runs] == ["tool", "tool"]
    made = read_photo(tmp_path / "made" / "deep" / "b_x4.png")
    small = Image.open(folder / "deep" / "b.png")
    expected = np.asarray(small.resize((48, 48), Image.BICUBIC), np.float32) / np.float32(255)
    assert np.array_equal(made.pixels, expected)
