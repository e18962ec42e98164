"""What a large class takes on many machines, from the recorded cost of a job.

    python benchmarks/scaling.py [RESULT.json]

Prints the table of docs/scaling.md. Nothing here is measured on many machines: it is arithmetic on
what ``benchmarks/grading.py`` measured on one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

RESULT = Path(__file__).parent / "results" / "grading_01.json"
STUDENTS = 10_000
MACHINES = (1, 5, 20)
CORES = 8  # of each machine, a worker on each


def minutes(measured: dict, machines: int, students: int = STUDENTS) -> tuple[float, float]:
    """Minutes for the jobs, spread over all cores, and for the one writer.

    They run side by side, so that the longer one is what the class takes.
    """
    jobs = students * measured["job_seconds"] / (machines * CORES)
    return jobs / 60, students * measured["writer_seconds"] / 60


def as_markdown(measured: dict) -> str:
    """The table for each number of machines."""
    lines = [
        f"| machines with {CORES} cores | jobs, minutes | writer, minutes | the class, minutes |",
        "|---:|---:|---:|---:|",
    ]
    for machines in MACHINES:
        jobs, writer = minutes(measured, machines)
        lines.append(f"| {machines} | {jobs:.1f} | {writer:.1f} | {max(jobs, writer):.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULT
    print(as_markdown(json.loads(path.read_text(encoding="utf-8"))))
