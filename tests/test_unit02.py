"""Unit 2: the facts in its prose that no cell computes, its references, its pictures."""

import math
import xml.etree.ElementTree as ET
from fractions import Fraction

import pytest
import torch

from grader.adequacy import lesson_answers
from grader.units import find_units
from halfbits.formats import FORMATS
from halfbits.pictures.attempts_rounding import CHANCE, COPIES, draw_rounded, draw_stochastic
from halfbits.pictures.attempts_stalls import draw_stalls
from halfbits.pictures.attempts_sums import _errors, _loop, draw_sums
from halfbits.summation import kahan, pairwise, running_sum

(UNIT,) = find_units(["02"])
ANSWERS = {name: answer.function for name, answer in lesson_answers(UNIT).items()}
WRONG = {a.name: a.function for e in UNIT.exercises.values() for a in e.wrong_answers}
FP16, BF16, FP32 = FORMATS["fp16"], FORMATS["bf16"], FORMATS["fp32"]


# Rounding


def test_the_worked_example_of_rounding():
    assert 1.1875 == 0b1_0011 / 16 and 1.1875 / 0.25 == 4.75 and round(4.75) * 0.25 == 1.25
    assert (0b00_11 + 0b01) >> 2 == 0b01
    got = ANSWERS["round_mantissa"](torch.tensor([1.1875, 1.375]), 2)
    assert got.tolist() == [1.25, 1.5]


def test_adding_one_step_less_than_half_an_ulp_and_cutting_is_rounding_to_even():
    for pattern in range(2**5):
        last_kept = (pattern >> 2) & 1
        assert (pattern + 0b01 + last_kept) >> 2 == round(Fraction(pattern, 4))
    assert (0b111_10 + 0b01 + 1) >> 2 == 0b1_000  # the carry of the table's last row


def test_seven_fraction_bits_are_bfloat16_for_every_float32_number():
    upper = torch.arange(-(2**15), 2**15, dtype=torch.int32) << 16
    for lower in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF):
        x = (upper + lower).view(torch.float32)
        got, want = ANSWERS["round_mantissa"](x, 7), x.bfloat16().float()
        assert torch.equal(got.isnan(), want.isnan())
        same = got.view(torch.int32) == want.view(torch.int32)
        assert same[~want.isnan()].all()


def test_ten_fraction_bits_are_fp16_where_fp16_is_normal_and_only_there():
    x = torch.exp2(torch.linspace(-24, 16, 20_001))
    same = ANSWERS["round_mantissa"](x, 10) == x.half().float()
    normal = (x.half() >= FP16.smallest_normal) & x.half().isfinite()
    assert same[normal].all() and not same[~normal].all()
    ties = torch.tensor([1 + 2.0**-8, 1 + 3 * 2.0**-8])
    assert ANSWERS["round_mantissa"](ties, 7).tolist() == [1.0, 1.015625]


# Sums that stand still


def plateau(term, fmt, count=10_000):
    sums = running_sum(term, count, fmt).tolist()
    assert sums[-1] == sums[-2]
    return sums[-1]


def test_where_sums_stand_still():
    assert plateau("0.01", "fp16") == 32 and plateau("0.01", "bf16") == 4
    assert plateau("0.02", "fp16") == 64 and plateau("0.02", "bf16") == 8
    assert plateau("1/128", "bf16") == 2 and BF16.round(1 / 128) == 1 / 128
    assert plateau("0.25", "bf16") == 64 and plateau("0.26", "bf16") > 100
    assert BF16.ulp(4) == 2.0**-5 == 0.03125
    sums = running_sum("0.01", 351, "bf16").tolist()
    assert sums[348] < sums[349] == 4 == sums[350] and 350 * Fraction(1, 100) == 3.5


def test_the_three_predictions():
    half_below, half_above = FP16.ulp(0.999) / 2, FP16.ulp(1) / 2
    assert f"{half_below:.5f} {half_above:.5f}" == "0.00024 0.00049"
    assert half_below < 0.0004 < half_above
    assert f"{BF16.ulp(4) / 2:.4f}" == "0.0156"
    assert FP16.round(1.001) == 1.0009765625
    assert f"{abs(0.0009765625 / 0.001 - 1):.1%}" == "2.3%"
    assert f"{abs(1.0009765625 - 1.001):.5f}" == "0.00002"


# Thresholds


def test_the_threshold_is_right_for_every_fp16_number():
    patterns = torch.arange(0x7C00, dtype=torch.int32).to(torch.int16)
    w = patterns.view(torch.float16)
    w = torch.cat([w, -w])
    for sign in (1, -1):
        values = [ANSWERS["stall_threshold"](x, torch.float16, sign) for x in w.tolist()]
        delta = torch.tensor(values, dtype=torch.float64).half()
        assert torch.equal(delta.double(), torch.tensor(values, dtype=torch.float64))
        above = (delta.view(torch.int16) + 1).view(torch.float16)
        assert (delta >= 0).all() and (w + sign * delta == w).all()
        assert (w + sign * above != w).all()


@pytest.mark.parametrize("fmt", [BF16, FP32], ids=lambda f: f.name)
def test_the_threshold_is_right_for_many_numbers_of_other_formats(fmt):
    ints = {16: torch.int16, 32: torch.int32}[fmt.bits]
    top = fmt.encode(math.inf)
    w = torch.arange(0, top, top // 9973).to(ints).view(fmt.dtype)
    for sign in (1, -1):
        values = [ANSWERS["stall_threshold"](x, fmt.dtype, sign) for x in w.tolist()]
        delta = torch.tensor(values, dtype=torch.float64).to(fmt.dtype)
        assert (w + sign * delta == w).all()
        assert (w + sign * (delta.view(ints) + 1).view(fmt.dtype) != w).all()


def test_the_table_of_thresholds():
    threshold = ANSWERS["stall_threshold"]
    assert threshold(1.0, torch.float16, 1) == 2.0**-11
    assert threshold(1.0, torch.float16, -1) == 2.0**-12
    below = FP16.neighbours(FP16.encode(2.0**-11))[0]
    assert threshold(1 + 2.0**-10, torch.float16, 1) == below == 2.0**-11 - 2.0**-22
    assert threshold(2.0**-14, torch.float16, 1) == 0 and FP16.ulp(2.0**-14) == 2.0**-24
    assert threshold(2.0**-14, torch.float16, -1) == 0
    assert threshold(2.0**-13, torch.float16, -1) == 0 < threshold(2.0**-13, torch.float16, 1)


def test_updates_arrive_below_2048_times_and_never_from_4096_times_on():
    w = torch.arange(0x3C00, 0x4400, dtype=torch.int32).to(torch.int16).view(torch.float16)
    for sign in (1, -1):  # Micikevicius et al. 2018, section 3.1, have the 2048
        arrives = (w.double() + sign * w.double() / 2047).half() != w
        stays = (w.double() + sign * w.double() / 4096).half() == w
        assert arrives.all() and stays.all()
    assert torch.tensor(1.0).half() + 1 / 2048 == 1


def test_half_a_gap_of_bf16_beside_the_weight():
    weights = [BF16.decode(p) for p in range(BF16.encode(1.0), BF16.encode(2.0))]
    shares = [BF16.ulp(w) / 2 / w for w in weights]
    assert max(shares) == 1 / 256 and 1 / 512 < min(shares) < 1 / 500


# Sums


def test_kahan_saves_what_the_loop_loses():
    terms = torch.full((10_000,), 0.01).bfloat16()
    assert ANSWERS["kahan_sum"](terms, torch.bfloat16) == 99 == kahan(terms, "bf16")
    exact = math.fsum(terms.tolist())
    assert f"{exact:.1f}" == "100.1" and BF16.round(exact) == 100
    assert running_sum(terms, None, "bf16")[-1] == 4
    assert round(10_000 * BF16.eps / 2) == 39


def test_the_table_of_kahan():
    rows, s, c = [], 0.0, 0.0
    for x in (2048.0, 1.0, 1.0):
        y = FP16.round(x - c)
        t = FP16.round(s + y)
        c, s = FP16.round(FP16.round(t - s) - y), t
        rows.append((y, t, c))
    assert rows == [(2048, 2048, 0), (1, 2048, -1), (2, 2050, 0)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_references_agree_with_the_library_and_with_the_exact_sum(dtype):
    fmt = next(f for f in FORMATS.values() if f.dtype == dtype)
    for count in (0, 1, 2, 7, 500):
        xs = torch.rand(count, generator=torch.Generator().manual_seed(count)).to(dtype)
        exact = math.fsum(xs.tolist())
        for name, ours in (("kahan_sum", kahan), ("pairwise_sum", pairwise)):
            got = UNIT.exercises[name].oracle(xs, dtype)
            assert got.dtype == dtype and got.item() == ours(xs, fmt)
            levels = math.ceil(math.log2(max(count, 2)))
            assert abs(got.item() - exact) <= levels * fmt.eps / 2 * exact * 1.01


def test_the_tolerance_for_pairs_holds_for_every_case():
    cases = (
        UNIT.exercises["pairwise_sum"].visible_cases + UNIT.exercises["pairwise_sum"].hidden_cases
    )
    most = max(len(case.args[0]) for _, case in cases)
    assert most <= 2 ** UNIT.exercises["pairwise_sum"].compare["n"]


def test_cancellation_of_square_roots():
    x = torch.tensor(1e6)
    true = 1 / (math.sqrt(1e6 + 1) + 1e3)
    naive = (torch.sqrt(x + 1) - torch.sqrt(x)).item()
    rearranged = (1 / (torch.sqrt(x + 1) + torch.sqrt(x))).item()
    assert f"{abs(naive / true - 1):.1%}" == "2.3%" and abs(rearranged / true - 1) < 5e-7
    patterns = [torch.sqrt(y).view(torch.int32).item() for y in (x + 1, x)]
    assert patterns[0] - patterns[1] == 8
    assert patterns[0] >> 4 == patterns[1] >> 4 and patterns[0] >> 3 != patterns[1] >> 3


# Stochastic rounding


def test_the_worked_example_of_stochastic_rounding():
    bits = torch.tensor(1 + 2.0**-10).view(torch.int32).item()
    assert f"{bits & 0x7FFFFF:023b}" == "0000000" + "0010000000000000"
    assert bits & 0xFFFF == 2**13 and 2**13 / 2**16 == 1 / 8
    assert 7 / 8 * 1 + 1 / 8 * (1 + 2.0**-7) == 1 + 2.0**-10


def test_the_tolerance_of_shares_is_five_standard_deviations():
    exercise = UNIT.exercises["stochastic_round_bf16"]
    deviation = math.sqrt(0.25 / 16_384)
    assert deviation < 0.004 and 5 * deviation < exercise.compare["atol"] == 0.02


def test_the_reference_of_stochastic_rounding_has_exact_shares():
    x = torch.full((128, 128), 1 + 2.0**-10)
    values = UNIT.exercises["stochastic_round_bf16"].oracle(x, torch.Generator().manual_seed(5))
    assert (values > 1).double().mean() == 1 / 8 and values.double().mean() == 1 + 2.0**-10


# The quiz


def test_the_facts_of_the_quiz():
    term = BF16.round(0.001)
    assert plateau(term, "bf16", 50_000) == 0.5
    assert BF16.ulp(0.49) / 2 == 2.0**-10 < term < BF16.ulp(0.5) / 2 == 2.0**-9
    assert BF16.round(0.01) == 0.010009765625 and 1000 * BF16.round(0.01) == 10.009765625
    assert FP32.ulp(10) / 2 == 2.0**-21
    assert ANSWERS["stall_threshold"](4.0, torch.float16, -1) == 2.0**-10
    assert f"{12 * 2.0**-8:.1%} {4095 * 2.0**-8:.0%}" == "4.7% 1600%"
    assert FP16.round(3.1416) == FP16.round(3.1406) == 3.140625 and FP16.ulp(3.14) == 2.0**-9
    assert FP32.ulp(3.14) == 2.0**-22
    difference = torch.tensor(3.1416) - torch.tensor(3.1406)
    assert f"{difference.item():.3g}" == "0.001" and 2 * 2.0**-23 / 0.001 < 0.0005


# Pictures of the student's functions


def stub(*args):
    raise NotImplementedError


def broken(*args):
    raise ValueError("no\nno")


PICTURES = {
    "round_mantissa": draw_rounded,
    "stall_threshold": draw_stalls,
    "pairwise_sum": draw_sums,
    "kahan_sum": draw_sums,
    "stochastic_round_bf16": draw_stochastic,
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_show_any_function_and_say_what_is_wrong_with_it(name):
    for function, said in (
        (stub, "not attempted yet"),
        (broken, "your function raises ValueError: no no"),
        (lambda *args: None, ""),
        (lambda *args: torch.ones(3), ""),
    ):
        shown = PICTURES[name](function)
        ET.fromstring(shown.html)
        assert said in shown.text and said in shown.svg and "\n" not in shown.text


def test_right_functions_are_said_to_be_right():
    assert "2048 of 2048" in draw_rounded(ANSWERS["round_mantissa"]).text
    assert "12 of 12 ties" in draw_rounded(ANSWERS["round_mantissa"]).text
    assert "18 of 18" in draw_stalls(ANSWERS["stall_threshold"]).text
    assert "18 of 18" in draw_stalls(ANSWERS["stall_threshold"], "bf16", w=96).text
    shown = draw_sums(ANSWERS["pairwise_sum"], ANSWERS["kahan_sum"]).text
    assert "pairwise_sum: 0.2%" in shown and "kahan_sum: 0.2%" in shown and "loop's grows" in shown
    assert (
        "from x: 0.03 gaps (up to 0.05 is chance)"
        in draw_stochastic(ANSWERS["stochastic_round_bf16"]).text
    )


def test_the_chance_of_means_is_three_standard_errors():
    error = math.sqrt(0.25 / COPIES)
    assert f"{error:.3f}" == "0.016" and f"{3 * error:.2f}" == str(CHANCE)


def test_pairs_beat_the_loop_wherever_the_method_can_be_blamed():
    loop, pairs = (_errors(f)[0] for f in (_loop, ANSWERS["pairwise_sum"]))
    for one, other in zip(loop, pairs, strict=True):
        assert other < max(one, BF16.eps / 2)


def test_wrong_functions_are_counted():
    assert "2048 of 2048 numbers between and 6 of 12" in draw_rounded(WRONG["ties_go_up"]).text
    assert "17 of 18" in draw_stalls(WRONG["half_an_ulp_both_ways"]).text
    assert "10 of 18" in draw_stalls(WRONG["ties_ignored"]).text
    assert "82.8% at 3,000" in draw_sums(WRONG["one_after_the_other"]).text
    assert "from x: 0.4" in draw_stochastic(WRONG["fair_coin"]).text


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: draw_rounded(stub, man_bits=7), "man_bits is 1, 2 or 3"),
        (lambda: draw_stalls(stub, "tf32"), "not tf32"),
        (lambda: draw_stalls(stub, "fp16", w=0.1), "not 0.1"),
        (lambda: draw_stalls(stub, "fp16", w=1e-7), "away from the ends"),
        (lambda: draw_sums(), "one or two functions"),
        (lambda: draw_sums(stub, stub, stub), "not 3"),
    ],
)
def test_mistakes_are_said_in_one_line(call, said):
    with pytest.raises(ValueError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)
