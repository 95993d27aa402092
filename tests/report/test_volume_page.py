"""A page of volumes: each once, in the scan's own units, and nobody's name."""

import base64
import dataclasses
import hashlib
import re
import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests.report.volumes import BALL, BODY, facts_in, report_of, samples_in, scan_of

from veriscale.errors import InputError
from veriscale.imaging.geometry import finer
from veriscale.imaging.normalisation import Levels
from veriscale.report.volume_page import VolumeReport, render_volume_report

AT = (-15.0, 20.0, 40.0)


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    return scan_of(tmp_path_factory.mktemp("scan"), AT)


@pytest.fixture(scope="module")
def page(volume):
    return render_volume_report(report_of(volume))


def test_each_volume_is_there_once(page):
    assert list(samples_in(page)) == ["dial-0", "dial-1", "measurement", "spread"]
    for volume in facts_in(page)["volumes"]:
        assert page.count(f'id="samples-{volume["key"]}"') == 1
    assert len(set(re.findall(r"eJ[\w+/=]{200,}", page))) == len(re.findall(r"eJ[\w+/=]{200,}", page)) == 4


def test_values_are_those_of_the_scan(page, volume):
    facts, samples = facts_in(page), samples_in(page)
    low, high = facts["grey"]
    step = (high - low) / facts["steps"]
    values = {key: low + step * found for key, found in samples.items()}
    assert (low, facts["window"]) == (0, [volume.levels.low, volume.levels.high])
    for key, factor in (("dial-0", 1), ("dial-1", 0.5)):
        assert values[key].max() == pytest.approx(factor * BALL, abs=step)
        assert np.median(values[key]) == pytest.approx(factor * BODY, abs=step)
    assert facts["top"] * np.median(samples["spread"]) / facts["steps"] == pytest.approx(BODY / 10, abs=1)


def test_every_volume_lies_where_it_lies(page, volume):
    """The ball's centroid, from what the page holds alone."""
    facts, samples = facts_in(page), samples_in(page)
    for told in facts["volumes"][:3]:  # the ball is beyond the spread's scale
        ball = np.argwhere(samples[told["key"]] > 0.5 * samples[told["key"]].max())
        frame = told["edge"] + (ball.mean(0) + 0.5) * told["step"]
        world = np.array(facts["axes"]) @ frame + facts["origin"]
        np.testing.assert_allclose(world, AT, atol=2.1 if told["key"] == "measurement" else 0.3)


def test_it_stands_alone(page):
    assert not re.search(r'(src|href)="(?!data:)', page)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'")
    for kind, tag in (("style", "<style>"), ("script", "<script>")):
        source = page.partition(tag)[2].partition(f"</{kind}>")[0]
        assert base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() in policy


def test_nothing_tells_whose_it_is(page, tmp_path):
    for told in ("xyzzy", "1970", ".nii", str(tmp_path.parent)):
        assert told not in re.sub(r"eJ[\w+/=]{200,}|data:[^\"]*", "", page).lower()
    assert "<title>Restored scan" in page
    assert "Not for diagnosis" in page


def test_what_a_fact_says_is_text(volume):
    page = render_volume_report(report_of(volume, facts=[("prior", "</script><script>alert(1)</script>")]))
    assert page.count("<script>") == 1


def test_the_page_says_what_is_shown_and_what_is_not(page, tmp_path):
    assert "the patient's left is on the right" in page.replace("patient&#39;s", "patient's").replace("\n", " ")
    assert "differs from the background" in page  # cropped
    assert "obliquely" not in page
    turned = np.eye(4)
    turned[:3, :3] = [[1, 0, 0], [0, 0.95533649, -0.29552021], [0, 0.29552021, 0.95533649]]
    oblique = render_volume_report(report_of(scan_of(tmp_path, AT, turned=turned)))
    assert "obliquely" in oblique
    assert "up to 17° from" in oblique
    assert facts_in(oblique)["letters"] == [["L", "R"], ["PI", "AS"], ["IA", "SP"]]


def test_without_a_spread_there_is_none(volume):
    page = render_volume_report(report_of(volume, spread=None))
    assert list(samples_in(page)) == ["dial-0", "dial-1", "measurement"]
    assert "deviation" not in page


def test_dials_are_some_and_each_once(volume):
    with pytest.raises(InputError, match="one dial position at least"):
        render_volume_report(report_of(volume, dials=[]))
    with pytest.raises(InputError, match="each dial once"):
        render_volume_report(report_of(volume, dials=[(0.0, volume), (0.0, volume)]))


@pytest.fixture(scope="module")
def head(volume):
    """A head of 182×218×182 with texture."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in (182, 218, 182)], indexing="ij"))
    body = (np.linalg.norm(grid / 0.9, axis=0) < 1).astype(np.float32)
    texture = gaussian_filter(rng.random(body.shape, np.float32), 1.5) * 4
    return dataclasses.replace(volume, samples=body * (texture - 1.5).clip(0, 1), affine=np.eye(4))


def head_report(head, dials):
    measurement = head.samples[:, :, :180].reshape(182, 218, 45, 4).mean(-1)
    spread = dataclasses.replace(head, samples=head.samples[::-1] * np.float32(0.1), levels=Levels(0, 1000))
    return VolumeReport(
        measurement=dataclasses.replace(head, samples=measurement, affine=finer(head.affine, (1, 1, 0.25))),
        dials=[(f, dataclasses.replace(head, samples=head.samples[:, ::step])) for f, step in dials],
        spread=spread,
    )


def test_a_head_fits_whole(head):
    begun = time.monotonic()
    page = render_volume_report(head_report(head, [(0.0, 1)]))
    assert len(page) <= 20e6
    assert "To keep this page small" not in page
    assert facts_in(page)["steps"] == 255
    assert time.monotonic() - begun < 20


def test_what_does_not_fit_is_kept_coarser_and_the_page_says_so(head, monkeypatch):
    monkeypatch.setattr("veriscale.report.volume_page.BUDGET", 500_000)
    page = render_volume_report(head_report(head, [(0.0, 1), (1.0, -1)]))
    assert len(page) <= 0.9e6
    told = re.search(r"one voxel of (\d), (\d), (\d) of the results", page)
    assert int(told[1]) > 1
    assert facts_in(page)["volumes"][0]["step"] == [float(n) for n in told.groups()]
