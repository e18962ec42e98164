"""Feedback pages: one self-contained HTML file a student and unit, in which nothing runs.

nbgrader writes them from our template (``nbgrader generate_feedback`` in the class's folder gives
the same pages): the points, then the notebook. The page forbids scripts and loads by itself, too,
in a Content-Security-Policy; :mod:`grader.pages.cells` makes sure that there is nothing to forbid.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nbconvert.exporters import HTMLExporter, TemplateExporter
from nbformat import NotebookNode
from nbgrader.converters import GenerateFeedback
from nbgrader.preprocessors import ClearHiddenTests, GetGrades, NbGraderPreprocessor
from nbgrader.utils import capture_log, temp_attrs
from traitlets import Bool
from traitlets.config import Config

from grader.build import QUIZ_SCORE
from grader.classroom import Classroom, last_line
from grader.pages import cells
from grader.pages.markdown import render_any
from grader.pages.sanitize import clean
from grader.units import Unit
from halfbits.checking.report import STYLE
from halfbits.quizzes.quiz_report import QUIZ_STYLE

ABOUT = "about-submission"  # id of the cell that says what was put right, and limits that struck
SECONDS = 60  # for one page
MEMORY = 2 << 30  # bytes, for one page
TOO_LONG = f"takes more than {SECONDS} s to show"


class HideTests(ClearHiddenTests):
    """Take the hidden region out of the page, and out of tracebacks, which quote it."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict, index: int
    ) -> tuple[NotebookNode, dict]:
        hidden = self.begin_test_delimeter in cell.source
        cell, resources = super().preprocess_cell(cell, resources, index)
        for output in cell.get("outputs", []) if hidden else []:
            if output.output_type == "error":
                output.traceback = [f"{output.ename}: {output.evalue}"]
        return cell, resources


class Points(GetGrades):
    """Points from the gradebook, and which of them a human has still to give."""

    def _get_score(self, cell: NotebookNode, resources: dict) -> None:
        super()._get_score(cell, resources)
        grade = self.gradebook.find_grade(
            cell.metadata.nbgrader.grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        cell.metadata.nbgrader.waiting = grade.needs_manual_grade


class PageExporter(HTMLExporter):
    """nbconvert's, without its last step: a second parser must not touch what was cleaned."""

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict | None = None, **options: Any
    ) -> tuple[str, dict]:
        return TemplateExporter.from_notebook_node(self, nb, resources, **options)


class SafePage(NbGraderPreprocessor):
    """Turn every cell into HTML that is safe to show; the template puts it together."""

    plain = Bool(False, help="text only: for what takes too long to show").tag(config=True)

    def preprocess(self, notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        resources["style"] = _sheet(STYLE) + _sheet(QUIZ_STYLE)
        resources["about"], resources["questions"] = "", ""
        for cell in notebook.cells:
            grade = cell.metadata.get("nbgrader", {})
            shown = cells.outputs_html(cell, self.plain) if cell.cell_type == "code" else ""
            cell.metadata.page = {
                "source": cells.cell_html(cell, self.plain),
                "outputs": shown,
                "result": cells.result_of(cell),
                "comment": clean(render_any(grade.get("comment") or "")),
            }
            if grade.get("grade_id") == QUIZ_SCORE:
                resources["questions"], cell.metadata.page["outputs"] = shown, ""
            if cell.get("id") == ABOUT:
                resources["about"] = cell.metadata.page["source"]
        notebook.cells = [cell for cell in notebook.cells if cell.get("id") != ABOUT]
        return notebook, resources


class PageWriter(GenerateFeedback):
    """nbgrader's, for one student, whose name it would take for a pattern: ``Doe [1]``."""

    def init_notebooks(self) -> None:
        unit, student = self.coursedir.assignment_id, self.coursedir.student_id
        folder = self._format_source(unit, student)
        self.assignments = {folder: [os.path.join(folder, f"{unit}.ipynb")]}


def _sheet(style: str) -> str:
    return style.replace("<style>", "").replace("</style>", "")


def write_feedback(
    classroom: Classroom, chosen: list[Unit]
) -> Iterator[tuple[str, str, Path | str]]:
    """Write a page for every graded submission; yield student, unit, and the page or a problem.

    Each core has its share of them, so they do not come in order.
    """
    waiting = [
        (unit, folder.parent.name)
        for unit in chosen
        for folder in sorted(classroom.root.glob(f"autograded/*/{unit.name}"))
    ]
    count = min(os.cpu_count() or 1, len(waiting))
    shares = [_write(classroom, waiting[first::count]) for first in range(count)]
    while shares:
        share = shares.pop(0)
        if told := next(share, None):  # meanwhile the others' processes go on
            shares.append(share)
            yield told


def _write(
    classroom: Classroom, waiting: list[tuple[Unit, str]]
) -> Iterator[tuple[str, str, Path | str]]:
    while waiting:
        done = 0
        for done, problem in enumerate(_within_limits(_pages(classroom, waiting)), 1):
            yield _told(classroom, *waiting[done - 1], problem)
        waiting = waiting[done:]
        if waiting:  # this one takes too long to show as it is
            plain = next(_within_limits(_pages(classroom, waiting[:1], plain=True)), TOO_LONG)
            yield _told(classroom, *waiting.pop(0), plain)


def _pages(
    classroom: Classroom, waiting: list[tuple[Unit, str]], plain: bool = False
) -> Iterator[str]:
    """Write pages; for each, yield what is wrong, or the empty string."""
    api = classroom.api
    api.config.SafePage.plain = plain
    for unit, student in waiting:
        with temp_attrs(api.coursedir, assignment_id=unit.name, student_id=student):
            writer = PageWriter(coursedir=api.coursedir, parent=api, force=True)
            writer.update_config(Config({"HTMLExporter": {"template_name": "feedback"}}))
            outcome = capture_log(writer)
        yield "" if outcome["success"] else last_line(outcome)


def _told(
    classroom: Classroom, unit: Unit, student: str, problem: str
) -> tuple[str, str, Path | str]:
    page = classroom.path("feedback", student, unit) / f"{unit.name}.html"
    return student, unit.name, problem or page


def _within_limits(work: Iterator[str]) -> Iterator[str]:
    """What ``work`` yields, from a process of its own; the end where it takes too long or too much.

    Markup can be made to take hours, whoever parses it.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(work, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        while ours.poll(SECONDS):
            yield ours.recv()
    except EOFError:
        return
    finally:
        child.kill()
        child.join()


def _child(work: Iterator[str], answers: Connection) -> None:
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    except (OSError, ValueError):
        pass  # macOS has no such number; the time is bounded there, too
    for each in work:
        answers.send(each)
