"""course/ is what solutions/ gives: nothing more, nothing of the machine, the same every time."""

import inspect
import json
import re
from pathlib import Path

import jupytext
import nbformat
import pytest
import torch

from grader import release
from grader.__main__ import main
from grader.build import files, lesson_solutions, source_notebook
from grader.problem import Problem
from grader.units import COURSE, ROOT, Unit, find_units, units
from halfbits.checking.codec import encode
from halfbits.checking.compare import EXACT, close

NOTEBOOKS = sorted(COURSE.glob("*/*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def released(request) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


def test_every_unit_is_released():
    assert [path.stem for path in NOTEBOOKS] == [unit.name for unit in units()]


def test_a_changed_missing_or_extra_file_is_a_difference(tmp_path):
    """`make check` compares all of course/ with a fresh build; here it is one unit."""
    (unit,) = find_units(["00"])
    release.build_course(tmp_path, [unit])
    notebook, checks = (Path(unit.name, name) for name in (f"{unit.name}.ipynb", "checks.json"))
    assert (tmp_path / notebook).read_bytes() == (COURSE / notebook).read_bytes()
    (tmp_path / "a student's other folder").mkdir()
    (tmp_path / unit.name / ".answers.json").write_text("a student's")
    assert release.differences(tmp_path, [unit]) == []
    (tmp_path / checks).unlink()
    (tmp_path / notebook).write_text("{}")
    (tmp_path / unit.name / "extra.txt").touch()
    extra = f"{unit.name}/extra.txt"
    assert release.differences(tmp_path, [unit]) == [str(notebook), str(checks), extra]


def test_one_unit_is_built_and_the_others_stay(tmp_path, monkeypatch, capsys):
    other = tmp_path / "01_number_formats" / "work.txt"
    other.parent.mkdir()
    other.write_text("mine")
    monkeypatch.setattr("grader.commands.authoring.COURSE", tmp_path)
    assert main(["release", "00"]) == 0
    assert "00_start_here" in capsys.readouterr().out and other.read_text() == "mine"
    assert (tmp_path / "00_start_here" / "00_start_here.ipynb").exists()


@pytest.mark.parametrize(
    ("rule", "moved", "same"),
    [
        (close(atol=0.01, why="a training"), 0.009, True),
        (close(atol=0.01, why="a training"), 0.02, False),
        (close(atol=1e-9, why="a training, whose exact numbers are large"), 4e-4, True),
        (EXACT, 1e-9, False),
    ],
)
def test_numbers_of_a_training_may_be_another_processors(rule, moved, same):
    def checks(value: float) -> dict:
        numbers = encode({"loss": value, "losses": [value] * 20, "weights": torch.tensor([value])})
        return {"train": {"compare": rule, "cases": [{"call": "6 steps", "expected": numbers}]}}

    assert release.same_checks(checks(0.5), checks(0.5 + moved)) is same
    renamed = checks(0.5)
    renamed["train"]["cases"][0]["call"] = "7 steps"
    assert not release.same_checks(checks(0.5), renamed)


def test_no_solution_no_hidden_test_no_output(released):
    for cell in released.cells:
        assert "SOLUTION" not in cell.source and "HIDDEN" not in cell.source
        assert "check_hidden" not in cell.source
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


def test_the_text_of_no_solution_is_released():
    for unit in units():
        text = (COURSE / unit.name / f"{unit.name}.ipynb").read_text()
        stub = "raise NotImplementedError()"
        public = openly_said(unit)
        for name, solution in lesson_solutions(unit).items():
            given = next(c.source for c in nbformat.reads(text, 4).cells if c.id == name)
            lines = [x for x in solution.splitlines() if len(x) > 30 and x not in given]
            secret = [x for x in lines if x.strip() not in public]
            assert secret, f"{name} has no solution to hide"
            assert stub in given or "YOUR ANSWER HERE" in given
            for line in secret:
                assert json.dumps(line)[1:-1] not in text


def openly_said(unit: Unit) -> str:
    """What the lesson says outside its answers: a recipe that it teaches is no secret."""
    cells = jupytext.read(unit.notebook).cells
    return "\n".join(c.source for c in cells if not c.metadata.get("nbgrader", {}).get("solution"))


def test_ids_are_stable_and_say_what_a_cell_is(released):
    ids = [cell.id for cell in released.cells]
    assert len(set(ids)) == len(ids)
    for cell in released.cells:
        if "nbgrader" in cell.metadata:
            assert cell.id == cell.metadata.nbgrader.grade_id


def test_nothing_of_the_machine():
    for path in COURSE.rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        assert str(ROOT) not in text and str(Path.home()) not in text
        assert not re.search(r"\b(version|language_info)\b\"\s*:", text)


def test_visible_cases_hold_no_code_of_wrong_answers(unit):
    text = files(unit)["checks.json"].decode()
    for exercise in unit.exercises.values():
        for answer in [*exercise.wrong_answers, *exercise.right_answers]:
            _, _, body = inspect.getsource(answer.function).partition("def ")
            lines = [line.strip() for line in body.splitlines() if len(line) > 20]
            assert lines and not any(line in text for line in lines)
        assert exercise.name in text


def test_hidden_cases_stand_in_the_hidden_region_only(unit):
    hidden = [c for c in source_notebook(unit).cells if c.id.endswith("-hidden")]
    assert len(hidden) == len(unit.exercises)
    for cell in hidden:
        before, _, after = cell.source.partition("### BEGIN HIDDEN TESTS")
        assert "check_hidden(" in after and "check_hidden(" not in before


def copy_of(unit: Unit, folder: Path, change) -> Unit:
    target = folder / unit.name
    target.mkdir()
    for name in (f"{unit.name}.py", "exercises.py", "quiz.yaml"):
        text = (unit.folder / name).read_text(encoding="utf-8")
        (target / name).write_text(change(text), encoding="utf-8")
    return Unit(target)


def test_points_that_disagree_are_refused(unit, tmp_path):
    changed = copy_of(
        unit, tmp_path, lambda t: t.replace('"limits", points=(1, 2)', '"limits", points=(1, 5)')
    )
    with pytest.raises(Problem, match=r"'limits-hidden' has 2 points, exercises.py says 5"):
        source_notebook(changed)


def test_an_exercise_without_a_cell_is_refused(unit, tmp_path):
    changed = copy_of(
        unit, tmp_path, lambda t: t.replace('"grade_id": "ulp-hidden"', '"grade_id": "ulp-other"')
    )
    with pytest.raises(Problem, match="no cell has the grade_id 'ulp-hidden'"):
        source_notebook(changed)


def test_units_are_found_by_their_beginning():
    assert find_units(["01"])[0].name == "01_number_formats"
    with pytest.raises(Problem, match=r"there is no unit '77'; there are: .*01_number_formats"):
        find_units(["77"])
