"""The two calls of a quiz's test cell: ``check_quiz`` for students, ``score_quiz`` for grading."""

from __future__ import annotations

import os
from pathlib import Path

from IPython.display import display

from halfbits.answers import Damaged, read_answers
from halfbits.checks import CheckFailed, unpack
from halfbits.questions import QuizProblem, mark_quiz, read_quiz, unanswered
from halfbits.quiz_report import line_view, score_view


def check_quiz() -> None:
    """Say which questions are unanswered.

    Raises
    ------
    CheckFailed
        If the notebook is being validated and a question is unanswered, in one line.
    """
    mode = os.environ.get("NBGRADER_EXECUTION")
    if mode == "autograde":
        return  # score_quiz follows: an unanswered question costs its points, not the whole cell
    says, complete = _completeness()
    display(line_view("✓" if complete else "○", says))
    if mode and not complete:
        raise CheckFailed(says)


def score_quiz(payload: str) -> int:
    """Show each question, the choice and its feedback; return the points for nbgrader.

    Parameters
    ----------
    payload
        The quiz with its key, as packed by :func:`halfbits.checks.pack`.
    """
    quiz = unpack(payload)
    try:
        answers, problem = read_answers(Path.cwd(), quiz["unit"]), ""
        if not answers:
            problem = "no question was answered, or answers.json was not handed in"
    except Damaged as damage:
        answers, problem = {}, f"{damage}, so no answer could be read"
    marked = mark_quiz(quiz, answers)
    display(score_view(marked, problem))
    return sum(one.points for one in marked)


def _completeness() -> tuple[str, bool]:
    try:
        quiz = read_quiz()
        answers = read_answers(Path.cwd(), quiz["unit"])
    except Damaged as damage:
        return f"quiz: {damage}: answer the questions again", False
    except QuizProblem as problem:
        return f"quiz: {problem}", False
    total, missing = len(quiz["questions"]), unanswered(quiz, answers)
    if not missing:
        return f"quiz: all {total} questions are answered", True
    are = "question is" if len(missing) == 1 else "questions are"
    return f"quiz: {len(missing)} of {total} {are} unanswered: {', '.join(missing)}", False
