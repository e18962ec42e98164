// Where infinities and NaN arise in a small network: every pass was run in Python; the slider
// chooses one.

/** What a row carries: "nan", "inf" or "ok". */
const stateOf = ([, infs, nans]) => (nans ? "nan" : infs ? "inf" : "ok");
const MARKS = { ok: "", inf: "∞", nan: "NaN" };

function render({ model, el }) {
  const traces = model.get("traces");
  const formats = model.get("formats");
  const endings = model.get("endings");
  const powers = model.get("powers");
  let power = model.get("power");
  let format = formats[0];
  let ending = endings[0];

  const scaleSlider = slider({
    label: "input × ", min: powers[0], max: powers.at(-1), value: power,
    say: (p) => (p ? `2${superscript(p)} = ${short(2 ** p)}` : "1"), change: (p) => { power = p; draw(); },
  });
  const formatChoice = choice({
    label: "format", value: format.name, options: formats.map(({ name }) => [name, name]),
    change: (name) => { format = formats.find((f) => f.name === name); build(); },
  });
  const endingChoice = choice({
    label: "ends in", value: ending, options: endings.map((name) => [name, name]),
    change: (name) => { ending = name; build(); },
  });
  const table = h("table", { class: "hb-trace" });
  const status = statusLine();
  const widget = root(el, "Where infinities and NaN arise in a network",
    h("div", { class: "hb-controls" }, scaleSlider.node, formatChoice.node, endingChoice.node), table, status);
  widget.classList.add("hb-overflow");

  let rows;
  function build() {
    const { names, counts } = traces[`${format.name} ${ending}`];
    const steps = model.get("steps");
    const [low, high] = [Math.log2(ulpOf(0, format)), Math.log2(largestOf(format))];
    const place = (x) => (100 * (Math.log2(x) - low)) / (high - low);
    const shifted = names.includes("shift");
    const called = (name) => [steps[name][0], steps[name][shifted ? 2 : 1]];
    rows = names.map((name, i) => traceRow(called(name), name, counts[i], place));
    const one = h("span", { style: `left: ${place(1)}%` }, "1");
    table.replaceChildren(
      h("thead", {}, h("tr", {}, h("td", { class: "hb-rail" }), h("th", { scope: "col", class: "hb-step" }, "step"),
        h("th", { scope: "col", class: "hb-scale" }, h("div", {}, h("span", {}, short(2 ** low)), one, h("span", {}, short(largestOf(format)))), "largest finite magnitude"),
        ...["∞", "NaN", "zeros"].map((text) => h("th", { scope: "col", class: "hb-count" }, text)))),
      h("tbody", {}, ...rows.map(({ node }) => node)));
    widget.style.setProperty("--own", format.color);
    widget.style.setProperty("--one", `${place(1)}%`);
    draw();
  }

  function draw() {
    const { passes } = traces[`${format.name} ${ending}`];
    const { rows: numbers, said } = passes[powers.indexOf(power)];
    const states = numbers.map(stateOf);
    const first = { inf: states.findIndex((_, i) => numbers[i][1] > 0), nan: states.indexOf("nan") };
    let flow = "ok"; // what has come down so far
    numbers.forEach((row, i) => {
      if (states[i] !== "ok") flow = states[i];
      const tag = i === first.inf && i === first.nan ? "first ∞, NaN" : i === first.inf ? "first ∞" : i === first.nan ? "first NaN" : "";
      rows[i].show(row, states[i], states[i] === "ok" && flow !== "ok" ? "after" : states[i], tag);
    });
    status.textContent = said;
  }
  build();
}

/** One step of the network: its node on the line that the numbers run down, its counts. */
function traceRow([called, formula], name, count, place) {
  const mark = h("span", { class: "hb-node" });
  const bar = h("div", { class: "hb-size" });
  const largest = h("span", { class: "hb-largest" });
  const tag = h("span", { class: "hb-tag" });
  const cells = [0, 1, 2].map(() => h("td", { class: "hb-count" }));
  const node = h("tr", { "data-step": name }, h("td", { class: "hb-rail" }, mark),
    h("th", { scope: "row", class: "hb-step" }, called, " ", tag, h("span", { class: "hb-formula" }, formula)),
    h("td", { class: "hb-range" }, h("div", { class: "hb-track" }, bar, largest)), ...cells);
  const show = ([size, ...counts], state, rail, first) => {
    node.dataset.state = state;
    node.dataset.rail = rail;
    mark.textContent = MARKS[state];
    const width = size > 0 ? Math.max(0, place(size)) : 0;
    bar.style.width = `${width}%`;
    largest.textContent = size === null ? "none" : short(size);
    largest.style.left = width > 60 ? "auto" : `calc(${width}% + 5px)`;
    largest.style.right = width > 60 ? `calc(${100 - width}% + 5px)` : "auto";
    largest.classList.toggle("hb-inside", width > 60);
    tag.textContent = first;
    cells.forEach((cell, i) => {
      cell.replaceChildren(String(counts[i]), ...(counts[i] ? [h("span", { class: "hb-of" }, ` / ${count}`)] : []));
      cell.classList.toggle("hb-bad", counts[i] > 0 && i < 2);
      cell.classList.toggle("hb-none", !counts[i]);
    });
  };
  return { node, show };
}

export default { render };
