"""Run one submission: its cells in order, and at each check the cases on the student's function.

Everything is reported at once, cell by cell, so what has been earned is safe whatever follows.
"""

from __future__ import annotations

import base64
import json
import os
import random
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shell import Shell

from halfbits.checking import DRIVERS_FILE, CheckFailed
from halfbits.checking.checks import load_drivers
from halfbits.checking.observe import NotAttempted, observe


def run_job(job: dict, shell: Shell, results: int) -> None:
    """Run a job in the current, empty folder and write a frame for each cell.

    Parameters
    ----------
    job
        ``files`` (contents in base64 by name), ``cells`` (each with ``role`` "run", ``source`` and
        whether its pictures are drawn, ``draws``, or ``role`` "check" with ``exercise``,
        ``cases``, ``driven``), ``seed``.
    shell
        A fresh one.
    results
        File descriptor to write frames to: four bytes with the length, then JSON.
    """
    for name, content in job["files"].items():
        Path(name).write_bytes(base64.b64decode(content))
    random.seed(job["seed"])
    np.random.seed(job["seed"] % 2**32)
    torch.manual_seed(job["seed"])
    os.environ["NBGRADER_EXECUTION"] = "autograde"
    for number, cell in enumerate(job["cells"]):
        if cell["role"] == "run":
            outputs = shell.run(cell["source"], cell["draws"])
            write_frame(results, {"cell": number, "outputs": outputs})
        else:
            write_frame(results, {"cell": number} | _observe(cell))
    write_frame(results, {"end": True})


def write_frame(fd: int, frame: dict) -> None:
    """Write one frame whole."""
    body = json.dumps(frame, default=str).encode("utf-8", "backslashreplace")
    data = struct.pack(">I", len(body)) + body
    while data:
        data = data[os.write(fd, data) :]


def _observe(cell: dict) -> dict[str, Any]:
    function = getattr(sys.modules["__main__"], cell["exercise"], None)
    if not callable(function):
        return {"state": "missing"}
    try:
        drive = load_drivers(Path(DRIVERS_FILE))[cell["exercise"]] if cell["driven"] else None
        seen, printed = observe(function, cell["cases"], drive)
    except NotAttempted:
        return {"state": "not attempted"}
    except CheckFailed as problem:
        return {"state": "broken", "problem": str(problem)}
    observations = [[one.output, one.problem] for one in seen]
    return {"state": "observed", "observations": observations, "printed": printed}
