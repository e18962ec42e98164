"""Build course/ from solutions/: the only way in which anything gets into course/."""

from __future__ import annotations

import json
import shutil
import tempfile
from itertools import repeat
from pathlib import Path
from typing import Any

import nbformat

from grader import kept
from grader.classroom import Classroom
from grader.processes import on_every_core
from grader.units import COURSE, Unit, units
from halfbits.checking import CHECKS_FILE
from halfbits.checking.compare import EXACT, agree, close
from halfbits.quizzes.answers import ANSWERS_FILE

ENCODED_FLOATS = ({"float"}, {"floats"}, {"tensor"})


def build_course(target: Path, chosen: list[Unit] | None = None) -> None:
    """Write student versions below ``target``: those of some units, or all, and nothing else."""
    with tempfile.TemporaryDirectory() as scratch:
        built = list(on_every_core(_build, chosen or units(), repeat(Path(scratch))))
        for old in [target / folder.name for folder in built] if chosen else [target]:
            shutil.rmtree(old, ignore_errors=True)
        for folder in built:
            shutil.copytree(folder, target / folder.name)


def _build(unit: Unit, scratch: Path) -> Path:
    kept.forget(unit.folder)
    folder = Classroom(scratch / unit.name).prepare(unit)
    _tidy(folder / f"{unit.name}.ipynb")
    return folder


def differences(course: Path = COURSE, chosen: list[Unit] | None = None) -> list[str]:
    """The files of course/ that a fresh build would change, add or remove.

    What a training gives depends on the processor, which adds up products in an order of its own:
    where a check has a tolerance, the numbers kept for it may differ as far.
    """
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "course"
        build_course(fresh, chosen)
        ours, theirs = _contents(course), _contents(fresh)
    if chosen:
        names = {unit.name for unit in chosen}
        ours = {path: text for path, text in ours.items() if Path(path).parts[0] in names}
    return sorted(
        name
        for name in ours.keys() | theirs.keys()
        if not _same_file(name, ours.get(name), theirs.get(name))
    )


def _same_file(name: str, ours: bytes | None, theirs: bytes | None) -> bool:
    if ours == theirs or ours is None or theirs is None:
        return ours == theirs
    return Path(name).name == CHECKS_FILE and same_checks(json.loads(ours), json.loads(theirs))


def same_checks(ours: dict[str, dict], theirs: dict[str, dict]) -> bool:
    """Whether the checks of a unit are the same but for what a processor may change."""
    return ours.keys() == theirs.keys() and all(
        _alike(ours[name], theirs[name], _tolerance(spec["compare"]))
        for name, spec in theirs.items()
    )


def _tolerance(rule: dict) -> dict:
    if rule == EXACT:
        return rule
    why = "the training that gave the numbers ran on another processor"
    return close(rtol=max(1e-3, rule.get("rtol", 0)), atol=rule.get("atol", 0), why=why)


def _alike(ours: Any, theirs: Any, rule: dict) -> bool:
    if ours == theirs or type(ours) is not type(theirs):
        return ours == theirs
    if isinstance(ours, list):
        pairs = zip(ours, theirs, strict=False)
        return len(ours) == len(theirs) and all(_alike(a, b, rule) for a, b in pairs)
    if not isinstance(ours, dict) or ours.keys() != theirs.keys():
        return False
    if set(ours) in ENCODED_FLOATS:
        return agree(ours, theirs, rule)
    return all(_alike(value, theirs[key], rule) for key, value in ours.items())


def _tidy(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    for cell in notebook.cells:
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's
    nbformat.write(notebook, path)


def _is_answers(path: Path) -> bool:
    """What the quizzes save beside the notebook belongs to whoever works there."""
    return path.name.startswith((ANSWERS_FILE, ".answers"))


def _contents(folder: Path) -> dict[str, bytes]:
    files = (
        path
        for path in folder.rglob("*")
        if path.is_file() and ".ipynb_checkpoints" not in path.parts and not _is_answers(path)
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
