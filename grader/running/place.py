"""What a sandbox is given, and what every way to keep submissions in has to say."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from grader.kept import LIBRARY

INSIDE = Path(__file__).parent / "inside"
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/fonts", "/etc/ssl")


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
        File descriptors for events, and of the socket that brings each submission's own pipes.
    """

    folder: Path
    disk: int
    threads: int
    modules: tuple[str, ...]
    pipes: tuple[int, int]


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


def python_folders() -> list[str]:
    """Where Python, its packages and the library lie."""
    found = {sys.prefix, sys.base_prefix, str(Path(sys.executable).parent)}
    return sorted(found | {str(LIBRARY)})


def environment(place: Place, home: str, inside: str) -> dict[str, str]:
    """What a warm parent needs of an environment; ``inside`` is where its modules lie."""
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
