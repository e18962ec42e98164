"""The places that a submission may write to: emptied after it, whatever it left there."""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path


def looks(folder: Path) -> int:
    """Its permissions, which :func:`wiped` gives back to it."""
    return stat.S_IMODE(folder.stat().st_mode) if folder.is_dir() else 0


def wiped(folders: dict[Path, int]) -> bool:
    """Empty every place that can be written to; tell whether nothing is left.

    Parameters
    ----------
    folders
        With the permissions that each had at first: whatever a submission did to the folder itself
        would tell the next one something, or take the place from it.
    """
    try:
        there = {str(folder): mode for folder, mode in folders.items() if folder.is_dir()}
        for folder, mode in there.items():
            os.chmod(folder, mode)
            _empty(folder)
            for name in os.listxattr(folder):
                os.removexattr(folder, name)
            os.utime(folder, (0, 0))
        return not any(map(_left, there))
    except (OSError, RecursionError, ValueError):  # too deep, or named so that nothing can be done
        return False


def _left(folder: str) -> bool:
    """Whether anything is there but what is mounted there."""
    return any(
        entry.path not in MOUNTS and not any(m.startswith(f"{entry.path}/") for m in MOUNTS)
        for entry in os.scandir(folder)
    )


def _empty(folder: str) -> None:
    """Remove what is in a folder, but not what is mounted there: the project may lie in /tmp."""
    for entry in os.scandir(folder):
        if entry.path in MOUNTS:
            continue
        if any(mount.startswith(f"{entry.path}/") for mount in MOUNTS):
            _empty(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, 0o700)
            shutil.rmtree(entry.path, onerror=_make_removable)
        else:
            os.unlink(entry.path)


def _mounts() -> frozenset[str]:
    """Where something is mounted."""
    info = Path("/proc/self/mountinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return frozenset(re.sub(r"\\(\d{3})", _character, line.split()[4]) for line in lines)


def _character(octal: re.Match) -> str:
    return chr(int(octal[1], 8))


def _make_removable(function, path: str, _) -> None:
    os.chmod(os.path.dirname(path), 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, 0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        os.unlink(path)


MOUNTS = _mounts()  # what is mounted in a place is not emptied: the project may lie in /tmp
