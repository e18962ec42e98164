"""Build course/ from solutions/: the only way in which anything gets into course/."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import nbformat

from grader.classroom import Classroom
from grader.units import COURSE, Unit, units
from halfbits.quizzes.answers import ANSWERS_FILE


def build_course(target: Path, chosen: list[Unit] | None = None) -> None:
    """Write every unit's student version below ``target``, replacing what is there."""
    with tempfile.TemporaryDirectory() as scratch:
        classroom = Classroom(Path(scratch))
        built = {unit.name: classroom.prepare(unit) for unit in chosen or units()}
        shutil.rmtree(target, ignore_errors=True)
        for name, folder in built.items():
            shutil.copytree(folder, target / name)
            _tidy(target / name / f"{name}.ipynb")


def differences(course: Path = COURSE) -> list[str]:
    """The files of course/ that a fresh build would change, add or remove."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "course"
        build_course(fresh)
        ours, theirs = _contents(course), _contents(fresh)
    return sorted(
        name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
    )


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
