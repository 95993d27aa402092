"""A run.json that is none, or was edited."""

import json

import pytest

from veriscale.errors import InputError
from veriscale.workflows.journal import read_run


@pytest.mark.parametrize(
    "document",
    [
        3,
        [],
        {},
        *({"arguments": a, "input": {"name": "a.png", "sha256": ""}} for a in (3, [[1]], "abc", {"unheard": 1})),
        {"arguments": {"scale": "4"}, "input": {"name": "a.png", "sha256": ""}},
        {"arguments": {"seed": 1.9}, "input": {"name": "a.png", "sha256": ""}},
        {"arguments": {"seed": None}, "input": {"name": "a.png", "sha256": ""}},
    ],
    ids=json.dumps,
)
def test_it_is_refused_by_its_name(document, tmp_path):
    path = tmp_path / "a.run.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"a\.run\.json is not a run\.json of veriscale restore"):
        read_run(path)
