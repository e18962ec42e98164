// Stochastic rounding of one number: how often each neighbour comes up, and where the mean goes.

const MOST = 100_000;
const MARGIN = 0.13; // beyond the neighbours, in gaps
const digits = (x) => minus(x.toLocaleString("en-US", { maximumSignificantDigits: 9 }));
const grouped = (n) => n.toLocaleString("en-US");

/** Numbers in [0, 1) from a seed (mulberry32). */
function chance(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function render({ model, el }) {
  const [f] = model.get("formats");
  const [low, high] = [model.get("low"), model.get("high")];
  let share = model.get("share");
  let seed = 1;
  let draw01, count;
  const highs = new Uint32Array(MOST + 1); // how often the upper neighbour came up in the first n
  const xOf = () => low + share * (high - low);
  const meanOf = (n) => low + (highs[n] / n) * (high - low);

  const asked = share;
  const shareAt = (place) => (Math.abs(place - asked * 64) < 0.5 ? asked : place / 64);
  const shareSlider = slider({
    label: "x lies", min: 0, max: 64, value: Math.round(share * 64),
    say: (place) => `${Number((100 * shareAt(place)).toPrecision(4))}% of the way up from ${digits(low)}`,
    change: (place) => { share = shareAt(place); keep(model, { share }); restart(); },
  });
  const rolls = [1, 10, 1000].map((n) => button(n === 1 ? "round once" : `${grouped(n)} times`, () => roll(n)));
  const again = button("start again", () => restart());
  const other = button("another seed", () => { seed += 1; restart(); });
  const bars = chart({ label: "How often each neighbour came up", width: 280, height: 250, margin: { left: 50, right: 8 }, x: { min: 0, max: 1 }, y: { min: 0, max: 1 } });
  const means = chart({ label: "Running mean of the rounded values", width: 480, height: 250, margin: { left: 100 }, x: { min: 1, max: 1000, log: 10 }, y: { min: 0, max: 1 } });
  const status = statusLine();

  function restart() {
    [draw01, count] = [chance(seed), 0];
    draw();
  }
  function roll(times) {
    const end = Math.min(MOST, count + times);
    for (; count < end; count += 1) highs[count + 1] = highs[count] + (draw01() < share ? 1 : 0);
    draw();
  }

  function drawBars() {
    const up = highs[count];
    const most = Math.max(10, count);
    bars.axes({ min: 0, max: 2, ticks: [0.5, 1.5], say: (place) => digits(place < 1 ? low : high), label: `rounded to (${f.name})` }, { min: 0, max: most, label: "how often" });
    const bar = (place, times) => s("rect", { x: bars.x(place) - 34, width: 68, y: bars.y(times), height: bars.bottom - bars.y(times), fill: f.color });
    const expected = (place, times) => s("line", { x1: bars.x(place) - 42, x2: bars.x(place) + 42, y1: bars.y(times), y2: bars.y(times), class: "hb-exact" });
    const number = (place, times, wanted) => s("text", { x: bars.x(place), y: bars.y(Math.max(times, wanted)) - 6, "text-anchor": "middle" }, grouped(times));
    bars.plot.replaceChildren(bar(0.5, count - up), bar(1.5, up),
      ...(count ? [expected(0.5, count * (1 - share)), expected(1.5, count * share), number(0.5, count - up, count * (1 - share)), number(1.5, up, count * share)] : []));
  }

  function drawMeans() {
    const [x, nearest, gap] = [xOf(), roundTo(xOf(), f), high - low];
    const end = Math.max(100, 10 ** Math.ceil(Math.log10(Math.max(1, count))));
    const places = [...new Set([low, high, x])].filter((y) => y === x || Math.abs(y - x) > 0.07 * gap);
    means.axes({ min: 1, max: end, log: 10, label: "roundings, logarithmic" }, { min: low - MARGIN * gap, max: high + MARGIN * gap, ticks: places, say: (y) => (y === x ? `x = ${digits(y)}` : digits(y)), label: "" });
    const ns = [...new Set(Array.from({ length: 400 }, (_, i) => Math.round(Math.max(1, count) ** (i / 399))))];
    const level = (y, name) => s("line", { x1: means.left, x2: means.right, y1: means.y(y), y2: means.y(y), class: name });
    const spread = (n) => 2 * gap * Math.sqrt((share * (1 - share)) / n);
    const edge = Array.from({ length: 80 }, (_, i) => end ** (i / 79));
    const clip = (y) => Math.min(high + MARGIN * gap, Math.max(low - MARGIN * gap, y));
    const band = [...edge.map((n) => [means.x(n), means.y(clip(x + spread(n)))]), ...edge.toReversed().map((n) => [means.x(n), means.y(clip(x - spread(n)))])];
    const above = nearest > x;
    means.plot.replaceChildren(
      path(band, { class: "hb-band" }), level(x, "hb-exact"), level(nearest, "hb-nearest"),
      s("text", { x: means.right - 4, y: means.y(nearest) + (above ? -6 : 15), "text-anchor": "end" }, "rounded to nearest: always here"),
      ...(count ? [path(ns.map((n) => [means.x(n), means.y(meanOf(n))]), { stroke: f.color, "stroke-width": 2.2 }), s("circle", { cx: means.x(count), cy: means.y(meanOf(count)), r: 4, fill: f.color })] : []));
  }

  function draw() {
    drawBars();
    drawMeans();
    for (const each of rolls) each.disabled = count >= MOST;
    const [x, nearest] = [xOf(), roundTo(xOf(), f)];
    if (x === nearest) {
      status.textContent = `x = ${digits(x)} is a number of ${f.name} and stays what it is: every rule leaves it alone.`;
      return;
    }
    const constant = `Rounded to nearest it is ${digits(nearest)} every time, ${short(Math.abs(nearest - x))} off, and no repetition helps.`;
    if (count === 0) {
      status.textContent = `x = ${digits(x)} goes up with probability ${short(share)}, else down. ${constant}`;
      return;
    }
    const mean = meanOf(count);
    status.textContent = `${grouped(count)} rounding${count > 1 ? "s" : ""} of x = ${digits(x)} (seed ${seed}): ${grouped(highs[count])} went up, ${grouped(count - highs[count])} down. ` +
      `The mean is ${digits(mean)}, ${mean === x ? "x itself" : `${short(Math.abs(mean - x))} off`}. ${constant}`;
  }

  const widget = root(el, "Stochastic rounding",
    h("div", { class: "hb-controls" }, shareSlider.node, h("div", { class: "hb-choice" }, ...rolls, again, other)),
    h("div", { class: "hb-panels" }, h("div", {}, bars.svg), h("div", {}, means.svg)),
    h("p", { class: "hb-legend" }, "┄ expected, and x   shaded: within two standard errors of x"), status);
  widget.classList.add("hb-stochastic");
  restart();
  keepSize(bars, drawBars, [200, 960]);
  keepSize(means, drawMeans, [300, 960]);
}

export default { render };
