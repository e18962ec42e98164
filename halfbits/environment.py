"""What works on this machine, and how to mend what does not: for ``make doctor`` and Unit 0."""

from __future__ import annotations

import html
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from halfbits.pictures.shown import Shown

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
NEEDED_PYTHON = (3, 11)
NEEDED_DISK = 2  # GB, for notebooks, a gradebook and feedback pages
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``fix`` is empty if all is well, ``needed`` is False for extras."""

    topic: str
    found: str
    fix: str = ""
    needed: bool = True

    def __str__(self) -> str:
        mark = "OK  " if not self.fix else "FAIL" if self.needed else "--  "
        fix = f"\n       → {self.fix}" if self.fix else ""
        return f"{mark}  {self.topic}: {self.found}{fix}"


def examine() -> Iterator[Finding]:
    """Look at Python, packages, GPU, browser, PATH and disk, in this order."""
    yield python()
    yield from packages()
    yield gpu()
    yield chromium()
    yield alembic()
    yield disk()


def python() -> Finding:
    """Python's version."""
    found = ".".join(map(str, sys.version_info[:3]))
    fix = (
        "" if sys.version_info >= NEEDED_PYTHON else "install Python 3.11 or newer, then make clean"
    )
    return Finding("Python", found, fix)


def packages(lock: Path = LOCK) -> Iterator[Finding]:
    """Each locked package's installed version; the agreeing ones are counted in one line."""
    try:
        lines = lock.read_text(encoding="utf-8").splitlines()
    except OSError:  # a sandbox holds the library and no more
        yield Finding("packages", "not compared: requirements.lock is not here", needed=False)
        return
    agreeing = 0
    for line in lines:
        requirement, _, only_here = line.partition(";")
        if "==" not in requirement or only_here:  # some are for one system only
            continue
        name, wanted = requirement.split("==")
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found.split("+")[0] == wanted:
            agreeing += 1
            if name in ("torch", "jupyterlab", "nbgrader", "ipywidgets", "anywidget", "matplotlib"):
                yield Finding(name, found)
        else:
            yield Finding(name, f"{found}, the lock says {wanted}", "make clean, then make lab")
    yield Finding("packages", f"{agreeing} as in requirements.lock")


def gpu() -> Finding:
    """The accelerator and the formats that it computes with; the course runs without one."""
    if torch.cuda.is_available():
        major, minor = torch.cuda.get_device_capability()
        formats = ["fp16"]
        if torch.cuda.is_bf16_supported(including_emulation=False):
            formats.append("bf16")
        if major >= 8:
            formats.append("tf32")
        if (major, minor) >= (8, 9):
            formats.append("fp8")
        return Finding("GPU", f"{torch.cuda.get_device_name()} with {', '.join(formats)}")
    if torch.backends.mps.is_available():
        return Finding("GPU", "Apple GPU (MPS) with fp16 and bf16; it has no tf32 and no fp8")
    fix = "nothing to do: every notebook runs on the CPU. For an NVIDIA GPU, install its driver"
    return Finding("GPU", "none", fix, needed=False)


def chromium() -> Finding:
    """A browser for the browser tests."""
    if found := find_chromium():
        return Finding("Chromium", found)
    fix = (
        "for make check only: apt-get install chromium, or set HALFBITS_CHROMIUM=/path/to/chromium"
    )
    return Finding("Chromium", "none", fix, needed=False)


def find_chromium() -> str | None:
    """``$HALFBITS_CHROMIUM``, else the first Chromium or Chrome on PATH."""
    return os.environ.get("HALFBITS_CHROMIUM") or next(
        (path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None
    )


def alembic() -> Finding:
    """nbgrader runs ``alembic`` by name when it makes a gradebook."""
    found = shutil.which("alembic")
    fix = (
        ""
        if found
        else f'put {Path(sys.executable).parent} on PATH: make does, or "source .venv/bin/activate"'
    )
    return Finding("alembic", found or "not on PATH", fix)


def disk() -> Finding:
    """Free space where the course lies."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    fix = "" if free >= NEEDED_DISK else f"free at least {NEEDED_DISK} GB"
    return Finding("free disk", f"{free:.0f} GB", fix)


def check_environment() -> Shown:
    """The same report for a notebook."""
    findings = list(examine())
    text = "\n".join(map(str, findings))
    return Shown(f"<pre>{html.escape(text)}</pre>", text)


def main() -> int:
    """Print the report; exit status 1 if something needed is missing."""
    findings = list(examine())
    print(*findings, sep="\n")
    return 1 if any(f.fix and f.needed for f in findings) else 0
