"""Measure this machine in every precision setting.

    python -m halfbits.benchmark --quick               # a laptop's CPU: under two minutes
    python -m halfbits.benchmark --out gpu.json        # a GPU: all settings, DistilBERT and GPT-2
    python -m halfbits.benchmark --tune --out gpu.json # and the way to the fastest step
    python -m halfbits.benchmark show gpu.json quick.json --plot speed.svg

Without --out the last line printed is the result as one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from halfbits.benchmark.measuring import compare, ladders
from halfbits.benchmark.provenance import provenance
from halfbits.benchmark.results import FORMAT, ResultError, read_result, rounded, write_result
from halfbits.benchmark.show import show_table, title
from halfbits.benchmark.tuning import RUNGS, tune
from halfbits.benchmark.workloads import WORKLOADS, workloads
from halfbits.devices import default_device
from halfbits.precision import SETTINGS, PrecisionError, abilities, setting

MATMUL = "matmul"


def main(arguments: list[str] | None = None) -> int:
    """Measure, or show results; exit status 2 for what cannot be done, 130 after Ctrl+C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return show(arguments[1:]) if arguments[:1] == ["show"] else measure(arguments)
    except (PrecisionError, ResultError, OSError) as error:
        print(f"halfbits.benchmark: {error}", file=sys.stderr)
        return 2


def measure(arguments: list[str]) -> int:
    """Measure what is asked for; what is done by Ctrl+C is kept."""
    chosen = _parser().parse_args(arguments)
    device = chosen.device or default_device()
    name = abilities(device).name
    settings = [setting(each).name for each in chosen.settings or SETTINGS]
    print(f"measuring {name}" + (", small shapes" if chosen.quick else ""), file=sys.stderr)
    result: dict[str, Any] = {
        "format": FORMAT,
        "device": torch.device(device).type,
        "quick": chosen.quick,
        "complete": False,
        **provenance(torch.device(device), command=["-m", "halfbits.benchmark", *arguments]),
        "matmul": {},
        "workloads": {},
        "tune": {},
    }
    try:
        _measure_all(result, chosen, settings, device)
        result["complete"] = True
    except KeyboardInterrupt:
        print("interrupted: here is what was done until then", file=sys.stderr)
    print(show_table(rounded(result)))
    if chosen.out:
        write_result(chosen.out, result)
        print(f"\nwritten to {chosen.out}")
    else:
        print("\n" + json.dumps(rounded(result), allow_nan=False))
    return 0 if result["complete"] else 130


def _measure_all(
    result: dict[str, Any], chosen: argparse.Namespace, settings: list[str], device: str
) -> None:
    tunes, compares = chosen.tune or chosen.tune_only, not chosen.tune_only
    needed = ["32-true", *settings * compares, *(rung.precision for rung in RUNGS if tunes)]
    result["matmul"] = ladders(needed, device, _say)
    for name, workload in workloads(chosen.quick).items():
        if compares and name in chosen.workloads:
            result["workloads"][name] = compare(workload, settings, device, result["matmul"], _say)
    for name, workload in workloads(chosen.quick).items():
        if tunes and name in chosen.workloads:
            result["tune"][name] = tune(workload, device, result["matmul"], _say)


def _say(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)


def show(arguments: list[str]) -> int:
    """Print tables of results and, if asked, draw them."""
    parser = argparse.ArgumentParser(prog="python -m halfbits.benchmark show")
    parser.add_argument("files", nargs="+", type=Path, help="results")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw them, too")
    chosen = parser.parse_args(arguments)
    results = [read_result(path) for path in chosen.files]
    for path, result in zip(chosen.files, results, strict=True):
        try:
            print(show_table(result), end="\n\n")
        except (AttributeError, KeyError, IndexError, TypeError, ValueError):
            raise ResultError(
                f"{path} is damaged: its insides are not whole; measure anew"
            ) from None
    if chosen.plot:
        from halfbits.pictures.benchmarks import benchmark_speed  # matplotlib, only when needed

        if chosen.plot.suffix != ".svg":
            raise ResultError(f"the plot is an SVG: {chosen.plot.with_suffix('.svg')}")
        chosen.plot.write_text(benchmark_speed(*results).svg, encoding="utf-8")
        print(f"drawn in {chosen.plot}: {', '.join(map(title, results))}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m halfbits.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    every = [MATMUL, *WORKLOADS]
    add("--device", help="cpu, cuda or mps; by default a GPU if there is one")
    add("--quick", action="store_true", help="small shapes: under two minutes on a laptop's CPU")
    add("--settings", nargs="+", metavar="SETTING", help=f"by default {' '.join(SETTINGS)}")
    add("--workloads", nargs="+", choices=every, default=every, help="matmul is always measured")
    add("--tune", action="store_true", help="the way from fp32 to the fastest step, rung by rung")
    add("--tune-only", action="store_true", help="that way and nothing else")
    add("--out", type=Path, metavar="FILE", help="write the result there, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
