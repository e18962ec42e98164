"""Unit 1 as a student meets it: a real JupyterLab, the released notebook and the solved one."""

from __future__ import annotations

import shutil

import nbformat
import pytest
from playwright.sync_api import expect

from browser.lab import Lab, LabServer
from grader.build import grade_id, lesson_solutions
from grader.demo import quiz_answers
from grader.units import COURSE, Unit
from halfbits.answers import ANSWERS_FILE

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def released(lab_server: LabServer, unit: Unit) -> str:
    """Path of the released notebook in the server."""
    return f"{lab_server.add(COURSE / unit.name)}/{unit.name}.ipynb"


@pytest.fixture(scope="module")
def solved(lab_server: LabServer, unit: Unit) -> str:
    """The same with the lesson's solutions typed in."""
    target = lab_server.notebooks / "solved"
    shutil.copytree(COURSE / unit.name, target)
    path = target / f"{unit.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    answers = lesson_solutions(unit)
    for cell in notebook.cells:
        cell.source = answers.get(grade_id(cell), cell.source)
    nbformat.write(notebook, path)
    (target / ANSWERS_FILE).write_text(quiz_answers(unit.quiz))
    return f"solved/{unit.name}.ipynb"


def shown_by(lab: Lab, source: str) -> str:
    """Text output of the cell with this source."""
    sources = lab.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.content.widgets"
        ".map(c => c.model.sharedModel.getSource())"
    )
    return lab.output_text(sources.index(source))


def test_run_all_reaches_the_end_with_nothing_solved(lab: Lab, released: str, unit: Unit):
    lab.open_notebook(released)
    lab.run_all()
    assert lab.cell_errors() == []
    for name in unit.exercises:
        assert shown_by(lab, f'hb.check("{name}")') == f"○ {name}: not attempted yet"


def test_bits_are_clicked_and_typed(lab: Lab, released: str):
    lab.open_notebook(released)
    lab.run_all()
    fp16 = lab.page.locator('[data-format="fp16"]').first
    fp16.scroll_into_view_if_needed()
    bits = fp16.locator(".hb-bit")
    expect(bits).to_have_text(list("0100011001000000"))
    bits.first.click()
    expect(fp16.locator(".hb-exact")).to_contain_text("−6.25")
    field = lab.page.get_by_role("textbox", name="decimal value").first
    field.fill("65520")
    field.press("Enter")
    expect(fp16.locator(".hb-kind")).to_have_text("+∞")


def test_validate_says_what_is_not_attempted(lab: Lab, released: str, unit: Unit):
    lab.open_notebook(released)
    said = lab.validate()
    for name in unit.exercises:
        assert f"{name}: not attempted yet" in said
    assert "Traceback" not in said


def test_the_solved_notebook_passes_everywhere(lab: Lab, solved: str, unit: Unit):
    lab.open_notebook(solved)
    lab.run_all()
    assert lab.cell_errors() == []
    for name in unit.exercises:
        assert shown_by(lab, f'hb.check("{name}")').startswith(f"✓ {name}: all")
    assert "Success! Your notebook passes all the tests." in lab.validate()
