"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const viewer = byId("viewer");
  const slider = byId("dial");
  const chooser = byId("view");
  const width = Number(viewer.dataset.width);
  const aspect = width / Number(viewer.dataset.height);

  const figures = [...byId("gallery").querySelectorAll("figure")].map((figure) => ({
    key: figure.dataset.key,
    label: figure.dataset.label,
    dial: figure.dataset.dial,
    image: figure.querySelector("img"),
    caption: figure.querySelector("figcaption"),
  }));
  const positions = figures.filter((view) => view.dial !== undefined);
  // A picture can stand on one side only, so the right side has its own copies of the slider's.
  const beside = [
    ...figures.filter((view) => view.dial === undefined),
    ...positions.map((view) => ({ ...view, image: view.image.cloneNode() })),
  ];

  const makePane = (id, views) => {
    const element = byId(id);
    const plane = document.createElement("div");
    plane.className = "plane";
    for (const view of views) {
      view.image.draggable = false;
      view.image.hidden = true;
      view.image.addEventListener("load", draw);
      plane.append(view.image);
    }
    element.append(plane);
    return { element, plane, views, caption: byId(`${id}-caption`) };
  };
  const panes = [makePane("left", positions), makePane("right", beside)];

  const look = { zoom: 1, x: 0, y: 0 }; // x, y: where the plane's corner is, in pane widths and heights
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const paneWidth = () => panes[0].element.clientWidth || 1;

  function draw() {
    viewer.classList.toggle("zoomed", look.zoom > 1);
    for (const { plane, views } of panes) {
      plane.style.transform = `translate(${100 * look.x}%, ${100 * look.y}%) scale(${look.zoom})`;
      for (const { image } of views) {
        const size = (paneWidth() * look.zoom * devicePixelRatio) / image.naturalWidth;
        image.classList.toggle("pixels", size >= 2);
      }
    }
    byId("percent").textContent = `${Math.round((100 * paneWidth() * look.zoom) / width)} %`;
  }

  function moveTo(zoom, x, y) {
    look.zoom = clamp(zoom, 1, Math.max(8, (16 * width) / paneWidth()));
    look.x = clamp(x, 1 - look.zoom, 0);
    look.y = clamp(y, 1 - look.zoom, 0);
    draw();
  }

  // The point (u, v) of the pane, each in [0, 1], keeps what is under it.
  function zoomAt(factor, u = 0.5, v = 0.5) {
    const before = look.zoom;
    const zoom = clamp(before * factor, 1, Math.max(8, (16 * width) / paneWidth()));
    moveTo(zoom, u - ((u - look.x) * zoom) / before, v - ((v - look.y) * zoom) / before);
    return look.zoom !== before;
  }

  function show(pane, index) {
    pane.views.forEach((view, i) => { view.image.hidden = i !== index; });
    pane.caption.replaceChildren(...pane.views[index].caption.cloneNode(true).childNodes);
  }

  function update() {
    const position = Number(slider.value);
    show(panes[0], position);
    show(panes[1], chooser.selectedIndex);
    slider.setAttribute("aria-valuetext", `dial ${Number(positions[position].dial)}`);
    document.querySelectorAll(".ticks li").forEach((tick, i) => tick.classList.toggle("here", i === position));
    draw();
  }

  function readAddress() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const dial = parseFloat(wanted.get("dial"));
    if (Number.isFinite(dial)) {
      const distances = positions.map((view) => Math.abs(view.dial - dial));
      slider.value = distances.indexOf(Math.min(...distances));
    }
    const view = beside.findIndex(({ key }) => key === wanted.get("view"));
    if (view >= 0) chooser.selectedIndex = view;
    update();
  }

  function choose() {
    update();
    const address = `#dial=${Number(positions[slider.value].dial)}&view=${chooser.value}`;
    // A page shown inside another one may not be allowed to change its address; it works without.
    try { history.replaceState(null, "", address); } catch { /* shown inside another page */ }
  }

  function listen({ element }) {
    const touches = new Map();
    const at = (event) => {
      const box = element.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    const middle = () => {
      const points = [...touches.values()];
      return [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
    };
    const reach = () => {
      const [a, b] = [...touches.values()];
      return b ? Math.hypot((a[0] - b[0]) * aspect, a[1] - b[1]) : 0;
    };
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      touches.set(event.pointerId, at(event));
    });
    element.addEventListener("pointermove", (event) => {
      if (!touches.has(event.pointerId)) return;
      const [oldMiddle, oldReach] = [middle(), reach()];
      touches.set(event.pointerId, at(event));
      const [u, v] = middle();
      moveTo(look.zoom, look.x + u - oldMiddle[0], look.y + v - oldMiddle[1]);
      if (oldReach > 0 && reach() > 0) zoomAt(reach() / oldReach, u, v);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, (event) => touches.delete(event.pointerId));
    }
    element.addEventListener("wheel", (event) => {
      const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
      // Where there is nothing left to zoom, the wheel scrolls the page.
      if (zoomAt(Math.exp(-0.002 * pixels), ...at(event))) event.preventDefault();
    }, { passive: false });
    element.addEventListener("keydown", (event) => {
      const step = 0.1;
      const actions = {
        "+": () => zoomAt(1.5),
        "=": () => zoomAt(1.5),
        "-": () => zoomAt(1 / 1.5),
        "0": () => moveTo(1, 0, 0),
        ArrowLeft: () => moveTo(look.zoom, look.x + step, look.y),
        ArrowRight: () => moveTo(look.zoom, look.x - step, look.y),
        ArrowUp: () => moveTo(look.zoom, look.x, look.y + step),
        ArrowDown: () => moveTo(look.zoom, look.x, look.y - step),
      };
      const isArrow = event.key.startsWith("Arrow");
      if (event.ctrlKey || event.metaKey || !actions[event.key] || (isArrow && look.zoom === 1)) return;
      event.preventDefault();
      actions[event.key]();
    });
  }

  for (const view of beside) chooser.add(new Option(view.label, view.key));
  viewer.style.setProperty("--aspect", aspect);
  byId("gallery").hidden = true;
  viewer.hidden = false;
  panes.forEach(listen);
  slider.addEventListener("input", choose);
  chooser.addEventListener("change", choose);
  byId("closer").addEventListener("click", () => zoomAt(1.5));
  byId("farther").addEventListener("click", () => zoomAt(1 / 1.5));
  byId("whole").addEventListener("click", () => moveTo(1, 0, 0));
  addEventListener("hashchange", readAddress);
  addEventListener("resize", draw);
  readAddress();
})();
