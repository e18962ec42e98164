"""What one student handed in, before it is known of which unit it is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from grader.exchange.entries import Item
from grader.exchange.whose import Owner
from grader.lateness import TIMESTAMP
from grader.reading import MAX_ANSWERS
from grader.units import Unit

_ANSWERS = re.compile(r"answers[-_ ]*\(?\d*\)?\.json")


@dataclass
class Handed:
    """What one student handed in: files with where they lay, by what they are."""

    owners: list[Owner] = field(default_factory=list)
    notebooks: list[tuple[Owner, Item]] = field(default_factory=list)
    answers: list[tuple[Owner, Item]] = field(default_factory=list)
    times: list[tuple[Owner, Item]] = field(default_factory=list)

    def add(self, whose: Owner, item: Item) -> None:
        """Take in one file; what is neither notebook, answers nor time is nothing."""
        self.owners.append(whose)
        name = whose.path[-1].lower()
        if name.endswith(".ipynb"):
            self.notebooks.append((whose, item))
        elif name == TIMESTAMP:
            self.times.append((whose, item))
        elif _ANSWERS.fullmatch(name):
            self.answers.append((whose, item))

    def clash(self) -> str:
        """Why these are not one student's files, or the empty string."""
        names = sorted({one.name for one in self.owners})
        people = {one.student for one in self.owners}
        if len({name.casefold() for name in names}) > 1 or len(people) > 1:
            return f"several students would share this folder: {', '.join(map(repr, names))}"
        numbers = sorted({one.number for one in self.owners if one.number})
        if len(numbers) > 1:
            return f"several students have this name ({', '.join(numbers)}): rename their folders"
        return ""

    def answers_of(self, unit: Unit, beside: Owner, alone: bool) -> bytes | None:
        """The answers.json of a unit: by what it says, else the one beside the notebook.

        Parameters
        ----------
        alone
            Whether this is the only unit that was handed in.

        Raises
        ------
        Unreadable
            If one of them cannot be read.
        """
        unsaid = None
        for whose, item in sorted(self.answers, key=lambda one: one[0].path, reverse=True):
            content = item.read(MAX_ANSWERS)
            says = _unit_in(content)
            if says == unit.name:
                return content
            if not says and (alone or whose.path[:-1] == beside.path[:-1]):
                unsaid = content
        return unsaid


def _unit_in(content: bytes) -> str:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    says = data.get("unit") if isinstance(data, dict) else None
    return says if isinstance(says, str) else ""
