"""Take a submission in: read it within bounds, lay it into a fresh copy of the released notebook.

What a student may edit is taken by its grade_id or cell id; cells of their own stay behind the cell
that they followed. Everything else comes from the release: so a deleted, copied or changed test
cell, its points, ids, schema and kernel cannot matter.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat import NotebookNode, from_dict, v4

from grader.bundle import Bundle
from halfbits.quizzes.answers import ANSWERS_FILE

MAX_NOTEBOOK = 20 << 20  # bytes
MAX_ANSWERS = 1 << 20
MAX_CELLS = 2_000
MAX_CELL = 1 << 20  # characters


class Unreadable(Exception):
    """A file that cannot be taken; the message says why, for student and instructor."""


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


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a regular file: no link, no pipe, no device, no more than ``limit`` bytes.

    Raises
    ------
    FileNotFoundError
        If there is none.
    Unreadable
        If it is something else, is too large or may not be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        link = error.errno == errno.ELOOP
        reason = "is a link" if link else f"cannot be read ({error.strerror})"
        raise Unreadable(f"{path.name} {reason}") from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Unreadable(f"{path.name} is no ordinary file")
    with os.fdopen(fd, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise Unreadable(f"{path.name} is larger than {limit >> 20} MB")
    return content


def read_notebook(path: Path) -> dict:
    """The JSON of a notebook.

    Raises
    ------
    Unreadable
        If the file is none, with what to say of it.
    """
    try:
        content = read_bounded(path, MAX_NOTEBOOK)
    except FileNotFoundError:
        raise Unreadable(f"no {path.name} was submitted") from None
    if not content.strip():
        raise Unreadable(f"{path.name} is empty")
    try:
        data = json.loads(content.decode(_encoding(content)))
    except UnicodeDecodeError:
        raise Unreadable(f"{path.name} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"{path.name} is not JSON (line {error.lineno})") from None
    except (ValueError, RecursionError):
        raise Unreadable(f"{path.name} is not JSON of a notebook") from None
    if not isinstance(data, dict) or not ({"cells", "worksheets"} & data.keys()):
        raise Unreadable(f"{path.name} is no notebook")
    return data


def _encoding(content: bytes) -> str:
    marks = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
    return next((name for mark, name in marks.items() if content.startswith(mark)), "utf-8")


@dataclass(frozen=True)
class _Cell:
    kind: str
    source: str
    grade_id: str
    cell_id: str


def read_cells(data: dict) -> Iterator[_Cell]:
    """The cells of a notebook of format 3 or 4; what is none is passed over."""
    found = data.get("cells")
    if not isinstance(found, list):
        sheets = data.get("worksheets")
        sheets = sheets if isinstance(sheets, list) else []
        found = [c for s in sheets if isinstance(s, dict) for c in _list(s.get("cells"))]
    if len(found) > MAX_CELLS:
        raise Unreadable(f"the notebook has {len(found):,} cells, more than {MAX_CELLS:,}")
    for cell in found:
        if not isinstance(cell, dict):
            continue
        source = _text(cell.get("source", cell.get("input", "")))
        if len(source) > MAX_CELL:
            raise Unreadable(f"a cell of the notebook is longer than {MAX_CELL:,} characters")
        yield _Cell(str(cell.get("cell_type", "")), source, _grade_id(cell), _name(cell.get("id")))


def _grade_id(cell: dict) -> str:
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return _name(nbgrader.get("grade_id")) if isinstance(nbgrader, dict) else ""


def _name(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []


def _text(source: Any) -> str:
    """A cell's text: nbformat stores a string or a list of lines; lone surrogates are replaced."""
    lines = source if isinstance(source, list) else [source]
    text = "".join(line for line in lines if isinstance(line, str))
    return text.encode("utf-8", "replace").decode("utf-8")


def _lay_in(cells: list[_Cell], bundle: Bundle) -> Submission:
    skeleton = {cell.id: cell for cell in bundle.skeleton.cells}
    by_text = {cell.source: cell.id for cell in bundle.skeleton.cells if not _is_graded(cell)}
    taken: dict[str, str] = {}
    own: dict[str, list[_Cell]] = {"": []}
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


def _rebuilt(bundle: Bundle, taken: dict[str, str], own: dict[str, list[_Cell]]) -> NotebookNode:
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
