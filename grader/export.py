"""Grades as files that Canvas, Moodle and spreadsheets import.

Canvas (*How do I import grades in the Gradebook?*, Canvas Instructor Guide, and
``lib/gradebook_importer.rb`` of instructure/canvas-lms): the columns Student, ID, SIS User ID,
SIS Login ID, Section, then an assignment each, and a row ``Points Possible``. A student is found by
ID, else by SIS User ID, else by SIS Login ID, else by name. UTF-8 without a byte-order mark, which
would break the first quoted cell.

Moodle (https://docs.moodle.org/en/Grade_import): any columns, of which the instructor maps one to
*username*, *ID number* or *Email address* (case counts) and each other one to a grade item.

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
from grader.lateness import earned
from grader.problem import Problem
from grader.roster import POINTS_POSSIBLE, Roster
from grader.units import Unit

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_MOODLE = {"idnumber": "ID number", "username": "Username", "email": "Email address"}


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
        (_text(student), unit, _number(g.score), _number(g.maximum), "yes" if g.waiting else "no")
        for student, units in found.items()
        for unit, g in units.items()
    ]
    return Exported(_written([header, *rows], "utf-8-sig"), (*_waiting(found),), ())


def to_canvas(found: Grades, roster: Roster | None = None) -> Exported:
    """For *Grades ▸ Import* in Canvas.

    With the roster, which is *Grades ▸ Export* of the same course, each row has Canvas's own
    identifiers, a unit that has an assignment of its name there keeps that assignment's column, and
    what we have no grade for stays as it is.
    """
    units = _units(found)
    people = _canvas_columns(roster)
    titles = {unit: _canvas_title(unit, roster) for unit in units}
    top = [*people, *titles.values()]
    points = [f"    {POINTS_POSSIBLE}", *[""] * (len(people) - 1), *_maxima(found, units)]
    rows, left_out = [], []
    for student, row, own in _matched(found, roster, left_out):
        if row is None:
            row, safe = _canvas_row(student), not student.startswith(_FORMULA)
        else:
            safe = any(row.get(c) and not row[c].startswith(_FORMULA) for c in CANVAS[1:4])
        if not safe:
            left_out.append(f"{student!r} has an id that a spreadsheet takes for a formula")
            continue
        grades = [
            _number(own[unit].score) if unit in own else row.get(titles[unit], "") for unit in units
        ]
        rows.append([*(_text(row.get(column, "")) for column in people), *grades])
    return Exported(_written([top, points, *rows], "utf-8"), (*_waiting(found),), (*left_out,))


def to_moodle(found: Grades, roster: Roster | None = None, identifier: str = "") -> Exported:
    """For *Grades ▸ Import ▸ CSV file* in Moodle.

    Parameters
    ----------
    identifier
        ``idnumber``, ``username`` or ``email``; by default the first of them that everyone has in
        the roster. Without a roster it is what students are called in the gradebook.
    """
    units, left_out = _units(found), []
    matched = list(_matched(found, roster, left_out))
    column = _moodle_column(roster, [row for _, row, _ in matched if row], identifier, [*found])
    own_name = roster.column(column) if roster else ""
    if identifier and roster and not own_name:
        raise Problem(f"the roster has no column {column!r}: choose another --identifier")
    rows = []
    for student, row, own in matched:
        name = row[own_name] if row is not None else student
        if not name or name.startswith(_FORMULA):
            why = "an id that a spreadsheet takes for a formula" if name else f"no {column}"
            left_out.append(f"{student!r} has {why}")
            continue
        rows.append([name, *(_number(own[u].score) if u in own else "" for u in units)])
    return Exported(_written([[column, *units], *rows], "utf-8"), (*_waiting(found),), (*left_out,))


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


def _matched(
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


def _canvas_columns(roster: Roster | None) -> list[str]:
    """What Canvas's own export has up to the section, in its order."""
    if roster is None:
        return list(CANVAS)
    section = roster.column("Section")
    columns = list(roster.columns)
    if not section or not roster.column("ID"):
        raise Problem("the roster is no gradebook of Canvas: use Grades, Export, Entire Gradebook")
    return columns[: columns.index(section) + 1]


def _canvas_title(unit: str, roster: Roster | None) -> str:
    """A unit's column: ``01_number_formats (4711)`` where Canvas has the assignment."""
    known = roster.columns if roster else ()
    return next((c for c in known if c == unit or c.startswith(f"{unit} (")), unit)


def _canvas_row(student: str) -> dict[str, str]:
    """Without a roster: ``lovelaceada_1001`` is the student with the ID 1001."""
    name, _, number = student.rpartition("_")
    known = number if number.isdecimal() else ""
    return {"Student": name if known else student, "ID": known, "SIS Login ID": student}


def _moodle_column(
    roster: Roster | None, rows: list[dict[str, str]], identifier: str, students: list[str]
) -> str:
    if identifier:
        return _MOODLE[identifier]
    if roster is None:
        return _MOODLE["email" if all("@" in student for student in students) else "username"]
    for column in _MOODLE.values():
        own = roster.column(column)
        if own and rows and all(row[own] for row in rows):
            return column
    raise Problem("the roster has no ID number, username or email address of everyone")


def _units(found: Grades) -> list[str]:
    return sorted({unit for own in found.values() for unit in own})


def _maxima(found: Grades, units: list[str]) -> list[int | float]:
    return [_number(next(g[u].maximum for g in found.values() if u in g)) for u in units]


def _waiting(found: Grades) -> Iterator[str]:
    count = sum(grade.waiting for own in found.values() for grade in own.values())
    if count:
        yield f"{count} of the scores wait for answers to be marked by hand: make formgrader"


def _number(points: float) -> int | float:
    """As Canvas shows it, to two digits."""
    rounded = round(float(points), 2)
    return int(rounded) if rounded.is_integer() else rounded


def _text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _written(rows: Iterable[Iterable[object]], encoding: str) -> bytes:
    """Every text in quotes, numbers without; lines end as RFC 4180 has it."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
    return text.getvalue().encode(encoding)
