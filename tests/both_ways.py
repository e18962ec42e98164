"""One unit's known answers, graded by plain nbgrader and by the engine.

Ordinary kernels take seconds to start, so these come from a warm process, and draw no pictures of
lessons, for which nobody gets points. All else is nbgrader's.
"""

from __future__ import annotations

from pathlib import Path

from warm_kernels import warm_kernels

from grader import demo, engine
from grader.classroom import Classroom
from grader.plain import grade_plain
from grader.units import Unit

UNDRAWN = "--DisplayFormatter.active_types=text/plain"  # half of a lesson's time


def grade_both_ways(unit: Unit, folder: Path) -> tuple[dict, dict, dict]:
    """Every packed known answer's points: what its checks say, the engine's, plain nbgrader's."""
    students = demo.packed_class(unit)
    found = [{student.name: student.score for student in students}]
    with warm_kernels(unit.imports):
        for grade in (engine.grade, grade_plain):
            classroom = Classroom(folder / grade.__name__)
            classroom.config.Execute.extra_arguments.append(UNDRAWN)
            release = classroom.prepare(unit)
            for student in students:
                demo.submit(classroom, unit, student, release)
            work = [(student.name, unit) for student in students]
            found.append({result.student: result.score for result in grade(classroom, work)})
    return tuple(found)
