"""Commands for who writes the course: ``release``, ``adequacy``."""

from __future__ import annotations

import argparse
import json

from grader import adequacy, release
from grader.commands.common import new_command
from grader.problem import Problem
from grader.processes import on_every_core
from grader.units import COURSE, find_units, units


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add them to the command line."""
    one = new_command(commands, "release", _release, "build course/ from solutions/", units=True)
    one.add_argument(
        "--check", action="store_true", help="only say whether course/ is what a build would give"
    )
    one = new_command(
        commands, "adequacy", _adequacy, "try every known answer on the checks", units=True
    )
    one.add_argument("--json", action="store_true", help="print a list of objects")


def _release(options: argparse.Namespace) -> int:
    chosen = find_units(options.units) if options.units else None
    if options.check:
        if changed := release.differences(chosen=chosen):
            raise Problem(
                f"course/ is not what solutions/ gives ({', '.join(changed)}): make release"
            )
        print("course/ is what solutions/ gives")
        return 0
    release.build_course(COURSE, chosen)
    print(f"built {', '.join(unit.name for unit in chosen or units())} in course/")
    return 0


def _adequacy(options: argparse.Namespace) -> int:
    rows = [
        row for rows in on_every_core(adequacy.assess, find_units(options.units)) for row in rows
    ]
    if options.json:
        print(json.dumps([row.to_json() for row in rows], indent=1))
    else:
        print(adequacy.as_table(rows))
    return 0 if all(row.adequate for row in rows) else 1
