// Running sums of equal terms or of 1/k: every sum is computed here, once for each term and format.

const HARMONIC = "1/k";
const PRESETS = ["0.01", "0.1", "1", HARMONIC];
const PLACES = 700;
const GROUPED = (n) => n.toLocaleString("en-US");

const NUMBER = String.raw`(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,4})?`;
const FACTOR = String.raw`(?:\d{1,3}\^[+-]?\d{1,4}|${NUMBER})`;
const TERM = String.raw`${FACTOR}(?:[*/]${FACTOR})*`;

/** The value of a typed number, as halfbits.typed reads them, if it is positive; else NaN. */
function termValue(text) {
  const plain = text.toLowerCase();
  if (!new RegExp(`^[+-]?${TERM}(?:[+-]${TERM})*$`).test(plain)) return NaN;
  let value = 0;
  for (const [, sign, term] of plain.matchAll(new RegExp(`([+-]?)(${TERM})`, "g"))) {
    let product = sign === "-" ? -1 : 1;
    for (const [, operator, factor] of term.matchAll(new RegExp(`([*/]?)(${FACTOR})`, "g"))) {
      const [base, power = 1] = factor.split("^").map(Number);
      product = operator === "/" ? product / base ** power : product * base ** power;
    }
    value += product;
  }
  return value > 0 && value < Infinity ? value : NaN;
}

/** Partial sums of `most` terms, each rounded to the format, as halfbits.summation.running_sum. */
function runningSum(term, most, f) {
  const sums = new Float64Array(most);
  const equal = term === HARMONIC ? null : roundTo(termValue(term), f);
  let total = 0;
  for (let k = 1; k <= most; k += 1) {
    const next = roundTo(total + (equal ?? roundTo(1 / k, f)), f);
    // Terms do not grow: once one is lost, all that follow are.
    if (next === total) return sums.fill(total, k - 1);
    sums[k - 1] = total = next;
  }
  return sums;
}

/** Partial sums of 1/k with Kahan's correction, as good as exact here. */
function harmonicSums(most) {
  const sums = new Float64Array(most);
  let [total, lost] = [0, 0];
  for (let k = 1; k <= most; k += 1) {
    const corrected = 1 / k - lost;
    const next = total + corrected;
    lost = next - total - corrected;
    sums[k - 1] = total = next;
  }
  return sums;
}

const digits = (x) => (x >= 1e-4 && x < 1e8 ? x.toLocaleString("en-US", { maximumSignificantDigits: 8 }) : short(x));
const powerOfTwo = (x) => `2${superscript(exponentOf(x))}`;

/** Additions after which the next one changes nothing among the first `count`; −1 if none. */
function stallOf(sums, count) {
  if (sums[0] === 0) return 0;
  for (let n = 1; n < count; n += 1) if (sums[n] === sums[n - 1]) return n;
  return -1;
}

/** What a format makes of the sum: the sentences of halfbits.pictures.sums._tell. */
function tell(f, term, sums, count, exact) {
  const last = sums[count - 1];
  if (!Number.isFinite(last)) {
    const beyond = sums.findIndex((total) => !Number.isFinite(total)) + 1;
    return `${f.name} is ${f.infinities ? "∞" : "NaN"} from term ${GROUPED(beyond)} on: its largest number is ${short(largestOf(f))}.`;
  }
  const stall = stallOf(sums, count);
  if (stall < 0) {
    const error = last - exact;
    return `${f.name} reaches ${digits(last)}, ${error === 0 ? "exactly" : `${short(Math.abs(error))} too ${error > 0 ? "much" : "little"}`}.`;
  }
  if (stall === 0) {
    const smallest = ulpOf(0, f);
    return `${f.name} stays at 0: ${term} is no more than half of its smallest number, ${powerOfTwo(smallest)} = ${short(smallest)}.`;
  }
  const lost = term === HARMONIC ? 1 / (stall + 1) : termValue(term);
  const [gap, rounded] = [ulpOf(last, f), roundTo(lost, f)];
  const places = term === HARMONIC ? 4 : 3; // 1/k is close to half of the gap
  let name = term === HARMONIC ? `1/${GROUPED(stall + 1)} = ${short(lost, places)}` : term;
  if (lost < gap / 2 !== rounded < gap / 2) name = `${name}, rounded to ${digits(rounded)},`;
  const size = rounded === gap / 2 ? "is exactly half of it, a tie, which goes to the even last bit" : "is less than half of it";
  const gapText = gap < 1 ? `${powerOfTwo(gap)} = ${short(gap, places)}` : short(gap);
  return `${f.name} stops at ${digits(last)} after ${GROUPED(stall)} additions: the gap there is ${gapText}, and ${name} ${size}.`;
}

function render({ model, el }) {
  const most = model.get("most");
  const shownFirst = model.get("formats");
  const all = [...shownFirst, ...model.get("others")];
  let on = new Set(shownFirst.map((f) => f.name));
  let [term, count] = [model.get("term"), model.get("count")];
  let sums = {}; // of the present term, by format: all `most` of them

  const sumsOf = (f) => (sums[f.name] ??= runningSum(term, most, f));
  const exactSums = () => (sums.exact ??= term === HARMONIC ? harmonicSums(most) : null);
  const exactAt = (n) => (term === HARMONIC ? exactSums()[n - 1] : termValue(term) * n);

  const field = h("input", { class: "hb-field", type: "text", "aria-label": "term to add", value: term, spellcheck: "false", autocomplete: "off" });
  const presets = choice({ label: "add", options: PRESETS.map((key) => [key, key]), value: term, change: (key) => { field.value = key; setTerm(key); } });
  presets.node.append(field);
  const setTerm = (text) => {
    const typed = text.replace(/\s/g, "").replace("−", "-");
    const valid = typed === HARMONIC || !Number.isNaN(termValue(typed));
    field.setAttribute("aria-invalid", String(!valid));
    if (!valid) return void (status.textContent = `“${text}” is not a positive number: try 0.01, 1/3, 2^-10 or 1/k.`);
    if (typed !== term) [term, sums] = [typed, {}];
    for (const each of presets.node.querySelectorAll("button")) each.setAttribute("aria-pressed", String(each.dataset.choice === term));
    save();
    draw();
  };
  field.addEventListener("input", () => setTerm(field.value));

  // The count that the cell asked for may lie between the slider's steps.
  const asked = { at: Math.log10(count), count };
  const countAt = (at) => (Math.abs(at - asked.at) < 0.006 ? asked.count : Number((10 ** at).toPrecision(3)));
  const countSlider = slider({
    label: "how many times", min: 1, max: Math.log10(most), step: 0.01, value: asked.at,
    say: (at) => GROUPED(countAt(at)), change: (at) => { count = countAt(at); save(); draw(); },
  });
  const formats = toggles({
    label: "in", options: all.map((f) => [f.name, f.name, f.color]), values: on, change: (names) => { on = names; save(); draw(); },
  });
  const save = () => keep(model, { term, count, formats: all.filter((f) => on.has(f.name)), others: all.filter((f) => !on.has(f.name)) });

  const picture = chart({ label: "Running sums, one curve for each format", height: 300, margin: { right: 130 }, x: { min: 0, max: 1 }, y: { min: 0, max: 1 } });
  const cursor = s("g", { class: "hb-cursor" });
  picture.svg.append(cursor);
  picture.svg.addEventListener("pointermove", (event) => point(event));
  picture.svg.addEventListener("pointerleave", () => cursor.replaceChildren());
  const status = statusLine();

  function draw() {
    const shown = all.filter((f) => on.has(f.name));
    const exact = exactAt(count);
    const highest = Math.max(exact, ...shown.map((f) => sumsOf(f)[count - 1]).filter(Number.isFinite));
    const log = term === HARMONIC ? 10 : 0;
    picture.axes(
      { min: log ? 1 : 0, max: count, log, ticks: tickPlaces({ min: log ? 1 : 0, max: count, log }, picture.width / 120), label: `terms added${log ? ", logarithmic" : ""}`, say: log ? undefined : GROUPED },
      { min: 0, max: highest * 1.06, label: "sum", say: (y) => (y < 1000 ? short(y) : GROUPED(y)) });
    picture.plot.replaceChildren();
    const places = [...new Set(Array.from({ length: PLACES }, (_, i) => {
      const share = i / (PLACES - 1);
      return Math.round(log ? count ** share : 1 + share * (count - 1));
    }))];
    const curve = (at, props) => path(places.map((n) => [picture.x(n), picture.y(at(n))]), props);
    const ends = [["exact", exact, "currentColor"]];
    for (const f of shown) {
      const values = sumsOf(f);
      picture.plot.append(curve((n) => values[n - 1], { stroke: f.color, "stroke-width": 2.2 }));
      const stall = stallOf(values, count);
      if (stall > 0 && Number.isFinite(values[count - 1])) picture.plot.append(s("circle", { cx: picture.x(stall), cy: picture.y(values[stall - 1]), r: 4.5, fill: f.color }));
      if (Number.isFinite(values[count - 1])) ends.push([f.name, values[count - 1], f.color]);
    }
    picture.plot.append(curve(exactAt, { class: "hb-exact" }));
    const axis = -picture.bottom - 6; // its words are there: the first name stays above them
    const [, ...heights] = apart([axis, ...ends.map(([, value]) => -picture.y(value))], 16);
    ends.forEach(([name, value, color], i) => picture.plot.append(
      s("text", { x: picture.right + 8, y: -heights[i] + 4, class: "hb-end" }, s("tspan", { class: "hb-dot", style: `fill: ${color}` }, "● "), `${name} ${digits(value)}`)));
    cursor.replaceChildren();
    const sumText = term === HARMONIC ? `1 + 1/2 + … + 1/${GROUPED(count)}` : `${GROUPED(count)} × ${term}`;
    status.replaceChildren(h("span", {}, `${sumText} = ${digits(exact)}.`), ...shown.map((f) => h("span", { style: `--own: ${f.color}` }, tell(f, term, sumsOf(f), count, exact))));
  }

  /** Values under the pointer. */
  function point(event) {
    const box = picture.svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * picture.width;
    if (at < picture.left || at > picture.right) return cursor.replaceChildren();
    const n = Math.min(count, Math.max(1, Math.round(picture.x.invert(at))));
    const x = picture.x(n);
    const shown = all.filter((f) => on.has(f.name) && Number.isFinite(sumsOf(f)[n - 1]));
    const words = [`after ${GROUPED(n)}: exact ${digits(exactAt(n))}`, ...shown.map((f) => `${f.name} ${digits(sumsOf(f)[n - 1])}`)];
    cursor.replaceChildren(
      s("line", { x1: x, x2: x, y1: picture.top, y2: picture.bottom, class: "hb-axis" }),
      ...shown.map((f) => s("circle", { cx: x, cy: picture.y(sumsOf(f)[n - 1]), r: 4, fill: f.color })),
      s("text", { x: picture.left + 8, y: picture.top + 12 }, words.join(" · ")));
  }

  const widget = root(el, "Running sums",
    h("div", { class: "hb-controls" }, presets.node, countSlider.node, formats.node), picture.svg, status);
  widget.classList.add("hb-sums");
  draw();
  keepSize(picture, draw);
}

export default { render };
