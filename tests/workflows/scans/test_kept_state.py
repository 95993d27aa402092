"""A run that was cut off goes on; one of other facts begins anew."""

import numpy as np
import pytest
import torch

from veriscale.workflows.scans.kept_state import KeptState


def test_parts_that_are_done_are_not_done_again(tmp_path):
    state = KeptState(tmp_path / ".kept", {"input": "a"})
    values = state.arrays({"x": (3, 2)})["x"]
    for part in state.parts(3):
        if part == 2:
            break
        values[part] = part + 1
    again = KeptState(tmp_path / ".kept", {"input": "a"})
    taken = again.arrays({"x": (3, 2)})["x"]
    assert list(again.parts(3)) == [2]
    np.testing.assert_array_equal(taken, [[1, 1], [2, 2], [0, 0]])


def test_other_facts_begin_anew(tmp_path):
    state = KeptState(tmp_path / ".kept", {"input": "a"})
    state.arrays({"x": (3,)})["x"][:] = 7
    list(state.parts(3))
    state.put("anchor", {"done": torch.tensor(4)})
    other = KeptState(tmp_path / ".kept", {"input": "b"})
    np.testing.assert_array_equal(other.arrays({"x": (3,)})["x"], 0)
    assert list(other.parts(3)) == [0, 1, 2]
    assert other.taken("anchor") is None


def test_the_state_of_a_stage_is_the_last_one(tmp_path):
    state = KeptState(tmp_path / ".kept", {})
    state.arrays({})
    assert state.taken("anchor") is None
    for done in (1, 2):
        state.put("anchor", {"x": torch.full((2, 3), float(done)).T, "fell_back": torch.tensor([True])})
    taken = KeptState(tmp_path / ".kept", {}).taken("anchor")
    assert torch.equal(taken["x"], torch.full((3, 2), 2.0))
    assert taken["fell_back"].dtype == torch.bool


def test_nothing_is_left_of_it(tmp_path):
    state = KeptState(tmp_path / ".kept", {})
    state.arrays({"x": (2,)})
    state.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("broken", ["facts.json", "done.txt"])
def test_a_half_written_state_is_none(tmp_path, broken):
    state = KeptState(tmp_path / ".kept", {"input": "a"})
    state.arrays({"x": (2,)})
    list(state.parts(1))
    (tmp_path / ".kept" / broken).write_text("")
    again = KeptState(tmp_path / ".kept", {"input": "a"})
    again.arrays({"x": (2,)})
    assert list(again.parts(2)) == [0, 1]
