"""``check("ulp")``: try the function of that name in the notebook, and say what it got wrong.

The cases come from ``checks.json`` beside the notebook, which the course's build writes. In
JupyterLab ``check`` shows a table and never raises, so Run All reaches the end; while nbgrader
validates or grades (it sets NBGRADER_EXECUTION), an answer that fails raises CheckFailed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.display import display

from halfbits.checking import CHECKS_FILE, DRIVERS_FILE, CheckFailed
from halfbits.checking.judge import Verdict, judge
from halfbits.checking.observe import NotAttempted, observe
from halfbits.checking.payload import unpack
from halfbits.checking.report import Report


def check(exercise: str) -> None:
    """Run the visible cases of an exercise on the notebook's function of that name.

    Raises
    ------
    CheckFailed
        If the notebook is being validated or graded and the answer is not right yet, or if
        ``checks.json`` is missing or has no such exercise.
    """
    report = _report(_visible_spec(exercise))
    display(report)
    if "NBGRADER_EXECUTION" in os.environ and not report.passed:
        raise CheckFailed(report.one_line)


def check_hidden(payload: str) -> None:
    """Run the hidden cases; show which kinds of case fail, never an input or an expected value.

    Raises
    ------
    CheckFailed
        If a case fails, or the function was not attempted.
    """
    report = _report(unpack(payload)).without_cases()
    display(report)
    if not report.passed:
        raise CheckFailed(report.one_line)


def _report(spec: dict) -> Report:
    name = spec["exercise"]
    function = _from_notebook(name)
    if function is None:
        return Report(name, defect=f"there is no function `{name}`: run the cell that defines it")
    drive = load_drivers(_beside(DRIVERS_FILE))[name] if spec["driven"] else None
    try:
        verdict, printed = try_out(spec, function, drive)
    except NotAttempted:
        return Report(name)
    return Report(name, verdict, printed)


def try_out(spec: dict, function: Callable, drive: Callable | None = None) -> tuple[Verdict, str]:
    """Observe ``function`` on the spec's cases and judge it; also what the function printed."""
    observations, printed = observe(function, spec["cases"], drive)
    return judge(spec, observations), printed


def _from_notebook(name: str) -> Callable | None:
    found: Any = getattr(sys.modules["__main__"], name, None)
    return found if callable(found) else None


def _visible_spec(exercise: str) -> dict:
    path = _beside(CHECKS_FILE)
    try:
        specs = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CheckFailed(
            f"{CHECKS_FILE} cannot be read here: put the notebook back into its unit's folder"
        ) from None
    if exercise not in specs:
        raise CheckFailed(f"no exercise {exercise!r} here; there are {', '.join(specs)}")
    return specs[exercise]


def load_drivers(path: Path) -> dict[str, Callable]:
    """The functions of a ``drivers.py``, by name.

    Raises
    ------
    CheckFailed
        If the file is not there or cannot be run.
    """
    space: dict[str, Any] = {"__name__": "drivers", "__file__": str(path)}
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)
    except Exception:
        raise CheckFailed(
            f"{DRIVERS_FILE} cannot be used here: put the notebook back into its unit's folder"
        ) from None
    return {name: value for name, value in space.items() if callable(value)}


def _beside(name: str) -> Path:
    """A file beside the notebook; for an author in solutions/UNIT, in course/UNIT."""
    here = Path.cwd()
    beside = here / name
    return beside if beside.exists() else here.parent.parent / "course" / here.name / name
