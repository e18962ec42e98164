"""Work for which one core is too slow."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def on_every_core(function: Callable, *arguments: Iterable) -> Iterator[Any]:
    """Like ``map``, each call in a process of one thread; what they raise is raised here.

    A single call needs no other process.
    """
    calls = list(zip(*arguments, strict=False))
    if len(calls) == 1:
        yield function(*calls[0])
        return
    new = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    count = min(len(calls), os.cpu_count() or 1)
    with ProcessPoolExecutor(count, mp_context=new, initializer=_one_thread) as pool:
        yield from pool.map(function, *zip(*calls, strict=True))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
