"""Grade with plain nbgrader, one notebook after another: slow, and without a sandbox.

It is what the engine is measured against, and the way for one's own notebooks on any machine.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import nbformat

from grader.classroom import Classroom, last_line
from grader.results import Result, recorded
from grader.units import Unit

FINGERPRINT = ".graded-as"


def grade_plain(
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
    if link := next((p for p in (notebook, *notebook.parents[:2]) if p.is_symlink()), None):
        return f"{link.name} is a link: put the files themselves there"
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
    with classroom.gradebook() as gradebook:
        return recorded(gradebook, student, unit, defect, stands=bool(defect))


def _fingerprint(*folders: Path) -> str:
    """Changes when any file below the folders does."""
    mark = hashlib.sha256()
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            mark.update(os.fsencode(path.relative_to(folder)) + b"\0" + path.read_bytes())
    return mark.hexdigest()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
