"""The page in a real browser: what a reader sees after choosing a dial position, zooming, or without scripts."""

import dataclasses
import re

import numpy as np
import pytest
from tests.report.browser import acting, needs_browser

from veriscale.report.page import TrustView, render_report

pytestmark = needs_browser


@pytest.fixture(scope="module")
def page(report):
    return render_report(report)


def test_opens_on_the_most_faithful_beside_the_measurement(page, browse):
    seen = browse(page)
    assert seen.shown("left") == ["Dial 0"]
    assert seen.shown("right") == ["Measurement"]
    assert "hidden" not in seen.element("viewer")
    assert "hidden" in seen.element("gallery")
    assert seen.console == []


@pytest.mark.parametrize(
    "fragment, dial, beside",
    [
        ("#dial=1", "Dial 1", "Measurement"),
        ("#dial=0.4&view=spread", "Dial 0.5", "Spread of the draws"),
        ("#dial=0&view=dial-1", "Dial 0", "Dial 1"),
        ("#dial=nonsense&view=nothing", "Dial 0", "Measurement"),
    ],
)
def test_the_address_chooses_position_and_view(page, browse, fragment, dial, beside):
    seen = browse(page, fragment)
    assert (seen.shown("left"), seen.shown("right")) == ([dial], [beside])
    assert f'aria-valuetext="{dial.lower()}"' in seen.element("dial")
    assert seen.console == []


def test_slider_and_list_change_what_is_shown(page, browse):
    move = """
      const change = (id, value, kind) => {
        document.getElementById(id).value = value;
        document.getElementById(id).dispatchEvent(new Event(kind));
        console.log("now at " + location.hash);
      };
      change("dial", 2, "input");
      change("view", "residual", "change");
    """
    seen = browse(acting(page, move))
    assert (seen.shown("left"), seen.shown("right")) == (["Dial 1"], ["Residual |Ax̂ − y|"])
    assert (
        "noise and rounding alone would leave" in seen.dom.partition('id="right-caption"')[2].partition("</section>")[0]
    )
    assert ["#dial=1&view=measurement" in seen.console[0], "#dial=1&view=residual" in seen.console[1]] == [True, True]


def test_both_sides_zoom_and_move_together(page, browse):
    zoom = """
      const pane = document.getElementById("right"), box = pane.getBoundingClientRect();
      const at = { clientX: box.left + box.width / 4, clientY: box.top + box.height / 2 };
      pane.dispatchEvent(new WheelEvent("wheel", { deltaY: -500 * Math.log(2), ...at }));
    """
    left, right = browse(acting(page, zoom)).transforms()
    assert left == right
    x, y, scale = map(float, re.fullmatch(r"translate\((\S+)%, (\S+)%\) scale\((\S+)\)", left).groups())
    assert (x, y, scale) == pytest.approx((-25, -50, 2), abs=0.5)  # what is under the pointer stays there
    back = zoom + 'document.getElementById("whole").click();'
    assert browse(acting(page, back)).transforms() == ["translate(0%, 0%) scale(1)"] * 2


def test_keys_zoom_and_move(page, browse):
    press = """
      for (const key of ["+", "ArrowLeft", "ArrowRight", "ArrowRight"])
        document.getElementById("left").dispatchEvent(new KeyboardEvent("keydown", { key }));
    """
    left, right = browse(acting(page, press)).transforms()
    assert left == right == "translate(-35%, -25%) scale(1.5)"


def test_pixels_are_seen_as_such_when_enlarged(page, browse):
    seen = browse(acting(page, 'for (let i = 0; i < 9; i++) document.getElementById("closer").click();'))
    assert seen.dom.count('class="pixels"') == 11
    assert 'alt="Measurement" draggable="false" class="pixels"' in browse(page).dom


def test_another_script_is_not_run(page, browse):
    seen = browse(page.replace("</body>", "<script>document.title = 'mine'</script></body>"))
    assert "<title>mine" not in seen.dom
    assert any("Content Security Policy" in line for line in seen.console)  # and errors would be seen


def test_without_scripts_every_picture_is_there(page, browse):
    seen = browse(re.sub(r"script-src [^;]*", "script-src 'none'", page))
    assert "hidden" in seen.element("viewer")
    assert "hidden" not in seen.element("gallery")
    assert seen.dom.count("<figure") == 8


@pytest.fixture(scope="module")
def trusting(report):
    picture = dict(report.dials)[0.0]
    trusted = np.zeros(picture.shape[:2], bool)
    trusted[:, 64:] = True
    promise, facts = ["On average over such pictures."], [("alpha", "0.05")]
    trust = TrustView(picture, 0.0, trusted, promise, facts, warning="This is unlike what was certified.")
    return render_report(dataclasses.replace(report, trust=trust))


def test_the_trust_overlay_is_chosen_and_zoomed_like_the_others(trusting, browse):
    zoom = 'document.getElementById("closer").click();'
    seen = browse(acting(trusting, zoom), "#dial=0&view=trust")
    assert (seen.shown("left"), seen.shown("right")) == (["Dial 0"], ["Trust overlay"])
    left, right = seen.transforms()
    assert left == right != "translate(0%, 0%) scale(1)"
    assert "Hatched: not trusted" in seen.dom.partition('id="right-caption"')[2].partition("</section>")[0]
    assert seen.console == []


def test_the_warning_is_styled_by_the_pages_own_policy(trusting, browse):
    look = """
      const style = getComputedStyle(document.querySelector("[role=alert]"));
      document.title = `${style.backgroundColor} ${style.borderLeftWidth}`;
    """
    light, dark = "rgb(251, 240, 217) 4px", "rgb(46, 37, 19) 4px"  # as the machine prefers
    assert re.search(r"<title>([^<]*)", browse(acting(trusting, look)).dom)[1] in (light, dark)
    assert browse(trusting).console == []  # the policy holds the hash of the longer style
