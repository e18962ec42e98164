"""A quiz as data: read ``quiz.json``, tell whether a choice can be one, and mark it with a key.

A question is ``id``, ``kind`` (``one``, ``several`` or ``number``), ``points``, ``text``, and
``options`` or, for a number, ``answers``, ``tolerance``, ``feedback`` and ``wrong``. Every text is
``{"markdown", "html"}``. A graded quiz is released without ``right``, ``answers`` and feedback.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from halfbits.quizzes.answers import Choice
from halfbits.typed import parse

QUIZ_FILE = "quiz.json"

_MISSING = "What you chose is right, and something is missing."
_SOMETHING_MISSING = {"markdown": _MISSING, "html": f"<p>{_MISSING}</p>"}


class QuizProblem(Exception):
    """A mistake that the user can mend; IPython shows one line, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"QuizProblem: {self}"]


@dataclass(frozen=True)
class Reason:
    """What is said about one chosen option, or, with no letter, about the whole answer."""

    right: bool
    text: dict
    option: str = ""


@dataclass(frozen=True)
class Mark:
    """Whether a choice is right, and why."""

    right: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Marked:
    """A question of a quiz with what was chosen; ``mark`` is None where nothing can be marked."""

    question: dict
    number: int
    of: int
    choice: Choice | None = None
    mark: Mark | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        return self.question["id"]

    @property
    def kind(self) -> str:
        return self.question["kind"]

    @property
    def points(self) -> int:
        return self.question["points"] if self.mark and self.mark.right else 0


def read_quiz() -> dict:
    """The quiz beside the notebook; for an author in solutions/UNIT, that of course/UNIT.

    Raises
    ------
    QuizProblem
        If there is none, or it is damaged.
    """
    here = Path.cwd()
    path = here / QUIZ_FILE
    if not path.exists():
        path = here.parent.parent / "course" / here.name / QUIZ_FILE
    try:
        quiz = json.loads(path.read_text(encoding="utf-8"))
        quiz["unit"], quiz["mode"], [question["id"] for question in quiz["questions"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise QuizProblem(
            f"{QUIZ_FILE} cannot be read here: put the notebook back into its unit's folder"
        ) from None
    return quiz


def find_question(quiz: dict, name: str) -> dict:
    """The question of this id; raises QuizProblem if there is none."""
    for question in quiz["questions"]:
        if question["id"] == name:
            return question
    known = ", ".join(question["id"] for question in quiz["questions"])
    raise QuizProblem(f"there is no question {name!r} here; there are {known}")


def defect(question: dict, choice: Any) -> str:
    """Why something is no possible choice for the question, or the empty string."""
    if question["kind"] == "number":
        if not isinstance(choice, str):
            return f"{_short(choice)} is no number as text"
        try:
            parse(choice)
        except ValueError as error:
            return str(error)
        return ""
    letters = [option["id"] for option in question["options"]]
    if question["kind"] == "one":
        known = isinstance(choice, str) and choice in letters
        return "" if known else f"{_short(choice)} is no option; there are {', '.join(letters)}"
    if not isinstance(choice, list):
        return f"{_short(choice)} is no list of options, such as {letters[:2]}"
    for letter in choice:
        if letter not in letters:
            return f"{_short(letter)} is no option; there are {', '.join(letters)}"
    return ""


def unanswered(quiz: dict, answers: dict) -> list[str]:
    """The questions without an answer that can be used."""
    return [
        question["id"]
        for question in quiz["questions"]
        if not answers.get(question["id"]) or defect(question, answers[question["id"]])
    ]


def mark_quiz(quiz: dict, answers: dict) -> list[Marked]:
    """Mark stored answers, whatever they are; a released graded quiz has no key to mark with."""
    return [mark_answer(quiz, question, answers) for question in quiz["questions"]]


def mark_answer(quiz: dict, question: dict, answers: dict) -> Marked:
    """Mark the stored answer to one question of a quiz."""
    place = question, quiz["questions"].index(question) + 1, len(quiz["questions"])
    choice = answers.get(question["id"])
    if not choice:
        return Marked(*place, problem="not answered")
    if problem := defect(question, choice):
        return Marked(*place, problem=f"the saved answer cannot be used: {problem}")
    has_key = "answers" in question or "right" in question.get("options", [{}])[0]
    return Marked(*place, choice, mark(question, choice) if has_key else None)


def mark(question: dict, choice: Choice) -> Mark:
    """Mark a choice that has no defect; the question must come with its key."""
    if question["kind"] == "number":
        return _mark_number(question, parse(choice))
    chosen = [choice] if isinstance(choice, str) else choice
    reasons = [
        Reason(option["right"], option["feedback"], option["id"])
        for option in question["options"]
        if option["id"] in chosen
    ]
    right = {option["id"] for option in question["options"] if option["right"]}
    if set(chosen) < right:
        reasons.append(Reason(False, _SOMETHING_MISSING))
    return Mark(set(chosen) == right, tuple(reasons))


def _mark_number(question: dict, value: Fraction | float) -> Mark:
    tolerance = parse(question["tolerance"])
    if any(_close(value, parse(answer), tolerance) for answer in question["answers"]):
        return Mark(True, (Reason(True, question["feedback"]),))
    fits = next(wrong for wrong in question["wrong"] if _fits(wrong, value))
    return Mark(False, (Reason(False, fits["feedback"]),))


def _close(value: Fraction | float, answer: Fraction | float, tolerance: Fraction | float) -> bool:
    if value == answer:
        return True
    special = isinstance(value, float) or isinstance(answer, float)  # infinite, NaN or −0
    return (
        (math.isnan(value) and math.isnan(answer)) if special else abs(value - answer) <= tolerance
    )


def _fits(wrong: dict, value: Fraction | float) -> bool:
    return ("from" not in wrong or value >= parse(wrong["from"])) and (
        "below" not in wrong or value < parse(wrong["below"])
    )


def _short(thing: Any) -> str:
    text = repr(thing)
    return text if len(text) <= 40 else text[:39] + "…"
