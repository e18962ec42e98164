"""Run jobs on the machines of a Dask cluster.

A job is plain data, and so is what comes of it: nothing that a student made is ever pickled.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from grader.problem import Problem
from grader.running.ran import Limits, Ran
from grader.running.runners import Runner, run_to_its_end, warned
from grader.running.sandbox import Sandbox
from grader.running.ways import best_way

if TYPE_CHECKING:
    from distributed import Client

LOOK = 2.0  # seconds between two looks at the scheduler
GONE = "what was graded is kept, the same command goes on from here"


class ClusterRunner(Runner):
    """The workers of a Dask scheduler, each with a sandbox of its own."""

    def __init__(
        self,
        client: Client,
        slots: int,
        limits: Limits,
        modules: tuple[str, ...],
        patience: float,
    ) -> None:
        super().__init__(client.get_executor(retries=3, pure=False), slots)
        self._client, self._limits, self._modules = client, limits, modules
        self._patience = patience
        self._looked = self._seen = time.monotonic()
        self._jobs: dict[Future, dict] = {}

    def submit(self, job: dict) -> Future:
        future = self._executor.submit(run_on_worker, job, self._limits, self._modules)
        self._jobs[future] = job
        return future

    def result(self, future: Future) -> Ran:
        from distributed import KilledWorker

        job = self._jobs.pop(future)
        try:
            return future.result()
        except TypeError:  # distributed reads as an error what came of a worker that ended then
            return self._again(job)
        except KilledWorker:
            return Ran(fault="each worker that ran it ended", lost=True)
        except (CancelledError, OSError) as error:
            raise Problem(f"the scheduler went away ({error or 'cancelled'}): {GONE}") from None

    def _again(self, job: dict) -> Ran:
        future = self.submit(job)
        while not wait([future], timeout=1).done:
            self.check()
        return self.result(future)

    def check(self) -> None:
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        running = self._client.status == "running"
        workers = self._client.scheduler_info(n_workers=-1)["workers"] if running else {}
        _refuse_threads({name: worker["nthreads"] for name, worker in workers.items()})
        if workers:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > self._patience:
            what = "no worker is left" if running else "the scheduler went away"
            raise Problem(f"{what}: {GONE}")


_BOX: Sandbox | None = None
_ONE_AT_A_TIME = threading.Lock()  # for a worker of more threads that joins in between


def run_on_worker(job: dict, limits: Limits, modules: tuple[str, ...]) -> Ran:
    """Run a job in this worker's sandbox, which is started when it is first needed."""
    global _BOX
    with _ONE_AT_A_TIME:
        if _BOX is None:
            _BOX = Sandbox(limits, modules, way=warned(best_way()))
        return run_to_its_end(_BOX, job)


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
        Seconds to wait for an answer, and for a scheduler or for workers that went away.

    Raises
    ------
    Problem
        If the address is none, or not safe to use, or if nobody answers there.
    """
    _refuse_plain(address)
    try:
        from distributed import Client
    except ImportError:
        raise Problem("grading on a cluster needs Dask: pip install '.[cluster]'") from None
    security = _security(_certificates(tls)) if address.startswith("tls://") else None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it says, we say in a line
    try:
        client = Client(address, security=security, timeout=patience, set_as_default=False)
        threads = client.nthreads()
    except (OSError, ValueError) as error:
        raise Problem(f"no scheduler answers at {address}: {error or 'in time'}") from None
    with client:
        if not threads:
            raise Problem(f"the scheduler at {address} has no workers: start dask worker first")
        _refuse_threads(threads)
        yield ClusterRunner(client, len(threads), limits, modules, patience)


def _refuse_threads(workers: dict[str, int]) -> None:
    """A worker has one sandbox, which runs one submission at a time."""
    for worker, threads in workers.items():
        if threads > 1:
            raise Problem(
                f"the worker {worker} has {threads} threads, and each worker can use one: start "
                "it with --nthreads 1, and more of them with --nworkers"
            )


def _refuse_plain(address: str) -> None:
    try:
        parts = urlsplit(address)
        complete = parts.scheme in ("tls", "tcp") and parts.hostname and parts.port
    except ValueError:
        complete = False
    if not complete:
        raise Problem(f"{address} is no scheduler's address: say tls://HOST:PORT")
    if parts.scheme == "tcp" and not _is_loopback(parts.hostname):
        raise Problem(
            f"{address} is not encrypted: start the scheduler with TLS and say tls://HOST:PORT, "
            "since whoever can reach it could forge grades"
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
