"""Take in what a learning management system gives: submitted/STUDENT/UNIT/ for each student.

Each submission is written whole or not at all. One that was there before and is different moves to
submitted-before/STUDENT/UNIT/, numbered; what is the same stays as it is.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jupytext
from filelock import FileLock, Timeout

from grader import build
from grader.archive import Item, Refused, opened
from grader.classroom import Classroom
from grader.engine import LOCK
from grader.intake import (
    MAX_ANSWERS,
    MAX_NOTEBOOK,
    Unreadable,
    read_bounded,
    read_cells,
    read_notebook,
)
from grader.lateness import TIMESTAMP
from grader.problem import Problem
from grader.tables import table
from grader.units import Unit
from grader.whose import Owner, owner, without_wrapper
from halfbits.quizzes.answers import ANSWERS_FILE

BEFORE = "submitted-before"
A_DOWNLOAD = timedelta(minutes=10)  # files that close together in time were stamped by it
# UNIT-1 says Canvas, UNIT (2) a browser, UNIT-Copy1 JupyterLab.
_COPY = re.compile(r"[-_ ]*(copy)?[-_ ]*\(?(\d{0,6})\)?", re.IGNORECASE)
_ANSWERS = re.compile(r"answers[-_ ]*\(?\d*\)?\.json")


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


@dataclass
class _Handed:
    """What one student handed in: files with where they lay, by what they are."""

    owners: list[Owner] = field(default_factory=list)
    notebooks: list[tuple[Owner, Item]] = field(default_factory=list)
    answers: list[tuple[Owner, Item]] = field(default_factory=list)
    times: list[tuple[Owner, Item]] = field(default_factory=list)


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
        self._cells = _cells_of(units)
        self._stamps_are_download = False

    def take(self, found: list[Item | Refused]) -> Iterator[Collected]:
        handed: dict[str, _Handed] = defaultdict(_Handed)
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
                _file(handed[whose.student.casefold()], whose, item)
        times = [item.time for one in handed.values() for _, item in one.notebooks if item.time]
        self._stamps_are_download = len(times) > 1 and max(times) - min(times) < A_DOWNLOAD
        for _, one in sorted(handed.items()):
            yield from self._take_student(one)

    def _take_student(self, handed: _Handed) -> Iterator[Collected]:
        student = handed.owners[0].student
        if clash := _clash(handed.owners):
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
        path = self._stage / f"{len(os.listdir(self._stage))}-{whose.path[-1][-100:]}"
        path.write_bytes(content)
        try:
            ids = {cell.grade_id for cell in read_cells(read_notebook(path))}
        except Unreadable as problem:
            raise Unreadable(str(problem).removeprefix(path.name).strip()) from None
        finally:
            path.unlink()
        name, rank = self._unit_by_name(whose.path[-1])
        if not name:
            known = Counter({unit: len(ids & own) for unit, own in self._cells.items()})
            best, count = known.most_common(1)[0]
            name = best if count else self._only.name if self._only else ""
        if not name:
            raise Unreadable("is a notebook of no unit, by its name or its cells: give --unit")
        if self._only and name != self._only.name:
            raise Unreadable(f"is a notebook of {name}, not of {self._only.name}")
        when = item.time or datetime.fromtimestamp(0, UTC)
        return name, _Found((rank, when, whose.path), content, whose, item)

    def _unit_by_name(self, file: str) -> tuple[str, int]:
        """The unit that a file's name says, and a rank: what was handed in last comes first."""
        stem = file.removesuffix(".ipynb")
        for name in self._units:
            if stem.casefold().startswith(name.casefold()):
                match = _COPY.fullmatch(stem[len(name) :])
                if match:
                    return name, -1 if match[1] else int(match[2] or 0)
        return "", -2

    def _take_unit(
        self, student: str, unit: Unit, several: list[_Found], handed: _Handed, alone: bool
    ) -> Collected:
        chosen = max(several, key=lambda found: found.rank)
        contents, notes = {f"{unit.name}.ipynb": chosen.content}, []
        if len(several) > 1:
            notes.append(f"of {len(several)} notebooks {_shown(chosen.item.parts)} is taken")
        if chosen.owner.late:
            notes.append("late, says Canvas")
        try:
            if (answers := _answers(handed.answers, chosen.owner, unit, alone)) is not None:
                contents[ANSWERS_FILE] = answers
            elif unit.quiz:
                notes.append(f"no {ANSWERS_FILE}: no question counts as answered")
        except Unreadable as problem:
            notes.append(f"{ANSWERS_FILE} {problem}: no question counts as answered")
        if stamp := self._timestamp(chosen, handed):
            contents[TIMESTAMP] = stamp
        outcome, note = self._put(student, unit, contents)
        return Collected(student, unit.name, outcome, "; ".join([*filter(None, [note]), *notes]))

    def _timestamp(self, chosen: _Found, handed: _Handed) -> bytes:
        """What an instructor's folder says, else what the zip says.

        Systems that stamp every file with the time of the download tell nothing. What a student has
        packed or uploaded is no witness.
        """
        for whose, item in handed.times:
            trusted = not item.packed and not whose.system
            if trusted and whose.path[:-1] == chosen.owner.path[:-1]:
                return item.read(1000)
        if chosen.item.time is None or self._stamps_are_download:
            return b""
        return f"{chosen.item.time:%Y-%m-%d %H:%M:%S} UTC\n".encode()

    def _put(self, student: str, unit: Unit, contents: dict[str, bytes]) -> tuple[str, str]:
        """Write a submission whole; what was there and is different is kept."""
        target = self._classroom.path("submitted", student, unit)
        if _holds(target, contents, f"{unit.name}.ipynb"):
            return "unchanged", ""
        fresh = Path(tempfile.mkdtemp(dir=self._stage))
        for name, content in contents.items():
            (fresh / name).write_bytes(content)
        fresh.chmod(0o755)
        target.parent.mkdir(parents=True, exist_ok=True)
        note = ""
        if os.path.lexists(target):
            kept = _next_number(self._classroom.path(BEFORE, student, unit))
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.rename(target, kept)
            note = f"the earlier one is in {kept.relative_to(self._classroom.root)}"
        os.rename(fresh, target)
        return "replaced" if note else "new", note


def _cells_of(units: list[Unit]) -> dict[str, set[str]]:
    """The grade_ids that tell each unit from the others."""
    ids = {
        unit.name: set(map(build.grade_id, jupytext.read(unit.notebook).cells)) for unit in units
    }
    count = Counter(name for own in ids.values() for name in own)
    return {unit: {name for name in own if name and count[name] == 1} for unit, own in ids.items()}


def _file(handed: _Handed, whose: Owner, item: Item) -> None:
    handed.owners.append(whose)
    name = whose.path[-1].lower()
    if name.endswith(".ipynb"):
        handed.notebooks.append((whose, item))
    elif name == TIMESTAMP:
        handed.times.append((whose, item))
    elif _ANSWERS.fullmatch(name):
        handed.answers.append((whose, item))


def _clash(owners: list[Owner]) -> str:
    """Why these cannot be one student's files, or the empty string."""
    names = sorted({one.name for one in owners})
    if len({name.casefold() for name in names}) > 1 or len({one.student for one in owners}) > 1:
        return f"several students would share this folder: {', '.join(map(repr, names))}"
    numbers = sorted({one.number for one in owners if one.number})
    if len(numbers) > 1:
        return f"several students have this name ({', '.join(numbers)}): rename their folders"
    return ""


def _answers(
    found: list[tuple[Owner, Item]], beside: Owner, unit: Unit, alone: bool
) -> bytes | None:
    """The answers.json of a unit: by what it says, else the one beside the notebook."""
    unsaid = None
    for whose, item in sorted(found, key=lambda one: one[0].path, reverse=True):
        content = item.read(MAX_ANSWERS)
        says = _unit_in(content)
        if says == unit.name:
            return content
        if not says and (alone or whose.path[:-1] == beside.path[:-1]):
            unsaid = content
    return unsaid


def _unit_in(content: bytes) -> str:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    says = data.get("unit") if isinstance(data, dict) else None
    return says if isinstance(says, str) else ""


def _holds(folder: Path, contents: dict[str, bytes], notebook: str) -> bool:
    """Whether the same submission is there; its time does not matter."""

    def there(name: str) -> bytes | None:
        try:
            return read_bounded(folder / name, MAX_NOTEBOOK)
        except (FileNotFoundError, Unreadable):
            return None

    return all(there(name) == contents.get(name) for name in (notebook, ANSWERS_FILE))


def _next_number(folder: Path) -> Path:
    taken = [int(path.name) for path in folder.glob("*") if path.name.isdigit()]
    return folder / f"{max(taken, default=0) + 1:04}"


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
