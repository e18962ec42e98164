"""Every unit as a student meets it: a real JupyterLab, the released notebook and the solved one."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from browser.lab import Lab, LabServer
from grader.build import grade_id, lesson_solutions
from grader.demo import quiz_answers
from grader.units import COURSE, Unit, units
from halfbits.quizzes.answers import ANSWERS_FILE

pytestmark = pytest.mark.browser


@pytest.fixture(params=units(), ids=lambda unit: unit.name)
def unit(request: pytest.FixtureRequest) -> Unit:
    return request.param


def solve(unit: Unit, target: Path) -> None:
    """Lay down the released unit with the lesson's solutions typed in and its quiz answered."""
    shutil.copytree(COURSE / unit.name, target)
    path = target / f"{unit.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    answers = lesson_solutions(unit)
    for cell in notebook.cells:
        cell.source = answers.get(grade_id(cell), cell.source)
    nbformat.write(notebook, path)
    if unit.quiz:
        (target / ANSWERS_FILE).write_text(quiz_answers(unit.quiz))


def shown_by(lab: Lab, source: str) -> str:
    """Text output of the cell with this source."""
    sources = lab.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.content.widgets"
        ".map(c => c.model.sharedModel.getSource())"
    )
    return lab.output_text(sources.index(source))


def test_run_all_reaches_the_end_with_nothing_solved(lab: Lab, lab_server: LabServer, unit: Unit):
    lab.open_notebook(f"{lab_server.add(COURSE / unit.name)}/{unit.name}.ipynb")
    lab.run_all()
    assert lab.cell_errors() == []
    for name in unit.exercises:
        assert shown_by(lab, f'hb.check("{name}")') == f"○ {name}: not attempted yet"


def test_the_solved_notebook_passes(lab: Lab, lab_server: LabServer, unit: Unit):
    solve(unit, lab_server.notebooks / "solved" / unit.name)
    lab.open_notebook(f"solved/{unit.name}/{unit.name}.ipynb")
    lab.run_all()
    assert lab.cell_errors() == []
    for name in unit.exercises:
        assert shown_by(lab, f'hb.check("{name}")').startswith(f"✓ {name}: all")
