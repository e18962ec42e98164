"""Prove that the checks are worth their points: all wrong answers lose some, right ones none."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import jupytext

from grader.build import exercise_of
from grader.exercise import Answer, Exercise
from grader.tables import table
from grader.units import Unit
from halfbits.checking.observe import NotAttempted


@dataclass
class Row:
    """What the checks of one exercise make of its known answers."""

    unit: str
    exercise: str
    points: int
    wrong: int = 0
    caught: int = 0
    by_visible: int = 0
    by_hidden: int = 0
    hinted: int = 0
    missed: list[str] = field(default_factory=list)
    right: int = 0
    accepted: int = 0
    refused: list[str] = field(default_factory=list)

    @property
    def adequate(self) -> bool:
        return not self.missed and not self.refused and self.hinted == self.caught

    def to_json(self) -> dict:
        return asdict(self)


def assess(unit: Unit) -> list[Row]:
    """One row for each exercise of a unit."""
    lesson = lesson_answers(unit)
    return [_assess(unit, exercise, lesson[name]) for name, exercise in unit.exercises.items()]


def lesson_answers(unit: Unit) -> dict[str, Answer]:
    """The answers that the lesson itself gives, taken from its solution cells."""
    space: dict = {"__name__": "lesson"}
    answers = {}
    for cell in jupytext.read(unit.notebook).cells:
        exercise, part = exercise_of(unit, cell)
        imports = cell.cell_type == "code" and "imports" in cell.metadata.get("tags", [])
        if part == "answer" or imports:
            exec(compile(cell.source, str(unit.notebook), "exec"), space)
        if exercise and part == "answer":
            answers[exercise.name] = Answer("the lesson's answer", space[exercise.name])
    return answers


def _assess(unit: Unit, exercise: Exercise, lesson: Answer) -> Row:
    row = Row(unit.name, exercise.name, sum(exercise.points))
    for answer in exercise.wrong_answers:
        visible, hidden = (
            exercise.try_visible(answer.function),
            exercise.try_hidden(answer.function),
        )
        row.wrong += 1
        row.by_visible += not visible.passed
        row.by_hidden += not hidden.passed
        if visible.passed and hidden.passed:
            row.missed.append(answer.name)
            continue
        row.caught += 1
        said = [verdict.hint for verdict in (visible, hidden) if not verdict.passed]
        row.hinted += all(hint == answer.says for hint in said)
    for answer in [lesson, *exercise.right_answers]:
        row.right += 1
        if _accepted(exercise, answer):
            row.accepted += 1
        else:
            row.refused.append(answer.name)
    return row


def _accepted(exercise: Exercise, answer: Answer) -> bool:
    try:
        return (
            exercise.try_visible(answer.function).passed
            and exercise.try_hidden(answer.function).passed
        )
    except NotAttempted:
        return False


def as_table(rows: list[Row]) -> str:
    """The rows for the terminal."""
    header = (
        "unit",
        "exercise",
        "points",
        "wrong",
        "by visible",
        "by hidden",
        "missed",
        "hint right",
    )
    body = [
        (
            *(r.unit, r.exercise, r.points, r.wrong, r.by_visible, r.by_hidden),
            *(", ".join(r.missed) or "—", f"{r.hinted} of {r.caught}"),
            *(f"{r.accepted} of {r.right}", ", ".join(r.refused) or "—"),
        )
        for r in rows
    ]
    return table((*header, "right accepted", "refused"), body)
