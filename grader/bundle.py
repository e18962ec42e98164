"""What grading needs of a unit: the released notebook, its files, and what only we may know.

Building it runs every known answer of every exercise, so what was built is kept in the class's
folder until the unit or the code changes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import nbformat
import torch
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry

from grader import build
from grader.classroom import Classroom
from grader.units import Unit

JUDGES = ("build", "bundle", "exercise", "intake", "scores")
HERE = Path(__file__).parent
LIBRARY = HERE.parent / "halfbits"
KEPT = ".built"


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

    @cached_property
    def released(self) -> frozenset[str]:
        """What stands in the released notebook's code cells."""
        return frozenset(cell.source for cell in self.skeleton.cells if cell.cell_type == "code")


def bundle(classroom: Classroom, unit: Unit) -> Bundle:
    """A unit for a class, whose gradebook knows its cells and points from then on."""
    path = classroom.root / KEPT / f"{unit.name}.json"
    made_of = _made_of(unit)
    facts = _read(path) if _is_known(classroom, unit) else {}
    if facts.get("made of") != made_of:
        facts = _build(classroom, unit) | {"made of": made_of}
        _write(path, facts)
    mark = hashlib.sha256(json.dumps({**facts, "made of": ""}, sort_keys=True).encode())
    mark.update(_code_fingerprint())
    return Bundle(
        unit.name,
        nbformat.reads(facts["notebook"], as_version=4),
        {name: bytes.fromhex(content) for name, content in facts["files"].items()},
        facts["specs"],
        facts["quiz"],
        mark.hexdigest(),
    )


def _build(classroom: Classroom, unit: Unit) -> dict[str, Any]:
    release = classroom.prepare(unit)
    specs = {}
    for name, exercise in unit.exercises.items():
        specs[f"{name}-visible"] = exercise.visible_spec
        specs[f"{name}-hidden"] = exercise.hidden_spec
    return {
        "notebook": (release / f"{unit.name}.ipynb").read_text(encoding="utf-8"),
        "files": {name: content.hex() for name, content in build.files(unit).items()},
        "specs": specs,
        "quiz": unit.quiz.with_key() if unit.quiz else None,
    }


def _is_known(classroom: Classroom, unit: Unit) -> bool:
    """Whether the class's gradebook has the unit."""
    if not (classroom.root / "gradebook.db").exists():
        return False
    with classroom.gradebook() as gradebook:
        return _has(gradebook, unit)


def _has(gradebook: Gradebook, unit: Unit) -> bool:
    try:
        return bool(gradebook.find_assignment(unit.name))
    except MissingEntry:
        return False


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _write(path: Path, facts: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(json.dumps(facts), encoding="utf-8")
    new.replace(path)


def _made_of(unit: Unit) -> str:
    """Of everything that a build depends on: the unit's files, the library, the grader, PyTorch."""
    folders = (unit.folder, LIBRARY, HERE)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return _digest(path for path in files if path.suffix != ".pyc") + torch.__version__


@cache  # the code that this process has loaded
def _code_fingerprint() -> bytes:
    """Of the code that runs submissions and judges them."""
    ours = [HERE / f"{name}.py" for name in JUDGES]
    return _digest([*LIBRARY.rglob("*.py"), *(HERE / "inside").glob("*.py"), *ours]).encode()


def _digest(files: Iterable[Path]) -> str:
    mark = hashlib.sha256()
    for path in sorted(files):
        mark.update(f"{path.name}\0".encode() + path.read_bytes())
    return mark.hexdigest()
