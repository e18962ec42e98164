"""Run whole solved lessons, each in a kernel of its own, on the GPU if there is one.

    python benchmarks/lessons.py 04 05 06 07
    python benchmarks/lessons.py --device cpu 06

A lesson that fails is named with its first error. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from nbclient import NotebookClient  # noqa: E402
from nbclient.exceptions import CellExecutionError  # noqa: E402

from grader.build import files, source_notebook  # noqa: E402
from grader.units import Unit, find_units  # noqa: E402
from halfbits.benchmark.provenance import provenance  # noqa: E402


def main() -> int:
    """Run the lessons; 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("units", nargs="+", metavar="UNIT")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    chosen = parser.parse_args()
    if chosen.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch  # after the line above, so that it holds here, too

    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("torch sees no CUDA GPU here: --device cpu runs the lessons without", file=sys.stderr)
        return 2
    results = [run(unit) for unit in find_units(chosen.units)]
    for result in results:
        print(f"{result['unit']}: {result['seconds']} s, {result['error'] or 'no error'}")
    about = provenance(torch.device(chosen.device))
    print(json.dumps({"benchmark": "lessons", "results": results} | about))
    return 1 if any(result["error"] for result in results) else 0


def run(unit: Unit) -> dict:
    """Run a lesson with its solutions where its files lie."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / unit.name
        folder.mkdir()
        for name, content in files(unit).items():
            (folder / name).write_bytes(content)
        options = {"timeout": 900, "kernel_name": "python3"}
        options["resources"] = {"metadata": {"path": str(folder)}}
        start, error = time.perf_counter(), None
        try:
            NotebookClient(source_notebook(unit), **options).execute()
        except CellExecutionError as found:
            error = f"{found.ename}: {found.evalue}".splitlines()[0][:300]
        return {
            "unit": unit.name,
            "seconds": round(time.perf_counter() - start, 1),
            "error": error,
        }


if __name__ == "__main__":
    sys.exit(main())
