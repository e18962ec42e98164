"""Run one submission: its cells in order, and at each check the cases on the student's function.

Everything is reported at once, cell by cell, so what has been earned is safe whatever follows.
Hidden cases come when all cells have run (:mod:`late`), and meet the functions as they were when
their check was reached.
"""

from __future__ import annotations

import base64
import json
import os
import random
import select
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from late import ASKS
from shell import Shell

from halfbits.checking import DRIVERS_FILE, CheckFailed
from halfbits.checking.checks import load_drivers
from halfbits.checking.observe import NotAttempted, observe


@dataclass(frozen=True)
class Attempt:
    """A student's function when its check is reached, and all names of the notebook by then.

    ``problem`` says why it cannot be driven, if it cannot.
    """

    function: Any
    drive: Callable | None
    names: dict[str, Any]
    problem: str = ""


def run_job(job: dict, shell: Shell, results: int, late: Callable[[], dict]) -> None:
    """Run a job in the current, empty folder and write a frame for each cell.

    Parameters
    ----------
    job
        ``files`` (contents in base64 by name), ``cells`` (each with ``role`` "run", ``source`` and
        whether its pictures are drawn, ``draws``, or ``role`` "check" with ``exercise``,
        ``driven`` and ``cases``, or with ``hidden``), ``seed``.
    shell
        A fresh one.
    results
        File descriptor to write frames to: four bytes with the length, then JSON.
    late
        Waits for the hidden cases, by the number of their cell as a string.
    """
    for name, content in job["files"].items():
        Path(name).write_bytes(base64.b64decode(content))
    random.seed(job["seed"])
    np.random.seed(job["seed"] % 2**32)
    torch.manual_seed(job["seed"])
    os.environ["NBGRADER_EXECUTION"] = "autograde"
    names, attempts = vars(sys.modules["__main__"]), {}
    for number, cell in enumerate(job["cells"]):
        if cell["role"] == "run":
            found = {"outputs": shell.run(cell["source"], cell["draws"])}
        elif cell["hidden"]:
            attempts[number], found = _attempt(cell, names), {}
        else:
            found = _observe(_attempt(cell, names), cell["cases"])
        write_frame(results, {"cell": number} | found)
    write_frame(results, ASKS)
    cases = late()
    for number, attempt in attempts.items():
        names.clear()
        names.update(attempt.names)
        write_frame(results, {"cell": number} | _observe(attempt, cases[str(number)]))
    write_frame(results, {"end": True})


def write_frame(fd: int, frame: dict) -> None:
    """Write one frame whole."""
    body = json.dumps(frame, default=str).encode("utf-8", "backslashreplace")
    data = struct.pack(">I", len(body)) + body
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # a cell has asked for that
            select.select([], [fd], [])


def _attempt(cell: dict, names: dict[str, Any]) -> Attempt:
    drive, problem = None, ""
    if cell["driven"]:
        try:
            drive = load_drivers(Path(DRIVERS_FILE))[cell["exercise"]]
        except CheckFailed as error:
            problem = str(error)
    return Attempt(names.get(cell["exercise"]), drive, dict(names), problem)


def _observe(attempt: Attempt, cases: list[dict]) -> dict[str, Any]:
    if attempt.problem:
        return {"state": "broken", "problem": attempt.problem}
    if not callable(attempt.function):
        return {"state": "missing"}
    try:
        seen, printed = observe(attempt.function, cases, attempt.drive)
    except NotAttempted:
        return {"state": "not attempted"}
    observations = [[one.output, one.problem] for one in seen]
    return {"state": "observed", "observations": observations, "printed": printed}
