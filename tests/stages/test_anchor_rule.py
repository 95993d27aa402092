"""How the anchor `fast` goes is chosen number by number, for operators that mix pixels and for masks apart."""

import torch

from veriscale.stages import anchor_rule


def test_each_number_is_the_best_of_those_tried(tiny, monkeypatch):
    wanted = {"relaxation": 0.8, "trust": 0.7, "high": 0.5, "low": 0.01}
    masks = {"mask_relaxation": 0.5, "mask_trust": 0.85, "mask_high": 0.25, "mask_low": 0.03}
    asked = []

    def score(prior, x, problems, mode):
        kinds = {type(data.operator).__name__ for data in problems}
        names = masks if "Inpaint" in kinds else wanted
        asked.append((kinds, names is masks))
        return -sum(abs(getattr(mode, name) - value) for name, value in names.items())

    monkeypatch.setattr(anchor_rule, "_score", score)
    mode = anchor_rule.measure_anchor_rule(tiny, torch.rand(1, 3, 32, 32))
    assert {name: getattr(mode, name) for name in wanted | masks} == wanted | masks
    tried = [sum(len(values) for values in numbers.values()) for _, numbers in anchor_rule.RULES]
    assert [sum(of_masks is m for _, m in asked) for of_masks in (False, True)] == tried


def test_a_relaxation_is_chosen_by_the_error_of_the_anchor(tiny, monkeypatch):
    """By anchors themselves: the one that is kept has the least error of those tried."""
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    texts = ("downsample:factor=4,kernel=box",)
    monkeypatch.setattr(anchor_rule, "RULES", ((texts, {"relaxation": (1.0, 0.5, 0.1)}),))
    problems = anchor_rule._problems(texts, x, True)
    kept = anchor_rule.measure_anchor_rule(tiny, x)
    scores = {
        value: anchor_rule._score(tiny, x, problems, type(kept)(**(fields(kept) | {"relaxation": value})))
        for value in (1.0, 0.5, 0.1)
    }
    assert kept.relaxation == max(scores, key=scores.get)
    assert len(set(scores.values())) == 3


def fields(mode):
    return {name: getattr(mode, name) for name in mode.__struct_fields__}
