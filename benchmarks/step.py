"""What the scripts of ``benchmarks/gpu.sh`` share: their options, and a record that says whence."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from halfbits.benchmark.provenance import provenance
from halfbits.benchmark.results import write_result
from halfbits.devices import PrecisionError, abilities, default_device

Measured = dict[str, Any]


def options(about: str) -> argparse.ArgumentParser:
    """Make a parser with --device, --quick and --out."""
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    add = parser.add_argument
    add("--device", default=default_device(), help="cpu, cuda or mps")
    add("--quick", action="store_true", help="small shapes, to see that all of it works")
    add("--out", type=Path, required=True, metavar="FILE.json")
    return parser


def record(
    name: str,
    chosen: argparse.Namespace,
    measure: Callable[[torch.device, bool], Measured],
    packages: tuple[str, ...] = (),
) -> int:
    """Measure, and write what was found with where, when and by which command.

    Parameters
    ----------
    name
        What kind of record it is.
    chosen
        What :func:`options` read.
    measure
        Called with the device and whether it shall be quick; gives plain data.
    packages
        Whose versions matter besides torch.

    Returns
    -------
    int
        Exit status: 2 if the device is not there.
    """
    try:
        device = abilities(chosen.device).device
    except PrecisionError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    about = {"benchmark": name, "device": device.type, "quick": chosen.quick}
    about |= provenance(device, packages)
    write_result(chosen.out, about | measure(device, chosen.quick) | {"complete": True})
    return 0


def tried(call: Callable[[], Any]) -> Any:
    """What a call gives, or in one line how it fails."""
    try:
        return call()
    except Exception as error:
        said = next(iter(str(error).strip().splitlines()), "")
        return f"{type(error).__name__}: {said}"[:200]
