"""The warm process: it has imported what a lesson needs, and each kernel is a fork of it.

    python parent.py SOCKET MODULE…

It says ``ready`` on standard output, serves launchers at the socket, one after another, and ends,
with the kernel that runs, when standard input does. A fork becomes an ordinary ipykernel: that
makes sockets, threads and event loops itself, as there are none here to inherit.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from importlib import import_module
from typing import Any


def main() -> None:
    place, *modules = sys.argv[1:]
    if not sys.flags.safe_path:
        del sys.path[0]  # no lesson imports from this folder
    _preload(modules)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(place)
        door.listen()
        print("ready", flush=True)
        wanted = _serve(door)
    if wanted:  # in a fork
        _become_kernel(wanted)


def _preload(modules: list[str]) -> None:
    import ipykernel.ipkernel
    import ipykernel.kernelapp  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import torch

    import halfbits

    torch.set_num_threads(1)
    for name in modules:
        with contextlib.suppress(Exception):  # the lesson will say what is wrong
            import_module(name)
    for name in halfbits.__all__:
        getattr(halfbits, name)  # which imports where it comes from
    str(halfbits.spacing("fp16").svg)  # finds fonts, which takes longer than to draw
    gc.collect()
    gc.freeze()  # what is here for good need not be looked through, and copied, in every fork
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("a process with threads cannot be forked")


def _serve(door: socket.socket) -> dict[str, Any] | None:
    """Serve until standard input ends; in a fork, return at once what its launcher wants."""
    while 0 not in select.select([door, 0], [], [])[0]:
        with door.accept()[0] as line:
            wanted, streams = _received(line)
            pid = os.fork()
            if pid == 0:
                os.setsid()
                for own, given in enumerate(streams):
                    os.dup2(given, own)
            for fd in streams:
                os.close(fd)
            if pid == 0:
                return wanted
            _attend(pid, line)
    return None


def _received(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    message, streams, _, _ = socket.recv_fds(line, 1 << 16, 3)
    while not message.endswith(b"\n") and (more := line.recv(1 << 16)):
        message += more
    return json.loads(message), streams


def _attend(pid: int, line: socket.socket) -> None:
    """Pass signals on until the kernel has ended; end it when nobody waits for it any more."""
    ended = os.pidfd_open(pid)
    while ended not in (ready := select.select([ended, line, 0], [], [])[0]):
        number = line.recv(1) if line in ready else b""
        os.kill(pid, number[0] if number else signal.SIGKILL)
    os.close(ended)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what it has started itself
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        line.send(bytes([status % 256]))


def _become_kernel(wanted: dict[str, Any]) -> None:
    import numpy
    import torch
    from ipykernel.kernelapp import IPKernelApp

    torch.seed()  # every process has random numbers of its own
    numpy.random.seed()
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"  # with which the kernel ends
    sys.argv[1:] = [*wanted["argv"], parent]
    IPKernelApp.launch_instance()
    os._exit(0)  # Python would take its time to forget what was imported


if __name__ == "__main__":
    main()
