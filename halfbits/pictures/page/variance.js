// Variance in three ways as the mean moves: computed in Python for every mean, drawn here.

const SHAPES = { naive: "circle", "two passes": "square", Welford: "cross" };
const EDGE = { low: 1e-3, high: 1e11 }; // zeros lie at the lower edge, ∞ and NaN at the upper

const sizeOf = (value) =>
  (typeof value === "string" ? EDGE.high : Math.min(EDGE.high, Math.max(EDGE.low, Math.abs(value))));
const writeValue = (value) => (typeof value === "string" ? value : short(value));

/** A marker around (x, y); each way has a shape, what is negative is a triangle that points down. */
function marker(shape, x, y, r, props) {
  if (shape === "circle") return s("circle", { cx: x, cy: y, r, ...props });
  if (shape === "square") return s("rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r, ...props });
  if (shape === "cross") return s("path", { d: `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`, ...props });
  return s("path", { d: `M${x - 1.3 * r} ${y - r}L${x + 1.3 * r} ${y - r}L${x} ${y + 1.4 * r}Z`, ...props });
}

function render({ model, el }) {
  const formats = model.get("formats");
  const means = model.get("means");
  const computed = model.get("computed");
  const ways = model.get("ways");
  let format = formats[0];
  let chosen = means.indexOf(1e4);

  const meanSlider = slider({
    label: "mean", min: 0, max: means.length - 1, value: chosen, say: (i) => model.get("names")[i],
    change: (i) => { chosen = i; point(); },
  });
  const formatChoice = choice({
    label: "format", value: format.name, options: formats.map(({ name }) => [name, name]),
    change: (name) => { format = formats.find((f) => f.name === name); draw(); },
  });
  const picture = chart({
    label: "Variance against mean, both logarithmic, in three ways", height: 300, margin: { left: 62, top: 20 },
    x: { min: -1.1, max: 6.1, ticks: [-1, 0, 1, 2, 3, 4, 5, 6], say: (e) => (e < 0 ? "0" : e < 2 ? String(10 ** e) : `10${superscript(e)}`), label: "mean of the numbers (standard deviation 1)" },
    y: { min: EDGE.low / 3, max: EDGE.high * 3, log: 10, ticks: [-3, -1, 1, 3, 5, 7, 9, 11].map((e) => 10 ** e), say: (y) => (y === EDGE.low ? "0" : y === EDGE.high ? "∞" : y === 10 ? "10" : tickLabel(y, 10)), label: "variance, magnitude" },
  });
  const { tiles, fill } = legend(ways);
  const note = h("p", { class: "hb-note" }, s("svg", { viewBox: "0 0 24 14", class: "hb-sample", "aria-hidden": "true" },
    marker("triangle", 12, 7, 5, { class: "hb-below" })), " negative: a variance cannot be; it is drawn at its magnitude.");
  const status = statusLine();
  const cursor = s("g");
  const widget = root(el, "Variance in three ways",
    h("div", { class: "hb-controls" }, meanSlider.node, formatChoice.node), picture.svg, tiles, note, status);
  widget.classList.add("hb-variance");
  const place = (i) => picture.x(means[i] ? Math.log10(means[i]) : -1);

  function draw() {
    widget.style.setProperty("--own", format.color);
    const rows = computed[format.name];
    const points = (key) => rows.map((row, i) => [place(i), picture.y(sizeOf(row[key]))]);
    const marks = Object.keys(SHAPES).flatMap((way) => points(way).map(([x, y], i) => (
      rows[i][way] < 0
        ? marker("triangle", x, y, 5, { class: "hb-negative" })
        : marker(SHAPES[way], x, y, 4, { class: `hb-mark hb-${SHAPES[way]}` }))));
    picture.plot.replaceChildren(cursor, path(points("exact"), { class: "hb-exact-line" }),
      path(points("naive"), { class: "hb-naive-line" }), ...marks);
    point();
  }

  function point() {
    const x = place(chosen);
    cursor.replaceChildren(s("line", { x1: x, x2: x, y1: picture.top, y2: picture.bottom, class: "hb-cursor" }));
    const row = computed[format.name][chosen];
    fill(row);
    status.replaceChildren(h("strong", {}, `${format.name}. `), row.said);
  }

  choosePlace(picture, means.length, place, (i) => { meanSlider.value = i; chosen = i; point(); });
  draw();
  keepSize(picture, draw);
}

/** Tiles with the four variances at the chosen mean: the key to the shapes as well. */
function legend(ways) {
  const keys = ["exact", ...Object.keys(ways)];
  const values = Object.fromEntries(keys.map((key) => [key, h("span", { class: "hb-share", "data-way": key })]));
  const sample = (key) => s("svg", { viewBox: "0 0 24 14", class: "hb-sample", "aria-hidden": "true" },
    ...(key === "exact" ? [s("line", { x1: 1, x2: 23, y1: 7, y2: 7, class: "hb-exact-line" })] : [
      ...(key === "naive" ? [s("line", { x1: 1, x2: 23, y1: 7, y2: 7, class: "hb-naive-line" })] : []),
      marker(SHAPES[key], 12, 7, 4, { class: `hb-mark hb-${SHAPES[key]}` })]));
  const tiles = h("div", { class: "hb-tiles" }, ...keys.map((key) =>
    h("div", { class: "hb-tile" }, h("span", {}, sample(key), ` ${key}`), values[key], h("span", { class: "hb-formula" }, ways[key] ?? "of the data as stored"))));
  const fill = (row) => {
    for (const key of keys) {
      const bad = key !== "exact" && (typeof row[key] === "string" || row[key] < 0);
      values[key].textContent = writeValue(row[key]);
      values[key].classList.toggle("hb-bad", bad);
    }
  };
  return { tiles, fill };
}

/** Press or drag on the picture: the nearest of its places is chosen. */
function choosePlace({ svg }, count, place, choose) {
  let down = false;
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    let best = 0;
    for (let i = 1; i < count; i += 1) if (Math.abs(place(i) - at) < Math.abs(place(best) - at)) best = i;
    choose(best);
  };
  svg.classList.add("hb-press");
  svg.addEventListener("pointerdown", (event) => { down = true; svg.setPointerCapture(event.pointerId); nearest(event); });
  svg.addEventListener("pointermove", (event) => { if (down) nearest(event); });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { down = false; });
}

export default { render };
