"""Plain nbgrader and the engine give every known answer the same points: Units 0 to 3.

The others are in test_plain_training.py, so that two workers share them.
"""

import pytest
from both_ways import grade_both_ways

from grader import demo
from grader.__main__ import main
from grader.classroom import Classroom
from grader.units import units


@pytest.mark.parametrize("unit", units()[:4], ids=lambda unit: unit.name)
def test_both_ways_give_the_points_that_the_checks_say(unit, tmp_path):
    deserved, engine, plain = grade_both_ways(unit, tmp_path)
    assert engine == deserved
    assert plain == deserved


def test_plain_grading_is_a_command(tmp_path, unit, capsys):
    """With an ordinary kernel."""
    classroom = Classroom(tmp_path)
    student = demo.perfect_student(unit)
    demo.submit(classroom, unit, student, classroom.prepare(unit))
    assert main(["grade", "01", "--plain", "--classroom", str(tmp_path)]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "perfect" in line)
    assert float(row.split()[2]) == student.score
