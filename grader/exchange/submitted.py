"""Put submissions into the class's folder: submitted/STUDENT/UNIT/, earlier ones beside it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from grader.classroom import Classroom
from grader.reading import MAX_NOTEBOOK, Unreadable, read_bounded
from grader.units import Unit
from halfbits.quizzes.answers import ANSWERS_FILE

BEFORE = "submitted-before"


def hand_in(
    classroom: Classroom, student: str, unit: Unit, contents: dict[str, bytes], stage: Path
) -> tuple[str, str]:
    """Write a submission whole or not at all; what was there and is different is kept.

    Parameters
    ----------
    contents
        What it consists of, by file name.
    stage
        A folder on the same disk, where it is written before it is moved.

    Returns
    -------
    tuple[str, str]
        ``new``, ``replaced`` or ``unchanged``, and where the earlier one is.
    """
    target = classroom.path("submitted", student, unit)
    if _holds(target, contents, f"{unit.name}.ipynb"):
        return "unchanged", ""
    fresh = Path(tempfile.mkdtemp(dir=stage))
    for name, content in contents.items():
        (fresh / name).write_bytes(content)
    fresh.chmod(0o755)
    target.parent.mkdir(parents=True, exist_ok=True)
    note = ""
    if os.path.lexists(target):
        kept = _next_number(classroom.path(BEFORE, student, unit))
        kept.parent.mkdir(parents=True, exist_ok=True)
        os.rename(target, kept)
        note = f"the earlier one is in {kept.relative_to(classroom.root)}"
    os.rename(fresh, target)
    return "replaced" if note else "new", note


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
