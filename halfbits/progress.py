"""``hb.progress()``: where a student stands, read from the notebooks and answers on the disk.

Nothing is kept for it anywhere else, so nothing can drift: an exercise counts as passing if its
saved notebook shows a check that passed, a question as answered if ``answers.json`` has it.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from matplotlib.figure import Figure

from halfbits.checking import CHECKS_FILE
from halfbits.checking.report import RESULT
from halfbits.pictures.figure import WIDTH, Picture, style
from halfbits.pictures.shown import Shown
from halfbits.pictures.theme import FORMAT_COLORS
from halfbits.quizzes.answers import Damaged, read_answers
from halfbits.quizzes.questions import QUIZ_FILE

STUB = "raise NotImplementedError()"
BREAK = timedelta(minutes=15)  # a longer gap between two cells is a pause
PASSED, TRIED = FORMAT_COLORS["bf16"], FORMAT_COLORS["fp16"]


@dataclass(frozen=True)
class UnitProgress:
    """Counts for one unit; ``minutes`` is None where JupyterLab noted no times."""

    name: str
    title: str
    exercises: int
    attempted: int
    passing: int
    questions: int
    answered: int
    minutes: int | None
    planned: int | None
    problem: str = ""

    @property
    def done(self) -> bool:
        """Everything that can be checked here passes or is answered."""
        return self.passing == self.exercises and self.answered == self.questions


def progress(course: Path | str | None = None) -> Shown:
    """Show a picture and a table: per unit, exercises, questions and time.

    Parameters
    ----------
    course
        The folder with the units; by default the one around the notebook's own folder.
    """
    found = read_progress(Path(course) if course else Path.cwd().parent)
    if not found:
        text = "no units here: call hb.progress() in a notebook of the course"
        return Shown(f"<p>{text}</p>", text)
    return Shown(lambda: _picture(found).html + _html(found), _text(found))


def read_progress(course: Path) -> list[UnitProgress]:
    """One entry for each unit below ``course``, in teaching order."""
    return [_read_unit(checks.parent) for checks in sorted(course.glob(f"*/{CHECKS_FILE}"))]


def _read_unit(folder: Path) -> UnitProgress:
    exercises = _load(folder / CHECKS_FILE)
    notebook = _load(folder / f"{folder.name}.ipynb")
    cells = notebook.get("cells")
    cells = [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else []
    by_id = {_grade_id(cell): cell for cell in cells}
    attempted = [n for n in exercises if _attempted(by_id.get(f"{n}-answer", {}))]
    passing = [n for n in attempted if _passed(by_id.get(f"{n}-visible", {}), n)]
    quiz = _load(folder / QUIZ_FILE)
    questions = [question["id"] for question in quiz.get("questions", [])]
    answers, problem = {}, "" if cells else f"{folder.name}.ipynb cannot be read"
    try:
        answers = read_answers(folder, folder.name) if questions else {}
    except Damaged as damage:
        problem = problem or str(damage)
    opening = _source(cells[0]) if cells else ""
    return UnitProgress(
        name=folder.name,
        title=(re.search(r"^# (.*)$", opening, re.M) or [None, folder.name])[1],
        exercises=len(exercises),
        attempted=len(attempted),
        passing=len(passing),
        questions=len(questions),
        answered=sum(name in answers for name in questions),
        minutes=_minutes(cells),
        planned=int(m[1]) if (m := re.search(r"about (\d+) minutes", opening)) else None,
        problem=problem,
    )


def _load(path: Path) -> dict:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _grade_id(cell: dict) -> str:
    return cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", "")


def _source(cell: dict) -> str:
    return "".join(cell.get("source", ""))


def _attempted(cell: dict) -> bool:
    source = _source(cell)
    return bool(source.strip()) and STUB not in source


def _passed(cell: dict, exercise: str) -> bool:
    results = [output.get("data", {}).get(RESULT, {}) for output in cell.get("outputs", [])]
    return any(r.get("exercise") == exercise and r.get("passed") is True for r in results)


def _minutes(cells: list[dict]) -> int | None:
    """Time from cell to cell, pauses left out, as JupyterLab notes it when it records timing."""
    noted = (cell.get("metadata", {}).get("execution", {}) for cell in cells)
    stamps = [e["iopub.execute_input"] for e in noted if "iopub.execute_input" in e]
    if len(stamps) < 2:
        return None
    times = sorted(datetime.fromisoformat(stamp) for stamp in stamps)
    spent = sum((b - a for a, b in pairwise(times) if b - a <= BREAK), timedelta())
    return round(spent / timedelta(minutes=1))


def _columns(unit: UnitProgress) -> tuple[str, ...]:
    minutes = "–" if unit.minutes is None else str(unit.minutes)
    planned = f" of about {unit.planned}" if unit.planned else ""
    return (
        unit.title,
        f"{unit.passing} of {unit.exercises}",
        str(unit.attempted),
        f"{unit.answered} of {unit.questions}" if unit.questions else "–",
        minutes + planned,
    )


HEADER = ("unit", "exercises passing", "attempted", "questions answered", "minutes")
NOTE = "As saved on the disk: press Ctrl+S, then run this cell again."


def _text(found: list[UnitProgress]) -> str:
    rows = [HEADER, *map(_columns, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, *(f"! {u.problem}" for u in found if u.problem), NOTE])


def _html(found: list[UnitProgress]) -> str:
    heads = "".join(f'<th scope="col" style="text-align:left">{h}</th>' for h in HEADER)
    rows = "".join(
        "<tr>"
        + "".join(f'<td style="text-align:left">{html.escape(c)}</td>' for c in _columns(unit))
        + "</tr>"
        for unit in found
    )
    problems = "".join(f"<p>⚠ {html.escape(u.problem)}</p>" for u in found if u.problem)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f"{table}{problems}<p>{NOTE}</p>"


@style()
def _picture(found: list[UnitProgress]) -> Picture:
    """A row of squares for each unit: filled for passing, outlined for the rest."""
    figure = Figure(figsize=(WIDTH, 0.45 + 0.4 * len(found)))
    axes = figure.subplots()
    longest = max(u.exercises + u.questions for u in found)
    for row, unit in enumerate(reversed(found)):
        for place, (ink, filled) in enumerate(_squares(unit)):
            gap = 0.4 if place >= unit.exercises else 0
            box = {"facecolor": ink if filled else "none", "edgecolor": ink, "linewidth": 1.4}
            axes.bar(place + gap, 0.62, width=0.72, bottom=row - 0.31, **box)
    axes.set_yticks(range(len(found)), [unit.title for unit in reversed(found)])
    axes.set(xlim=(-0.6, max(longest, 12) + 0.6), ylim=(-0.6, len(found) - 0.4))
    axes.set_xticks([])
    axes.grid(False)
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    said = "; ".join(
        f"{u.title}: {u.passing} of {u.exercises} exercises pass, {u.answered} of {u.questions} "
        f"questions answered"
        for u in found
    )
    return Picture(figure, said)


def _squares(unit: UnitProgress) -> list[tuple[str, bool]]:
    """Colour, and whether it is filled, of each exercise and then each question."""
    tried = unit.attempted - unit.passing
    left = unit.exercises - unit.attempted
    exercises = (
        [(PASSED, True)] * unit.passing + [(TRIED, True)] * tried + [("black", False)] * left
    )
    open_questions = unit.questions - unit.answered
    blue = FORMAT_COLORS["fp32"]
    return exercises + [(blue, True)] * unit.answered + [(blue, False)] * open_questions
