"""Judge what a submission's run has given: points for each cell, and what the student reads.

No student's code runs here. A check's points come from its observations, a quiz's from
answers.json and the key; nothing that a cell displays can earn a point.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import nbformat
from nbformat import NotebookNode, from_dict, v4
from nbgrader.utils import determine_grade

from grader.build import QUIZ_SCORE
from grader.bundle import Bundle
from grader.intake import Submission
from grader.running.ran import Ran
from halfbits.checking import DRIVERS_FILE
from halfbits.checking.judge import judge
from halfbits.checking.observe import Observation
from halfbits.checking.report import Report
from halfbits.quizzes.answers import ANSWERS_FILE, Damaged, parse_answers
from halfbits.quizzes.questions import mark_quiz
from halfbits.quizzes.quiz_report import score_view


@dataclass(frozen=True)
class Graded:
    """A submission with its points.

    Attributes
    ----------
    notebook
        The notebook as run, with outputs, checks' tables and the quiz's feedback.
    scores
        Points by grade_id; None where a human has to mark.
    fault
        What ended the run before its last cell, else the empty string.
    """

    notebook: NotebookNode
    scores: dict[str, float | None]
    fault: str = ""

    @cached_property
    def content(self) -> bytes:
        """The notebook as a file."""
        return nbformat.writes(self.notebook, indent=None).encode()  # which is faster by far


def make_job(bundle: Bundle, submission: Submission, seed: int) -> dict:
    """What goes into the sandbox: cells, inputs of cases, files; nothing that tells an answer.

    Inputs of hidden cases stand apart, by the number of their cell: they come last.
    """
    files = dict(bundle.files)
    files[f"{bundle.unit}.ipynb"] = json.dumps(submission.notebook).encode()
    if submission.answers is not None:
        files[ANSWERS_FILE] = submission.answers
    cells = [_task(bundle, cell) for cell in submission.notebook.cells if cell.cell_type == "code"]
    hidden = {n: cell.pop("cases") for n, cell in enumerate(cells) if cell.get("hidden")}
    encoded = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return {
        "files": encoded,
        "cells": cells,
        "hidden": {str(n): cases for n, cases in hidden.items()},
        "seed": seed,
    }


def _task(bundle: Bundle, cell: NotebookNode) -> dict:
    spec = bundle.specs.get(_grade_id(cell))
    if spec is None:
        # The quiz is scored from its answers; its cell has nothing to run, nor has a picture.
        idle = _grade_id(cell) == QUIZ_SCORE or cell.source in bundle.pictures
        source = "" if idle else cell.source
        # What stands as it was released runs, and nobody needs its pictures once more.
        return {"role": "run", "source": source, "draws": source not in bundle.released}
    cases = [{"args": case["args"], "sweep": case["sweep"]} for case in spec["cases"]]
    kept = {name: spec[name] for name in ("exercise", "driven", "hidden")}
    return {"role": "check", "cases": cases} | kept


def score(bundle: Bundle, submission: Submission, ran: Ran) -> Graded:
    """Give points, and put what the student reads into the notebook."""
    notebook = from_dict(submission.notebook)
    frames, late = _by_cell(ran.of_cells), _by_cell(ran.of_hidden)
    scores: dict[str, float | None] = {}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code):
        name = _grade_id(cell)
        cell.outputs, cell.execution_count = [], number + 1
        if name in bundle.specs:
            spec = bundle.specs[name]
            frame = (late if spec["hidden"] else frames).get(number)
            report = _report(spec, frame, ran.fault)
            cell.outputs = [_shown(report)]
            scores[name] = float(cell.metadata.nbgrader.points) if report.passed else 0.0
        elif name == QUIZ_SCORE and bundle.quiz:
            points, view = _quiz(bundle, submission)
            cell.outputs, scores[name] = [_shown(view)], points
        else:
            cell.outputs = _outputs(frames.get(number), ran.fault)
    for cell in notebook.cells:
        if _is_written(cell):
            scores[_grade_id(cell)] = determine_grade(cell)[0]
    _say_notes(notebook, [*submission.notes, *filter(None, [submission.defect or ran.fault])])
    return Graded(notebook, scores, ran.fault)


def _by_cell(frames: list[dict]) -> dict[int, dict]:
    found = {}
    for frame in frames:
        number = frame.get("cell")
        if isinstance(number, int) and not isinstance(number, bool):
            found.setdefault(number, frame)
    return found


def _report(spec: dict, frame: dict | None, fault: str) -> Report:
    name = spec["exercise"]
    if frame is None:
        return Report(name, defect=f"not run, because {fault or 'the run ended before'}")
    state = frame.get("state")
    if state == "missing":
        return Report(name, defect=f"there is no function `{name}` when this check runs")
    if state == "broken":
        told = f"{DRIVERS_FILE} cannot be used" if spec["hidden"] else str(frame.get("problem"))
        return Report(name, defect=told[:500])
    if state != "observed":
        return Report(name)
    try:
        seen = [Observation(output, problem) for output, problem in frame["observations"]]
        if not all(one.problem is None or isinstance(one.problem, str) for one in seen):
            raise TypeError
        verdict = judge(spec, seen)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RuntimeError):
        return Report(name, defect="what came back is not what a function returns")
    report = Report(name, verdict, str(frame.get("printed", ""))[:2000])
    return report.without_cases() if spec["hidden"] else report


def _quiz(bundle: Bundle, submission: Submission) -> tuple[float, Any]:
    problem, answers = "no question was answered, or answers.json was not handed in", {}
    if submission.answers is not None:
        try:
            answers = parse_answers(submission.answers, bundle.unit)
            problem = "" if answers else problem
        except Damaged as damage:
            problem = f"{damage}, so no answer could be read"
    marked = mark_quiz(bundle.quiz, answers)
    return float(sum(one.points for one in marked)), score_view(marked, problem)


def _shown(view: Any) -> NotebookNode:
    """A trusted object's pictures and texts as an output of a cell."""
    data = (
        view._repr_mimebundle_()
        if hasattr(view, "_repr_mimebundle_")
        else {"text/plain": repr(view), "text/html": view._repr_html_()}
    )
    return from_dict({"output_type": "display_data", "metadata": {}, "data": data})


def _outputs(frame: dict | None, fault: str) -> list[NotebookNode]:
    """A student's outputs, as far as they are outputs."""
    if frame is None:
        said = f"not run, because {fault}\n" if fault else ""
        return [v4.new_output("stream", name="stdout", text=said)] if said else []
    found = frame.get("outputs")
    kept = []
    for output in found if isinstance(found, list) else []:
        try:
            plain = output | {"data": _texts(output["data"])} if "data" in output else output
            kept.append(v4.new_output(**plain))
        except Exception:  # whatever the validators of nbformat raise for what is no output
            continue
    return kept


def _texts(data: dict) -> dict:
    """What is shown is text, except where its kind is JSON."""
    return {k: v if k.endswith("json") else str(v) for k, v in data.items()}


def _say_notes(notebook: NotebookNode, notes: list[str]) -> None:
    if notes:
        lines = "\n".join(f"- {note[0].upper()}{note[1:]}" for note in notes)
        about = v4.new_markdown_cell(f"**About this submission**\n\n{lines}", id="about-submission")
        notebook.cells.insert(0, about)


def _is_written(cell: NotebookNode) -> bool:
    nbgrader = cell.metadata.get("nbgrader", {})
    return bool(nbgrader.get("grade") and nbgrader.get("solution"))


def _grade_id(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")
