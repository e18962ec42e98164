// The histogram of recorded gradients over fp16's window: slide the loss scale or drag the bars.

const WINDOW = { min: -42, max: 22 }; // exponents on the axis
const ZERO_BAR = { left: 42, right: 62 }; // exact zeros stand apart, left of the axis, on a scale of their own: 0 to 100%
const TICKS = [-40, -35, -30, -25, -20, -14, -10, -5, 0, 5, 10, 16, 20];
const FEW = [-25, -14, 0, 16];
const ZONES = [
  { key: "flushed", name: "flushed to 0", brief: "to 0", from: -42, to: -25 },
  { key: "subnormal", name: "subnormal", brief: "subn.", from: -25, to: -14 },
  { key: "normal", name: "normal", brief: "normal", from: -14, to: 16 },
  { key: "overflow", name: "overflow", brief: "∞", from: 16, to: 22 },
];
const NAMES = { zero: "exactly 0", flushed: "flushed to 0", subnormal: "subnormal", normal: "normal", overflow: "overflow" };

const zoneOf = (e) => (e < -25 ? "flushed" : e < -14 ? "subnormal" : e < 16 ? "normal" : "overflow");

/** A fraction in percent: 52.1%, 0.17%, 0.0036%; what is not nothing is never written 0%. */
function percent(x) {
  const size = 100 * x;
  if (size === 0 || size === 100) return `${size}%`;
  return size >= 10 ? `${size.toFixed(1)}%` : `${Number(size.toPrecision(2))}%`;
}

/**
 * What a cast to fp16 makes of magnitudes times 2^power, exactly. `rows` are [e, count, equal to
 * 2^e, at least (2 − 2⁻¹⁰)·2^e, at least (2 − 2⁻¹¹)·2^e], as halfbits.gradients.Histogram has them.
 */
function reportOf({ total, zeros, rows }, power) {
  const count = { zero: zeros, flushed: 0, subnormal: 0, normal: 0, overflow: 0 };
  for (const [exponent, all, ties, roundsToNormal, roundsToInfinity] of rows) {
    const e = exponent + power;
    const zone = zoneOf(e);
    count[zone] += all;
    const move = (n, to) => { count[zone] -= n; count[to] += n; };
    if (e === -25) move(ties, "flushed");
    if (e === -15) move(roundsToNormal, "normal");
    if (e === 15) move(roundsToInfinity, "overflow");
  }
  return Object.fromEntries(Object.entries(count).map(([key, n]) => [key, n / total]));
}

function render({ model, el }) {
  const recorded = model.get("recorded");
  let kind = model.get("kind");
  let power = model.get("power");
  const status = statusLine();
  const scaleSlider = slider({
    label: "loss scale", min: 0, max: 32, value: power,
    say: (p) => `2${superscript(p)} = ${short(2 ** p)}`,
    change: (p) => { power = p; draw(); },
  });
  const kinds = choice({
    label: "gradients of", value: kind, options: Object.keys(recorded).map((key) => [key, key]),
    change: (key) => { kind = key; setAxes(); draw(); },
  });
  const picture = chart({
    label: "Histogram of gradient magnitudes after scaling, over the zones of fp16", height: 300,
    margin: { left: 132, top: 34 }, x: WINDOW, y: { min: 0, max: 1 },
  });
  const hatch = `hb-hatch-${Math.random().toString(36).slice(2, 9)}`;
  const { tiles, fill } = readout();
  const widget = root(el, "Gradients under a loss scale",
    h("div", { class: "hb-controls" }, scaleSlider.node, kinds.node), picture.svg, tiles, status);
  widget.classList.add("hb-gradients");
  picture.svg.prepend(s("defs", {}, s("pattern", { id: hatch, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    s("rect", { width: 2.2, height: 5, class: "hb-hatch" }))));
  picture.svg.style.setProperty("--hatch", `url(#${hatch})`);
  widget.style.setProperty("--fp16", model.get("color"));

  function setAxes() {
    const { total, rows } = recorded[kind];
    const tallest = (100 * Math.max(...rows.map((row) => row[1]))) / total;
    picture.axes(
      { ...WINDOW, ticks: picture.width < 560 ? FEW : TICKS, say: (e) => (e ? `2${superscript(e)}` : "1"), label: picture.width < 560 ? "gradient × loss scale, magnitude" : "magnitude of gradient × loss scale, by power of two" },
      { min: 0, max: tallest * 1.08, say: (y) => `${short(y)}%` });
    drawZones();
  }

  let bars;
  function drawZones() {
    const { x, top, bottom } = picture;
    const zones = ZONES.flatMap(({ key, name, brief, from, to }) => [
      s("rect", { x: x(from), width: x(to) - x(from), y: top - 24, height: bottom - top + 24, class: `hb-zone hb-${key}` }),
      s("text", { x: key === "overflow" ? x(to) - 2 : (x(from) + x(to)) / 2, y: top - 9, "text-anchor": key === "overflow" ? "end" : "middle", class: "hb-zone-name" }, picture.width < 560 ? brief : name),
    ]);
    const zero = recorded[kind].zeros / recorded[kind].total;
    const { left, right } = ZERO_BAR;
    const height = (share) => bottom - share * (bottom - top);
    bars = s("g");
    picture.plot.replaceChildren(...zones,
      s("rect", { x: left, width: right - left, y: height(zero), height: bottom - height(zero), class: "hb-bar hb-flushed" }),
      s("rect", { x: left, width: right - left, y: top, height: bottom - top, class: "hb-zero" }),
      ...[0, 0.5, 1].map((share) => s("text", { x: left - 5, y: height(share) + 4, "text-anchor": "end" }, `${100 * share}%`)),
      s("text", { x: (left + right) / 2, y: bottom + 16, "text-anchor": "middle" }, "0"),
      s("text", { transform: `translate(${left + 36} ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, "share of all gradients"),
      s("text", { x: (left + right) / 2, y: top - 9, "text-anchor": "middle", class: "hb-zone-name" }, percent(zero)), bars);
  }

  function draw() {
    const { x, y, bottom } = picture;
    const { total, rows } = recorded[kind];
    const width = x(1) - x(0) - 1.2;
    bars.replaceChildren(...rows.flatMap(([exponent, count]) => {
      const e = exponent + power;
      if (!count || e < -42 || e >= 22) return [];
      const at = y((100 * count) / total);
      return [s("rect", { x: x(e) + 0.6, width, y: at, height: bottom - at, class: `hb-bar hb-${zoneOf(e)}` })];
    }));
    const report = reportOf(recorded[kind], power);
    fill(report);
    status.replaceChildren(...sentence(report));
  }

  function sentence(report) {
    const lost = report.flushed > 0 ? `${percent(report.flushed)} of the gradients are flushed to 0` : "no gradient is flushed to 0";
    const over = report.overflow > 0 ? `${percent(report.overflow)} overflow to ∞, so this step would be skipped` : "none overflows";
    return [h("strong", {}, `Loss scale 2${superscript(power)}: `), `${lost} and ${over}. `,
      `The ${percent(report.zero)} that are exactly 0 stay 0: no scale can bring them back.`];
  }

  dragBars(picture, () => power, (p) => { scaleSlider.value = p; power = p; draw(); });
  setAxes();
  draw();
  keepSize(picture, () => { setAxes(); draw(); });
}

/** Five tiles with the fractions: a key to the colours and what screen readers read. */
function readout() {
  const cells = Object.fromEntries(Object.keys(NAMES).map((key) => [key, h("span", { class: "hb-share", "data-part": key })]));
  const tiles = h("div", { class: "hb-tiles" }, ...Object.entries(NAMES).map(([key, name]) =>
    h("div", { class: `hb-tile hb-${key}` }, h("span", {}, name), " ", cells[key])));
  const fill = (report) => { for (const key of Object.keys(NAMES)) cells[key].textContent = percent(report[key]); };
  return { tiles, fill };
}

/** Drag the picture sideways: each step on its axis is one power of two. */
function dragBars(picture, get, set) {
  const { svg } = picture;
  let start = null;
  svg.classList.add("hb-drag");
  svg.addEventListener("pointerdown", (event) => {
    start = { at: event.clientX, power: get() };
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!start) return;
    const step = ((picture.x(1) - picture.x(0)) * svg.getBoundingClientRect().width) / picture.width;
    const to = Math.min(32, Math.max(0, start.power + Math.round((event.clientX - start.at) / step)));
    if (to !== get()) set(to);
  });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { start = null; });
}

export default { render };
