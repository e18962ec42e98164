"""Feedback pages: a graded notebook with its points, without the hidden tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, GetGrades

from grader.classroom import Classroom, last_line
from grader.units import Unit

WIDGET = "application/vnd.jupyter.widget-view+json"
TEXT = "text/plain"


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


class StaticWidgets(Preprocessor):
    """Show the text of a widget in place of the widget, which needs a kernel."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict, index: int
    ) -> tuple[NotebookNode, dict]:
        for output in cell.get("outputs", []):
            if output.get("data", {}).pop(WIDGET, None) and "(" in output.data.get(TEXT, "")[:12]:
                output.data[TEXT] = "an interactive picture: see it in JupyterLab"
        return cell, resources


def write_feedback(
    classroom: Classroom, chosen: list[Unit]
) -> Iterator[tuple[str, str, Path | str]]:
    """Write a page for every graded submission; yield student, unit, and the page or a problem."""
    for unit in chosen:
        for folder in sorted(classroom.root.glob(f"autograded/*/{unit.name}")):
            student = folder.parent.name
            outcome = classroom.api.generate_feedback(unit.name, student, force=True)
            page = classroom.path("feedback", student, unit) / f"{unit.name}.html"
            yield student, unit.name, page if outcome["success"] else last_line(outcome)
