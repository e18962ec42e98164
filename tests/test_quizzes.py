"""Quizzes: what an author may write, what is released, what is saved, what is graded."""

from __future__ import annotations

import base64
import binascii
import copy
import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from nbgrader.utils import determine_grade

import halfbits as hb
from grader.build import SCORE, files, source_notebook
from grader.classroom import Classroom
from grader.demo import quiz_answers
from grader.pages.markdown import BadTex, render, render_line
from grader.problem import Problem
from grader.quizzes import Quiz, load_quiz
from grader.units import Unit, find_units
from halfbits.checking import CheckFailed
from halfbits.checking.payload import pack
from halfbits.formats import Format, get_format
from halfbits.quizzes import quiz_check
from halfbits.quizzes.answers import Damaged, NotSaved, read_answers, save_answer
from halfbits.quizzes.questions import QuizProblem, find_question, mark

UNIT = "07_tests"
GOOD = {
    "mode": "practice",
    "questions": [
        {
            "id": "widths",
            "kind": "one",
            "points": 2,
            "text": "How many *exponent* bits has `fp16`?",
            "options": [
                {"id": "a", "text": "$2^3$", "feedback": "This is bf16, wide awake."},
                {"id": "b", "text": "5", "feedback": "Five of sixteen: $1+5+10$.", "right": True},
            ],
        },
        {
            "id": "finite",
            "kind": "several",
            "points": 1,
            "text": "Which are finite?",
            "options": [
                {"id": "a", "text": "zero", "feedback": "Nothing is finite.", "right": True},
                {"id": "b", "text": "NaN", "feedback": "It is not even a number."},
                {"id": "c", "text": "max", "feedback": "By its definition.", "right": True},
            ],
        },
        {
            "id": "max",
            "kind": "number",
            "points": 3,
            "text": "How far does fp16 reach?",
            "answers": [65504, "2^16 - 32"],
            "tolerance": 0.5,
            "feedback": "Exactly so, to the last bit.",
            "wrong": [
                {"from": 65536, "below": "inf", "feedback": "Beyond the last exponent."},
                {"below": "-1", "feedback": "The wrong end of the line."},
                {"feedback": "Nowhere close to the end."},
            ],
        },
    ],
}


def load(folder: Path, data: object, text: str | None = None) -> Quiz:
    """Write a quiz.yaml into a unit's folder and load it."""
    unit = folder / UNIT
    unit.mkdir(exist_ok=True)
    (unit / "quiz.yaml").write_text(yaml.safe_dump(data) if text is None else text)
    return load_quiz(unit)


def changed(place: str, value: object) -> dict:
    """GOOD with one value replaced, or removed if the new value is ``...``."""
    data = copy.deepcopy(GOOD)
    *path, last = [int(p) if p.isdigit() else p for p in place.split(".")]
    inner = data
    for step in path:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return data


def test_a_good_quiz_is_rendered(tmp_path):
    quiz = load(tmp_path, GOOD)
    widths, _, number = quiz.questions
    assert quiz.points == 6 and quiz.mode == "practice" and quiz.unit == UNIT
    assert widths["text"]["html"] == (
        "<p>How many <em>exponent</em> bits has <code>fp16</code>?</p>"
    )
    assert "<msup><mn>2</mn><mn>3</mn></msup>" in widths["options"][0]["text"]["html"]
    assert number["answers"] == ["65504", "2^16 - 32"]
    assert json.loads(json.dumps(quiz.with_key())) == quiz.with_key()


def test_raw_html_is_text(tmp_path):
    quiz = load(tmp_path, changed("questions.0.text", "<img src=x onerror=alert(1)>"))
    assert "<img" not in quiz.questions[0]["text"]["html"]


FORMULA_FIRST = "$2^{-10}$ in fp16, $2^{-7}$ in bf16"


@pytest.mark.parametrize("to_html", [render, render_line])
@pytest.mark.parametrize("text", [FORMULA_FIRST, f"{FORMULA_FIRST},\n$2^3$", f"*{FORMULA_FIRST}*"])
def test_a_text_that_begins_with_a_formula(to_html, text):
    page = to_html(text)
    assert "$" not in page and page.count("<math") == text.count("$") // 2


@pytest.mark.parametrize("to_html", [render, render_line])
def test_a_dollar_sign_without_its_other_half_is_refused(to_html):
    assert "$x" in to_html("`$x` is code")
    with pytest.raises(BadTex, match=r"a \$ without its other half: '\$2\^3 and more'"):
        to_html("$2^3 and more")


def html_in(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["html"]] if "html" in part else [])
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from html_in(each)


@pytest.mark.parametrize("unit", find_units([]), ids=lambda unit: unit.name)
def test_no_built_quiz_shows_raw_tex(unit):
    pages = list(html_in(json.loads(files(unit)["quiz.json"])))
    assert pages
    for page in pages:
        assert "$" not in re.sub(r"<code>.*?</code>", "", page), page


def test_a_unit_without_a_quiz_has_none(tmp_path):
    assert load_quiz(tmp_path) is None


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("mode", "exam", "mode: 'exam' is none of practice, graded"),
        ("mode", ..., "mode is missing"),
        ("title", "Quiz", "unknown field 'title'"),
        ("questions", [], "questions: needs at least 1"),
        ("questions.0.id", ..., "question 1: id is missing"),
        ("questions.0.kind", "many", "question 'widths': kind: 'many' is none of one, several"),
        ("questions.0.points", "2", "question 'widths': points: must be integer, not '2'"),
        ("questions.0.points", 0, "question 'widths': points: 0 is less than the minimum of 1"),
        ("questions.0.text", "  ", "question 'widths': text: is empty"),
        ("questions.0.hint", "x", "question 'widths': unknown field 'hint'"),
        ("questions.0.tolerance", 1, "question 'widths': unknown field 'tolerance'"),
        ("questions.0.options.1.right", ..., "options: one must be right, and none is marked"),
        ("questions.0.options.0.right", True, "options: one must be right, and 2 is marked"),
        ("questions.0.options.0.feedback", ..., r"options\[0\]: feedback is missing"),
        ("questions.0.options.0.feedback", "", r"options\[0\].feedback: is empty"),
        ("questions.0.options.0.text", 256, r"options\[0\].text: must be a text, not '256'"),
        ("questions.0.options.0.id", "b", "options: two have the id 'b'"),
        ("questions.0.options.0.id", "A", "options.0..id"),
        ("questions.0.options.0.why", "x", r"options\[0\]: unknown field 'why'"),
        ("questions.0.options.0.text", "$\\frac{1}{$", r"options\[0\].text: TeX that cannot be"),
        ("questions.1.id", "widths", "question 'widths': id: used twice"),
        ("questions.2.answers", ["many"], r"question 'max': answers\[0\]: 'many' is not a number"),
        ("questions.2.feedback", ..., "question 'max': feedback is missing"),
        ("questions.2.options", [], "question 'max': unknown field 'options'"),
        ("questions.2.wrong.2", {"from": 1, "feedback": "x"}, "wrong: the last must fit every"),
    ],
)
def test_a_mistake_is_one_line_with_file_question_and_field(tmp_path, place, value, said):
    with pytest.raises(Problem, match=said) as problem:
        load(tmp_path, changed(place, value))
    assert str(problem.value).startswith(f"{UNIT}/quiz.yaml: ")
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("text", ["mode: [", "", "- 1", "\ttab: 1"])
def test_what_is_no_quiz_at_all_is_one_line(tmp_path, text):
    with pytest.raises(Problem, match=r"quiz.yaml") as problem:
        load(tmp_path, None, text)
    assert "\n" not in str(problem.value)


# ── Released ─────────────────────────────────────────────────────────────────────────────────────


def copy_of(unit: Unit, folder: Path, change: Callable[[str], str], name: str) -> Unit:
    target = folder / unit.name
    target.mkdir(parents=True)
    for each in (f"{unit.name}.py", "exercises.py", "quiz.yaml"):
        text = (unit.folder / each).read_text(encoding="utf-8")
        (target / each).write_text(change(text) if each.endswith(name) else text, encoding="utf-8")
    return Unit(target)


def test_points_and_questions_must_agree_with_the_lesson(unit, tmp_path):
    worth = copy_of(unit, tmp_path / "a", lambda t: t.replace("points: 1", "points: 2", 1), ".yaml")
    with pytest.raises(Problem, match=r"'quiz-score' has 6 points, quiz.yaml says 7"):
        source_notebook(worth)
    other = copy_of(unit, tmp_path / "b", lambda t: t.replace('quiz("limits', 'quiz("x'), ".py")
    with pytest.raises(Problem, match=r"the question 'limits' of quiz.yaml is not shown"):
        source_notebook(other)


def decoded(data: bytes, depth: int = 2) -> Iterator[bytes]:
    """The bytes themselves, and whatever hides in them: base64, base85, hex, zlib."""
    yield data
    if depth == 0:
        return
    decoders = (
        (
            rb"[A-Za-z0-9+/_-]{24,}={0,2}",
            lambda t: base64.b64decode(t, b"-_" if b"_" in t else None),
        ),
        (rb"[0-9a-fA-F]{24,}", binascii.unhexlify),
        (rb"[^\s\"'\\]{24,}", base64.b85decode),
        (rb"(?s).+", zlib.decompress),
    )
    for pattern, decode in decoders:
        for token in re.findall(pattern, data):
            try:
                found = decode(token)
            except (ValueError, zlib.error):
                continue
            yield from decoded(found, depth - 1)


def secrets_of(quiz: Quiz) -> list[str]:
    """Every feedback text, as Markdown and as HTML."""
    texts = []
    for question in quiz.questions:
        told = [*question.get("options", ()), *question.get("wrong", ()), question]
        texts += [each["feedback"] for each in told if "feedback" in each]
    return [form for text in texts for form in (text["markdown"], text["html"])]


def found_in(folder: Path, secrets: list[str]) -> set[str]:
    searched = [
        form.replace(b"\\n", b" ").replace(b'\\"', b'"')
        for path in folder.rglob("*")
        if path.is_file()
        for form in decoded(path.read_bytes())
    ]
    wanted = {s: json.dumps(s, ensure_ascii=ascii)[1:-1] for s in secrets for ascii in (0, 1)}
    return {s for s in wanted if any(s.encode() in t or wanted[s].encode() in t for t in searched)}


def test_a_graded_quiz_is_released_without_key_or_feedback(unit, tmp_path):
    """Searched in every released byte, decoded too; the source has it all, so the search works."""
    graded = copy_of(unit, tmp_path, lambda t: t.replace("mode: practice", "mode: graded"), ".yaml")
    classroom = Classroom(tmp_path / "class")
    release = classroom.prepare(graded)
    secrets = secrets_of(graded.quiz)
    assert len(secrets) > 40
    assert found_in(release, secrets) == set()
    assert len(found_in(classroom.root / "source", secrets)) == len(set(secrets))
    public = json.loads((release / "quiz.json").read_text())
    for question in public["questions"]:
        assert question.keys() <= {"id", "kind", "points", "text", "options"}
        assert all(option.keys() == {"id", "text"} for option in question.get("options", ()))
    assert b"score_quiz" not in b"".join(p.read_bytes() for p in release.rglob("*.*"))
    assert not (release / "answers.json").exists()


# ── Saved ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, as a student's, with the quiz released as practice."""
    here = tmp_path / "notebook"
    here.mkdir()
    release_to(here, load(tmp_path, GOOD))
    monkeypatch.chdir(here)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    return here


def release_to(folder: Path, quiz: Quiz) -> None:
    (folder / "quiz.json").write_text(json.dumps(quiz.released()))


def saved(folder: Path) -> dict:
    return json.loads((folder / "answers.json").read_text())["answers"]


def click(widget, choice, request: str = "1") -> dict:
    """What the page does; return what it is told."""
    widget._clicked(widget, {"choice": choice, "request": request}, [])
    return widget.shown


def test_a_click_is_saved_marked_and_acknowledged(folder):
    widget = hb.quiz("widths")
    assert widget.shown["choice"] is None and widget.shown["open"] == 3
    shown = click(widget, "a", "r7")
    assert shown["request"] == "r7" and shown["verdict"] == "wrong" and shown["problem"] == ""
    assert "wide awake" in shown["reasons"][0][2] and shown["open"] == 2
    assert saved(folder) == {"widths": "a"}
    assert click(widget, "b", "r8")["verdict"] == "right"
    assert saved(folder) == {"widths": "b"}


def test_feedback_reaches_the_page_with_the_choice_and_not_before(folder):
    widget = hb.quiz("finite")
    state = json.dumps({k: widget.get_state()[k] for k in ("question", "shown")})
    assert "feedback" not in state and '"right"' not in state
    assert not any(f"{word}." in state for word in ("finite", "number", "definition"))
    click(widget, ["b"])
    told = json.dumps(widget.get_state()["shown"])
    assert "not even a number" in told and "definition" not in told


def test_reopening_restores_the_choice(folder):
    click(hb.quiz("finite"), ["c", "a"])
    again = hb.quiz("finite")
    assert again.shown["choice"] == ["a", "c"] and again.shown["verdict"] == "right"
    assert "● a  zero" in str(again) and "✓ right" in str(again)
    click(again, [])
    assert hb.quiz("finite").shown["choice"] is None and saved(folder) == {}


def test_from_code_is_the_same_and_open_questions_are_counted_everywhere(folder):
    other = hb.quiz("widths")
    said = repr(hb.quiz.answer("max", 70_000))
    assert "Beyond the last exponent." in said and said.endswith("saved")
    assert saved(folder) == {"max": "70000"} and other.shown["open"] == 2
    hb.quiz.answer("finite", "a")
    assert saved(folder)["finite"] == ["a"] and other.shown["open"] == 1


@pytest.mark.parametrize(
    ("typed", "right", "said"),
    [
        ("65504", True, "last bit"),
        ("65504.5", True, "last bit"),
        ("65504.6", False, "Nowhere"),
        ("2^16", False, "Beyond"),
        ("1e300", False, "Beyond"),
        ("inf", False, "Nowhere"),
        ("nan", False, "Nowhere"),
        ("-65504", False, "wrong end"),
        ("−inf", False, "wrong end"),
        ("-0", False, "Nowhere"),
    ],
)
def test_numbers_are_marked_exactly(tmp_path, typed, right, said):
    question = find_question(load(tmp_path, GOOD).with_key(), "max")
    found = mark(question, typed)
    assert found.right is right and said in found.reasons[0].text["markdown"]


def test_some_of_several_is_not_right_yet(tmp_path):
    question = find_question(load(tmp_path, GOOD).with_key(), "finite")
    assert mark(question, ["c", "a"]).right
    some = mark(question, ["a"])
    assert not some.right and "something is missing" in some.reasons[-1].text["markdown"]
    assert [reason.right for reason in mark(question, ["a", "b"]).reasons] == [True, False]


def test_a_graded_quiz_records_and_says_nothing(folder, tmp_path):
    release_to(folder, load(tmp_path, GOOD | {"mode": "graded"}))
    shown = click(hb.quiz("widths"), "b")
    assert shown["choice"] == "b" and shown["verdict"] == "" and shown["reasons"] == []
    assert "right" not in repr(hb.quiz.answer("widths", "a"))
    assert saved(folder) == {"widths": "a"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: hb.quiz("width"), "no question 'width' here; there are widths, finite, max"),
        (lambda: hb.quiz.answer("widths", "c"), "'c' is no option; there are a, b"),
        (lambda: hb.quiz.answer("widths", ["a"]), "is no option"),
        (lambda: hb.quiz.answer("max", "much"), "'much' is not a number"),
    ],
)
def test_a_users_mistake_is_one_line_and_changes_nothing(folder, call, said):
    with pytest.raises(QuizProblem, match=said) as problem:
        call()
    assert len(problem.value._render_traceback_()) == 1
    assert not (folder / "answers.json").exists()


@pytest.mark.parametrize("choice", ["z", ["a"], 3, None, {"a": 1}])
def test_a_click_that_makes_no_sense_is_not_saved(folder, choice):
    click(hb.quiz("widths"), "a")
    shown = click(hb.quiz("widths"), choice or "zz")
    assert "is no option" in shown["problem"] and saved(folder) == {"widths": "a"}


@pytest.mark.parametrize("content", [None, "{", "[]", '{"questions": [1]}'])
def test_a_missing_or_broken_quiz_file_is_one_line(folder, content):
    (folder / "quiz.json").unlink()
    if content is not None:
        (folder / "quiz.json").write_text(content)
    with pytest.raises(QuizProblem, match="put the notebook back into its unit's folder"):
        hb.quiz("widths")


DAMAGED = {
    "half a file": (b'{"unit": "07_tests", "answ', "is not JSON"),
    "empty": (b"", "is not JSON"),
    "not text": (b"\xff\xfe\x00", "is not UTF-8"),
    "deep": (b"[" * 100_000, "is not JSON"),
    "long number": (b"9" * 10_000, "is not JSON"),
    "huge": (b" " * 1_000_001, "too large"),
    "another tool's": (b'{"quiz": 1}', "was not written by a quiz"),
    "another unit's": (b'{"unit": "02_rounding", "answers": {}}', "another unit, '02_rounding'"),
    "a list": (b'{"unit": "07_tests", "answers": []}', "was not written by a quiz"),
}


@pytest.mark.parametrize(("content", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_kept_aside_and_answering_goes_on(folder, content, said):
    (folder / "answers.json").write_bytes(content)
    (folder / "answers.json.damaged-1").write_text("from before")
    widget = hb.quiz("widths")
    assert said in widget.shown["problem"] and "answer again" in widget.shown["problem"]
    shown = click(widget, "b")
    assert shown["problem"] == "" and "it is kept as answers.json.damaged-2" in shown["note"]
    assert "\n" not in shown["note"]
    assert (folder / "answers.json.damaged-2").read_bytes() == content
    assert (folder / "answers.json.damaged-1").read_text() == "from before"
    assert saved(folder) == {"widths": "b"}


def test_what_cannot_be_written_is_not_called_saved(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    shown = click(hb.quiz("widths"), "a")
    assert "cannot be written (No space left on device)" in shown["problem"]
    assert shown["choice"] is None
    with pytest.raises(QuizProblem, match=r"not saved: answers.json cannot be written"):
        hb.quiz.answer("widths", "a")
    assert {p.name for p in folder.iterdir()} <= {"quiz.json", ".answers.lock"}


def test_a_directory_in_the_way_is_said(folder):
    (folder / "answers.json").mkdir()
    assert "cannot be read" in hb.quiz("widths").shown["problem"]
    click(hb.quiz("widths"), "a")  # the directory is kept aside like a file
    assert saved(folder) == {"widths": "a"}


def test_two_processes_lose_nothing(folder):
    code = (
        "import sys; from pathlib import Path; from halfbits.quizzes.answers import save_answer\n"
        "for i in range(60): save_answer(Path(), 'u', f'{sys.argv[1]}{i}', 'a')"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "xy"]
    for number in range(60):
        save_answer(folder, "u", f"z{number}", "a")
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    assert len(read_answers(folder, "u")) == 180
    assert {p.name for p in folder.iterdir()} <= {"quiz.json", "answers.json", ".answers.lock"}


def test_a_lock_that_is_never_released_is_said(folder, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr("halfbits.quizzes.answers._LOCK_SECONDS", 0.1)
    with FileLock(folder / ".answers.lock"), pytest.raises(NotSaved, match="another program"):
        save_answer(folder, UNIT, "widths", "a")


def test_while_grading_nothing_is_written_and_the_question_stays_readable(folder, monkeypatch):
    click(hb.quiz("widths"), "a")
    before = (folder / "answers.json").read_bytes()
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert "not saved" in repr(hb.quiz.answer("widths", "b"))
    shown = hb.quiz("widths")
    assert "● a" in repr(shown) and "wide awake" not in shown.html
    assert (folder / "answers.json").read_bytes() == before
    (folder / "answers.json").write_text("{")
    hb.quiz("widths")
    hb.quiz.answer("widths", "b")
    assert (folder / "answers.json").read_text() == "{"


# ── Checked and graded ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def displayed(monkeypatch) -> list:
    shown = []
    monkeypatch.setattr(quiz_check, "display", shown.append)
    return shown


def test_check_of_a_practice_quiz_says_what_is_unanswered_and_what_is_wrong(folder, displayed):
    def says() -> str:
        assert hb.check_quiz() is None
        return repr(displayed[-1])

    assert says() == "○ quiz: 0 of 3 answered; unanswered: widths, finite, max"
    hb.quiz.answer("widths", "a")
    assert says() == (
        "○ quiz: 1 of 3 answered, 0 right; unanswered: finite, max; look again at: widths"
    )
    hb.quiz.answer("finite", ["a", "c"])
    hb.quiz.answer("max", 1)
    assert says() == "○ quiz: 3 of 3 answered, 1 right; look again at: widths, max"
    hb.quiz.answer("widths", "b")
    hb.quiz.answer("max", 65504)
    assert says() == "✓ quiz: 3 of 3 answered, all right"


@pytest.mark.parametrize("mode", ["practice", "graded"])
def test_validate_asks_for_answers_and_not_for_right_ones(
    folder, tmp_path, displayed, monkeypatch, mode
):
    release_to(folder, load(tmp_path, GOOD | {"mode": mode}))
    hb.quiz.answer("widths", "a")
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    with pytest.raises(CheckFailed, match=r"^quiz: 2 of 3 questions are unanswered: finite, max$"):
        hb.check_quiz()
    monkeypatch.delenv("NBGRADER_EXECUTION")
    hb.quiz.answer("finite", ["b"])
    hb.quiz.answer("max", 1)
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    assert hb.check_quiz() is None
    assert (
        repr(displayed[-1])
        == {
            "practice": "○ quiz: 3 of 3 answered, 0 right; look again at: widths, finite, max",
            "graded": "✓ quiz: all 3 questions are answered",
        }[mode]
    )


def test_check_of_a_graded_quiz_says_what_is_unanswered_and_no_more(folder, tmp_path, displayed):
    release_to(folder, load(tmp_path, GOOD | {"mode": "graded"}))
    hb.quiz.answer("widths", "a")
    hb.check_quiz()
    assert repr(displayed[-1]) == "○ quiz: 2 of 3 questions are unanswered: finite, max"


def test_check_in_lab_never_raises_for_a_students_files(folder, displayed):
    (folder / "answers.json").write_text("{")
    hb.check_quiz()
    assert "is not JSON" in repr(displayed[-1]) and "answer the questions again" in repr(
        displayed[-1]
    )
    (folder / "quiz.json").unlink()
    hb.check_quiz()
    assert "quiz.json cannot be read here" in repr(displayed[-1])


def score(folder: Path, answers: object, displayed: list) -> tuple[int, str]:
    text = answers if isinstance(answers, str) else json.dumps({"unit": UNIT, "answers": answers})
    (folder / "answers.json").write_text(text)
    quiz = load_quiz(folder.parent / UNIT)
    points = quiz_check.score_quiz(pack(quiz.with_key()))
    assert type(points) is int and 0 <= points <= quiz.points
    return points, repr(displayed[-1])


@pytest.mark.parametrize(
    ("answers", "points"),
    [
        ({"widths": "b", "finite": ["a", "c"], "max": "65504"}, 6),
        ({"widths": "b"}, 2),
        ({"max": "65504"}, 3),
        ({"finite": ["a", "b", "c"]}, 0),
        ({"finite": ["a", "a", "c"]}, 1),
        ({"widths": "z", "finite": "ac", "max": 65504}, 0),
        ({"widths": ["b"], "finite": [["a"], None], "max": ["65504"]}, 0),
        ({"widths": {"b": 1}, "max": "65504", "other": "b"}, 3),
        ({"max": "9" * 100_000}, 0),
        ({"max": "1e9999"}, 0),
        ({"max": "__import__('os').getcwd()"}, 0),
        ({}, 0),
    ],
)
def test_each_right_question_earns_its_points(folder, displayed, answers, points):
    assert score(folder, answers, displayed)[0] == points


def test_the_report_has_question_choice_and_feedback(folder, displayed):
    points, text = score(folder, {"widths": "a", "max": "1"}, displayed)
    assert points == 0 and text.startswith("quiz: 0 of 6 points")
    assert "● a  $2^3$" in text and "wide awake" in text and "Nowhere close" in text
    assert "finite · 0 of 1 point" in text and "not answered" in text
    page = displayed[-1].html
    assert "wide awake" in page and "<msup>" in page and "Five of sixteen" not in page


def test_the_report_says_what_cannot_be_used_and_escapes_it(folder, displayed):
    _, text = score(folder, {"widths": "<script>"}, displayed)
    assert "the saved answer cannot be used: '<script>' is no option; there are a, b" in text
    assert "<script>" not in displayed[-1].html


@pytest.mark.parametrize(("content", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_scores_nothing_and_says_so(folder, displayed, content, said):
    (folder / "answers.json").write_bytes(content)
    with pytest.raises(Damaged):
        read_answers(folder, UNIT)
    payload = pack(load_quiz(folder.parent / UNIT).with_key())
    assert quiz_check.score_quiz(payload) == 0
    assert said in repr(displayed[-1]) and "no answer could be read" in repr(displayed[-1])


@pytest.mark.parametrize(
    ("kind", "points"), [("right", 6), ("half", 3), ("missing", 0), ("damaged", 0)]
)
def test_nbgrader_takes_the_points_as_partial_credit(unit, tmp_path, monkeypatch, kind, points):
    """The built cell in a kernel, as nbgrader runs and reads it."""
    for name, content in files(unit).items():
        (tmp_path / name).write_bytes(content)
    half = [question["id"] for question in unit.quiz.questions[:3]]
    right = quiz_answers(unit.quiz)
    texts = {"right": right, "half": quiz_answers(unit.quiz, wrong=half), "damaged": right[:40]}
    if kind in texts:
        (tmp_path / "answers.json").write_text(texts[kind])
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    cell = nbformat.v4.new_code_cell(SCORE.format(payload=pack(unit.quiz.with_key())))
    cell.metadata["nbgrader"] = {"grade": True, "solution": False, "points": 6}
    first = nbformat.v4.new_code_cell("import halfbits as hb\nhb.quiz('limits')")
    notebook = nbformat.v4.new_notebook(cells=[first, cell])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert determine_grade(cell) == (points, 6)
    types = [output.output_type for output in cell.outputs]
    assert types == ["display_data", "execute_result"]


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("counting", "128", ""),
        ("counting", "2^7", ""),
        ("counting", "64", "The leading 1"),
        ("counting", "127", "Almost"),
        ("counting", "256", "bf16 stops"),
        ("counting", "2048", "fp16 stops"),
        ("counting", "inf", "Counting ends"),
        ("counting", "7", "Not that one"),
        ("counting", "nan", "Not that one"),
        ("spacing", "4100", ""),
        ("spacing", "4096 + 2^-10", "the gap just above 1"),
        ("spacing", "4097", "A step of 1"),
        ("spacing", "4098", "*below* 4096"),
        ("spacing", "4104", "from 8192 on"),
        ("spacing", "8192", "not the next one"),
        ("spacing", "4092", "larger than 4096"),
    ],
)
def test_numbers_of_unit_1_meet_their_feedback(unit, name, typed, said):
    found = mark(find_question(unit.quiz.with_key(), name), typed)
    assert found.right is not bool(said)
    assert said in found.reasons[0].text["markdown"]


def test_answers_of_unit_1_are_what_the_formats_say(unit):
    def answer(name: str) -> float:
        return float(find_question(unit.quiz.with_key(), name)["answers"][0])

    fp16, small = get_format("fp16"), Format("small", 5, 6)
    assert answer("spacing") == 4096 + fp16.ulp(4096)
    count = 0
    while small.decode(small.encode(count + 1)) == count + 1:
        count += 1
    assert answer("counting") == count


def test_other_modes_mark_alike(tmp_path):
    """A graded quiz differs in what is released, not in its points."""
    quiz = load(tmp_path, GOOD)
    assert replace(quiz, mode="graded").with_key()["questions"] == quiz.with_key()["questions"]
