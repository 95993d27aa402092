import json
import os
import subprocess
import sys

import numpy as np
import pytest

from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo

FAST = ("--prior", "tiny", "--sampler", "heun", "--steps", 2, "--device", "cpu")


@pytest.fixture
def cat(skimage_data, tmp_path):
    photo = read_photo(skimage_data / "chelsea.png")
    write_photo(photo.with_pixels(photo.pixels[:24, :32]), tmp_path / "cat.png")
    return tmp_path / "cat.png"


def test_one_file_without_output_lies_beside_its_input(veriscale, cat):
    code, out, _ = veriscale("restore", cat, *FAST)
    assert code == 0
    result = cat.with_name("cat_x4.png")
    assert str(result) in out
    assert read_photo(result).pixels.shape == (96, 128, 3)
    assert sorted(p.name for p in cat.parent.iterdir()) == ["cat.png", "cat_x4.png", "cat_x4.run.json"]


def test_dials_draws_spread_and_report(veriscale, cat, tmp_path):
    code, _, _ = veriscale(
        "restore", cat, *FAST, "--dial", "0,0.5,1", "--samples", 2, "--report", "-o", tmp_path / "out"
    )
    assert code == 0
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {
        "cat_x4_dial-0.00.png",
        "cat_x4_dial-0.50.png",
        "cat_x4_dial-1.00.png",
        "cat_x4_draw-0.png",
        "cat_x4_draw-1.png",
        "cat_x4_mean.png",
        "cat_x4_std.tif",
        "cat_x4_report.html",
        "cat_x4.run.json",
    }
    std = read_photo(tmp_path / "out" / "cat_x4_std.tif")
    assert std.bit_depth == 32
    assert std.pixels.max() > 0.001


def test_folders_with_sub_folders_go_on_past_a_bad_file(veriscale, cat, tmp_path):
    source = tmp_path / "in" / "deep"
    source.mkdir(parents=True)
    os.replace(cat, source / "cat.png")
    (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    code, _, err = veriscale("restore", tmp_path / "in", *FAST, "-o", tmp_path / "out")
    assert code == 2
    assert (tmp_path / "out" / "deep" / "cat_x4.png").exists()
    assert sum("broken.jpg" in line for line in err.splitlines()) == 1
    assert not list((tmp_path / "out").glob("broken*"))


def test_existing_results_need_force(veriscale, refused, cat):
    veriscale("restore", cat, *FAST)
    before = cat.with_name("cat_x4.png").read_bytes()
    assert "--force" in refused("restore", cat, *FAST, "--quiet", "--dial", 1)
    assert cat.with_name("cat_x4.png").read_bytes() == before
    assert veriscale("restore", cat, *FAST, "--force", "--dial", 1)[0] == 0
    assert cat.with_name("cat_x4.png").read_bytes() != before


def test_skip_existing_does_nothing_twice(veriscale, cat):
    veriscale("restore", cat, *FAST)
    before = cat.with_name("cat_x4.png").stat().st_mtime_ns
    code, out, err = veriscale("restore", cat, *FAST, "--skip-existing")
    assert (code, out) == (0, "")
    assert "skipped" in err
    assert cat.with_name("cat_x4.png").stat().st_mtime_ns == before


def test_dry_run_says_what_it_would_do_and_writes_nothing(veriscale, cat):
    code, _, err = veriscale("restore", cat, *FAST, "--dial", 1, "--dry-run")
    assert code == 0
    assert "3 evaluations" in err
    assert "MB" in err
    assert [p.name for p in cat.parent.iterdir()] == ["cat.png"]


def test_a_run_can_be_repeated_to_the_byte(veriscale, cat, tmp_path):
    veriscale("restore", cat, *FAST, "--dial", 1, "--seed", 7, "--scale", 3, "-o", tmp_path / "a")
    code, _, _ = veriscale("restore", "--from", tmp_path / "a" / "cat_x3.run.json", "-o", tmp_path / "b")
    assert code == 0
    assert (tmp_path / "a" / "cat_x3.png").read_bytes() == (tmp_path / "b" / "cat_x3.png").read_bytes()
    run = json.loads((tmp_path / "b" / "cat_x3.run.json").read_text())
    assert run["arguments"]["seed"] == 7
    assert str(tmp_path) not in json.dumps(run)


def test_json_on_stdout_is_json(veriscale, cat):
    code, out, _ = veriscale("restore", cat, *FAST, "--json")
    assert code == 0
    assert json.loads(out)[0]["input"]["name"] == "cat.png"


def test_crop_restores_a_part(veriscale, refused, cat, tmp_path):
    assert veriscale("restore", cat, *FAST, "--crop", "4,2,16,10", "-o", tmp_path / "part.png")[0] == 0
    assert read_photo(tmp_path / "part.png").pixels.shape == (40, 64, 3)
    assert "32×24" in refused("restore", cat, *FAST, "--crop", "20,2,16,10", "-o", tmp_path / "b.png")


def test_the_sidecar_of_degrade_tells_restore_how(veriscale, cat, tmp_path):
    small = tmp_path / "small.png"
    assert veriscale("degrade", cat, "--operator", "downsample:factor=2", "--noise", "0.02", "-o", small)[0] == 0
    code, _, err = veriscale("restore", small, *FAST)
    assert code == 0
    assert "small_x2.png" in {p.name for p in tmp_path.iterdir()}
    assert "noise gaussian:0.02" in err


def test_an_edited_measurement_is_not_what_its_sidecar_speaks_of(veriscale, refused, cat, tmp_path):
    small = tmp_path / "small.png"
    veriscale("degrade", cat, "--operator", "downsample:factor=2", "-o", small)
    write_photo(Photo(np.zeros((12, 16, 3), np.float32)), small, force=True)
    assert "another version" in refused("restore", small, *FAST)


def test_noise_auto(veriscale, cat, tmp_path):
    rng = np.random.default_rng(0)
    noisy = Photo((0.5 + 0.03 * rng.standard_normal((64, 64, 3))).astype(np.float32))
    write_photo(noisy, tmp_path / "noisy.png")
    assert veriscale("restore", tmp_path / "noisy.png", *FAST, "--noise", "auto")[0] == 0
    run = json.loads((tmp_path / "noisy_x4.run.json").read_text())
    assert run["noise_std"] == pytest.approx(0.03, rel=0.15)


def test_format_keep_and_named_formats(veriscale, skimage_data, tmp_path):
    photo = read_photo(skimage_data / "chelsea.png")
    write_photo(photo.with_pixels(photo.pixels[:24, :32]), tmp_path / "cat.webp")
    assert veriscale("restore", tmp_path / "cat.webp", *FAST, "--format", "keep")[0] == 0
    assert read_photo(tmp_path / "cat_x4.webp").format == "webp"
    assert veriscale("restore", tmp_path / "cat.webp", *FAST, "--format", "tiff", "--force")[0] == 0
    assert (tmp_path / "cat_x4.tif").exists() or (tmp_path / "cat_x4.tiff").exists()


def test_help_is_quick_and_does_not_import_torch():
    code = "import sys; from veriscale.cli.main import run; run(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_the_installed_command_runs_as_a_process(cat, tiny_file):
    environment = {**os.environ, "VERISCALE_PRIORS": str(tiny_file.parent)}
    command = [sys.executable, "-m", "veriscale", "restore", str(cat), *map(str, FAST)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith("cat_x4.png")


def test_one_stem_twice_loses_nothing(veriscale, cat, tmp_path):
    photo = read_photo(cat)
    write_photo(photo, cat.with_suffix(".jpg"))
    assert veriscale("restore", cat.parent, *FAST, "-o", tmp_path / "out")[0] == 0
    names = {p.name for p in (tmp_path / "out").glob("*.png")}
    assert names == {"cat_png_x4.png", "cat_jpg_x4.png"}


def test_a_second_run_over_a_folder_does_not_restore_results(veriscale, cat):
    for _ in range(2):
        assert veriscale("restore", cat.parent, *FAST, "--skip-existing")[0] == 0
    assert {p.name for p in cat.parent.glob("*.png")} == {"cat.png", "cat_x4.png"}


def test_the_input_is_never_overwritten(refused, cat):
    before = cat.read_bytes()
    assert "input itself" in refused("restore", cat, *FAST, "-o", cat, "--force")
    assert "input itself" in refused("degrade", cat, "--operator", "downsample:factor=2", "-o", cat, "--force")
    assert cat.read_bytes() == before


def test_an_interrupt_leaves_nothing_half_written(skimage_data, tiny_file, tmp_path):
    import signal
    import time

    write_photo(read_photo(skimage_data / "astronaut.png"), tmp_path / "big.png")
    environment = {**os.environ, "VERISCALE_PRIORS": str(tiny_file.parent)}
    command = [sys.executable, "-m", "veriscale", "restore", str(tmp_path / "big.png"), "--prior", "tiny"]
    process = subprocess.Popen([*command, "--dial", "1"], stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    assert "big.png" in process.stderr.readline()  # the work begins
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["big.png"]


@pytest.mark.parametrize("edit", [{"samples": "8"}, {"seed": None}, {"prior": 3}, {"unheard": 1}])
def test_an_edited_run_is_refused(veriscale, refused, cat, edit):
    veriscale("restore", cat, *FAST)
    path = cat.with_name("cat_x4.run.json")
    run = json.loads(path.read_text())
    run["arguments"] |= edit
    path.write_text(json.dumps(run))
    assert "not a run.json" in refused("restore", "--from", path, "--force")


def test_a_changed_input_is_said_when_a_run_is_repeated(veriscale, cat, tmp_path):
    veriscale("restore", cat, *FAST)
    photo = read_photo(cat)
    write_photo(photo.with_pixels(photo.pixels[::-1].copy()), cat, force=True)
    code, _, err = veriscale("restore", "--from", cat.with_name("cat_x4.run.json"), "-o", tmp_path / "b")
    assert code == 0
    assert "not the input of the repeated run" in err
