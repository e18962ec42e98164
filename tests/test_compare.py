"""Tolerances accept what they say and nothing else; tensors are shown and told apart in words."""

import math

import pytest
import torch

from grader.exercise import Exercise, case, close, sweep, within_ulps
from halfbits.checking.codec import encode
from halfbits.checking.compare import EXACT, agree
from halfbits.checking.differences import as_text, difference

CLOSE = close(rtol=0.01, atol=0.1, why="a test")
ULPS = within_ulps(1, why="a test")


def both(want, have, rule) -> bool:
    return agree(encode(want), encode(have), rule)


@pytest.mark.parametrize(
    ("want", "have", "agrees"),
    [
        (10.0, 10.2, True),
        (10.0, 10.21, False),
        (math.nan, math.nan, True),
        (math.nan, 0.0, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (10.0, math.inf, False),
        (0.0, -0.0, True),
        (10, 10.0, False),
        (10, 11, False),
        ([10.0, 1], [10.1, 1], True),
        ([10.0, 1], [10.1], False),
        ({"a": 10.0, "b": "x"}, {"a": 10.1, "b": "x"}, True),
        ({"a": 10.0, "b": "x"}, {"a": 10.1, "b": "y"}, False),
        (torch.tensor([10.0, 0.0]), torch.tensor([10.1, 0.09]), True),
        (torch.tensor([10.0, 0.0]), torch.tensor([10.2, 0.2]), False),
        (torch.tensor([10.0]), torch.tensor([10.0]).double(), False),
        (torch.tensor([10.0]), torch.tensor(10.0), False),
        (torch.tensor([10]), torch.tensor([11]), False),
    ],
)
def test_close_applies_to_floats_and_to_nothing_else(want, have, agrees):
    assert both(want, have, CLOSE) == agrees


def test_ulps_are_those_of_the_expected_dtype():
    one = torch.tensor([1.0], dtype=torch.float16)
    assert both(one, one + torch.finfo(torch.float16).eps, ULPS)
    assert not both(one, one + 2 * torch.finfo(torch.float16).eps, ULPS)
    assert both(1.0, math.nextafter(1.0, 2.0), ULPS)
    assert not both(1.0, 1.0 + 1e-7, ULPS)


@pytest.mark.parametrize("rule", [EXACT, CLOSE])
@pytest.mark.parametrize(("want", "have"), [(True, 1), (False, 0), ([True], [1])])
def test_a_truth_value_is_no_number(want, have, rule):
    assert not both(want, have, rule) and both(want, want, rule)


def test_exact_takes_any_nan_for_nan_and_keeps_the_sign_of_zero():
    odd_nan = torch.tensor([0x7E01], dtype=torch.int16).view(torch.float16)
    assert both(torch.tensor([math.nan]).half(), odd_nan, EXACT)
    assert not both(torch.tensor([0.0]), torch.tensor([-0.0]), EXACT)


@pytest.fixture
def third() -> Exercise:
    exercise = Exercise("third", points=(1, 2), compare=close(rtol=1e-6, why="rounding"))
    exercise.reference(lambda x: {"third": x / 3})
    exercise.visible(case(1.0))
    exercise.hidden("more", case(2.0), sweep([3.0, 4.0]))
    exercise.wrong("this is a quarter")(lambda x: {"third": x / 4})
    exercise.wrong("this is a half")(lambda x: {"third": x / 2})
    return exercise


def test_with_a_tolerance_right_answers_pass_and_wrong_ones_are_named(third):
    nearly = lambda x: {"third": x * 0.33333333}  # noqa: E731
    assert third.try_visible(nearly).passed
    # A sweep's parts are lists; the tolerance reaches into them.
    third_only = Exercise("f", points=(1, 1), compare=close(rtol=1e-6, why="rounding"))
    third_only.reference(lambda x: x / 3)
    third_only.hidden("many", sweep([3.0, 4.0]))
    assert third_only.try_hidden(lambda x: x * 0.33333333).passed
    wrong = third.try_visible(lambda x: {"third": x * 0.2500000001})
    assert not wrong.passed and wrong.hint == "this is a quarter"
    assert third.try_hidden(lambda x: {"third": x / 2}).hint == "this is a half"


def test_a_hidden_row_never_shows_what_was_expected(third):
    verdict = third.try_hidden(lambda x: {"third": x})
    assert {row.expected for row in verdict.rows} == {"hidden"}
    assert {row.difference for row in verdict.rows} == {""}


def test_tensors_take_one_line():
    assert as_text(torch.tensor([1.0, 0.1]).half()) == "tensor([1, 0.099976], float16)"
    long = as_text(torch.zeros(100, 3, dtype=torch.int64))
    assert long == "tensor([0, 0, 0, 0, …], int64, 100 × 3 values)"
    assert as_text((torch.float16, [1, 2.5])) == "(torch.float16, [1, 2.5])"
    assert as_text({"sum": torch.ones(())}) == "{'sum': tensor(1, float32)}"


@pytest.mark.parametrize(
    ("want", "have", "said"),
    [
        (torch.ones(2).half(), torch.ones(2), "float32, where float16 is asked for"),
        (torch.ones(2), torch.ones(3), "shape (3,), where (2,) is asked for"),
        (torch.ones(3), torch.tensor([1, 2, 3.0]), "2 of 3 differ, first at [1]: 2, should be 1"),
        (torch.zeros(1), torch.tensor([-0.0]), "-0, should be 0"),
        (
            torch.ones(2, 2),
            torch.tensor([[1, 1], [math.nan, 1]]),
            "1 of 4 differ, first at [1, 0]: nan, should be 1",
        ),
        ([1.0, 2.0], [1.0, 3.0], "item 1: 3.0, should be 2.0"),
        ([1.0], [1.0, 3.0], "2 items, should be 1"),
        (1.0, torch.ones(1), "a tensor, where a float is asked for: `.item()` takes it out"),
        (1.0, torch.ones(2), "a tensor, where a float is asked for"),
        ("in float16; gradient finite", "in float32; gradient finite", "in float32"),
        ("in float16", "in float32", "different"),
    ],
)  # fmt: skip
def test_differences_say_where_and_by_how_much(want, have, said):
    assert difference(encode(want), encode(have)) == said


def test_only_what_is_out_of_tolerance_counts_as_different():
    want, have = torch.tensor([10.0, 20.0]), torch.tensor([10.01, 25.0])
    said = difference(encode(want), encode(have), rule=CLOSE)
    assert said == "1 of 2 differ, first at [1]: 25, should be 20"


def test_of_a_list_the_first_item_out_of_tolerance_is_named():
    want, have = [10.0, 20.0, 30.0], [10.01, 25.0, 36.0]
    assert difference(encode(want), encode(have), rule=CLOSE) == "item 1: 25.0, should be 20.0"
    assert difference(encode(want), encode(have)) == "item 0: 10.01, should be 10.0"


def test_of_a_sweep_the_first_item_out_of_tolerance_is_shown():
    exercise = Exercise("third", points=(1, 1), compare=close(rtol=1e-6, why="rounding"))
    exercise.reference(lambda x: x / 3)
    exercise.visible(sweep([3.0, 6.0, 9.0]))
    (row,) = exercise.try_visible(lambda x: x * 0.33333333 if x < 9 else 4.0).rows
    assert row.call.endswith(", item 2") and (row.expected, row.got) == ("3.0", "4.0")
    (row,) = exercise.try_visible(lambda x: x * 0.33333333).rows
    assert row.passed and "3 values" in row.got
