"""Nothing is lost when grading is killed: the gradebook stays whole, and the rest is finished."""

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import time
import warnings
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import nbformat
import psutil
import pytest

from grader import demo, engine, hostile, record
from grader.__main__ import main
from grader.classroom import Classroom
from grader.record import history
from grader.results import find_graded, submissions
from grader.running import runners
from grader.running.ran import Ran
from grader.units import Unit

UNIT = Unit(hostile.FOLDER / "97_hostile")
STUDENTS = [f"student-{number:02}" for number in range(12)]
MOMENTS = 20
# Graders start from a process that has imported all: twenty starts from nothing take minutes.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["grader.engine", "grader.hostile"])


@pytest.fixture
def class_of_twelve(tmp_path) -> Classroom:
    classroom = Classroom(tmp_path / "class")
    release = classroom.prepare(UNIT)
    perfect, _, *wrong = demo.packed_class(UNIT)
    for number, name in enumerate(STUDENTS):
        student = demo.renamed([perfect, *wrong][number % (1 + len(wrong))], name)
        demo.submit(classroom, UNIT, student, release)
    return classroom


def started(classroom: Classroom) -> BaseProcess:
    ours, theirs = SERVER.Pipe(duplex=False)
    process = SERVER.Process(target=grade_all, args=(classroom.root, theirs))
    process.start()
    assert ours.poll(60) and ours.recv() == "started"
    return process


def grade_all(root: Path, told: Connection) -> None:
    """What is killed: a grader in a process of its own."""
    warnings.simplefilter("ignore")  # SQLAlchemy's, about nbgrader
    told.send("started")
    for _ in engine.grade(Classroom(root), work()):
        pass


def scores(classroom: Classroom) -> dict[str, float]:
    """What is on record, from a gradebook that is whole."""
    with sqlite3.connect(classroom.root / "gradebook.db") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    with classroom.gradebook() as gradebook:
        found = {name: find_graded(gradebook, name, UNIT) for name in STUDENTS}
        return {name: one.score for name, one in found.items() if one is not None}


def kill(process: BaseProcess, dice: random.Random) -> None:
    """End the grader, or one of its workers, as the dice fall."""
    with contextlib.suppress(psutil.NoSuchProcess):  # it may have finished
        grader = psutil.Process(process.pid)
        victims = [grader, grader, *grader.children(recursive=True)]
        dice.choice(victims).send_signal(signal.SIGKILL)


def test_whenever_it_is_killed_the_rest_is_finished_and_nothing_is_lost(class_of_twelve):
    whole = {student: 7.0 for student in STUDENTS}
    dice = random.Random(20)
    for _ in range(MOMENTS):
        before, waits = scores(class_of_twelve), waiting(class_of_twelve)
        process = started(class_of_twelve)
        time.sleep(dice.uniform(0, 6))
        kill(process, dice)
        process.join(timeout=120)
        assert process.exitcode is not None
        after = scores(class_of_twelve)
        for name, score in before.items():  # nothing that was recorded is lost or changed
            assert after[name] == score or (name in waits and after[name] == whole[name])
        for name in after.keys() - waiting(class_of_twelve):  # and nobody pays for the kill
            assert after[name] == whole[name]
        if len(after) == len(STUDENTS):
            forget(class_of_twelve, dice.sample(STUDENTS, 6))
    last = {r.student: r.score for r in engine.grade(class_of_twelve, work())}
    assert last == whole == scores(class_of_twelve)


def waiting(classroom: Classroom) -> set[str]:
    """Whose run was ended while hidden cases were tried: the next grading runs it once more."""
    last = {name: history(classroom, UNIT, name)[-1:] for name in STUDENTS}
    return {name for name, entries in last.items() if entries and entries[0].ended == 1}


def work() -> list[tuple[str, Unit]]:
    return [(student, UNIT) for student in STUDENTS]


def forget(classroom: Classroom, names: list[str]) -> None:
    """Let some students hand in something new, so that there is work again."""
    for name in names:
        path = classroom.path("submitted", name, UNIT) / f"{UNIT.name}.ipynb"
        path.write_text(path.read_text() + "\n")


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(class_of_twelve, monkeypatch, capsys):
    def full(path: Path, content: str | bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(record, "_replace", full)
        with pytest.raises(OSError, match="No space left"):
            list(engine.grade(class_of_twelve, work()[:2]))
        patch.setattr("grader.commands.grading.find_units", lambda names: [UNIT])
        arguments = ["grade", "--student", STUDENTS[3], "--classroom", str(class_of_twelve.root)]
        assert main(arguments) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].endswith("No space left on device") and "Traceback" not in "".join(said)
    assert [r.score for r in engine.grade(class_of_twelve, work()[:2])] == [7.0, 7.0]


def test_a_changed_test_regrades_and_says_whose_points_change(class_of_twelve, tmp_path):
    two = work()[:2]
    assert [r.score for r in engine.grade(class_of_twelve, two)] == [7.0, 7.0]
    entries = len(history(class_of_twelve, UNIT, STUDENTS[0]))
    stricter = Unit(Path(shutil.copytree(UNIT.folder, tmp_path / "stricter" / UNIT.name)))
    definitions = stricter.folder / "exercises.py"
    definitions.write_text(definitions.read_text().replace("x / 2", "x / 2 + 1"))
    changed = [(name, stricter) for name, _ in two]
    before = contents(class_of_twelve.root)
    dry = list(engine.grade(class_of_twelve, changed, engine.Options(dry_run=True)))
    assert [(r.before, r.score, r.changed) for r in dry] == [(7.0, 4.0, True)] * 2
    assert contents(class_of_twelve.root) == before  # nothing was written
    assert len(history(class_of_twelve, UNIT, STUDENTS[0])) == entries
    wet = list(engine.grade(class_of_twelve, changed))
    assert [(r.before, r.score) for r in wet] == [(7.0, 4.0)] * 2
    assert scores(class_of_twelve) == {name: 4.0 for name, _ in two}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_leaves_what_the_gradebook_says_of_a_unit(class_of_twelve, tmp_path):
    list(engine.grade(class_of_twelve, work()[:1]))
    richer = Unit(Path(shutil.copytree(UNIT.folder, tmp_path / "richer" / UNIT.name)))
    for path in (richer.notebook, richer.folder / "exercises.py"):
        text = path.read_text()
        path.write_text(text.replace('"points": 2', '"points": 5').replace("(1, 2)", "(1, 5)"))
    [dry] = engine.grade(class_of_twelve, [(STUDENTS[0], richer)], engine.Options(dry_run=True))
    assert (dry.before, dry.score, dry.maximum) == (7.0, 13.0, 13.0)
    with class_of_twelve.gradebook() as gradebook:
        assert gradebook.find_assignment(UNIT.name).max_score == 7.0


def test_what_ended_a_run_is_said_each_time_and_larger_limits_run_it_again(class_of_twelve):
    path = class_of_twelve.path("submitted", STUDENTS[0], UNIT) / f"{UNIT.name}.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("import time; time.sleep(2.5)"))
    nbformat.write(notebook, path)
    (class_of_twelve.path("submitted", STUDENTS[1], UNIT) / f"{UNIT.name}.ipynb").write_text("{")
    short = engine.Options(limits=engine.Limits(wall=1))
    times = [list(engine.grade(class_of_twelve, work()[:2], short)) for _ in range(3)]
    said = [{r.student: (r.score, r.needs) for r in results} for results in times]
    assert said[0] == said[1] == said[2]
    assert "longer than 1 s" in said[0][STUDENTS[0]][1] and "JSON" in said[0][STUDENTS[1]][1]
    ample = engine.Options(limits=engine.Limits(wall=20))
    again = {r.student: r for r in engine.grade(class_of_twelve, work()[:2], ample)}
    assert (again[STUDENTS[0]].score, again[STUDENTS[0]].needs) == (7.0, "")
    assert [len(history(class_of_twelve, UNIT, name)) for name in STUDENTS[:2]] == [3, 1]


def test_a_run_that_was_ended_is_run_once_more_and_only_then_it_stands(
    class_of_twelve, monkeypatch
):
    """Somebody else's processes, or a lack of memory, may have ended it: its zeros do not stick."""
    fresh, real = [], runners.run_to_its_end

    def lose(box, job):
        fresh.append(job.get("fresh", False))
        real(box, job)
        return Ran(fault="it ended the sandbox that it ran in, or stopped it", lost=True)

    def grade():
        return {r.student: r for r in engine.grade(class_of_twelve, work()[:2])}

    monkeypatch.setattr(runners, "run_to_its_end", lose)
    assert all(result.score == 1 for result in grade().values())  # the quiz was not run
    assert grade()[STUDENTS[0]].score == 1
    assert fresh == [False, False, True, True], "the second time alone, in a sandbox of its own"
    monkeypatch.setattr(runners, "run_to_its_end", lambda *_: pytest.fail("it was run again"))
    assert grade()[STUDENTS[0]].score == 1
    for name in STUDENTS[:2]:
        assert [entry.ended for entry in history(class_of_twelve, UNIT, name)] == [1, 2]


def test_the_zeros_of_a_run_that_was_lost_once_do_not_stick(class_of_twelve, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(runners, "run_to_its_end", lambda *_: Ran(fault="lost", lost=True))
        assert [r.score for r in engine.grade(class_of_twelve, work()[:1])] == [1]
    assert [r.score for r in engine.grade(class_of_twelve, work()[:1])] == [7]
    assert [entry.ended for entry in history(class_of_twelve, UNIT, STUDENTS[0])] == [1, 0]


def test_every_submission_is_kept_with_its_answers(class_of_twelve):
    folder = class_of_twelve.path("submitted", STUDENTS[0], UNIT)
    handed_in = (folder / "answers.json").read_bytes()
    list(engine.grade(class_of_twelve, work()[:1]))
    (folder / "answers.json").unlink()
    assert [r.score for r in engine.grade(class_of_twelve, work()[:1])] == [6.0]
    kept = record.history_folder(class_of_twelve, UNIT, STUDENTS[0])
    assert (kept / "0001.answers.json").read_bytes() == handed_in
    assert len(history(class_of_twelve, UNIT, STUDENTS[0])) == 2
    assert not (kept / "0002.answers.json").exists()


def test_what_is_no_student_is_left_out_and_a_closed_folder_is_its_owner_s_alone(class_of_twelve):
    hidden = class_of_twelve.submitted / ".ipynb_checkpoints" / UNIT.name
    hidden.mkdir(parents=True)
    found = submissions(class_of_twelve, [UNIT])
    assert [student for student, _ in found] == STUDENTS
    if os.geteuid() == 0:
        pytest.skip("root may read everything: run this test as an ordinary user")
    closed = class_of_twelve.submitted / STUDENTS[0]
    closed.chmod(0)
    try:
        first, second = engine.grade(class_of_twelve, submissions(class_of_twelve, [UNIT])[:2])
    finally:
        closed.chmod(0o755)
    scores = {r.student: (r.score, r.needs) for r in (first, second)}
    assert "Permission denied" in scores[STUDENTS[0]][1] and scores[STUDENTS[1]] == (7.0, "")


def test_a_read_only_gradebook_is_one_line(class_of_twelve, monkeypatch, capsys):
    list(engine.grade(class_of_twelve, work()[:1]))
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere: run this test as an ordinary user")
    database = class_of_twelve.root / "gradebook.db"
    database.chmod(0o444)
    monkeypatch.setattr("grader.commands.grading.find_units", lambda names: [UNIT])
    assert main(["grade", "--force", "--classroom", str(class_of_twelve.root)]) == 1
    assert "the gradebook cannot be used" in capsys.readouterr().err
