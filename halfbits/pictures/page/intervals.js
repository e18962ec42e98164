// Accuracies with 95 % intervals that shrink as the number of test examples grows.

const Z95 = 1.959963984540054;
const STEPS = 40;

/** Number of test examples at a place of the slider, in two digits. */
const examplesAt = (step) => Math.round(Number((100 * 10000 ** (step / STEPS)).toExponential(1)));

/** Wilson's 95 % interval of a share of n. */
function wilson(share, n) {
  const shrink = 1 + Z95 ** 2 / n;
  const middle = (share + Z95 ** 2 / (2 * n)) / shrink;
  const half = (Z95 / shrink) * Math.sqrt((share * (1 - share)) / n + Z95 ** 2 / (4 * n * n));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** The gap of two shares in standard errors, pooled. */
function gapInErrors(a, b, n) {
  const p = (a + b) / 2;
  const error = Math.sqrt((2 * p * (1 - p)) / n);
  return error ? (a - b) / error : 0;
}

const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
const percent = (share) => (100 * share).toFixed(2);

function render({ model, el }) {
  const runs = model.get("accuracies");
  let n = examplesAt(model.get("step"));
  const status = statusLine();
  const control = slider({
    label: "test examples n", min: 0, max: STEPS, value: model.get("step"), say: (step) => grouped(examplesAt(step)),
    change: (step) => { n = examplesAt(step); draw(); },
  });
  const shares = runs.map(({ share }) => share);
  const [least, most] = [Math.min(...shares), Math.max(...shares)];
  const reach = Math.max(0.01, 1.2 * (most - least));
  const height = 70 + 46 * runs.length;
  const picture = chart({
    label: "test accuracies with their 95 % intervals", height, margin: { left: 66, top: 16 },
    x: { min: 100 * Math.max(0, least - reach), max: 100 * Math.min(1, most + reach), label: "test accuracy in %" },
    y: { min: runs.length - 0.4, max: -0.6, ticks: runs.map((_, i) => i), say: (i) => runs[i].name },
  });
  const gaps = h("div", { class: "hb-tiles hb-gaps" });
  const widget = root(el, "Intervals of accuracies",
    h("div", { class: "hb-controls" }, control.node), picture.svg, gaps, status);
  widget.style.setProperty("--tile", "150px");

  function draw() {
    const { x, y, plot, left, right } = picture;
    const inside = (place) => Math.min(right, Math.max(left, place));
    plot.replaceChildren(...runs.flatMap(({ share, color }, row) => {
      const [low, high] = wilson(share, n).map((end) => inside(x(100 * end)));
      return [
        s("line", { x1: low, x2: high, y1: y(row), y2: y(row), stroke: color, "stroke-width": 10, "stroke-opacity": 0.4 }),
        s("line", { x1: low, x2: low, y1: y(row) - 9, y2: y(row) + 9, stroke: color, "stroke-width": low > left ? 2 : 0 }),
        s("line", { x1: high, x2: high, y1: y(row) - 9, y2: y(row) + 9, stroke: color, "stroke-width": high < right ? 2 : 0 }),
        s("circle", { cx: x(100 * share), cy: y(row), r: 5.5, fill: color }),
        s("text", { x: x(100 * share), y: y(row) - 11, "text-anchor": "middle" }, `${percent(share)} %`),
      ];
    }));
    const pairs = runs.flatMap((a, i) => runs.slice(i + 1).map((b) => [a, b, Math.abs(gapInErrors(a.share, b.share, n))]));
    gaps.replaceChildren(...pairs.map(([a, b, z]) => h("div", { class: z >= Z95 ? "hb-tile hb-significant" : "hb-tile" },
      h("span", {}, `${a.name} and ${b.name}`), h("div", { class: "hb-share" }, `|z| = ${z.toFixed(2)}`),
      h("span", {}, z >= Z95 ? "significant at 5 %" : "not significant"))));
    const count = pairs.filter(([, , z]) => z >= Z95).length;
    status.replaceChildren(h("strong", {}, `With ${grouped(n)} test examples `),
      count === 0 ? "no gap is significant at the 5 % level." : `${count} of ${pairs.length} gaps ${count === 1 ? "is" : "are"} significant at the 5 % level.`);
  }
  draw();
  keepSize(picture, draw);
}

export const intervals = { examplesAt, wilson, gapInErrors };
export default { render };
