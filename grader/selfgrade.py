"""Grade your own notebooks, without a class: the same tests, table and page as an instructor's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from grader.classroom import Classroom
from grader.pages import feedback
from grader.plain import grade_plain
from grader.problem import Problem
from grader.results import Result
from grader.units import SOLUTIONS, Unit, find_units, units

STUDENT = "you"


def own_work(names: list[str], folder: Path, solutions: Path = SOLUTIONS) -> list[Unit]:
    """The units to grade, each of which has a notebook in the folder.

    Raises
    ------
    Problem
        If the instructor's tests are not there, or a notebook is not.
    """
    if not units(solutions):
        raise Problem(
            f"the instructor's tests are not here (no {solutions.name}/ folder): "
            "Validate in JupyterLab runs the visible ones"
        )
    chosen = find_units(names, solutions)
    for unit in chosen:
        notebook = folder / unit.name / f"{unit.name}.ipynb"
        if not notebook.is_file():
            raise Problem(f"there is no {notebook}: say with --folder where your notebooks are")
    return chosen


def grade_own(chosen: list[Unit], folder: Path) -> Iterator[tuple[Result, Path | None]]:
    """Grade copies in a throw-away class, and yield each result with its feedback page."""
    classroom = Classroom(Path(tempfile.mkdtemp(prefix="halfbits-self-")))
    for unit in chosen:
        shutil.copytree(
            folder / unit.name,
            classroom.path("submitted", STUDENT, unit),
            ignore=shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__"),
        )
    for result in grade_plain(classroom, [(STUDENT, unit) for unit in chosen]):
        if result.score is None:
            yield result, None
            continue
        if result.needs:
            result = replace(result, needs="your written answers, which count 0 here")
        unit = next(unit for unit in chosen if unit.name == result.unit)
        (_, _, page), *_ = feedback.write_feedback(classroom, [unit])
        yield result, page if isinstance(page, Path) else None
