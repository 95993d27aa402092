"""The search of settings: to the top from the better start, along no plateau, past no limit, each setting once."""

import math

import pytest


@pytest.fixture
def climb(benchmark):
    return benchmark("climb")


def test_the_top_is_reached_from_the_better_start_and_nothing_is_scored_twice(climb):
    asked = []

    def score(s):
        asked.append(tuple(s.values()))
        return {"near": -(math.log2(s["a"] / 8) ** 2) - math.log2(s["b"]) ** 2, "far": math.log2(s["a"])}

    search = climb.Climb(score, {"a": 2, "b": 2}, {"a": (0.1, 64)})
    found, _, inside = search.best("near", [{"a": 1.0, "b": 4.0}, {"a": 4.0, "b": 1.0}])
    assert (found, inside) == ({"a": 8.0, "b": 1.0}, True)
    far, _, inside = search.best("far", [])
    assert (far["a"], inside) == (64.0, False)
    assert len(asked) == len(set(asked))


def test_a_plateau_is_not_walked_along(climb):
    search = climb.Climb(lambda s: {"only": min(1e-3 * math.log2(s["a"]), 1.0)}, {"a": 2})
    assert search.best("only", [{"a": 1.0}]) == ({"a": 1.0}, 0.0, True)
