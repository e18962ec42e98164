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

    def start(self) -> None:
        """Start the warm parent; it imports everything while the caller goes on.

        The thread that starts it must live on: bubblewrap ends with the thread that made it.
        """
        _remove(self._folder)  # what one before could not remove
        self._folder.mkdir(mode=0o700)
        self._events, events = os.pipe()
        self._results, results = os.pipe()
        keys, self._keys = os.pipe()
        for fd in (self._events, self._results, self._keys):
            os.set_blocking(fd, False)
        self._place = Place(
            folder=self._folder,
            disk=self.limits.disk,
            threads=self._threads,
            modules=self._modules,
            pipes=(events, results, keys),
        )
        self._process = subprocess.Popen(
            self._way.command(self._place),
            env=self._way.environment(self._place),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(events, results, keys),
            start_new_session=True,
        )
        for fd in (events, results, keys):
            os.close(fd)
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
            self._process.stdin.write(json.dumps(command).encode() + b"\n" + content)
            self._process.stdin.flush()
            event = self._event(time.monotonic() + self.limits.wall + GRACE, reader)
        except OSError:
            event = None
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
            process.kill()

    def stop(self) -> None:
        """End it and everything in it; only for the thread that runs submissions."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait()
        for fd in (self._events, self._results, self._keys):
            os.close(fd)
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

    def _drain(self, reader: Frames | None) -> bool:
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
            if reader is not None and reader.asked and self._key:
                with contextlib.suppress(BlockingIOError):  # somebody inside has filled the pipe
                    os.write(self._keys, self._key)
                self._key = b""

    def _last_words(self) -> str:
        self._process.kill()
        text = self._process.stderr.read().decode(errors="replace").strip()
        return text.splitlines()[-1][:200] if text else "it gave no reason"


def _remove(folder: Path) -> None:
    """Remove a folder, however deep, and whatever its permissions."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, str(folder)], capture_output=True, check=False)
