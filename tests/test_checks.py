"""What a student sees of a check: verdict, table, differences, hint; in Lab and in grading."""

import json
import math
import sys

import pytest
import torch

from grader.exercise import Exercise, case, close, sweep
from halfbits.checking import CheckFailed
from halfbits.checking import checks as check_module
from halfbits.checking.checks import check, check_hidden, try_out
from halfbits.checking.codec import encode
from halfbits.checking.differences import difference
from halfbits.checking.payload import pack, unpack
from halfbits.checking.report import GLANCE, Report


@pytest.fixture
def half() -> Exercise:
    """A little exercise: return x/2 and x·2."""
    exercise = Exercise("half", points=(1, 1))
    exercise.reference(lambda x: {"half": x / 2, "twice": x * 2})
    exercise.visible(case(1.0), case(-0.0))
    exercise.hidden("large numbers", case(1e300))
    exercise.hidden("many", sweep([1.0, 2.0, 3.0]))
    exercise.wrong("a half is not a third")(lambda x: {"half": x / 3, "twice": x * 2})
    exercise.wrong("twice is not thrice")(lambda x: {"half": x / 2, "twice": x * 3})
    return exercise


def test_right_answer_passes(half):
    assert half.try_visible(half.oracle).passed and half.try_hidden(half.oracle).passed


def test_each_entry_of_a_dict_is_judged_and_shown(half):
    verdict = half.try_visible(lambda x: {"half": x / 2, "twice": 5.0})
    rows = {row.call: row for row in verdict.rows}
    assert rows["half(1.0)['half']"].passed
    assert not rows["half(1.0)['twice']"].passed
    assert rows["half(1.0)['twice']"].difference == "× 2.5"


def test_a_sweep_that_passes_says_how_many_values_it_has(half):
    half.visible(sweep([1.0, 2.0, 3.0]))
    row = half.try_visible(half.oracle).rows[-1]
    assert row.expected == row.got == "3 values" and row.difference == ""


def test_the_misconception_is_named_even_beside_another_mistake(half):
    verdict = half.try_visible(lambda x: {"half": x / 3, "twice": "?"})
    assert verdict.hint == "a half is not a third"


def test_an_unknown_mistake_gets_no_hint(half):
    assert half.try_visible(lambda x: {"half": 7.0, "twice": 8.0}).hint is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: x, "a float, where a dict is asked for"),
        (lambda x: {"half": x / 2}, "missing"),
        (lambda x: None, "None: does every branch return a value?"),
        (lambda x: {"half": None, "twice": x * 2}, "None, where a float is asked for"),
        (lambda x: {"half": x / 2, "twice": x * 2, "third": 1}, "there should be none"),
        (lambda x: {"half": x / 2, "twice": 2}, "an int, where a float is asked for"),
    ],
)
def test_shape_and_type_mistakes_are_said(half, answer, said):
    verdict = half.try_visible(answer)
    assert not verdict.passed and said in {row.difference for row in verdict.rows}


def test_objects_and_exceptions_are_said(half):
    assert "object of class set is not plain data" in half.try_visible(lambda x: {1}).rows[0].got
    assert "raised KeyError" in half.try_visible(lambda x: {}["k"]).rows[0].got


def test_the_hidden_spec_holds_no_expected_value(half):
    text = json.dumps(half.hidden_spec)
    assert encode(5e299)["float"] not in text and encode(1.5)["float"] not in text
    assert not half.try_hidden(lambda x: {"half": x / 2, "twice": 0.0}).passed


def test_minus_zero_is_not_zero_and_nan_is_nan():
    exercise = Exercise("f", points=(1, 1))
    exercise.reference(lambda x: x)
    exercise.visible(case(-0.0), case(math.nan))
    assert exercise.try_visible(lambda x: x).passed
    assert not exercise.try_visible(lambda x: x + 0.0).passed


@pytest.mark.parametrize(
    ("expected", "got", "unit", "said"),
    [
        (1.0, 2.0, "value", "× 2"),
        (1.0, -1.0, "value", "the sign"),
        (0.0, -0.0, "value", "the sign"),
        (1.0, math.nan, "value", "NaN, should be finite"),
        (1.0, 0.0, "value", "zero, should not be"),
        (3.0, 3.0000000001, "value", "off by 3.3e-11 of it"),
        (0x3C00, 0x3C01, "fp16", "1 ulp too large; 1 bit differs"),
        (0x3C00, 0x3BFF, "fp16", "1 ulp too small; 11 bits differ"),
        (0x3C00, 0xBC00, "fp16", "1 bit differs, the sign among them"),
        (0x3C00, 0x13C00, "fp16", "not a 16-bit pattern"),
        (True, 1, "value", "an int, where a bool is asked for"),
    ],
)
def test_differences_in_the_unit_that_tells_most(expected, got, unit, said):
    assert difference(encode(expected), encode(got), unit) == said


def test_a_report_reads_as_text_and_as_html(half):
    verdict, printed = try_out(half.visible_spec, lambda x: {"half": x / 3, "twice": "<b>"})
    report = Report("half", verdict, printed)
    assert "✗ half: 3 of 4 comparisons fail" in str(report) or "✗ half: 4 of 4" in str(report)
    assert "Hint: a half is not a third" in str(report)
    assert (
        "<b>" not in report._repr_html_().replace("<b>Hint", "")
        and "&lt;b&gt;" in report._repr_html_()
    )


def test_of_many_comparisons_those_that_fail_stand_in_the_open():
    exercise = Exercise("twice", points=(1, 1))
    exercise.reference(lambda x: 2 * x)
    exercise.visible(*(case(x) for x in range(GLANCE + 4)))
    pages = [
        Report("twice", exercise.try_visible(answer))._repr_html_()
        for answer in (lambda x: 2 * x, lambda x: 2 * x if x else 1, lambda x: -1)
    ]
    opened, folded = zip(*(page.partition("<details>")[::2] for page in pages), strict=True)
    rows = [f"<code>twice({x})</code>" for x in range(GLANCE + 4)]
    assert [[row in text for row in rows].count(True) for text in opened] == [0, 1, GLANCE + 4]
    assert [[row in text for row in rows].count(True) for text in folded] == [
        GLANCE + 4,
        GLANCE + 3,
        0,
    ]
    assert "Show them" in folded[0] and f"{GLANCE + 3} comparisons that agree" in folded[1]


def test_a_call_stands_once_above_the_parts_of_its_answer(half):
    verdict, _ = try_out(half.visible_spec, lambda x: {"half": x / 2, "twice": x * 2, "third": 1})
    page = Report("half", verdict)._repr_html_()
    assert page.count("<code>half(1.0)</code>") == 1 and page.count("[&#x27;third&#x27;]</s") == 2
    assert {row.expected for row in verdict.rows if not row.passed} == {"no third"}


def test_what_differs_within_the_tolerance_is_said_to_be_near_enough():
    exercise = Exercise("f", points=(1, 1), compare=close(atol=0.1, why="a test"))
    exercise.reference(lambda x: x)
    exercise.visible(case(1.0))
    rows = [exercise.try_visible(answer).rows[0] for answer in (lambda x: x, lambda x: x + 0.05)]
    assert [row.difference for row in rows] == ["", "near enough"]


def test_pack_and_unpack(half):
    assert unpack(pack(half.hidden_spec)) == half.hidden_spec
    with pytest.raises(CheckFailed, match="damaged"):
        unpack("nonsense")


@pytest.fixture
def notebook(half, tmp_path, monkeypatch):
    """A notebook's folder and namespace, to set the student's functions in."""
    (tmp_path / "checks.json").write_text(json.dumps({"half": half.visible_spec}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    shown: list[Report] = []
    monkeypatch.setattr(check_module, "display", shown.append)
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "half", None, raising=False)
    return lambda f: (monkeypatch.setattr(main, "half", f), shown)[1]


def test_in_lab_a_check_never_raises(notebook):
    shown = notebook(lambda x: 1 / 0)
    check("half")
    assert not shown[-1].passed and "raised ZeroDivisionError" in str(shown[-1])


def test_not_attempted_and_missing_functions_are_said(notebook):
    def stub(x):
        raise NotImplementedError

    shown = notebook(stub)
    check("half")
    assert str(shown[-1]) == "○ half: not attempted yet"
    notebook(None)
    check("half")
    assert "there is no function `half`: run the cell that defines it" in str(shown[-1])


def test_while_grading_a_failure_raises_one_line(notebook, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    notebook(lambda x: {"half": x / 3, "twice": x * 2})
    with pytest.raises(CheckFailed, match="Hint: a half is not a third") as failure:
        check("half")
    assert len(failure.value._render_traceback_()) == 1


def test_while_grading_the_right_answer_passes(notebook, monkeypatch, half):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    notebook(half.oracle)
    check("half")
    check_hidden(pack(half.hidden_spec))


def test_a_hidden_check_names_kinds_but_no_values(notebook, half):
    shown = notebook(lambda x: {"half": x, "twice": x * 2})
    with pytest.raises(CheckFailed):
        check_hidden(pack(half.hidden_spec))
    text = str(shown[-1]) + shown[-1]._repr_html_()
    assert "large numbers" in text and "1e+300" not in text and "5e+299" not in text


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_missing_or_broken_checks_file_is_one_line(notebook, tmp_path, content):
    path = tmp_path / "checks.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(CheckFailed):
        check("half")


def test_an_unknown_exercise_is_one_line(notebook):
    with pytest.raises(CheckFailed, match="there are half"):
        check("third")


def test_torch_answers_are_compared_with_their_dtype():
    exercise = Exercise("f", points=(1, 1))
    exercise.reference(lambda: torch.ones(2, dtype=torch.float16))
    exercise.visible(case())
    assert exercise.try_visible(lambda: torch.ones(2, dtype=torch.float16)).passed
    assert not exercise.try_visible(lambda: torch.ones(2)).passed
