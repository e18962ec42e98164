"""Unit 2's interactive pictures: arithmetic and words as in Python's, and how they react."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from browser.lab import Lab, write_notebook
from browser.play import call, load, mount, press, said
from halfbits.formats import FORMATS
from halfbits.pictures.cancellation import Difference, cancellation_explorer, close_pair
from halfbits.pictures.cancellation import tell as tell_difference
from halfbits.pictures.page import for_page
from halfbits.pictures.steps import step_explorer
from halfbits.pictures.steps import tell as tell_step
from halfbits.pictures.stochastic import stochastic_explorer
from halfbits.pictures.sums import sum_explorer
from halfbits.summation import running_sum

pytestmark = pytest.mark.browser

ROUNDED = ("fp16", "bf16", "fp32", "fp8_e4m3fn", "fp8_e5m2")


def numbers(found: list) -> list[float]:
    return [float(x) for x in found]


def click(widget: Locator, name: str, times: int) -> None:
    many = "(button, times) => { for (let i = 0; i < times; i += 1) button.click(); }"
    widget.get_by_role("button", name=name).evaluate(many, times)


# ------------------------------------------------------------------ The arithmetic


@pytest.mark.parametrize("name", ROUNDED)
def test_rounding_and_gaps_are_pythons(browser_page: Page, name: str) -> None:
    fmt = FORMATS[name]
    rng = np.random.default_rng(1)
    patterns = rng.integers(0, fmt.encode(fmt.max) + 1, 1500)
    values = [fmt.decode(int(pattern)) for pattern in patterns]
    middles = [x + fmt.ulp(x) / 2 for x in values]
    near = [math.nextafter(x, to) for x in middles for to in (0, math.inf)]
    ends = [0.0, fmt.max + fmt.ulp(fmt.max) / 2, fmt.smallest_subnormal / 2, 1e300]
    xs = [*values, *middles, *near, *ends, *(-x for x in middles)]
    load(browser_page, "steps", "roundTo", "ulpOf")
    (described,) = for_page([name])
    rounded = call(browser_page, "(f, xs) => xs.map(x => module.roundTo(x, f))", described, xs)
    gaps = call(browser_page, "(f, xs) => xs.map(x => module.ulpOf(x, f))", described, values)
    np.testing.assert_array_equal(numbers(rounded), [fmt.round(x) for x in xs])
    assert numbers(gaps) == [fmt.ulp(x) for x in values]


def test_running_sums_are_pythons(browser_page: Page) -> None:
    load(browser_page, "sums", "runningSum")
    code = "(term, count, f) => [...module.runningSum(term, count, f)]"
    for term, name in product(("0.01", "1", "1/k", "2^-10", "3e3"), ROUNDED):
        ours = running_sum(term, 10_000 if term != "2^-10" else 500, name).tolist()
        theirs = call(browser_page, code, term, len(ours), for_page([name])[0])
        np.testing.assert_array_equal(numbers(theirs), ours, err_msg=f"{term} {name}")


def test_typed_terms(browser_page: Page) -> None:
    load(browser_page, "sums", "termValue")
    good = {
        "0.01": 0.01,
        "1/3": 1 / 3,
        "2^-10": 2**-10,
        "1e-3": 1e-3,
        ".5": 0.5,
        "3": 3.0,
        "1+2^-3": 1.125,
        "2*3/4-1": 0.5,
    }
    bad = ["", "-1", "0", "x", "1/0", "1e999", "0x10", "1 2", "1/k", "1-1", "1e", "1+"]
    found = call(browser_page, "xs => xs.map(module.termValue)", [*good, *bad])
    assert found == [*good.values(), *["NaN"] * len(bad)]


def test_every_step_is_told_as_in_python(browser_page: Page) -> None:
    load(browser_page, "steps", "tell")
    for name in ROUNDED:
        fmt = FORMATS[name]
        starts = [1.0, 1 + fmt.eps, 2 - fmt.eps, 0.5, 3 * fmt.smallest_subnormal, fmt.max]
        steps = [(w, k / 16 * fmt.ulp(w)) for w in starts for k in range(-32, 33)]
        code = "(f, steps) => steps.map(([w, delta]) => module.tell(f, w, delta))"
        theirs = call(browser_page, code, for_page([name])[0], steps)
        assert theirs == [tell_step(fmt, w, delta) for w, delta in steps]


def test_every_difference_is_told_as_in_python(browser_page: Page) -> None:
    load(browser_page, "cancellation", "tell", "subtract")
    for name in ("fp32", "fp16", "bf16"):
        fmt = FORMATS[name]
        pairs = [close_pair(n) for n in range(1, fmt.man_bits + 6)]
        code = """(f, pairs) => pairs.map((pair, i) => {
            const d = module.subtract(pair, f);
            return [module.tell(d, i + 1, f), d.error, d.bound];
        })"""
        theirs = call(browser_page, code, for_page([name])[0], pairs)
        ours = [Difference(fmt, *pair) for pair in pairs]
        told = [tell_difference(d, n) for n, d in enumerate(ours, 1)]
        assert theirs == [[t, d.error, d.bound] for t, d in zip(told, ours, strict=True)]


# ---------------------------------------------------------------------- The widgets


def test_sums_say_the_same_as_python(browser_page: Page) -> None:
    for term, count in (("0.01", 10_000), ("1/k", 10_000), ("1", 3000), ("1e4", 100), ("1e-9", 99)):
        asked = sum_explorer(term, count, ROUNDED)
        assert said(mount(browser_page, asked, "sums")) == str(asked).replace("\n", " ")


def test_sums_react(browser_page: Page) -> None:
    widget = mount(browser_page, sum_explorer(), "sums")
    assert "fp16 stops at 32 after 2,798 additions" in said(widget)
    curves = widget.locator(".hb-plot path")
    assert curves.count() == 4
    widget.get_by_role("button", name="1/k", exact=True).click()
    assert "bf16 stops at 5.0625 after 64 additions" in said(widget)
    widget.get_by_role("button", name="fp16").click()
    assert "fp16" not in said(widget) and curves.count() == 3
    field = widget.get_by_role("textbox", name="term to add")
    field.fill("nothing")
    assert "is not a positive number" in said(widget)
    field.fill("1/4")
    press(widget, "how many times", "Home")
    assert said(widget).startswith("10 × 1/4 = 2.5. fp32 reaches 2.5, exactly.")
    press(widget, "how many times", "End")
    assert said(widget).startswith("100,000 × 1/4 = 25,000.")
    kept = browser_page.evaluate("[state.term, state.count, state.formats.map(f => f.name)]")
    assert kept == ["1/4", 100_000, ["fp32", "bf16"]]


def test_sums_are_drawn_fast(browser_page: Page) -> None:
    mount(browser_page, sum_explorer(formats=("fp32", "fp16", "bf16", "fp8_e5m2")), "sums")
    times = browser_page.evaluate(
        """() => {
            const input = document.querySelector("input[type=range]");
            return Array.from({ length: 40 }, (_, i) => {
                input.value = 3 + i / 40;
                const start = performance.now();
                input.dispatchEvent(new Event("input"));
                return performance.now() - start;
            });
        }"""
    )
    assert min(times) < 16  # the others depend on what else the machine does
    pieces = browser_page.locator(".hb-plot path").evaluate_all(
        "ps => ps.map(p => p.getAttribute('d'))"
    )
    assert all(path.count("L") < 800 for path in pieces)


def test_pointing_at_the_sums_reads_them(browser_page: Page) -> None:
    widget = mount(browser_page, sum_explorer(), "sums")
    box = widget.locator("svg").bounding_box()
    browser_page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 100)
    words = widget.locator(".hb-cursor text").text_content()
    n = int(words.removeprefix("after ").split(":")[0].replace(",", ""))
    assert 3000 < n < 7000 and "fp16 32" in words and "bf16 4" in words
    assert f"exact {n / 100:g}" in words


def test_a_step_is_dragged_and_slid(browser_page: Page) -> None:
    widget = mount(browser_page, step_explorer("fp16", 1), "steps")
    assert "The step is lost" in said(widget)
    assert "in fp32: w moves; in bf16: lost" in said(widget)
    press(widget, "step Δ", "ArrowRight", "ArrowRight")  # from 6/16 to 8/16 of an ulp
    assert "is a tie, and w has the even last bit. The step is lost" in said(widget)
    assert "2⁻¹¹" in said(widget)
    press(widget, "step Δ", "ArrowRight")
    assert "is rounded to 1.000976563: w moves by 9.77×10⁻⁴" in said(widget)
    picture = widget.locator("svg")
    box = picture.bounding_box()
    middle, y = box["x"] + box["width"] / 2, box["y"] + 60
    browser_page.mouse.move(middle, y)
    browser_page.mouse.down()
    browser_page.mouse.move(middle - 3, y)
    browser_page.mouse.move(box["x"], y)
    browser_page.mouse.up()
    assert browser_page.evaluate("state.delta") == -2 * 2**-10
    assert "is a number of fp16" in said(widget)
    browser_page.mouse.move(middle, y)  # the button is up: nothing follows
    assert browser_page.evaluate("state.delta") == -2 * 2**-10


def test_w_moves_and_the_format_changes(browser_page: Page) -> None:
    widget = mount(browser_page, step_explorer("fp16", 1), "steps")
    press(widget, "w", "ArrowRight")
    assert browser_page.evaluate("state.w") == 1 + 2**-10
    press(widget, "step Δ", "ArrowRight", "ArrowRight")
    assert "is a tie: it goes to the even last bit, 1.001953125" in said(widget)
    assert "The same step in fp32: w moves. w is no number of bf16, fp8_e4m3fn" in said(widget)
    widget.get_by_role("button", name="bf16").click()
    assert browser_page.evaluate("[state.format, state.w]") == ["bf16", 1]
    widget.get_by_role("button", name="w × 2").click()
    widget.get_by_role("button", name="w × 2").click()
    widget.get_by_role("button", name="w ÷ 2").click()
    assert browser_page.evaluate("state.w") == 2
    for name in ("fp8_e4m3fn", "fp8_e5m2", "fp32"):
        widget.get_by_role("button", name=name).click()
        click(widget, "w ÷ 2", times=40)
        press(widget, "w", "Home")
        assert browser_page.evaluate("state.w") > 0


def test_the_lower_zone_is_half_as_wide_at_a_power_of_two(browser_page: Page) -> None:
    widget = mount(browser_page, step_explorer("bf16", 1), "steps")
    lower, upper = (float(x.get_attribute("width")) for x in widget.locator("rect").all())
    assert math.isclose(upper, 2 * lower)
    press(widget, "w", "ArrowRight")
    lower, upper = (float(x.get_attribute("width")) for x in widget.locator("rect").all())
    assert math.isclose(upper, lower)


def test_stochastic_rounding_converges_and_repeats(browser_page: Page) -> None:
    widget = mount(browser_page, stochastic_explorer("bf16", "1+2^-10"), "stochastic")
    assert "x = 1.00097656 goes up with probability 0.125" in said(widget)
    widget.get_by_role("button", name="round once").press("Enter")
    assert said(widget).startswith("1 rounding of x")
    click(widget, "1,000 times", times=20)
    first = said(widget)
    ups = int(first.split("(seed 1): ")[1].split(" went up")[0].replace(",", ""))
    assert abs(ups - 0.125 * 20_001) < 5 * (20_001 * 0.125 * 0.875) ** 0.5
    assert "Rounded to nearest it is 1 every time, 9.77×10⁻⁴ off" in first
    widget.get_by_role("button", name="start again").click()
    widget.get_by_role("button", name="round once").click()
    click(widget, "1,000 times", times=20)
    assert said(widget) == first
    widget.get_by_role("button", name="another seed").click()
    widget.get_by_role("button", name="1,000 times").click()
    assert "1,000 roundings" in said(widget) and "(seed 2)" in said(widget)


def test_x_slides_from_one_neighbour_to_the_other(browser_page: Page) -> None:
    widget = mount(browser_page, stochastic_explorer("bf16", "1+2^-10"), "stochastic")
    press(widget, "x lies", "End")
    widget.get_by_role("button", name="10 times").click()
    assert said(widget).startswith("x = 1.0078125 is a number of bf16 and stays what it is")
    press(widget, "x lies", "ArrowLeft")
    assert browser_page.evaluate("state.share") == 63 / 64
    assert "Rounded to nearest it is 1.0078125 every time" in said(widget)


def test_what_cancels_is_slid_and_clicked(browser_page: Page) -> None:
    asked = cancellation_explorer("fp16", 8)
    widget = mount(browser_page, asked, "cancellation")
    assert said(widget) == str(asked)
    result = widget.locator(".hb-bits rect.hb-shifted")
    assert result.count() == 8
    press(widget, "a and b agree in", "ArrowRight")
    assert said(widget).startswith("a and b agree in 9 bits") and "9 are zeros" in said(widget)
    press(widget, "a and b agree in", "ArrowRight")
    assert "rounded to fp16, the first 9 cancel" in said(widget)
    press(widget, "a and b agree in", "End")
    assert "their difference is 0" in said(widget) and "off by 100%" in said(widget)
    errors = widget.locator("svg").nth(1)
    box = errors.bounding_box()
    browser_page.mouse.click(box["x"] + 80, box["y"] + 100)
    assert said(widget).startswith("a and b agree in 1 bit, which cancel: 10 of the result's 11")
    widget.get_by_role("button", name="bf16").click()
    assert browser_page.evaluate("[state.format, state.agree]") == ["bf16", 1]
    assert "10 of the result's" not in said(widget) and "7 of the result's 8" in said(widget)


EVERY = (sum_explorer, step_explorer, stochastic_explorer, cancellation_explorer)
FILES = ("sums", "steps", "stochastic", "cancellation")


def test_nothing_is_cut_off_in_a_narrow_window(browser_page: Page) -> None:
    browser_page.set_viewport_size({"width": 400, "height": 900})
    for make, name in zip(EVERY, FILES, strict=True):
        mount(browser_page, make(), name)
        browser_page.wait_for_timeout(50)
        assert browser_page.evaluate("document.documentElement.scrollWidth") <= 400, name


def test_in_jupyterlab(lab: Lab, tmp_path) -> None:
    cells = [f"w{i} = hb.{make.__name__}()\nw{i}" for i, make in enumerate(EVERY)]
    lab.open_notebook(write_notebook(tmp_path / "unit2.ipynb", "import halfbits as hb", *cells))
    lab.run_all()
    assert lab.cell_errors() == []
    for i in range(4):
        widget = lab.cell(i + 1).locator(".halfbits-play")
        expect(widget.get_by_role("status")).not_to_be_empty()
        slider = widget.get_by_role("slider").first
        slider.focus()
        before = slider.get_attribute("aria-valuetext")
        slider.press("ArrowRight")
        assert slider.get_attribute("aria-valuetext") != before
        for key in ("a", "b", "d", "d", "x", "m", "0", "0"):
            slider.press(key)
    assert lab.cell_count() == 5
    assert lab.run_code("print(w1.delta / 2**-10, w3.agree)") == "0.4375 9\n"
    lab.set_theme("JupyterLab Dark")
    status = lab.cell(1).locator(".halfbits-play").get_by_role("status")
    words, paper = status.evaluate(
        """status => {
            const context = document.createElement("canvas").getContext("2d");
            const brightness = colour => {
                context.fillStyle = colour;
                context.fillRect(0, 0, 1, 1);
                return context.getImageData(0, 0, 1, 1).data[1] / 255;
            };
            const widget = getComputedStyle(status.closest(".halfbits-play"));
            return [getComputedStyle(status).color, widget.backgroundColor].map(brightness);
        }"""
    )
    assert words > 0.7 and paper < 0.3
