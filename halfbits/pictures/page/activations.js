// Bytes that an MLP saves for backward, in fp32 and under bf16 autocast, from exact counts.

/** What `depth` square layers save, as halfbits.memory.activation_bytes_of counts it. */
function savedBytes(batch, width, depth, activation) {
  const tensors = activation === "GELU" ? 2 * depth : depth + 1;
  const numbers = tensors * batch * width;
  const casts = (depth - 1) * width ** 2;
  return { fp32: 4 * numbers, autocast: 2 * (numbers + casts), casts: 2 * casts };
}

function bytes(count) {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) if (count >= size) return `${short(count / size)} ${unit}`;
  return `${count} B`;
}

const BATCHES = Array.from({ length: 13 }, (_, k) => 2 ** k);

function render({ model, el }) {
  let [width, depth, batch, activation] = ["width", "depth", "batch", "activation"].map((key) => model.get(key));
  const status = statusLine();
  const exponent = (x) => Math.round(Math.log2(x));
  const controls = [
    slider({ label: "batch size", min: 0, max: 12, value: exponent(batch), say: (k) => String(2 ** k), change: (k) => { batch = 2 ** k; draw(); } }),
    slider({ label: "width", min: 5, max: 12, value: exponent(width), say: (k) => String(2 ** k), change: (k) => { width = 2 ** k; draw(); } }),
    slider({ label: "layers", min: 1, max: 24, value: depth, say: String, change: (n) => { depth = n; draw(); } }),
    choice({ label: "activation", value: activation, options: [["GELU", "GELU"], ["ReLU", "ReLU"]], change: (key) => { activation = key; draw(); } }),
  ];
  const picture = chart({ label: "Bytes saved for backward against the batch size, in fp32 and under bf16 autocast", height: 300, margin: { left: 72, top: 16, right: 96 }, x: { min: 1, max: 4096, log: 2 }, y: { min: 1, max: 2, log: 10 } });
  const widget = root(el, "Bytes saved for backward", h("div", { class: "hb-controls" }, ...controls.map((each) => each.node)), picture.svg, status);
  for (const [name, color] of Object.entries(model.get("colors"))) widget.style.setProperty(`--${name}`, color);

  function draw() {
    const costs = BATCHES.map((b) => savedBytes(b, width, depth, activation));
    const ends = costs.flatMap(({ fp32, autocast }) => [fp32, autocast]);
    picture.axes(
      { min: 1, max: 4096, log: 2, say: String, label: "batch size" },
      { min: Math.min(...ends) / 1.5, max: Math.max(...ends) * 1.5, log: 10, say: bytes, label: "saved for backward" });
    const { x, y, plot, left, right, top, bottom } = picture;
    const curve = (key) => BATCHES.map((b, i) => [x(b), y(costs[i][key])]);
    const now = savedBytes(batch, width, depth, activation);
    // The label of the copies lies where the fp32 curve is above them, or far below.
    const crossing = BATCHES.find((_, i) => costs[i].fp32 >= now.casts);
    const late = x(crossing) > (left + right) / 2;
    const names = apart([y(costs[12].fp32), y(costs[12].autocast)], 15);
    plot.replaceChildren(
      ...(now.casts ? [s("line", { x1: left, x2: right, y1: y(now.casts), y2: y(now.casts), class: "hb-casts" }),
        s("text", { x: late ? left + 6 : right - 6, y: y(now.casts) + 15, "text-anchor": late ? "start" : "end" }, `copies of weights: ${bytes(now.casts)}`)] : []),
      s("line", { x1: x(batch), x2: x(batch), y1: top, y2: bottom, class: "hb-batch" }),
      path(curve("fp32"), { class: "hb-curve hb-fp32" }), path(curve("autocast"), { class: "hb-curve hb-autocast" }),
      s("text", { x: right + 6, y: names[0] + 4 }, "fp32"), s("text", { x: right + 6, y: names[1] + 4 }, "bf16 autocast"),
      s("circle", { cx: x(batch), cy: y(now.fp32), r: 5, class: "hb-dot hb-fp32" }),
      s("circle", { cx: x(batch), cy: y(now.autocast), r: 5, class: "hb-dot hb-autocast" }));
    const less = now.autocast < now.fp32;
    const equal = now.autocast === now.fp32;
    const verdict = equal ? "equally much" : `autocast keeps ${less ? `${short((100 * now.autocast) / now.fp32)}% of that` : `${short(now.autocast / now.fp32)} times as much`}`;
    const copies = now.casts ? `${bytes(now.casts)} are 16-bit copies of weights, whatever the batch.` : "No copy of a weight is among it: the gradient of the network's input is not wanted.";
    status.replaceChildren(h("strong", {}, `Batch ${batch}: fp32 ${bytes(now.fp32)}, bf16 autocast ${bytes(now.autocast)}`), `: ${verdict}. ${copies}`);
  }

  draw();
  keepSize(picture, draw);
}

export const activations = { savedBytes };
export default { render };
