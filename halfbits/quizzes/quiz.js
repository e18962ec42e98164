// One question of a quiz. The kernel saves each choice and acknowledges it; until then nothing is
// called saved. Feedback arrives with the acknowledgement: it is not in the page before.

const PATIENCE = 2000; // milliseconds until a choice counts as not saved
const ASKS = { one: "choose one", several: "choose all that hold", number: "type a number" };
const LOST = "NOT SAVED: run this cell again, then answer. After a restart, run the imports first.";

function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/** An element whose HTML was made by the course's build, from Markdown without raw HTML. */
function rich(tag, props, html) {
  const node = h(tag, props);
  node.innerHTML = html;
  return node;
}

/** What a screen reader says of an option: formulas as they are typed, without the signs for layout. */
const spoken = ({ id, text }) =>
  `${id.toUpperCase()}: ${text.markdown.replaceAll("\\times", "×").replace(/[$`{}]/g, "").replaceAll("-", "−")}`;

/** Widgets live inside a notebook whose single-key shortcuts would delete cells. */
function keepKeys(event) {
  const free = event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab" || event.key === "Escape";
  if (!free) event.stopPropagation();
}

export function render({ model, el }) {
  const question = model.get("question");
  const { kind } = question;
  const practice = question.mode === "practice";
  const view = Math.random().toString(36).slice(2);
  let count = 0;
  let waiting = ""; // the request that has not been acknowledged
  let timer = null;

  const points = `${question.points} point${question.points > 1 ? "s" : ""}`;
  const options = (question.options ?? []).map((option) =>
    h("button", {
      type: "button", class: "hb-option", "data-option": option.id, "aria-label": spoken(option), "aria-pressed": "false",
      onclick: () => choose(option.id),
    },
      h("span", { class: "hb-letter" }, option.id.toUpperCase()),
      rich("span", { class: "hb-words" }, option.text.html),
      h("span", { class: "hb-mark" })));
  const input = h("input", {
    class: "hb-number", type: "text", spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    "aria-label": "your answer", placeholder: "65504, 1e-3, 1/3, 2^-24",
  });
  const submit = h("button", { type: "button", class: "hb-submit", onclick: () => choose(input.value.trim()) }, "Answer");
  const answers = kind === "number"
    ? h("div", { class: "hb-typing" }, input, submit)
    : h("div", { class: "hb-options" }, ...options);

  const feedback = h("div", { class: "hb-feedback" });
  const saved = h("span", { class: "hb-saved" });
  const status = h("div", { class: "hb-status", role: "status", "aria-live": "polite" }, feedback, saved);
  const left = h("span", { class: "hb-left" });
  const problem = h("p", { class: "hb-problem", role: "alert" });
  const root = h("div", { class: "halfbits-quiz", "data-question": question.id, onkeydown: keepKeys },
    h("fieldset", {},
      h("legend", {},
        h("span", { class: "hb-place" }, `Question ${question.number} of ${question.of} · ${points} · ${ASKS[kind]}`),
        rich("div", { class: "hb-text" }, question.text.html)),
      answers),
    problem,
    h("div", { class: "hb-below" }, status, left));

  const pressed = () => options.filter((o) => o.getAttribute("aria-pressed") === "true").map((o) => o.dataset.option);
  function press(ids, reasons = []) {
    const verdicts = Object.fromEntries(reasons.map(([letter, right]) => [letter, right ? "right" : "wrong"]));
    for (const option of options) {
      option.setAttribute("aria-pressed", ids.includes(option.dataset.option));
      option.dataset.verdict = verdicts[option.dataset.option] ?? "";
    }
  }

  function choose(id) {
    problem.textContent = "";
    if (kind === "number" && !id) {
      problem.textContent = "Type a number first.";
      return;
    }
    if (kind === "one") press([id]);
    if (kind === "several") press(pressed().includes(id) ? pressed().filter((p) => p !== id) : [...pressed(), id]);
    send(kind === "several" ? pressed() : id);
  }

  function send(choice) {
    waiting = `${view}-${++count}`;
    clearTimeout(timer);
    timer = setTimeout(giveUp, PATIENCE);
    root.classList.add("hb-waiting");
    say("saving …");
    try {
      model.send({ choice, request: waiting });
    } catch {
      giveUp(); // the kernel is gone, and the page knows it
    }
  }

  function say(text, done = false) {
    saved.textContent = text;
    saved.classList.toggle("hb-done", done);
  }

  function giveUp() {
    clearTimeout(timer);
    feedback.replaceChildren();
    say("");
    root.dataset.verdict = "";
    problem.textContent = LOST;
  }

  function update() {
    const shown = model.get("shown");
    if (waiting && shown.request !== waiting) return; // an older state; the newer one is on its way
    clearTimeout(timer);
    waiting = "";
    root.classList.remove("hb-waiting");
    problem.textContent = shown.problem ? (shown.request ? `NOT SAVED: ${shown.problem}` : shown.problem) : shown.note;
    show(shown);
  }

  function show({ choice, verdict, reasons, open }) {
    root.dataset.verdict = verdict;
    press([choice ?? []].flat(), reasons);
    if (kind === "number" && choice !== null && document.activeElement !== input) input.value = choice;
    const heading = { right: "✓ Right.", wrong: "✗ Not right yet." }[verdict];
    const lines = reasons.map(([letter, _, html]) =>
      h("div", { class: "hb-reason" },
        ...(letter && reasons.length > 1 ? [h("b", { class: "hb-who" }, letter.toUpperCase())] : []),
        rich("div", {}, html)));
    feedback.replaceChildren(...(heading ? [h("strong", { class: "hb-verdict" }, heading), ...lines] : []));
    const later = practice ? "" : " · feedback comes with your grade";
    if (choice === null) say("not answered yet");
    else say(`${kind === "number" ? `saved: ${choice}` : "saved"}${later}`, true);
    const { of } = question;
    const all = `${of} question${of > 1 ? "s" : ""}`;
    left.textContent = open
      ? `${practice ? "Answer all questions to proceed: " : ""}${open} of ${all} open`
      : `${of} of ${all} answered`;
  }

  input.addEventListener("keydown", (event) => event.key === "Enter" && choose(input.value.trim()));
  model.on("change:shown", update);
  el.append(root);
  update();
  return () => {
    clearTimeout(timer);
    model.off("change:shown", update);
    root.remove();
  };
}

export default { render };
