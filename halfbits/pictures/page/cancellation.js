// The cancellation microscope: two numbers that agree in their first bits, and what is left of them.

const SHOWN_BEYOND = 8; // places after the format's last one
const digits = (x) => minus(x.toLocaleString("en-US", { maximumSignificantDigits: 8 }));
const powerOfTwo = (x) => `2${superscript(exponentOf(x))}`;
const places = (count) => Array.from({ length: count }, (_, i) => i);

/** The bit of weight 2^-place in |x|, which is below 2. */
const bitOf = (x, place) => Math.floor(Math.abs(x) * 2 ** place) % 2;

/** A share in percent or, where it is large or tiny, as short writes it. */
const percent = (x) => (x === 0 ? "0%" : `${short(100 * x)}%`);

/** What subtracting two numbers in a format gives, as halfbits.pictures.cancellation.Difference. */
function subtract([a, b], f) {
  const [nearA, nearB] = [roundTo(a, f), roundTo(b, f)];
  const [exact, result] = [a - b, roundTo(nearA - nearB, f)];
  return { a, b, nearA, nearB, exact, result, error: Math.abs(result - exact) / exact, bound: 2 ** -f.man_bits / exact };
}

/** The sentences of halfbits.pictures.cancellation.tell. */
function tell(d, agree, f) {
  const unit = 2 ** -(f.man_bits + 1);
  const shared = `a and b agree in ${agree} bit${agree > 1 ? "s" : ""}`;
  const inputs = `Rounding changed a and b by at most ${powerOfTwo(unit)} = ${percent(unit)}.`;
  const bits = f.man_bits + 1;
  if (d.result === 0) return `${shared}, and ${f.name} keeps ${bits}: both became ${digits(d.nearA)}, and their difference is 0. ${inputs} The result is off by 100%.`;
  const left = Math.max(0, f.man_bits + exponentOf(d.result) + 1);
  const cancel = bits - left === agree ? `${shared}, which cancel` : `${shared}; rounded to ${f.name}, the first ${bits - left} cancel`;
  return `${cancel}: ${left} of the result's ${bits} bits come from a and b, ${bits - left} are zeros shifted in. ` +
    `${inputs} The subtraction itself is exact, yet its result is off by ${percent(d.error)}, ${short(d.error / unit)} times as much.`;
}

function render({ model, el }) {
  const formats = model.get("formats");
  const pairs = model.get("pairs"); // of exact numbers; pairs[i] agree in i + 1 bits
  let f = formats.find((each) => each.name === model.get("format"));
  let agree = model.get("agree");

  const most = () => Math.min(pairs.length, f.man_bits + 5);
  const formatChoice = choice({
    label: "format", value: f.name, options: formats.map((each) => [each.name, each.name]),
    change: (name) => { f = formats.find((each) => each.name === name); agree = Math.min(agree, most()); limit(); draw(); },
  });
  const agreeSlider = slider({
    label: "a and b agree in", min: 1, max: most(), value: agree,
    say: (n) => `${n} bit${n > 1 ? "s" : ""}`, change: (n) => { agree = n; draw(); },
  });
  const limit = () => { agreeSlider.input.max = most(); agreeSlider.value = agree; };
  const grid = s("svg", { class: "hb-chart hb-bits", role: "img", "aria-label": "Bits of a, b and their difference, exactly and in the format" });
  const picture = chart({ label: "Relative error of the difference against the number of bits in which a and b agree", height: 230, margin: { left: 70 }, x: { min: 0, max: 1 }, y: { min: 0.01, max: 1, log: 10 } });
  const status = statusLine();

  function drawBits(d) {
    const room = grid.getBoundingClientRect().width || 760;
    const columns = f.man_bits + 1 + SHOWN_BEYOND;
    const left = 118;
    const wide = Math.min(32, (Math.max(room, 420) - left - 10) / columns);
    const [tall, last] = [25, f.man_bits];
    const rows = [
      ["a exactly", (p) => bitOf(d.a, p), 0], [`a in ${f.name}`, (p) => bitOf(d.nearA, p), 1],
      ["b exactly", (p) => bitOf(d.b, p), 0], [`b in ${f.name}`, (p) => bitOf(d.nearB, p), 1],
      [`a − b in ${f.name}`, (p) => bitOf(d.result, p), 2], ["a − b exactly", (p) => bitOf(d.exact, p), 3],
    ];
    const height = rows.length * tall + 50;
    const width = Math.max(room, 420);
    grid.setAttribute("viewBox", `0 0 ${width} ${height}`);
    grid.replaceChildren();
    const xOf = (p) => left + p * wide;
    const lead = d.result === 0 ? Infinity : -exponentOf(d.result);
    const trueLead = -exponentOf(d.exact);
    const cell = (p, y, kind, text) => grid.append(
      ...(kind.startsWith("plain") ? [] : [s("rect", { x: xOf(p) + 0.8, y: y + 2, width: wide - 1.6, height: tall - 5, rx: 2.5, class: `hb-${kind}` })]),
      s("text", { x: xOf(p) + wide / 2, y: y + tall / 2 + 4, "text-anchor": "middle", class: `hb-bit hb-on-${kind}` }, text));
    rows.forEach(([name, bit, kind], i) => {
      const y = 22 + i * tall + (i > 1 ? 6 : 0) + (i > 3 ? 8 : 0);
      grid.append(s("text", { x: left - 10, y: y + tall / 2 + 4, "text-anchor": "end" }, name));
      for (const p of places(columns)) {
        if (kind === 0) cell(p, y, p < agree ? "plain-faint" : "plain", bit(p));
        if (kind === 1 && p <= last) cell(p, y, p < lead ? "cancelled" : "real", bit(p));
        if (kind === 2 && p <= lead + last) cell(p, y, p < lead ? "cancelled" : p <= last ? "real" : "shifted", bit(p));
        if (kind === 3) cell(p, y, p < trueLead ? "plain-faint" : "plain", bit(p));
      }
      if (kind === 2 && d.result === 0) for (const p of places(columns).slice(last + 1)) cell(p, y, "shifted", "0");
    });
    for (const p of places(columns)) if (p % 4 === 0) grid.append(s("text", { x: xOf(p) + wide / 2, y: 14, "text-anchor": "middle", class: "hb-weight" }, p ? `2${superscript(-p)}` : "1"));
    const edge = xOf(last + 1);
    grid.append(s("line", { x1: edge, x2: edge, y1: 4, y2: height - 12, class: "hb-edge" }),
      s("text", { x: edge + 5, y: height - 4, class: "hb-weight" }, `${f.name} ends here`));
  }

  function drawErrors(d) {
    const unit = 2 ** -(f.man_bits + 1);
    const low = unit * (unit / 4) ** 0.17; // room for the words under the inputs' line
    const every = most() * 24 > picture.right - picture.left ? 2 : 1;
    picture.axes({ min: 0.5, max: most() + 0.5, ticks: places(most()).map((i) => i + 1).filter((n) => n % every === 0), say: String, label: "bits in which a and b agree" },
      { min: low, max: 4, log: 10, say: (y) => (y >= 1e-5 ? `${Number((100 * y).toPrecision(3))}%` : `${tickLabel(100 * y, 10)}%`), label: "relative error" });
    const all = places(most()).map((i) => subtract(pairs[i], f));
    const middle = Math.round(most() * 0.45);
    const bounds = all.map((each, i) => [i + 1, each.bound]);
    const beyond = bounds.findIndex(([, bound]) => bound > 4);
    if (beyond > 0) { // the line ends where it leaves the picture, between two numbers of bits
      const [[n, inside], [, outside]] = [bounds[beyond - 1], bounds[beyond]];
      bounds.splice(beyond, Infinity, [n + Math.log(4 / inside) / Math.log(outside / inside), 4]);
    }
    const level = (y, name) => s("line", { x1: picture.left, x2: picture.right, y1: picture.y(y), y2: picture.y(y), class: name });
    const at = (i) => [picture.x(i + 1), picture.y(Math.max(low, all[i].error))];
    picture.plot.replaceChildren(
      level(unit, "hb-inputs"), s("text", { x: picture.right - 4, y: picture.y(unit) + 15, "text-anchor": "end" }, `of a and b, at most: ${powerOfTwo(unit)} = ${percent(unit)}`),
      path(bounds.map(([n, bound]) => [picture.x(n), picture.y(bound)]), { class: "hb-bound" }),
      s("text", { x: picture.x(middle + 1) - 10, y: picture.y(all[middle].bound) - 4, "text-anchor": "end" }, "of a − b, at most"),
      ...all.map((each, i) => s("circle", { cx: at(i)[0], cy: at(i)[1], r: i + 1 === agree ? 7 : 4, fill: f.color, class: i + 1 === agree ? "hb-here" : "" })),
      s("text", { x: at(agree - 1)[0], y: at(agree - 1)[1] + 24, "text-anchor": "middle", class: "hb-strong" }, percent(d.error)));
  }

  function draw() {
    const d = subtract(pairs[agree - 1], f);
    widget.style.setProperty("--own", f.color);
    drawBits(d);
    drawErrors(d);
    agreeSlider.value = agree;
    status.textContent = tell(d, agree, f);
    keep(model, { format: f.name, agree });
  }

  picture.svg.addEventListener("click", (event) => {
    const box = picture.svg.getBoundingClientRect();
    const n = Math.round(picture.x.invert(((event.clientX - box.left) / box.width) * picture.width));
    agree = Math.min(most(), Math.max(1, n));
    draw();
  });
  const key = (kind, text) => h("span", {}, h("i", { class: `hb-${kind}` }), text);
  const widget = root(el, "Cancellation microscope",
    h("div", { class: "hb-controls" }, formatChoice.node, agreeSlider.node), grid,
    h("p", { class: "hb-legend" }, key("cancelled", "cancels"), key("real", "comes from a and b"), key("shifted", "zero shifted in")),
    picture.svg, status);
  widget.classList.add("hb-cancellation");
  draw();
  keepSize(picture, draw);
}

export default { render };
