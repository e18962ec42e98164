// A training step before and after its matrix products became faster, and Amdahl's law as a curve.

const speedupOf = (share, factor) => 1 / (1 - share + share / factor);

/** The share of the time that must become `factor` times faster; null if none is enough. */
function shareFor(speedup, factor) {
  if (speedup > factor) return null;
  return speedup === factor ? 1 : (1 - 1 / speedup) / (1 - 1 / factor);
}

const FACTORS = Array.from({ length: 97 }, (_, k) => 2 ** (k / 16)); // 1 to 64
const TOP = 9;

function render({ model, el }) {
  let [share, factor] = [model.get("share"), model.get("factor")];
  const targets = model.get("targets");
  const status = statusLine();
  const percent = (x) => `${short(100 * x)}%`;
  const controls = [
    slider({ label: "products' share", min: 0, max: 100, value: Math.round(100 * share), say: (p) => `${p}%`, change: (p) => { share = p / 100; keep(model, { share }); draw(); } }),
    slider({ label: "their speed-up", min: 0, max: 6, step: 0.25, value: Math.log2(factor), say: (k) => short(2 ** k), change: (k) => { factor = 2 ** k; keep(model, { factor }); draw(); } }),
  ];
  const bars = chart({ label: "Time of a step, before and after", height: 128, margin: { left: 64, top: 4 }, x: { min: 0, max: 1, label: "time of a step, before = 1" }, y: { min: 0, max: 2, ticks: [] } });
  const curve = chart({ label: "Speed-up of the whole step against that of the products", height: 290, margin: { left: 64, top: 14 },
    x: { min: 1, max: 64, log: 2, say: String, label: "products are faster by" }, y: { min: 0, max: TOP, label: "whole step is faster by" } });
  const widget = root(el, "Amdahl's law", h("div", { class: "hb-controls" }, ...controls.map((each) => each.node)), bars.svg, curve.svg, status);
  for (const [name, color] of Object.entries(model.get("colors"))) widget.style.setProperty(`--${name}`, color);

  function drawBars() {
    const { x, y, plot } = bars;
    const row = (place, fast, name) => [
      s("text", { x: bars.left - 8, y: y(place - 0.5) + 4, "text-anchor": "end" }, name),
      s("rect", { x: x(0), y: y(place - 0.15), width: x(fast) - x(0), height: y(0.3) - y(1), class: "hb-step hb-fast" }),
      s("rect", { x: x(fast), y: y(place - 0.15), width: x(1 - share) - x(0), height: y(0.3) - y(1), class: "hb-step hb-rest" })];
    const labels = [[share / 2, share, "products"], [share + (1 - share) / 2, 1 - share, "all else"]]
      .filter(([, size]) => size > 0.12)
      .map(([middle, , name]) => s("text", { x: x(middle), y: y(1.5) + 4, "text-anchor": "middle" }, name));
    plot.replaceChildren(...row(2, share, "before"), ...row(1, share / factor, "after"), ...labels);
  }

  function drawCurve() {
    const { x, y, plot, left, right } = curve;
    const total = speedupOf(share, factor);
    const limit = 1 / (1 - share);
    const lines = targets.map(({ name, speedup, color }, i) => s("g", { style: `--own: ${color}` },
      s("line", { x1: left, x2: right, y1: y(speedup), y2: y(speedup), class: "hb-target" }),
      s("text", { x: right - 4, y: y(speedup) + (i ? 15 : -5), "text-anchor": "end" }, `the source's ${name}: ${speedup.toFixed(2)}`)));
    const seen = limit < TOP - 0.5
      ? [s("line", { x1: left, x2: right, y1: y(limit), y2: y(limit), class: "hb-limit-line" }), s("text", { x: left + 5, y: y(limit) - 5 }, `limit ${short(limit)}`)] : [];
    const points = FACTORS.map((f) => [x(f), speedupOf(share, f) <= TOP ? y(speedupOf(share, f)) : NaN]);
    plot.replaceChildren(...lines, ...seen, path(points, { class: "hb-curve" }),
      ...(total <= TOP ? [s("circle", { cx: x(factor), cy: y(total), r: 6, class: "hb-dot" })] : []));
  }

  function draw() {
    drawBars();
    drawCurve();
    const limit = share < 1 ? `; ${short(1 / (1 - share))} is the limit, however fast they are` : "";
    const needed = targets.map(({ name, speedup }) => {
      const enough = shareFor(speedup, factor);
      return enough === null ? `${speedup.toFixed(2)} (${name}) cannot be reached` : `${speedup.toFixed(2)} (${name}) takes a share of ${percent(enough)}`;
    });
    status.replaceChildren(h("strong", {}, `The whole step is ${speedupOf(share, factor).toFixed(2)} times faster`), `${limit}. With this factor the source's ${needed.join(" and ")}.`);
  }

  draw();
  keepSize(bars, draw);
  keepSize(curve, draw);
}

export const amdahl = { speedupOf, shareFor };
export default { render };
