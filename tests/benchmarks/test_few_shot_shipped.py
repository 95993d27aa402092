"""Stages against direct fine-tuning by networks of the shipped size: rows of known patients."""

import pytest


def test_rows_are_of_patients_and_on_the_page(benchmark):
    module = benchmark("few_shot_shipped")
    by_stages = [{"psnr": 30.0 + k, "crps": 0.02, "spread": 0.1, "coverage": 0.03} for k in range(3)]
    directly = [each | {"psnr": 29.5, "crps": 0.021 + 0.001 * k} for k, each in enumerate(by_stages)]
    rows = [row for on in ("acdc", "sunnybrook") for row in module.rows_of(on, by_stages, directly)]
    wanted = [key for key in benchmark("table").ROWS if ".shipped_k10." in key]
    assert [row.id for row in rows] == wanted
    psnr, crps, spread, _ = rows[:4]
    assert psnr.value == pytest.approx(1.5)
    assert psnr.interval[0] < 1.5 < psnr.interval[1]
    assert psnr.against["wins"] == 1
    assert crps.value == pytest.approx(-0.002)
    assert spread.value == 0
    assert not any("claim" in row.against for row in rows)  # one draw of patients


def test_the_direct_prior_wants_its_parent(benchmark, tmp_path, monkeypatch):
    module = benchmark("few_shot_shipped")
    monkeypatch.setattr(module, "PARENT", module.ROOT / "build" / "none.safetensors")
    with pytest.raises(SystemExit, match=r"none\.safetensors is not there; make it with `make build/none"):
        module.direct(tmp_path)
