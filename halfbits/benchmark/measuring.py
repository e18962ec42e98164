"""Train a workload in every setting and note what was measured, or why something was not."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from halfbits.benchmark.workloads import SEED, Counts, Workload
from halfbits.precision import Plan, PrecisionError, setting
from halfbits.training import Run, TooLittleMemory, fit, matmul_ladder

BASELINE = "32-true"
LIMIT = 60.0  # seconds that a setting may train after the warm-up; at least one step is timed
Say = Callable[[str], None]
Ceilings = dict[str, float]


def ladders(names: Iterable[str], device: str, say: Say) -> dict[str, Any]:
    """Time matrix products of each setting's format, from small to large."""
    found: dict[str, Any] = {}
    for name in names:
        wanted = setting(name)
        if wanted.format in found:
            continue
        say(f"matrix products in {wanted.format}")
        try:
            steps = matmul_ladder(wanted.on(device))
        except PrecisionError as error:
            found[wanted.format] = {"not_measured": str(error)}
            continue
        ceiling = max(step["flops_per_second"] for step in steps)
        found[wanted.format] = {"ladder": steps, "ceiling": ceiling}
    return found


def compare(
    workload: Workload, names: Iterable[str], device: str, matmul: dict[str, Any], say: Say
) -> dict[str, Any]:
    """Train a workload in each setting, in fp32 first and, to see how steady it is, last.

    Returns
    -------
    dict
        ``about``, ``shape``, ``batch``, ``parameters``; in ``settings`` for each what
        :func:`summary` gives, or ``not_measured`` and why; ``again_ms``, the last fp32's step.
    """
    order = [BASELINE, *(name for name in names if name != BASELINE)]
    count = workload.parameter_counts()
    results: dict[str, Any] = {}
    for name in order:
        say(f"{workload.name} in {name}")
        results[name] = attempt(workload, name, device, matmul, count)
    say(f"{workload.name} in {BASELINE} again")
    again = attempt(workload, BASELINE, device, matmul, count)
    relate(results, results[BASELINE])
    return {
        "about": workload.about,
        "shape": workload.shape,
        "batch": workload.batch,
        "learning_rate": workload.learning_rate,
        "seed": SEED,
        "parameters": count.all,
        "settings": results,
        "again_ms": again.get("step_ms"),
    }


def attempt(
    workload: Workload,
    name: str,
    device: str,
    matmul: dict[str, Any],
    count: Counts,
    **options: Any,
) -> dict[str, Any]:
    """Train once, or say why it was not possible here.

    Parameters
    ----------
    options
        Of :func:`halfbits.training.fit`.
    """
    try:
        plan = setting(name).on(device)
        ceiling = matmul.get(plan.precision.format, {}).get("ceiling")
        if reason := too_long(workload, count.matrices, ceiling):
            return {"not_measured": reason}
        return summary(train(workload, plan, ceiling, **options))
    except (PrecisionError, TooLittleMemory) as error:
        return {"not_measured": str(error)}
    finally:
        gc.collect()
        if device.startswith("cuda") and torch.cuda.is_available():
            torch.cuda.empty_cache()


def train(workload: Workload, plan: Plan, ceiling: float | None, **options: Any) -> Run:
    """Train a workload once, on and on also when it diverges: steps take as long."""
    run = fit(
        workload.model(),
        _until(workload.batches(), LIMIT, workload.warmup),
        precision=plan.precision,
        device=plan.device,
        loss=workload.loss,
        unit=workload.unit,
        seed=SEED,
        warmup=workload.warmup,
        watch=10 if plan.device.type == "cuda" else 1,
        stop_if_diverged=False,
        progress=False,
        **{"optimizer": workload.adam()} | options,
    )
    if run.interrupted:
        raise KeyboardInterrupt
    run.ceiling = ceiling
    return run


def _until(batches: Iterator[Any], seconds: float, warmup: int) -> Iterator[Any]:
    """Stop some time after the warm-up, in which torch.compile may work for long."""
    end = math.inf
    for number, batch in enumerate(batches):
        if number == warmup:
            end = time.perf_counter() + seconds
        elif time.perf_counter() > end:
            return
        yield batch


def too_long(workload: Workload, weights: int, ceiling: float | None) -> str | None:
    """Say how long a step would take at least, if that is more than the limit."""
    if not ceiling:
        return None
    tokens = workload.batch * workload.shape["context"]
    seconds = 6 * weights * tokens / ceiling
    if seconds <= LIMIT:
        return None
    return (
        f"a step would take about {seconds / 60:.0f} minutes at the speed of this device's matrix "
        f"products; --quick has shapes for it"
    )


def summary(run: Run) -> dict[str, Any]:
    """Choose what of a run is kept in a result, as plain data."""
    kept = run.to_dict()
    return {
        "step_ms": run.median_ms,
        "quartiles_ms": run.quartiles_ms,
        "timed_steps": len(run.step_ms),
        "per_second": run.per_second,
        "unit": run.unit,
        "peak_bytes": run.peak_bytes,
        "peak_kind": run.peak_kind,
        "flops": run.flops,
        "flops_per_second": run.flops_per_second,
        "ceiling": run.ceiling,
        "share_of_ceiling": run.share_of_ceiling,
        "losses": kept["losses"],
        "skipped": run.skipped,
        "diverged": str(run.diverged) if run.diverged else None,
        "hint": run.hint,
        "seconds": run.seconds,
    }


def relate(results: dict[str, Any], base: dict[str, Any]) -> None:
    """Add to each result how much faster a step is than fp32's, and how far losses are from it."""
    if "not_measured" in base:
        return
    for result in results.values():
        if "not_measured" not in result:
            result["speedup"] = base["step_ms"] / result["step_ms"]
            result["loss_gap"] = loss_gap(result["losses"], base["losses"])


def loss_gap(losses: list[float | None], base: list[float | None]) -> float | None:
    """Mean absolute distance of two loss curves over the steps of both; None if one has a NaN."""
    pairs = list(zip(losses, base, strict=False))
    if any(None in pair for pair in pairs):
        return None
    return statistics.fmean(abs(a - b) for a, b in pairs)
