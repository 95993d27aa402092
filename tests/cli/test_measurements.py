"""Measurements on the command line: degrade, sidecar, restore without flags, and every line of bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo

FAST = ("--prior", "tiny", "--sampler", "heun", "--steps", "2", "--device", "cpu")


@pytest.fixture
def cat(skimage_data, tmp_path):
    photo = read_photo(skimage_data / "chelsea.png")
    write_photo(photo.with_pixels(photo.pixels[100:132, 150:190]), tmp_path / "cat.png")
    return tmp_path / "cat.png"


@pytest.mark.parametrize(
    "operator, name",
    [
        ("inpaint:keep=0.5", "cat_degraded.png"),
        ("blur:kernel=gaussian,std=1", "cat_degraded.png"),
        ("sensing:ratio=0.5", "cat_degraded.npy"),
        ("fourier:accel=2", "cat_degraded.npy"),
        ("slice:fwhm=2,step=2,axis=0", "cat_degraded.png"),
        ("blur:kernel=gaussian,std=1 + downsample:factor=2", "cat_degraded.png"),
        ("downsample:factor=2x1", "cat_degraded.png"),
    ],
)
@pytest.mark.parametrize("noise", ["0.05", "poisson:peak=100"])
def test_restore_of_a_measurement_needs_no_flags(veriscale, cat, operator, name, noise):
    if name.endswith("npy") and "poisson" in noise:
        pytest.skip("coefficients have no shot noise")
    assert veriscale("degrade", cat, "--operator", operator, "--noise", noise)[0] == 0
    code, _, err = veriscale("restore", cat.parent / name, *FAST, "--dial", "0,1")
    assert code == 0, err
    assert "zero-shot" in err
    assert "since its encoder knows bicubic" in err
    run = json.loads((cat.parent / "cat_degraded_restored.run.json").read_text())
    assert run["mode"] == "zero-shot"
    assert run["noise"] == ("gaussian:0.05" if noise == "0.05" else noise)
    assert read_photo(cat.parent / "cat_degraded_restored_dial-1.00.png").pixels.shape == (32, 40, 3)


def test_a_run_with_an_operator_can_be_repeated(veriscale, cat, tmp_path):
    mask = np.zeros((32, 40), np.uint8)
    mask[::2] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    veriscale("degrade", cat, "--operator", f"inpaint:mask={tmp_path / 'mask.png'}", "-o", tmp_path / "y.png")
    out = tmp_path / "out"
    assert veriscale("restore", tmp_path / "y.png", *FAST, "-o", out)[0] == 0
    first = (out / "y_restored.png").read_bytes()
    code, _, err = veriscale("restore", "--from", out / "y_restored.run.json", "-o", tmp_path / "again")
    assert code == 0, err
    assert (tmp_path / "again" / "y_restored.png").read_bytes() == first


def test_an_operator_file(veriscale, cat, tmp_path):
    (tmp_path / "a.toml").write_text('noise = 0.05\n[[operator]]\nname = "inpaint"\nkeep = 0.5\n')
    code, _, err = veriscale("restore", cat, *FAST, "--operator", tmp_path / "a.toml")
    assert code == 0, err
    assert "inpaint:keep=0.5,seed=0" in err
    assert "noise gaussian:0.05" in err


def test_a_kernel_is_normalised_and_that_is_said(veriscale, cat, tmp_path):
    np.save(tmp_path / "kernel.npy", np.ones((3, 3)))
    code, _, err = veriscale("degrade", cat, "--operator", f"blur:kernel={tmp_path / 'kernel.npy'}")
    assert code == 0
    assert f"{tmp_path / 'kernel.npy'} sums to 9 and was divided by that.\n" in err


def test_a_dry_run_states_the_memory(veriscale, cat):
    veriscale("degrade", cat, "--operator", "sensing:ratio=0.5")
    before = sorted(cat.parent.iterdir())
    code, _, err = veriscale("restore", cat.parent / "cat_degraded.npy", *FAST, "--dry-run")
    assert code == 0, err
    assert "The whole picture is one problem" in err
    assert " MB of pictures" in err
    assert sorted(cat.parent.iterdir()) == before


def test_the_operator_of_a_repeated_run_can_be_changed(veriscale, cat, tmp_path):
    for first, second, words in (
        (("--scale", "2"), ("--operator", "inpaint:keep=0.9"), "inpaint:keep=0.9"),
        (("--operator", "inpaint:keep=0.9"), ("--scale", "2"), "knows bicubic ×2"),
    ):
        out = tmp_path / first[0]
        assert veriscale("restore", cat, *FAST, *first, "-o", out / "a.png")[0] == 0
        code, _, err = veriscale("restore", "--from", out / "a.run.json", *second, "-o", out / "b.png", "--dry-run")
        assert code == 0, err
        assert words in err


@pytest.mark.parametrize("file", ["mask", "kernel"])
def test_a_sidecar_behind_a_link_finds_its_files(veriscale, cat, tmp_path, file):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away", target_is_directory=True)
    operator = f"inpaint:mask={save_mask(tmp_path / 'm.png', 32, 40)}"
    if file == "kernel":
        operator = f"blur:kernel={save_kernel(tmp_path / 'k.npy', np.full((3, 3), 1 / 9))}"
    assert veriscale("degrade", cat, "--operator", operator, "-o", tmp_path / "link" / "y.png")[0] == 0
    code, _, err = veriscale("restore", tmp_path / "link" / "y.png", *FAST, "--dry-run")
    assert code == 0, err


@pytest.mark.parametrize(
    "operator", ["inpaint:keep=0.5", "inpaint:box=8", "sensing:ratio=0.5", "inpaint:keep=0.5 + hdr"]
)
def test_a_part_of_a_measurement_with_holes_is_refused(refused, veriscale, cat, operator):
    veriscale("degrade", cat, "--operator", operator)
    (measurement,) = cat.parent.glob("cat_degraded.[np]*[gy]")
    assert "crop the result" in refused("restore", measurement, *FAST, "--crop", "0,0,16,16")


def test_a_part_of_a_blurred_picture_is_restored(veriscale, cat):
    veriscale("degrade", cat, "--operator", "blur:kernel=gaussian,std=1")
    assert veriscale("restore", cat.parent / "cat_degraded.png", *FAST, "--crop", "0,0,16,16")[0] == 0


def test_the_report_shows_a_zero_shot_run(veriscale, cat):
    veriscale("degrade", cat, "--operator", "inpaint:keep=0.5", "--noise", "0.05")
    code, _, err = veriscale("restore", cat.parent / "cat_degraded.png", *FAST, "--dial", "0,0.5,1", "--report")
    assert code == 0, err
    page = (cat.parent / "cat_degraded_restored_report.html").read_text()
    assert "inpaint:keep=0.5,seed=0" in page
    assert "estimated from draws on this very picture" in page
    assert "not on the prior&#39;s card" in page or "not on the prior's card" in page


def save_mask(path: Path, height: int, width: int, value: int = 255) -> Path:
    Image.fromarray(np.full((height, width), value, np.uint8)).save(path)
    return path


def save_kernel(path: Path, kernel: np.ndarray) -> Path:
    np.save(path, kernel)
    return path


def save_text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


BAD = {
    "unknown operator": (lambda d: "blurr:kernel=gaussian,std=1", "did you mean 'blur'"),
    "unknown key": (lambda d: "blur:kernel=gaussian,sdt=1", "did you mean 'std'"),
    "out of range": (lambda d: "inpaint:keep=1.5", "keep"),
    "no number": (lambda d: "hdr:gain=high", "gain"),
    "shapes do not meet": (lambda d: "fourier:accel=2 + downsample:factor=2", "fourier"),
    "mask in a composition": (
        lambda d: f"downsample:factor=2 + inpaint:mask={save_mask(d / 'm.png', 30, 30)}",
        "30",
    ),
    "mask of another size": (lambda d: f"inpaint:mask={save_mask(d / 'm.png', 8, 9)}", "9"),
    "mask of nothing": (lambda d: f"inpaint:mask={save_mask(d / 'm.png', 32, 40, 0)}", "mask"),
    "no such mask": (lambda d: f"inpaint:mask={d / 'none.png'}", "none.png"),
    "kernel larger than the picture": (lambda d: f"blur:kernel={save_kernel(d / 'k.npy', np.ones((41, 3)))}", "41"),
    "kernel of zero sum": (lambda d: f"blur:kernel={save_kernel(d / 'k.npy', np.array([[1.0, -1.0]]))}", "sum"),
    "hole larger than the picture": (lambda d: "inpaint:box=99", "99"),
    "missing file": (lambda d: f"{d / 'none.toml'}", "none.toml"),
    "brackets without end": (lambda d: save_text(d / "deep.toml", "x = " + "[" * 5000), "not TOML"),
}


@pytest.mark.parametrize("command", ["degrade", "restore"])
@pytest.mark.parametrize("kind", BAD)
def test_bad_operators(refused, cat, tmp_path, command, kind):
    make, word = BAD[kind]
    folder = tmp_path / "files"
    folder.mkdir()
    operator = make(folder)
    before = sorted(p.name for p in tmp_path.iterdir())
    others = FAST if command == "restore" else ()
    assert word in refused(command, cat, "--operator", operator, *others)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "noise, words",
    [
        ("poissson:peak=3", "did you mean 'poisson'"),
        ("poisson:peek=3", "did you mean 'peak'"),
        ("poisson:peak=0", "peak"),
        ("rician:2", "standard deviation"),
        ("gaussian:", "standard deviation"),
    ],
)
def test_bad_noise(refused, cat, noise, words):
    assert words in refused("degrade", cat, "--operator", "inpaint:keep=0.5", "--noise", noise)
    assert words in refused("restore", cat, "--operator", "inpaint:keep=0.5", "--noise", noise, *FAST)


def test_coefficients_do_not_fit_into_a_picture_file(refused, cat, tmp_path):
    assert "use .npy" in refused("degrade", cat, "--operator", "sensing:ratio=0.5", "-o", tmp_path / "y.png")
    assert not (tmp_path / "y.png").exists()


def test_measurement_and_operator_that_disagree(refused, veriscale, cat, tmp_path):
    np.save(tmp_path / "odd.npy", np.zeros((16, 33), np.float32))
    assert "fourier" in refused("restore", tmp_path / "odd.npy", "--operator", "fourier:accel=2", *FAST)
    assert "contradict" in refused("restore", cat, "--operator", "inpaint:keep=0.5", "--scale", "4", *FAST)


def test_a_sidecar_that_was_edited_or_is_missing(refused, veriscale, cat):
    veriscale("degrade", cat, "--operator", "inpaint:keep=0.5", "--noise", "0.05")
    measurement = cat.parent / "cat_degraded.png"
    sidecar = Path(f"{measurement}.measurement.json")
    sidecar.write_text(sidecar.read_text().replace("0.05", "0.01"))
    assert "edited" in refused("restore", measurement, *FAST)
    sidecar.unlink()
    assert "is missing" in refused("restore", measurement, *FAST)
    assert veriscale("restore", measurement, *FAST, "--scale", "2")[0] == 0


def test_a_fit_that_does_not_converge_says_what_it_reached(refused, cat, monkeypatch):
    import veriscale.physics.conjugate_gradient as solver

    monkeypatch.setattr(solver.conjugate_gradient, "__defaults__", (lambda r: r, 1e-6, 1, solver.GOOD_ENOUGH))
    operator = "blur:kernel=gaussian,std=1 + downsample:factor=2"
    sentence = refused("restore", cat, "--operator", operator, *FAST)
    assert "did not converge" in sentence
    assert "after 1 iteration" in sentence


def test_out_of_memory_says_which_setting_to_lower(refused, cat, monkeypatch):
    from veriscale.runtime.networks import UnconditionalDenoiser

    def full(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(UnconditionalDenoiser, "pullback", full)
    arguments = (
        "--operator",
        "inpaint:keep=0.5",
        "--posterior",
        "dps",
        "--dial",
        "1",
        "--prior",
        "tiny",
        "--steps",
        "2",
    )
    assert "--crop" in refused("restore", cat, *arguments)
    monkeypatch.setattr(UnconditionalDenoiser, "__call__", full)
    assert "--crop" in refused("restore", cat, "--operator", "inpaint:keep=0.5", *FAST)


def test_noise_that_jpeg_cannot_weigh_is_refused_before_any_work(veriscale, refused, cat):
    options = (
        "restore",
        cat,
        *FAST[:2],
        "--device",
        "cpu",
        "--operator",
        "jpeg:quality=40",
        "--noise",
        "poisson:peak=30",
    )
    words = "its proximal map goes with Gaussian noise alone; leave out --noise, or choose --anchor paper and"
    assert words in refused(*options, "--dry-run")
    assert words in refused(*options, "--anchor", "paper", "--dial", 1, "--dry-run")
    assert veriscale(*options, "--anchor", "paper", "--posterior", "dps", "--dial", 1, "--steps", 1)[0] == 0
