"""Work that came in late: what it costs by the class's rule, nbgrader's LateSubmissionPlugin.

When work came in is what ``timestamp.txt`` beside it says; when it was due stands in the gradebook,
where Formgrader writes it.
"""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

from nbgrader.api import SubmittedAssignment
from nbgrader.preprocessors import AssignLatePenalties
from nbgrader.utils import parse_utc

from grader.classroom import OWN_CONFIG, Classroom
from grader.problem import Problem
from grader.reading import read_bounded

TIMESTAMP = "timestamp.txt"
MAX_TIMESTAMP = 200  # bytes


def settle(classroom: Classroom, submission: SubmittedAssignment, folder: Path) -> None:
    """Set in the gradebook when a submission came in, and what that costs; the caller commits.

    Parameters
    ----------
    folder
        Where the submission lies.
    """
    submission.timestamp = _timestamp(folder) or submission.timestamp
    for notebook in submission.notebooks:
        points = penalty(classroom, submission, notebook.score)
        if points != notebook.late_submission_penalty:
            notebook.late_submission_penalty = points


def penalty(classroom: Classroom, submission: SubmittedAssignment, score: float) -> float | None:
    """Points that lateness takes off a score, no more than it has; None if it takes nothing.

    Raises
    ------
    Problem
        If the class's own rule fails, or does not return points.
    """
    late = submission.total_seconds_late
    if not late:
        return None
    try:
        rule = AssignLatePenalties(config=classroom.config)
        rule.init_plugin()
        points = rule.plugin_inst.late_submission_penalty(submission.student.id, score, late)
        if points is not None and not math.isfinite(points):
            raise ValueError(f"{points} is no number of points")
    except Exception as error:  # the rule is code of the instructor's
        reason = f"{type(error).__name__}: {error}"
        raise Problem(f"the rule for late work in {OWN_CONFIG} fails: {reason}") from None
    return None if points is None else min(max(float(points), 0.0), score)


def earned(submission: SubmittedAssignment) -> float:
    """A submission's score, less what lateness costs."""
    return max(0.0, submission.score - (submission.late_submission_penalty or 0.0))


def _timestamp(folder: Path) -> datetime | None:
    """What timestamp.txt says, if it says a time: a student may have written it."""
    try:
        return parse_utc(read_bounded(folder / TIMESTAMP, MAX_TIMESTAMP).decode().strip())
    except Exception:  # dateutil raises what it comes upon, decimal.InvalidOperation among it
        return None
