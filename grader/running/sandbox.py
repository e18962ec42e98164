"""One bubblewrap with a warm parent in it, in which submissions run one after another.

Inside there is no network, nothing of the user's but Python and the library, all of it read-only,
a small private disk, and a process tree of its own. The warm parent
(:mod:`grader.running.inside.warm`) forks for each submission and wipes everything after it; what
goes wrong with it costs a new sandbox, a few seconds, and nobody's points.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from grader.problem import Problem
from grader.running.bubblewrap import Bubblewrap
from grader.running.frames import Frames
from grader.running.inside.late import key_line, new_key, seal
from grader.running.place import Place, Way
from grader.running.ran import Limits, Ran, fault

START_SECONDS = 120
END_SECONDS = 10  # that it may take to end, once it is killed
MOST_WORDS = 1 << 20  # bytes
GRACE = 5.0  # seconds that the warm parent gets to notice what the engine would otherwise end


class Sandbox:
    """A running warm parent, kept in by bubblewrap unless another way is named.

    Parameters
    ----------
    limits
        What one submission may use.
    modules
        Imported once, before the submissions, which then need not.
    threads
        That PyTorch computes with.
    way
        In which submissions are kept in.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        modules: tuple[str, ...] = (),
        threads: int = 1,
        way: Way | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._modules, self._threads = modules, threads
        self._way = way or Bubblewrap()
        self._folder = Path(tempfile.mkdtemp(prefix="halfbits-grading-"))
        self._process: subprocess.Popen | None = None
        self._ready = False
        self._ended = False
        self._key = b""  # to the hidden cases of what is running, until it is asked for
        self._results: int | None = None  # of what is running
        self._keys: int | None = None

    def start(self) -> None:
        """Start the warm parent; it imports everything while the caller goes on.

        The thread that starts it must live on: bubblewrap ends with the thread that made it.
        """
        _remove(self._folder)  # what one before could not remove
        self._folder.mkdir(mode=0o700)
        self._events, events = os.pipe()
        os.set_blocking(self._events, False)
        self._control, control = socket.socketpair()
        self._place = Place(
            folder=self._folder,
            disk=self.limits.disk,
            threads=self._threads,
            modules=self._modules,
            pipes=(events, control.fileno()),
        )
        self._process = subprocess.Popen(
            self._way.command(self._place),
            env=self._way.environment(self._place),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=self._place.pipes,
            start_new_session=True,
        )
        os.close(events)
        control.close()
        self._ready = False

    def wait_until_ready(self) -> None:
        """Wait until everything is imported; start again, once, what was ended before it was.

        Raises
        ------
        Problem
            If the sandbox cannot be started, or :meth:`end` was called.
        """
        if self._ended:
            raise Problem("grading was stopped")
        for attempt in (1, 2):
            if self._process is None:
                self.start()
            if self._ready or self._event(time.monotonic() + START_SECONDS, None):
                self._ready = True
                return
            said = self._last_words()
            self.stop()
            if attempt == 2 or self._ended:
                raise Problem(f"the sandbox does not start: {said}")

    def run(self, job: dict) -> Ran:
        """Run one submission; whatever it does, this returns.

        Its hidden cases, ``job["hidden"]``, reach it when all its cells have run.
        """
        self.wait_until_ready()
        key = new_key()
        sealed = {"sealed": seal(job["hidden"], key)}
        content = json.dumps({k: v for k, v in job.items() if k != "hidden"} | sealed).encode()
        command = self._way.told() | {
            "id": secrets.token_hex(8),
            "size": len(content),
            "wall": self.limits.wall,
            "memory": self.limits.memory,
            "processes": self.limits.processes,
            "disk": self.limits.disk,
        }
        ran, reader = Ran(), Frames(self.limits.output)
        self._key = key_line(command["id"], key)
        try:
            self._hand_over_pipes()
            deadline = time.monotonic() + self.limits.wall + GRACE
            self._send(json.dumps(command).encode() + b"\n" + content, deadline)
            event = self._event(deadline, reader)
        except OSError:
            event = None
        finally:
            self._close_pipes()
        if event and event["id"] != command["id"]:
            event = None
        ran.frames = reader.frames
        ran.fault = reader.fault or fault(event, self.limits, reader)
        ran.usage = {k: event[k] for k in ("wall", "cpu", "memory")} if event else {}
        # A SIGKILL that no limit sent may have come from outside, as when memory runs out.
        killed = event is None or (event["exit"] == -signal.SIGKILL and not event["limit"])
        # Before the first cell nothing is the submission's doing either.
        early = not ran.frames or "broken" in ran.frames[0]
        ran.lost = (killed or early) and not reader.fault
        if event is None or event["stuck"] or reader.fault or early:
            self.stop()
        return ran

    def end(self) -> None:
        """Let nothing more run: from any thread, also while one waits for a submission."""
        self._ended = True
        if process := self._process:
            _kill(process)

    def stop(self) -> None:
        """End it and everything in it; only for the thread that runs submissions."""
        if self._process is None:
            return
        process, self._process = self._process, None
        _kill(process)
        with contextlib.suppress(subprocess.TimeoutExpired):  # the kernel may be busy ending it
            process.wait(END_SECONDS)
        os.close(self._events)
        self._control.close()
        self._close_pipes()
        for pipe in (process.stdin, process.stderr):
            with contextlib.suppress(BrokenPipeError):  # what it was told and never read
                pipe.close()

    def close(self) -> None:
        """End it for good, when nothing waits for it any more."""
        self.stop()
        _remove(self._folder)

    def _event(self, deadline: float, reader: Frames | None) -> dict | None:
        """Wait for the warm parent's word, reading frames meanwhile; None if it died or is late."""
        said = b""
        while time.monotonic() < deadline:
            sources = [self._events, *([] if self._results is None else [self._results])]
            ready, _, _ = select.select(sources, [], [], 0.2)
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

    def _send(self, data: bytes, deadline: float) -> None:
        """Write to the warm parent, which may be stopped, or gone.

        Raises
        ------
        OSError
            If it does not read all of it.
        """
        pipe, rest = self._process.stdin.fileno(), memoryview(data)
        os.set_blocking(pipe, False)
        while rest:
            if time.monotonic() > deadline:
                raise TimeoutError("nobody reads the job")
            if select.select([], [pipe], [], 0.2)[1]:
                rest = rest[os.write(pipe, rest) :]

    def _hand_over_pipes(self) -> None:
        """Give the next submission pipes of its own: what it does to them ends with it."""
        self._results, results = os.pipe()
        keys, self._keys = os.pipe()
        for fd in (self._results, self._keys):
            os.set_blocking(fd, False)
        try:
            socket.send_fds(self._control, [b"."], [results, keys])
        finally:
            os.close(results)
            os.close(keys)

    def _close_pipes(self) -> None:
        for fd in filter(None, (self._results, self._keys)):
            os.close(fd)
        self._results = self._keys = None

    def _drain(self, reader: Frames) -> bool:
        """Read what is there; False when the limit is passed."""
        while self._results is not None:
            try:
                piece = os.read(self._results, 1 << 20)
            except BlockingIOError:
                return True
            if not piece:  # all that could write to it has ended
                os.close(self._results)
                self._results = None
                return True
            if not reader.take(piece):
                return False
            if reader.asked and self._key:
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    os.write(self._keys, self._key)
                self._key = b""
        return True

    def _last_words(self) -> str:
        """What it said last; whoever still holds the pipe is not waited for."""
        _kill(self._process)
        pipe, said = self._process.stderr.fileno(), b""
        os.set_blocking(pipe, False)
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline and len(said) < MOST_WORDS:
            if not select.select([pipe], [], [], 0.2)[0]:
                if self._process.poll() is not None:
                    break
                continue
            if not (piece := os.read(pipe, 65536)):
                break
            said += piece
        text = said.decode(errors="replace").strip()
        return text.splitlines()[-1][:200] if text else "it gave no reason"


def _kill(process: subprocess.Popen) -> None:
    """End a sandbox with all of its group.

    While it starts, bubblewrap's inner process is not yet bound to end with the outer one; killed
    between, it would wait for ever.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _remove(folder: Path) -> None:
    """Remove a folder, however deep, and whatever its permissions."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, str(folder)], capture_output=True, check=False)
