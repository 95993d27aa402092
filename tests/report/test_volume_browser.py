"""The page of volumes in a real browser: what stands where on the screen, and what a reader's hands do."""

import html
import json
import re

import numpy as np
import pytest
from tests.report.browser import acting, needs_browser
from tests.report.volumes import BALL, BODY, report_of, scan_of

from veriscale.report.volume_page import render_volume_report

pytestmark = needs_browser

AT = np.array((-15.0, 20.0, 40.0))  # left, anterior, superior of the middle (7, -11, 23)

# A browser in virtual time makes a frame or two and no more.
FRAMES = "<head><script>window.requestAnimationFrame = (draw) => setTimeout(draw, 0);</script>"

# What is read of the screen: canvases as pixels, never the script's own variables.
EYES = """
const element = (id) => document.getElementById(id);
const pause = () => new Promise((done) => setTimeout(done, 20));
const grey = (id) => {
  const canvas = element(id);
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const { width, height } = canvas;
  return { width, height, at: (x, y) => data[4 * (Math.floor(y) * width + Math.floor(x))] };
};
// The box of what is brighter than that, and its middle, in shares of the pane.
const bright = (id, least, most = 255) => {
  const { width, height, at } = grey(id);
  let [left, right, top, bottom, x, y, n] = [width, 0, height, 0, 0, 0, 0];
  for (let j = 0; j < height; j++) for (let i = 0; i < width; i++) if (at(i, j) >= least && at(i, j) <= most) {
    [left, right, top, bottom] = [Math.min(left, i), Math.max(right, i + 1), Math.min(top, j), Math.max(bottom, j + 1)];
    [x, y, n] = [x + i + 0.5, y + j + 0.5, n + 1];
  }
  return { x: x / n / width, y: y / n / height, width: right - left, height: bottom - top, left, top, count: n };
};
const pointer = (id, kind, x, y, more = {}) => {
  const box = element(id).getBoundingClientRect();
  const at = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
  element(id).dispatchEvent(new PointerEvent(kind, { ...at, ...more }));
};
const click = (id, x, y) => { pointer(id, "pointerdown", x, y); pointer(id, "pointerup", x, y); };
const press = (id, key) => element(id).dispatchEvent(new KeyboardEvent("keydown", { key }));
const set = (id, value, kind = "input") => { element(id).value = value; element(id).dispatchEvent(new Event(kind)); };
const text = (id) => element(id).textContent;
"""


@pytest.fixture
def look(browse):
    """Run a script that fills `told` once the planes are drawn; without the cross, for it covers pixels."""

    def run(page, script, fragment="", **size):
        told = f"""
          (async () => {{
            {EYES}
            const told = {{}};
            while (!element("viewer").dataset.drawn) await new Promise((done) => setTimeout(done, 10));
            element("cross").click();
            await pause();
            {script}
            document.title = JSON.stringify(told);
          }})();
        """
        seen = browse(acting(page, told).replace("<head>", FRAMES), fragment, **size)
        assert [line for line in seen.console if "getImageData" not in line] == []  # our own eyes
        return json.loads(html.unescape(re.search(r"<title>([^<]*)", seen.dom)[1]))

    return run


def place(text):
    """World millimetres of the cursor, as they are written."""
    x, y, z = re.fullmatch(
        r"([\d.]+ mm (?:left|right)), ([\d.]+ mm (?:posterior|anterior)), ([\d.]+ mm (?:inferior|superior))", text
    ).groups()
    signs = {"left": -1, "posterior": -1, "inferior": -1}
    return np.array([float(part.split()[0]) * signs.get(part.split()[2], 1) for part in (x, y, z)])


def fragment(at, rest=""):
    return f"#at={','.join(map(str, at))}{rest}"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return render_volume_report(report_of(scan_of(tmp_path_factory.mktemp("scan"), AT)))


def test_opens_on_the_most_faithful_above_the_measurement_under_its_own_policy(page, browse):
    seen = browse(page)
    assert 'data-drawn="true"' in seen.element("viewer")
    assert "hidden" not in seen.element("viewer")
    assert "hidden" in seen.element("trouble")
    assert ">Dial 0<" in seen.dom.partition('id="upper-caption"')[2][:60]
    assert ">Measurement<" in seen.dom.partition('id="lower-caption"')[2][:60]
    assert seen.console == []


@pytest.mark.parametrize("axes", ["RAS", "LPI", "SLA", "PIR"])
def test_left_is_on_the_right_anterior_and_superior_on_top(axes, tmp_path, look):
    """A ball at the patient's left, anterior, superior, however its file stores it."""
    page = render_volume_report(report_of(scan_of(tmp_path, AT, axes)))
    script = """
      for (const name of ["axial", "coronal", "sagittal"]) {
        const ball = told[name] = bright(`${name}-upper`, 230);
        const letters = [...element(`${name}-upper`).parentElement.querySelectorAll("span")];
        told[name].letters = Object.fromEntries(letters.map((span) => [span.className, span.textContent]));
        click(`${name}-upper`, ball.x, ball.y);
        await pause();
        told[name].place = text("place");
        told[name].value = text("upper-value");
      }
    """
    told = look(page, script, fragment(AT))
    assert (told["axial"]["x"] > 0.5, told["axial"]["y"] < 0.5) == (True, True)
    assert (told["coronal"]["x"] > 0.5, told["coronal"]["y"] < 0.5) == (True, True)
    assert (told["sagittal"]["x"] < 0.5, told["sagittal"]["y"] < 0.5) == (True, True)
    for name, edges in (("axial", "RLAP"), ("coronal", "RLSI"), ("sagittal", "APSI")):
        letters = told[name]["letters"]
        assert "".join(letters[side] for side in ("left", "right", "top", "bottom")) == edges
        assert letters["name"].lower() == name
        np.testing.assert_allclose(place(told[name]["place"]), AT, atol=1.1)
        assert float(told[name]["value"].removeprefix("Dial 0: ")) == pytest.approx(BALL, abs=4)


def test_proportions_are_those_of_the_body_and_of_the_bar(tmp_path, look):
    """A ball of 24 mm in voxels of 1 × 1.5 × 2 mm is round and as wide as the bar says, in every pane and zoomed."""
    page = render_volume_report(report_of(scan_of(tmp_path, AT, radius=12)))
    script = """
      const measure = () => ["axial", "coronal", "sagittal"].map((name) => {
        const { width, height } = bright(`${name}-upper`, 230);
        const bar = element(`${name}-upper`).parentElement.querySelector(".bar");
        const pixel = parseFloat(bar.textContent) / parseFloat(bar.style.width);
        return [width * pixel, height * pixel];
      });
      told.whole = measure();
      element("closer").click();
      await pause();
      told.zoomed = measure();
      told.percent = text("percent");
    """
    told = look(page, script, fragment(AT), width=1400, height=1000)
    assert told["percent"] == "150 %"
    for sizes in (told["whole"], told["zoomed"]):
        np.testing.assert_allclose(sizes, 24, atol=2.2)


def test_thick_slices_look_thick_where_they_are(page, look):
    """The measurement of 8 mm slices below the result of 2 mm: the ball lies at the same place in blocks."""
    script = """
      told.upper = bright("coronal-upper", 230);
      told.lower = bright("coronal-lower", 80);
      const bar = element("coronal-lower").parentElement.querySelector(".bar");
      told.pixel = parseFloat(bar.textContent) / parseFloat(bar.style.width);
      told.body = bright("coronal-lower", 40);
    """
    told = look(page, script, fragment(AT))
    assert told["lower"]["x"] == pytest.approx(told["upper"]["x"], abs=0.02)
    height = told["lower"]["height"] * told["pixel"]
    assert height / 8 == pytest.approx(round(height / 8), abs=0.15)
    assert abs(told["lower"]["y"] - told["upper"]["y"]) < 0.06


def test_the_slider_and_the_list_change_what_is_shown(page, look):
    script = """
      const middle = { x: 0.5, y: 0.5 };
      const seen = (id) => { const { width, height, at } = grey(id); return at(width / 2, height / 2); };
      told.before = [seen("axial-upper"), seen("axial-lower")];
      set("dial", 1);
      set("view", "dial-0", "change");
      await pause();
      told.after = [seen("axial-upper"), seen("axial-lower")];
      told.values = [text("upper-value"), text("lower-value")];
      told.hash = location.hash;
      set("view", "spread", "change");
      await pause();
      const canvas = element("axial-lower");
      told.spread = [...canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data];
      told.legend = element("legend").hidden ? "" : text("legend");
      told.spread_value = text("lower-value");
    """
    told = look(page, script)
    assert told["before"] == pytest.approx([46, 46], abs=2)  # a fifth of the range, and headroom
    assert told["after"] == pytest.approx([23, 46], abs=2)
    values = [float(re.search(r": ([\d.]+)$", value)[1]) for value in told["values"]]
    assert values == pytest.approx([BODY / 2, BODY], abs=4)
    assert re.match(r"#dial=1&view=dial-0&at=[-\d.]+,[-\d.]+,[-\d.]+$", told["hash"])
    assert len(set(told["spread"][:3])) > 1  # in colours
    assert "in the scan's own units" in told["legend"]
    assert float(told["spread_value"].removeprefix("Spread of the draws: ")) == pytest.approx(BODY / 10, abs=0.3)


def test_window_and_level_by_control_and_by_hand(page, look):
    script = """
      const seen = () => { const { width, height, at } = grey("axial-upper"); return at(width / 2, height / 2); };
      const after = async () => {
        await pause();
        return [seen(), Number(text("window-value")), Number(text("level-value"))];
      };
      told.first = await after();
      set("window", 400);
      set("level", 200);
      told.controls = await after();
      const shift = { shiftKey: true };
      pointer("coronal-upper", "pointerdown", 0.5, 0.5, shift);
      pointer("coronal-upper", "pointermove", 0.6, 0.4, shift);
      pointer("coronal-upper", "pointerup", 0.6, 0.4, shift);
      told.hand = await after();
      element("grey").click();
      told.again = await after();
    """
    told = look(page, script)
    assert told["first"] == pytest.approx([46, 1100, 550], abs=2)
    assert told["controls"] == pytest.approx([127.5, 400, 200], abs=2)
    assert told["hand"][1] > 420
    assert told["hand"][2] > 220
    low = told["hand"][2] - told["hand"][1] / 2
    assert told["hand"][0] == pytest.approx(255 * (BODY - low) / told["hand"][1], abs=4)
    assert told["again"] == told["first"]


def test_cursors_are_linked(page, look):
    """A click in one plane, a drag, the wheel and keys: one place in space, and every plane goes through it."""
    script = """
      const ball = bright("coronal-upper", 230);
      told.elsewhere = bright("axial-upper", 230).count;
      click("coronal-upper", ball.x, ball.y);
      await pause();
      told.clicked = text("place");
      const both = (name) => bright(`${name}-lower`, 80).count > 0 && bright(`${name}-upper`, 230).count > 0;
      told.seen = ["axial", "sagittal"].map(both);
      pointer("axial-upper", "pointerdown", 0.5, 0.5);
      pointer("axial-upper", "pointermove", 0.45, 0.4);
      pointer("axial-upper", "pointerup", 0.45, 0.4);
      pointer("axial-upper", "pointermove", 0.9, 0.9);
      await pause();
      told.dragged = text("place");
      element("axial-upper").dispatchEvent(new WheelEvent("wheel", { deltaY: 40, cancelable: true }));
      told.wheeled = (await pause(), text("place"));
      element("axial-lower").dispatchEvent(new WheelEvent("wheel", { deltaY: -40, cancelable: true }));
      told.wheeled_lower = (await pause(), text("place"));
      press("sagittal-upper", "ArrowLeft");
      press("sagittal-upper", "PageUp");
      told.pressed = (await pause(), text("place"));
    """
    at = (7.0, AT[1], 23.0)
    told = look(page, script, fragment(at))
    assert told["elsewhere"] == 0
    np.testing.assert_allclose(place(told["clicked"]), AT, atol=1.1)
    assert told["seen"] == [True, True]
    dragged, wheeled, lower, pressed = (place(told[k]) for k in ("dragged", "wheeled", "wheeled_lower", "pressed"))
    assert dragged[0] > 7
    assert dragged[1] > -11
    np.testing.assert_allclose(wheeled - dragged, (0, 0, -2), atol=0.11)  # a slice of the result towards the feet
    np.testing.assert_allclose(lower - wheeled, (0, 0, 8), atol=0.11)  # a thick one back
    np.testing.assert_allclose(pressed - lower, (1, 1.5, 0), atol=0.11)


def test_a_browser_that_cannot_unpack_says_so(page, browse):
    old = re.sub(r"<meta http-equiv[^>]*>", "", page).replace(
        "<body>", "<body><script>delete window.DecompressionStream;</script>"
    )
    seen = browse(old)
    assert "hidden" not in seen.element("trouble")
    assert "The volumes cannot be shown" in seen.dom
