"""The page stands alone, keeps what it was given, and lets nobody's file name become code."""

import base64
import dataclasses
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from veriscale.errors import InputError
from veriscale.report.page import render_report


class Elements(HTMLParser):
    """Every element with its attributes, and the text of the page."""

    def __init__(self, page):
        super().__init__()
        self.found, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def decode(uri):
    assert uri.startswith("data:image/")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


@pytest.fixture(scope="module")
def page(report):
    return render_report(report)


@pytest.fixture(scope="module")
def elements(page):
    return Elements(page)


def images_by_key(elements):
    keys = [attributes.get("data-key") for attributes in elements.all("figure")]
    uris = [image["src"] for image in elements.all("img") if image["alt"]]
    return dict(zip(keys, uris, strict=True))


def test_nothing_is_loaded_from_anywhere(page, elements):
    for _, attributes in elements.found:
        for name in ("src", "href", "srcset", "action", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert not re.search(r"https?:|@import|url\(|src=[\"']?//", page)


def test_policy_allows_images_and_the_pages_own_script_and_style_alone(page, elements):
    policy = next(meta["content"] for meta in elements.all("meta") if meta.get("http-equiv"))
    rules = dict(rule.split(None, 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("script", "style"):
        (source,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"


def test_small_pictures_are_kept_to_the_bit(report, elements):
    shown = images_by_key(elements)
    for dial, image in report.dials:
        assert np.array_equal(decode(shown[f"dial-{dial:g}"]), np.rint(np.clip(image, 0, 1) * 255))
    assert decode(shown["measurement"]).shape == report.measurement.shape
    assert set(shown) == {"dial-0", "dial-0.5", "dial-1", "measurement", "spread", "residual", "draw-1", "draw-2"}


def test_positions_rise_from_faithful_to_vivid(elements):
    assert [float(figure["data-dial"]) for figure in elements.all("figure")[:3]] == [0, 0.5, 1]
    (slider,) = (control for control in elements.all("input") if control["type"] == "range")
    assert (slider["min"], slider["max"]) == ("0", "2")


def test_residual_is_told_with_its_expected_size(report, elements):
    told = re.search(
        r"root mean square is ([\d.]+) % of the full range; noise and rounding alone would leave 2 %", elements.text
    )
    assert float(told[1]) == pytest.approx(100 * np.sqrt(np.mean(report.residual**2)), rel=0.01)


def test_facts_and_notes_are_there(elements):
    for text in ("Prior photo", "Seed 0", "The noise was estimated from the picture.", "It is not an error bound"):
        assert text in elements.text


def test_strings_of_the_user_stay_text(report):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    page = render_report(dataclasses.replace(report, title=evil, facts=[(evil, evil)], notes=[evil]))
    elements = Elements(page)
    assert len(elements.all("script")) == 1
    assert all("onerror" not in attributes for _, attributes in elements.found)
    assert elements.text.count("<script>alert(1)</script>") == 5


def test_only_what_was_given_is_shown(report):
    bare = dataclasses.replace(report, dials=report.dials[:1], spread=None, residual=None, draws=(), facts=(), notes=())
    elements = Elements(render_report(bare))
    assert set(images_by_key(elements)) == {"dial-1", "measurement"}
    assert "Spread of the draws" not in elements.text
    assert "The run" not in elements.text
    assert not elements.all("table")


def test_grey_pictures_and_flat_maps(report):
    grey = dataclasses.replace(
        report,
        measurement=report.measurement[..., :1],
        dials=[(0, report.dials[0][1][..., :1])],
        spread=np.zeros((96, 128)),
        draws=(),
    )
    shown = images_by_key(Elements(render_report(grey)))
    assert not np.ptp(decode(shown["spread"]), axis=(0, 1)).any()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"dials": []}, "at one dial position at least"),
        ({"dials": [(0, np.zeros((4, 4, 3))), (0.0, np.ones((4, 4, 3)))]}, "each dial once"),
        ({"measurement": np.zeros((4, 4, 4))}, r"got \(4, 4, 4\): give grey or RGB"),
    ],
)
def test_reports_that_cannot_be_shown_are_refused(report, change, message):
    with pytest.raises(InputError, match=message):
        render_report(dataclasses.replace(report, **change))
