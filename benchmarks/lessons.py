"""Run whole solved lessons, each in a kernel of its own, on the GPU if there is one.

    python benchmarks/lessons.py 04 05 06 07 --out lessons.json
    python benchmarks/lessons.py --device cpu 06 --out lessons.json

A lesson is what solutions/ has, with the files of course/ beside it. Every cell runs, also after
one that failed; a cell that fails, and a check that does not pass, is named with its first line.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import jupytext  # noqa: E402
import torch  # noqa: E402
from nbclient import NotebookClient  # noqa: E402
from nbformat import NotebookNode  # noqa: E402

from benchmarks.step import Measured, options, record  # noqa: E402

PACKAGES = ("lightning", "transformers", "ipykernel")
TIME = 450  # seconds for a cell


def main() -> int:
    """Run the lessons; 1 if one fails, 2 for a unit or a device that is not there."""
    parser = options(__doc__)
    parser.add_argument("units", nargs="+", metavar="UNIT")
    chosen = parser.parse_args()
    folders = {unit: next(ROOT.glob(f"solutions/{unit}_*"), None) for unit in chosen.units}
    if unknown := [unit for unit, folder in folders.items() if folder is None]:
        print(f"lessons: there is no unit {', '.join(unknown)}", file=sys.stderr)
        return 2
    failures = []

    def run_all(device: torch.device, _quick: bool) -> Measured:
        if device.type == "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # for the kernels, which ask torch themselves
        lessons = [run(folder) for folder in folders.values()]
        failures.extend(each for lesson in lessons for each in lesson["failures"])
        return {"lessons": lessons}

    status = record("lessons", chosen, run_all, PACKAGES)
    print(*failures, sep="\n", end="\n" * bool(failures), file=sys.stderr)
    return status or bool(failures)


def run(folder: Path) -> Measured:
    """Run a lesson with its solutions in a copy of its folder."""
    notebook = jupytext.read(folder / f"{folder.name}.py")
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / folder.name
        place.mkdir()
        for file in (ROOT / "course" / folder.name).iterdir():
            if file.is_file() and file.suffix != ".ipynb":
                (place / file.name).write_bytes(file.read_bytes())
        start = time.perf_counter()
        resources = {"metadata": {"path": str(place)}}
        client = NotebookClient(
            notebook, timeout=TIME, kernel_name="python3", resources=resources, allow_errors=True
        )
        client.execute()
        return {
            "unit": folder.name,
            "seconds": time.perf_counter() - start,
            "cells": sum(cell.cell_type == "code" for cell in notebook.cells),
            "failures": [said for cell in notebook.cells if (said := failure(cell))],
        }


def failure(cell: NotebookNode) -> str | None:
    """Say which cell failed and how; the quiz, which nobody has answered, may."""
    name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
    if name == "quiz-score":
        return None
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            line = cell.source.strip().splitlines()[0]
            said = f"{output.ename}: {output.evalue}".splitlines()[0]
            return f"{name or line}: {said}"[:300]
    return None


if __name__ == "__main__":
    sys.exit(main())
