"""One sentence for two readers: Python's arguments, and a command's flags."""

import pickle
from contextlib import contextmanager
from pathlib import Path

import pytest

from veriscale.cli.main import run
from veriscale.errors import FLAGS, InputError, about, nameless, spoken, untold

SENTENCE = "Two inputs have one name, so that `--score-files` cannot tell them apart; leave out `--crop`."


@contextmanager
def speaking_of_flags():
    token = FLAGS.set(True)
    yield
    FLAGS.reset(token)


def test_python_reads_of_arguments_and_a_command_of_flags():
    error = InputError(SENTENCE)
    assert str(error) == "Two inputs have one name, so that score_files cannot tell them apart; leave out crop."
    with speaking_of_flags():
        assert str(error) == "Two inputs have one name, so that --score-files cannot tell them apart; leave out --crop."
    assert str(error).count("score_files") == 1


@pytest.mark.parametrize("arguments, code", [(["restore", "none.png", "--alpha", "0.1"], 2), (["priors"], 0)])
def test_flags_end_with_the_command_however_it_ends(capsys, arguments, code):
    assert run(arguments) == code
    assert capsys.readouterr().err.count("--certificate") == (1 if code else 0)
    assert str(InputError("say `--scale`")) == "say scale"


@pytest.mark.parametrize(
    "text",
    [
        "tool --scale 4 {in}",
        "--operator",
        "a--b",
        "folder/--crop/x.png",
        "'--score-files'",
        "`ls -l`",
        "`--Upper`",
        "`-o`",
        "--x `y` --z",
    ],
)
def test_a_users_own_text_is_not_changed(text):
    error = InputError(f"{text} lacks {{out}}; say `--command`.")
    assert str(error) == f"{text} lacks {{out}}; say command."
    with speaking_of_flags():
        assert str(error) == f"{text} lacks {{out}}; say --command."


def test_a_name_is_put_before_a_sentence_once(tmp_path):
    path = tmp_path / "a.png"
    error = InputError("it holds NaN; say `--noise`")
    assert about(error, path) == f"{path}: it holds NaN; say noise"
    with speaking_of_flags():
        assert about(error, path) == f"{path}: it holds NaN; say --noise"
    assert about(InputError(f"{path} is empty"), path) == f"{path} is empty"


def test_it_survives_being_sent_to_another_process():
    sent = pickle.loads(pickle.dumps(InputError(SENTENCE)))
    assert isinstance(sent, InputError)
    with speaking_of_flags():
        assert "--score-files" in str(sent)
    assert "--" not in str(sent)


def test_where_python_has_another_name_it_is_said():
    assert str(InputError("`--set` x has no '='")) == "overrides x has no '='"
    with speaking_of_flags():
        assert spoken("go on with `--resume`") == "go on with --resume"
    assert spoken("go on with `--resume`") == "go on with resume"


def test_names_of_scans_are_told_nowhere():
    scan, result = Path("/a b/Jane Doe/Jane Doe.nii.gz"), Path("out/Jane Doe_restored.nii.gz")
    said = f"{scan} and {scan.name}, {result}, {result.name}."
    told = untold(said, {scan: "the scan", result: "the result"})
    assert told == "the scan and the scan, the result, the result."
    assert nameless(f"{scan} is empty", scan, "the scan") == "the scan is empty"
    assert nameless("it is empty", scan, "the scan") == "the scan: it is empty"


@pytest.mark.parametrize("name", ["2", "series", "folder", ".", "a"])
def test_a_folders_name_that_is_a_word_of_the_sentence_is_none_there(name):
    sentence = "the folder holds 2 series, and a slice is missing."
    assert untold(sentence, {Path(name): "the scan"}) == sentence
    if name != ".":
        assert untold(f"cannot read {name}/1.dcm", {Path(name): "the scan"}) == "cannot read the scan/1.dcm"
