"""Who submitted what, and the table of grades: the same whichever way a class is graded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry, SubmittedAssignment

from grader.classroom import Classroom
from grader.lateness import earned
from grader.problem import Problem
from grader.tables import table
from grader.units import Unit


@dataclass(frozen=True)
class Result:
    """One student's unit after grading.

    Attributes
    ----------
    score, maximum
        Points; ``score`` is None where nothing is on record.
    needs
        What a human has to look at.
    before
        The score that was on record before.
    """

    student: str
    unit: str
    score: float | None
    maximum: float
    needs: str = ""
    before: float | None = None

    @property
    def changed(self) -> bool:
        return self.before is not None and self.before != self.score


def submissions(
    classroom: Classroom, chosen: list[Unit], students: list[str] | None = None
) -> list[tuple[str, Unit]]:
    """Who submitted what, students in alphabetical order; an empty folder counts as a try.

    Parameters
    ----------
    students
        Only these, all if left out.

    Raises
    ------
    Problem
        If there is no submission at all, or none of a student asked for.
    """
    folders = [p for p in sorted(classroom.submitted.glob("[!.]*")) if not p.is_symlink()]
    folders = [folder for folder in folders if folder.is_dir()]
    for name in students or ():
        if name not in {folder.name for folder in folders}:
            raise Problem(f"no student {name!r} in {classroom.submitted}")
    folders = [folder for folder in folders if not students or folder.name in students]
    found = [
        (folder.name, unit) for unit in chosen for folder in folders if _may_hold(folder, unit)
    ]
    if not found:
        wanted = classroom.submitted / "STUDENT" / (chosen[0].name if len(chosen) == 1 else "UNIT")
        raise Problem(f"nothing to grade: put submissions into {wanted}/")
    return found


def _may_hold(folder: Path, unit: Unit) -> bool:
    """Whether a student's folder has the unit, or nothing at all, or cannot be looked into."""
    try:
        return (folder / unit.name).is_dir() or not any(p.is_dir() for p in folder.iterdir())
    except PermissionError:
        return True


def recorded(
    gradebook: Gradebook, student: str, unit: Unit, problem: str = "", stands: bool = False
) -> Result:
    """What the gradebook says of a student's unit now.

    Parameters
    ----------
    problem
        What went wrong with this submission, if anything did.
    stands
        Whether the grade on record is that of an earlier submission.
    """
    submission = find_graded(gradebook, student, unit)
    if submission is None:
        maximum = gradebook.find_assignment(unit.name).max_score
        return Result(student, unit.name, None, maximum, problem)
    if problem:
        needs = f"{problem} (the earlier grade stands)" if stands else problem
    else:
        needs = "answers to mark by hand: make formgrader" if submission.needs_manual_grade else ""
    if lost := submission.late_submission_penalty:
        needs = f"late: {lost:g} points less" + (f"; {needs}" if needs else "")
    return Result(student, unit.name, earned(submission), submission.max_score, needs)


def find_graded(gradebook: Gradebook, student: str, unit: Unit) -> SubmittedAssignment | None:
    """A student's unit in the gradebook, if it has been graded.

    nbgrader opens an entry before it grades; only points in it are a grade.
    """
    try:
        submission = gradebook.find_submission(unit.name, student)
    except MissingEntry:
        return None
    grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
    graded = any(g.auto_score is not None or g.manual_score is not None for g in grades)
    return submission if graded else None


def as_table(results: list[Result]) -> str:
    """The results for the terminal; the score before where any has changed."""
    head, columns = ["student", "unit", "score", "maximum"], []
    show_before = any(result.changed for result in results)
    for r in results:
        row = [r.student, r.unit, _points(r.score), _points(r.maximum)]
        before = [_points(r.before) if r.changed else ""] if show_before else []
        columns.append((*row, *before, r.needs))
    return table((*head, *(["before"] if show_before else []), "needs a human"), columns)


def _points(score: float | None) -> str:
    return "—" if score is None else f"{score:g}"
