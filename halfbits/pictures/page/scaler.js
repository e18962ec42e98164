// The dynamic loss scale, step by step: the rule of torch.amp.GradScaler, with an inf on demand.

const OVERFLOW = 65520; // the smallest magnitude that fp16 rounds to infinity
const FP32_MAX = (2 - 2 ** -23) * 2 ** 127;

/** What a scaler is at the start: `scale`, and how many good steps there were in a row. */
const startScaler = (settings) => ({ scale: 2 ** settings.init, good: 0 });

/** One step: whether it is skipped, and the scaler after it. Scales are fp32, as torch's are. */
function stepScaler({ scale, good }, { growth, backoff, interval, gradient }, injected) {
  const skipped = injected || scale * 2 ** gradient >= OVERFLOW;
  if (skipped) return { skipped, after: { scale: Math.fround(scale * backoff), good: 0 } };
  if (good + 1 < interval) return { skipped, after: { scale, good: good + 1 } };
  const grown = scale * growth;
  return { skipped, after: { scale: grown <= FP32_MAX ? Math.fround(grown) : scale, good: 0 } };
}

const nameScale = (x) => {
  const e = Math.round(Math.log2(x));
  return 2 ** e === x ? `2${superscript(e)}` : short(x);
};

function render({ model, el }) {
  const settings = { ...model.get("settings") };
  let trace, scaler, last; // trace: [scale, skipped] for each step
  const status = statusLine();
  const restart = () => { trace = []; scaler = startScaler(settings); last = null; draw(); };

  function advance(steps, injected = false) {
    for (let i = 0; i < steps; i += 1) {
      const before = scaler.scale;
      const { skipped, after } = stepScaler(scaler, settings, injected);
      trace.push([before, skipped]);
      last = { before, skipped, injected };
      scaler = after;
    }
    draw();
  }

  const power = (e) => `2${superscript(e)}`;
  const set = (key) => (value) => { settings[key] = Number(value); draw(); };
  const controls = [
    slider({ label: "largest gradient", min: -20, max: 4, value: settings.gradient, say: power, change: set("gradient") }),
    slider({ label: "initial scale", min: 0, max: 24, value: settings.init, say: power, change: (e) => { settings.init = e; restart(); } }),
    slider({ label: "growth interval", min: 1, max: Math.max(50, settings.interval), value: settings.interval, say: (n) => `${n} steps`, change: set("interval") }),
    choice({ label: "growth", value: settings.growth, options: options([2, 1.5, 4], settings.growth), change: set("growth") }),
    choice({ label: "backoff", value: settings.backoff, options: options([0.5, 0.25, 0.9], settings.backoff), change: set("backoff") }),
  ];
  const inject = button("inject an inf", () => advance(1, true));
  inject.classList.add("hb-inject");
  const steps = h("div", { class: "hb-controls" },
    button("1 step", () => advance(1)), button("10 steps", () => advance(10)), button("100 steps", () => advance(100)),
    inject, button("start again", restart));
  const picture = chart({
    label: "Loss scale over the steps, with a line above which gradients overflow", height: 290, margin: { top: 22 },
    x: { min: 0, max: 100 }, y: { min: 1, max: 2, log: 2 },
  });
  const widget = root(el, "Dynamic loss scale", h("div", { class: "hb-controls" }, ...controls.map((each) => each.node)), steps, picture.svg, status);
  widget.style.setProperty("--fp16", model.get("color"));

  function draw() {
    const ceiling = OVERFLOW / 2 ** settings.gradient;
    const scales = [...trace.map(([scale]) => scale), scaler.scale];
    const low = Math.min(...scales) / 4;
    const high = Math.max(...scales, Math.min(ceiling, 2 ** 40)) * 8;
    picture.axes({ min: 0, max: Math.max(100, trace.length), label: "step" }, { min: low, max: high, log: 2, label: "loss scale" });
    const { x, y, plot, left, right, top } = picture;
    const line = trace.flatMap(([scale], i) => [[x(i), y(scale)], [x(i + 1), y(scale)]]);
    const crosses = trace.flatMap(([scale, skipped], i) => (skipped ? [cross(x(i + 0.5), y(scale))] : []));
    plot.replaceChildren();
    if (ceiling < high) {
      plot.append(s("rect", { x: left, width: right - left, y: top, height: y(ceiling) - top, class: "hb-over" }),
        s("line", { x1: left, x2: right, y1: y(ceiling), y2: y(ceiling), class: "hb-ceiling" }),
        s("text", { x: left + 6, y: top + 14 }, // three octaves up there are always empty
          `overflow: scale × ${power(settings.gradient)} ≥ 65520`));
    }
    plot.append(path(line, { class: "hb-scale" }), ...crosses,
      s("circle", { cx: x(trace.length), cy: y(scaler.scale), r: 5, class: "hb-now" }));
    status.replaceChildren(...sentence());
  }

  function sentence() {
    const skipped = trace.filter(([, bad]) => bad).length;
    const now = h("strong", {}, `Scale ${nameScale(scaler.scale)}. `);
    if (!last) return [now, "Take some steps, or inject an inf."];
    const { before, injected } = last;
    const cause = injected ? "the injected inf" : `${power(settings.gradient)} × ${nameScale(before)} is too large for fp16, so there was an inf`;
    const what = last.skipped
      ? `Step ${trace.length} was skipped: ${injected ? "it met the injected inf" : cause}. Scale ${nameScale(before)} → ${nameScale(scaler.scale)}, counting starts anew.`
      : scaler.scale > before
        ? `Step ${trace.length} was the last of ${settings.interval} good ones in a row: scale ${nameScale(before)} → ${nameScale(scaler.scale)}.`
        : `Step ${trace.length} went through: ${scaler.good} of ${settings.interval} good steps towards growth.`;
    return [now, what, ` Skipped so far: ${skipped} of ${trace.length}.`];
  }

  restart();
  keepSize(picture, draw);
}

const options = (values, own) => [...new Set([...values, own])].map((value) => [value, `× ${short(value)}`]);

const cross = (x, y) => s("path", { d: `M${x - 5} ${y - 5}l10 10m0 -10l-10 10`, class: "hb-cross" });

export const scaling = { startScaler, stepScaler };
export default { render };
