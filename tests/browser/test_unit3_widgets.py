"""Unit 3's interactive pictures: their arithmetic against torch, and how they react."""

from __future__ import annotations

import math
import re
from itertools import product
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Locator, Page, expect

from browser.lab import Lab, write_notebook
from browser.play import call, load, mount, press, said
from halfbits.formats import FORMATS
from halfbits.gradients import KINDS, recorded_histogram
from halfbits.overflow import trace
from halfbits.pictures.gradient_explorer import gradient_explorer, percent
from halfbits.pictures.overflow_explorer import overflow_explorer
from halfbits.pictures.page import for_page
from halfbits.pictures.softmax_explorer import softmax_explorer
from halfbits.pictures.variance_explorer import variance_explorer
from halfbits.softmax import FORMULAS, TEMPERATURES, compute
from halfbits.variance import MEANS, all_variances

pytestmark = pytest.mark.browser


def drag(page: Page, target: Locator, start: tuple[float, float], by: float) -> None:
    """Press inside an element at a place in its own fractions, move sideways and let go."""
    box = target.bounding_box()
    x, y = box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by / 2, y)
    page.mouse.move(x + by, y)
    page.mouse.up()


# ------------------------------------------------------------------ Softmax


def bits(values: list[float], dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor([float(x) for x in values], dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("name", ["fp16", "bf16"])
def test_exp_of_every_16_bit_number_is_torchs(browser_page: Page, name: str) -> None:
    """The page rounds Math.exp to fp32 and then to the format; torch's exp gives the same bits."""
    (described,) = for_page([name])
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[name]
    x = torch.arange(-(2**15), 2**15).short().view(dtype)
    x = x[x.isfinite()]
    load(browser_page, "softmax", "roundTo")
    code = "(xs, f) => xs.map(x => module.roundTo(Math.fround(Math.exp(x)), f))"
    found = bits(call(browser_page, code, x.double().tolist(), described), dtype)
    assert torch.equal(found, x.exp())


@pytest.mark.parametrize("name", ["fp16", "bf16"])
def test_every_step_of_softmax_is_torchs_bit_for_bit(browser_page: Page, name: str) -> None:
    (described,) = for_page([name])
    random = torch.Generator().manual_seed(3)
    logits = [
        (torch.rand(n, generator=random) * s).tolist() for n in (3, 4, 5) for s in (5, 14, 99)
    ]
    logits += [[12, 11, 10], [10, 10, 10], [-20, -20, -20], [90, 1, 0], [-100, 100, 0, 88.5, 11.25]]
    cases = list(product(FORMULAS, logits, TEMPERATURES))
    load(browser_page, "softmax", "softmaxSteps")
    code = "(cases, f) => cases.map(([way, xs, t]) => module.softmaxSteps(way, xs, f, t))"
    for (way, xs, t), steps in zip(cases, call(browser_page, code, cases, described), strict=True):
        expected = compute(way, xs, name, t).steps
        assert list(steps) == list(expected)
        for step, values in steps.items():
            same = torch.tensor([float(v) for v in values], dtype=torch.float64)
            wanted = torch.tensor(expected[step], dtype=torch.float64)
            assert torch.equal(same.nan_to_num(-1), wanted.nan_to_num(-1)), (way, xs, t, step)


def test_softmax_in_fp32_is_torchs_within_two_ulps(browser_page: Page) -> None:
    """Math.exp and torch's exp both round a good approximation; they need not agree in each bit."""
    (described,) = for_page(["fp32"])
    load(browser_page, "softmax", "softmaxSteps")
    code = "(way, xs, f) => module.softmaxSteps(way, xs, f, 0.75)"
    for way, xs in product(FORMULAS, ([12, 11, 10], [1.5, -3, 0.25, 60, 58])):
        steps = call(browser_page, code, way, xs, described)
        for step, wanted in compute(way, xs, "fp32", 0.75).steps.items():
            assert [float(x) for x in steps[step]] == pytest.approx(wanted, rel=2 * 2**-23)


def test_softmax_reacts_and_tells_what_python_tells(browser_page: Page) -> None:
    widget = mount(browser_page, softmax_explorer(), "softmax")
    naive = widget.locator('[data-way="naive"]')

    def told(xs: list[float], fmt: str, t: float = 1) -> str:
        ways = [compute(way, xs, fmt, t).verdict() for way in ("naive", "stable")]
        return f"Naive in {fmt}: {ways[0]}. Stable: {ways[1]}."

    assert said(widget) == told([12, 11, 10], "fp16")
    expect(naive.locator('[data-step="exp"] td').first).to_have_class("hb-bad")
    expect(naive.locator('[data-step="÷ sum"] td')).to_have_text(["NaN", "0", "0"])
    press(widget, "x₁", *["ArrowLeft"] * 4)
    assert said(widget) == told([11, 11, 10], "fp16") and "their sum is ∞" in said(widget)
    press(widget, "temperature T", "ArrowRight")
    assert said(widget) == told([11, 11, 10], "fp16", 1.5)
    press(widget, "temperature T", "ArrowLeft")
    widget.get_by_role("button", name="bf16").click()
    assert said(widget) == told([11, 11, 10], "bf16")
    widget.get_by_role("button", name="all −20").click()
    assert said(widget) == told([-20, -20, -20], "bf16")
    widget.get_by_role("button", name="fp16").click()
    assert "every exponential is flushed to 0" in said(widget)
    slider = widget.get_by_role("slider", name="x₂")
    box = slider.bounding_box()
    browser_page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert abs(float(slider.input_value())) < 2 and "Stable: within" in said(widget)


# ---------------------------------------------------------------- Gradients


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_reports_as_python_does_at_every_scale(browser_page: Page, kind: str) -> None:
    load(browser_page, "gradients", "reportOf", "percent")
    recorded = gradient_explorer().recorded[kind]
    code = "(g, powers) => powers.map(p => module.reportOf(g, p))"
    powers = list(range(33))
    for power, found in zip(powers, call(browser_page, code, recorded, powers), strict=True):
        assert found == vars(recorded_histogram(kind).report(2.0**power))
    shares = [0, 1, 0.5214, 0.03006, 0.00173, 0.0000355, 5.5e-7]
    texts = call(browser_page, "xs => xs.map(module.percent)", shares)
    assert texts == [percent(x) for x in shares]


def test_gradients_follow_the_slider_and_the_hand(browser_page: Page) -> None:
    widget = mount(browser_page, gradient_explorer(), "gradients")
    slider = widget.get_by_role("slider", name="loss scale")

    def agrees(kind: str, power: int) -> None:
        found = recorded_histogram(kind).report(2.0**power)
        expect(slider).to_have_value(str(power))
        for part, share in vars(found).items():
            expect(widget.locator(f'[data-part="{part}"]')).to_have_text(percent(share))
        assert f"{percent(found.zero)} that are exactly 0 stay 0: no scale" in said(widget)
        assert percent(found.overflow) in said(widget) or found.overflow == 0

    agrees("weights", 0)
    press(widget, "loss scale", "ArrowRight", "ArrowRight", "ArrowRight")
    agrees("weights", 3)
    picture = widget.locator(".hb-chart")
    drag(browser_page, picture, (0.5, 0.5), 100)
    power = int(slider.input_value())
    step = (picture.bounding_box()["width"] - 148) / 64  # 64 powers on the axis between the margins
    assert 3 + 100 / step - 1 <= power <= 3 + 100 / step * 1.2 + 1
    agrees("weights", power)
    drag(browser_page, picture, (0.8, 0.5), -700)
    agrees("weights", 0)
    press(widget, "loss scale", "End")
    agrees("weights", 32)
    assert "overflow to ∞" in said(widget)
    widget.get_by_role("button", name="activations").click()
    agrees("activations", 32)


# ----------------------------------------------------------------- Overflow


def test_the_tracer_shows_the_traces(browser_page: Page) -> None:
    widget = mount(browser_page, overflow_explorer(), "overflow")
    fmt, ending, power = "fp16", "softmax", 0
    moves = [
        ("ArrowRight", None), ("ArrowRight", None), ("ArrowRight", None), (None, "stable softmax"),
        (None, "log-softmax"), ("End", None), (None, "bf16"), ("Home", None), (None, "fp16"),
    ]  # fmt: skip
    for key, pressed in [(None, None), *moves]:
        if key:
            press(widget, "input ×", key)
            power = {"Home": -16, "End": 16}.get(key, power + 1)
        if pressed:
            widget.get_by_role("button", name=pressed, exact=True).click()
            fmt, ending = (pressed, ending) if "16" in pressed else (fmt, pressed)
        expected = trace(power, fmt, ending)
        assert said(widget) == expected.said
        lines = widget.locator("tbody tr").all()
        assert len(lines) == len(expected.rows)
        for line, row in zip(lines, expected.rows, strict=True):
            assert line.get_attribute("data-step") == row.name
            counts = [
                int(text.split("/")[0]) for text in line.locator(".hb-count").all_inner_texts()
            ]
            assert counts == [row.infs, row.nans, row.zeros]
            state = "nan" if row.nans else "inf" if row.infs else "ok"
            assert line.get_attribute("data-state") == state
            none = line.locator(".hb-largest").inner_text() == "none"
            assert none == math.isnan(row.largest)
        tags = " ".join(widget.locator(".hb-tag").all_inner_texts())
        assert ("first ∞" in tags) == any(row.infs for row in expected.rows)
        assert ("NaN" in tags) == any(row.nans for row in expected.rows)


# ----------------------------------------------------------------- Variance


def test_variances_follow_the_slider_and_the_pointer(browser_page: Page) -> None:
    widget = mount(browser_page, variance_explorer(), "variance")
    for name in ("fp32", "fp16", "bf16"):
        widget.get_by_role("button", name=name).click()
        found = all_variances(FORMATS[name])
        negative = sum(v < 0 for each in found for v in each.by_way.values())
        assert widget.locator(".hb-negative").count() == negative
        for key, mean in (("Home", 0.0), ("End", 1e6)):
            press(widget, "mean", key)
            assert said(widget) == f"{name}. {found[MEANS.index(mean)].said()}"
    picture = widget.locator(".hb-chart")
    slider = widget.get_by_role("slider", name="mean")
    drag(browser_page, picture, (0.3, 0.5), 0.4 * picture.bounding_box()["width"])
    chosen = int(slider.input_value())
    assert 10 < chosen < len(MEANS) - 4
    assert said(widget) == f"bf16. {found[chosen].said()}"


# --------------------------------------------------------------- Everywhere

MAKERS = {
    "softmax": softmax_explorer,
    "gradients": gradient_explorer,
    "overflow": overflow_explorer,
    "variance": variance_explorer,
}


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_is_cut_off_in_a_narrow_window(browser_page: Page, name: str) -> None:
    browser_page.set_viewport_size({"width": 370, "height": 900})
    widget = mount(browser_page, MAKERS[name](), name)
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= 370
    right = widget.bounding_box()["x"] + widget.bounding_box()["width"]
    code = "es => es.map(e => e.getBoundingClientRect().right)"
    assert max(widget.locator("button, input, td, th, output, svg").evaluate_all(code)) <= right


@pytest.mark.parametrize("name", MAKERS)
def test_a_redraw_takes_less_than_a_frame(browser_page: Page, name: str) -> None:
    widget = mount(browser_page, MAKERS[name](), name)
    code = """input => {
        const times = [];
        for (let i = 0; i < 30; i += 1) {
            input.value = i % 2 ? input.max : input.min;
            const start = performance.now();
            input.dispatchEvent(new Event("input", { bubbles: true }));
            input.getBoundingClientRect();
            times.push(performance.now() - start);
        }
        return Math.min(...times); // what it takes when nothing else runs
    }"""
    assert widget.locator("input[type=range]").first.evaluate(code) < 16


def test_widgets_live_in_jupyterlab_in_both_themes(lab: Lab, tmp_path: Path) -> None:
    calls = [f"import halfbits as hb\nhb.{name}()" for name in (
        "softmax_explorer", "gradient_explorer", "overflow_explorer", "variance_explorer",
    )]  # fmt: skip
    lab.open_notebook(write_notebook(tmp_path / "unit3.ipynb", *calls))
    lab.run_all()
    assert lab.cell_errors() == []
    cells = lab.cell_count()
    widgets = lab.page.locator(".halfbits-play")
    expect(widgets).to_have_count(len(calls))
    for theme, dark in (("JupyterLab Dark", True), ("JupyterLab Light", False)):
        lab.set_theme(theme)
        for widget in widgets.all():
            ink, paper = (
                widget.evaluate("(e, key) => getComputedStyle(e).getPropertyValue(key)", key)
                for key in ("color", "background-color")
            )
            assert (lightness(ink) > lightness(paper)) == dark
            assert abs(lightness(ink) - lightness(paper)) > 0.5
    # Letters do nothing to the notebook while a slider has the focus.
    press(widgets.nth(1), "loss scale", "ArrowRight", "a", "b", "d", "d", "x")
    assert lab.cell_count() == cells
    expect(widgets.nth(1).get_by_role("slider")).to_have_value("1")


def lightness(color: str) -> float:
    """Mean of the channels, 0 to 1, of ``rgb(…)`` or ``color(srgb …)``."""
    parts = [float(x) for x in re.findall(r"[\d.]+", color.replace("srgb", ""))[:3]]
    return sum(parts) / 3 / (255 if color.startswith("rgb") else 1)
