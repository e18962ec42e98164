"""Find a class's students in a list that Canvas or Moodle has exported."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from grader.problem import Problem
from grader.reading import Unreadable, read_bounded

MAX_ROSTER = 20 << 20  # bytes
POINTS_POSSIBLE = "Points Possible"  # what Canvas calls its second row

# Columns that say who somebody is, the surest first; in lower case.
IDENTIFIERS = (
    "id",
    "sis user id",
    "sis login id",
    "integration id",
    "id number",
    "username",
    "email address",
    "email",
)


@dataclass(frozen=True)
class Roster:
    """The columns of an exported list, and a row (a dict by column) for each student."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]

    def column(self, *names: str) -> str:
        """The list's own spelling of the first of these columns that it has, or nothing."""
        own = {column.strip().casefold(): column for column in self.columns}
        return next((own[name.casefold()] for name in names if name.casefold() in own), "")

    def find(self, student: str) -> dict[str, str] | None:
        """The one row of a student: by an identifier, else by the full name.

        ``lovelaceada_1001``, as ``grader collect`` names students of Canvas, has the id 1001.
        """
        number = re.fullmatch(r".*?_?(\d+)", student)
        for name in filter(None, (student, number[1] if number and "_" in student else "")):
            for column in filter(None, map(self.column, IDENTIFIERS)):
                found = [row for row in self.rows if _same(row[column], name)]
                if len(found) == 1:
                    return found[0]
        found = self._by_name.get(_words(student), [])
        return found[0] if len(found) == 1 else None

    @property
    def _by_name(self) -> dict[tuple[str, ...], list[dict[str, str]]]:
        first, last = self.column("first name", "firstname"), self.column("last name", "lastname")
        whole = self.column("student", "full name")
        names: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
        for row in self.rows:
            name = row[whole] if whole else f"{row.get(first, '')} {row.get(last, '')}"
            names[_words(name)].append(row)
        return names


def read_roster(path: Path) -> Roster:
    """Read what Canvas or Moodle exported: UTF-8 with or without a BOM, commas or semicolons.

    Raises
    ------
    Problem
        If the file cannot be read or has no column that says who somebody is.
    """
    try:
        text = read_bounded(path, MAX_ROSTER).decode("utf-8-sig")
    except FileNotFoundError:
        raise Problem(f"there is no {path}: export the list of students first") from None
    except UnicodeDecodeError:
        raise Problem(f"{path} is not UTF-8 text: export it again as CSV in UTF-8") from None
    except Unreadable as problem:
        raise Problem(str(problem)) from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        columns, *rows = [r for r in csv.reader(io.StringIO(text), delimiter=delimiter) if any(r)]
    except (csv.Error, ValueError):
        raise Problem(f"{path} is no CSV file with a row of column names") from None
    people = [
        dict(zip(columns, [*row, *[""] * len(columns)], strict=False))
        for row in rows
        if POINTS_POSSIBLE not in row[0] and len([cell for cell in row if cell]) > 1
    ]
    roster = Roster(tuple(columns), tuple(people))
    if not any(map(roster.column, (*IDENTIFIERS, "student", "full name", "last name"))):
        raise Problem(f"{path} has no column that says who somebody is, such as {IDENTIFIERS[4]!r}")
    return roster


def _same(one: str, other: str) -> bool:
    return _plain(one) == _plain(other) != ""


def _words(name: str) -> tuple[str, ...]:
    """A name without its order: ``Lovelace, Ada`` is ``Ada Lovelace``."""
    return tuple(sorted(re.findall(r"[^\s,]+", _plain(name))))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()
