"""Unit 2's pictures and the texts of its widgets: true facts in words, the same bytes twice."""

import math
import re
from functools import cache
from itertools import pairwise

import pytest
import torch
from pictures import assert_well_drawn

import halfbits as hb
from halfbits.formats import FORMATS, Format
from halfbits.pictures.cancellation import Difference, close_pair
from halfbits.pictures.page import page_module
from halfbits.pictures.steps import gap_below
from halfbits.text import significant

DRAW = {
    "sums": hb.running_sums,
    "harmonic": lambda: hb.running_sums("1/k", 1000),
    "overflow": lambda: hb.running_sums("1e4", 100, ("fp16", "bf16")),
    "steps": hb.steps,
    "fp8 steps": lambda: hb.steps("fp8_e4m3fn", w=448),
    "stochastic": hb.stochastic_roundings,
    "negative": lambda: hb.stochastic_roundings("fp16", x=-0.1),
    "cancellation": hb.cancellation,
    "nothing left": lambda: hb.cancellation("fp32", agree=28),
}
every_picture = pytest.mark.parametrize("name", DRAW)


@cache
def picture(name):
    return DRAW[name]()


@every_picture
def test_pictures_are_well_drawn(name):
    assert_well_drawn(DRAW[name], white=name == "cancellation")


@every_picture
def test_pictures_are_small_and_made_of_lines(name):
    svg = picture(name).svg
    assert len(svg) < 80_000 and "rasterized" not in svg and "<image" not in svg


# Running sums.


def test_a_hundredth_added_ten_thousand_times():
    said = picture("sums").text
    assert "10,000 × 0.01 = 100." in said
    assert "fp32 reaches 100.00295, 2.95×10⁻³ too much." in said
    reason = "the gap there is 2⁻⁵ = 0.03125, and 0.01 is less than half of it."
    assert f"fp16 stops at 32 after 2,798 additions: {reason}" in said
    assert f"bf16 stops at 4 after 350 additions: {reason}" in said


def test_the_harmonic_series():
    said = picture("harmonic").text
    assert "1 + 1/2 + … + 1/1,000 = 7.4854709." in said
    assert "fp16 stops at 7.0859375 after 512 additions" in said and "1/513 = 1.949×10⁻³" in said
    assert "bf16 stops at 5.0625 after 64 additions" in said and "1/65 = 0.01538" in said


def test_a_tie_an_overflow_and_a_term_that_is_too_small():
    said = str(hb.sum_explorer("1", 3000))
    assert "fp16 stops at 2,048 after 2,048 additions: the gap there is 2, and 1 is exactly" in said
    assert "fp32 reaches 3,000, exactly." in said
    assert "fp16 is ∞ from term 7 on: its largest number is 65504." in picture("overflow").text
    said = str(hb.sum_explorer("1e-9", 50, "fp16"))
    assert "fp16 stays at 0: 1e-9 is no more than half of its smallest number, 2⁻²⁴" in said
    said = str(hb.sum_explorer("448", 10, ("fp8_e4m3fn",)))
    assert "fp8_e4m3fn is NaN from term 2 on: its largest number is 448." in said


def test_a_term_that_becomes_half_a_gap_by_rounding_is_told_so():
    said = str(hb.sum_explorer("0.9999", 3000, "bf16"))
    assert "0.9999, rounded to 1, is exactly half of it, a tie" in said


def test_curves_are_the_sums():
    axes = picture("sums").figure.axes[0]
    fp32, fp16, bf16 = (
        line for line in axes.lines if len(line.get_xdata()) == 800 and line.get_color() != "black"
    )
    assert [line.get_ydata()[-1] for line in (fp32, fp16, bf16)] == [100.0029525756836, 32, 4]
    places = fp16.get_xdata()
    at = list(places).index(1001) if 1001 in places else 100
    total = torch.zeros((), dtype=torch.float16)
    for _ in range(int(places[at])):
        total = total + torch.tensor(0.01, dtype=torch.float16)
    assert fp16.get_ydata()[at] == total.item()


# Steps.


def test_steps_from_one():
    said = picture("steps").text
    lost = "is a tie, and w has the even last bit. The step is lost"
    assert f"1.000488281 {lost}: Δ is exactly half the gap above w, 2⁻¹¹" in said
    assert f"0.9997558594 {lost}: Δ is exactly half the gap below w, 2⁻¹²" in said
    assert "0.9995117188 is a number of fp16: nothing is rounded." in said
    assert "1.000610352 is rounded to 1.000976563: w moves by 9.77×10⁻⁴, 1.6 times Δ." in said


def test_steps_are_torchs():
    for w in (1.0, 1.0009765625, 2047.0, 6.103515625e-05):
        ulp = FORMATS["fp16"].ulp(w)
        for line in hb.steps("fp16", w).figure.axes[0].lines:
            if line.get_color() == "black" and line.get_linestyle() == ":":
                exact, result = line.get_xdata()
                assert torch.tensor(exact, dtype=torch.float32).half().item() == result
                assert abs(exact - result) <= ulp / 2


def test_a_step_past_the_largest_number():
    assert "the largest number of fp8_e4m3fn: the result is NaN." in picture("fp8 steps").text


@pytest.mark.parametrize("fmt", [FORMATS["fp16"], FORMATS["fp8_e5m2"], Format("tiny", 3, 2)])
def test_the_gap_below(fmt):
    values = fmt.finite_values()
    values = values[values >= 0].tolist()
    for below, value in pairwise(values):
        assert gap_below(fmt, value) == value - below


# Stochastic rounding.


def test_stochastic_roundings():
    said = picture("stochastic").text
    assert "x = 1.00097656 lies 0.125 of the way up from 1 in bf16." in said
    assert "Rounding to nearest gives 1 every time, 9.77×10⁻⁴ off." in said
    ups, downs, error = re.search(
        r"roundings: ([\d,]+) went up, ([\d,]+) down; their mean is .*, (\S+) off", said
    ).groups()
    ups, downs = (int(n.replace(",", "")) for n in (ups, downs))
    assert ups + downs == 10_000 and abs(ups - 1250) < 5 * math.sqrt(10_000 * 0.125 * 0.875)
    assert error == "3.83×10⁻⁵" and math.isclose(1250 - ups, 3.83e-5 * 128 * 10_000, rel_tol=1e-2)
    another = hb.stochastic_roundings(seed=1)
    assert another.text != said


def test_negative_numbers_lie_between_their_neighbours_too():
    widget = hb.stochastic_explorer("fp16", -0.1)
    assert widget.low < -0.1 < widget.high
    assert FORMATS["fp16"].neighbours(FORMATS["fp16"].encode(widget.low))[1] == widget.high
    assert math.isclose(widget.low + widget.share * (widget.high - widget.low), -0.1)
    assert "lies" in picture("negative").text


def test_a_number_of_the_format_stays_what_it_is():
    widget = hb.stochastic_explorer()
    widget.share = 1.0
    assert str(widget).startswith("x = 1.0078125 is a number of bf16 and stays what it is")


# Cancellation.


def test_cancellation():
    said = picture("cancellation").text
    assert said.startswith("a and b agree in 8 bits, which cancel: 3 of the result's 11 bits")
    assert "at most 2⁻¹¹ = 0.0488%" in said and "off by 4.86%, 99.6 times as much." in said
    assert "their difference is 0" in picture("nothing left").text
    assert hb.cancellation("fp16", 10).text.startswith(
        "a and b agree in 10 bits; rounded to fp16, the first 9 cancel: 2 of the result's 11 bits"
    )


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16"])
def test_pairs_agree_and_differences_are_exact(name):
    fmt = FORMATS[name]
    for agree in range(1, fmt.man_bits + 6):
        a, b = close_pair(agree)
        bits = [f"{int(x * 2**48):b}" for x in (a, b)]
        assert bits[0][:agree] == bits[1][:agree] and bits[0][agree] > bits[1][agree]
        d = Difference(fmt, a, b)
        assert d.near_a - d.near_b == d.result  # Sterbenz: nothing is rounded
        near = [
            torch.tensor(x, dtype=torch.float64).to(torch.float32) for x in (d.near_a, d.near_b)
        ]
        assert (near[0].to(fmt.dtype) - near[1].to(fmt.dtype)).item() == d.result
        assert d.error <= d.bound


# Texts, exports and bad input.


def test_widgets_say_what_they_show():
    assert str(hb.step_explorer()).endswith("less than half the gap above w, 2⁻¹¹ = 4.88×10⁻⁴.")
    assert str(hb.stochastic_explorer()).startswith(
        "x = 1.00097656 lies 0.125 of the way up from 1"
    )
    assert str(hb.cancellation_explorer()) == picture("cancellation").text
    assert str(hb.sum_explorer()).replace("\n", " ") == picture("sums").text
    for widget in (hb.step_explorer(torch.bfloat16, "1/3"), hb.sum_explorer("1/k", 10)):
        bundle, _ = widget._repr_mimebundle_()
        assert bundle["text/plain"] == str(widget) == repr(widget)


@pytest.mark.parametrize("name", ["sums", "steps", "stochastic", "cancellation"])
def test_pages_need_no_network(name):
    source = page_module(name)
    assert "import " not in re.sub(r"//.*|/\*.*?\*/", "", source)
    assert "http" not in source.replace("http://www.w3.org/2000/svg", "")


def test_significant_digits():
    assert significant(1.0009765625, 10) == "1.000976563"
    assert significant(-0.5, 3) == "−0.5"
    assert significant(10_000.0, 8) == "10,000"
    assert significant(1234567.0, 3) == "1,230,000"
    assert significant(1e-7, 3) == "0.0000001"


BAD = {
    "the term is a positive number or '1/k', not -1": lambda: hb.running_sums("-1"),
    "'1/n' is not a number": lambda: hb.sum_explorer("1/n"),
    "count is from 10 to 100,000 terms, not 5": lambda: hb.running_sums(count=5),
    "choose formats from fp64, fp32": lambda: hb.sum_explorer(formats=()),
    "no format 'half'": lambda: hb.running_sums(formats="half"),
    "choose a format of up to 32 bits, not fp64": lambda: hb.steps("fp64"),
    "w is a positive number in the range of fp16, not -1": lambda: hb.step_explorer("fp16", -1),
    "w is a positive number in the range of fp16, not 1e9": lambda: hb.steps("fp16", "1e9"),
    "1.5 is a number of bf16: choose one between": lambda: hb.stochastic_explorer("bf16", "1.5"),
    "x is a number within ±448": lambda: hb.stochastic_roundings("fp8_e4m3fn", 1000),
    "count is from 10 to 1,000,000 roundings, not 1": lambda: hb.stochastic_roundings(count=1),
    "choose one of fp32, fp16, bf16, not fp8_e5m2": lambda: hb.cancellation("fp8_e5m2"),
    "agree is from 1 to 15 bits in fp16, not 16": lambda: hb.cancellation_explorer("fp16", 16),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_told_in_one_line(message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        BAD[message]()
    assert "\n" not in str(caught.value)
