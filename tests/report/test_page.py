"""The page stands alone, keeps what it was given, and lets nobody's file name become code."""

import base64
import dataclasses
import difflib
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from veriscale.errors import InputError
from veriscale.report.overlay import overlay
from veriscale.report.page import TrustView, render_report


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


@pytest.fixture(scope="module")
def trusting(report):
    """The same report with a mask over the right half of the most faithful picture."""
    picture = dict(report.dials)[0.0]
    trusted = np.zeros(picture.shape[:2], bool)
    trusted[:, 64:] = True
    promise = ["On average over such pictures the loss is at most 0.05.", "It says nothing about this one picture."]
    trust = TrustView(picture, 0.0, trusted, promise, [("alpha", "0.05"), ("certificate", "3f2a9c")])
    return dataclasses.replace(report, trust=trust)


def with_mask(report, trusted, **changes):
    return dataclasses.replace(report, trust=dataclasses.replace(report.trust, trusted=trusted, **changes))


def images_by_key(elements):
    keys = [attributes.get("data-key") for attributes in elements.all("figure")]
    uris = [image["src"] for image in elements.all("img") if image["alt"]]
    return dict(zip(keys, uris, strict=True))


def test_nothing_is_loaded_from_anywhere(page, elements):
    for _, attributes in elements.found:
        for name in ("src", "href", "srcset", "action", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert not re.search(r"https?:|@import|url\(|src=[\"']?//", page)


@pytest.mark.parametrize("which", ["report", "trusting"])
def test_policy_allows_images_and_the_pages_own_script_and_style_alone(which, request):
    page = render_report(request.getfixturevalue(which))
    elements = Elements(page)
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


def test_strings_of_the_user_stay_text(trusting):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    trust = dataclasses.replace(trusting.trust, promise=[evil], facts=[(evil, evil)], warning=evil)
    page = render_report(dataclasses.replace(trusting, title=evil, facts=[(evil, evil)], notes=[evil], trust=trust))
    elements = Elements(page)
    assert len(elements.all("script")) == 1
    assert all("onerror" not in attributes for _, attributes in elements.found)
    assert elements.text.count("<script>alert(1)</script>") == 9


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


def test_a_mask_only_adds_to_the_page_and_leaves_no_trace_without(page, trusting):
    bare, full = page.splitlines(), render_report(trusting).splitlines()
    matcher = difflib.SequenceMatcher(None, bare, full, autojunk=False)
    changes = [(kind, bare[start:stop]) for kind, start, stop, _, _ in matcher.get_opcodes() if kind != "equal"]
    changed = [lines for kind, lines in changes if kind != "insert"]
    assert [len(lines) for lines in changed] == [1]
    assert "Content-Security-Policy" in changed[0][0]  # the hash of the style
    assert len(changes) > 3
    text = re.sub(r"data:image/[^\"]*|sha256-[^']*", "", page)
    assert not re.search("trust|mask|hatch|promise|warn|alert", text, re.IGNORECASE)


def test_the_mask_is_shown_with_its_share_and_its_promise(trusting):
    elements = Elements(render_report(trusting))
    shown = decode(images_by_key(elements)["trust"])
    assert np.array_equal(shown, np.rint(overlay(trusting.trust.picture, trusting.trust.trusted) * 255))
    assert "The rest, 50 % of the pixels, is trusted and shown as it is." in elements.text
    assert "The mask belongs to the picture at dial 0 and to no other." in elements.text
    told = elements.text.partition("What the mask promises")[2].partition("What this shows, and what it does not")[0]
    assert told.split() == [*" ".join(trusting.trust.promise).split(), "alpha", "0.05", "certificate", "3f2a9c"]


def test_a_mask_may_belong_to_no_dial_and_have_no_facts(trusting):
    bare = with_mask(trusting, trusting.trust.trusted, dial=None, facts=())
    elements = Elements(render_report(bare))
    assert "The mask belongs" not in elements.text
    assert len(elements.all("table")) == 1


@pytest.mark.parametrize(
    "trusted_pixels, words",
    [
        (0, "No pixel is trusted: everything is hatched, which does not mean that it is wrong."),
        (1, "The rest, 0.00814 % of the pixels, is trusted"),
        (96 * 128 - 1, "The rest, 99.9 % of the pixels, is trusted"),  # 99.992 % is not 100 %
        (96 * 128, "Every pixel is trusted: nothing is hatched."),
    ],
)
def test_the_trusted_share_is_never_rounded_to_all_or_none(trusting, trusted_pixels, words):
    trusted = (np.arange(96 * 128) < trusted_pixels).reshape(96, 128)
    assert words in Elements(render_report(with_mask(trusting, trusted))).text


def test_a_warning_is_an_alert_and_there_is_none_without(trusting):
    def alerts(elements):
        return [attributes for _, attributes in elements.found if attributes.get("role") == "alert"]

    unlike = with_mask(trusting, trusting.trust.trusted, warning="This is unlike what was certified.")
    page = Elements(render_report(unlike))
    assert len(alerts(page)) == 1
    assert "Warning This is unlike what was certified." in page.text
    assert alerts(Elements(render_report(trusting))) == []


def test_a_mask_of_another_size_is_refused(trusting):
    with pytest.raises(InputError, match="give one truth value per pixel"):
        render_report(with_mask(trusting, trusting.trust.trusted[:-1]))


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
