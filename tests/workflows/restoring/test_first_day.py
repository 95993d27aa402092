"""Python's ways in, used as somebody does on the first day."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.workflows.photographs import write_crops, write_measurement

import veriscale
from veriscale import InputError, Settings
from veriscale.workflows.restoring.door import as_settings

TOOL = shlex.join([sys.executable, str(Path(__file__).parents[1] / "tools" / "enlarge.py"), "same"]) + " {in} {out}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, skimage_data, tiny):
    """Photographs, two measurements, and certificates for the tiny prior and for a tool."""
    folder = tmp_path_factory.mktemp("door")
    truths = write_crops(folder / "truths", skimage_data, 20)
    (folder / "album").mkdir()
    for truth in truths[:2]:
        write_measurement(truth, folder / "album" / truth.name)
    veriscale.calibrate(folder / "truths", folder / "tiny.json", prior=tiny)
    veriscale.calibrate(folder / "truths", folder / "half.json", prior=tiny, dial=0.5)
    veriscale.calibrate(folder / "truths", folder / "tool.json", command=TOOL, scale=4)
    return folder


def test_arguments_are_settings_in_whatever_type_they_come():
    asked = as_settings(
        {
            "scale": np.int64(4),
            "noise": np.float32(0.5),
            "dial": np.array([1, 0.5]),
            "operator": Path("a.toml"),
            "alpha": 0.05,
            "consistent": np.bool_(True),
            "timeout": 3,
        }
    )
    assert asked == Settings(
        scale=4, noise="0.5", dial="1,0.5", operator="a.toml", alpha="0.05", consistent=True, timeout=3
    )
    assert [as_settings({"dial": d}).dial for d in (np.float64(0.5), np.array(0.5), 1, (0, 1))] == [
        "0.5",
        "0.5",
        "1",
        "0,1",
    ]


@pytest.mark.parametrize(
    "name, value, wanted",
    [
        ("scale", "4x", "a number"),
        ("scale", float("nan"), "a number"),
        ("samples", 2.9, "a whole number"),
        ("samples", float("inf"), "a whole number"),
        ("seed", True, "a whole number"),
        ("seed", "1.9", "a whole number"),
        ("timeout", "soon", "a number"),
        ("crop", (0, 0, 8, 8), "a string"),
        ("score_files", 3, "a string"),
        ("consistent", "yes", "True or False"),
    ],
)
def test_a_value_of_another_kind_is_named(name, value, wanted):
    with pytest.raises(InputError) as refused:
        as_settings({name: value})
    assert str(refused.value) == f"{name} is {value!r}, and {wanted} is wanted."


@pytest.mark.parametrize("four", [4, 4.0, "4", "4.0", np.int64(4), np.float32(4)])
def test_a_whole_number_may_come_in_any_type(four):
    for name in ("scale", "samples", "seed"):
        value = getattr(as_settings({name: four}), name)
        assert (value, type(value)) == (4, int)
    assert as_settings({"seed": str(2**60 + 1)}).seed == 2**60 + 1  # no float holds it


@pytest.mark.parametrize("dial", ["x", ["x"], {0, 1}, [[0, 1]], None])
def test_a_dial_that_is_none_is_named(dial):
    with pytest.raises(InputError, match=r"is not a number in|is outside"):
        veriscale.restore(np.zeros((9, 9)), dial=[dial] if dial is None else dial)


def test_a_prior_by_its_path_is_that_prior(folder, tiny_file, tmp_path):
    done = veriscale.restore_files(folder / "album", tmp_path, tiny_file)
    assert {facts["prior"]["name"] for facts in done} == {"tiny"}
    assert sorted(Path(f).name for facts in done for f in facts["outputs"] if f.endswith(".png")) == [
        "00_x4.png",
        "01_x4.png",
    ]
    with pytest.raises(InputError, match=r"nothing.safetensors does not exist"):
        veriscale.restore_files(folder / "album", tmp_path, Path("nothing.safetensors"))


def test_of_several_files_one_that_fails_is_told(folder, tiny, tmp_path):
    said: list[str] = []
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    files = (f for f in (folder / "album" / "00.png", bad))
    done = veriscale.restore_files(files, tmp_path / "out", tiny, say=said.append)
    assert len(done) == 1
    assert any("bad.png is not an image" in line for line in said)
    with pytest.raises(InputError, match=r"bad.png is not an image"):
        veriscale.restore_files([bad], tmp_path / "out", tiny)


def test_a_run_is_repeated_where_no_input_is_named(folder, tiny_file, tmp_path):
    first = veriscale.restore_files(folder / "album" / "00.png", tmp_path / "a", tiny_file, dial=1, seed=3, steps=2)
    again = veriscale.restore_files([], tmp_path / "b", repeat=tmp_path / "a" / "00_x4.run.json")
    a, b = (Path(facts[0]["outputs"][0]).read_bytes() for facts in (first, again))
    assert a == b
    with pytest.raises(InputError, match="No input is given"):
        veriscale.restore_files([], tmp_path / "b", tiny_file)


@pytest.mark.parametrize("score", [veriscale.evaluate, lambda f, p: veriscale.evaluate_certificate(f, "x", p)])
def test_nothing_to_evaluate_is_said(score, tiny, monkeypatch, folder):
    monkeypatch.setattr("veriscale.workflows.certifying.trust_evaluation.find_certificate", veriscale.read_certificate)
    monkeypatch.chdir(folder)
    (folder / "x").write_bytes((folder / "tiny.json").read_bytes())
    with pytest.raises(InputError, match="No input is given"):
        score([], tiny)


def test_settings_alone_open_a_restorer_with_its_mask(folder, tiny):
    photo = veriscale.read_photo(folder / "album" / "00.png")
    for name, dial in (("tiny", 0), ("half", 0.5)):
        named = veriscale.open_restorer(Settings(certificate=str(folder / f"{name}.json")), prior=tiny)
        given = veriscale.open_restorer(Settings(), veriscale.read_certificate(folder / f"{name}.json"), prior=tiny)
        for restorer in (named, given):
            result = restorer.prepare(photo).restore()
            assert result.mask is not None
            assert list(result.images) == [dial]


def test_settings_alone_open_a_tool(folder):
    photo = veriscale.read_photo(folder / "album" / "00.png")
    opened = veriscale.open_restorer(Settings(command=TOOL, certificate=str(folder / "tool.json")))
    result = opened.prepare(photo).restore()
    same = veriscale.restore(photo, command=TOOL, certificate=folder / "tool.json")
    assert np.array_equal(result.image.pixels, same.image.pixels)
    assert np.array_equal(result.trusted, same.trusted)
    with pytest.raises(InputError, match="if you trust it, give it as command"):
        veriscale.open_restorer(Settings(certificate=str(folder / "tool.json")))


@pytest.mark.parametrize("alphas", [0.25, "0.25", [0.25], np.array([0.25]), ("0.25",)])
def test_a_level_is_one_however_it_is_written(folder, tiny, alphas, skimage_data, tmp_path):
    others = write_crops(tmp_path / "others", skimage_data, 1, seed=1)
    found = veriscale.evaluate_certificate(others, folder / "tiny.json", tiny, alphas=alphas)
    assert found.alphas == ("0.25",)
    assert json.dumps(found.as_dict())


def test_levels_of_an_evaluation_have_their_own_name(folder, tiny):
    with pytest.raises(InputError, match="as alphas"):
        veriscale.evaluate_certificate(folder / "truths", folder / "tiny.json", tiny, alpha=0.1)


def test_why_no_picture_could_be_scored_is_said(folder, tiny):
    said: list[str] = []
    with pytest.raises(InputError, match=r"None of the 20 pictures .* could be scored\.$"):
        veriscale.evaluate(folder / "truths", tiny, dial=0.5, sampler="heun", steps=3, tell=said.append)
    assert len(said) == 20
    assert "dial" in said[0]


def test_a_certificate_is_not_for_a_calibration(folder, tiny, tmp_path):
    with pytest.raises(InputError, match="certificate is for a restoration"):
        veriscale.calibrate(folder / "truths", tmp_path / "a.json", prior=tiny, certificate=str(folder / "tiny.json"))


def test_what_is_wrong_for_every_picture_is_said_once(folder, tiny):
    said: list[str] = []
    with pytest.raises(InputError, match=r"^Dial 'x' is not a number"):
        veriscale.evaluate(folder / "truths", tiny, dial="x", tell=said.append)
    with pytest.raises(InputError, match="does not know scale ×5; it knows ×2, ×3, ×4"):
        veriscale.evaluate(folder / "truths", tiny, scale=5, tell=said.append)
    assert said == []


@pytest.mark.parametrize("name, value", [("anchor", "fast"), ("consistent", True), ("ensemble", True)])
def test_a_tool_is_calibrated_without_what_is_a_priors(folder, tmp_path, name, value):
    with pytest.raises(InputError, match=f"^{name} is a prior's; leave it out with a command"):
        veriscale.calibrate(folder / "truths", tmp_path / "a.json", command=TOOL, scale=4, **{name: value})
