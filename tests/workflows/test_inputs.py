import json

import pytest

from veriscale.errors import InputError
from veriscale.workflows.batch import collect


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
