"""What grading needs of a unit: the released notebook, its files, and what only we may know."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grader import build
from grader.classroom import Classroom
from grader.units import Unit

JUDGES = ("build", "bundle", "exercise", "intake", "scores")
LIBRARY = Path(build.__file__).parent.parent / "halfbits"


@dataclass(frozen=True)
class Bundle:
    """One unit, ready to grade with.

    Attributes
    ----------
    unit
        Its name.
    skeleton
        The released notebook, into which students' cells are laid.
    files
        What lies beside the notebook: visible cases, questions, drivers.
    specs
        The spec to judge by, for the grade_id of every visible and hidden check.
    quiz
        Questions with key and feedback, None in a unit without a quiz.
    fingerprint
        Changes when anything above or the code that grades does.
    """

    unit: str
    skeleton: NotebookNode
    files: dict[str, bytes]
    specs: dict[str, dict]
    quiz: dict | None
    fingerprint: str


def bundle(classroom: Classroom, unit: Unit) -> Bundle:
    """Build a unit for a class, and tell the class's gradebook its cells and points."""
    release = classroom.prepare(unit)
    skeleton = nbformat.read(release / f"{unit.name}.ipynb", as_version=4)
    specs = {}
    for name, exercise in unit.exercises.items():
        specs[f"{name}-visible"] = exercise.visible_spec
        specs[f"{name}-hidden"] = exercise.hidden_spec
    quiz = unit.quiz.with_key() if unit.quiz else None
    files = build.files(unit)
    facts = [nbformat.writes(skeleton), specs, quiz, {k: v.hex() for k, v in files.items()}]
    mark = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    mark.update(_code_fingerprint())
    return Bundle(unit.name, skeleton, files, specs, quiz, mark.hexdigest())


@cache  # the code that this process has loaded
def _code_fingerprint() -> bytes:
    """Of the code that runs submissions and judges them."""
    mark = hashlib.sha256()
    ours = [Path(__file__).parent / f"{name}.py" for name in JUDGES]
    inside = (Path(__file__).parent / "inside").glob("*.py")
    for path in sorted([*LIBRARY.glob("*.py"), *inside, *ours]):
        mark.update(path.name.encode() + path.read_bytes())
    return mark.digest()
