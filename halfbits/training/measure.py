"""Measure a device: durations, memory, operations of a step, and the fastest matrix product."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

from halfbits.memory import saving, training_bytes
from halfbits.precision import Plan

# torch counts attention's products on GPUs only; the CPU's operation has the same arguments.
_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (
        lambda query, key, value, *_, out_shape=None, **__: sdpa_flop_count(query, key, value)
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda grad, query, key, value, *_, out_shape=None, **__: sdpa_backward_flop_count(
            grad, query, key, value
        )
    ),
}
_LONG = 100  # ms: a product that takes longer is not tried at larger sizes
_SHORT = 5  # ms: several of a product that is shorter are timed together, on a GPU
COUNTED = "counted: weights, gradients, optimizer state and what is saved for backward"
ALLOCATED = "peak of torch.cuda.max_memory_allocated"


class Clock:
    """Times what runs inside ``with clock:``; on CUDA with events, so that nothing waits."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pairs: list[tuple[Any, Any]] = []

    def _now(self) -> Any:
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record(torch.cuda.current_stream(self.device))
            return event
        synchronize(self.device)
        return time.perf_counter()

    def __enter__(self) -> None:
        self._start = self._now()

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:  # what did not end has no duration
            self._pairs.append((self._start, self._now()))

    def forget(self) -> None:
        """Drop the last duration."""
        self._pairs.pop()

    def take(self) -> list[float]:
        """All durations since the last time, in ms, once the device has done what it was given."""
        synchronize(self.device)
        pairs, self._pairs = self._pairs, []
        if self.device.type == "cuda":
            return [start.elapsed_time(end) for start, end in pairs]
        return [1e3 * (end - start) for start, end in pairs]


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def bench(
    call: Callable[[], Any], device: torch.device, warmup: int = 2, repeats: int = 5, inner: int = 1
) -> list[float]:
    """Time a call, in ms for one.

    Parameters
    ----------
    call
        What is timed.
    device
        Where it computes.
    warmup
        Untimed calls before: kernels are chosen, memory is fetched.
    repeats, inner
        Number of results, each over ``inner`` calls in a row.
    """
    for _ in range(warmup):
        call()
    clock = Clock(device)
    for _ in range(repeats):
        with clock:
            for _ in range(inner):
                call()
    return [ms / inner for ms in clock.take()]


# The three products of a linear layer: forward, gradient of the input, gradient of the weights.
_PRODUCTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a @ b.T": lambda a: a @ a.T,
    "a @ b": lambda a: a @ a,
    "a.T @ b": lambda a: a.T @ a,
}


def matmul_ladder(plan: Plan, sizes: tuple[int, ...] | None = None) -> list[dict[str, Any]]:
    """Time products of square matrices in a setting's format, from small to large.

    Parameters
    ----------
    plan
        ``setting("tf32").on("cuda")``.
    sizes
        Ascending; by default from 256 to 16384 on a GPU and from 64 to 1024 on a CPU. A product
        that takes more than a tenth of a second is not tried at larger sizes.

    Returns
    -------
    list of dict
        ``size``; ``product``, the fastest of the three that a linear layer's training needs;
        ``ms``, its median of 5; ``flops_per_second``, 2 n³ over its fastest of 5.
    """
    gpu = plan.device.type != "cpu"
    sizes = sizes or tuple(2**k for k in (range(8, 15) if gpu else range(6, 11)))
    dtype = plan.precision.autocast or plan.precision.parameters
    steps: list[dict[str, Any]] = []
    products = dict(_PRODUCTS)
    with plan.active(), torch.no_grad():
        for size in sizes:
            generator = torch.Generator().manual_seed(0)
            a = torch.randn(size, size, generator=generator).to(plan.device, dtype)
            times = {name: _time(product, a, gpu) for name, product in products.items()}
            best = min(times, key=lambda name: min(times[name]))
            fastest, median = min(times[best]), statistics.median(times[best])
            step = {"size": size, "product": best, "ms": median}
            steps.append(step | {"flops_per_second": 2e3 * size**3 / fastest})
            products = {name: _PRODUCTS[name] for name in times if min(times[name]) < _LONG}
            if not products:
                break
    return steps


def _time(
    product: Callable[[torch.Tensor], torch.Tensor], a: torch.Tensor, gpu: bool
) -> list[float]:
    [first] = bench(lambda: product(a), a.device, warmup=1, repeats=1)
    if first > _LONG:
        return [first]
    inner = 10 if gpu and first < _SHORT else 1
    return bench(lambda: product(a), a.device, warmup=0, inner=inner)


_CEILINGS: dict[tuple[str, str], float] = {}


def matmul_ceiling(plan: Plan) -> float:
    """FLOP/s of the fastest product on the ladder; measured once for a device and a format."""
    key = str(plan.device), plan.precision.format
    if key not in _CEILINGS:
        _CEILINGS[key] = max(step["flops_per_second"] for step in matmul_ladder(plan))
    return _CEILINGS[key]


def reset_peak(device: torch.device) -> None:
    """Begin to look for the peak of allocated memory."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device, before: int | None) -> int | None:
    """Peak of allocated memory since :func:`reset_peak` on CUDA, or ``before`` if that is more."""
    if device.type != "cuda":
        return before
    return max(torch.cuda.max_memory_allocated(device), before or 0)


@contextmanager
def inspected(
    model: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
) -> Iterator[dict[str, Any]]:
    """Count a training step's floating-point operations and, where no allocator tells, its bytes.

    The step runs as it would without: the same operations on the same numbers.

    Yields
    ------
    dict
        After the step: ``flops``; not on CUDA ``peak_bytes``.
    """
    found: dict[str, Any] = {}
    counter = FlopCounterMode(display=False, custom_mapping=_ATTENTION)
    with counter:
        if device.type == "cuda":
            yield found
        else:
            with saving(model) as saved:
                yield found
            kept = training_bytes(model, optimizer).total
            found["peak_bytes"] = kept + sum(each.bytes for each in saved)
    found["flops"] = counter.get_total_flops()
