"""The zip for students: it has what make lab needs, and nothing that tells an answer."""

import io
import json
import re
import tomllib
import zipfile

import nbformat
import pytest

from grader.__main__ import main
from grader.build import lesson_solutions
from grader.exchange import handout
from grader.units import ROOT, find_units
from halfbits.checking import CheckFailed, payload

CHOSEN = find_units(["00", "01"])  # tests/test_release.py builds every unit


@pytest.fixture(scope="module")
def packed() -> bytes:
    return handout.pack(CHOSEN)


@pytest.fixture(scope="module")
def contents(packed) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == sorted(names) and len(set(names)) == len(names)
        assert all(name.startswith(f"{handout.FOLDER}/") for name in names)
        prefix = len(handout.FOLDER) + 1
        return {name[prefix:]: archive.read(name) for name in names}


def test_the_same_bytes_again(packed, tmp_path, capsys, monkeypatch):
    target = tmp_path / "students.zip"
    monkeypatch.setattr(handout, "units", lambda: CHOSEN)
    assert main(["student-bundle", str(target)]) == 0
    assert target.read_bytes() == packed
    assert str(target) in capsys.readouterr().out
    monkeypatch.setattr(handout, "units", lambda: CHOSEN[:1])
    assert main(["student-bundle", str(tmp_path / "no" / "x.zip")]) == 1


def test_what_is_in_it_and_what_is_not(contents):
    tops = {name.split("/")[0] for name in contents}
    assert tops == {"course", "halfbits", "jupyter", "docs", "benchmarks"} | {
        *("Makefile", "pyproject.toml", "requirements.lock", "environment.yml"),
        *("README.md", "LICENSE"),
    }
    for unit in CHOSEN:
        assert f"course/{unit.name}/{unit.name}.ipynb" in contents
    for name in contents:
        assert not re.search(r"__pycache__|answers\.json|\.pyc$|/\.", name), name


def test_make_lab_finds_what_it_needs(contents):
    makefile = contents["Makefile"].decode()
    for name in re.search(r"^\$\(STAMP\): (.+)$", makefile, re.M)[1].split():
        assert name in contents
    [page] = re.findall(r"default_url=/lab/tree/(\S+)", makefile)
    assert f"course/{page}" in contents
    assert any(name.startswith("jupyter/labconfig/") for name in contents)
    project = tomllib.loads(contents["pyproject.toml"].decode())
    assert project["project"]["readme"] in contents
    assert all(name in contents for name in project["project"]["license-files"])
    for package, patterns in project["tool"]["setuptools"]["package-data"].items():
        folder = ROOT / package.replace(".", "/")
        wanted = [path for pattern in patterns for path in folder.glob(pattern)]
        assert wanted
        if package.startswith("halfbits"):
            assert {path.relative_to(ROOT).as_posix() for path in wanted} <= contents.keys()
    readme = contents["README.md"].decode()
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme):
        assert picture in contents


def test_every_module_of_the_library_imports_from_the_zip(contents):
    own = {name.removesuffix(".py").replace("/", ".") for name in contents}
    for name, content in contents.items():
        if name.endswith(".py"):
            text = content.decode()
            assert "import grader" not in text and "from grader" not in text, name
            for module in re.findall(r"^\s*from (halfbits[\w.]*) import", text, re.M):
                assert module in own or f"{module}.__init__" in own, (name, module)


def test_nothing_in_it_tells_an_answer(contents):
    everything = b"\n".join(contents.values())
    for mark in (b"BEGIN SOLUTION", b"BEGIN HIDDEN", b"check_hidden('", b"score_quiz('"):
        for name, content in contents.items():
            assert mark not in content or not name.startswith("course/"), (name, mark)
    for unit in CHOSEN:
        notebook = nbformat.reads(
            contents[f"course/{unit.name}/{unit.name}.ipynb"].decode(), as_version=4
        )
        code = "\n".join(cell.source for cell in notebook.cells)
        for grade_id, solution in lesson_solutions(unit).items():
            body = "\n".join(solution.splitlines()[-3:])
            assert body not in code, (unit.name, grade_id)
        for exercise in unit.exercises.values():
            assert payload.pack(exercise.hidden_spec).encode() not in everything
        if unit.quiz:
            assert payload.pack(unit.quiz.with_key()).encode() not in everything
            assert json.loads(contents[f"course/{unit.name}/quiz.json"]) == json.loads(
                json.dumps(unit.quiz.released())
            )


def test_no_packed_payload_holds_hidden_cases(contents):
    """Whatever looks packed is unpacked, and none of it is hidden or a key."""
    for name, content in contents.items():
        for token in re.findall(rb"[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]{100,}", content):
            try:
                data = payload.unpack(token.decode())
            except CheckFailed:
                continue
            assert not data.get("hidden") and "questions" not in data, name
