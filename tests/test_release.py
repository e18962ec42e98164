"""course/ is what solutions/ gives: nothing more, nothing of the machine, the same every time."""

import inspect
import json
import re
from pathlib import Path

import jupytext
import nbformat
import pytest

from grader import release
from grader.build import files, lesson_solutions, source_notebook
from grader.problem import Problem
from grader.units import COURSE, ROOT, Unit, find_units, units

NOTEBOOKS = sorted(COURSE.glob("*/*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def released(request) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


def test_every_unit_is_released():
    assert [path.stem for path in NOTEBOOKS] == [unit.name for unit in units()]


def test_a_build_gives_the_same_bytes_as_the_committed_course(tmp_path):
    """`make check` builds it once more, in another process."""
    release.build_course(tmp_path / "built")
    built = {
        p.relative_to(tmp_path / "built"): p.read_bytes() for p in (tmp_path / "built").rglob("*.*")
    }
    assert built == {
        p.relative_to(COURSE): p.read_bytes()
        for p in COURSE.rglob("*.*")
        if ".ipynb_checkpoints" not in p.parts
    }


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
