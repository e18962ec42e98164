"""Grade many submissions at once: jobs run elsewhere, one writer, nothing run twice.

Jobs run in sandboxes (:mod:`grader.running.runners`); this thread alone judges and writes to the
gradebook, a submission at a time. So a kill at any moment loses at most what was running, and the
same command goes on with the rest.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from nbgrader.api import Gradebook, SubmittedAssignment

from grader.bundle import Bundle, bundle
from grader.classroom import Classroom
from grader.intake import Submission, take_in
from grader.lateness import earned, penalty, settle
from grader.problem import Problem
from grader.record import Entry, history_folder, now, record, remember
from grader.results import Result, find_graded, recorded
from grader.running import runners
from grader.running.ran import Limits, Ran
from grader.running.runners import Runner
from grader.unchanged import fingerprint, on_record, still_holds, times_ended
from grader.units import Unit

if TYPE_CHECKING:  # it needs PyTorch, which is imported while the sandboxes start
    from grader.scores import Graded

LOCK = ".grading.lock"
UNREADABLE = "what it reported cannot be read"


@dataclass(frozen=True)
class Options:
    """How to grade.

    Attributes
    ----------
    force
        Grade unchanged submissions, too.
    dry_run
        Grade, and write nothing: the results say what would change.
    workers
        Sandboxes side by side; by default one for each core.
    limits
        What one submission may use.
    unsafe
        Go on without a sandbox where none can be had.
    scheduler, tls
        Address of a Dask scheduler to run on, and the folder with its certificates.
    """

    force: bool = False
    dry_run: bool = False
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    unsafe: bool = False
    scheduler: str = ""
    tls: Path | None = None


@dataclass(frozen=True)
class _Task:
    """One submission on its way through the engine."""

    student: str
    unit: Unit
    built: Bundle
    mark: str
    seed: int
    submission: Submission
    last: Entry | None

    @property
    def alone(self) -> bool:
        """Whether it was ended last time: now nobody else can be the reason."""
        return bool(self.last and self.last.ended and self.last.fingerprint == self.mark)


def grade(
    classroom: Classroom, work: list[tuple[str, Unit]], options: Options | None = None
) -> Iterator[Result]:
    """Grade each submission that changed since it was last graded; yield results as they come.

    Raises
    ------
    Problem
        If another grading of this class is running, or there is nowhere to run.
    """
    options = options or Options()
    with _alone(classroom), ExitStack() as opened:
        runner = None
        if any(not history_folder(classroom, unit, name).is_dir() for name, unit in work):
            # There is something to run for sure: sandboxes start while we build and import.
            runner = opened.enter_context(_runner(options, work))
        gradebook = opened.enter_context(classroom.gradebook())
        units = dict.fromkeys(unit for _, unit in work)
        bundles = {unit: bundle(classroom, unit, options.dry_run) for unit in units}
        marks = [fingerprint(classroom, bundles[unit], unit, name) for name, unit in work]
        todo = []
        for (student, unit), mark in zip(work, marks, strict=True):
            last = on_record(classroom, gradebook, unit, student)
            if options.force or not last or not still_holds(last, mark, options.limits):
                todo.append((student, unit, mark, last))
            else:
                yield _unchanged(classroom, gradebook, student, unit, last, options.dry_run)
        if not todo:
            return
        runner = runner or opened.enter_context(_runner(options, [task[:2] for task in todo]))
        tasks = (_take(classroom, bundles[each[1]], *each) for each in todo)
        for task, ran in _run_all(runner, tasks):
            yield _finish(classroom, gradebook, task, ran, options)


def _runner(options: Options, work: list[tuple[str, Unit]]) -> AbstractContextManager[Runner]:
    modules = tuple(sorted(set().union(*(unit.imports for _, unit in work))))
    if options.scheduler:
        from grader.running.cluster import cluster

        return cluster(options.scheduler, options.limits, modules, options.tls)
    count = min(options.workers or os.cpu_count() or 1, len(work))
    return runners.local(count, options.limits, modules, options.unsafe)


def _take(
    classroom: Classroom, built: Bundle, student: str, unit: Unit, mark: str, last: Entry | None
) -> _Task:
    submission = take_in(classroom.path("submitted", student, unit), built)
    return _Task(student, unit, built, mark, secrets.randbits(32), submission, last)


def _run_all(runner: Runner, tasks: Iterator[_Task]) -> Iterator[tuple[_Task, Ran]]:
    """Yield each task with what came of it; only a few run ahead of the writer.

    What was ended last time runs after the others, one at a time, each in a sandbox of its own.
    """
    from grader.scores import make_job

    running: dict[Future, _Task] = {}
    later: list[_Task] = []
    while True:
        for task in tasks:
            if task.submission.defect:  # there is nothing to run
                yield task, Ran(fault=task.submission.defect)
                continue
            if task.alone:
                later.append(task)
                continue
            running[runner.submit(make_job(task.built, task.submission, task.seed))] = task
            if len(running) >= 2 * runner.slots:
                break
        if not running and later:
            task = later.pop(0)
            job = make_job(task.built, task.submission, task.seed) | {"fresh": True}
            running[runner.submit(job)] = task
        if not running:
            return
        for future in wait(running, timeout=1, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), runner.result(future)
        runner.check()


def _unchanged(
    classroom: Classroom, gradebook: Gradebook, student: str, unit: Unit, last: Entry, dry: bool
) -> Result:
    """What is on record; only what lateness costs may have changed."""
    submission = find_graded(gradebook, student, unit)
    before = earned(submission)
    settle(classroom, submission, classroom.path("submitted", student, unit))
    gradebook.db.flush()
    gradebook.db.expire(submission)
    result = recorded(gradebook, student, unit, last.fault, last.stands)
    gradebook.db.rollback() if dry else gradebook.db.commit()
    return replace(result, before=before)


def _finish(
    classroom: Classroom, gradebook: Gradebook, task: _Task, ran: Ran, options: Options
) -> Result:
    """Write a grade down, unless an earlier one stands, or nothing is to be written."""
    graded = _scored(task, ran)
    student, unit = task.student, task.unit
    earlier = find_graded(gradebook, student, unit)
    before = earned(earlier) if earlier else None
    stands = bool(task.submission.defect) and earlier is not None
    problem = task.submission.defect or graded.fault
    if options.dry_run:
        would = before if stands else _score_with_marks(classroom, earlier, graded)
        return Result(student, unit.name, would, task.built.max_score, problem, before)
    if not stands:
        record(classroom, gradebook, unit, student, graded)
    limits = asdict(options.limits)
    ended = 0 if task.submission.defect else times_ended(task.last, task.mark, problem)
    entry = Entry(
        now(), task.mark, task.seed, graded.scores, problem, ran.usage, limits, stands, ended
    )
    remember(classroom, unit, student, entry)
    return replace(recorded(gradebook, student, unit, problem, stands), before=before)


def _scored(task: _Task, ran: Ran) -> Graded:
    """Points for a run, whatever it has reported."""
    from grader.scores import score

    with suppress(Exception):  # what we have not foreseen costs its author points, nobody else
        graded = score(task.built, task.submission, ran)
        if graded.content:
            return graded
    return score(task.built, task.submission, Ran(fault=UNREADABLE))


def _score_with_marks(
    classroom: Classroom, earlier: SubmittedAssignment | None, graded: Graded
) -> float:
    """What the score would be, with the marks that a human has given, less what lateness costs."""
    marks = {}
    for notebook in earlier.notebooks if earlier else ():
        marks |= {g.name: g.manual_score for g in notebook.grades if g.manual_score is not None}
    score = float(sum(marks.get(name, points) or 0 for name, points in graded.scores.items()))
    return score - ((penalty(classroom, earlier, score) or 0) if earlier else 0)


@contextmanager
def _alone(classroom: Classroom) -> Iterator[None]:
    classroom.root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(classroom.root / LOCK, timeout=0):
            yield
    except Timeout:
        raise Problem(f"{classroom.root} is being graded already: wait until that ends") from None
