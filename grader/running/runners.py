"""Where jobs run: in sandboxes on this machine; :mod:`grader.running.cluster` has those of others.

A job is plain data, and so is what comes of it: nothing that a student made is ever pickled.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue

from grader.running.inside.late import ASKS
from grader.running.place import Way
from grader.running.ran import Limits, Ran
from grader.running.sandbox import Sandbox
from grader.running.ways import best_way


class Runner:
    """Runs jobs somewhere; ``slots`` is how many at a time."""

    def __init__(self, executor: Executor, slots: int) -> None:
        self._executor = executor
        self.slots = slots

    def submit(self, job: dict) -> Future:
        """Run a job; :meth:`result` tells what came of it."""
        raise NotImplementedError

    def result(self, future: Future) -> Ran:
        """What came of a job that is done."""
        return future.result()

    def check(self) -> None:
        """Called now and then: raise a Problem if nothing will ever come any more."""


class LocalRunner(Runner):
    """Sandboxes side by side on this machine."""

    def __init__(self, executor: Executor, boxes: list[Sandbox]) -> None:
        super().__init__(executor, len(boxes))
        self._idle: SimpleQueue[Sandbox] = SimpleQueue()
        for box in boxes:
            self._idle.put(box)

    def submit(self, job: dict) -> Future:
        return self._executor.submit(self._run, job)

    def _run(self, job: dict) -> Ran:
        box = self._idle.get()
        try:
            return run_to_its_end(box, job)
        finally:
            self._idle.put(box)


def run_to_its_end(box: Sandbox, job: dict) -> Ran:
    """Run a job, and again if the sandbox was lost: not every end is the submission's doing.

    What ends before the hidden cases come is run once more without the cell that ended it, so that
    the functions before that cell meet theirs. Once they have come nothing is run again: what ended
    it may have kept them somewhere, to be shown by the next run's first cell.

    A job that is ``fresh`` gets a new sandbox, in which nobody has been before.
    """
    if job.pop("fresh", False):
        box.stop()
    ran = box.run(job)
    if ran.lost and ASKS not in ran.frames:
        box.stop()  # a new one: nothing of this run reaches the next
        ran = box.run(job)
    if ASKS in ran.frames:
        return ran
    hidden = {n: cases for n, cases in job["hidden"].items() if int(n) < ran.reached}
    if hidden:
        again = box.run(job | {"cells": job["cells"][: ran.reached], "hidden": hidden})
        ran.frames += [ASKS, *again.of_hidden]
    return ran


def warned(way: Way) -> Way:
    """Say what this way does not protect, where somebody reads it: a worker has a log."""
    if way.warning:
        print(f"Careful: {way.warning}.", file=sys.stderr)
    return way


@contextmanager
def local(
    count: int, limits: Limits, modules: tuple[str, ...] = (), unsafe: bool = False
) -> Iterator[Runner]:
    """Start sandboxes on this machine; they import what they need while the caller goes on.

    Parameters
    ----------
    modules
        What most submissions import: it is imported once, before them.
    unsafe
        Go on without a sandbox where none can be had.

    Raises
    ------
    Problem
        If there can be none, and ``unsafe`` is not given. If one does not start, the first job
        that it gets raises it.
    """
    way = warned(best_way(unsafe))
    threads = max(1, (os.cpu_count() or 1) // max(1, count))
    boxes = [Sandbox(limits, modules, threads, way) for _ in range(count)]
    pool = ThreadPoolExecutor(count)
    try:
        for box in boxes:
            box.start()
        yield LocalRunner(pool, boxes)
    finally:
        for box in boxes:
            box.end()  # whoever stops grading does not wait for what is running
        pool.shutdown(cancel_futures=True)
        for box in boxes:
            box.close()
