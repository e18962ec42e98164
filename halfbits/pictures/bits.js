// The bit explorer in two parts: exact arithmetic without a DOM, then the page.

// ---------------------------------------------------------------- Arithmetic
// A value is {kind: "finite" | "inf" | "nan", negative, num, den}: BigInt num >= 0, den > 0.
// A format is {name, exp_bits, man_bits, infinities}. A pattern is the BigInt of its bits.
// Nothing here passes through a JavaScript number: doubles would round twice.

const finite = (negative, num, den = 1n) => ({ kind: "finite", negative, num, den });
const infinity = (negative) => ({ kind: "inf", negative, num: 0n, den: 1n });
const notANumber = () => ({ kind: "nan", negative: false, num: 0n, den: 1n });

const power = (base, exponent) =>
  exponent >= 0 ? finite(false, base ** BigInt(exponent)) : finite(false, 1n, base ** BigInt(-exponent));
const signed = ({ negative, num }) => (negative ? -num : num);
const absolute = (num) => (num < 0n ? -num : num);
const negate = (x) => ({ ...x, negative: !x.negative });

function add(x, y) {
  const num = signed(x) * y.den + signed(y) * x.den;
  return finite(num < 0n, absolute(num), x.den * y.den);
}

const multiply = (x, y) => finite(x.negative !== y.negative, x.num * y.num, x.den * y.den);
const divide = (x, y) => finite(x.negative !== y.negative, x.num * y.den, x.den * y.num);

// The same grammar as in bits.py: signed terms of factors, a factor is 12.5e-3 or 2^-24.
const NUMBER = String.raw`(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,4})?`;
const FACTOR = String.raw`(?:\d{1,3}\^[+-]?\d{1,4}|${NUMBER})`;
const TERM = `${FACTOR}(?:[*/]${FACTOR})*`;
const EXPRESSION = new RegExp(`^[+-]?${TERM}(?:[+-]${TERM})*$`);
const LONGEST = 200;

function parseFactor(text) {
  if (text.includes("^")) {
    const [base, exponent] = text.split("^");
    if (BigInt(base) === 0n) throw new Error("A power needs a base other than 0.");
    return power(BigInt(base), Number(exponent));
  }
  const [mantissa, exponent = "0"] = text.split("e");
  const [whole, fraction = ""] = mantissa.split(".");
  const digits = finite(false, BigInt(whole + fraction));
  return multiply(digits, power(10n, Number(exponent) - fraction.length));
}

function parseTerm(text) {
  const [first, ...rest] = text.match(new RegExp(`[*/]?${FACTOR}`, "g"));
  return rest.reduce((product, part) => {
    const factor = parseFactor(part.slice(1));
    if (part[0] === "*") return multiply(product, factor);
    if (factor.num === 0n) throw new Error("Division by zero has no value to round.");
    return divide(product, factor);
  }, parseFactor(first));
}

/** The exact value of a typed text; throws an Error with a one-line message. */
function parse(typed) {
  const plain = typed.trim().toLowerCase().replaceAll("−", "-").replaceAll("×", "*").replaceAll("**", "^");
  const special = plain.match(/^([+-]?)(?:(inf|infinity|∞)|nan)$/);
  if (special) return special[2] ? infinity(special[1] === "-") : notANumber();
  const text = plain.replace(/\s*([-+*/^])\s*/g, "$1");
  if (text.length > LONGEST || !EXPRESSION.test(text)) {
    throw new Error(`“${typed.trim().slice(0, 40)}” is not a number: try 0.1, 1e-8, 1/3, 2^-24, inf or nan.`);
  }
  const terms = text.match(new RegExp(`[+-]?${TERM}`, "g")).map((term) => {
    const value = parseTerm(term.replace(/^[+-]/, ""));
    return term[0] === "-" ? negate(value) : value;
  });
  return terms.length === 1 ? terms[0] : terms.reduce(add);
}

const bitLength = (n) => n.toString(2).length;
const bias = (f) => 2 ** (f.exp_bits - 1) - 1;
const width = (f) => 1 + f.exp_bits + f.man_bits;
const signBit = (f) => 1n << BigInt(f.exp_bits + f.man_bits);
const allExponent = (f) => ((1n << BigInt(f.exp_bits)) - 1n) << BigInt(f.man_bits);
const magnitude = (pattern, f) => pattern & (signBit(f) - 1n);
const largest = (f) => (f.infinities ? allExponent(f) - 1n : signBit(f) - 2n);
const overflowPattern = (f) => (f.infinities ? allExponent(f) : signBit(f) - 1n);
const nanPattern = (f) => (f.infinities ? allExponent(f) | (1n << BigInt(f.man_bits - 1)) : signBit(f) - 1n);

/** num/den rounded to an integer, ties to even. */
function roundToEven(num, den) {
  const quotient = num / den;
  const twice = 2n * (num % den);
  const up = twice > den || (twice === den && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}

/** floor(log2(num/den)) for num > 0. */
function floorLog2(num, den) {
  const guess = bitLength(num) - bitLength(den);
  const below = guess >= 0 ? num < den << BigInt(guess) : num << BigInt(-guess) < den;
  return below ? guess - 1 : guess;
}

/** The pattern nearest to a value, ties to even; beyond the range ±∞, or NaN without infinities. */
function encode(value, f) {
  if (value.kind === "nan") return nanPattern(f);
  const sign = value.negative ? signBit(f) : 0n;
  if (value.kind === "inf") return sign | overflowPattern(f);
  if (value.num === 0n) return sign;
  const smallest = 1 - bias(f);
  const exponent = Math.max(floorLog2(value.num, value.den), smallest);
  const scale = power(2n, f.man_bits - exponent);
  const significand = roundToEven(value.num * scale.num, value.den * scale.den);
  // The hidden bit, and a carry out of the significand, add one to the exponent field.
  const bits = (BigInt(exponent - smallest) << BigInt(f.man_bits)) + significand;
  return sign | (bits > largest(f) ? overflowPattern(f) : bits);
}

function fields(pattern, f) {
  const fraction = pattern & ((1n << BigInt(f.man_bits)) - 1n);
  const exponent = Number(magnitude(pattern, f) >> BigInt(f.man_bits));
  return { sign: (pattern & signBit(f)) !== 0n ? 1 : 0, exponent, fraction };
}

/** The exact value of a pattern. */
function decode(pattern, f) {
  const { sign, exponent, fraction } = fields(pattern, f);
  const bits = magnitude(pattern, f);
  if (bits > largest(f)) {
    return f.infinities && bits === allExponent(f) ? infinity(sign === 1) : notANumber();
  }
  const hidden = exponent === 0 ? 0n : 1n << BigInt(f.man_bits);
  return { ...multiply(finite(false, fraction + hidden), ulp(pattern, f)), negative: sign === 1 };
}

/** The distance from a finite pattern's value to the next one away from zero. */
const ulp = (pattern, f) => power(2n, ulpExponent(pattern, f));
const ulpExponent = (pattern, f) => Math.max(fields(pattern, f).exponent, 1) - bias(f) - f.man_bits;

function classify(pattern, f) {
  const { kind, negative, num } = decode(pattern, f);
  const sign = negative ? "−" : "+";
  if (kind === "nan") return "NaN";
  if (kind === "inf") return `${sign}∞`;
  if (num === 0n) return `${sign}0`;
  return fields(pattern, f).exponent === 0 ? "subnormal" : "normal";
}

/** The next pattern up (direction 1) or down (-1) as IEEE 754's nextUp and nextDown, else null. */
function neighbour(pattern, f, direction) {
  if (classify(pattern, f) === "NaN") return null;
  const bits = magnitude(pattern, f);
  if (bits === 0n) return direction > 0 ? 1n : signBit(f) | 1n;
  const sign = pattern & signBit(f);
  const outward = (sign === 0n) === direction > 0;
  const next = sign | (outward ? bits + 1n : bits - 1n);
  return classify(next, f) === "NaN" ? null : next;
}

/** Error of a pattern against a reference: signed, relative, in ulps; null where there is none. */
function errors(pattern, f, reference) {
  const value = decode(pattern, f);
  if (value.kind !== "finite" || reference.kind !== "finite") return null;
  const error = add(value, negate(reference));
  const relative = reference.num === 0n ? null : divide(error, { ...reference, negative: false });
  return { signed: error, relative, ulps: divide(error, ulp(pattern, f)) };
}

function toBits(pattern, f) {
  const text = pattern.toString(2).padStart(width(f), "0");
  return `${text[0]} ${text.slice(1, 1 + f.exp_bits)} ${text.slice(1 + f.exp_bits)}`;
}

const fromBits = (text) => BigInt(`0b${text.replaceAll(" ", "")}`);

// Decimal text. Digits are {digits, exponent}: d.ddd × 10^exponent.

/** All digits of a value whose denominator is a power of two. */
function exactDigits({ num, den }) {
  if (num === 0n) return { digits: "0", exponent: 0 };
  const places = bitLength(den) - 1;
  const digits = (num * 5n ** BigInt(places)).toString();
  return { digits: digits.replace(/0+$/, ""), exponent: digits.length - 1 - places };
}

/** The first n significant digits of any value but zero, rounded. */
function roundedDigits({ num, den }, n) {
  const scaled = (k) => (k >= 0 ? [num * 10n ** BigInt(k), den] : [num, den * 10n ** BigInt(-k)]);
  let exponent = num.toString().length - den.toString().length;
  const [a, b] = scaled(-exponent);
  if (a < b) exponent -= 1;
  const digits = roundToEven(...scaled(n - 1 - exponent)).toString();
  if (digits.length > n) exponent += 1;
  return { digits: digits.replace(/0+$/, ""), exponent };
}

function plainDecimal({ digits, exponent }) {
  if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.padEnd(exponent + 1, "0");
  const fraction = whole.slice(exponent + 1);
  return whole.slice(0, exponent + 1) + (fraction && `.${fraction}`);
}

const superscript = (n) => String(n).replace("-", "⁻").replace("+", "").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);

function scientific({ digits, exponent }) {
  const significand = digits[0] + (digits.length > 1 ? `.${digits.slice(1)}` : "");
  return `${significand}×10${superscript(exponent)}`;
}

function special({ kind, negative }, minus) {
  if (kind === "nan") return "NaN";
  return kind === "inf" ? `${negative ? minus : "+"}∞` : null;
}

/** Every digit of a decoded value, for instance -0.0999755859375. */
function exactDecimal(value) {
  return special(value, "-") ?? (value.negative ? "-" : "") + plainDecimal(exactDigits(value));
}

/** A decoded value for reading: exact where it fits, else shortened in the middle. */
function readable(value, limit = 60) {
  const named = special(value, "−");
  if (named) return named;
  const minus = value.negative ? "−" : "";
  const exact = exactDigits(value);
  const plain = plainDecimal(exact);
  if (plain.length <= limit && exact.exponent > -8) return minus + plain;
  const { digits, exponent } = exact;
  const half = Math.floor((limit - 8) / 2);
  const short = digits.length <= 2 * half ? digits : `${digits.slice(0, half)}…${digits.slice(-half)}`;
  if (exponent < -5 || exponent > 20) return minus + scientific({ digits: short, exponent });
  return `${minus}${plain.slice(0, half + 2)}…${plain.slice(-half)}`;
}

/** A decoded value for a narrow place: exact where short, else just the digits that tell it from its neighbours. */
function brief(value, f) {
  const named = special(value, "−");
  if (named) return named;
  const { digits, exponent } = exactDigits(value);
  const plain = plainDecimal({ digits, exponent });
  const minus = value.negative ? "−" : "";
  if (plain.length <= 18 && exponent > -8) return minus + plain;
  const enough = 1 + Math.ceil((f.man_bits + 1) * Math.log10(2));
  const [first, rest] = [digits.slice(0, enough), digits.length > enough ? "…" : ""];
  if (exponent >= -3 && exponent < first.length - 1) return minus + plainDecimal({ digits: first, exponent }) + rest;
  return minus + scientific({ digits: first + rest, exponent });
}

/** Any rational to a few significant digits. */
function approximate(value, n = 4) {
  if (value.num === 0n) return "0";
  const rounded = roundedDigits(value, n);
  const plain = rounded.exponent >= -3 && rounded.exponent < 6;
  return (value.negative ? "−" : "") + (plain ? plainDecimal(rounded) : scientific(rounded));
}

/** An exact text that parse() reads back: decimal where short, else 2^k or m*2^k. */
function typeable(value) {
  if (value.kind !== "finite") return (value.negative ? "-" : "") + value.kind;
  if (value.num === 0n) return value.negative ? "-0" : "0";
  const minus = value.negative ? "-" : "";
  let odd = value.num;
  let exponent = 1 - bitLength(value.den);
  const zeros = odd.toString(2).match(/0*$/)[0].length;
  odd >>= BigInt(zeros);
  exponent += zeros;
  const plain = plainDecimal(exactDigits(value));
  if (odd === 1n && Math.abs(exponent) > 10) return `${minus}2^${exponent}`;
  return minus + (plain.length <= 30 ? plain : `${odd}*2^${exponent}`);
}

export const arithmetic = {
  parse, encode, decode, classify, neighbour, ulp, errors, toBits, fromBits, exactDecimal, approximate, readable, brief, typeable,
};

// ---------------------------------------------------------------------- Page

const PRESETS = ["0.1", "1/3", "1+2^-11", "65504", "65520", "2^-24", "1e-8", "-0", "inf", "nan"];

/** A typed text as it reads best: 2^-24 as 2⁻²⁴. */
const pretty = (typed) =>
  typed.trim().replace(/\^([+-]?\d+)/g, (_, exponent) => superscript(exponent))
    .replaceAll("-", "−").replace(/\binf(inity)?\b/i, "∞").replace(/nan/i, "NaN");

function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

const fieldOf = (index, f) => (index === 0 ? "sign" : index <= f.exp_bits ? "exponent" : "fraction");

function weight(index, f) {
  const field = fieldOf(index, f);
  if (field === "sign") return "sign bit: 1 makes the number negative";
  // Exponent bits count down to 2⁰ and fraction bits go on below it.
  return `${field} bit worth 2${superscript(f.exp_bits - index)}`;
}

/** How the fields are read, as nodes: (−1)^s × 2^(e−bias) × 1.fff₂. */
function formula(pattern, f) {
  const { sign, exponent, fraction } = fields(pattern, f);
  const kind = classify(pattern, f);
  const part = (name, text) => h("span", { class: `hb-${name}` }, text);
  if (kind === "NaN" && !f.infinities) return ["all exponent and fraction bits are 1"];
  if (kind === "NaN") return ["exponent bits all 1, fraction not 0"];
  if (kind.endsWith("∞")) return ["exponent bits all 1, fraction 0"];
  const subnormal = exponent === 0;
  const shown = subnormal ? "1" : part("exponent", String(exponent));
  const digits = fraction.toString(2).padStart(f.man_bits, "0");
  return [
    "(−1)", h("sup", {}, part("sign", String(sign))),
    " × 2", h("sup", {}, shown, `−${bias(f)}`),
    ` × ${subnormal ? "0" : "1"}.`, part("fraction", digits), h("sub", {}, "2"),
  ];
}

/** What rounding did that the numbers alone do not say. */
function remark(pattern, f, reference, typed) {
  const value = decode(pattern, f);
  const kind = classify(pattern, f);
  const rounded = pattern === encode(reference, f);
  if (rounded && reference.kind === "finite" && value.kind !== "finite") {
    const limit = readable(decode(largest(f), f), 24);
    const fate = value.kind === "inf" ? `becomes ${kind}` : "becomes NaN, because this format has no ∞";
    return `Overflow: ${typed} lies beyond the largest ${f.label} number, ${limit}, and ${fate}.`;
  }
  if (rounded && reference.kind === "inf" && value.kind === "nan") return "This format has no ∞: it becomes NaN.";
  if (rounded && kind.endsWith("0") && reference.num !== 0n) {
    return `Underflow: ${typed} is too small for ${f.label}, whose smallest positive number is 2${superscript(ulpExponent(0n, f))}.`;
  }
  if (kind === "subnormal") return "Subnormal: the leading 1 is gone, so fewer significant bits are left.";
  return "";
}

/** One format: header, bits, reading, neighbours, errors. */
class Panel {
  constructor(f, setPattern) {
    this.f = f;
    this.setPattern = setPattern;
    this.kind = h("span", { class: "hb-kind" });
    this.formula = h("span", { class: "hb-formula" });
    this.exact = h("span", { class: "hb-exact" });
    this.full = h("details", { class: "hb-full" }, h("summary", {}, "all digits"), h("code", {}));
    this.note = h("p", { class: "hb-note" });
    this.measures = h("dl", { class: "hb-measures" });
    this.steps = { [-1]: this.stepButton(-1), [1]: this.stepButton(1) };
    this.track = h("div", { class: "hb-track", "aria-hidden": "true" });
    this.node = h(
      "section",
      { class: "hb-format", role: "group", "aria-label": f.label, style: `--format: ${f.color}`, "data-format": f.name },
      h("div", { class: "hb-head" },
        h("strong", { class: "hb-name" }, f.label),
        h("span", { class: "hb-layout" }, `1 + ${f.exp_bits} + ${f.man_bits} = ${width(f)} bits`), this.kind),
      this.bitRow(),
      h("div", { class: "hb-reading" }, this.formula, " ", this.exact, this.full),
      h("div", { class: "hb-line" }, this.steps[-1], this.track, this.steps[1]),
      this.measures,
      this.note,
    );
  }

  bitRow() {
    const { f } = this;
    this.bits = Array.from({ length: width(f) }, (_, index) =>
      h("button", {
        type: "button", class: "hb-bit", tabindex: index === 0 ? "0" : "-1", title: weight(index, f),
        "aria-label": weight(index, f), onclick: () => this.flip(index),
      }));
    this.labels = {};
    const group = (name, bits) => {
      this.labels[name] = h("span", { class: "hb-label", "aria-hidden": "true" }, name);
      const cells = h("div", { class: "hb-cells" }, ...bits);
      return h("div", { class: `hb-field hb-${name}`, role: "group", "aria-label": name }, this.labels[name], cells);
    };
    const size = width(f) > 20 ? "hb-bits hb-small" : "hb-bits";
    return h(
      "div",
      { class: size, role: "group", "aria-label": `${f.label} bits: arrow keys move, Space flips`, onkeydown: (e) => this.move(e) },
      group("sign", this.bits.slice(0, 1)),
      group("exponent", this.bits.slice(1, 1 + f.exp_bits)),
      group("fraction", this.bits.slice(1 + f.exp_bits)),
    );
  }

  stepButton(direction) {
    const text = h("span", { class: "hb-step-value" });
    const arrow = h("span", { "aria-hidden": "true" }, direction < 0 ? "◂" : "▸");
    const children = direction < 0 ? [arrow, text] : [text, arrow];
    const onclick = () => {
      const next = neighbour(this.pattern, this.f, direction);
      if (next !== null) this.setPattern(this.f, next);
    };
    return h("button", { type: "button", class: "hb-step", onclick }, ...children);
  }

  flip(index) {
    this.focusable(index);
    this.setPattern(this.f, this.pattern ^ (1n << BigInt(width(this.f) - 1 - index)));
  }

  focusable(index) {
    this.bits.forEach((bit, i) => bit.setAttribute("tabindex", i === index ? "0" : "-1"));
    return this.bits[index];
  }

  move(event) {
    const last = this.bits.length - 1;
    const here = this.bits.indexOf(event.target);
    const goals = { ArrowLeft: Math.max(here - 1, 0), ArrowRight: Math.min(here + 1, last), Home: 0, End: last };
    if (here < 0 || !(event.key in goals) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.focusable(goals[event.key]).focus();
  }

  update(pattern, reference, typed) {
    this.pattern = pattern;
    const { f } = this;
    const text = toBits(pattern, f).replaceAll(" ", "");
    this.bits.forEach((bit, i) => {
      bit.textContent = text[i];
      bit.setAttribute("aria-pressed", text[i] === "1");
    });
    const { exponent } = fields(pattern, f);
    this.labels.exponent.textContent = f.exp_bits > 3 ? `exponent ${exponent}` : "exponent";
    const kind = classify(pattern, f);
    this.kind.textContent = kind;
    this.kind.classList.toggle("hb-special", kind !== "normal");
    this.showValue();
    this.showSteps(reference, typed);
    this.showErrors(reference);
    this.note.textContent = remark(pattern, f, reference, typed);
  }

  showValue() {
    const value = decode(this.pattern, this.f);
    this.formula.replaceChildren(...formula(this.pattern, this.f));
    const zero = value.kind === "finite" && value.num === 0n;
    const short = zero ? classify(this.pattern, this.f) : readable(value);
    this.exact.textContent = `=\u00a0${short}`;
    const all = exactDecimal(value).replace("-", "−");
    this.exact.title = value.kind === "finite" ? all : "";
    this.full.hidden = !short.includes("…");
    this.full.lastChild.textContent = all;
  }

  showSteps(reference, typed) {
    const values = {};
    for (const direction of [-1, 1]) {
      const next = neighbour(this.pattern, this.f, direction);
      const button = this.steps[direction];
      const value = next === null ? null : decode(next, this.f);
      const name = value === null ? "none" : brief(value, this.f);
      values[direction] = value;
      button.querySelector(".hb-step-value").textContent = name;
      // Not `disabled`: that would drop the keyboard focus at the end of the range.
      button.setAttribute("aria-disabled", value === null);
      const way = direction < 0 ? "Step down to the next number below" : "Step up to the next number above";
      button.setAttribute("aria-label", `${way}: ${name}`);
      button.title = value === null ? "no number further on" : `${way}: ${exactDecimal(value).replace("-", "−")}`;
    }
    this.drawTrack(values[-1], values[1], reference, typed);
  }

  /** Both neighbours, the value and the typed number, at their true places on a line. */
  drawTrack(below, above, reference, typed) {
    const value = decode(this.pattern, this.f);
    const whole = below?.kind === "finite" && above?.kind === "finite" && value.kind === "finite";
    this.track.classList.toggle("hb-empty", !whole);
    if (!whole) return this.track.replaceChildren();
    const span = add(above, negate(below));
    const place = (x) => {
      const { negative, num, den } = divide(add(x, negate(below)), span);
      const share = Number((num * 10000n) / den) / 100;
      return Math.min(Math.max(negative ? -share : share, 0), 100);
    };
    const mark = (name, at, ...inside) => h("span", { class: `hb-mark hb-${name}`, style: `left: ${at}%` }, ...inside);
    const marks = [mark("tick", 0), mark("tick", 100), mark("here", place(value))];
    if (reference.kind === "finite") {
      const at = place(reference);
      const short = typed.length > 14 ? "typed" : typed;
      marks.push(mark("typed", at, h("span", { class: "hb-flag" }, short)));
    }
    this.track.replaceChildren(...marks);
  }

  showErrors(reference) {
    const { pattern, f } = this;
    const finiteHere = decode(pattern, f).kind === "finite";
    const found = errors(pattern, f, reference);
    const none = "–";
    const plus = (x) => (x.num !== 0n && !x.negative ? "+" : "") + approximate(x);
    const rows = [["ulp", finiteHere ? `2${superscript(ulpExponent(pattern, f))} = ${approximate(ulp(pattern, f))}` : none]];
    if (found && found.signed.num === 0n) {
      rows.push(["error", "exact"]);
    } else if (found) {
      const { signed: error, relative, ulps } = found;
      rows.push(
        ["error", plus(error)],
        ["relative", relative === null ? none : approximate({ ...relative, negative: false })],
        ["in ulps", plus(ulps)],
      );
    } else {
      const here = special(decode(pattern, f), "-");
      const exact = here === special(reference, "-");
      rows.push(["error", !exact ? "not finite" : here === "NaN" ? none : "exact"]);
    }
    this.measures.replaceChildren(
      ...rows.map(([term, text]) => h("div", {}, h("dt", {}, term), h("dd", {}, text))),
    );
  }
}

/** Widgets live inside a notebook whose single-key shortcuts would delete cells. */
function keepKeys(event) {
  const free = event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab" || event.key === "Escape";
  if (!free) event.stopPropagation();
}

export function render({ model, el }) {
  let panels = [];
  let timer = null;
  const input = h("input", {
    class: "hb-input", type: "text", spellcheck: "false", autocomplete: "off", autocapitalize: "off", "aria-label": "decimal value",
  });
  const linked = h("input", { type: "checkbox" });
  const problem = h("p", { class: "hb-problem", role: "alert" });
  const status = h("p", { class: "hb-status", role: "status", "aria-live": "polite" });
  const list = h("div", { class: "hb-list" });
  const presets = h("div", { class: "hb-presets", role: "group", "aria-label": "examples" },
    ...PRESETS.map((text) => h("button", { type: "button", "data-value": text, onclick: () => type(text) }, pretty(text))));
  const root = h("div", { class: "halfbits-bits", role: "group", "aria-label": "bit explorer", onkeydown: keepKeys },
    h("div", { class: "hb-top" },
      h("label", { class: "hb-typed" }, h("span", {}, "decimal value"), input),
      h("label", { class: "hb-link", title: "Flipping a bit in one format gives its value to the others, rounded" },
        linked, h("span", {}, "link formats")),
      presets),
    problem, list, status);

  const formats = () => model.get("formats");
  const patternOf = (f, patterns, reference) => (patterns[f.name] ? fromBits(patterns[f.name]) : encode(reference, f));

  function commit(value, patterns) {
    problem.textContent = "";
    model.set("patterns", patterns);
    model.set("value", value);
    model.save_changes();
    update();
  }

  const say = (f, pattern) => {
    const value = decode(pattern, f);
    const kind = classify(pattern, f);
    return value.kind === "finite" && value.num !== 0n ? `${f.label}: ${readable(value, 30)}, ${kind}` : `${f.label}: ${kind}`;
  };

  function accept(text, complain) {
    clearTimeout(timer);
    let reference;
    try {
      reference = parse(text);
    } catch (error) {
      if (complain) problem.textContent = error.message;
      else timer = setTimeout(() => accept(input.value, true), 1000); // half a number is no mistake yet
      return;
    }
    problem.textContent = "";
    if (text.trim() === model.get("value").trim() && !complain) return;
    const patterns = Object.fromEntries(formats().map((f) => [f.name, toBits(encode(reference, f), f)]));
    commit(text.trim(), patterns);
    status.textContent = formats().map((f) => say(f, encode(reference, f))).join("; ");
  }

  function type(text) {
    input.value = text;
    accept(text, true);
  }

  function setPattern(f, pattern) {
    clearTimeout(timer);
    const patterns = { ...model.get("patterns"), [f.name]: toBits(pattern, f) };
    let value = model.get("value");
    if (model.get("linked")) {
      const reference = decode(pattern, f);
      value = typeable(reference);
      for (const other of formats()) {
        if (other.name !== f.name) patterns[other.name] = toBits(encode(reference, other), other);
      }
    }
    commit(value, patterns);
    status.textContent = say(f, pattern);
  }

  function update() {
    const typed = model.get("value");
    const reference = parse(typed);
    const patterns = model.get("patterns");
    if (input.value.trim() !== typed.trim()) input.value = typed;
    linked.checked = model.get("linked");
    const shown = pretty(typed);
    for (const panel of panels) panel.update(patternOf(panel.f, patterns, reference), reference, shown);
    for (const button of presets.children) button.setAttribute("aria-pressed", button.dataset.value === typed.trim());
  }

  function rebuild() {
    panels = formats().map((f) => new Panel(f, setPattern));
    list.replaceChildren(...panels.map((panel) => panel.node));
    update();
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => accept(input.value, false), 300);
  });
  input.addEventListener("change", () => accept(input.value, true));
  input.addEventListener("keydown", (event) => event.key === "Enter" && accept(input.value, true));
  linked.addEventListener("change", () => {
    model.set("linked", linked.checked);
    model.save_changes();
  });

  const watched = { "change:value": update, "change:patterns": update, "change:linked": update, "change:formats": rebuild };
  for (const [name, listener] of Object.entries(watched)) model.on(name, listener);
  el.append(root);
  rebuild();
  return () => {
    clearTimeout(timer);
    for (const [name, listener] of Object.entries(watched)) model.off(name, listener);
    root.remove();
  };
}

/** Show an explorer on a page without a kernel: the state lives in a stand-in for the model. */
export function show(el, state) {
  const listeners = {};
  const model = {
    get: (name) => state[name],
    set(name, value) {
      if (JSON.stringify(state[name]) === JSON.stringify(value)) return;
      state[name] = value;
      for (const listener of listeners[`change:${name}`] ?? []) listener();
    },
    on: (event, listener) => (listeners[event] ??= new Set()).add(listener),
    off: (event, listener) => listeners[event]?.delete(listener),
    save_changes() {},
  };
  return render({ model, el });
}

export default { render };
