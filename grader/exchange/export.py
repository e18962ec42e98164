"""Grades as files: for a spreadsheet here, for :mod:`canvas` and :mod:`moodle` beside it.

Spreadsheets take a cell that begins with ``=``, ``+``, ``-``, ``@``, tab or carriage return for a
formula (https://owasp.org/www-community/attacks/CSV_Injection). Text that begins so gets a ``'`` in
front, as OWASP advises: no import uses a name where an identifier is given. An identifier cannot be
changed so; whoever has nothing but such a one is left out and reported. Numbers are never negative.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nbgrader.api import MissingEntry

from grader.classroom import Classroom
from grader.exchange.roster import Roster
from grader.lateness import earned
from grader.problem import Problem
from grader.units import Unit

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Grade:
    """A student's points in a unit after what lateness cost; ``waiting`` for marks by hand."""

    score: float
    maximum: float
    waiting: bool


Grades = dict[str, dict[str, Grade]]  # by student and unit


@dataclass(frozen=True)
class Exported:
    """A file's content, and a sentence for each thing that one should know."""

    content: bytes
    notes: tuple[str, ...]
    left_out: tuple[str, ...]


def grades(classroom: Classroom, chosen: list[Unit]) -> Grades:
    """Everything that is graded, students in alphabetical order.

    Raises
    ------
    Problem
        If nothing is.
    """
    if not (classroom.root / "gradebook.db").exists():
        raise Problem(f"{classroom.root} has no grades yet: make grade first")
    found: Grades = {}
    with classroom.gradebook() as gradebook:
        for unit in chosen:
            try:
                submissions = gradebook.assignment_submissions(unit.name)
            except MissingEntry:
                continue
            for one in submissions:
                grade = Grade(earned(one), one.max_score, one.needs_manual_grade)
                found.setdefault(one.student.id, {})[unit.name] = grade
    if not found:
        raise Problem(f"{classroom.root} has no grades for these units yet: make grade first")
    return dict(sorted(found.items()))


def to_csv(found: Grades) -> Exported:
    """Everything, for a spreadsheet: a row a student and unit; with a BOM, by which Excel knows."""
    header = ("student", "unit", "score", "maximum", "to be marked by hand")
    rows = [
        (text(student), unit, number(g.score), number(g.maximum), "yes" if g.waiting else "no")
        for student, units in found.items()
        for unit, g in units.items()
    ]
    return Exported(written([header, *rows], "utf-8-sig"), (*waiting(found),), ())


def write(path: Path, content: bytes) -> None:
    """Write the file whole or not at all.

    Raises
    ------
    Problem
        If it cannot be written.
    """
    if not path.name or path.is_dir():
        raise Problem(f"cannot write {path}: it is a folder, name a file in it")
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise Problem(f"cannot write {path}: {error.strerror}") from None


def matched(
    found: Grades, roster: Roster | None, left_out: list[str]
) -> Iterator[tuple[str, dict[str, str] | None, dict[str, Grade]]]:
    """Each student with the roster's row; None for the row where there is no roster."""
    taken: dict[int, str] = {}
    for student, own in found.items():
        row = roster.find(student) if roster else None
        if roster and row is None:
            left_out.append(f"{student!r} is nobody, or more than one, in the roster")
        elif row is not None and id(row) in taken:
            left_out.append(f"{student!r} is {taken[id(row)]!r} in the roster, who has a grade")
        else:
            taken[id(row)] = student if row is not None else ""
            yield student, row, own


def units_of(found: Grades) -> list[str]:
    """The units of which somebody has a grade, in teaching order."""
    return sorted({unit for own in found.values() for unit in own})


def waiting(found: Grades) -> Iterator[str]:
    """A sentence if some scores are not whole yet."""
    count = sum(grade.waiting for own in found.values() for grade in own.values())
    if count:
        yield f"{count} of the scores wait for answers to be marked by hand: make formgrader"


def number(points: float) -> int | float:
    """As Canvas shows it, to two digits."""
    rounded = round(float(points), 2)
    return int(rounded) if rounded.is_integer() else rounded


def text(cell: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def written(rows: Iterable[Iterable[object]], encoding: str) -> bytes:
    """Every text in quotes, numbers without; lines end as RFC 4180 has it."""
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
    return file.getvalue().encode(encoding)
