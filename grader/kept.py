"""What the known answers of a unit give, kept from one process to the next.

To know it, every answer is run on every case, which takes up to a minute a unit. It is kept in
``.built/`` until the unit, the library, the grader or a package changes; ``grader release`` forgets
it first, so that course/ is always compared with a build from nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it needs PyTorch, which takes seconds
    from grader.exercise import Exercise

HERE = Path(__file__).parent
ROOT = HERE.parent
LIBRARY = ROOT / "halfbits"
FOLDER = ROOT / ".built"
SPECS = ("visible_spec", "hidden_spec")


def made_of(folder: Path) -> str:
    """A digest of all that a unit's build depends on."""
    folders = (folder, LIBRARY, HERE)
    files = [path for each in folders for path in each.rglob("*") if path.is_file()]
    lock = ROOT / "requirements.lock"
    used = [path for path in files if path.suffix != ".pyc"] + [lock] * lock.exists()
    return digest(used) + version("torch")


def digest(files: Iterable[Path]) -> str:
    """Of names and contents."""
    mark = hashlib.sha256()
    for path in sorted(files):
        mark.update(f"{path.name}\0".encode() + path.read_bytes())
    return mark.hexdigest()


def recall(folder: Path, exercises: dict[str, Exercise], made: str) -> None:
    """Give the exercises of a unit the specs that are kept for them, if there are any."""
    kept = read(_path(folder))
    if kept.get("made of") != made:
        return
    for name, specs in kept["exercises"].items():
        vars(exercises[name]).update(specs)


def keep(folder: Path, exercises: dict[str, Exercise], made: str) -> None:
    """Keep their specs, if they are the project's own and something can be written.

    ``made`` is what :func:`made_of` said when they were loaded: files may have changed since.
    """
    if ROOT not in folder.resolve().parents:
        return
    found = {name: {s: getattr(one, s) for s in SPECS} for name, one in exercises.items()}
    facts = {"made of": made, "exercises": found}
    try:
        write(_path(folder), facts)
    except OSError:
        forget(folder)


def forget(folder: Path) -> None:
    """Keep nothing of a unit."""
    with contextlib.suppress(OSError):
        _path(folder).unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one if there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write(path: Path, facts: dict[str, Any]) -> None:
    """Write a JSON file in one step: others may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(json.dumps(facts), encoding="utf-8")
    new.replace(path)


def _path(folder: Path) -> Path:
    place = folder.resolve()
    return (
        FOLDER / f"{'.'.join(place.relative_to(ROOT).parts)}.json"
        if ROOT in place.parents
        else FOLDER / "none"
    )
