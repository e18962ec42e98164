"""The two calls of a quiz's test cell: ``check_quiz`` for students, ``score_quiz`` for grading."""

from __future__ import annotations

import os
from pathlib import Path

from IPython.display import display

from halfbits.checking import CheckFailed
from halfbits.checking.payload import unpack
from halfbits.pictures.shown import Shown
from halfbits.quizzes.answers import Damaged, read_answers
from halfbits.quizzes.questions import QuizProblem, mark_quiz, read_quiz, unanswered
from halfbits.quizzes.quiz_report import line_view, score_view


def check_quiz() -> None:
    """Say which questions are unanswered, and of a practice quiz also which answers are wrong.

    Raises
    ------
    CheckFailed
        If the notebook is being validated and a question is unanswered, in one line. A wrong
        answer to a practice quiz is no failure.
    """
    mode = os.environ.get("NBGRADER_EXECUTION")
    if mode == "autograde":
        return  # score_quiz follows: an unanswered question costs its points, not the whole cell
    try:
        quiz = read_quiz()
        answers = read_answers(Path.cwd(), quiz["unit"])
    except (Damaged, QuizProblem) as problem:
        again = ": answer the questions again" if isinstance(problem, Damaged) else ""
        says, complete = f"quiz: {problem}{again}", False
        display(line_view("○", says))
    else:
        says, complete = _completeness(quiz, answers)
        practice = quiz["mode"] == "practice"
        display(_practice_line(quiz, answers) if practice else _line(says, complete))
    if mode and not complete:
        raise CheckFailed(says)


def score_quiz(payload: str) -> int:
    """Show each question, the choice and its feedback; return the points for nbgrader.

    Parameters
    ----------
    payload
        The quiz with its key, as packed by :func:`halfbits.checking.payload.pack`.
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


def _completeness(quiz: dict, answers: dict) -> tuple[str, bool]:
    total, missing = len(quiz["questions"]), unanswered(quiz, answers)
    if not missing:
        return f"quiz: all {total} questions are answered", True
    are = "question is" if len(missing) == 1 else "questions are"
    return f"quiz: {len(missing)} of {total} {are} unanswered: {', '.join(missing)}", False


def _line(says: str, done: bool) -> Shown:
    return line_view("✓" if done else "○", says)


def _practice_line(quiz: dict, answers: dict) -> Shown:
    """``○ quiz: 5 of 6 answered, 4 right; unanswered: limits; look again at: spacing``."""
    total, missing = len(quiz["questions"]), unanswered(quiz, answers)
    marked = [one for one in mark_quiz(quiz, answers) if one.mark]
    wrong = [one.name for one in marked if not one.mark.right]
    right = len(marked) - len(wrong)
    says = f"quiz: {total - len(missing)} of {total} answered"
    if marked:
        says += ", all right" if right == total else f", {right} right"
    for what, names in (("unanswered", missing), ("look again at", wrong)):
        if names:
            says += f"; {what}: {', '.join(names)}"
    return _line(says, right == total)
