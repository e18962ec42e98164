"""The whole way, as make demo goes it, and what happens to bad input. Real kernels: minutes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbgrader.validator import Validator

from grader import demo, engine
from grader.__main__ import main
from grader.bundle import KEPT, Bundle, bundle
from grader.classroom import Classroom
from grader.problem import Problem
from grader.record import history
from grader.results import Result, submissions
from grader.running.sandbox import Sandbox

FULL = 17 + 6  # exercises and quiz; three more points are for a written answer
MAXIMUM = FULL + 3


@pytest.fixture(scope="module")
def sample_class(unit):
    return {student.name: student for student in demo.sample_class(unit)}


def results_of(classroom, unit, **options) -> dict[str, Result]:
    work = submissions(classroom, [unit])
    return {r.student: r for r in engine.grade(classroom, work, engine.Options(**options))}


def test_demo_gives_every_sample_student_the_right_grade(capfd, unit):
    """make demo compares each grade with what the checks say the answer deserves."""
    assert main(["demo", "01"]) == 0
    out = capfd.readouterr().out
    expected = {student.name: student.score for student in demo.sample_class(unit)}
    rows = [
        line.split() for line in out.splitlines() if "01_number_formats" in line and "/" not in line
    ]
    scores = {row[0]: float(row[2]) for row in rows}
    assert scores == expected
    assert len(scores) == 3 + 31 + 3  # and three with a quiz that went wrong
    assert scores.pop("perfect") == FULL
    assert scores["nothing-solved"] == 0
    assert max(scores.values()) < FULL
    assert "answers to mark by hand: make formgrader" in out
    page = Path(out.split("A feedback page: ")[1].splitlines()[0])
    read_as_a_student(page)
    shutil.rmtree(page.parents[3])


def read_as_a_student(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "no subnormals" not in text and "check_hidden" not in text and "BEGIN HIDDEN" not in text
    assert "kind of case" in text and "Hint" in text


def test_bad_submissions_cost_nobody_else(classroom, unit, release, sample_class, capsys):
    for name in ("perfect", "nothing-solved"):
        demo.submit(classroom, unit, sample_class[name], release)
    bad = {
        "not-json": b"this is not JSON",
        "not-utf8": b"\xff\xfe\x00x",
        "not-a-notebook": json.dumps({"hello": "world"}).encode(),
        "empty": b"",
    }
    for student, content in bad.items():
        folder = classroom.path("submitted", student, unit)
        folder.mkdir(parents=True)
        (folder / f"{unit.name}.ipynb").write_bytes(content)
    classroom.path("submitted", "no-notebook", unit).mkdir(parents=True)
    (classroom.submitted / "nothing-at-all").mkdir()

    results = results_of(classroom, unit)

    assert results["perfect"].score == FULL and results["perfect"].maximum == MAXIMUM
    assert results["nothing-solved"].score == 0
    assert "is not JSON" in results["not-json"].needs
    assert "is not UTF-8" in results["not-utf8"].needs or "is not JSON" in results["not-utf8"].needs
    assert "is no notebook" in results["not-a-notebook"].needs
    assert "is empty" in results["empty"].needs
    assert "no 01_number_formats.ipynb was submitted" in results["no-notebook"].needs
    assert results["nothing-at-all"].needs == results["no-notebook"].needs
    assert all(results[s].score == 0 for s in [*bad, "no-notebook"])  # recorded, with the reason
    assert main(["grade", "01", "--classroom", str(classroom.root)]) == 0
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err


def test_a_warning_on_stderr_costs_nothing_and_regrading_keeps_manual_marks(
    classroom, unit, release, sample_class
):
    typed = dict(sample_class["perfect"].answers)
    typed["ulp-answer"] = typed["ulp-answer"].replace(
        "    info = torch.finfo(dtype)",
        "    import sys, warnings\n    warnings.warn('careful')\n"
        "    print('noise', file=sys.stderr)\n    info = torch.finfo(dtype)",
        1,
    )
    chatty = replace(sample_class["perfect"], name="chatty", answers=typed)
    demo.submit(classroom, unit, chatty, release)
    assert results_of(classroom, unit)["chatty"].score == FULL

    with classroom.gradebook() as gradebook:
        grade = gradebook.find_grade("explain-bf16", unit.name, unit.name, "chatty")
        grade.manual_score = 2.5
        gradebook.db.commit()
    [regraded] = engine.grade(classroom, [("chatty", unit)], engine.Options(force=True))
    assert regraded.score == FULL + 2.5


def test_a_broken_resubmission_leaves_the_earlier_grade(classroom, unit, release, sample_class):
    path = classroom.path("submitted", "perfect", unit) / f"{unit.name}.ipynb"
    path.write_text("{")
    result = results_of(classroom, unit)["perfect"]
    assert result.score == FULL and "the earlier grade stands" in result.needs


def test_unchanged_submissions_are_not_run_again(classroom, unit, monkeypatch):
    before = results_of(classroom, unit)
    monkeypatch.setattr(Sandbox, "run", lambda *_: pytest.fail("it was run again"))
    assert results_of(classroom, unit).keys() == before.keys()


def test_only_what_a_student_changed_is_drawn(tmp_path, unit):
    classroom = Classroom(tmp_path)
    release = classroom.prepare(unit)
    perfect = demo.perfect_student(unit)
    demo.submit(classroom, unit, perfect, release)
    path = classroom.path("submitted", perfect.name, unit) / f"{unit.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    first = next(c for c in notebook.cells if c.source.startswith("hb.spacing("))
    own = 'hb.number_line("fp16")  # mine'
    notebook.cells.insert(notebook.cells.index(first), nbformat.v4.new_code_cell(own))
    nbformat.write(notebook, path)
    results_of(classroom, unit)
    graded = classroom.path("autograded", perfect.name, unit) / path.name
    shown = {cell.source: cell.get("outputs") for cell in nbformat.read(graded, as_version=4).cells}
    assert "<svg" in shown[own][0]["data"]["text/html"] and shown[first.source] == []


@pytest.mark.parametrize(
    ("source", "idle"),
    [
        ('hb.spacing("fp16", "bf16")', True),
        ('hb.number_line(hb.Format("tiny", 3, 2), zoom=(0, -4))', True),
        ("hb.gradient_explorer(scale=2.0**-16)", True),
        ('hb.draw_ulp(ulp, "fp16")', False),  # a student's function
        ('line = hb.spacing("fp16")', False),  # later cells may use it
        ('hb.spacing("fp16").save("a.svg")', False),
        ("hb.spacing(*names)", False),
        ("hb.spacing(**options)", False),
        ('hb.spacing("fp16"); x = 1', False),
        ('hb.spacing(x := "fp16")', False),
        ("print(1)", False),
        ("%matplotlib inline", False),
        ("", False),
    ],
)
def test_a_released_cell_is_left_out_only_if_it_does_nothing_but_show(source, idle):
    skeleton = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    assert (source in Bundle("01", skeleton, {}, {}, None, "").pictures) == idle


def test_what_was_built_is_kept_until_something_changes(tmp_path, unit, monkeypatch):
    classroom = Classroom(tmp_path)
    built = bundle(classroom, unit)
    monkeypatch.setattr(Classroom, "prepare", lambda *_: pytest.fail("it was built again"))
    again = bundle(classroom, unit)
    assert again == built
    path = tmp_path / KEPT / f"{unit.name}.json"
    for spoiled in ("{", json.dumps(json.loads(path.read_text()) | {"made of": "another"})):
        path.write_text(spoiled)
        with pytest.raises(pytest.fail.Exception, match="built again"):
            bundle(classroom, unit)


def test_every_run_and_every_submission_is_kept(classroom, unit):
    entries = history(classroom, unit, "perfect")
    assert [bool(entry.fault) for entry in entries] == [False, True]
    kept = sorted((classroom.root / "history/perfect" / unit.name).glob("*.ipynb"))
    assert [path.read_text()[:2] == "{\n" for path in kept] == [True, False]
    assert sum(score or 0 for score in entries[0].scores.values()) == FULL


def test_two_gradings_of_one_class_are_told_apart(classroom, unit):
    first = engine.grade(classroom, [("perfect", unit)], engine.Options(force=True))
    next(first)
    with pytest.raises(Problem, match="is being graded already"):
        next(engine.grade(classroom, [("perfect", unit)]))
    first.close()


def test_nothing_to_grade_is_one_line(tmp_path, unit, capsys):
    with pytest.raises(Problem, match="nothing to grade: put submissions into"):
        submissions(Classroom(tmp_path), [unit])
    assert main(["grade", "--classroom", str(tmp_path)]) == 1
    assert main(["feedback", "--classroom", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 2


def test_validate_on_the_release_and_on_the_solved_notebook(classroom, unit, release, sample_class):
    unsolved = Validator().validate(str(release / f"{unit.name}.ipynb"))
    said = [failure["raw_error"] for failure in unsolved["failed"]]
    assert said.pop() == "You did not provide a response."  # to the question in own words
    assert len(said) == len(unit.exercises) + 1
    assert all("CheckFailed" in line for line in said)
    for name in unit.exercises:
        assert any(f"{name}: not attempted yet" in line for line in said)
    assert any("quiz: 6 of 6 questions are unanswered" in line for line in said)

    solved = replace(sample_class["perfect"], name="solved")
    demo.submit(classroom, unit, solved, release)
    folder = classroom.path("submitted", "solved", unit)
    for name in ("checks.json", "quiz.json"):
        shutil.copy(release / name, folder)
    assert Validator().validate(str(folder / f"{unit.name}.ipynb")) == {}


def test_run_all_reaches_the_end_of_the_released_notebook(release, unit, tmp_path):
    shutil.copytree(release, tmp_path, dirs_exist_ok=True)
    notebook = nbformat.read(tmp_path / f"{unit.name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = json.dumps(notebook)
    assert text.count("not attempted yet") >= len(unit.exercises)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", output
