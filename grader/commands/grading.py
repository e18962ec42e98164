"""Commands for a class's work: ``grade``, ``feedback``, ``formgrader``, ``demo``, ``self``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from grader import engine
from grader.classroom import Classroom
from grader.commands.common import amount, count, new_command, with_progress
from grader.problem import Problem
from grader.results import Result, as_table, submissions
from grader.running.ran import Limits
from grader.tables import table
from grader.units import COURSE, find_units


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add them to the command line."""
    help = "grade the submissions of a class"
    _grade_arguments(new_command(commands, "grade", _grade, help, units=True, classroom=True))
    help = "write a page for every graded submission"
    new_command(commands, "feedback", _feedback, help, units=True, classroom=True)
    help = "open nbgrader's Formgrader on the class"
    one = new_command(commands, "formgrader", _formgrader, help, classroom=True)
    one.add_argument("lab_options", nargs="*", help="options for JupyterLab, after --")
    help = "take a class of sample students from release to feedback"
    new_command(commands, "demo", _demo, help, units=True)
    help = "grade your own notebooks by the instructor's tests"
    _self_arguments(new_command(commands, "self", _self, help, units=True))


def _grade_arguments(one: argparse.ArgumentParser) -> None:
    limits = Limits()
    one.add_argument("--student", action="append", metavar="NAME", help="only theirs; repeatable")
    one.add_argument("--workers", type=count, metavar="N", help="sandboxes side by side; all cores")
    one.add_argument("--force", action="store_true", help="grade unchanged submissions too")
    one.add_argument("--dry-run", action="store_true", help="say what would change, write nothing")
    one.add_argument(
        "--scheduler", default="", metavar="ADDRESS", help="of a Dask cluster: tls://…"
    )
    one.add_argument("--tls", type=Path, metavar="DIR", help="ca.pem, cert.pem, key.pem for it")
    one.add_argument("--plain", action="store_true", help="with plain nbgrader: no sandbox, slow")
    one.add_argument("--unsafe", action="store_true", help="where there is no sandbox: do without")
    one.add_argument(
        "--seconds", type=amount, default=limits.wall, metavar="S", help="each may take"
    )
    one.add_argument(
        "--memory", type=amount, default=limits.memory / 2**30, metavar="GB", help="each may take"
    )
    one.epilog = "What is unchanged is not run again. Exit status 0 if everyone has a grade."


def _self_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument("--folder", type=Path, default=COURSE, help="where UNIT/UNIT.ipynb lies")
    one.epilog = "Copies are graded, in a new folder: your own files stay as they are."


def _grade(options: argparse.Namespace) -> int:
    if options.plain and (options.dry_run or options.scheduler or options.workers):
        raise Problem("plain nbgrader knows no --dry-run, --scheduler, --workers: leave them out")
    classroom = Classroom(options.classroom)
    work = submissions(classroom, find_units(options.units), options.student)
    if options.plain:
        from grader.plain import grade_plain

        grading = grade_plain(classroom, work, options.force)
    else:
        how = engine.Options(
            force=options.force,
            dry_run=options.dry_run,
            workers=options.workers,
            limits=Limits(wall=options.seconds, memory=int(options.memory * 2**30)),
            unsafe=options.unsafe,
            scheduler=options.scheduler,
            tls=options.tls,
        )
        grading = engine.grade(classroom, work, how)
    results = _graded(grading, len(work))
    print(as_table(results))
    return 0 if all(result.score is not None for result in results) else 1


def _graded(grading: Iterator[Result], total: int) -> list[Result]:
    """Collect results under a progress bar that names the last fault; in alphabetical order."""
    found = []
    with tqdm(total=total, desc="grading", unit="notebook", leave=False) as bar:
        for result in grading:
            found.append(result)
            bar.update()
            if result.needs and "mark by hand" not in result.needs:
                bar.set_postfix_str(f"{result.student}: {result.needs}"[:60])
    return sorted(found, key=lambda result: (result.unit, result.student))


def _feedback(options: argparse.Namespace) -> int:
    from grader.pages import feedback

    classroom = Classroom(options.classroom)
    written = list(feedback.write_feedback(classroom, find_units(options.units)))
    if not written:
        raise Problem("no graded submission yet: run make grade first")
    print(table(("student", "unit", "feedback"), written))
    return 0 if all(isinstance(page, Path) for _, _, page in written) else 1


def _formgrader(options: argparse.Namespace) -> int:
    classroom = Classroom(options.classroom)
    for unit in find_units([]):
        classroom.prepare(unit)
    classroom.write_config()
    print("JupyterLab opens; choose Nbgrader ▸ Formgrader in its menu", file=sys.stderr)
    os.chdir(classroom.root)  # where nbgrader looks for its settings
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *options.lab_options])


def _demo(options: argparse.Namespace) -> int:
    from grader import demo
    from grader.pages import feedback

    folder = Path(tempfile.mkdtemp(prefix="halfbits-demo-"))
    classroom = Classroom(folder)
    expected, work = {}, []
    for unit in find_units(options.units):
        built = classroom.prepare(unit)
        for student in demo.sample_class(unit):
            demo.submit(classroom, unit, student, built)
            expected[student.name, unit.name] = student.score
            work.append((student.name, unit))
    results = _graded(engine.grade(classroom, work), len(work))
    units = list(dict.fromkeys(unit for _, unit in work))
    pages = with_progress(feedback.write_feedback(classroom, units), len(work), "feedback")
    print(as_table(results))
    wrong = [r for r in results if r.score != expected[r.student, r.unit]]
    for r in wrong:
        print(
            f"{r.student} should have {expected[r.student, r.unit]}, not {r.score}", file=sys.stderr
        )
    print(f"\nA feedback page: {pages[-1][2]}\nThe class's folder: {folder}")
    return 1 if wrong else 0


def _self(options: argparse.Namespace) -> int:
    from grader import selfgrade

    chosen = selfgrade.own_work(options.units, options.folder)
    graded = with_progress(selfgrade.grade_own(chosen, options.folder), len(chosen), "grading")
    print(as_table([result for result, _ in graded]))
    for _, page in graded:
        if page:
            print(f"feedback: {page}")
    return 0 if all(page for _, page in graded) else 1
