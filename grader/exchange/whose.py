"""Whose file is it? What learning management systems call the files of a bulk download.

Moodle (``mod/assign/classes/downloader.php``): a folder ``Full Name_123_assignsubmission_file``
with the files as they were handed in, or, in the flat variant, all of that as the beginning of the
file's name. The number is another one in every assignment, so the name is all that stays.

Canvas (``lib/content_zipper.rb``): ``lastnamefirst_LATE_123_456_file.ipynb``, where 123 is the
student's id in Canvas, and ``LATE`` is there if Canvas says so. What was handed in again under the
same name has ``-1``, ``-2`` … at its end.

A folder of notebooks: ``student.ipynb``, or anything below ``student/``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

MAX_ID = 100  # characters
MAX_FOLDER = 240  # bytes

_MOODLE = re.compile(r"^(?P<name>.+?)(?:_(?P<number>\d+))?_assignsubmission_[a-z]+_?(?P<file>.*)$")
_CANVAS = re.compile(r"^(?P<name>.*?)_?(?P<late>LATE_)?(?P<id>\d+)_\d+_(?P<file>.+)$")
_CANVAS_ANONYMOUS = re.compile(r"^(?P<late>LATE_)?(?P<id>anon_\w+?)_\d+_(?P<file>.+)$")
_UNSAFE = re.compile(r"[^\w .@+'()-]+")


@dataclass(frozen=True)
class Owner:
    """Who handed a file in.

    Attributes
    ----------
    name
        As the download says it.
    student
        The same, safe as a folder's name and as an id in the gradebook.
    number
        Moodle's number, which tells two students of one name apart.
    late
        Whether Canvas calls it late.
    system
        ``Moodle``, ``Canvas``, or the empty string for a folder that an instructor made.
    path
        Where the file lies in what this student handed in.
    """

    name: str
    student: str
    number: str
    late: bool
    system: str
    path: tuple[str, ...]


def owner(parts: tuple[str, ...], units: Iterable[str]) -> Owner | None:
    """Whose file this is, None if its path names nobody."""
    first, rest = parts[0], parts[1:]
    if match := _MOODLE.match(first):
        path = (*filter(None, [match["file"]]), *rest)
        return _owner(match["name"], match["number"] or "", False, "Moodle", path) if path else None
    canvas = _CANVAS_ANONYMOUS.match(first) or _CANVAS.match(first)
    if canvas:
        fields = canvas.groupdict()
        name = "_".join(filter(None, [fields.get("name"), fields["id"]]))
        return _owner(name, "", bool(fields["late"]), "Canvas", (fields["file"], *rest))
    if rest:
        return _owner(first, "", False, "", rest)
    stem = first.rpartition(".")[0]
    return None if stem in set(units) else _owner(stem, "", False, "", parts)


def without_wrapper(paths: list[tuple[str, ...]], units: Iterable[str]) -> int:
    """How many leading folders (0 or 1) hold the whole download and name no student."""
    tops = {path[0] for path in paths}
    if len(tops) != 1 or any(len(path) < 2 for path in paths):
        return 0
    if _MOODLE.match(paths[0][0]) or _CANVAS.match(paths[0][0]):
        return 0
    inside = {path[1] if len(path) > 2 else path[1].rpartition(".")[0] for path in paths}
    return int(len(inside - set(units) - {"answers", "timestamp"}) > 1)


def safe_id(name: str) -> str:
    """A name as a folder: no path, no control or invisible character, no pattern, no formula.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    name = unicodedata.normalize("NFC", name).replace(",", " ")
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C")
    name = " ".join(_UNSAFE.sub("-", name).split()).lstrip(".-+@'= ")[:MAX_ID]
    name = name.encode()[:MAX_FOLDER].decode(errors="ignore").rstrip(". ")
    if not name:
        raise ValueError("has no name that can be a student's id")
    return name


def _owner(name: str, number: str, late: bool, system: str, path: tuple[str, ...]) -> Owner:
    if name.casefold() == "participant" and number:  # Moodle's blind marking
        name = f"{name} {number}"
    return Owner(name, safe_id(name), number, late, system, path)
