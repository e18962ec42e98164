// Softmax step by step, naive beside stable: every result is rounded to the chosen format.

const EXAMPLES = [
  ["12, 11, 10", [12, 11, 10]],
  ["all 10", [10, 10, 10]],
  ["all −20", [-20, -20, -20]],
  ["90, 1, 0", [90, 1, 0]],
];
const WAYS = ["naive", "stable"];
const nameOf = (i) => `x${"₁₂₃₄₅"[i]}`;

/** The steps as halfbits.softmax.compute has them: {name: numbers}, in order. */
function softmaxSteps(way, logits, f, temperature) {
  const round = (x) => roundTo(Math.fround(x), f); // torch computes in fp32 and rounds
  const z = logits.map((x) => round(round(x) / temperature));
  const steps = { "x ÷ T": z };
  let last = z;
  if (way === "stable") {
    const top = Math.max(...z);
    last = z.map((x) => round(x - top));
    steps["− max"] = last;
  }
  const exp = last.map((x) => round(Math.exp(x)));
  const sum = round(exp.reduce((total, x) => Math.fround(total + x), 0));
  return Object.assign(steps, { exp, sum: [sum], "÷ sum": exp.map((x) => round(x / sum)) });
}

/** Softmax in doubles. */
function exactSoftmax(logits, temperature) {
  const top = Math.max(...logits);
  const exp = logits.map((x) => Math.exp((x - top) / temperature));
  const sum = exp.reduce((a, b) => a + b);
  return exp.map((x) => x / sum);
}

/** The first step that goes wrong, or how far off the result is, as halfbits.softmax says it. */
function verdict(steps, exact) {
  const exponents = steps["− max"] ?? steps["x ÷ T"];
  const first = steps.exp.indexOf(Infinity);
  if (first >= 0) return `exp(${short(exponents[first])}) is ∞, and ∞ ÷ ∞ is NaN`;
  if (steps.sum[0] === Infinity) return "no exponential overflows, but their sum is ∞, so every quotient is 0";
  if (steps.sum[0] === 0) return "every exponential is flushed to 0, and 0 ÷ 0 is NaN";
  const worst = Math.max(...steps["÷ sum"].map((p, i) => Math.abs(p - exact[i])));
  return `within ${short(Math.max(worst, 1e-9), 1)} of the exact result`;
}

/** The culprits: what a reader should look at in a step. */
function isCulprit(steps, name, i) {
  if (!Number.isFinite(steps[name][i])) return true;
  const total = steps.sum[0];
  return (name === "sum" && total === 0) || (name === "÷ sum" && total === Infinity);
}

function render({ model, el }) {
  const formats = model.get("formats");
  const temperatures = model.get("temperatures");
  const limit = model.get("limit");
  let logits = [...model.get("logits")];
  let format = formats[0];
  let temperature = 1;

  const formatChoice = choice({
    label: "format", value: format.name, options: formats.map(({ name }) => [name, name]),
    change: (name) => { format = formats.find((f) => f.name === name); draw(); },
  });
  const temperatureSlider = slider({
    label: "temperature T", min: 0, max: temperatures.length - 1, value: temperatures.indexOf(1),
    say: (i) => short(temperatures[i]), change: (i) => { temperature = temperatures[i]; draw(); },
  });
  const sliders = logits.map((given, i) => {
    let fresh = true; // a slider goes in quarters, the number given need not
    const one = slider({
      label: nameOf(i), min: -limit, max: limit, step: 0.25, value: given,
      say: (x) => minus(String(fresh ? given : x)),
      change: (x) => { logits[i] = x; draw(); },
    });
    fresh = false;
    return one;
  });
  const examples = EXAMPLES.map(([text, numbers]) => button(text, () => {
    logits = logits.map((_, i) => numbers[i] ?? numbers.at(-1));
    sliders.forEach((one, i) => { one.value = logits[i]; });
    draw();
  }));
  const panels = WAYS.map((way) => panel(way, model.get("formulas")[way], logits.length));
  const status = statusLine();
  const widget = root(el, "Softmax step by step",
    h("div", { class: "hb-controls" }, formatChoice.node, temperatureSlider.node,
      h("div", { class: "hb-choice", role: "group", "aria-label": "examples" }, h("span", { class: "hb-label", "aria-hidden": "true" }, "try"), ...examples)),
    h("div", { class: "hb-logits" }, ...sliders.map((one) => one.node)),
    h("div", { class: "hb-panels" }, ...panels.map((one) => one.node)),
    h("p", { class: "hb-note" }, "Bars: p, hatched in red where it is NaN. Dashed lines: the exact probabilities. Struck through: flushed to 0."), status);
  widget.classList.add("hb-softmax");

  function draw() {
    widget.style.setProperty("--own", format.color);
    const exact = exactSoftmax(logits, temperature);
    const said = WAYS.map((way, i) => {
      const steps = softmaxSteps(way, logits, format, temperature);
      panels[i].show(steps, exact);
      return `${verdict(steps, exact)}. `;
    });
    status.replaceChildren(h("strong", {}, `Naive in ${format.name}: `), said[0], h("strong", {}, "Stable: "), said[1]);
  }
  draw();
}

/** One way to compute: a table with a row for each step, and under each column its probability. */
function panel(way, formula, count) {
  const names = ["x ÷ T", "− max", "exp", "sum", "÷ sum"];
  const cells = Object.fromEntries(names.map((name) => [name,
    name === "sum" ? [h("td", { colspan: count })] : Array.from({ length: count }, () => h("td"))]));
  const bars = Array.from({ length: count }, () => ({ bar: h("div", { class: "hb-p" }), exact: h("div", { class: "hb-exact" }) }));
  const node = h("table", { class: "hb-steps", "data-way": way },
    h("caption", {}, h("strong", {}, way), ` ${formula}`),
    h("thead", {}, h("tr", {}, h("td"), ...cells.exp.map((_, i) => h("th", { scope: "col" }, nameOf(i))))),
    h("tbody", {}, ...names.map((name) => h("tr", { "data-step": name }, h("th", { scope: "row" }, name), ...cells[name])),
      h("tr", { class: "hb-bars", "aria-hidden": "true" }, h("th", {}, "p"), ...bars.map(({ bar, exact }) => h("td", {}, h("div", { class: "hb-column" }, bar, exact))))));
  const show = (steps, exact) => {
    for (const name of names) {
      cells[name].forEach((cell, i) => {
        if (!steps[name]) { cell.textContent = "—"; return; }
        const value = steps[name][i];
        cell.textContent = short(value);
        const gone = value === 0 && (name === "exp" || name === "÷ sum");
        cell.className = isCulprit(steps, name, i) ? "hb-bad" : gone ? "hb-gone" : "";
      });
    }
    bars.forEach(({ bar, exact: line }, i) => {
      const p = steps["÷ sum"][i];
      bar.classList.toggle("hb-nan", Number.isNaN(p));
      bar.style.height = `${Number.isNaN(p) ? 100 : 100 * p}%`;
      line.style.bottom = `${100 * exact[i]}%`;
    });
  };
  return { node, show };
}

export default { render };
