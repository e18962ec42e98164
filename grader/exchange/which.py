"""Which unit a notebook is of: by its file's name, else by its cells."""

from __future__ import annotations

import re
from collections import Counter

import jupytext

from grader import build
from grader.units import Unit

# UNIT-1 says Canvas, UNIT (2) a browser, UNIT-Copy1 JupyterLab.
_COPY = re.compile(r"[-_ ]*(copy)?[-_ ]*\(?(\d{0,6})\)?", re.IGNORECASE)


class Which:
    """Tells the units of a course from each other."""

    def __init__(self, units: list[Unit]) -> None:
        self._names = [unit.name for unit in units]
        self._cells = _cells_of(units)

    def by_name(self, file: str) -> tuple[str, int]:
        """The unit that a file's name says, and a rank: what was handed in last comes first."""
        stem = file.removesuffix(".ipynb")
        for name in self._names:
            if stem.casefold().startswith(name.casefold()):
                match = _COPY.fullmatch(stem[len(name) :])
                if match:
                    return name, -1 if match[1] else int(match[2] or 0)
        return "", -2

    def by_cells(self, ids: set[str]) -> str:
        """The unit that has most of these grade_ids; the empty string if none has one."""
        known = Counter({unit: len(ids & own) for unit, own in self._cells.items()})
        best, count = known.most_common(1)[0]
        return best if count else ""


def _cells_of(units: list[Unit]) -> dict[str, set[str]]:
    """The grade_ids that tell each unit from the others."""
    ids = {
        unit.name: set(map(build.grade_id, jupytext.read(unit.notebook).cells)) for unit in units
    }
    count = Counter(name for own in ids.values() for name in own)
    return {unit: {name for name in own if name and count[name] == 1} for unit, own in ids.items()}
