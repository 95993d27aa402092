"""`restore --command`: anybody's tool under a certificate of it."""

import json
import shutil

import numpy as np
from PIL import Image
from tests.cli.conftest import pixels
from tests.conftest import RESIZE

import veriscale as library
from veriscale.trust.scores.gradient import gradient
from veriscale.trust.smoothing import smoothed
from veriscale.workflows.certifying.calibration import calibrate


def test_a_tool_is_run_as_it_was_calibrated(veriscale, cat, resizer, tmp_path):
    options = ("restore", cat, "--command", resizer, "--certificate", "tool.json", "--alpha", "0.17", "--report")
    code, out, err = veriscale(*options, "-o", tmp_path / "out")
    assert code == 0, err
    assert {line.rsplit("/")[-1] for line in out.splitlines()} == {
        *(f"cat_x4{end}" for end in (".png", "_trusted.png", "_overlay.png", ".run.json", "_report.html"))
    }
    small = Image.open(cat)
    large = small.resize((48, 48), Image.BICUBIC)
    assert np.array_equal(pixels(tmp_path / "out" / "cat_x4.png"), np.asarray(large))
    certificate = library.read_certificate("tool.json")
    score = smoothed(gradient(np.asarray(large, np.float32) / np.float32(255), 1.0), 1.0)
    trusted = pixels(tmp_path / "out" / "cat_x4_trusted.png") == 255
    assert np.array_equal(trusted, score < certificate.threshold("0.17"))
    assert 0 < trusted.mean() < 1
    run = json.loads((tmp_path / "out" / "cat_x4.run.json").read_text())
    assert (run["mode"], run["command"], run["certificate"]["dial"]) == ("tool", resizer, None)
    page = (tmp_path / "out" / "cat_x4_report.html").read_text()
    assert "It speaks of the pictures on which the tool succeeds within 600 s." in page
    repeat = ("restore", "--from", tmp_path / "out" / "cat_x4.run.json", "-o", tmp_path / "again")
    code, _, err = veriscale(*repeat)  # a run.json may be a stranger's: it names no program that is run
    assert (code, "if you trust it, give it as --command" in err) == (2, True)
    assert not (tmp_path / "again").exists()
    code, _, err = veriscale(*repeat, "--command", resizer)
    assert code == 0, err
    for name in ("cat_x4.png", "cat_x4_trusted.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_tool_with_the_users_maps(veriscale, refused, cat, resizer, tmp_path):
    for k, stem in enumerate(["00", "01", "02", "03", "04", "cat"]):
        np.save(tmp_path / f"{stem}.npy", np.random.default_rng(k).random((48, 48), np.float32))
    files = calibrate(tmp_path / "few", "files.json", command=resizer, scale=4, score="files", score_files="{stem}.npy")
    options = ("restore", cat, "--command", resizer, "--alpha", "0.17", "--quiet")
    assert "go together" in refused(*options, "--certificate", "files.json")
    assert "go together" in refused(*options, "--certificate", "tool.json", "--score-files", "{stem}.npy")
    code, _, err = veriscale(*options, "--certificate", "files.json", "--score-files", "{stem}.npy")
    assert code == 0, err
    expected = np.load(tmp_path / "cat.npy") < files.threshold("0.17")
    assert np.array_equal(pixels(cat.with_name("cat_x4_trusted.png")) == 255, expected)
    assert 0 < expected.mean() < 1


def test_another_tool_is_refused(refused, cat, resizer, tmp_path):
    options = ("restore", cat, "--certificate", "tool.json", "--quiet")
    sentence = refused(*options, "--command", f"{resizer} --more")
    assert "{in} {out}, and this is …" in sentence  # where they differ, however long the folder's name is
    assert "{in} {out} --more: write it to the letter as it was calibrated, or calibrate for it." in sentence
    assert "lacks {out}" in refused(*options, "--command", "python tool.py {in}")
    assert "give it as --command" in refused(*options)
    assert "give it as --command" in refused(*options, "--prior", "tiny")
    (tmp_path / "tool.py").write_text(RESIZE + "# another version\n")
    sentence = refused(*options, "--command", resizer)
    assert "The certificate is for tool " in sentence
    assert "put back the program, and the files that its command names, as they were" in sentence


def test_a_tool_needs_a_certificate_of_its_own(refused, place, cat, resizer):
    assert "belong to a --certificate" in refused("restore", cat, "--command", resizer)
    sentence = refused("restore", cat, "--command", resizer, "--certificate", place / "area.json", "--quiet")
    assert "The certificate is for a prior and not for a tool" in sentence


def test_settings_of_a_prior_do_not_go_with_a_tool(refused, cat, resizer):
    options = ("restore", cat, "--command", resizer, "--certificate", "tool.json", "--quiet")
    assert "for scale 4, and this is 2" in refused(*options, "--scale", 2)
    given = {"--prior": "tiny", "--operator": "downsample:factor=4", "--noise": "0", "--dial": "0.5", "--samples": 4}
    for option, value in {**given, "--steps": 3, "--seed": 1, "--sampler": "heun", "--anchor": "fast"}.items():
        assert f"{option} does not go with --command" in refused(*options, option, value)


def test_a_sidecar_that_says_otherwise_is_believed(veriscale, refused, place, resizer, tmp_path):
    truth = place / "other" / "00.png"
    options = ("--command", resizer, "--certificate", "tool.json", "--quiet")
    veriscale("degrade", truth, "--operator", "downsample:factor=4", "-o", tmp_path / "same.png")
    assert veriscale("restore", tmp_path / "same.png", *options)[0] == 0
    veriscale("degrade", truth, "--operator", "downsample:factor=4", "--noise", 0.1, "-o", tmp_path / "noisy.png")
    assert "for noise gaussian:0, and this is gaussian:0.1" in refused("restore", tmp_path / "noisy.png", *options)
    scale = ("--scale", 4)  # says nothing of the noise
    assert "for noise gaussian:0" in refused("restore", tmp_path / "noisy.png", *options, *scale)
    veriscale("degrade", truth, "--operator", "downsample:factor=4,kernel=box", "-o", tmp_path / "box.png")
    assert "for operator downsamp" in refused("restore", tmp_path / "box.png", *options)


def test_a_tool_that_fails_or_hangs_is_one_sentence(refused, cat, tmp_path, resizer, place, monkeypatch):
    script = RESIZE.replace("picture =", "import os, time\nif os.path.exists('busy'): time.sleep(30)\npicture =", 1)
    (tmp_path / "tool.py").write_text(script)
    calibrate(tmp_path / "few", tmp_path / "slow.json", command=resizer, scale=4, score="gradient")
    (tmp_path / "busy").touch()
    options = ("--command", resizer, "--certificate", "slow.json", "--timeout", 0.5, "--quiet")
    for output in ((), ("-o", tmp_path / "new" / "deeper")):
        assert "The tool failed: The tool did not finish within 0.5 s" in refused("restore", cat, *options, *output)
    assert not list(tmp_path.glob("cat_x4*"))
    assert not (tmp_path / "new").exists()


TELLTALE = (
    """
import sys
secret = sys.argv.pop()
if secret != "--token=hunter2": sys.exit("no token")
from PIL import Image
if Image.open(sys.argv[1]).getpixel((0, 0)) == (1, 2, 3): sys.exit(f"unknown option {secret}")
"""
    + RESIZE
)


def test_a_secret_is_written_down_nowhere(veriscale, place, cat, tool, tmp_path, monkeypatch):
    monkeypatch.setenv("PASS", "hunter2")
    command = f"{tool(TELLTALE)} --token={{env:PASS}}"
    folder, results = tmp_path / "few", tmp_path / "out"
    folder.mkdir()
    for file in sorted((place / "calibration").iterdir())[:3]:
        shutil.copy(file, folder)
    Image.new("RGB", (48, 48), (1, 2, 3)).save(folder / "bad.png")
    made = veriscale("calibrate", folder, "--command", command, "--scale", 4, "-o", results / "tool.json")
    options = ("--certificate", results / "tool.json", "--alpha", 0.5, "--report", "-o", results)
    done = veriscale("restore", cat, "--command", command, *options)
    assert (made[0], done[0]) == (0, 0), made[2] + done[2]
    assert "unknown option --token={env:PASS}" in made[2]
    assert made[2].count("is an interpreter: a certificate binds it and") == 1
    assert "looks like a secret" not in made[2] + done[2]
    assert "{env:PASS}" in (results / "cat_x4.run.json").read_text()
    written = b"".join(file.read_bytes() for file in results.iterdir())
    assert b"hunter2" not in written + (made[2] + done[2]).encode()
