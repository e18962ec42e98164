// A network whose layers are coloured by the dtype of what comes out of them.

function render({ model, el }) {
  const layers = model.get("layers");
  const states = model.get("states");
  let device = model.get("device");
  let dtype = model.get("dtype");
  const status = statusLine();
  const devices = choice({ label: "device", value: device, options: [["cpu", "CPU"], ["cuda", "CUDA"]], change: (key) => { device = key; draw(); } });
  const dtypes = choice({ label: "autocast", value: dtype, options: [["bf16", "to bf16"], ["fp16", "to fp16"], ["off", "off"]], change: (key) => { dtype = key; draw(); } });
  const boxes = layers.map(({ name, weights }) => {
    const format = h("span", { class: "hb-format" });
    const other = h("span", { class: "hb-other" });
    const node = h("div", { class: "hb-layer" }, h("span", { class: "hb-name" }, name), format,
      h("span", { class: "hb-weights" }, weights ? "weights fp32" : "no weights"), other);
    return { node, format, other, name };
  });
  const input = h("div", { class: "hb-layer hb-input", style: `--own: ${model.get("colors").fp32}` },
    h("span", { class: "hb-name" }, "input"), h("span", { class: "hb-format" }, "fp32"), h("span", { class: "hb-weights" }, "\u00a0"), h("span", { class: "hb-other" }));
  const chain = [input, ...boxes.slice(0, -2).map(({ node }) => node)];
  const ends = h("div", { class: "hb-ends" }, ...boxes.slice(-2).map(({ node }) => node));
  const arrow = () => h("span", { class: "hb-arrow", "aria-hidden": "true" }, "→");
  root(el, "Dtypes in a network under autocast", h("div", { class: "hb-controls" }, devices.node, dtypes.node),
    h("div", { class: "hb-network" }, ...chain.flatMap((node) => [node, arrow()]), ends), status);

  function draw() {
    const here = states[`${device} ${dtype}`];
    const there = states[`${device === "cpu" ? "cuda" : "cpu"} ${dtype}`];
    const elsewhere = device === "cpu" ? "CUDA" : "CPU";
    boxes.forEach(({ node, format, other }, i) => {
      format.textContent = here[i];
      node.style.setProperty("--own", model.get("colors")[here[i]]);
      other.textContent = here[i] === there[i] ? "\u00a0" : `${there[i]} on ${elsewhere}`;
    });
    status.replaceChildren(...sentence(here, there, elsewhere));
  }

  function sentence(here, there, elsewhere) {
    const where = h("strong", {}, `${device === "cpu" ? "CPU" : "CUDA"}, ${dtype === "off" ? "no autocast" : `autocast to ${dtype}`}: `);
    if (dtype === "off") return [where, "everything is fp32."];
    const low = here.filter((name) => name === dtype).length;
    const differ = layers.filter((_, i) => here[i] !== there[i]).map(({ name }) => name);
    const list = differ.length > 1 ? `${differ.slice(0, -1).join(", ")} and ${differ.at(-1)}` : differ[0];
    return [where, `${low} of ${layers.length} outputs are ${dtype}, the weights stay fp32. `, differ.length ? `${list} give another dtype on ${elsewhere}.` : `${elsewhere} gives the same.`];
  }

  draw();
}

export default { render };
