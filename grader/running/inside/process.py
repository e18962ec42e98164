"""What the kernel tells of a process."""

from __future__ import annotations

import contextlib
import os
import re
import resource
from pathlib import Path


def session_of(pid: int) -> int:
    """Its session, −1 if it has ended."""
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def private_memory(pid: int) -> int:
    """Resident bytes that are no files'."""
    found = 0
    for task in _tasks(pid):  # the first may have ended, and then tells nothing
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/task/{task}/status").read_text()
            kilobytes = re.findall(r"^Rss(?:Anon|Shmem):\s*(\d+) kB", status, re.M)
            found = max(found, 1024 * sum(map(int, kilobytes)))
        if found:
            break
    return found


def virtual_size() -> int:
    """Bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def is_gone(pid: int) -> bool:
    """Whether all its threads have ended: others may go on without the first."""
    return all(_state(pid, task) in "ZX" for task in _tasks(pid))


def _state(pid: int, task: str) -> str:
    try:
        stat = Path(f"/proc/{pid}/task/{task}/stat").read_text()
    except OSError:
        return "X"
    return stat.rpartition(")")[2].split()[0]


def _tasks(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
