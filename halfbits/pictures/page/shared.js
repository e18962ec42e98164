// What the course's interactive pictures share: rounding, elements, sliders, axes. Each widget's
// module is this file followed by its own, which exports `render({ model, el })`.

// ------------------------------------------------------------------ Rounding
// A format is {name, exp_bits, man_bits, infinities, color}, as page.py describes it.

const VIEW = new DataView(new ArrayBuffer(8));

/** Floor of log2 |x| for a finite x other than 0, exactly: doubles tell it in their exponent. */
function exponentOf(x) {
  VIEW.setFloat64(0, x);
  const field = (VIEW.getUint32(0) >> 20) & 0x7ff;
  if (field > 0) return field - 1023;
  return exponentOf(x * 2 ** 60) - 60;
}

const biasOf = (f) => 2 ** (f.exp_bits - 1) - 1;
const minExponent = (f) => 1 - biasOf(f);
const largestOf = (f) =>
  f.infinities ? (2 - 2 ** -f.man_bits) * 2 ** biasOf(f) : (2 - 2 ** (1 - f.man_bits)) * 2 ** (biasOf(f) + 1);

/** The gap from |x| to the next number away from zero. */
function ulpOf(x, f) {
  const exponent = x === 0 ? minExponent(f) : Math.max(exponentOf(x), minExponent(f));
  return 2 ** (exponent - f.man_bits);
}

/** A double rounded to a format of at most 24 significant bits: nearest, ties to even. */
function roundTo(x, f) {
  if (!Number.isFinite(x) || x === 0) return !f.infinities && Math.abs(x) === Infinity ? NaN : x;
  const ulp = ulpOf(x, f);
  const steps = Math.abs(x) / ulp; // a power of two: exact
  const floor = Math.floor(steps);
  const rest = steps - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
  const size = (floor + (up ? 1 : 0)) * ulp;
  const beyond = f.infinities ? Infinity : NaN;
  return Math.sign(x) * (size > largestOf(f) ? beyond : size);
}

// ------------------------------------------------------------------- Numbers

const superscript = (n) => String(n).replace("-", "⁻").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);
const minus = (text) => text.replace(/-/g, "−");

/** A number in a few digits, as halfbits.text.short writes it: 65504, 0.125, 3.39×10³⁸. */
function short(x, digits = 3) {
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x < 0 ? "−∞" : "∞";
  const size = Math.abs(x);
  if (size < 1e6 && Number.isInteger(x)) return minus(String(x));
  if (size >= 0.001 && size < 1 && Number(x.toFixed(5)) === x) return minus(String(Number(x.toFixed(5))));
  if (size >= 0.01 && size < 1e4) return minus(String(Number(x.toPrecision(digits))));
  const [mantissa, exponent] = x.toExponential(digits - 1).split("e");
  return `${minus(mantissa)}×10${superscript(Number(exponent))}`;
}

// ------------------------------------------------------------------ Elements

function make(node, props, children) {
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

const h = (tag, props = {}, ...children) => make(document.createElement(tag), props, children);
const s = (tag, props = {}, ...children) =>
  make(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);

/** Widgets live inside a notebook whose single-key shortcuts would delete cells. */
function keepKeys(event) {
  const free = event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab" || event.key === "Escape";
  if (!free) event.stopPropagation();
}

/** The root of a widget. Its name, for screen readers, says what can be played with here. */
function root(el, name, ...children) {
  const node = h("section", { class: "halfbits-play", role: "group", "aria-label": name, onkeydown: keepKeys }, ...children);
  el.append(node);
  return node;
}

/** Tells the notebook what was chosen, so that it is kept with it. */
function keep(model, values) {
  for (const [key, value] of Object.entries(values)) model.set(key, value);
  model.save_changes();
}

/** Words that change with the picture and are read out. */
const statusLine = () => h("p", { class: "hb-status", role: "status" });

let ids = 0;

/**
 * A slider with its label and its value: `say(value)` writes the value, `change(value)` acts. The
 * value is read out as the slider's own, so the element that shows it is not.
 */
function slider({ label, min, max, step = 1, value, say = short, change }) {
  const id = `hb-slider-${(ids += 1)}-${Math.random().toString(36).slice(2, 7)}`;
  const shown = h("output", { class: "hb-value", for: id, "aria-hidden": "true" });
  const input = h("input", { type: "range", id, min, max, step, value });
  const show = () => {
    const text = say(Number(input.value));
    shown.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  input.addEventListener("input", () => { show(); change(Number(input.value)); });
  show();
  const node = h("div", { class: "hb-slider" }, h("label", { for: id }, label), input, shown);
  return { node, input, get value() { return Number(input.value); }, set value(x) { input.value = x; show(); } };
}

/** Buttons of which one is pressed: `options` are [key, text] pairs. */
function choice({ label, options, value, change }) {
  const buttons = options.map(([key, text]) =>
    h("button", { type: "button", "aria-pressed": String(key === value), "data-choice": key, onclick: () => choose(key) }, text));
  const node = h("div", { class: "hb-choice", role: "group", "aria-label": label }, h("span", { class: "hb-label", "aria-hidden": "true" }, label), ...buttons);
  const control = { node, value };
  function choose(key) {
    control.value = key;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.choice === String(key)));
    change(key);
  }
  return control;
}

/** Buttons of which any number is pressed: `options` are [key, text, color] triples. */
function toggles({ label, options, values, change }) {
  const on = new Set(values);
  const buttons = options.map(([key, text, color]) => {
    const node = h("button", { type: "button", "aria-pressed": String(on.has(key)), "data-choice": key, style: color && `--own: ${color}` }, text);
    node.addEventListener("click", () => {
      if (!on.delete(key)) on.add(key);
      node.setAttribute("aria-pressed", String(on.has(key)));
      change(on);
    });
    return node;
  });
  return { node: h("div", { class: "hb-choice hb-toggles", role: "group", "aria-label": label }, h("span", { class: "hb-label", "aria-hidden": "true" }, label), ...buttons), values: on };
}

const button = (text, onclick) => h("button", { type: "button", class: "hb-button", onclick }, text);

// ---------------------------------------------------------------------- Axes

/** Maps [min, max] to [from, to], linearly or, with log: 2 or log: 10, by the logarithm. */
function scale({ min, max, log = 0 }, from, to) {
  const position = log ? (x) => Math.log2(x) : (x) => x;
  const [low, high] = [position(min), position(max)];
  const map = (x) => from + ((position(x) - low) / (high - low)) * (to - from);
  map.invert = (pixel) => {
    const place = low + ((pixel - from) / (to - from)) * (high - low);
    return log ? 2 ** place : place;
  };
  return Object.assign(map, { min, max, log });
}

/** About `count` round places for ticks between the ends of a scale. */
function tickPlaces({ min, max, log }, count = 6) {
  if (log) {
    const base = log === 10 ? Math.log2(10) : 1;
    const [low, high] = [Math.ceil(Math.log2(min) / base - 1e-9), Math.floor(Math.log2(max) / base + 1e-9)];
    const every = Math.max(1, Math.ceil((high - low + 1) / count));
    const first = Math.ceil(low / every) * every;
    return Array.from({ length: Math.floor((high - first) / every) + 1 }, (_, i) => (log === 10 ? 10 : 2) ** (first + i * every));
  }
  const rough = (max - min) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough);
  const first = Math.ceil(min / step - 1e-9);
  return Array.from({ length: Math.floor(max / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

const tickLabel = (x, log) => {
  if (!log || x === 1) return short(x);
  return `${log}${superscript(Math.round(Math.log2(x) / (log === 10 ? Math.log2(10) : 1)))}`;
};

/**
 * A picture with axes: `x` and `y` are {min, max, log, label, ticks, say}; `ticks` places and `say`
 * labels them. Draw into `plot` in its pixels with the scales `x` and `y`; `axes(x, y)` redraws the
 * axes with other ends.
 */
function chart({ label, width = 760, height = 280, margin = {}, x, y }) {
  const space = { left: 58, right: 16, top: 12, bottom: 42, ...margin };
  const frame = s("g", { class: "hb-axes" });
  const plot = s("g", { class: "hb-plot" });
  const svg = s("svg", { class: "hb-chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, frame, plot);
  const self = { svg, plot, width, height, space, left: space.left, right: width - space.right, top: space.top, bottom: height - space.bottom };
  self.axes = (newX, newY) => {
    [x, y] = [newX, newY];
    self.x = scale(x, self.left, self.right);
    self.y = scale(y, self.bottom, self.top);
    frame.replaceChildren();
    for (const place of x.ticks ?? tickPlaces(x)) {
      const at = self.x(place);
      frame.append(s("line", { x1: at, x2: at, y1: self.top, y2: self.bottom, class: "hb-grid" }),
        s("text", { x: at, y: self.bottom + 16, "text-anchor": "middle" }, (x.say ?? tickLabel)(place, x.log)));
    }
    for (const place of y.ticks ?? tickPlaces(y, 5)) {
      const at = self.y(place);
      frame.append(s("line", { x1: self.left, x2: self.right, y1: at, y2: at, class: "hb-grid" }),
        s("text", { x: self.left - 7, y: at + 4, "text-anchor": "end" }, (y.say ?? tickLabel)(place, y.log)));
    }
    frame.append(s("line", { x1: self.left, x2: self.right, y1: self.bottom, y2: self.bottom, class: "hb-axis" }));
    if (x.label) frame.append(s("text", { x: (self.left + self.right) / 2, y: height - 6, "text-anchor": "middle" }, x.label));
    if (y.label) frame.append(s("text", { transform: `translate(13 ${(self.top + self.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, y.label));
  };
  /** Give the picture another width, in its pixels: what is in `plot` is to be drawn anew. */
  self.resize = (wide) => {
    self.width = wide;
    self.right = wide - space.right;
    svg.setAttribute("viewBox", `0 0 ${wide} ${height}`);
    self.axes(x, y);
  };
  self.axes(x, y);
  return self;
}

/**
 * Keep a picture's pixels as large as the page's, so that its words stay readable where it is
 * narrow: `redraw()` is called after each change of width.
 */
function keepSize(picture, redraw, [least, most] = [340, 960]) {
  new ResizeObserver(([entry]) => {
    const wide = Math.round(Math.min(most, Math.max(least, entry.contentRect.width)));
    if (wide === picture.width || entry.contentRect.width === 0) return;
    picture.resize(wide);
    redraw();
  }).observe(picture.svg);
}

/** Places moved apart to be at least `gap` from each other, their order kept: for labels. */
function apart(places, gap) {
  const order = places.map((_, i) => i).sort((i, j) => places[i] - places[j]);
  const moved = [...places];
  for (let k = 1; k < order.length; k += 1) moved[order[k]] = Math.max(moved[order[k]], moved[order[k - 1]] + gap);
  return moved;
}

/** An SVG path through points [x, y] in pixels; a point that is not finite ends a stroke. */
function path(points, props = {}) {
  let pen = "M";
  const d = points.map(([px, py]) => {
    if (!Number.isFinite(px) || !Number.isFinite(py)) { pen = "M"; return ""; }
    const piece = `${pen}${px.toFixed(2)} ${py.toFixed(2)}`;
    pen = "L";
    return piece;
  }).join("");
  return s("path", { d, fill: "none", ...props });
}
