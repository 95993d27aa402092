"""The operator that CONTRIBUTING.md shows is one."""

import re
from pathlib import Path

import pytest
import torch

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


def test_the_worked_example_is_an_operator(monkeypatch):
    from veriscale.errors import InputError
    from veriscale.physics import registry

    code = re.search(r"```python\n(.*?)```", CONTRIBUTING.read_text(encoding="utf-8"), re.DOTALL)[1]
    names: dict[str, object] = {"__name__": "exposure"}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    monkeypatch.setitem(registry.OPERATORS, "exposure", names["Exposure"])
    a = registry.parse_operator("exposure:gain=0.5")
    assert registry.parse_operator(str(a)) == a
    x, y = torch.rand(2, 1, 3, 5, 7, dtype=torch.float64)
    assert float((a.forward(x) * y).sum()) == pytest.approx(float((x * a.adjoint(y)).sum()))
    solved = a.prox(x, y, 0.3)
    gradient = a.adjoint(a.forward(solved) - y) + 0.3 * (solved - x)
    assert float(gradient.abs().max()) < 1e-5
    assert float((a.pinv(a.forward(x)) - x).abs().max()) < 1e-3
    with pytest.raises(InputError, match="out of range"):
        registry.parse_operator("exposure:gain=2")
