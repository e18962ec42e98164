"""A class of sample students, and the grades that they must get."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass
from pathlib import Path

import nbformat

from grader.build import grade_id, lesson_solutions
from grader.classroom import Classroom
from grader.exercise import Answer, Exercise
from grader.units import Unit


@dataclass(frozen=True)
class SampleStudent:
    """A student's name, what they typed into each cell (by grade_id), the score they deserve."""

    name: str
    answers: dict[str, str]
    score: int


def sample_class(unit: Unit) -> list[SampleStudent]:
    """Perfect; one for each wrong answer; one who solved nothing; one with a syntax error.

    The scores are those before a human marks the written answers, which count 0 until then.
    """
    perfect = lesson_solutions(unit)
    full = sum(sum(exercise.points) for exercise in unit.exercises.values())
    first = next(iter(unit.exercises.values()))
    broken = perfect | {f"{first.name}-answer": f"def {first.name}(:\n    return 1"}
    students = [
        SampleStudent("perfect", perfect, full),
        SampleStudent("nothing-solved", {}, 0),
        SampleStudent("syntax-error", broken, full - sum(first.points)),
    ]
    for exercise in unit.exercises.values():
        for answer in exercise.wrong_answers:
            typed = perfect | {f"{exercise.name}-answer": source_of(exercise, answer)}
            lost = _points_lost(exercise, answer)
            students.append(SampleStudent(_student_name(exercise, answer), typed, full - lost))
    return students


def submit(classroom: Classroom, unit: Unit, student: SampleStudent, release: Path) -> None:
    """Hand in the released notebook with the student's answers typed in."""
    notebook = nbformat.read(release / f"{unit.name}.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = student.answers.get(grade_id(cell), cell.source)
    folder = classroom.path("submitted", student.name, unit)
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{unit.name}.ipynb")


def source_of(exercise: Exercise, answer: Answer) -> str:
    """A known answer as a student would have typed it, its imports included."""
    text = textwrap.dedent(inspect.getsource(answer.function))
    definition = next(node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
    definition.decorator_list = []
    definition.name = exercise.name
    return "import math\n\nimport torch\n\n\n" + ast.unparse(definition)


def _student_name(exercise: Exercise, answer: Answer) -> str:
    return f"{exercise.name}-{answer.name}".replace("_", "-")


def _points_lost(exercise: Exercise, answer: Answer) -> int:
    visible, hidden = exercise.points
    passed_visible = exercise.try_visible(answer.function).passed
    passed_hidden = exercise.try_hidden(answer.function).passed
    return visible * (not passed_visible) + hidden * (not passed_hidden)
