"""The checks are worth their points, and the table says so truthfully."""

import json

import pytest

from grader import adequacy
from grader.__main__ import main
from grader.exercise import Exercise, case


@pytest.fixture(scope="module")
def rows(unit):
    return adequacy.assess(unit)


def test_every_wrong_answer_is_caught_and_named_and_every_right_one_accepted(rows):
    for row in rows:
        assert row.missed == [] and row.refused == [] and row.hinted == row.caught == row.wrong
        assert row.accepted == row.right


def test_unit_1_ships_every_known_wrong_answer(rows):
    assert {r.exercise: r.wrong for r in rows} == {
        "decode": 6, "dtype_limits": 4, "encode_fp16": 8, "limits": 8, "ulp": 5,
    }  # fmt: skip
    assert all(row.right >= 2 for row in rows)  # the lesson's answer and another


def test_json_has_the_documented_fields(capsys, monkeypatch, rows):
    monkeypatch.setattr(adequacy, "assess", lambda unit: rows)
    assert main(["adequacy", "01", "--json"]) == 0
    wanted = {"unit", "exercise", "points", "wrong", "caught", "missed"}
    wanted |= {"right", "accepted", "refused"}
    for row in json.loads(capsys.readouterr().out):
        assert row.keys() >= wanted


@pytest.fixture
def weak() -> Exercise:
    exercise = Exercise("absolute", points=(1, 1))
    exercise.reference(abs)
    exercise.visible(case(1.0))
    exercise.hidden("more", case(2.0))
    exercise.wrong("negative numbers")(lambda x: x)
    return exercise


def row_of(exercise, unit, lesson):
    return adequacy._assess(unit, exercise, adequacy.Answer("the lesson's answer", lesson))


def test_a_check_that_cannot_fail_is_reported(weak, unit):
    row = row_of(weak, unit, abs)
    assert row.missed == ["<lambda>"] and not row.adequate


def test_a_right_answer_that_is_refused_is_reported(weak, unit):
    weak.hidden_cases.append(("negative", weak.hidden_cases[0][1]))
    row = row_of(weak, unit, lambda x: x + 1)
    assert row.refused == ["the lesson's answer"] and not row.adequate


def test_a_miss_makes_the_command_fail(weak, unit, monkeypatch, capsys):
    monkeypatch.setattr(adequacy, "assess", lambda u: [row_of(weak, unit, abs)])
    assert main(["adequacy", "01"]) == 1
    assert "<lambda>" in capsys.readouterr().out


def test_an_unknown_unit_is_one_line(capsys):
    assert main(["adequacy", "99"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
