"""Where jobs run: in sandboxes on this machine, or on the machines of a Dask cluster.

A job is plain data, and so is what comes of it: nothing that a student made is ever pickled.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from grader.problem import Problem
from grader.sandbox import Limits, Ran, Sandbox
from grader.ways import Way, best_way


class Runner:
    """Runs jobs somewhere; ``slots`` is how many at a time."""

    def __init__(self, executor: Executor, slots: int) -> None:
        self._executor = executor
        self.slots = slots

    def submit(self, job: dict) -> Future:
        """Run a job; the future's result is a :class:`~grader.sandbox.Ran`."""
        raise NotImplementedError


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
            return run_twice_if_lost(box, job)
        finally:
            self._idle.put(box)


class ClusterRunner(Runner):
    """The workers of a Dask scheduler, each with a sandbox of its own."""

    def __init__(
        self, executor: Executor, slots: int, limits: Limits, modules: tuple[str, ...]
    ) -> None:
        super().__init__(executor, slots)
        self._limits, self._modules = limits, modules

    def submit(self, job: dict) -> Future:
        return self._executor.submit(run_on_worker, job, self._limits, self._modules)


def run_twice_if_lost(box: Sandbox, job: dict) -> Ran:
    """Run a job, and again if the sandbox was lost: not every end is the submission's doing."""
    ran = box.run(job)
    return box.run(job) if ran.lost else ran


_BOX: Sandbox | None = None


def run_on_worker(job: dict, limits: Limits, modules: tuple[str, ...]) -> Ran:
    """Run a job in this worker's sandbox, which is started when it is first needed."""
    global _BOX
    if _BOX is None:
        _BOX = Sandbox(limits, modules, way=_warned(best_way()))
    return run_twice_if_lost(_BOX, job)


def _warned(way: Way) -> Way:
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
    way = _warned(best_way(unsafe))
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


@contextmanager
def cluster(
    address: str,
    limits: Limits,
    modules: tuple[str, ...] = (),
    tls: Path | None = None,
    patience: float = 20,
) -> Iterator[Runner]:
    """Connect to a Dask scheduler.

    Parameters
    ----------
    address
        ``tls://HOST:PORT``; without TLS only on this machine, since jobs could be forged.
    modules
        What most submissions import.
    tls
        Folder with ``ca.pem``, ``cert.pem`` and ``key.pem``.
    patience
        Seconds to wait for an answer.

    Raises
    ------
    Problem
        If the address is not safe to use, or nobody answers there.
    """
    _refuse_plain(address)
    try:
        from distributed import Client
    except ImportError:
        raise Problem("grading on a cluster needs Dask: pip install '.[cluster]'") from None
    security = _security(_certificates(tls)) if address.startswith("tls://") else None
    try:
        client = Client(address, security=security, timeout=patience, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Problem(f"no scheduler answers at {address}: {error}") from None
    with client:
        slots = sum(client.nthreads().values())
        if not slots:
            raise Problem(f"the scheduler at {address} has no workers: start dask worker first")
        executor = client.get_executor(retries=3, pure=False)
        yield ClusterRunner(executor, slots, limits, modules)


def _refuse_plain(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme == "tls" or _is_loopback(parts.hostname or ""):
        return
    raise Problem(
        f"{address} is not encrypted: start the scheduler with TLS and say tls://HOST:PORT, since "
        "whoever can reach it could forge grades"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _security(files: dict[str, str]) -> Any:
    from distributed.security import Security

    return Security(**files, require_encryption=True)


def _certificates(folder: Path | None) -> dict[str, str]:
    folder = folder or Path(os.environ.get("HALFBITS_TLS", "."))
    names = {"tls_ca_file": "ca.pem", "tls_client_cert": "cert.pem", "tls_client_key": "key.pem"}
    found = {option: folder / name for option, name in names.items()}
    for path in found.values():
        if not path.exists():
            raise Problem(f"there is no {path}: say with --tls where the certificates are")
    return {option: str(path) for option, path in found.items()}
