"""What Formgrader shows of a submission: the same safe HTML as on the feedback pages.

It is shown inside the instructor's Jupyter. A script that a student's cell has shown could do there
all that the instructor can.
"""

from __future__ import annotations

from nbformat import NotebookNode, v4
from nbgrader.preprocessors import NbGraderPreprocessor

from grader.pages import cells
from halfbits.checking.report import STYLE
from halfbits.quizzes.quiz_report import QUIZ_STYLE

# Formgrader's own style sheet leaves no room between the columns of a table.
TABLES = "<style>.rendered_html :is(th, td) { padding: 2px 12px 2px 0 }</style>"


class SafeCells(NbGraderPreprocessor):
    """Leave what runs nothing; Markdown is for the exporter's filter, :func:`markdown_html`."""

    def preprocess(self, notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        style = TABLES + STYLE + QUIZ_STYLE  # ours, and needed once
        for cell in notebook.cells:
            if cell.cell_type == "code":
                shown = style + cells.outputs_html(cell)
                cell.outputs = [v4.new_output("display_data", {"text/html": shown})] * bool(shown)
                style = ""
            elif cell.cell_type != "markdown":
                cell.source = cells.cell_html(cell)
        return notebook, resources
