"""One unit's known answers, graded by plain nbgrader and by the engine.

Ordinary kernels take seconds to start, so these come from a warm process, and draw no pictures of
lessons, for which nobody gets points. All else is nbgrader's.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from warm_kernels import warm_kernels

from grader import demo, engine
from grader.classroom import Classroom
from grader.demo import SampleStudent
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
                _submit(classroom, unit, student, release)
            work = [(student.name, unit) for student in students]
            found.append({result.student: result.score for result in grade(classroom, work)})
    return tuple(found)


def _submit(classroom: Classroom, unit: Unit, student: SampleStudent, release: Path) -> None:
    """Hand in; whoever got something wrong has deleted the lesson's own cells.

    The engine puts them back, and plain nbgrader does without: they are most of its time.
    """
    demo.submit(classroom, unit, student, release)
    if not student.name.startswith("wrong"):
        return
    path = classroom.path("submitted", student.name, unit) / f"{unit.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if _matters(cell)]
    nbformat.write(notebook, path)


def _matters(cell: nbformat.NotebookNode) -> bool:
    """Whether points can depend on a cell: what answers import is marked in every lesson."""
    return "nbgrader" in cell.metadata or "imports" in cell.metadata.get("tags", ())
