"""``hb.quiz("limits")``: a question to click; ``hb.quiz.answer("limits", "a")`` does it from code.

The page (``quiz.js``) is told the feedback of an option once that option has been chosen, and that
a choice is saved once it is on disk: see :mod:`halfbits.quizzes.answers`.
"""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import traitlets

from halfbits.pictures.shown import Shown
from halfbits.pictures.widget import TextWidget
from halfbits.quizzes.answers import Damaged, NotSaved, read_answers, save_answer
from halfbits.quizzes.questions import (
    Marked,
    QuizProblem,
    defect,
    find_question,
    mark_answer,
    read_quiz,
    unanswered,
)
from halfbits.quizzes.quiz_report import question_view

_HERE = Path(__file__).parent
_PUBLIC = ("id", "kind", "points", "text")
_SAVED = {False: "saved", True: "not saved: nothing is while the notebook is validated or graded"}


class Question(TextWidget):
    """One question in the page; made by ``hb.quiz``.

    Attributes
    ----------
    question : dict
        What the page shows from the start: no key, no feedback.
    shown : dict
        What follows from the choice on disk: ``choice``, ``verdict`` and its ``reasons``, how many
        questions are ``open``. ``request`` names the click that it answers, ``problem`` says why
        nothing was saved, ``note`` what happened to a damaged file.
    """

    _esm = _HERE / "quiz.js"
    _css = _HERE / "quiz.css"

    question = traitlets.Dict().tag(sync=True)
    shown = traitlets.Dict().tag(sync=True)

    def __init__(self, quiz: dict, question: dict) -> None:
        self._quiz, self._full = quiz, question
        self._folder = Path.cwd()  # wherever the notebook goes later
        self._lock = threading.Lock()  # clicks may arrive on several threads
        super().__init__(question=_for_page(quiz, question), shown=self.state())
        self.on_msg(self._clicked)
        _live.add(self)

    def state(self) -> dict:
        """What the page shows of the choice on disk, and of the quiz as a whole."""
        one, left, problem = _current(self._folder, self._quiz, self._full)
        marks = one.mark.reasons if one.mark else ()
        return {
            "choice": one.choice,
            "verdict": "" if one.mark is None else "right" if one.mark.right else "wrong",
            "reasons": [[reason.option, reason.right, reason.text["html"]] for reason in marks],
            "open": left,
            "request": "",
            "problem": problem,
            "note": "",
        }

    def _clicked(self, _widget: Any, content: dict, _buffers: Any) -> None:
        with self._lock:
            request, note, problem = content.get("request", ""), "", ""
            try:
                note = _save(self._folder, self._quiz, self._full, content.get("choice"))
            except (QuizProblem, NotSaved) as error:
                problem = str(error)
            state = self.state()
            problem = problem or state["problem"]
            self.shown = state | {"request": request, "problem": problem, "note": note}
        _refresh(except_for=self)

    def __str__(self) -> str:
        return repr(question_view(_current(self._folder, self._quiz, self._full)[0]))


class Quiz:
    """The quiz of the notebook's unit; ``halfbits.quizzes.quiz`` is the only one that is needed."""

    def __call__(self, question: str) -> Question | Shown:
        """Show a question, with what was chosen before.

        Raises
        ------
        QuizProblem
            If the unit has no such question, in one line.
        """
        quiz = read_quiz()
        found = find_question(quiz, question)
        if _grading():
            one, _, _ = _current(Path.cwd(), quiz, found)
            return question_view(replace(one, mark=None))
        return Question(quiz, found)

    def answer(self, question: str, choice: str | float | list[str]) -> Shown:
        """Answer a question from code: ``"a"``, ``["a", "c"]``, or a number such as ``65504``.

        Raises
        ------
        QuizProblem
            If there is no such question or option, or nothing can be saved, in one line.
        """
        quiz = read_quiz()
        found = find_question(quiz, question)
        if found["kind"] == "several" and isinstance(choice, str):
            choice = [choice]
        if found["kind"] == "number":
            choice = str(choice)
        try:
            note = _save(Path.cwd(), quiz, found, choice)
        except NotSaved as problem:
            raise QuizProblem(f"not saved: {problem}") from None
        _refresh()
        one, _, _ = _current(Path.cwd(), quiz, found)
        return question_view(one, note or _SAVED[_grading()])


quiz = Quiz()
_live: weakref.WeakSet[Question] = weakref.WeakSet()


def _grading() -> bool:
    return "NBGRADER_EXECUTION" in os.environ


def _save(folder: Path, quiz: dict, question: dict, choice: Any) -> str:
    """Check and save a choice; return a note about a damaged file."""
    if choice and (problem := defect(question, choice)):
        raise QuizProblem(problem)
    if isinstance(choice, list):
        choice = sorted(set(choice))
    if _grading():
        return ""
    return save_answer(folder, quiz["unit"], question["id"], choice or "")


def _refresh(except_for: Question | None = None) -> None:
    """Tell the other questions on the page how many are open now, and what was chosen in code."""
    for widget in list(_live):
        if widget is not except_for:
            widget.shown = widget.shown | widget.state()


def _for_page(quiz: dict, question: dict) -> dict:
    public = {name: question[name] for name in _PUBLIC}
    if "options" in question:
        options = [{name: o[name] for name in ("id", "text")} for o in question["options"]]
        public["options"] = options
    number = quiz["questions"].index(question) + 1
    return public | {"number": number, "of": len(quiz["questions"]), "mode": quiz["mode"]}


def _current(folder: Path, quiz: dict, question: dict) -> tuple[Marked, int, str]:
    """The question as answered on disk, how many are open, and a problem with the file."""
    try:
        answers, problem = read_answers(folder, quiz["unit"]), ""
    except Damaged as damage:
        answers = {}
        problem = f"{damage}: answer again, and that file will be kept under another name"
    one = mark_answer(quiz, question, answers)
    if answers.get(question["id"]) and one.problem:
        problem = one.problem
    return replace(one, problem=""), len(unanswered(quiz, answers)), problem
