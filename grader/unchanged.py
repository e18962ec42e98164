"""Whether a submission has to be run again: what its grade depends on, and what is on record."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from nbgrader.api import Gradebook

from grader.bundle import Bundle
from grader.classroom import Classroom
from grader.reading import MAX_NOTEBOOK, Unreadable, read_bounded
from grader.record import Entry, history
from grader.results import find_graded
from grader.running.ran import Limits
from grader.units import Unit
from halfbits.quizzes.answers import ANSWERS_FILE


def on_record(classroom: Classroom, gradebook: Gradebook, unit: Unit, student: str) -> Entry | None:
    """The last grading run of a submission that has a grade."""
    entries = history(classroom, unit, student)
    return entries[-1] if entries and find_graded(gradebook, student, unit) else None


def still_holds(last: Entry, mark: str, limits: Limits) -> bool:
    """Whether nothing has changed, and the run was not ended, or twice and with the same limits."""
    if last.fingerprint != mark or last.ended == 1:
        return False
    ended = last.ended or (last.fault and last.usage)
    return not (ended and last.limits != asdict(limits))


def times_ended(last: Entry | None, mark: str, fault: str) -> int:
    """How often in a row a submission's run was ended in one way, this time counted in."""
    alike = last and last.fingerprint == mark and last.fault == fault
    return (last.ended if alike else 0) + 1 if fault else 0


def fingerprint(classroom: Classroom, built: Bundle, unit: Unit, student: str) -> str:
    """Of all that a grade depends on; an unreadable file counts by what is wrong with it."""
    mark = hashlib.sha256(built.fingerprint.encode())
    folder = classroom.path("submitted", student, unit)
    for name in (f"{unit.name}.ipynb", ANSWERS_FILE):
        try:
            mark.update(b"+" + read_bounded(folder / name, MAX_NOTEBOOK))
        except (FileNotFoundError, Unreadable) as problem:
            mark.update(b"-" + type(problem).__name__.encode() + str(problem).encode()[:100])
    return mark.hexdigest()
