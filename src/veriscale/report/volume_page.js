(() => {
  const byId = (id) => document.getElementById(id);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const slider = byId("dial");
  const chooser = byId("view");
  const positions = scan.volumes.filter(({ dial }) => dial !== null);
  const below = [...scan.volumes.filter(({ dial }) => dial === null), ...positions];

  // Horizontal, vertical and through axis; both run towards the left and the top of the screen.
  const PLANES = [["Axial", [0, 1, 2]], ["Coronal", [0, 2, 1]], ["Sagittal", [1, 2, 0]]];
  const extent = [0, 1].map((side) => Math.max(...PLANES.map(([, axes]) => scan.size[axes[side]])));
  const middle = scan.size.map((size) => size / 2);
  const look = { place: [...middle], centre: [...middle], zoom: 1, low: scan.window[0], high: scan.window[1] };
  let grey = scan.greyColours(look.low, look.high);

  const upper = () => positions[Number(slider.value)];
  const lower = () => below[Math.max(chooser.selectedIndex, 0)];

  const makePane = (name, axes, row) => {
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    canvas.id = `${name.toLowerCase()}-${row}`;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    const add = (kind, text) => {
      const label = document.createElement("span");
      label.className = kind;
      label.textContent = text;
      figure.append(label);
      return label;
    };
    figure.append(canvas);
    if (row === "upper") add("name", name);
    add("left", scan.letters[axes[0]][1]);
    add("right", scan.letters[axes[0]][0]);
    add("top", scan.letters[axes[1]][1]);
    add("bottom", scan.letters[axes[1]][0]);
    byId("planes").append(figure);
    return { name, axes, canvas, volume: row === "upper" ? upper : lower, bar: add("bar", ""), voxels: document.createElement("canvas"), turned: 0 };
  };
  const panes = PLANES.flatMap(([name, axes]) => ["upper", "lower"].map((row) => makePane(name, axes, row)));

  // Device pixels for a millimetre, the same in every pane, and the ways between both.
  const viewOf = ({ canvas, axes: [h, v] }) => {
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
    const scale = Math.min(width / extent[0], height / extent[1]) * look.zoom;
    return {
      ratio, width, height, scale,
      x: (millimetres) => width / 2 + (look.centre[h] - millimetres) * scale,
      y: (millimetres) => height / 2 + (look.centre[v] - millimetres) * scale,
      place: (x, y) => [look.centre[h] - (x - width / 2) / scale, look.centre[v] - (y - height / 2) / scale],
    };
  };

  function paint(pane) {
    const { canvas, axes: [h, v, n], voxels } = pane;
    const view = viewOf(pane);
    const volume = pane.volume();
    canvas.width = Math.max(1, Math.round(view.width));
    canvas.height = Math.max(1, Math.round(view.height));
    const context = canvas.getContext("2d");
    context.fillRect(0, 0, canvas.width, canvas.height);
    const k = scan.voxelAt(volume, n, look.place[n]);
    if (volume.samples && k !== undefined) {
      scan.drawPlane(volume, pane.axes, k, volume.spread ? scan.spreadColours : grey, voxels);
      const far = [h, v].map((axis) => volume.edge[axis] + volume.shape[axis] * volume.step[axis]);
      const [width, height] = [h, v].map((axis) => volume.shape[axis] * volume.step[axis] * view.scale);
      context.imageSmoothingEnabled = false;
      context.drawImage(voxels, view.x(far[0]), view.y(far[1]), width, height);
    }
    if (byId("cross").checked) drawCross(context, view, view.x(look.place[h]), view.y(look.place[v]));
    drawBar(pane.bar, view);
    canvas.setAttribute("aria-label", `${pane.name}, ${volume.label}. ${placeText()}`);
  }

  function drawCross(context, { ratio, width, height }, x, y) {
    const [gap, edge] = [8 * ratio, 26 * ratio]; // what is at the cursor stays visible, and so do the letters
    const lines = [
      [[edge, y], [x - gap, y]], [[x + gap, y], [width - edge, y]],
      [[x, edge], [x, y - gap]], [[x, y + gap], [x, height - edge]],
    ].filter(([from, to]) => from[0] <= to[0] && from[1] <= to[1]);
    context.strokeStyle = "#6fc3bb";
    context.lineWidth = ratio;
    context.beginPath();
    for (const [from, to] of lines) {
      context.moveTo(...from);
      context.lineTo(...to);
    }
    context.stroke();
  }

  function drawBar(bar, { ratio, scale, width }) {
    const most = (0.3 * width) / scale;
    const power = 10 ** Math.floor(Math.log10(most));
    const millimetres = [5, 2, 1].find((step) => step * power <= most) * power;
    bar.style.width = `${(millimetres * scale) / ratio}px`;
    bar.textContent = `${Number(millimetres.toPrecision(1))} mm`;
  }

  const placeText = () => scan.worldOf(look.place).map((value, axis) => {
    const shown = Math.abs(value).toFixed(1);
    return `${shown} mm ${[["left", "right"], ["posterior", "anterior"], ["inferior", "superior"]][axis][value < 0 ? 0 : 1]}`;
  }).join(", ");

  const step = (scan.grey[1] - scan.grey[0]) / scan.steps;
  const written = (value, precision = step) =>
    value.toFixed(clamp(Math.ceil(-Math.log10(precision)), 0, 8));
  const valueText = (volume) => {
    const value = scan.valueAt(volume, look.place);
    const precision = volume.spread ? scan.top / scan.steps : step;
    return `${volume.label}: ${value === undefined ? "—" : written(value, precision)}`;
  };

  function draw() {
    panes.forEach(paint);
    byId("place").textContent = placeText();
    byId("upper-value").textContent = valueText(upper());
    byId("lower-value").textContent = valueText(lower());
    byId("window").value = look.high - look.low;
    byId("level").value = (look.low + look.high) / 2;
    byId("window-value").textContent = written(look.high - look.low);
    byId("level-value").textContent = written((look.low + look.high) / 2);
    byId("percent").textContent = `${Math.round(100 * look.zoom)} %`;
  }
  let waiting = false;
  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }

  function setWindow(width, level) {
    const whole = scan.grey[1] - scan.grey[0];
    const wide = clamp(width, step, whole);
    const middle = clamp(level, scan.grey[0], scan.grey[1]);
    [look.low, look.high] = [middle - wide / 2, middle + wide / 2];
    grey = scan.greyColours(look.low, look.high);
    redraw();
  }

  // Whether the cursor moved.
  function moveTo(place) {
    const before = look.place;
    look.place = place.map((value, axis) => clamp(value, 0, scan.size[axis] * (1 - 1e-9)));
    redraw();
    return look.place.some((value, axis) => value !== before[axis]);
  }
  const moveBy = (axis, millimetres) => moveTo(look.place.map((value, i) => (i === axis ? value + millimetres : value)));

  function zoomBy(factor) {
    look.zoom = clamp(look.zoom * factor, 1, 16);
    look.centre = look.zoom === 1 ? [...middle] : [...look.place];
    redraw();
  }

  async function update() {
    const [first, second] = [upper(), lower()];
    for (const [id, volume] of [["upper-caption", first], ["lower-caption", second]]) {
      const label = document.createElement("strong");
      label.textContent = volume.label;
      byId(id).replaceChildren(label, ` ${volume.caption}`);
    }
    byId("legend").hidden = !second.spread;
    slider.setAttribute("aria-valuetext", `dial ${first.dial}`);
    document.querySelectorAll(".ticks li").forEach((tick, i) => tick.classList.toggle("here", i === Number(slider.value)));
    await Promise.all([scan.ready(first), scan.ready(second)]);
    redraw();
  }

  function readAddress() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const dial = parseFloat(wanted.get("dial"));
    if (Number.isFinite(dial)) {
      const distances = positions.map((volume) => Math.abs(volume.dial - dial));
      slider.value = distances.indexOf(Math.min(...distances));
    }
    const index = below.findIndex(({ key }) => key === wanted.get("view"));
    if (index >= 0) chooser.selectedIndex = index;
    const at = (wanted.get("at") || "").split(",").map(parseFloat);
    if (at.length === 3 && at.every(Number.isFinite)) moveTo(scan.placeOf(at));
    return update();
  }

  function writeAddress() {
    const at = scan.worldOf(look.place).map((value) => value.toFixed(1)).join(",");
    // A page shown inside another one may not be allowed to change its address; it works without.
    try { history.replaceState(null, "", `#dial=${upper().dial}&view=${chooser.value}&at=${at}`); } catch { /* shown inside another page */ }
  }
  const choose = () => { writeAddress(); return update(); };

  function listen(pane) {
    const { canvas, axes: [h, v, n] } = pane;
    const pixel = (event) => {
      const box = canvas.getBoundingClientRect();
      const ratio = devicePixelRatio || 1;
      return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
    };
    const pointAt = (event) => {
      const [x, y] = viewOf(pane).place(...pixel(event));
      const place = [...look.place];
      [place[h], place[v]] = [x, y];
      moveTo(place);
    };
    let drag = null;
    let last = [0, 0];
    canvas.addEventListener("pointerdown", (event) => {
      drag = event.button === 2 || event.shiftKey ? "window" : "cursor";
      last = [event.clientX, event.clientY];
      try { canvas.setPointerCapture(event.pointerId); } catch { /* a pointer that is gone */ }
      if (drag === "cursor") pointAt(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = [event.clientX, event.clientY];
      const [right, down] = [now[0] - last[0], now[1] - last[1]];
      last = now;
      if (drag === "cursor") pointAt(event);
      if (drag !== "window") return;
      const range = (scan.grey[1] - scan.grey[0]) / 300; // for a pixel
      setWindow(look.high - look.low + right * range, (look.low + look.high) / 2 - down * range);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => { if (drag === "cursor") writeAddress(); drag = null; });
    }
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
      if (event.ctrlKey) {
        event.preventDefault();
        zoomBy(Math.exp(-0.002 * pixels));
        return;
      }
      pane.turned += pixels / 40;
      const slices = Math.trunc(pane.turned);
      pane.turned -= slices;
      // At the last slice the wheel scrolls the page.
      if (slices === 0 || moveBy(n, -Math.sign(slices) * Math.min(Math.abs(slices), 3) * pane.volume().step[n])) event.preventDefault();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const to = (axis, sign) => () => moveBy(axis, sign * pane.volume().step[axis]);
      const actions = {
        ArrowLeft: to(h, 1), ArrowRight: to(h, -1), ArrowUp: to(v, 1), ArrowDown: to(v, -1),
        PageUp: to(n, 1), PageDown: to(n, -1),
        "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), "0": () => zoomBy(0),
      };
      if (event.ctrlKey || event.metaKey || !actions[event.key]) return;
      event.preventDefault();
      actions[event.key]();
      writeAddress();
    });
  }

  function setRanges() {
    const [low, high] = scan.grey;
    Object.assign(byId("window"), { min: step, max: high - low });
    Object.assign(byId("level"), { min: low, max: high });
  }

  async function open() {
    for (const volume of below) chooser.add(new Option(volume.label, volume.key));
    byId("planes").style.setProperty("--aspect", extent[0] / extent[1]);
    setRanges();
    byId("viewer").hidden = false;
    panes.forEach(listen);
    const byHand = () => setWindow(Number(byId("window").value), Number(byId("level").value));
    byId("window").addEventListener("input", byHand);
    byId("level").addEventListener("input", byHand);
    byId("grey").addEventListener("click", () => setWindow(scan.window[1] - scan.window[0], (scan.window[0] + scan.window[1]) / 2));
    byId("cross").addEventListener("change", redraw);
    slider.addEventListener("input", choose);
    chooser.addEventListener("change", choose);
    byId("closer").addEventListener("click", () => zoomBy(1.5));
    byId("farther").addEventListener("click", () => zoomBy(1 / 1.5));
    byId("whole").addEventListener("click", () => zoomBy(0));
    addEventListener("hashchange", readAddress);
    addEventListener("resize", redraw);
    await readAddress();
    draw();
    byId("viewer").dataset.drawn = "true";
    for (const volume of scan.volumes) await scan.ready(volume); // so that the slider does not wait
  }

  open().catch((error) => {
    byId("trouble").textContent = `The volumes cannot be shown: ${error.message}. A browser of 2023 or later can unpack them.`;
    byId("trouble").hidden = false;
  });
})();
