"""Pictures of a student's function: true counts for right, wrong, broken and missing ones."""

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch

from halfbits.formats import FORMATS, Format, get_format
from halfbits.pictures.attempts import draw_decoded, draw_ulp

TINY = Format("tiny", 3, 2)
FP16 = FORMATS["fp16"]


def decode(bits, exp_bits, man_bits):
    return Format("mine", exp_bits, man_bits).decode(bits)


def ulp(x, dtype):
    return get_format(dtype).ulp(x)


def stub(*args):
    raise NotImplementedError


def titles(shown):
    ET.fromstring(shown.html)
    return shown.figure.axes[0].get_title(loc="left")


def drawn(shown):
    """Places of the right and of the wrong ticks in the student's row."""
    _, right, wrong = shown.figure.axes[0].collections
    return [[path[0][0] for path in each.get_segments()] for each in (right, wrong)]


def curve(shown):
    return shown.figure.axes[0].lines[1].get_data()


def test_a_stub_is_not_attempted_yet_and_draws_nothing():
    shown = draw_decoded(stub, 3, 2)
    assert titles(shown) == "your values from 0 to 4; not attempted yet"
    assert drawn(shown) == [[], []] and "not attempted yet" in shown.text
    shown = draw_ulp(stub, "fp16")
    assert titles(shown).endswith("your ulp (not attempted yet)")
    assert len(curve(shown)[0]) == 0 and "not attempted yet" in shown.text


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("no", "ValueError: no"),
        ("two\nlines", "ValueError: two lines"),
        ("$x^$ <b> \x00", "ValueError: $x^$ <b>"),
        ("", "ValueError"),
        ("x" * 500, "ValueError: xxx"),
    ],
)
def test_what_a_function_raises_is_said_in_one_line(message, said):
    def broken(*args):
        raise ValueError(message)

    for shown in (draw_decoded(broken, 3, 2), draw_ulp(broken, "fp16")):
        assert f"your function raises {said}" in titles(shown)
        assert f"your function raises {said}" in shown.text
        assert "\n" not in shown.text and len(titles(shown)) < 150


@pytest.mark.parametrize(
    "value", [None, "1.0", torch.tensor([1.0, 2.0]), torch.tensor(1.0), [1.0], True, 10**400, 1j]
)
def test_results_of_other_types_are_wrong_and_not_drawn(value):
    shown = draw_decoded(lambda *args: value, 3, 2)
    assert "0 of all 64 patterns are right" in titles(shown)
    assert drawn(shown) == [[], []]
    shown = draw_ulp(lambda *args: value, "fp16")
    assert "(0 of " in titles(shown) and np.isnan(curve(shown)[1]).all()


def test_right_values_are_all_right():
    shown = draw_decoded(decode, 3, 2)
    assert titles(shown) == "your values from 0 to 4; 64 of all 64 patterns are right"
    right, wrong = drawn(shown)
    assert sorted(set(right)) == [v for v in TINY.finite_values() if 0 <= v <= 4] and not wrong
    numpys = draw_decoded(lambda *args: np.float64(decode(*args)), 3, 2)
    assert "64 of all 64" in titles(numpys)


def test_wrong_values_are_counted_and_drawn_as_wrong():
    def six_wrong(bits, exp_bits, man_bits):
        wrong = {1: 0.3, 2: 1, 32: 0.0, 63: 99.0, 5: math.nan, 6: math.inf}  # 32 is −0.0
        return wrong.get(bits, decode(bits, exp_bits, man_bits))

    shown = draw_decoded(six_wrong, 3, 2)
    assert "58 of all 64 patterns are right; long and orange: wrong" in titles(shown)
    assert sorted(drawn(shown)[1]) == [0.0, 0.3, 1]


def test_alt_text_says_which_patterns_are_not_drawn():
    values = [TINY.decode(bits) for bits in range(64)]
    outside = sum(math.isfinite(v) and not 0 <= v <= 4 for v in values)
    special = sum(not math.isfinite(v) for v in values)
    assert special == 8
    said = f"{outside} lie outside the axis, and {special} are infinities or NaN"
    assert said in draw_decoded(decode, 3, 2).text
    assert "from −20 to 20" in draw_decoded(decode, 3, 2, zoom=(-20, 20)).text
    assert "0 lie outside" in draw_decoded(decode, 3, 2, zoom=(-20, 20)).text


@pytest.mark.parametrize("name", ["fp16", "bf16", "fp32", "fp64", "fp8_e4m3fn", "fp8_e5m2"])
def test_a_right_ulp_is_right_everywhere_and_jumps_at_powers_of_two(name):
    fmt = FORMATS[name]
    shown = draw_ulp(ulp, name)
    x, gap = curve(shown)
    assert f"({len(x)} of {len(x)} gaps are right)" in titles(shown)
    jumps = x[1:][np.diff(gap) > 0]
    assert jumps.tolist() == [2.0 ** (fmt.min_exponent + k) for k in range(1, 6)]
    assert shown.figure.axes[0].lines[1].get_drawstyle() == "steps-post"
    assert all(fmt.round(each) == each for each in x.tolist()) and x[-1] <= fmt.max


def test_an_ulp_without_subnormals_is_wrong_exactly_there():
    shown = draw_ulp(lambda x, dtype: 2.0 ** (math.frexp(x)[1] - 11), "fp16")
    x, _ = curve(shown)
    right = np.count_nonzero(x >= FP16.smallest_normal)
    assert 0 < right < len(x) and f"({right} of {len(x)} gaps are right)" in titles(shown)
    assert "smallest normal, 2⁻¹⁴" in shown.svg and "gap at x" in shown.svg


def test_huge_gaps_do_not_push_the_truth_out_of_sight():
    shown = draw_ulp(lambda *args: 1e300, "fp16")
    low, high = shown.figure.axes[0].get_ylim()
    assert low < 2**-24 and 2**-19 < high < 1 and "(0 of " in titles(shown)


def test_mistakes_are_said_in_one_line():
    for call, said in (
        (lambda: draw_decoded(decode, 5, 10), "16 bits are too many to draw; use at most 10"),
        (lambda: draw_decoded(decode, 1, 2), "use 2–11 exponent"),
        (lambda: draw_decoded(decode, 3, 2, zoom=(4, 0)), "smaller end first"),
        (lambda: draw_ulp(ulp, "fp17"), "no format 'fp17'; choose one of"),
        (lambda: draw_ulp(ulp, "tf32"), "PyTorch has no dtype for tf32"),
    ):
        with pytest.raises(ValueError, match=said) as caught:
            call()
        assert "\n" not in str(caught.value)
