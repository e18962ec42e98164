"""A student alone grades a notebook. Real kernels: half a minute each."""

import tempfile
from pathlib import Path

import pytest

from grader import demo, selfgrade
from grader.__main__ import main
from grader.classroom import Classroom
from grader.problem import Problem


@pytest.fixture(scope="module")
def students(unit, release, tmp_path_factory) -> dict[str, tuple[Path, float]]:
    """A folder with the notebook of one who solved it and of one who did not; and their scores."""
    classroom = Classroom(tmp_path_factory.mktemp("own work"))
    found = {}
    for student in demo.sample_class(unit):
        if student.name in ("perfect", "nothing-solved"):
            demo.submit(classroom, unit, student, release)
            found[student.name] = classroom.submitted / student.name, student.score
    return found


@pytest.fixture(autouse=True)
def throw_away(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def content(folder: Path) -> dict[Path, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("name", ["perfect", "nothing-solved"])
def test_own_notebook_gets_its_score_and_a_page_and_stays_as_it_is(students, unit, name, capfd):
    folder, score = students[name]
    before = content(folder)
    assert main(["self", "01", "--folder", str(folder)]) == 0
    assert content(folder) == before
    table, _, page = capfd.readouterr().out.strip().partition("feedback: ")
    row = table.strip().splitlines()[-1].split()
    assert row[:2] == ["you", unit.name] and float(row[2]) == score
    assert "Read a number from its bits" in Path(page).read_text(encoding="utf-8")


def test_a_damaged_notebook_is_a_line_in_the_table(unit, tmp_path, capfd):
    notebook = tmp_path / unit.name / f"{unit.name}.ipynb"
    notebook.parent.mkdir()
    notebook.write_text("{")
    assert main(["self", "01", "--folder", str(tmp_path)]) == 1
    captured = capfd.readouterr()
    assert "ask for it again" in captured.out and "Traceback" not in captured.out + captured.err


def test_without_the_instructors_tests_it_says_so(unit, tmp_path, capsys):
    with pytest.raises(Problem, match=r"tests are not here \(no solutions/ folder\)"):
        selfgrade.own_work(["01"], tmp_path, tmp_path / "solutions")
    assert main(["self", "01", "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "there is no" in said and "--folder" in said and said.count("\n") == 1
