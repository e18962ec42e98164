"""Progress is what the files on the disk say, whatever state they are in."""

import json
import shutil

import nbformat
import pytest

from grader.build import grade_id, lesson_solutions
from grader.demo import quiz_answers
from grader.units import COURSE
from halfbits.checking.report import RESULT
from halfbits.progress import progress, read_progress


@pytest.fixture
def course(tmp_path):
    return shutil.copytree(COURSE, tmp_path / "course")


def change(course, unit, edit):
    path = course / unit.name / f"{unit.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        edit(cell)
    nbformat.write(notebook, path)


def of(course, unit):
    return next(u for u in read_progress(course) if u.name == unit.name)


def solve(unit, *names):
    answers = lesson_solutions(unit)

    def edit(cell):
        if grade_id(cell) in [f"{name}-answer" for name in names]:
            cell.source = answers[grade_id(cell)]

    return edit


def passed(*names, passed=True):
    def edit(cell):
        name = grade_id(cell).removesuffix("-visible")
        if grade_id(cell).endswith("-visible") and name in names:
            data = {RESULT: {"exercise": name, "attempted": True, "passed": passed}}
            cell.outputs = [nbformat.v4.new_output("display_data", data=data)]

    return edit


def test_a_fresh_course(course, unit):
    fresh = of(course, unit)
    assert (fresh.exercises, fresh.attempted, fresh.passing) == (5, 0, 0)
    assert (fresh.questions, fresh.answered, fresh.minutes) == (6, 0, None)
    assert fresh.title.startswith("Unit 1") and fresh.planned and not fresh.problem


def test_attempted_passing_and_failing(course, unit):
    change(course, unit, solve(unit, "decode", "ulp"))
    change(course, unit, passed("decode"))
    change(course, unit, passed("ulp", passed=False))
    now = of(course, unit)
    assert (now.attempted, now.passing) == (2, 1) and not now.done


def test_a_pass_that_was_taken_back_does_not_count(course, unit):
    change(course, unit, passed("decode"))  # its output is saved, the stub is back
    assert of(course, unit).passing == 0


def test_questions_come_from_answers_json(course, unit):
    (course / unit.name / "answers.json").write_text(quiz_answers(unit.quiz))
    assert of(course, unit).answered == 6


def test_everything_done(course, unit):
    change(course, unit, solve(unit, *unit.exercises))
    change(course, unit, passed(*unit.exercises))
    (course / unit.name / "answers.json").write_text(quiz_answers(unit.quiz))
    assert of(course, unit).done


def test_time_adds_up_without_pauses(course, unit):
    stamps = iter(["10:00", "10:05", "10:10", "13:00", "13:07"])

    def stamp(cell):
        if cell.cell_type == "code" and (at := next(stamps, None)):
            cell.metadata["execution"] = {"iopub.execute_input": f"2026-11-23T{at}:00.000000Z"}

    change(course, unit, stamp)
    assert of(course, unit).minutes == 17


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3}', '{"cells": ["x"]}'])
def test_broken_notebooks_are_one_sentence(course, unit, content):
    (course / unit.name / f"{unit.name}.ipynb").write_text(content)
    assert of(course, unit).problem == f"{unit.name}.ipynb cannot be read"
    assert "cannot be read" in str(progress(course))


def test_a_damaged_answers_file_is_one_sentence(course, unit):
    (course / unit.name / "answers.json").write_text("{")
    assert "answers.json" in of(course, unit).problem


def test_text_and_picture_say_the_same(course, unit):
    change(course, unit, solve(unit, "decode"))
    change(course, unit, passed("decode"))
    shown = progress(course)
    assert "1 of 5" in str(shown) and "1 of 5 exercises pass" in shown.html
    assert json.dumps(str(course))[1:-1] not in shown.html


def test_outside_the_course_it_says_so(tmp_path):
    assert "call hb.progress() in a notebook of the course" in str(progress(tmp_path))
