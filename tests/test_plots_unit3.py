"""What Unit 3's pictures and widgets say: true numbers, in both themes, and errors in one line."""

import math
import re
import xml.etree.ElementTree as ET
from functools import cache

import pytest
import torch
from pictures import assert_well_drawn

import halfbits as hb
from halfbits.formats import FORMATS
from halfbits.gradients import recorded_histogram
from halfbits.overflow import trace
from halfbits.pictures.softmax_explorer import softmax_steps
from halfbits.pictures.variance_explorer import variances
from halfbits.softmax import compute
from halfbits.variance import MEANS, all_variances, welford

DRAW = {
    "softmax": softmax_steps,
    "softmax of five": lambda: softmax_steps([90, -20, 0.5, 3, 88], "bf16", 0.5),
    "gradients": hb.gradient_histogram,
    "activations": lambda: hb.gradient_histogram(2**24, "activations"),
    "overflow": hb.overflow_trace,
    "log-softmax": lambda: hb.overflow_trace(2**8, "bf16", "log-softmax"),
    "variances": variances,
    "variances fp16": lambda: variances("fp16"),
}


@cache
def picture(name):
    return DRAW[name]()


def words(name):
    """Every text in a picture."""
    root = ET.fromstring(picture(name).html)
    return ["".join(each.itertext()).strip() for each in root.iter() if each.tag.endswith("text")]


every_picture = pytest.mark.parametrize("name", DRAW)


@every_picture
def test_pictures_are_well_drawn(name):
    assert_well_drawn(DRAW[name], white=name == "overflow")


# Softmax.


def test_softmax_steps_are_torchs():
    x = torch.tensor([12.0, 11, 10]).half()
    naive, stable = (compute(way, [12, 11, 10], "fp16").steps for way in ("naive", "stable"))
    assert naive["exp"] == x.exp().tolist() and math.isinf(naive["exp"][0])
    assert math.isnan(naive["÷ sum"][0]) and naive["÷ sum"][1:] == [0, 0]
    shifted = (x - x.max()).exp()
    assert stable["÷ sum"] == (shifted / shifted.sum()).tolist()


@pytest.mark.parametrize(
    ("logits", "fmt", "naive"),
    [
        ([12, 11, 10], "fp16", "exp(12) is ∞, and ∞ ÷ ∞ is NaN"),
        ([10, 10, 10], "fp16", "no exponential overflows, but their sum is ∞, so every quotient"),
        ([-20, -20, -20], "fp16", "every exponential is flushed to 0, and 0 ÷ 0 is NaN"),
        ([12, 11, 10], "bf16", "within 1×10⁻³ of the exact result"),
        ([12, 11, 10], "fp32", "of the exact result"),
        ([90, 1, 0], "bf16", "exp(90) is ∞"),
    ],
)
def test_the_verdict_names_the_culprit(logits, fmt, naive):
    assert naive in compute("naive", logits, fmt).verdict()
    assert "of the exact result" in compute("stable", logits, fmt).verdict()


def test_softmax_picture_says_every_number():
    alt = softmax_steps([12, 11, 10], "fp16").text
    assert "Softmax in fp16, naive: exp(12) is ∞" in alt and "∞  59872  22032" in alt
    assert "0.666  0.245  0.0901" in alt
    assert {"NaN", "∞", "59872", "0.245"} <= set(words("softmax"))


def test_softmax_divides_by_the_temperature():
    assert compute("naive", [12, 11, 10], "fp16", 2).steps["x ÷ T"] == [6, 5.5, 5]


# Gradients, overflow, variance.


def test_gradient_pictures_say_the_reports():
    found = recorded_histogram("weights").report(1)
    alt = picture("gradients").text
    assert f"{100 * found.zero:.1f}% exactly 0, which no scale can bring back" in alt
    assert f"{100 * found.subnormal:.1f}% subnormal" in alt and "loss scale 1:" in alt
    assert "Gradients of activations of MiniLM, loss scale 2²⁴:" in picture("activations").text


def test_gradient_bars_are_shares_that_add_up():
    histogram = recorded_histogram("weights")
    zeros, bars = picture("gradients").figure.axes
    shares = [bar.get_height() for bar in bars.patches if bar.get_width() == pytest.approx(0.86)]
    inside = sum(row[0] for e, row in histogram.rows().items() if e >= -42)  # the axis begins there
    assert sum(shares) == pytest.approx(100 * inside / histogram.total)
    assert inside > 0.999 * (histogram.total - histogram.zeros)
    assert zeros.patches[1].get_height() == pytest.approx(100 * histogram.zeros / histogram.total)


def test_overflow_picture_says_what_the_trace_says():
    found = trace(3, FORMATS["fp16"], "softmax")
    assert found.said in picture("overflow").text
    assert "loss none" in picture("overflow").text
    assert {"first ∞", "first NaN", "512"} <= set(words("overflow"))
    assert "Everything is finite" in picture("log-softmax").text
    assert "first ∞" not in words("log-softmax")


def test_variances_are_torchs():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0)) + 1e4
    found = all_variances(FORMATS["fp32"])[MEANS.index(1e4)]
    assert found.exact == pytest.approx(1.057, abs=5e-4)
    assert found.by_way["naive"] == ((x * x).mean() - x.mean() ** 2).item()
    assert found.by_way["naive"] % 8 == 0  # the gap of fp32 at 10⁸
    assert found.by_way["two passes"] == pytest.approx(found.exact, rel=1e-3)
    assert found.by_way["Welford"] == pytest.approx(found.exact, rel=0.01)
    assert "Mean 10⁴: naive" in picture("variances").text


def test_some_naive_variance_is_negative_and_marked():
    naive = [v.by_way["naive"] for v in all_variances(FORMATS["fp32"])]
    assert min(naive) < 0
    shown = [line for line in picture("variances").figure.axes[0].lines if line.get_marker() == "v"]
    assert len(shown[0].get_xdata()) == sum(v < 0 for v in naive)


def test_welford_agrees_with_var():
    x = torch.randn(3, 50, dtype=torch.float64)
    torch.testing.assert_close(welford(x), x.var(-1, correction=0))


# Errors and plain text.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hb.softmax_steps([1, 2]), "three to five logits, such as"),
        (lambda: hb.softmax_explorer([1] * 6), "three to five logits, such as"),
        (lambda: hb.softmax_steps([1, 2, 1e4]), "numbers from −100 to 100"),
        (lambda: hb.softmax_steps([1, 2, math.nan]), "numbers from −100 to 100"),
        (lambda: hb.softmax_steps(temperature=0), "temperature is a positive number, not 0"),
        (lambda: hb.softmax_steps(fmt="tf32"), "shown in fp16, bf16, fp32, not in tf32"),
        (lambda: hb.gradient_histogram(3), "power of two from 1 to"),
        (lambda: hb.gradient_explorer(2**33), "power of two from 1 to"),
        (lambda: hb.gradient_histogram(1, "losses"), "weights or activations"),
        (lambda: hb.overflow_trace(5), "power of two from 2"),
        (lambda: hb.overflow_explorer(2**17), "power of two from 2"),
        (lambda: hb.overflow_trace(1, "fp64"), "runs in fp16, bf16, fp32"),
        (lambda: hb.variances("tf32"), "shown in fp32, fp16, bf16, not in tf32"),
        (lambda: hb.variances("half"), "half"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        call()
    assert "\n" not in str(error.value)


def test_widgets_have_a_text_form():
    assert "exp(12) is ∞" in str(hb.softmax_explorer())
    assert "loss scale 2⁸: 52.1% exactly 0" in str(hb.gradient_explorer())
    assert "fp16 softmax, scale 2³: First ∞ in exp" in str(hb.overflow_explorer())
    assert "fp32. Mean 10⁴: naive" in str(hb.variance_explorer())
    assert repr(hb.softmax_explorer()).startswith("Softmax in fp16, naive")
