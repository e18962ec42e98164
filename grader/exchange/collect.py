"""Take in what a learning management system gives: submitted/STUDENT/UNIT/ for each student.

Each submission is written whole or not at all. One that was there before and is different moves to
submitted-before/STUDENT/UNIT/, numbered; what is the same stays as it is.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from grader.classroom import Classroom
from grader.engine import LOCK
from grader.exchange.archive import opened
from grader.exchange.entries import Item, Refused
from grader.exchange.handed import Handed
from grader.exchange.submitted import hand_in
from grader.exchange.which import Which
from grader.exchange.whose import Owner, owner, without_wrapper
from grader.lateness import MAX_TIMESTAMP, TIMESTAMP
from grader.problem import Problem
from grader.reading import MAX_NOTEBOOK, Unreadable, read_cells, read_notebook
from grader.tables import table
from grader.units import Unit
from halfbits.quizzes.answers import ANSWERS_FILE

A_DOWNLOAD = timedelta(minutes=10)  # files that close together in time were stamped by it


@dataclass(frozen=True)
class Collected:
    """What became of one submission, or of one file that is not taken.

    Attributes
    ----------
    student, unit
        Whose and of what; for a refused file its path, and the empty string.
    outcome
        ``new``, ``replaced``, ``unchanged`` or ``refused``.
    note
        Why it was refused, or what one should know.
    """

    student: str
    unit: str
    outcome: str
    note: str = ""


@dataclass(frozen=True)
class _Found:
    """A notebook that can be read, and how well its name says that it is the one to take."""

    rank: tuple
    content: bytes
    owner: Owner
    item: Item


def collect(
    classroom: Classroom, source: Path, units: list[Unit], only: Unit | None = None
) -> Iterator[Collected]:
    """Take in a zip file or folder; yield what became of each submission and each bad file.

    Parameters
    ----------
    units
        All that there are: a notebook belongs to the one that its file name says, else to the one
        whose cells it has.
    only
        The unit that all of it is of: a notebook that does not tell is of this one.

    Raises
    ------
    Problem
        If there is no such zip or folder, nothing in it, or the class is being graded.
    """
    if not source.exists():
        raise Problem(f"there is no {source}: give the zip file or folder that you downloaded")
    try:
        classroom.root.mkdir(parents=True, exist_ok=True)
        with (
            FileLock(classroom.root / LOCK, timeout=0),
            opened(source) as found,
            tempfile.TemporaryDirectory(prefix=".collect-", dir=classroom.root) as stage,
        ):
            if not found:
                raise Problem(f"there is no file in {source}")
            yield from _Desk(classroom, Path(stage), units, only).take(found)
    except Timeout:
        raise Problem(f"{classroom.root} is being graded: wait until that ends") from None
    except Unreadable as problem:
        raise Problem(str(problem)) from None
    except OSError as error:
        raise Problem(f"cannot write into {classroom.root}: {error.strerror}") from None


class _Desk:
    """Where submissions are sorted before they go into the class's folder."""

    def __init__(
        self, classroom: Classroom, stage: Path, units: list[Unit], only: Unit | None
    ) -> None:
        self._classroom, self._stage, self._only = classroom, stage, only
        self._units = {unit.name: unit for unit in units}
        self._which = Which(units)
        self._stamps_are_download = False

    def take(self, found: list[Item | Refused]) -> Iterator[Collected]:
        handed: dict[str, Handed] = defaultdict(Handed)
        skip = without_wrapper([item.parts for item in found], self._units)
        for item in found:
            problem = item.reason if isinstance(item, Refused) else ""
            try:
                whose = None if problem else owner(item.parts[skip:], self._units)
                problem = problem or ("" if whose else "does not say whose it is")
            except ValueError as error:
                problem = str(error)
            if problem:
                yield Collected(_shown(item.parts), "", "refused", problem)
            else:
                handed[whose.student.casefold()].add(whose, item)
        times = [item.time for one in handed.values() for _, item in one.notebooks if item.time]
        self._stamps_are_download = len(times) > 1 and max(times) - min(times) < A_DOWNLOAD
        for _, one in sorted(handed.items()):
            yield from self._take_student(one)

    def _take_student(self, handed: Handed) -> Iterator[Collected]:
        student = handed.owners[0].student
        if clash := handed.clash():
            yield Collected(student, "", "refused", clash)
            return
        if not handed.notebooks:
            yield Collected(student, "", "refused", "handed in no notebook")
        by_unit: dict[str, list[_Found]] = defaultdict(list)
        for whose, item in handed.notebooks:
            try:
                name, found = self._read(whose, item)
                by_unit[name].append(found)
            except Unreadable as problem:
                yield Collected(_shown(item.parts), "", "refused", str(problem))
        for name, several in sorted(by_unit.items()):
            yield self._take_unit(student, self._units[name], several, handed, len(by_unit) == 1)

    def _read(self, whose: Owner, item: Item) -> tuple[str, _Found]:
        """The name of the unit that a notebook is of, and the notebook."""
        content = item.read(MAX_NOTEBOOK)
        path = self._stage / "to-look-into.ipynb"
        path.write_bytes(content)
        try:
            ids = {cell.grade_id for cell in read_cells(read_notebook(path))}
        except Unreadable as problem:
            raise Unreadable(str(problem).removeprefix(path.name).strip()) from None
        finally:
            path.unlink()
        name, rank = self._which.by_name(whose.path[-1])
        name = name or self._which.by_cells(ids) or (self._only.name if self._only else "")
        if not name:
            raise Unreadable("is a notebook of no unit, by its name or its cells: give --unit")
        if self._only and name != self._only.name:
            raise Unreadable(f"is a notebook of {name}, not of {self._only.name}")
        when = item.time or datetime.fromtimestamp(0, UTC)
        return name, _Found((rank, when, whose.path), content, whose, item)

    def _take_unit(
        self, student: str, unit: Unit, several: list[_Found], handed: Handed, alone: bool
    ) -> Collected:
        chosen = max(several, key=lambda found: found.rank)
        contents, notes = {f"{unit.name}.ipynb": chosen.content}, []
        if len(several) > 1:
            notes.append(f"of {len(several)} notebooks {_shown(chosen.item.parts)} is taken")
        if chosen.owner.late:
            notes.append("late, says Canvas")
        try:
            if (answers := handed.answers_of(unit, chosen.owner, alone)) is not None:
                contents[ANSWERS_FILE] = answers
            elif unit.quiz:
                notes.append(f"no {ANSWERS_FILE}: no question counts as answered")
        except Unreadable as problem:
            notes.append(f"{ANSWERS_FILE} {problem}: no question counts as answered")
        if stamp := self._timestamp(chosen, handed):
            contents[TIMESTAMP] = stamp
        outcome, note = hand_in(self._classroom, student, unit, contents, self._stage)
        return Collected(student, unit.name, outcome, "; ".join([*filter(None, [note]), *notes]))

    def _timestamp(self, chosen: _Found, handed: Handed) -> bytes:
        """What an instructor's folder says, else what the zip says.

        Systems that stamp every file with the time of the download tell nothing. What a student has
        packed or uploaded is no witness.
        """
        for whose, item in handed.times:
            trusted = not item.packed and not whose.system
            if trusted and whose.path[:-1] == chosen.owner.path[:-1]:
                with contextlib.suppress(FileNotFoundError, Unreadable):
                    return item.read(MAX_TIMESTAMP)
        if chosen.item.time is None or self._stamps_are_download:
            return b""
        return f"{chosen.item.time:%Y-%m-%d %H:%M:%S} UTC\n".encode()


def _shown(parts: tuple[str, ...]) -> str:
    """A path from elsewhere as one line for the terminal."""
    text = "".join(c if c.isprintable() else "?" for c in "/".join(parts))
    return text if len(text) <= 100 else f"{text[:60]}…{text[-39:]}"


def as_table(collected: list[Collected]) -> str:
    """What became of each, for the terminal; what was refused comes last."""
    ordered = sorted(collected, key=lambda one: one.outcome == "refused")
    return table(
        ("student", "unit", "outcome", "note"),
        [(one.student, one.unit, one.outcome, one.note) for one in ordered],
    )
