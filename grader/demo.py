"""A class of sample students, and the grades that they must get."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat

from grader.build import grade_id, lesson_solutions
from grader.classroom import Classroom
from grader.exercise import Answer, Exercise
from grader.quizzes import Quiz
from grader.units import Unit
from halfbits.quizzes.answers import ANSWERS_FILE


@dataclass(frozen=True)
class SampleStudent:
    """A student's name, what they typed into each cell (by grade_id), the score they deserve.

    ``quiz`` is the text of their answers.json; without one they handed in none.
    """

    name: str
    answers: dict[str, str]
    score: int
    quiz: str = ""


def sample_class(unit: Unit) -> list[SampleStudent]:
    """Perfect; one for each wrong answer; one who solved nothing; one with a syntax error.

    In a unit with a quiz also: all of it wrong, half of it right, a damaged answers.json.

    The scores are those before a human marks the written answers, which count 0 until then.
    """
    perfect = lesson_solutions(unit)
    full = _full(unit)
    first = next(iter(unit.exercises.values()))
    broken = perfect | {f"{first.name}-answer": f"def {first.name}(:\n    return 1"}
    students = [
        SampleStudent("perfect", perfect, full),
        SampleStudent("nothing-solved", {}, 0),
        SampleStudent("syntax-error", broken, full - sum(first.points)),
    ]
    for exercise in unit.exercises.values():
        for answer in exercise.wrong_answers:
            typed = perfect | {f"{exercise.name}-answer": source_of(exercise, answer)}
            lost = _points_lost(exercise, answer)
            students.append(SampleStudent(_student_name(exercise, answer), typed, full - lost))
    return _with_quiz(students, unit.quiz) if unit.quiz else students


def perfect_student(unit: Unit) -> SampleStudent:
    """Who solved all as the lesson does, the quiz, too."""
    student = SampleStudent("perfect", lesson_solutions(unit), _full(unit))
    return _answering(student, unit.quiz, half=False) if unit.quiz else student


def packed_class(unit: Unit, count: int | None = None) -> list[SampleStudent]:
    """The same answers in few submissions: the k-th student gives each exercise's k-th wrong one.

    With a perfect student, one who solved nothing, and half of the quiz wrong for every other one.

    Parameters
    ----------
    count
        How many of them, all if left out: every answer is tried, to know the points it deserves.
    """
    perfect = lesson_solutions(unit)
    most = max(len(exercise.wrong_answers) for exercise in unit.exercises.values())
    students = [SampleStudent("perfect", perfect, _full(unit)), SampleStudent("nothing", {}, 0)]
    for k in range(most if count is None else min(most, count - len(students))):
        typed, lost = dict(perfect), 0
        for exercise in unit.exercises.values():
            if k < len(exercise.wrong_answers):
                answer = exercise.wrong_answers[k]
                typed[f"{exercise.name}-answer"] = source_of(exercise, answer)
                lost += _points_lost(exercise, answer)
        students.append(SampleStudent(f"wrong-{k + 1}", typed, _full(unit) - lost))
    if not unit.quiz:
        return students
    return [_answering(one, unit.quiz, half=number % 2 == 1) for number, one in enumerate(students)]


def _answering(student: SampleStudent, quiz: Quiz, half: bool) -> SampleStudent:
    if not student.answers:
        return student
    wrong = [question for question in quiz.questions[::2] if half]
    points = quiz.points - sum(question["points"] for question in wrong)
    text = quiz_answers(quiz, wrong={question["id"] for question in wrong})
    return replace(student, score=student.score + points, quiz=text)


def _full(unit: Unit) -> int:
    return sum(sum(exercise.points) for exercise in unit.exercises.values())


def _with_quiz(students: list[SampleStudent], quiz: Quiz) -> list[SampleStudent]:
    """Whoever solved an exercise got the quiz right; three more stumble over nothing else."""
    right = quiz_answers(quiz)
    students = [
        replace(one, score=one.score + quiz.points, quiz=right) if one.answers else one
        for one in students
    ]
    perfect, half = students[0], quiz.questions[: len(quiz.questions) // 2]
    missed = sum(question["points"] for question in half)
    return [
        *students,
        replace(
            perfect,
            name="quiz-all-wrong",
            score=perfect.score - quiz.points,
            quiz=quiz_answers(quiz, wrong={q["id"] for q in quiz.questions}),
        ),
        replace(
            perfect,
            name="quiz-half-right",
            score=perfect.score - missed,
            quiz=quiz_answers(quiz, wrong={q["id"] for q in half}),
        ),
        replace(
            perfect,
            name="quiz-damaged",
            score=perfect.score - quiz.points,
            quiz=right[: len(right) // 2],
        ),
    ]


def quiz_answers(quiz: Quiz, wrong: Iterable[str] = ()) -> str:
    """The text of an answers.json that is right except for these questions."""
    chosen = {q["id"]: _choice(q, right=q["id"] not in wrong) for q in quiz.questions}
    return json.dumps({"unit": quiz.unit, "answers": chosen})


def _choice(question: dict, right: bool) -> str | list[str]:
    if question["kind"] == "number":
        return question["answers"][0] if right else "-12345"
    letters = [option["id"] for option in question["options"] if option["right"] == right]
    return letters[0] if question["kind"] == "one" else letters


def renamed(student: SampleStudent, name: str) -> SampleStudent:
    """The same submission by somebody else."""
    return replace(student, name=name)


def submit(classroom: Classroom, unit: Unit, student: SampleStudent, release: Path) -> None:
    """Hand in the released notebook with the student's answers typed in."""
    notebook = nbformat.read(release / f"{unit.name}.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = student.answers.get(grade_id(cell), cell.source)
    folder = classroom.path("submitted", student.name, unit)
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{unit.name}.ipynb")
    if student.quiz:
        (folder / ANSWERS_FILE).write_text(student.quiz, encoding="utf-8")


def source_of(exercise: Exercise, answer: Answer) -> str:
    """A known answer as a student would have typed it, its imports included."""
    text = textwrap.dedent(inspect.getsource(answer.function))
    kinds = (ast.FunctionDef, ast.ClassDef)
    definition = next(node for node in ast.parse(text).body if isinstance(node, kinds))
    definition.decorator_list = []
    definition.name = exercise.name
    return "import math\n\nimport torch\n\n\n" + ast.unparse(definition)


def _student_name(exercise: Exercise, answer: Answer) -> str:
    return f"{exercise.name}-{answer.name}".replace("_", "-")


def _points_lost(exercise: Exercise, answer: Answer) -> int:
    visible, hidden = exercise.points
    passed_visible = exercise.try_visible(answer.function).passed
    passed_hidden = exercise.try_hidden(answer.function).passed
    return visible * (not passed_visible) + hidden * (not passed_hidden)
