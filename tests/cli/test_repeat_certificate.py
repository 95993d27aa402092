"""`restore --from` a run that had a certificate."""

import json
import shlex
import shutil
import sys

from tests.cli.conftest import CPU


def test_from_repeats_the_mask_to_the_byte(run_of, veriscale, cat, tmp_path):
    run_of(cat, "renoised.json", "--alpha", "0.2", output=tmp_path / "a")
    for source, target in (("a", "b"), ("b", "deep/c"), ("deep/c", "d")):
        code, _, err = veriscale("restore", "--from", tmp_path / source / "cat_x4.run.json", "-o", tmp_path / target)
        assert code == 0, err
        for name in ("cat_x4.png", "cat_x4_trusted.png", "cat_x4_overlay.png"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / target / name).read_bytes()
    first, last = (json.loads((tmp_path / k / "cat_x4.run.json").read_text()) for k in "ad")
    assert first["certificate"] == last["certificate"]
    assert str(tmp_path) not in json.dumps(last)


def test_from_with_another_certificate_or_level(run_of, veriscale, place, cat, tmp_path, monkeypatch):
    run_of(cat, "area.json", "--alpha", "0.2", output=tmp_path / "a")
    repeat = ("restore", "--from", tmp_path / "a" / "cat_x4.run.json", *CPU)
    assert veriscale(*repeat, "--alpha", "0.1", "-o", tmp_path / "b")[0] == 0
    assert json.loads((tmp_path / "b" / "cat_x4.run.json").read_text())["certificate"]["alpha"] == "0.1"
    monkeypatch.chdir(place)  # what is named on the command line is looked for from here
    assert veriscale(*repeat, "--certificate", "sup.json", "-o", tmp_path / "c")[0] == 0
    again = ("restore", "--from", tmp_path / "c" / "cat_x4.run.json", *CPU, "-o", tmp_path / "d")
    assert veriscale(*again)[0] == 0
    assert json.loads((tmp_path / "d" / "cat_x4.run.json").read_text())["certificate"]["loss"] == "sup"
    monkeypatch.chdir(tmp_path)
    same = ("--operator", "downsample:factor=4", "-o", tmp_path / "e")
    code, _, err = veriscale(*again[:-2], *same)
    assert code == 0, err


def test_from_without_its_certificate(run_of, refused, place, cat, tmp_path):
    shutil.copy(place / "area.json", place / "gone.json")
    run_of(cat, "gone.json", output=tmp_path / "a")
    (place / "gone.json").unlink()
    assert "gone.json cannot be read" in refused("restore", "--from", tmp_path / "a" / "cat_x4.run.json", "--force")


def test_a_certificate_by_its_name(veriscale, refused, place, cat, tiny_file, tmp_path, monkeypatch):
    folder = tmp_path / "priors"
    shutil.copytree(tiny_file.parent, folder)
    shutil.copy(place / "area.json", folder / "tiny_x4_area.json")
    monkeypatch.setenv("VERISCALE_PRIORS", str(folder))
    assert veriscale("restore", cat, *CPU, "--certificate", "tiny_x4_area", "-o", tmp_path / "a")[0] == 0
    run = json.loads((tmp_path / "a" / "cat_x4.run.json").read_text())
    assert run["arguments"]["certificate"] == "tiny_x4_area"
    assert veriscale("restore", "--from", tmp_path / "a" / "cat_x4.run.json", "-o", tmp_path / "b")[0] == 0
    assert "did you mean 'tiny_x4_area'" in refused("restore", cat, "--certificate", "tiny_x4_aria", "--force")


def test_no_program_out_of_a_run(run_of, veriscale, cat, tmp_path):
    run, _ = run_of(cat, "area.json", output=tmp_path / "a")
    run["arguments"]["command"] = f"{shlex.quote(sys.executable)} -c \"open('ran','w')\" {{in}} {{out}}"
    (tmp_path / "a" / "cat_x4.run.json").write_text(json.dumps(run))
    code, _, err = veriscale("restore", "--from", tmp_path / "a" / "cat_x4.run.json", "-o", tmp_path / "b")
    assert code == 0, err
    assert "prior tiny used conditionally" in err
