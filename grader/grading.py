"""Grade submitted/STUDENT/UNIT/ with plain nbgrader; one bad notebook costs no other a point."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbgrader.api import MissingEntry, SubmittedAssignment

from grader.classroom import Classroom, last_line
from grader.problem import Problem
from grader.tables import table
from grader.units import Unit

FINGERPRINT = ".graded-as"


@dataclass(frozen=True)
class Result:
    """One student's unit after grading; ``score`` is None where nothing could be graded."""

    student: str
    unit: str
    score: float | None
    maximum: float
    needs: str = ""


def submissions(classroom: Classroom, chosen: list[Unit]) -> list[tuple[str, Unit]]:
    """Who submitted what, students in alphabetical order; an empty folder counts as a try.

    Raises
    ------
    Problem
        If there is no submission at all.
    """
    folders = sorted(p for p in classroom.submitted.glob("*") if p.is_dir())
    found = [
        (folder.name, unit)
        for unit in chosen
        for folder in folders
        if (folder / unit.name).is_dir() or not any(p.is_dir() for p in folder.iterdir())
    ]
    if not found:
        wanted = classroom.submitted / "STUDENT" / (chosen[0].name if len(chosen) == 1 else "UNIT")
        raise Problem(f"nothing to grade: put submissions into {wanted}/")
    return found


def grade(
    classroom: Classroom, work: list[tuple[str, Unit]], force: bool = False
) -> Iterator[Result]:
    """Grade each submission that changed since it was last graded, and yield its result."""
    for unit in dict.fromkeys(unit for _, unit in work):
        classroom.prepare(unit)
    for student, unit in work:
        yield _grade_one(classroom, student, unit, force)


def _grade_one(classroom: Classroom, student: str, unit: Unit, force: bool) -> Result:
    folder = classroom.path("submitted", student, unit)
    if defect := _defect(folder / f"{unit.name}.ipynb"):
        return _result(classroom, student, unit, defect)
    graded = classroom.path("autograded", student, unit)
    fingerprint = _fingerprint(folder, classroom.root / "source" / unit.name)
    if not force and _read(graded / FINGERPRINT) == fingerprint:
        return _result(classroom, student, unit)
    outcome = classroom.api.autograde(unit.name, student, force=True)
    if not outcome["success"]:
        return _result(classroom, student, unit, f"nbgrader gave up: {last_line(outcome)}")
    (graded / FINGERPRINT).write_text(fingerprint)
    return _result(classroom, student, unit)


def _defect(notebook: Path) -> str:
    """Why a notebook cannot be graded, or the empty string."""
    if not notebook.is_file():
        return f"no {notebook.name} was submitted"
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
        nbformat.validate(nbformat.from_dict(content))
    except UnicodeDecodeError:
        return f"{notebook.name} is not UTF-8 text: ask for it again"
    except json.JSONDecodeError as error:
        return f"{notebook.name} is not JSON (line {error.lineno}): ask for it again"
    except Exception as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        return f"{notebook.name} is no notebook ({reason}): ask for it again"
    return ""


def _result(classroom: Classroom, student: str, unit: Unit, defect: str = "") -> Result:
    """What the gradebook says now; an earlier grade stands if this submission has a defect."""
    with classroom.gradebook() as gradebook:
        try:
            submission = gradebook.find_submission(unit.name, student)
        except MissingEntry:
            submission = None
        if submission is None or not _graded_before(submission):
            maximum = gradebook.find_assignment(unit.name).max_score
            return Result(student, unit.name, None, maximum, defect)
        needs = defect
        if not defect and submission.needs_manual_grade:
            needs = "answers to mark by hand: make formgrader"
        if defect:
            needs += " (the earlier grade stands)"
        return Result(student, unit.name, submission.score, submission.max_score, needs)


def _graded_before(submission: SubmittedAssignment) -> bool:
    """nbgrader opens an entry before it grades; only a score in it is a grade."""
    grades = (grade for notebook in submission.notebooks for grade in notebook.grades)
    return any(grade.auto_score is not None or grade.manual_score is not None for grade in grades)


def _fingerprint(*folders: Path) -> str:
    """Changes when any file below the folders does."""
    mark = hashlib.sha256()
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            mark.update(os.fsencode(path.relative_to(folder)) + b"\0" + path.read_bytes())
    return mark.hexdigest()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def as_table(results: list[Result]) -> str:
    """The results for the terminal."""
    body = [
        (r.student, r.unit, "—" if r.score is None else f"{r.score:g}", f"{r.maximum:g}", r.needs)
        for r in results
    ]
    return table(("student", "unit", "score", "maximum", "needs a human"), body)
