"""What several modules of commands need."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm import tqdm

Run = Callable[[argparse.Namespace], int]


def new_command(
    commands: argparse._SubParsersAction,
    name: str,
    run: Run,
    help: str,
    units: bool = False,
    classroom: bool = False,
) -> argparse.ArgumentParser:
    """Add a command; ``run`` gets its options and returns the exit status.

    Parameters
    ----------
    units, classroom
        Whether it takes names of units, and ``--classroom``.
    """
    one = commands.add_parser(name, help=help, description=help)
    one.set_defaults(run=run)
    if units:
        one.add_argument("units", nargs="*", metavar="UNIT", help="such as 01; all if left out")
    if classroom:
        one.add_argument("--classroom", type=Path, metavar="DIR", help="the class's folder")
    return one


def count(text: str) -> int:
    """A whole number from 1 on, as an option's type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def amount(text: str) -> float:
    """A finite number above 0, as an option's type."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def with_progress(items: Iterable, total: int, doing: str) -> list:
    """Collect items under a progress bar."""
    return list(tqdm(items, total=total, desc=doing, unit="notebook", leave=False))
