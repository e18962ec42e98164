"""Build a unit's notebook from its text: points checked, hidden cases put in, ids made stable.

The result is an ordinary nbgrader source notebook; nbgrader's generate_assignment makes the
student's version of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

import jupytext
from nbformat import NotebookNode

from grader import kept
from grader.problem import Problem
from grader.units import Unit
from halfbits.checking import CHECKS_FILE, DRIVERS_FILE
from halfbits.checking.payload import pack
from halfbits.quizzes.questions import QUIZ_FILE

if TYPE_CHECKING:  # it needs PyTorch
    from grader.exercise import Exercise

HIDDEN = """\
# More cases run here when your work is graded.
### BEGIN HIDDEN TESTS
from halfbits.checking.checks import check_hidden

check_hidden({payload!r})
### END HIDDEN TESTS"""

QUIZ_SCORE = "quiz-score"  # grade_id of the cell that gives the points
SCORE = """\
hb.check_quiz()
### BEGIN HIDDEN TESTS
from halfbits.quizzes.quiz_check import score_quiz

score_quiz({payload!r})
### END HIDDEN TESTS"""


def source_notebook(unit: Unit) -> NotebookNode:
    """The unit's notebook as nbgrader takes it: solutions, hidden tests, points.

    Raises
    ------
    Problem
        If the text notebook and ``exercises.py`` disagree about exercises or points.
    """
    notebook = jupytext.read(unit.notebook)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    _check_cells(unit, notebook)
    for cell in notebook.cells:
        exercise, part = exercise_of(unit, cell)
        if exercise and part == "hidden":
            cell.source = HIDDEN.format(payload=pack(exercise.hidden_spec))
        if unit.quiz and grade_id(cell) == QUIZ_SCORE:
            cell.source = SCORE.format(payload=pack(unit.quiz.with_key()))
    _stable_ids(notebook)
    kept.keep(unit.folder, unit.exercises, unit.made_of)
    return notebook


def files(unit: Unit) -> dict[str, bytes]:
    """What lies beside the notebook, for students and graders alike: cases, quiz, drivers."""
    specs = {name: exercise.visible_spec for name, exercise in unit.exercises.items()}
    found = {CHECKS_FILE: _json(specs)}
    if unit.quiz:
        found[QUIZ_FILE] = _json(unit.quiz.released())
    if unit.drivers.exists():
        found[DRIVERS_FILE] = unit.drivers.read_bytes()
    return found


def _json(data: dict) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def grade_id(cell: NotebookNode) -> str:
    """The cell's nbgrader id, or the empty string."""
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def exercise_of(unit: Unit, cell: NotebookNode) -> tuple[Exercise | None, str]:
    """Which exercise a cell belongs to, and as what: ``answer``, ``visible`` or ``hidden``."""
    name, _, part = grade_id(cell).rpartition("-")
    return unit.exercises.get(name), part


def lesson_solutions(unit: Unit) -> dict[str, str]:
    """What the lesson itself answers in each cell for students, by grade_id."""
    cells = jupytext.read(unit.notebook).cells
    return {
        grade_id(cell): "\n".join(x for x in cell.source.split("\n") if " SOLUTION" not in x)
        for cell in cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }


def _check_cells(unit: Unit, notebook: NotebookNode) -> None:
    expected = {
        f"{name}-{part}": points
        for name, exercise in unit.exercises.items()
        for part, points in zip(("answer", "visible", "hidden"), (0, *exercise.points), strict=True)
    }
    if unit.quiz:
        expected[QUIZ_SCORE] = unit.quiz.points
    _check_questions(unit, notebook)
    present = {
        grade_id(c): c.metadata.nbgrader.get("points", 0) for c in notebook.cells if grade_id(c)
    }
    for name in expected.keys() | present.keys():
        if name not in present:
            raise Problem(f"{unit.notebook.name}: no cell has the grade_id {name!r}")
        if present[name] != expected.get(name, present[name]):
            raise Problem(
                f"{unit.notebook.name}: cell {name!r} has {present[name]} points, "
                f"{'quiz.yaml' if name == QUIZ_SCORE else 'exercises.py'} says {expected[name]}"
            )


def _check_questions(unit: Unit, notebook: NotebookNode) -> None:
    """Every question of the quiz is shown, and nothing that is none."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    shown = re.findall(r"^hb\.quiz\([\"']([^\"']*)[\"']\)", code, re.M)
    defined = [question["id"] for question in unit.quiz.questions] if unit.quiz else []
    for name in sorted({*shown} ^ {*defined}):
        where = "is shown and not in quiz.yaml" if name in shown else "of quiz.yaml is not shown"
        raise Problem(f"{unit.notebook.name}: the question {name!r} {where}")


def _stable_ids(notebook: NotebookNode) -> None:
    """Name each cell after its grade_id, else after its text: rebuilding changes nothing."""
    taken: set[str] = set()
    for cell in notebook.cells:
        words = "-".join(re.findall(r"[a-z0-9]+", cell.source.lower()))[:24].strip("-")
        mark = hashlib.sha256(cell.source.encode()).hexdigest()[:6]
        name = grade_id(cell) or f"{words}-{mark}"
        while name in taken:
            name += "-again"
        taken.add(name)
        cell.id = name
