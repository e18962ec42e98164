"""Work that came in late costs what the class's own rule says, whichever way it is graded."""

import pytest

from grader import demo, engine, hostile
from grader.__main__ import main
from grader.awards.badges import _grades
from grader.classroom import OWN_CONFIG, Classroom
from grader.exchange.export import grades
from grader.plain import grade_plain
from grader.problem import Problem
from grader.results import recorded
from grader.units import Unit

UNIT = Unit(hostile.FOLDER / "97_hostile")
WORK = [("late", UNIT), ("punctual", UNIT)]
TWO_A_DAY = """
from nbgrader.plugins import LateSubmissionPlugin

class TwoADay(LateSubmissionPlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return 2 * total_seconds_late / 86400

c.AssignLatePenalties.plugin_class = TwoADay
"""


@pytest.fixture
def root(tmp_path):
    """Two perfect submissions, one of them a day late."""
    classroom = Classroom(tmp_path / "class")
    release = classroom.prepare(UNIT)
    perfect = demo.perfect_student(UNIT)
    for student, day in (("late", 2), ("punctual", 1)):
        demo.submit(classroom, UNIT, demo.renamed(perfect, student), release)
        folder = classroom.path("submitted", student, UNIT)
        (folder / "timestamp.txt").write_text(f"2026-03-0{day} 12:00:00 UTC")
    set_due(classroom, "2026-03-01 12:00:00 UTC")
    return classroom.root


def set_due(classroom: Classroom, when: str) -> None:
    with classroom.gradebook() as gradebook:
        gradebook.update_or_create_assignment(UNIT.name, duedate=when)


def graded(root, **options) -> dict[str, tuple[float, str]]:
    found = engine.grade(Classroom(root), WORK, engine.Options(**options))
    return {result.student: (result.score, result.needs) for result in found}


def test_both_ways_take_off_what_the_rule_says(root):
    (root / OWN_CONFIG).write_text(TWO_A_DAY)
    expected = {"late": (5.0, "late: 2 points less"), "punctual": (7.0, "")}
    assert graded(root) == expected
    plain = grade_plain(Classroom(root), WORK, force=True)
    assert {r.student: (r.score, r.needs) for r in plain} == expected
    classroom = Classroom(root)
    assert grades(classroom, [UNIT])["late"][UNIT.name].score == 5.0
    assert [row[:2] for row in _grades(classroom, UNIT)] == [("late", 5.0), ("punctual", 7.0)]


def test_a_new_rule_or_due_date_changes_grades_and_runs_nothing(root, monkeypatch):
    assert graded(root) == {"late": (7.0, ""), "punctual": (7.0, "")}
    monkeypatch.setattr(engine.runners, "local", lambda *_: pytest.fail("something ran again"))
    (root / OWN_CONFIG).write_text('c.LateSubmissionPlugin.penalty_method = "zero"')
    [late, _] = engine.grade(Classroom(root), WORK, engine.Options(dry_run=True))
    assert (late.before, late.score, late.changed) == (7.0, 0.0, True)
    with Classroom(root).gradebook() as gradebook:
        assert recorded(gradebook, "late", UNIT).score == 7.0  # nothing was written
    assert graded(root)["late"] == (0.0, "late: 7 points less")
    set_due(Classroom(root), "2026-03-03")
    assert graded(root)["late"] == (7.0, "")


def test_a_rule_never_takes_or_gives_more_than_there_is(root):
    (root / OWN_CONFIG).write_text(TWO_A_DAY.replace("2 *", "200 *"))
    assert graded(root)["late"] == (0.0, "late: 7 points less")
    (root / OWN_CONFIG).write_text(TWO_A_DAY.replace("2 *", "-2 *"))
    assert graded(root)["late"] == (7.0, "")


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ('c.LateSubmissionPlugin.penalty_method = "nonsense"', "TraitError"),
        ('c.AssignLatePenalties.plugin_class = "no.such.Rule"', "no.such"),
        (TWO_A_DAY.replace("2 *", "1 / 0 *"), "ZeroDivisionError"),
        (TWO_A_DAY.replace("2 *", "'2' *"), "TypeError"),
        (TWO_A_DAY.replace("2 *", "float('nan') *"), "nan is no number of points"),
    ],
)
def test_a_rule_that_fails_is_one_line_and_costs_nobody(root, rule, reason):
    (root / OWN_CONFIG).write_text(rule)
    with pytest.raises(Problem, match="the rule for late work") as raised:
        graded(root)
    assert reason in str(raised.value) and "\n" not in str(raised.value)
    (root / OWN_CONFIG).unlink()
    assert graded(root) == {"late": (7.0, ""), "punctual": (7.0, "")}


def test_a_broken_file_of_the_instructor_s_is_one_line(root, capsys):
    (root / OWN_CONFIG).write_text("c.LateSubmissionPlugin.penalty_method = zero")
    assert main(["grade", "--classroom", str(root)]) == 1
    said = capsys.readouterr().err
    assert said == f"{root / OWN_CONFIG} cannot be read: NameError: name 'zero' is not defined\n"
