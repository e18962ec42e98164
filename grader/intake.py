"""Take a submission in: lay what was read of it into a fresh copy of the released notebook.

What a student may edit is taken by its grade_id or cell id; cells of their own stay behind the cell
that they followed. Everything else comes from the release: so a deleted, copied or changed test
cell, its points, ids, schema and kernel cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode, from_dict, v4

from grader.bundle import Bundle
from grader.reading import (
    MAX_ANSWERS,
    Cell,
    Unreadable,
    read_bounded,
    read_cells,
    read_notebook,
)
from halfbits.quizzes.answers import ANSWERS_FILE


@dataclass
class Submission:
    """A submission as it will run.

    Attributes
    ----------
    notebook
        The release with the student's cells laid in.
    answers
        The bytes of answers.json, None if there is none that may be read.
    notes
        What was put right on the way, in sentences for the feedback.
    defect
        Why the notebook cannot be read, else the empty string. Then there is nothing to run.
    """

    notebook: NotebookNode
    answers: bytes | None = None
    notes: list[str] = field(default_factory=list)
    defect: str = ""


def take_in(folder: Path, bundle: Bundle) -> Submission:
    """Read what lies in a submission's folder; what cannot be read is said, not raised."""
    if link := next((each for each in (folder, folder.parent) if each.is_symlink()), None):
        said = f"{link.name} is a link: put the files themselves there"
        return Submission(bundle.skeleton, defect=said)
    try:
        cells = list(read_cells(read_notebook(folder / f"{bundle.unit}.ipynb")))
        submission = _lay_in(cells, bundle)
    except Unreadable as problem:
        submission = Submission(bundle.skeleton, defect=str(problem))
    try:
        submission.answers = read_bounded(folder / ANSWERS_FILE, MAX_ANSWERS)
    except FileNotFoundError:
        pass
    except Unreadable as problem:
        submission.notes.append(f"{problem}, so no answer could be read")
    return submission


def _lay_in(cells: list[Cell], bundle: Bundle) -> Submission:
    skeleton = {cell.id: cell for cell in bundle.skeleton.cells}
    by_text = {cell.source: cell.id for cell in bundle.skeleton.cells if not _is_graded(cell)}
    taken: dict[str, str] = {}
    own: dict[str, list[Cell]] = {"": []}
    notes: list[str] = []
    anchor = ""
    for cell in cells:
        name = cell.grade_id if cell.grade_id in skeleton else cell.cell_id
        name = name if name in skeleton else by_text.get(cell.source, "")
        if not name:
            own[anchor].append(cell)
            continue
        anchor = name
        own.setdefault(name, [])
        if _is_locked(skeleton[name]):
            continue
        stub = skeleton[name].source
        if name in taken and cell.source != taken[name] and _is_graded(skeleton[name]):
            if taken[name] != stub and cell.source != stub:
                notes.append(f"the cell {name} was there more than once: the first one counts")
            if taken[name] != stub:
                continue
        elif name in taken:
            continue
        taken[name] = cell.source
    answers = [n for n, cell in skeleton.items() if _is_graded(cell) and not _is_locked(cell)]
    for name in answers:
        if name not in taken:
            notes.append(f"the cell {name} was missing: it counts as not attempted")
    return Submission(_rebuilt(bundle, taken, own), notes=notes)


def _rebuilt(bundle: Bundle, taken: dict[str, str], own: dict[str, list[Cell]]) -> NotebookNode:
    notebook = from_dict(bundle.skeleton)
    released, notebook.cells = notebook.cells, []
    extra = 0
    for cell in [None, *released]:
        if cell:
            cell.source = taken.get(cell.id, cell.source)
            notebook.cells.append(cell)
        for mine in own.get(cell.id if cell else "", []):
            extra += 1
            make = {"code": v4.new_code_cell, "raw": v4.new_raw_cell}.get(
                mine.kind, v4.new_markdown_cell
            )
            notebook.cells.append(make(mine.source, id=f"own-{extra}"))
    return notebook


def _is_graded(cell: NotebookNode) -> bool:
    return "nbgrader" in cell.metadata


def _is_locked(cell: NotebookNode) -> bool:
    return _is_graded(cell) and cell.metadata.nbgrader.get("locked", False)
