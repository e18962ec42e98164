"""The instructor's command line: ``python -m grader COMMAND``."""

from __future__ import annotations

import argparse
import gc
import sys
import warnings
from importlib import import_module

from grader.problem import Problem

# A command imports its own module alone: several of them need PyTorch, which takes seconds.
COMMANDS = {
    "authoring": ("release", "adequacy"),
    "grading": ("grade", "feedback", "formgrader", "demo", "self"),
    "awards": ("badges", "verify"),
    "exchange": ("collect", "export", "student-bundle"),
    "oversight": ("history", "hostile", "doctor"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a problem that the user can mend is one line and exit status 1."""
    warnings.filterwarnings("ignore", module=r"nbgrader|sqlalchemy")  # meant for their authors
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser(arguments[0] if arguments else "").parse_args(arguments)
        return options.run(options)
    except Problem as problem:
        print(f"{problem}", file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(
            "stopped; what was graded is kept, the same command goes on from here", file=sys.stderr
        )
        return 130
    except Exception as error:
        reason = _of_gradebook(error)
        if not reason:
            raise
        print(f"the gradebook cannot be used: {reason}", file=sys.stderr)
    return 1


def _of_gradebook(error: Exception) -> str:
    """What a database refused, or the empty string if it was something else."""
    from nbgrader.api import InvalidEntry
    from sqlalchemy.exc import SQLAlchemyError

    if not isinstance(error, SQLAlchemyError | InvalidEntry):  # nbgrader wraps some
        return ""
    return str(getattr(error, "orig", error)).splitlines()[0]


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grader", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    holders = [module for module, names in COMMANDS.items() if command in names]
    for module in holders or COMMANDS:
        import_module(f"grader.commands.{module}").add_commands(commands)
    return parser


if __name__ == "__main__":
    gc.set_threshold(100_000)  # imports make many objects, and they stay
    status = main()
    gc.freeze()  # else all of them are looked through once more
    sys.exit(status)
