"""A class's zip becomes grades, feedback pages and an importable file in the README's commands.

HALFBITS_CLASS=200 takes a class of that size.
"""

import csv
import os
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from grader import demo
from grader.__main__ import main
from grader.classroom import Classroom
from grader.units import find_units
from halfbits.quizzes.answers import ANSWERS_FILE

COUNT = int(os.environ.get("HALFBITS_CLASS", "12"))
KINDS = ("perfect", "nothing", "hostile", "script", "broken", "slow")
ENDED = {
    "perfect": "",
    "nothing": "",
    "script": "",
    "hostile": "ended by itself",
    "slow": "it ran longer than 4 s",
}
KILLS = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos._exit(0)"
SCRIPT = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def download(tmp_path_factory) -> Path:
    """STUDENT/UNIT.ipynb for everyone, in one zip."""
    (unit,) = find_units(["00"])
    room = Classroom(tmp_path_factory.mktemp("teacher"))
    perfect = demo.perfect_student(unit)
    demo.submit(room, unit, perfect, release := room.prepare(unit))
    folder = room.path("submitted", perfect.name, unit)
    solved, empty = ((d / f"{unit.name}.ipynb").read_text() for d in (folder, release))
    texts = {
        "perfect": solved,
        "nothing": empty,
        "hostile": with_cell(solved, v4.new_code_cell(KILLS)),
        "script": with_cell(solved, v4.new_markdown_cell(SCRIPT)),
        "broken": solved[: len(solved) // 2],
        "slow": with_cell(solved, v4.new_code_cell("import time\nwhile True: time.sleep(1)")),
    }
    path = room.root / "download.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(COUNT):
            kind = KINDS[number % len(KINDS)]
            made.writestr(f"{kind}-{number:03}/{unit.name}.ipynb", texts[kind])
            if (folder / ANSWERS_FILE).exists() and kind != "nothing":
                made.write(folder / ANSWERS_FILE, f"{kind}-{number:03}/{ANSWERS_FILE}")
    return path


def with_cell(text: str, cell: nbformat.NotebookNode) -> str:
    """The notebook with one more cell, the last one."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.cells.append(cell)
    return nbformat.writes(notebook)


def test_from_a_zip_to_grades_pages_and_a_file_to_import(download, tmp_path, capsys):
    room = ["--classroom", str(tmp_path / "class")]
    assert main(["collect", str(download), *room]) == 1, "some were refused"
    collected = capsys.readouterr().out
    assert main(["grade", "00", *room, "--seconds", "4"]) == 0
    assert main(["feedback", *room]) == 0
    grades = tmp_path / "grades.csv"
    assert main(["export", "--csv", str(grades), *room]) == 0
    with grades.open(encoding="utf-8-sig", newline="") as file:
        scores = {row[0]: row[2] for row in csv.reader(file)}
    pages = tmp_path / "class" / "feedback"
    for number in range(COUNT):
        kind = KINDS[number % len(KINDS)]
        name = f"{kind}-{number:03}"
        assert name in collected
        page = pages / name / "00_start_here" / "00_start_here.html"
        if kind == "broken":
            assert name not in scores and not page.exists()
            continue
        assert scores[name] == ("0" if kind == "nothing" else "3"), name
        text = page.read_text(encoding="utf-8")
        assert "alert(1)>" not in text and "<script>alert" not in text
        assert ENDED[kind] in text
