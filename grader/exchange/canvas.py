"""Grades as Canvas imports them: *Grades ▸ Import*.

*How do I import grades in the Gradebook?* (Canvas Instructor Guide, and
``lib/gradebook_importer.rb`` of instructure/canvas-lms): the columns Student, ID, SIS User ID,
SIS Login ID, Section, then an assignment each, and a row ``Points Possible``. A student is found by
ID, else by SIS User ID, else by SIS Login ID, else by name. UTF-8 without a byte-order mark, which
would break the first quoted cell.
"""

from __future__ import annotations

from grader.exchange.export import (
    FORMULA,
    Exported,
    Grades,
    matched,
    number,
    text,
    units_of,
    waiting,
    written,
)
from grader.exchange.roster import POINTS_POSSIBLE, Roster
from grader.problem import Problem

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")


def to_canvas(found: Grades, roster: Roster | None = None) -> Exported:
    """For *Grades ▸ Import* in Canvas.

    With the roster, which is *Grades ▸ Export* of the same course, each row has Canvas's own
    identifiers, a unit that has an assignment of its name there keeps that assignment's column, and
    what we have no grade for stays as it is.
    """
    units = units_of(found)
    people = _columns(roster)
    titles = {unit: _title(unit, roster) for unit in units}
    top = [*people, *titles.values()]
    points = [f"    {POINTS_POSSIBLE}", *[""] * (len(people) - 1), *_maxima(found, units)]
    rows, left_out = [], []
    for student, row, own in matched(found, roster, left_out):
        if row is None:
            row, safe = _row(student), not student.startswith(FORMULA)
        else:
            safe = any(row.get(c) and not row[c].startswith(FORMULA) for c in CANVAS[1:4])
        if not safe:
            left_out.append(f"{student!r} has an id that a spreadsheet takes for a formula")
            continue
        grades = [
            number(own[unit].score) if unit in own else row.get(titles[unit], "") for unit in units
        ]
        rows.append([*(text(row.get(column, "")) for column in people), *grades])
    return Exported(written([top, points, *rows], "utf-8"), (*waiting(found),), (*left_out,))


def _columns(roster: Roster | None) -> list[str]:
    """What Canvas's own export has up to the section, in its order."""
    if roster is None:
        return list(CANVAS)
    section = roster.column("Section")
    columns = list(roster.columns)
    if not section or not roster.column("ID"):
        raise Problem("the roster is no gradebook of Canvas: use Grades, Export, Entire Gradebook")
    return columns[: columns.index(section) + 1]


def _title(unit: str, roster: Roster | None) -> str:
    """A unit's column: ``01_number_formats (4711)`` where Canvas has the assignment."""
    known = roster.columns if roster else ()
    return next((c for c in known if c == unit or c.startswith(f"{unit} (")), unit)


def _row(student: str) -> dict[str, str]:
    """Without a roster: ``lovelaceada_1001`` is the student with the ID 1001."""
    name, _, digits = student.rpartition("_")
    known = digits if digits.isdecimal() else ""
    return {"Student": name if known else student, "ID": known, "SIS Login ID": student}


def _maxima(found: Grades, units: list[str]) -> list[int | float]:
    return [number(next(g[u].maximum for g in found.values() if u in g)) for u in units]
