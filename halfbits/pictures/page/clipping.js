// A gradient as an arrow, clipped after and before the unscale. Drag its tip or use the sliders.

const EPS = 1e-6; // what torch.nn.utils.clip_grad_norm_ adds to the norm
const REACH = 2.2;

const times = ([a, b], factor) => [a * factor, b * factor];
const clipTo = (vector, most) => times(vector, Math.min(1, most / (Math.hypot(...vector) + EPS)));

/** What is left of a gradient in each order. */
function clipOrders(gradient, scale, most) {
  const scaled = times(gradient, scale);
  return { right: clipTo(times(scaled, 1 / scale), most), wrong: times(clipTo(scaled, most), 1 / scale) };
}

function render({ model, el }) {
  let gradient = [...model.get("gradient")];
  let power = model.get("power");
  let most = model.get("max_norm");
  const status = statusLine();
  const coordinate = (i) => slider({
    label: `gradient of weight ${i + 1}`, min: -2, max: 2, step: 0.05, value: gradient[i], say: (x) => minus(x.toFixed(2)),
    change: (x) => { gradient[i] = x; draw(); },
  });
  const coordinates = [coordinate(0), coordinate(1)];
  const scaleSlider = slider({ label: "loss scale", min: 0, max: 16, value: power, say: (p) => `2${superscript(p)}`, change: (p) => { power = p; draw(); } });
  const norm = slider({ label: "max norm", min: 0.1, max: 2, step: 0.1, value: most, say: (x) => x.toFixed(1), change: (x) => { most = x; draw(); } });
  const planes = [plane("Unscaled, then clipped", "right"), plane("Clipped, then unscaled", "wrong")];
  const widget = root(el, "Clip before or after the unscale",
    h("div", { class: "hb-controls" }, ...[...coordinates, scaleSlider, norm].map((each) => each.node)),
    h("div", { class: "hb-planes" }, ...planes.map(({ node }) => node)), status);
  widget.style.setProperty("--right", model.get("color"));

  function plane(title, key) {
    const picture = chart({
      label: `${title}: arrow of the gradient and of what is left`, width: 380, height: 350, margin: { left: 46, right: 10, top: 8 },
      x: { min: -REACH, max: REACH, ticks: [-2, -1, 0, 1, 2], label: "gradient of weight 1" },
      y: { min: -REACH, max: REACH, ticks: [-2, -1, 0, 1, 2], label: "gradient of weight 2" },
    });
    const caption = h("div", { class: `hb-recipe hb-${key}` });
    const node = h("div", { class: "hb-plane" }, h("h4", {}, key === "right" ? "right: unscale, then clip" : "wrong: clip, then unscale"), picture.svg, caption);
    drag(picture.svg, (event) => {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.svg.getScreenCTM().inverse());
      const limit = (x) => Math.round(20 * Math.min(2, Math.max(-2, x))) / 20;
      gradient = [limit(picture.x.invert(place.x)), limit(picture.y.invert(place.y))];
      gradient.forEach((x, i) => { coordinates[i].value = x; });
      draw();
    });
    return { node, picture, caption, key };
  }

  function draw() {
    const kept = clipOrders(gradient, 2 ** power, most);
    for (const { picture, caption, key } of planes) {
      const { x, y, plot } = picture;
      const tip = kept[key];
      plot.replaceChildren(
        s("ellipse", { cx: x(0), cy: y(0), rx: x(most) - x(0), ry: y(0) - y(most), class: "hb-limit" }),
        arrow(x, y, gradient, "hb-gradient"), arrow(x, y, tip, `hb-kept hb-${key}`),
        s("circle", { cx: x(gradient[0]), cy: y(gradient[1]), r: 9, class: "hb-handle" }),
        s("circle", { cx: x(tip[0]), cy: y(tip[1]), r: 3.5, class: `hb-tip hb-${key}` }));
      caption.textContent = recipe(key, kept[key]);
    }
    status.replaceChildren(...sentence(kept));
  }

  function recipe(key, tip) {
    const [true_, scaled, length] = [Math.hypot(...gradient), Math.hypot(...gradient) * 2 ** power, Math.hypot(...tip)];
    return key === "right"
      ? `length ${short(scaled)} → ÷ 2${superscript(power)} → ${short(true_)} → clip → ${short(length)}`
      : `length ${short(scaled)} → clip → ${short(Math.min(scaled, most))} → ÷ 2${superscript(power)} → ${short(length)}`;
  }

  function sentence({ right, wrong }) {
    const [good, bad] = [Math.hypot(...right), Math.hypot(...wrong)];
    if (good === 0) return ["A gradient of length 0 stays 0 in both orders."];
    const factor = good / bad;
    if (factor < 1.001) return [h("strong", {}, "Both orders give the same here"), power ? ": the scaled gradient is shorter than the max norm." : ": a scale of 1 changes nothing."];
    return [h("strong", {}, `Clipping first makes this step ${short(factor, 4)} times too small. `), "It compares the max norm with a gradient that is still multiplied by the loss scale."];
  }

  draw();
}

function arrow(x, y, [a, b], kind) {
  const [fromX, fromY, toX, toY] = [x(0), y(0), x(a), y(b)];
  const length = Math.hypot(toX - fromX, toY - fromY);
  if (length < 1) return s("g");
  const [ux, uy] = [(toX - fromX) / length, (toY - fromY) / length];
  const head = Math.min(11, length);
  const corner = (side) => `${toX - head * ux + side * 0.45 * head * uy} ${toY - head * uy - side * 0.45 * head * ux}`;
  return s("g", { class: kind },
    s("line", { x1: fromX, y1: fromY, x2: toX - 0.7 * head * ux, y2: toY - 0.7 * head * uy }),
    s("path", { d: `M${toX} ${toY}L${corner(1)}L${corner(-1)}Z` }));
}

function drag(svg, move) {
  let down = false;
  svg.addEventListener("pointerdown", (event) => { down = true; svg.setPointerCapture(event.pointerId); move(event); });
  svg.addEventListener("pointermove", (event) => { if (down) move(event); });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { down = false; });
}

export const clips = { clipOrders };
export default { render };
