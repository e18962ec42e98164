"""Write a graded submission into nbgrader's gradebook and folders, and keep what was there before.

Formgrader, manual marks, late penalties, ``nbgrader export`` and feedback work on the result as if
nbgrader itself had graded.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nbformat import NotebookNode
from nbgrader.api import Gradebook, SubmittedNotebook
from nbgrader.utils import compute_checksum

from grader.classroom import Classroom
from grader.lateness import TIMESTAMP, settle
from grader.reading import MAX_NOTEBOOK, Unreadable, read_bounded
from grader.units import Unit
from halfbits.quizzes.answers import ANSWERS_FILE

if TYPE_CHECKING:  # it needs PyTorch
    from grader.scores import Graded


ENTRIES = "[0-9][0-9][0-9][0-9].json"  # beside them lie the submissions, with answers.json


@dataclass(frozen=True)
class Entry:
    """One grading run of one submission, as history keeps it.

    Attributes
    ----------
    date
        When it was graded, UTC.
    fingerprint
        Of submission, unit and grading code together: the same again need not run.
    seed
        Of random numbers in the run.
    scores
        Points by grade_id, None where a human marks.
    fault
        What ended the run early, or why it could not be read.
    usage
        Seconds and bytes that the run took.
    limits
        What the run was allowed to use.
    stands
        Whether the grade on record is that of an earlier submission.
    ended
        How often in a row the run was ended in this same way: once may be somebody else's doing.
    """

    date: str
    fingerprint: str
    seed: int
    scores: dict[str, float | None]
    fault: str
    usage: dict[str, float]
    limits: dict[str, float] = field(default_factory=dict)
    stands: bool = False
    ended: int = 0


def record(
    classroom: Classroom, gradebook: Gradebook, unit: Unit, student: str, graded: Graded
) -> None:
    """Write points and the graded notebook; marks that a human gave stay."""
    with _one_transaction(gradebook):
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission(unit.name, student)
        (notebook,) = submission.notebooks
        _points(notebook, graded)
        _comments(notebook, graded.notebook)
        gradebook.db.flush()
        gradebook.db.expire(notebook)  # its score is the database's sum
        settle(classroom, submission, classroom.path("submitted", student, unit))
    target = classroom.path("autograded", student, unit) / f"{unit.name}.ipynb"
    _replace(target, graded.content)


def remember(classroom: Classroom, unit: Unit, student: str, entry: Entry) -> None:
    """Keep the entry, and the submission that it is of, for ever."""
    folder = history_folder(classroom, unit, student)
    number = len(list(folder.glob(ENTRIES))) + 1 if folder.is_dir() else 1
    submitted = classroom.path("submitted", student, unit)
    for name, kept in (
        (f"{unit.name}.ipynb", "ipynb"),
        (ANSWERS_FILE, ANSWERS_FILE),
        (TIMESTAMP, TIMESTAMP),
    ):
        with contextlib.suppress(Unreadable, FileNotFoundError):
            _replace(folder / f"{number:04}.{kept}", read_bounded(submitted / name, MAX_NOTEBOOK))
    _replace(folder / f"{number:04}.json", json.dumps(asdict(entry), indent=1) + "\n")


def history(classroom: Classroom, unit: Unit, student: str) -> list[Entry]:
    """Every grading run of a student's unit, the oldest first."""
    found = sorted(history_folder(classroom, unit, student).glob(ENTRIES))
    return [Entry(**json.loads(path.read_text(encoding="utf-8"))) for path in found]


def history_folder(classroom: Classroom, unit: Unit, student: str) -> Path:
    return classroom.root / "history" / student / unit.name


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextlib.contextmanager
def _one_transaction(gradebook: Gradebook) -> Iterator[None]:
    """Commit once at the end: nbgrader's methods do at each step, which waits for the disk."""
    session = gradebook.db
    session.commit = session.flush
    try:
        with session.no_autoflush:
            yield
        del session.commit
        session.commit()
    except BaseException:
        vars(session).pop("commit", None)
        session.rollback()
        raise


def _points(notebook: SubmittedNotebook, graded: Graded) -> None:
    for grade in notebook.grades:
        # A check that is not in the notebook cannot be: it is laid into the released one.
        grade.auto_score = graded.scores.get(grade.name, 0.0)
        unmarked = grade.auto_score is None
        grade.needs_manual_grade = unmarked or grade.manual_score is not None


def _comments(notebook: SubmittedNotebook, cells: NotebookNode) -> None:
    sources = {c.metadata.nbgrader.grade_id: c for c in cells.cells if "nbgrader" in c.metadata}
    for comment in notebook.comments:
        cell = sources.get(comment.name)
        mark = cell.metadata.nbgrader.get("checksum") if cell else None
        untouched = mark is not None and mark == compute_checksum(cell)
        comment.auto_comment = "No response." if untouched else None


def _replace(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
