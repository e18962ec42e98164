"""The commands that look at grading rather than grade: ``history``, ``hostile``, ``doctor``."""

from __future__ import annotations

import argparse

from grader.classroom import Classroom
from grader.commands.common import new_command
from grader.problem import Problem
from grader.record import Entry, history
from grader.running.bubblewrap import Bubblewrap, find_bubblewrap
from grader.running.place import Way
from grader.running.ways import best_way
from grader.tables import table
from grader.units import find_units


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add them to the command line."""
    help = "every time that a student's unit was graded"
    one = new_command(commands, "history", _history, help, classroom=True)
    one.add_argument("student", metavar="STUDENT")
    one.add_argument("unit", metavar="UNIT")
    help = "grade hostile submissions, say what each could do"
    one = new_command(commands, "hostile", _hostile, help)
    one.add_argument("attacks", nargs="*", metavar="ATTACK", help="all if left out")
    one.add_argument("--json", action="store_true", help="print a list of objects")
    new_command(commands, "doctor", _doctor, "say which sandbox this machine gets")


def _history(options: argparse.Namespace) -> int:
    [unit] = find_units([options.unit])
    entries = history(Classroom(options.classroom), unit, options.student)
    if not entries:
        raise Problem(f"{options.student} has not been graded in {unit.name} yet")
    rows = [(number, *_row(entry)) for number, entry in enumerate(entries, 1)]
    print(table(("no.", "graded (UTC)", "automatic points", "seconds", "what ended it"), rows))
    print(f"\nThe submissions themselves: {options.student}/{unit.name}/ in history/")
    return 0


def _row(entry: Entry) -> tuple[str, ...]:
    points = sum(score or 0 for score in entry.scores.values())
    seconds = f"{entry.usage['wall']:.1f}" if entry.usage else "—"
    return entry.date, f"{points:g}", seconds, entry.fault


def _hostile(options: argparse.Namespace) -> int:
    from grader import hostile

    outcomes = hostile.run(options.attacks)
    print(hostile.to_json(outcomes) if options.json else hostile.as_table(outcomes))
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _doctor(options: argparse.Namespace) -> int:
    try:
        way = best_way()
    except Problem as problem:
        print(f"--  sandbox for grading: none. {str(problem).partition(': ')[2]}")
        return 0
    print(f"OK  sandbox for grading: {way.name}{_details(way)}")
    return 0


def _details(way: Way) -> str:
    if isinstance(way, Bubblewrap):
        return f" ({find_bubblewrap()})"
    return f", because {Bubblewrap().defect()}. Careful: {way.warning}"
