"""Feedback pages: what nbgrader makes of a graded notebook, without the hidden tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nbgrader.preprocessors import ClearHiddenTests

from grader.classroom import Classroom, last_line
from grader.units import Unit


class HideTests(ClearHiddenTests):
    """Take the hidden region out of the page: it is the instructor's, and its text helps nobody."""


def write_feedback(
    classroom: Classroom, chosen: list[Unit]
) -> Iterator[tuple[str, str, Path | str]]:
    """Write a page for every graded submission; yield student, unit, and the page or a problem."""
    for unit in chosen:
        for folder in sorted(classroom.root.glob(f"autograded/*/{unit.name}")):
            student = folder.parent.name
            outcome = classroom.api.generate_feedback(unit.name, student, force=True)
            page = classroom.path("feedback", student, unit) / f"{unit.name}.html"
            yield student, unit.name, page if outcome["success"] else last_line(outcome)
