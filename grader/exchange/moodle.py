"""Grades as Moodle imports them: *Grades ▸ Import ▸ CSV file*.

https://docs.moodle.org/en/Grade_import: any columns, of which the instructor maps one to
*username*, *ID number* or *Email address* (case counts) and each other one to a grade item.
"""

from __future__ import annotations

from grader.exchange.export import (
    FORMULA,
    Exported,
    Grades,
    matched,
    number,
    units_of,
    waiting,
    written,
)
from grader.exchange.roster import Roster
from grader.problem import Problem

IDENTIFIERS = {"idnumber": "ID number", "username": "Username", "email": "Email address"}


def to_moodle(found: Grades, roster: Roster | None = None, identifier: str = "") -> Exported:
    """For *Grades ▸ Import ▸ CSV file* in Moodle.

    Parameters
    ----------
    identifier
        ``idnumber``, ``username`` or ``email``; by default the first of them that everyone has in
        the roster. Without a roster it is what students are called in the gradebook.
    """
    units, left_out = units_of(found), []
    people = list(matched(found, roster, left_out))
    column = _column(roster, [row for _, row, _ in people if row], identifier, [*found])
    own_name = roster.column(column) if roster else ""
    if identifier and roster and not own_name:
        raise Problem(f"the roster has no column {column!r}: choose another --identifier")
    rows = []
    for student, row, own in people:
        name = row[own_name] if row is not None else student
        if not name or name.startswith(FORMULA):
            why = "an id that a spreadsheet takes for a formula" if name else f"no {column}"
            left_out.append(f"{student!r} has {why}")
            continue
        rows.append([name, *(number(own[u].score) if u in own else "" for u in units)])
    return Exported(written([[column, *units], *rows], "utf-8"), (*waiting(found),), (*left_out,))


def _column(
    roster: Roster | None, rows: list[dict[str, str]], identifier: str, students: list[str]
) -> str:
    if identifier:
        return IDENTIFIERS[identifier]
    if roster is None:
        return IDENTIFIERS["email" if all("@" in student for student in students) else "username"]
    for column in IDENTIFIERS.values():
        own = roster.column(column)
        if own and rows and all(row[own] for row in rows):
            return column
    raise Problem("the roster has no ID number, username or email address of everyone")
