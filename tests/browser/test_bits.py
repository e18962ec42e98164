"""The bit explorer in Chromium: its arithmetic against oracles, the widget, the static page."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, Page, expect

import halfbits.pictures.bits
from browser.lab import Lab, write_notebook
from browser.play import call, load_source
from halfbits.formats import FORMATS
from halfbits.pictures.bits import explore
from halfbits.typed import parse

pytestmark = pytest.mark.browser

ALL = list(FORMATS)


@pytest.fixture
def js(browser_page: Page) -> Page:
    """A page in which ``bits`` is the arithmetic of bits.js."""
    source = Path(halfbits.pictures.bits.__file__).with_suffix(".js").read_text(encoding="utf-8")
    load_source(browser_page, source)
    browser_page.evaluate("window.bits = module.arithmetic")
    return browser_page


def described(name: str) -> dict:
    return explore(name).formats[0]


def js_encode(page: Page, name: str, texts: list[str]) -> list[int]:
    code = "(f, texts) => texts.map(t => bits.encode(bits.parse(t), f).toString())"
    return [int(pattern) for pattern in call(page, code, described(name), texts)]


def exact_text(value: float) -> str:
    """Write a dyadic number so that parsing it exercises products and powers too."""
    numerator, denominator = float(value).as_integer_ratio()
    sign = "-" if np.signbit(value) else ""
    return f"{sign}{abs(numerator)}*2^-{denominator.bit_length() - 1}"


def torch_values(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Value and sign bit of every pattern of a format with at most 16 bits."""
    fmt = FORMATS[name]
    carrier = torch.uint8 if fmt.bits == 8 else torch.uint16
    patterns = torch.arange(2**fmt.bits, dtype=torch.int32).to(carrier)
    values = patterns.view(fmt.dtype).to(torch.float64).numpy()
    return values, np.arange(2**fmt.bits) >> (fmt.bits - 1) == 1


@pytest.mark.parametrize("name", ["fp16", "bf16", "fp8_e4m3fn", "fp8_e5m2"])
def test_every_pattern_decodes_to_torchs_value(js: Page, name: str) -> None:
    values, negative = torch_values(name)
    code = """(f, count) => Array.from({ length: count }, (_, i) => {
        const pattern = BigInt(i);
        const value = bits.decode(pattern, f);
        const back = bits.fromBits(bits.toBits(pattern, f)) === pattern;
        return [bits.exactDecimal(value), back, bits.encode(value, f) === pattern];
    })"""
    rows = call(js, code, described(name), len(values))
    for value, minus, (text, back, encoded) in zip(values, negative, rows, strict=True):
        assert back
        if np.isnan(value):
            assert text == "NaN"
        elif np.isinf(value):
            assert text == ("-∞" if minus else "+∞") and encoded
        else:
            assert text == format(Decimal(float(value)), "f") and encoded


def test_classes_and_neighbours_of_every_fp16_pattern(js: Page) -> None:
    code = """f => Array.from({ length: 65536 }, (_, i) => {
        const near = d => bits.neighbour(BigInt(i), f, d);
        return [bits.classify(BigInt(i), f), ...[-1, 1].map(d => Number(near(d) ?? -1n))];
    })"""
    rows = call(js, code, described("fp16"))
    patterns = np.arange(65536).astype(np.uint16)
    values = patterns.view(np.float16)
    subnormal = (values != 0) & (abs(values) < 2**-14)
    with np.errstate(all="ignore"):
        below, above = (np.nextafter(values, np.float16(to)) for to in (-np.inf, np.inf))
    found = np.array([row[1:] for row in rows])
    for i, (kind, *_) in enumerate(rows):
        value, minus = values[i], "−" if i >> 15 else "+"
        if np.isnan(value):
            assert kind == "NaN"
        elif np.isinf(value) or value == 0:
            assert kind == minus + ("∞" if value else "0")
        else:
            assert kind == ("subnormal" if subnormal[i] else "normal")
    for column, expected, last in ((0, below, 0xFC00), (1, above, 0x7C00)):
        has = ~np.isnan(values) & (patterns != last)
        assert (found[~has, column] == -1).all()
        steps = found[has, column].astype(np.uint16).view(np.float16)
        assert (steps == expected[has]).all()


@pytest.mark.parametrize("name", ["fp16", "bf16", "fp8_e4m3fn", "fp8_e5m2"])
def test_rounding_around_midpoints_agrees_with_numpy_and_ml_dtypes(js: Page, name: str) -> None:
    # float32 holds every midpoint and its close neighbours; ml_dtypes rounds from float32.
    target = {
        "fp16": np.float16,
        "bf16": ml_dtypes.bfloat16,
        "fp8_e4m3fn": ml_dtypes.float8_e4m3fn,
        "fp8_e5m2": ml_dtypes.float8_e5m2,
    }[name]
    fmt = FORMATS[name]
    numbers = fmt.finite_values()
    numbers = np.append(numbers[numbers >= 0], fmt.max + fmt.ulp(fmt.max))
    stride = 1 if fmt.bits == 8 else 7
    with np.errstate(over="ignore"):
        middles = ((numbers[:-1] + numbers[1:]) / 2)[::-1][::stride].astype(np.float32)
    near = [np.nextafter(middles, np.float32(to)) for to in (0, np.inf)]
    values = np.concatenate([middles, *near, numbers[::stride].astype(np.float32)])
    values = np.concatenate([values, -values])
    values = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        rounded = values.astype(target)
    expected = rounded.view(np.uint16 if fmt.bits == 16 else np.uint8)
    got = np.array(js_encode(js, name, [exact_text(v) for v in values]))
    nan = np.isnan(rounded.astype(np.float64))
    low = fmt.bits - 1
    assert (got[~nan] == expected[~nan]).all()
    assert (got[nan] & (1 << low) - 1 == 0x7F).all()  # only e4m3fn overflows to NaN


TYPED = """
    0.1 65504 65519.99 65519.999999999999999999999999 65520 65520.0 -65520 464 464.01 448 1/3 -2/7
    2^-24 2^-25 1e-8 5.9e-8 1+2^-11 1+2^-11+2^-60 1+3*2^-11 -0 0 +0.0 .5 5. 1E3 1e400 -1e-400
    2^1024 2^-1074 2^-1075 1/2^10 3*2^-5 1-1 −2^-3 inf -inf ∞ -∞ nan -nan Infinity 10^3 1e5+2
    2**-3 4.9e-324 2.5×2
"""


def random_texts(count: int) -> list[str]:
    rng = random.Random(20260)
    kinds = [
        lambda: f"{rng.uniform(-10, 10):.{rng.randrange(1, 25)}f}e{rng.randrange(-45, 40)}",
        lambda: f"{rng.randrange(1, 10**9)}/{rng.randrange(1, 10**9)}",
        lambda: f"{rng.choice(['-', ''])}{rng.getrandbits(60)}*2^{rng.randrange(-220, 70)}",
        lambda: f"{rng.randrange(1, 64)} + 2^-{rng.randrange(1, 70)} - 2^-{rng.randrange(1, 70)}",
        lambda: repr(rng.gauss(0, 1)),
        lambda: f"{rng.uniform(1, 10)}e{rng.randrange(-330, 310)}",
    ]
    return [rng.choice(kinds)() for _ in range(count)]


def test_typed_texts_round_once_from_the_exact_value_in_all_formats(js: Page) -> None:
    texts = TYPED.split() + random_texts(1500)
    for name in ALL:
        expected = [FORMATS[name].encode(parse(text)) for text in texts]
        assert js_encode(js, name, texts) == expected
    assert js_encode(js, "fp16", ["65519.99", "65520", "2^-25"]) == [0x7BFF, 0x7C00, 0]
    assert js_encode(js, "fp8_e4m3fn", ["464", "464.01", "inf"]) == [0x7E, 0x7F, 0x7F]
    finite = [t for t in texts if isinstance(parse(t), Fraction) and abs(parse(t)) < 2**1023]
    doubles = np.array([float(parse(t)) for t in finite]).view(np.uint64)
    assert js_encode(js, "fp64", finite) == doubles.tolist()


def test_wide_formats_decode_exactly_and_type_back(js: Page) -> None:
    rng = random.Random(7)
    code = """(f, patterns) => patterns.map(p => {
        const value = bits.decode(BigInt(p), f);
        const again = bits.encode(bits.parse(bits.typeable(value)), f);
        return [bits.exactDecimal(value), again.toString()];
    })"""
    for name in ("fp32", "tf32", "fp64"):
        fmt = FORMATS[name]
        patterns = [0, 1, 2 ** (fmt.bits - 1), 2 ** (fmt.bits - 1) | 1]
        patterns += [rng.getrandbits(fmt.bits) for _ in range(500)]
        patterns = [p for p in patterns if fmt.kind(p) not in ("nan", "infinity")]
        rows = call(js, code, described(name), [str(p) for p in patterns])
        for pattern, (text, again) in zip(patterns, rows, strict=True):
            assert text == format(Decimal(fmt.decode(pattern)), "f")
            assert int(again) == pattern


REFUSED = ["", "abc", "1 2", "1//2", "1e99999", "0x10", "1/0", "0^-1", "--1", "1" * 300]


@pytest.mark.parametrize("text", REFUSED)
def test_both_parsers_refuse_the_same_texts(js: Page, text: str) -> None:
    code = "t => { try { bits.parse(t); return null; } catch (e) { return e.message; } }"
    message = js.evaluate(code, text)
    assert message and "\n" not in message
    with pytest.raises(ValueError):
        parse(text)


def bit(panel: Locator, index: int) -> Locator:
    return panel.locator(".hb-bit").nth(index)


def panel(page: Page | Locator, name: str) -> Locator:
    return page.locator(f'[data-format="{name}"]')


def shown_bits(panel: Locator) -> str:
    return "".join(panel.locator(".hb-bit").all_inner_texts())


def type_value(page: Page | Locator, text: str) -> None:
    box = page.get_by_role("textbox", name="decimal value").first
    box.fill(text)
    box.press("Enter")


NAMED = [
    ("nan", "NaN", "NaN"),
    ("inf", "+∞", "NaN"),
    ("-inf", "−∞", "NaN"),
    ("0", "+0", "+0"),
    ("-0", "−0", "−0"),
    ("2^-24", "subnormal", "+0"),
    ("0.1", "normal", "normal"),
    ("65520", "+∞", "NaN"),
]


def test_static_page_needs_no_kernel_and_no_network(browser_page: Page, tmp_path: Path) -> None:
    page = browser_page
    path = explore("fp16", "fp8_e4m3fn", value=0.1).save_html(tmp_path / "bits.html")
    page.goto(path.as_uri())
    half, eighth = panel(page, "fp16"), panel(page, "fp8_e4m3fn")
    for typed, kind, kind8 in NAMED:
        type_value(page, typed)
        expect(half.locator(".hb-kind")).to_have_text(kind)
        expect(eighth.locator(".hb-kind")).to_have_text(kind8)
    expect(half.locator(".hb-note")).to_contain_text("Overflow: 65520 lies beyond the largest")

    # A flipped bit carries the other format along, unless the formats are not linked.
    type_value(page, "1")
    bit(half, 0).click()
    expect(eighth.locator(".hb-exact")).to_have_text("=\u00a0−1")
    page.get_by_label("link formats").uncheck()
    bit(half, 6).click()
    expect(half.locator(".hb-exact")).to_have_text("=\u00a0−1.5")
    expect(eighth.locator(".hb-exact")).to_have_text("=\u00a0−1")
    expect(half.locator(".hb-measures")).to_contain_text("−0.5")

    # A mistake is said in one line and changes nothing.
    before = shown_bits(half)
    type_value(page, "one")
    expect(page.get_by_role("alert")).to_contain_text("“one” is not a number")
    assert shown_bits(half) == before
    page.get_by_role("button", name="1/3").click()
    expect(page.locator("[role=alert]")).to_be_empty()
    half.get_by_role("button", name="Step up").click()
    expect(half.locator(".hb-exact")).to_have_text("=\u00a00.33349609375")


def measures(panel: Locator) -> dict[str, str]:
    rows = panel.locator(".hb-measures div").all()
    return {row.locator("dt").inner_text(): row.locator("dd").inner_text() for row in rows}


def test_errors_and_neighbours_say_each_thing_once(browser_page: Page, tmp_path: Path) -> None:
    page = browser_page
    page.goto(explore("fp16", "fp32", value=0.1).save_html(tmp_path / "bits.html").as_uri())
    half, single = panel(page, "fp16"), panel(page, "fp32")
    assert measures(half) == {
        "ulp": "2⁻¹⁴ = 6.104×10⁻⁵",
        "error": "−2.441×10⁻⁵",
        "relative": "2.441×10⁻⁴",
        "in ulps": "−0.4",
    }
    type_value(page, "0.5")
    expect(half.locator(".hb-measures")).to_contain_text("exact")
    assert measures(half) == {"ulp": "2⁻¹¹ = 4.883×10⁻⁴", "error": "exact"}

    # A long neighbour: a few digits, enough to tell it from the value; the title has them all.
    type_value(page, "3.42e-5")
    up = half.get_by_role("button", name="Step up")
    expect(up).to_have_text("3.4272…×10⁻⁵▸")
    exact = format(Decimal(float(np.nextafter(np.float16(3.42e-5), np.float16(1)))), "f")
    assert up.get_attribute("title").endswith(f"above: {exact}")
    type_value(page, "1/3")
    expect(single.get_by_role("button", name="Step down")).to_have_text("◂0.333333313…")
    expect(half.get_by_role("button", name="Step down")).to_have_text("◂0.3330078125")


@pytest.mark.parametrize("name", ALL)
def test_shortened_neighbours_differ(js: Page, name: str) -> None:
    rng = random.Random(11)
    fmt = FORMATS[name]
    top = fmt.encode(fmt.max)
    patterns = [1, top - 1] + [rng.randrange(1, top) for _ in range(2000)]
    code = """(f, patterns) => patterns.map(p => [0n, 1n].map(
        step => bits.brief(bits.decode(BigInt(p) + step, f), f)))"""
    for here, above in call(js, code, described(name), [str(p) for p in patterns]):
        assert here != above
        assert len(here.split("×")[0]) <= 25


def test_nothing_is_cut_off_in_a_narrow_window(browser_page: Page, tmp_path: Path) -> None:
    path = explore(*ALL, value="1/3").save_html(tmp_path / "bits.html")
    browser_page.set_viewport_size({"width": 340, "height": 800})
    browser_page.goto(path.as_uri())
    for typed in ("1/3", "1e-320", "1e308", "nan"):
        type_value(browser_page, typed)
        root = browser_page.evaluate("document.documentElement.scrollWidth")
        assert root <= 340, typed


SETUP = "from halfbits.pictures.bits import explore\nw = explore('fp16', 'bf16', value=0.1)\nw"


def test_widget_and_kernel_agree(lab: Lab, tmp_path: Path) -> None:
    lab.open_notebook(write_notebook(tmp_path / "explore.ipynb", SETUP, "w"))
    lab.run_all()
    assert lab.cell_errors() == []
    first, second = lab.page.locator(".halfbits-bits").all()
    half = panel(first, "fp16")
    bit(half, 0).click()
    expect(half.locator(".hb-exact")).to_have_text("=\u00a0−0.0999755859375")
    expect(panel(second, "bf16").locator(".hb-exact")).to_have_text("=\u00a0−0.10009765625")
    type_value(second, "65520")
    expect(half.locator(".hb-kind")).to_have_text("+∞")
    expect_print(lab, "w.value, w.patterns['bf16']", "65520 0 10001111 0000000")

    # A NaN keeps the bits that were clicked, here and in the kernel.
    bit(half, 15).click()
    expect(half.locator(".hb-kind")).to_have_text("NaN")
    expect_print(lab, "w.patterns['fp16']", "0 11111 0000000001")
    lab.run_code("w.value = '2^-24'")
    expect(half.locator(".hb-kind")).to_have_text("subnormal")
    assert shown_bits(half) == "0" * 15 + "1"

    # Both themes: the text stands out from its panel.
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        lab.set_theme(theme)
        assert contrast(half.locator(".hb-exact"), first) > 7


def expect_print(lab: Lab, expression: str, text: str) -> None:
    """Ask the kernel until it has taken in the page's message, which comes on another thread."""
    for _ in range(10):
        printed = lab.run_code(f"print({expression})")
        if printed == f"{text}\n":
            return
        lab.page.wait_for_timeout(300)
    assert printed == f"{text}\n"


def contrast(text: Locator, root: Locator) -> float:
    """WCAG contrast between a text's colour and the explorer's paper."""
    colour = text.evaluate("e => getComputedStyle(e).color")
    paper = root.evaluate("e => getComputedStyle(e).getPropertyValue('--paper')")
    light, dark = sorted((luminance(root, c) for c in (colour, paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(root: Locator, colour: str) -> float:
    code = """(_, colour) => {
        const context = document.createElement("canvas").getContext("2d");
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    }"""
    parts = [c / 255 for c in root.evaluate(code, colour)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_keyboard_alone_and_no_key_reaches_the_notebook(lab: Lab, tmp_path: Path) -> None:
    lab.open_notebook(write_notebook(tmp_path / "keys.ipynb", SETUP, "1 + 1"))
    lab.run_all()
    page, keys = lab.page, lab.page.keyboard
    half = panel(page, "fp16")
    page.get_by_role("textbox", name="decimal value").focus()
    while not half.locator(".hb-bit:focus").count():
        keys.press("Tab")
    expect(bit(half, 0)).to_be_focused()
    keys.press("ArrowRight")
    keys.press("Space")
    assert shown_bits(half) == "0110111001100110"
    expect(page.get_by_role("status").filter(has_text="fp16")).to_contain_text("normal")
    keys.press("Enter")
    keys.press("End")
    expect(bit(half, 15)).to_be_focused()
    keys.press("ArrowLeft")
    expect(bit(half, 14)).to_be_focused()
    for key in ("a", "b", "d", "d", "x", "m", "0", "0", "c", "v", "Delete"):
        keys.press(key)
    assert lab.cell_count() == 2
    expect(bit(half, 14)).to_be_focused()

    # One Tab stop for all bits: next come the details or neighbours, and Enter steps.
    keys.press("Tab")
    expect(half.get_by_role("button", name="Step down")).to_be_focused()
    keys.press("Enter")
    expect(half.locator(".hb-exact")).to_have_text("=\u00a00.09991455078125")
    keys.press("Home")
    keys.press("d")
    keys.press("d")
    assert lab.cell_count() == 2

    # Running the cell again leaves one live explorer behind.
    lab.run_all()
    assert page.locator(".halfbits-bits").count() == 1
