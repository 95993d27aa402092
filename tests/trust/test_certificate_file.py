"""A certificate's file that was edited, damaged, cut off or never was one is refused in a sentence that names it."""

import base64
import json
import os
import pickle
import zlib

import numpy as np
import pytest
from tests.trust.example_certificate import example_certificate, example_maps

from veriscale.errors import InputError
from veriscale.trust.certificate_file import digest, packed, read_certificate, write_certificate


@pytest.fixture
def path(tmp_path):
    return tmp_path / "certificate.json"


def resealed(document):
    """As an edit would be that also mends the hash."""
    return {**document, "sha256": digest(document)}


def sentence(path):
    with pytest.raises(InputError) as refusal:
        read_certificate(path)
    assert str(path) in str(refusal.value)
    return str(refusal.value)


def leaves(document, place=()):
    """The place of every value in a JSON document."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in pairs:
        if isinstance(value, dict | list) and value:
            yield from leaves(value, (*place, key))
        else:
            yield (*place, key)


def other(value):
    if isinstance(value, bool | None):
        return 1
    if isinstance(value, float):
        return float(np.nextafter(value, np.inf))
    return value + 1 if isinstance(value, int) else value + "x" if isinstance(value, str) else ["x"]


def test_an_edit_of_any_value_is_seen(path):
    write_certificate(example_certificate(maps=example_maps(2)), path)
    text = path.read_text()
    places = list(leaves(json.loads(text)))
    assert {p[0] for p in places} == set(json.loads(text))
    for place in places:
        document = json.loads(text)
        inside = document
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = other(inside[place[-1]])
        path.write_text(json.dumps(document))
        expected = {("format",): "is no certificate", ("version",): "is of version 2"}
        assert expected.get(place, "was edited or damaged after it was written") in sentence(path), place
    path.write_text(text)
    read_certificate(path)


def test_what_is_taken_away_or_added_is_seen(path):
    write_certificate(example_certificate(maps=example_maps(2)), path)
    document = json.loads(path.read_text())
    for key in document.keys() - {"format", "version"}:
        path.write_text(json.dumps({k: v for k, v in document.items() if k != key}))
        assert "edited" in sentence(path)
    path.write_text(json.dumps({**document, "signature": "trust me"}))
    assert "edited" in sentence(path)


def restored(**facts):
    return lambda d: d | {"binding": d["binding"] | {"restoration": d["binding"]["restoration"] | facts}}


def older(document):
    """As it was before the card was bound."""
    facts = {k: v for k, v in document["binding"]["restoration"].items() if k != "card"}
    return document | {"binding": document["binding"] | {"restoration": facts}}


def packed_steps(scores, rises):
    return packed(np.float32(scores), np.uint32(rises))


@pytest.mark.parametrize(
    "edit, words",
    [
        (lambda d: d | {"signature": "x"}, "not valid"),
        (lambda d: d | {"binding": d["binding"] | {"alpha": 0.1}}, "not valid"),
        (lambda d: d | {"binding": {k: v for k, v in d["binding"].items() if k != "bound"}}, "not valid"),
        (lambda d: d | {"binding": d["binding"] | {"n": 2}}, "speaks of 2 units and holds 3"),
        (lambda d: d | {"binding": d["binding"] | {"loss": "sup"}}, "has no tau"),
        (lambda d: d | {"statistics": d["statistics"][:2]}, "speaks of 3 units"),
        (lambda d: d | {"statistics": d["statistics"] * 2}, "speaks of 3 units and holds 6 rows of drift statistics"),
        (lambda d: d | {"statistics": [[1e7] * 7] * 3}, "statistics are none of pictures"),
        (older, "not valid: Object missing required field `card`; calibrate again"),
        (lambda d: d | {"quantiles": packed(np.linspace(3, 0, 303, dtype=np.float32))}, "quantiles are not in order"),
        (lambda d: d | {"quantiles": packed(np.full(303, np.nan, np.float32))}, "quantiles are not in order"),
        (lambda d: d | {"quantiles": d["quantiles"][:-10]}, "not valid"),
        (lambda d: d | {"sizes": [2000, 0, 0]}, "more than 1024 steps"),
        (lambda d: d | {"binding": d["binding"] | {"bound": 0.5}}, "B is 0.5 where 1 belongs"),
        (lambda d: d | {"binding": d["binding"] | {"leaked": 4}}, "4 leaked units among 3"),
        (lambda d: d | {"binding": d["binding"] | {"score": "trust"}}, "Unknown score 'trust'"),
        (lambda d: d | {"binding": d["binding"] | {"mode": "pac"}}, "needs a delta"),
        (lambda d: d | {"binding": d["binding"] | {"restoration": {}}}, "not valid"),
        (lambda d: d | {"binding": d["binding"] | {"restoration": 3}}, "not valid"),
        (lambda d: d | {"binding": d["binding"] | {"restoration": {"command": "x"}}}, "not valid"),
        (restored(guides=["t1"], moon=1), "not valid: Object contains unknown field `moon`"),
        (restored(dtype="complex64"), "not valid: Invalid enum value 'complex64'"),
        (restored(dial="0"), "not valid: Expected `float`, got `str`"),
        (lambda d: d | {"information": {"files": 3}}, "not valid"),
        (lambda d: d | {"information": {"failed": ["a"]}}, "not valid"),
        (lambda d: d | {"sizes": [-1, 1, 0], "events": packed()}, "more than 1024 steps"),
        (lambda d: d | {"sizes": [2, 0, 0], "events": packed_steps([2, 1], [1, 1])}, "no staircase"),
        (lambda d: d | {"sizes": [2, 0, 0], "events": packed_steps([1, np.inf], [1, 1])}, "no staircase"),
        (lambda d: d | {"sizes": [2, 0, 0], "events": packed_steps([1, 2], [1, 0])}, "no staircase"),
        (lambda d: d | {"sizes": [2, 0, 0], "events": packed_steps([1, 2], [1 << 30, 1])}, "no staircase"),
        (lambda d: d | {"events": packed(np.zeros(10_000_000, np.float32))}, "does not hold the"),
        (lambda d: d | {"sizes": d["sizes"][:2]}, "not valid"),
        (lambda d: d | {"events": d["events"][:-10]}, "not valid"),
        (lambda d: d | {"events": ""}, "not valid"),
        (lambda d: d | {"events": "\x00"}, "not valid"),
    ],
)
def test_a_mended_hash_does_not_make_sense_of_nonsense(path, edit, words):
    write_certificate(example_certificate(maps=example_maps(3)), path)
    path.write_text(json.dumps(resealed(edit(json.loads(path.read_text())))))
    with pytest.raises(InputError, match=words):
        read_certificate(path)


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.999])
def test_a_truncated_file(path, share):
    write_certificate(example_certificate(maps=example_maps(2)), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "is truncated or is no JSON" in sentence(path)


@pytest.mark.parametrize(
    "content, words",
    [
        (pickle.dumps({"format": "veriscale certificate"}), "is no JSON"),
        (b"\xff\xfe\x00", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[1, 2]", "is no certificate of veriscale calibrate"),
        (b"null", "is no certificate of veriscale calibrate"),
        (b'{"version": 1}', "is no certificate of veriscale calibrate"),
        (b'{"format": "veriscale certificate", "version": 2}', "is of version 2; this library reads version 1"),
        (b'{"format": "veriscale certificate"}', "is of version None"),
        (b'{"format": "veriscale certificate", "version": 1}', "edited or damaged"),
    ],
)
def test_something_else(path, content, words):
    path.write_bytes(content)
    assert words in sentence(path)


def test_what_cannot_be_read(path, tmp_path):
    assert "No such file" in sentence(path)
    assert "cannot be read" in sentence(tmp_path)


def test_a_certificate_is_not_overwritten(path):
    first = write_certificate(example_certificate(), path)
    with pytest.raises(InputError, match="add force"):
        write_certificate(example_certificate(leaked=1), path)
    assert read_certificate(path).sha256 == first.sha256
    write_certificate(example_certificate(leaked=1), path, force=True)
    assert read_certificate(path).binding.leaked == 1


def test_a_bomb_among_the_events_is_not_unpacked(path):
    write_certificate(example_certificate(), path)
    document = json.loads(path.read_text())
    document["events"] = base64.b85encode(zlib.compress(bytes(1 << 26), 9)).decode()
    path.write_text(json.dumps({**document, "sha256": digest(document)}))
    with pytest.raises(InputError, match="does not hold the"):
        read_certificate(path)


def test_a_pipe_is_no_certificate(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_certificate(tmp_path / "pipe.json")
