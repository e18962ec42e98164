"""Commands that bring work in and grades out: ``collect``, ``export``, ``student-bundle``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grader.classroom import Classroom
from grader.commands.common import new_command
from grader.exchange import canvas, collect, export, moodle
from grader.exchange.roster import read_roster
from grader.units import find_units


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add them to the command line."""
    help = "take in a download of submissions"
    _collect_arguments(new_command(commands, "collect", _collect, help, classroom=True))
    help = "write grades for Canvas, Moodle, …"
    _export_arguments(new_command(commands, "export", _export, help, units=True, classroom=True))
    help = "make the zip that students get"
    _handout_arguments(new_command(commands, "student-bundle", _handout, help))


def _collect_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument("source", type=Path, metavar="FILE|FOLDER", help="a zip file, or a folder")
    one.add_argument("--unit", metavar="UNIT", help="the one that all of it is of, such as 01")
    one.epilog = (
        "Takes the bulk downloads of Moodle and Canvas, and folders with STUDENT.ipynb, "
        "STUDENT/UNIT.ipynb or STUDENT.zip in them. A notebook belongs to the unit that its name "
        "says, else to the one whose cells it has. An earlier submission that is different moves "
        "to submitted-before/ in the class's folder. Exit status 1 if something was refused."
    )


def _collect(options: argparse.Namespace) -> int:
    only = find_units([options.unit])[0] if options.unit else None
    classroom = Classroom(options.classroom)
    collected = list(collect.collect(classroom, options.source, find_units([]), only))
    print(collect.as_table(collected))
    return 1 if any(one.outcome == "refused" for one in collected) else 0


def _export_arguments(one: argparse.ArgumentParser) -> None:
    target = one.add_mutually_exclusive_group(required=True)
    target.add_argument("--canvas", type=Path, metavar="FILE", help="for Grades, Import in Canvas")
    target.add_argument("--moodle", type=Path, metavar="FILE", help="for Grades, Import in Moodle")
    target.add_argument("--csv", type=Path, metavar="FILE", help="for a spreadsheet")
    one.add_argument(
        "--roster", type=Path, metavar="FILE", help="what the system exports: who is who"
    )
    one.add_argument(
        "--identifier",
        choices=("idnumber", "username", "email"),
        default="",
        help="what Moodle shall know students by",
    )
    one.epilog = (
        "The roster is what the system itself exports: in Canvas the entire gradebook, in Moodle "
        "a grade export or a grading worksheet. With it students are found by id, login, email or "
        "name. Exit status 1 if somebody with a grade is left out."
    )


def _export(options: argparse.Namespace) -> int:
    found = export.grades(Classroom(options.classroom), find_units(options.units))
    roster = read_roster(options.roster) if options.roster else None
    if options.canvas:
        exported = canvas.to_canvas(found, roster)
    elif options.moodle:
        exported = moodle.to_moodle(found, roster, options.identifier)
    else:
        exported = export.to_csv(found)
    path = options.canvas or options.moodle or options.csv
    export.write(path, exported.content)
    print(f"{path}: {len(found) - len(exported.left_out)} students")
    for note in exported.notes:
        print(note)
    for sentence in exported.left_out:
        print(f"left out: {sentence}", file=sys.stderr)
    return 1 if exported.left_out else 0


def _handout_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "file", nargs="?", type=Path, default=Path("half-the-bits.zip"), metavar="FILE"
    )


def _handout(options: argparse.Namespace) -> int:
    from grader.exchange import handout

    export.write(options.file, handout.pack())
    print(f"{options.file}: the course, the library and make lab, without solutions or grader")
    return 0
