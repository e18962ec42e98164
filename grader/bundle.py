"""What grading needs of a unit: the released notebook, its files, and what only we may know.

Building it runs every known answer of every exercise, so what was built is kept in the class's
folder until the unit or the code changes.
"""

from __future__ import annotations

import ast
import hashlib
import json
import tempfile
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry

from grader import build, kept
from grader.classroom import Classroom
from grader.units import Unit

JUDGES = ("build", "bundle", "exercise", "intake", "reading", "scores")
HERE = Path(__file__).parent
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

    @property
    def max_score(self) -> float:
        """Points of the whole unit."""
        graded = (cell.metadata.get("nbgrader", {}) for cell in self.skeleton.cells)
        return float(sum(one["points"] for one in graded if one.get("grade")))

    @cached_property
    def released(self) -> frozenset[str]:
        """What stands in the released notebook's code cells."""
        return frozenset(cell.source for cell in self.skeleton.cells if cell.cell_type == "code")

    @cached_property
    def pictures(self) -> frozenset[str]:
        """Those that only show something of the library, such as ``hb.spacing("fp16")``."""
        return frozenset(filter(_only_shows, self.released))


def bundle(classroom: Classroom, unit: Unit, dry: bool = False) -> Bundle:
    """A unit for a class, whose gradebook knows its cells and points from then on.

    With ``dry`` nothing is written in the class's folder.
    """
    path = classroom.root / KEPT / f"{unit.name}.json"
    made_of = kept.made_of(unit.folder)
    facts = kept.read(path) if _is_known(classroom, unit) else {}
    if facts.get("made of") != made_of and dry:
        with tempfile.TemporaryDirectory() as elsewhere:
            facts = _build(Classroom(Path(elsewhere)), unit)
    elif facts.get("made of") != made_of:
        facts = _build(classroom, unit) | {"made of": made_of}
        kept.write(path, facts)
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


def _only_shows(source: str) -> bool:
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a magic of IPython
        return False
    match tree.body:
        case [ast.Expr(ast.Call() as call)]:
            return _is_of_library(call)
    return False


def _is_of_library(node: ast.expr) -> bool:
    """Whether it is a call of ``hb``, or made of numbers and texts, with nothing else in it."""
    match node:
        case ast.Call(ast.Attribute(ast.Name("hb")), arguments, keywords):
            return all(map(_is_of_library, [*arguments, *(one.value for one in keywords)]))
    named = (ast.Name, ast.Call, ast.Lambda, ast.JoinedStr)
    return not any(isinstance(one, named) for one in ast.walk(node))


@cache  # the code that this process has loaded
def _code_fingerprint() -> bytes:
    """Of the code that runs submissions and judges them."""
    ours = [HERE / f"{name}.py" for name in JUDGES]
    library = [*kept.LIBRARY.rglob("*.py"), *kept.LIBRARY.glob("*.pyi")]
    return kept.digest([*library, *(HERE / "running" / "inside").glob("*.py"), *ours]).encode()
