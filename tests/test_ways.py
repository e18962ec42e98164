"""Which sandbox a machine gets, and what Landlock and seccomp keep in where there is no other."""

import pytest

from grader import demo, engine, hostile
from grader.__main__ import main
from grader.classroom import Classroom
from grader.problem import Problem
from grader.running.bubblewrap import Bubblewrap
from grader.running.inside import confine
from grader.running.ways import Landlock, Nothing, best_way
from grader.units import find_units

needs_landlock = pytest.mark.skipif(bool(confine.defect()), reason=confine.defect() or "has it")
CLASSES = {"reading", "writing", "network"}
OTHERS = {"kill-all", "kill-parent", "stop-parent", "daemon", "fork-bomb"}


@pytest.fixture
def no_namespaces(monkeypatch):
    monkeypatch.setattr(Bubblewrap, "defect", lambda self: "this system forbids user namespaces")


@pytest.fixture
def nothing(monkeypatch, no_namespaces):
    monkeypatch.setattr(confine, "defect", lambda: "Landlock is too old here (ABI 0)")


def test_the_safest_way_is_taken(no_namespaces, monkeypatch):
    monkeypatch.setattr(confine, "defect", lambda: "")
    assert isinstance(best_way(), Landlock) and isinstance(best_way(unsafe=True), Landlock)
    monkeypatch.setattr(Bubblewrap, "defect", lambda self: "")
    assert isinstance(best_way(unsafe=True), Bubblewrap)


def test_without_any_it_refuses_unless_told_to_go_on(nothing):
    with pytest.raises(Problem, match=r"no sandbox: .* namespaces; .* too old .* --unsafe grades"):
        best_way()
    assert isinstance(best_way(unsafe=True), Nothing)


def test_the_doctor_says_which_and_why(capsys, monkeypatch, no_namespaces):
    monkeypatch.setattr(confine, "defect", lambda: "")
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "Landlock and seccomp, because this system forbids user namespaces" in said
    assert "the disk has no quota" in said
    monkeypatch.setattr(confine, "defect", lambda: "Landlock is too old here")
    assert main(["doctor"]) == 0
    assert "sandbox for grading: none." in capsys.readouterr().out


@needs_landlock
def test_landlock_keeps_attacks_in(no_namespaces, capsys):
    """What signals and processes would have done is refused, and so they need no sentence."""
    chosen = [a.name for a in hostile.attacks().ATTACKS if a.kind in CLASSES or a.name in OTHERS]
    outcomes = hostile.run(chosen)
    assert len(outcomes) > 25
    bad = [o for o in outcomes if not (o.good or (o.attack in OTHERS and o.others_graded))]
    assert bad == [], hostile.as_table(bad)
    refused = [why for o in outcomes if o.attack in OTHERS for why in o.why]
    assert all("no feedback says" in why or "earned" in why for why in refused), refused
    assert f"Careful: {Landlock.warning}" in capsys.readouterr().err


@needs_landlock
def test_honest_work_gets_its_points(no_namespaces, tmp_path):
    (unit,) = find_units(["06"])
    classroom = Classroom(tmp_path)
    student = demo.perfect_student(unit)
    demo.submit(classroom, unit, student, classroom.prepare(unit))
    (result,) = engine.grade(classroom, [(student.name, unit)])
    assert result.score == student.score and "by hand" in result.needs
