"""One submission after another in the same sandbox."""

import pytest

from grader import demo
from grader.bundle import bundle
from grader.classroom import Classroom
from grader.intake import take_in
from grader.running.ran import Ran
from grader.running.runners import run_to_its_end
from grader.running.sandbox import Sandbox
from grader.running.ways import best_way
from grader.scores import make_job
from grader.units import find_units

LOOK = """
word = "".join(["ANOTHER", "-", "SECRET"])
found = 0
for line in open("/proc/self/maps"):
    place, rights = line.split()[:2]
    if rights.startswith("rw") and "[v" not in line:
        first, last = (int(x, 16) for x in place.split("-"))
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(first)
            try:
                found += memory.read(last - first).count(word.encode() + b"-42")
            except OSError:
                pass
print("found", found)
"""


@pytest.fixture
def box():
    box = Sandbox(way=best_way())
    yield box
    box.close()


def job(*sources: str) -> dict:
    cells = [{"role": "run", "source": source, "draws": True} for source in sources]
    return {"files": {}, "cells": cells, "hidden": {}, "seed": 1}


def shown(ran) -> str:
    return "".join(one.get("text", "") for f in ran.frames for one in f.get("outputs", ()))


def test_nobody_finds_the_submission_before_in_memory(box):
    secret = "x = 'ANOTHER-SECRET-42'\n" * 3000
    own = box.run(job(secret, LOOK))
    assert int(shown(own).split()[1]) > 0  # the search finds what is there
    assert shown(box.run(job(LOOK))) == "found 0\n"


def test_hidden_cases_come_after_all_cells_and_meet_the_function_of_their_check(box):
    task = job("step = 1\ndef f(x): return x + step", "check", "step = 2\ndel f", "print(f)")
    task["cells"][1] = {"role": "check", "exercise": "f", "driven": False, "hidden": True}
    task["hidden"] = {"1": [{"args": {"tuple": [40]}, "sweep": False}]}
    ran = box.run(task)
    assert [frame.get("cell") for frame in ran.of_cells] == [0, 1, 2, 3]
    assert [frame.get("observations") for frame in ran.of_hidden] == [[[41, None]], None]
    assert ran.of_cells[1] == {"cell": 1} and not ran.fault


def test_what_ends_a_submission_costs_no_hidden_case_before_it(box):
    task = job("def f(x): return x + 1", "check", "import os; os._exit(3)", "check")
    for number in (1, 3):
        check = {"role": "check", "exercise": "f", "driven": False, "hidden": True}
        task["cells"][number] = check
        task["hidden"][str(number)] = [{"args": {"tuple": [number]}, "sweep": False}]
    ran = run_to_its_end(box, task)
    assert [frame.get("cell") for frame in ran.of_cells] == [0, 1]
    assert ran.of_hidden[0] == {
        "cell": 1,
        "state": "observed",
        "observations": [[2, None]],
        "printed": "",
    }
    assert ran.fault == "its process ended by itself (exit status 3)"


def test_the_first_cell_without_a_report_is_found_in_any_frames():
    told = [{"cell": 1}, {"cell": [0]}, {"cell": 0}, {"cell": None}, {"cell": {}}, {}, {"cell": 3}]
    assert Ran(told).reached == 2 and Ran([]).reached == 0
    assert Ran([{"cell": 0}, {"asks": True}, {"cell": 1}]).reached == 1


@pytest.mark.parametrize("name", ["03", "04"])  # 04 is the first with an optimizer
def test_what_takes_long_to_import_is_imported_before_a_submission_or_not_at_all(name, tmp_path):
    (unit,) = find_units([name])
    classroom = Classroom(tmp_path)
    built, student = bundle(classroom, unit), demo.packed_class(unit)[0]
    demo.submit(classroom, unit, student, classroom.root / "release" / unit.name)
    task = make_job(built, take_in(classroom.path("submitted", student.name, unit), built), seed=1)
    look = job("import sys; print('torch._dynamo' in sys.modules)")["cells"]
    box = Sandbox(modules=tuple(unit.imports), way=best_way())
    ran = box.run(task | {"cells": [*look, *task["cells"], *look]})
    box.close()
    before, *_, after = (frame for frame in ran.frames if "cell" in frame)
    assert before["outputs"][0]["text"] == after["outputs"][0]["text"]
    assert before["outputs"][0]["text"] == f"{name == '04'}\n"
