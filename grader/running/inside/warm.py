"""The warm parent: it has everything imported and runs each submission in a fork of itself.

    python warm.py alone|shared EVENTS CONTROL FOLDER…

Commands come on standard input, a line each: ``{"id": …, "size": bytes, "wall": seconds, "memory":
bytes, "processes": n, "disk": bytes}``, with ``"readable": [PATH, …]`` where Landlock is to let a
submission read those and write in the FOLDERs alone. The job follows, which the fork reads: this
process never holds it, and so the next submission cannot find it in memory. When a submission has
ended and everything that it left is gone, one line on EVENTS says how, with the command's id.
Submissions run in the first FOLDER; all are emptied after them. With each command come two pipes on
the socket CONTROL, for that submission alone: one for the cells' frames, which only the fork writes
to, and one on which it gets the key to the hidden cases (:mod:`late`). What it does to them, such
as O_NONBLOCK, ends with it.

Alone, it is the first process of a tree of its own, and ends all that a submission leaves; shared,
it is among the user's other processes and ends what belongs to the submission's session.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import json
import os
import resource
import signal
import socket
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from places import looks, wiped
from process import is_gone, private_memory, session_of, virtual_size

POLL = 0.02  # seconds between two looks at a running submission, which also its end wakes
PR_SET_DUMPABLE = 4


class Pipes(NamedTuple):
    """File descriptors of one submission: see above."""

    results: int
    keys: int


def main() -> None:
    global ALONE
    ALONE = sys.argv[1] == "alone"
    events, control = int(sys.argv[2]), socket.socket(fileno=int(sys.argv[3]))
    scratch = [Path(folder) for folder in sys.argv[4:]]
    global FIRST
    FIRST = {folder: looks(folder) for folder in scratch}
    _preload()
    _dumpable(False)  # no submission may look into this process
    wiped(FIRST)  # the first submission finds what all others do
    _say(events, {"ready": True})
    os.chdir(scratch[0])
    commands = io.FileIO(0, closefd=False)  # it reads no further than the line
    while line := commands.readline():
        command = json.loads(line)
        pipes = Pipes(*socket.recv_fds(control, 1, 2)[1])
        ran = _supervise(command, pipes, scratch, (events, control.fileno()))
        _say(events, {"id": command["id"]} | ran)


def _preload() -> None:
    """Import what notebooks import; nothing may compute in parallel before the fork."""
    gc.disable()  # what is imported stays
    import confine
    import job  # noqa: F401
    import late  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import numpy.random  # noqa: F401
    import torch
    from shell import Shell

    import halfbits

    confine.defect()  # imports what confines, while programs can still be asked where it lies
    if ALONE and (lacking := confine.seccomp_defect()):
        sys.exit(lacking)
    torch.set_num_threads(1)
    for name in os.environ.pop("HALFBITS_MODULES", "").split():
        with contextlib.suppress(Exception):  # a submission that needs it will say what is wrong
            import_module(name)
    for name in halfbits.__all__:
        getattr(halfbits, name)  # which imports where it comes from
    str(halfbits.spacing("fp16").svg)  # finds fonts, which takes longer than to draw
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    global SHELL, BASE
    SHELL = Shell.instance()  # display() asks for the one instance
    SHELL.enable_pictures()
    SHELL.run("pass")  # sets up what IPython makes when it first runs a cell
    gc.enable()
    gc.collect()
    gc.freeze()  # what is here for good need not be looked through, and copied, in every fork
    BASE = private_memory(os.getpid())


def _supervise(command: dict, pipes: Pipes, scratch: list[Path], ours: tuple[int, ...]) -> dict:
    started = time.monotonic()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # it then waits to be asked for
    pid = os.fork()
    if pid == 0:
        _become_submission(command, pipes, scratch, ours)
    for fd in pipes:
        os.close(fd)
    ended, limit, usage = None, "", None
    while ended is None:
        done, status, used = os.wait4(-1, os.WNOHANG)  # the first process reaps for all
        if done == pid:
            ended, usage = os.waitstatus_to_exitcode(status), used
        elif done:
            continue
        elif limit := limit or _limit_struck(command, started, pid):
            os.kill(pid, signal.SIGKILL)
        else:
            signal.sigtimedwait([signal.SIGCHLD], POLL)
    return {
        "exit": ended,
        "limit": limit,
        "stuck": not (_kill_rest(pid) and wiped(FIRST)),
        "wall": time.monotonic() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss * 1024,
    }


def _become_submission(
    command: dict, pipes: Pipes, scratch: list[Path], ours: tuple[int, ...]
) -> None:
    """In the fork: take limits on, run the job, and go; what is ours is closed first."""
    import confine
    import job
    from late import unseal, wait_for_key

    try:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        for fd in ours:
            os.close(fd)
        run = json.loads(_read(command["size"]))
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        _dumpable(True)
        _limit(command)
        if readable := command.get("readable"):
            confine.confine(readable, map(str, scratch))
        elif ALONE:
            confine.confine_inside()
        sealed = run.pop("sealed")

        def late() -> dict:
            return unseal(sealed, wait_for_key(pipes.keys, command["id"]))

        job.run_job(run, SHELL, pipes.results, late)
        os._exit(0)
    except BaseException as error:
        job.write_frame(pipes.results, {"broken": repr(error)})
        os._exit(70)


def _read(size: int) -> bytes:
    """The job: so many bytes of standard input."""
    found = bytearray()
    while len(found) < size and (piece := os.read(0, min(1 << 20, size - len(found)))):
        found += piece
    return bytes(found)


def _limit(command: dict) -> None:
    soft = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: command["disk"],
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_NPROC: command["processes"] + 16,
        resource.RLIMIT_AS: virtual_size() + command["memory"],
    }
    for what, value in soft.items():
        resource.setrlimit(what, (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a full file is an OSError, not an end


def _limit_struck(command: dict, started: float, session: int) -> str:
    if time.monotonic() - started > command["wall"]:
        return "time"
    pids = _running(session)
    if len(pids) > command["processes"]:
        return "processes"
    if sum(max(0, private_memory(pid) - BASE) for pid in pids) > command["memory"]:
        return "memory"
    return ""


def _running(session: int) -> list[int]:
    """The submission's processes: alone, all but the sandbox's init and this one."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    if ALONE:
        return [pid for pid in pids if pid not in (1, os.getpid())]
    return [pid for pid in pids if session_of(pid) == session]


def _kill_rest(session: int) -> bool:
    """End every process that is left; tell whether all are gone."""
    deadline = time.monotonic() + 10
    while left := [pid for pid in _running(session) if not is_gone(pid)]:
        for pid in [-1] if ALONE else left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    _reap()
    return True


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _dumpable(on: bool) -> None:
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, int(on), 0, 0, 0)


def _say(fd: int, event: dict) -> None:
    os.write(fd, json.dumps(event).encode() + b"\n")


ALONE = False
SHELL = None  # set once, before the first fork
FIRST: dict[Path, int] = {}  # how the folders looked before the first submission
BASE = 0  # bytes that every fork shares with this process

if __name__ == "__main__":
    main()
