"""Read what students handed in, within bounds: files, notebooks and the cells in them."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halfbits.quizzes.answers import encoding_of

MAX_NOTEBOOK = 20 << 20  # bytes
MAX_ANSWERS = 1 << 20
MAX_CELLS = 2_000
MAX_CELL = 1 << 20  # characters


class Unreadable(Exception):
    """A file that cannot be taken; the message says why, for student and instructor."""


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
        data = json.loads(content.decode(encoding_of(content)))
    except UnicodeDecodeError:
        raise Unreadable(f"{path.name} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"{path.name} is not JSON (line {error.lineno})") from None
    except (ValueError, RecursionError):
        raise Unreadable(f"{path.name} is not JSON of a notebook") from None
    if not isinstance(data, dict) or not ({"cells", "worksheets"} & data.keys()):
        raise Unreadable(f"{path.name} is no notebook")
    return data


@dataclass(frozen=True)
class Cell:
    """What stands in one cell of a notebook, whoever wrote it; empty strings for what it lacks."""

    kind: str
    source: str
    grade_id: str
    cell_id: str


def read_cells(data: dict) -> Iterator[Cell]:
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
        yield Cell(str(cell.get("cell_type", "")), source, _grade_id(cell), _name(cell.get("id")))


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
