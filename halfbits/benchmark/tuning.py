"""The way from fp32 to the fastest step: one change at a time, with the loss curve as a check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from halfbits.benchmark.measuring import BASELINE, Say, attempt, relate
from halfbits.benchmark.workloads import Counts, Workload


@dataclass(frozen=True)
class Rung:
    """One step of the ladder: what is changed, and all that is switched on by then."""

    change: str
    precision: str
    fused: bool = False
    compile: str | None = None  # mode of torch.compile


_PLAIN, _SEARCH = "default", "max-autotune-no-cudagraphs"
RUNGS = (
    Rung("fp32", BASELINE),
    Rung("products in tf32", "tf32"),
    Rung("bf16 autocast", "bf16-mixed"),
    Rung("+ fused Adam", "bf16-mixed", fused=True),
    Rung("+ torch.compile", "bf16-mixed", fused=True, compile=_PLAIN),
    Rung("+ a search for the fastest kernels", "bf16-mixed", fused=True, compile=_SEARCH),
    Rung("the same in fp16 with a scaler", "16-mixed", fused=True, compile=_PLAIN),
    Rung("tf32 with all of it", "tf32", fused=True, compile=_PLAIN),
    Rung("all in bf16, without master weights", "bf16-true", fused=True, compile=_PLAIN),
)


def tune(
    workload: Workload,
    device: str,
    matmul: dict[str, Any],
    say: Say,
    compiler: Callable[..., Any] = torch.compile,
) -> dict[str, Any]:
    """Climb the ladder, without dropout: the same weights, data and, up to rounding, losses.

    Returns
    -------
    dict
        ``rungs``: for each what :func:`halfbits.benchmark.measuring.summary` gives, by its change.
    """
    workload = workload.without_dropout()
    count = workload.parameter_counts()
    results: dict[str, Any] = {}
    for rung in RUNGS:
        say(f"{workload.name}, {rung.change}")
        options: dict[str, Any] = {"optimizer": workload.adam(fused=rung.fused or None)}
        if rung.compile:
            torch.compiler.reset()
            options["compiled"] = compiler(workload.loss, mode=rung.compile)
        result = _attempt(workload, rung, device, matmul, count, options)
        results[rung.change] = result | {"precision": rung.precision}
    relate(results, results[RUNGS[0].change])
    return {"about": f"{workload.about}, without dropout", "rungs": results}


def _attempt(
    workload: Workload,
    rung: Rung,
    device: str,
    matmul: dict[str, Any],
    count: Counts,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Train once; a compiler that is missing or fails is a reason, not the end."""
    try:
        return attempt(workload, rung.precision, device, matmul, count, **options)
    except Exception as error:
        if not rung.compile:
            raise
        said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return {"not_measured": f"torch.compile failed: {said}"}
