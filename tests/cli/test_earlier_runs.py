"""Results that are there already, and runs that are repeated: what must be the same is compared by its content."""

import json

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from tests.cli.conftest import TINY

from veriscale.diffusion.checkpoint import load_checkpoint, save_prior
from veriscale.diffusion.prior import Networks
from veriscale.imaging.read import read_photo
from veriscale.workflows.certifying.calibration import calibrate
from veriscale.workflows.degrading.measurement import sidecar_path
from veriscale.workflows.earlier_results import measured_of_others

FAST = (*TINY, "--scale", 2)
SMOOTH = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((20, 16))


@pytest.fixture
def shot(tmp_path):
    block = Image.Exif()
    block[271] = "Canon"
    SMOOTH.save(tmp_path / "shot.jpg", exif=block)
    return tmp_path / "shot.jpg"


# ---- what is there already


def test_what_no_run_made_is_not_replaced(veriscale, refused, shot):
    foreign = shot.with_name("shot_x2.png")
    foreign.write_text("precious")
    sentence = refused("restore", shot, *FAST, "--skip-existing", "--quiet")
    assert f"{foreign} exists already, and shot_x2.run.json does not say that veriscale made it" in sentence
    shot.with_name("shot_x2.run.json").write_text("{}")  # all files are there, and none of them is ours
    refused("restore", shot, *FAST, "--skip-existing", "--quiet")
    assert foreign.read_text() == "precious"
    assert veriscale("restore", shot, *FAST, "--skip-existing", "--force")[0] == 0
    assert read_photo(foreign).width == 40


def test_what_a_run_made_is_made_again_where_some_is_missing(veriscale, shot):
    veriscale("restore", shot, *FAST)
    made = shot.with_name("shot_x2.png")
    before = made.read_bytes()
    code, out, _ = veriscale("restore", shot, *FAST, "--skip-existing", "--report")
    assert (code, len(out.splitlines()), made.read_bytes()) == (0, 3, before)
    made.unlink()
    assert veriscale("restore", shot, *FAST, "--skip-existing")[0] == 0
    assert made.read_bytes() == before


def test_what_was_made_otherwise_is_neither_replaced_nor_skipped(veriscale, refused, shot, tiny_file):
    veriscale("restore", shot, *FAST)
    made = shot.with_name("shot_x2.png")
    before = made.read_bytes()
    again = ("restore", shot, *FAST, "--skip-existing", "--quiet")
    assert f"{made} was made with another --dial; add --force" in refused(*again, "--dial", 1, "--steps", 1)
    assert "was made with another --crop" in refused(*again, "--crop", "0,0,9,9", "--report")
    copy = tiny_file.with_name("tiny_copy.safetensors")
    copy.write_bytes(tiny_file.read_bytes())
    code, out, _ = veriscale(
        "restore", shot, "--prior", copy, "--device", "cpu", "--scale", 2, "--skip-existing"
    )  # the same prior by another name
    copy.unlink()
    assert (code, out) == (0, "")
    SMOOTH.rotate(180).save(shot)
    assert f"{made} was made of another picture than {shot} is; add --force" in refused(*again)
    assert made.read_bytes() == before
    run = json.loads(made.with_name("shot_x2.run.json").read_text())
    made.with_name("shot_x2.run.json").write_text(json.dumps({"outputs": run["outputs"]}))
    assert f"{made} was made of something that shot_x2.run.json does not say" in refused(*again)
    assert veriscale(*again, "--force")[0] == 0
    assert made.read_bytes() != before
    code, out, _ = veriscale(*again, "--force")  # the one of this picture is not made again
    assert (code, out) == (0, "")


def test_a_result_of_another_prior_is_not_skipped(veriscale, refused, shot):
    veriscale("restore", shot, *FAST)
    run = shot.with_name("shot_x2.run.json")
    run.write_text(run.read_text().replace(json.loads(run.read_text())["prior"]["sha256"], "0" * 64))
    assert "was made with another --prior" in refused("restore", shot, *FAST, "--skip-existing", "--quiet")


# ---- how the file is written


def test_what_was_delivered_otherwise_is_not_done_already(veriscale, refused, shot, tmp_path):
    asked = ("restore", shot, *TINY, "--scale", 2)
    assert veriscale(*asked, "--format", "jpeg", "--quality", 90)[0] == 0
    made = tmp_path / "shot_x2.jpg"
    before = made.read_bytes()
    again = (*asked, "--format", "jpeg", "--skip-existing", "--quiet")
    assert f"{made} was made with another --strip; add --force" in refused(*again, "--quality", 90, "--strip")
    assert f"{made} was made with another --quality; add --force" in refused(*again, "--quality", 30)
    assert "was made with another --format" in refused(*asked, "--skip-existing", "--quiet")
    assert made.read_bytes() == before
    assert veriscale(*again, "--quality", 90)[:2] == (0, "")
    assert veriscale(*again, "--quality", 90, "--strip", "--force")[0] == 0
    assert read_photo(made).exif is None


def test_there_is_nothing_to_strip_of_a_picture_without_exif(veriscale, shot, tmp_path):
    SMOOTH.save(tmp_path / "bare.png")
    asked = ("restore", tmp_path / "bare.png", *TINY, "--scale", 2, "--skip-existing")
    assert len(veriscale(*asked)[1].splitlines()) == 2
    assert veriscale(*asked, "--strip")[:2] == (0, "")


# ---- what the pictures are made of


def _mask(path, keep):
    np.save(path, (np.random.default_rng(0).random((16, 20)) < keep).astype(np.float32))


def test_the_content_of_an_operators_files_counts(veriscale, refused, shot, tmp_path):
    _mask(tmp_path / "m.npy", 0.9)
    asked = ("restore", shot, *TINY, "--operator", f"inpaint:mask={tmp_path / 'm.npy'}", "--noise", 0.05)
    assert veriscale(*asked)[0] == 0
    assert veriscale(*asked, "--skip-existing")[:2] == (0, "")
    run = tmp_path / "shot_restored.run.json"
    repeat = ("restore", "--from", run, "-o", tmp_path / "b", "--dry-run")
    assert "repeated run" not in veriscale(*repeat)[2]
    _mask(tmp_path / "m.npy", 0.5)
    words = "another content of the files of --operator"
    assert f"was made with {words}; add --force" in refused(*asked, "--skip-existing", "--quiet")
    assert f"this is {words} than in the repeated run: the result will differ." in veriscale(*repeat)[2]


def test_another_card_of_the_same_tensors_counts(veriscale, refused, shot, tmp_path, tiny_file):
    held = load_checkpoint(tiny_file, torch.device("cpu"), torch.float32)
    file = tmp_path / "mine.safetensors"
    networks = Networks(held.encoder, held.denoiser, held.predictor)
    modes = [msgspec.structs.replace(m, level_ratio=0.9) if m.scale == 2 else m for m in held.card.modes]
    save_prior(networks, held.card, file)
    asked = ("restore", shot, "--prior", file, "--device", "cpu")
    for scale in (2, 3, 2.5, 8):
        assert veriscale(*asked, "--scale", scale)[0] == 0
    save_prior(networks, msgspec.structs.replace(held.card, modes=modes), file, force=True)
    again = (*asked, "--skip-existing", "--quiet", "--scale")
    for scale in (2, 8):  # ×8 is ×4, then ×2
        assert "was made with another card of --prior; add --force" in refused(*again, scale)
    for scale in (3, 2.5):  # whose entries on the card are the same
        assert veriscale(*again, scale)[:2] == (0, "")
    repeat = ("restore", "--from", tmp_path / "shot_x2.run.json", "-o", tmp_path / "b", "--dry-run")
    assert "this is another card of --prior than in the repeated run" in veriscale(*repeat)[2]


def test_the_content_of_a_certificate_counts(veriscale, refused, cat, place, few, tiny, tmp_path):
    held = tmp_path / "held.json"
    held.write_bytes((place / "area.json").read_bytes())
    asked = ("restore", cat, "--device", "cpu", "--certificate", held, "-o", tmp_path / "out")
    assert veriscale(*asked)[0] == 0
    assert veriscale(*asked, "--skip-existing")[:2] == (0, "")
    calibrate(few, held, prior=tiny, force=True)
    assert "was made with another --certificate; add --force" in refused(*asked, "--skip-existing", "--quiet")
    repeat = ("restore", "--from", tmp_path / "out" / "cat_x4.run.json", "-o", tmp_path / "b", "--device", "cpu")
    assert "this is another --certificate than in the repeated run" in veriscale(*repeat)[2]


def test_a_run_of_before_says_less_and_is_repeated(veriscale, shot, tmp_path):
    veriscale("restore", shot, *TINY, "--scale", 2)
    path = tmp_path / "shot_x2.run.json"
    run = json.loads(path.read_text())
    del run["prior"]["card"], run["file"]
    path.write_text(json.dumps(run))
    code, _, err = veriscale("restore", "--from", path, "-o", tmp_path / "b")
    assert (code, "repeated run" in err) == (0, False)


def test_measurements_are_left_out_where_what_was_measured_is_there(tmp_path):
    names = ("a.png", "a_degraded.png", "a_degraded_degraded.png", "m/a.png", "b/1.png", "c/1.png", "x_degraded.png")
    files = [tmp_path / name for name in names]
    for file in files[1:]:
        file.parent.mkdir(exist_ok=True)
        sidecar_path(file).touch()
    assert measured_of_others(files) == set(files[1:4])
    assert measured_of_others(files[4:]) == set()
