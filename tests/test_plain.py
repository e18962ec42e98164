"""Plain nbgrader and the engine give every honest submission the same points.

Plain nbgrader takes many seconds a submission, so three of each unit are compared: all right, all
wrong, and one with a wrong answer to every exercise. HALFBITS_EVERY=1 compares every known answer.
"""

import os

import pytest

from grader import demo, engine
from grader.__main__ import main
from grader.classroom import Classroom
from grader.plain import grade_plain
from grader.units import units


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.name)
def test_both_ways_give_the_points_that_the_checks_say(unit, tmp_path):
    students = demo.packed_class(unit, None if os.environ.get("HALFBITS_EVERY") else 3)
    deserved = {student.name: student.score for student in students}
    for way in ("engine", "plain"):
        classroom = Classroom(tmp_path / way)
        release = classroom.prepare(unit)
        for student in students:
            demo.submit(classroom, unit, student, release)
        work = [(student.name, unit) for student in students]
        grade = engine.grade if way == "engine" else grade_plain
        assert {result.student: result.score for result in grade(classroom, work)} == deserved


def test_plain_grading_is_a_command(tmp_path, unit, capsys):
    classroom = Classroom(tmp_path)
    student = demo.SampleStudent("nothing-solved", {}, 0)
    demo.submit(classroom, unit, student, classroom.prepare(unit))
    assert main(["grade", "01", "--plain", "--classroom", str(tmp_path)]) == 0
    assert "nothing-solved" in capsys.readouterr().out
