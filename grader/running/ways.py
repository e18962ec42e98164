"""The ways to keep a submission in: bubblewrap; where it cannot be had, Landlock and seccomp.

A way says how the warm parent (:mod:`grader.running.inside.warm`) is started; :func:`best_way`
picks.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from grader.problem import Problem
from grader.running.bubblewrap import Bubblewrap
from grader.running.inside import confine
from grader.running.place import INSIDE, SYSTEM, Place, Way, environment, python_folders

UNSAFE = "--unsafe grades without one: students' code can then do all that you can"


class Landlock:
    """The user's own file system, of which the kernel lets a submission see next to nothing."""

    name = "Landlock and seccomp"
    warning = (
        "this machine allows no namespaces, so submissions are kept in by Landlock and seccomp: "
        "the disk has no quota, and code that starts processes or opens sockets fails"
    )

    def defect(self) -> str:
        return confine.defect()

    def command(self, place: Place) -> list[str]:
        return _shared_command(place)

    def environment(self, place: Place) -> dict[str, str]:
        home = str(_submission(place))
        return environment(place, home, str(INSIDE)) | {"TMPDIR": home}

    def told(self) -> dict:
        return {"readable": [*SYSTEM, *python_folders(), str(INSIDE)]}


class Nothing:
    """Limits hold, and submissions can read and write whatever the user can."""

    name = "none"
    warning = "students' code can do all that you can"

    def defect(self) -> str:
        return ""

    def command(self, place: Place) -> list[str]:
        return _shared_command(place)

    def environment(self, place: Place) -> dict[str, str]:
        return os.environ | environment(place, str(place.folder), str(INSIDE))

    def told(self) -> dict:
        return {}


def best_way(unsafe: bool = False) -> Way:
    """The safest way that this machine has.

    Raises
    ------
    Problem
        If it has none, and ``unsafe`` does not say to go on without.
    """
    bubblewrap, landlock = Bubblewrap(), Landlock()
    if not (lacking := bubblewrap.defect()):
        return bubblewrap
    if not (lacking_too := landlock.defect()):
        return landlock
    if unsafe:
        return Nothing()
    raise Problem(f"no sandbox: {lacking}; {lacking_too}. {UNSAFE}")


def _submission(place: Place) -> Path:
    folder = place.folder / "submission"
    folder.mkdir(exist_ok=True)
    return folder


def _shared_command(place: Place) -> list[str]:
    python = [sys.executable, str(INSIDE / "warm.py"), "shared"]
    return [*python, *map(str, place.pipes), str(_submission(place))]
