"""Plain nbgrader and the engine give every known answer the same points.

Ordinary kernels take seconds to start, so most come from a warm process, and draw no pictures of
lessons, for which nobody gets points. All else is nbgrader's; the last test has an ordinary kernel.
"""

import pytest
from warm_kernels import warm_kernels

from grader import demo, engine
from grader.__main__ import main
from grader.classroom import Classroom
from grader.plain import grade_plain
from grader.units import units

UNDRAWN = "--DisplayFormatter.active_types=text/plain"  # half of a lesson's time


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.name)
def test_both_ways_give_the_points_that_the_checks_say(unit, tmp_path):
    students = demo.packed_class(unit)
    deserved = {student.name: student.score for student in students}
    with warm_kernels(unit.imports):
        for grade in (engine.grade, grade_plain):
            classroom = Classroom(tmp_path / grade.__name__)
            classroom.config.Execute.extra_arguments.append(UNDRAWN)
            release = classroom.prepare(unit)
            for student in students:
                demo.submit(classroom, unit, student, release)
            work = [(student.name, unit) for student in students]
            assert {result.student: result.score for result in grade(classroom, work)} == deserved


def test_plain_grading_is_a_command(tmp_path, unit, capsys):
    """With an ordinary kernel."""
    classroom = Classroom(tmp_path)
    student = demo.perfect_student(unit)
    demo.submit(classroom, unit, student, classroom.prepare(unit))
    assert main(["grade", "01", "--plain", "--classroom", str(tmp_path)]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "perfect" in line)
    assert float(row.split()[2]) == student.score
