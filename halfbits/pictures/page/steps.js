// A step w + Δ on the number line of a format: drag its end and watch where it snaps to.

const FURTHEST = 2; // ulps of w that a step can go
const PER_ULP = 16; // places of the step in one ulp
const significant = (x, count) => minus(x.toLocaleString("en-US", { maximumSignificantDigits: count }));
const digits = (x) => significant(x, 10);
const powerOfTwo = (x) => `2${superscript(exponentOf(x))}`;
const gapBelow = (w, f) => (w === 2 ** exponentOf(w) && w > 2 ** minExponent(f) ? ulpOf(w, f) / 2 : ulpOf(w, f));

/** The format's numbers between two places, ascending. */
function numbersBetween(low, high, f) {
  const numbers = [];
  for (let x = roundTo(Math.max(low, 0), f); x <= high && Number.isFinite(x); x = roundTo(x + ulpOf(x, f), f)) if (x >= low) numbers.push(x);
  return numbers;
}

const isEven = (x, f) => (x / ulpOf(x, f)) % 2 === 0;

/** What becomes of a step: the sentences of halfbits.pictures.steps.tell. */
function tell(f, w, delta) {
  const [exact, result] = [w + delta, roundTo(w + delta, f)];
  if (delta === 0) return "Δ is 0: drag the step's end, or move the slider.";
  const sum = `w + Δ = ${digits(w)} ${delta < 0 ? "−" : "+"} ${short(Math.abs(delta))} = ${digits(exact)}`;
  const half = (delta > 0 ? ulpOf(w, f) : gapBelow(w, f)) / 2;
  const side = delta > 0 ? "above" : "below";
  const halfText = `half the gap ${side} w, ${powerOfTwo(half)} = ${short(half)}`;
  if (!Number.isFinite(result)) return `${sum} is beyond ${short(largestOf(f))}, the largest number of ${f.name}: the result is ${f.infinities ? "∞" : "NaN"}.`;
  if (result === exact) return `${sum} is a number of ${f.name}: nothing is rounded.`;
  const gap = ulpOf(Math.min(result, exact), f);
  const tie = Math.abs(result - exact) * 2 === gap;
  if (tie && result === w) return `${sum} is a tie, and w has the even last bit. The step is lost: Δ is exactly ${halfText}.`;
  if (tie) return `${sum} is a tie: it goes to the even last bit, ${digits(result)}. w moves by ${short(Math.abs(result - w))}.`;
  if (result === w) return `${sum} is rounded back to ${digits(w)}. The step is lost: Δ is less than ${halfText}.`;
  return `${sum} is rounded to ${digits(result)}: w moves by ${short(Math.abs(result - w))}, ${significant((result - w) / delta, 3)} times Δ.`;
}

/** What the same step does in the other formats, and which of them do not have w. */
function tellOthers(others, w, delta) {
  if (delta === 0) return "";
  const has = (f) => roundTo(w, f) === w;
  const having = others.filter(has).map((f) => `${f.name}: ${roundTo(w + delta, f) === w ? "lost" : "w moves"}`);
  const lacking = others.filter((f) => !has(f)).map((f) => f.name);
  return [having.length && `The same step in ${having.join("; in ")}.`, lacking.length && `w is no number of ${lacking.join(", ")}.`]
    .filter(Boolean).join(" ");
}

function render({ model, el }) {
  const formats = model.get("formats");
  const named = (name) => formats.find((each) => each.name === name);
  let f = named(model.get("format"));
  let w = model.get("w");
  let places = Math.round((model.get("delta") / ulpOf(w, f)) * PER_ULP);
  let around = neighbours();

  /** Numbers that the slider for w goes through, w in the middle where there are enough. */
  function neighbours() {
    const ulp = ulpOf(w, f);
    return numbersBetween(w - 12 * ulp, w + 12 * ulp, f).filter((x) => x > 0);
  }
  const tickDigits = (x) => significant(x, f.man_bits > 16 ? 9 : 7);
  const deltaOf = () => (places / PER_ULP) * ulpOf(w, f);

  const formatChoice = choice({ label: "format", value: f.name, options: formats.map((each) => [each.name, each.name]), change: (name) => setFormat(named(name)) });
  const stepSlider = slider({
    label: "step Δ", min: -FURTHEST * PER_ULP, max: FURTHEST * PER_ULP, value: places,
    say: (n) => `${n < 0 ? "−" : n > 0 ? "+" : ""}${Math.abs(n) / PER_ULP} ulp`, change: (n) => { places = n; draw(); },
  });
  const wSlider = slider({
    label: "w", min: 0, max: around.length - 1, value: around.indexOf(w),
    say: (i) => digits(around[i] ?? w), change: (i) => { w = around[i]; draw(); },
  });
  const scaleBy = (factor) => { const next = roundTo(w * factor, f); if (next > 0 && next <= largestOf(f)) moveTo(next); };
  const buttons = h("div", { class: "hb-choice" }, button("w ÷ 2", () => scaleBy(0.5)), button("w × 2", () => scaleBy(2)));
  const picture = chart({ label: "Number line around w with the step from w to w + Δ and the number that it is rounded to", height: 190, margin: { left: 26, right: 26, bottom: 34 }, x: { min: 0, max: 1 }, y: { min: 0, max: 1, ticks: [] } });
  const status = statusLine();

  function moveTo(next) {
    w = next;
    around = neighbours();
    wSlider.input.max = around.length - 1;
    wSlider.value = around.indexOf(w);
    draw();
  }
  function setFormat(next) {
    f = next;
    const nearest = roundTo(w, f);
    moveTo(nearest > 0 && nearest <= largestOf(f) ? nearest : 1);
  }

  function draw() {
    const [ulp, delta] = [ulpOf(w, f), deltaOf()];
    const [exact, result] = [w + delta, roundTo(w + delta, f)];
    const reach = picture.width < 560 ? FURTHEST + 0.25 : FURTHEST + 1.25;
    const numbers = numbersBetween(w - reach * ulp, w + reach * ulp, f);
    picture.axes({ min: w - reach * ulp, max: w + reach * ulp, ticks: [] }, { min: 0, max: 1, ticks: [] });
    const [line, flight] = [picture.bottom, picture.top + 36];
    const at = picture.x;
    const text = (x, y, words, props = {}) => s("text", { x, y, "text-anchor": "middle", ...props }, words);
    const stroke = (x, y1, y2, props) => s("line", { x1: at(x), x2: at(x), y1, y2, ...props });
    const [low, high] = [w - gapBelow(w, f) / 2, w + ulp / 2];
    const zone = (from, to, name) => [
      s("rect", { x: at(from), width: at(to) - at(from), y: flight + 10, height: line - flight - 10, fill: f.color, "fill-opacity": 0.16 }),
      text((at(from) + at(to)) / 2, line - 26, name),
    ];
    picture.plot.replaceChildren(
      ...zone(low, w, powerOfTwo(w - low)), ...zone(w, high, powerOfTwo(high - w)),
      text(at(w) + (delta < 0 ? 6 : -6), line - 42, "lost", { "text-anchor": delta < 0 ? "start" : "end" }),
      ...numbers.slice(1).map((x, i) => stroke((x + numbers[i]) / 2, line - 6, line + 6, { class: "hb-middle" })),
      ...numbers.map((x) => s("circle", { cx: at(x), cy: line, r: x === w ? 8 : 5.5, stroke: f.color, "stroke-width": 2.2, class: isEven(x, f) ? "" : "hb-odd", fill: f.color })),
      ...labels(numbers).map((x) => text(at(x), line + 24, x === w ? `w = ${digits(x)}` : tickDigits(x), x === w ? { class: "hb-strong" } : {})));
    if (delta !== 0) {
      const lands = Number.isFinite(result) ? at(result) : picture.right;
      picture.plot.append(
        s("line", { x1: at(w), x2: at(w), y1: flight, y2: line - 60 > flight ? line - 56 : line, class: "hb-axis hb-thin" }),
        s("line", { x1: at(w), x2: at(exact), y1: flight, y2: flight, class: "hb-step" }),
        path([[at(exact), flight], [lands, line - 8]], { class: "hb-snap" }),
        s("circle", { cx: lands, cy: line, r: 11, class: "hb-ring" }));
    }
    picture.plot.append(
      s("path", { d: `M${at(exact)} ${flight - 8}l8 8l-8 8l-8 -8z`, class: "hb-handle" }),
      text(at(exact), flight - 14, delta === 0 ? "drag: w + Δ" : "w + Δ", { class: "hb-strong" }));
    stepSlider.value = places;
    const others = tellOthers(formats.filter((each) => each !== f), w, delta);
    status.replaceChildren(h("span", {}, tell(f, w, delta)), h("span", {}, others));
    keep(model, { format: f.name, w, delta });
  }

  /** Numbers that have room for their digits, w before all others. */
  function labels(numbers) {
    const chosen = [w];
    for (const x of [...numbers].sort((a, b) => Math.abs(a - w) - Math.abs(b - w))) {
      const wide = 7.4 * tickDigits(x).length + 14;
      const [from, to] = [picture.x(x) - wide / 2, picture.x(x) + wide / 2];
      if (from > 0 && to < picture.width && chosen.every((y) => Math.abs(picture.x(x) - picture.x(y)) > wide + (y === w ? 18 : 0))) chosen.push(x);
    }
    return chosen;
  }

  function drag(event) {
    const box = picture.svg.getBoundingClientRect();
    const value = picture.x.invert(((event.clientX - box.left) / box.width) * picture.width);
    const place = Math.round(((value - w) / ulpOf(w, f)) * PER_ULP);
    places = Math.min(FURTHEST * PER_ULP, Math.max(-FURTHEST * PER_ULP, place));
    draw();
  }
  picture.svg.addEventListener("pointerdown", (event) => { picture.svg.setPointerCapture(event.pointerId); drag(event); });
  picture.svg.addEventListener("pointermove", (event) => { if (picture.svg.hasPointerCapture(event.pointerId)) drag(event); });

  const legend = h("p", { class: "hb-legend" }, "● even last bit   ○ odd last bit   ┆ halfway: a tie   shaded: where a step ends that is lost");
  const widget = root(el, "A step on the number line",
    h("div", { class: "hb-controls" }, formatChoice.node, stepSlider.node, wSlider.node, buttons), picture.svg, legend, status);
  widget.classList.add("hb-steps");
  draw();
  keepSize(picture, draw);
}

export default { render };
