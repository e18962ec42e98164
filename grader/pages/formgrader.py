"""What Formgrader shows of a submission: the same safe HTML as on the feedback pages.

It is shown inside the instructor's Jupyter. A script that a student's cell has shown could do there
all that the instructor can.
"""

from __future__ import annotations

import sys
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode, v4
from nbgrader.preprocessors import NbGraderPreprocessor

from grader.pages import cells
from grader.problem import Problem
from halfbits.checking.report import STYLE
from halfbits.quizzes.quiz_report import QUIZ_STYLE

NO_AUTOGRADE = "nothing was run: grade with make grade, which keeps students' code in a sandbox"
# Formgrader's own style sheet leaves no room between the columns of a table. And what a student
# shows stays in its place: a negative margin would lay it over the fields for points.
PAGE_STYLE = """
<style>
.rendered_html :is(th, td) { padding: 2px 12px 2px 0 }
.rendered_html { contain: paint; overflow-x: auto }
</style>
"""


class SafeCells(NbGraderPreprocessor):
    """Leave what runs nothing; Markdown is for the exporter's filter, :func:`markdown_html`."""

    def preprocess(self, notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        style = PAGE_STYLE + STYLE + QUIZ_STYLE  # ours, and needed once
        for cell in notebook.cells:
            cell.metadata.pop("tags", None)  # they would become classes
            if cell.cell_type == "code":
                shown = style + cells.outputs_html(cell)
                cell.outputs = [v4.new_output("display_data", {"text/html": shown})] * bool(shown)
                style = ""
            elif cell.cell_type != "markdown":
                cell.source = cells.cell_html(cell)
        return notebook, resources


class AutogradeExporter(NotebookExporter):
    """What ``nbgrader autograde`` makes first: later it has removed the graded notebook already."""

    def __init__(self, **options: Any) -> None:
        _refuse_in_formgrader()
        super().__init__(**options)


class Kernels(AsyncKernelManager):
    """nbgrader's kernels, but none in Formgrader, whose buttons know no sandbox."""

    async def _async_start_kernel(self, **options: Any) -> None:
        _refuse_in_formgrader()
        await super()._async_start_kernel(**options)

    start_kernel = _async_start_kernel


def _refuse_in_formgrader() -> None:
    server = sys.modules.get("jupyter_server.serverapp")
    if server and server.ServerApp.initialized():
        raise Problem(NO_AUTOGRADE)
