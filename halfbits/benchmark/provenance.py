"""Where, when and with what a result was measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

_ROOT = Path(__file__).resolve().parents[2]


def provenance(
    device: torch.device, packages: Iterable[str] = (), command: list[str] | None = None
) -> dict[str, Any]:
    """Describe a measurement: date, command, commit, machine and versions.

    Parameters
    ----------
    device
        What is measured.
    packages
        Whose versions matter, besides those of Python, torch and CUDA.
    command
        What measures; by default the script that runs, with its arguments.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", *(command or _this_command())]),
        "commit": commit(),
        "machine": {
            "device": device_name(device),
            "cpu": processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None,
            "system": f"{platform.system()} {platform.machine()}",
            **(gpu(device) if device.type == "cuda" else {}),
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            **{name: importlib.metadata.version(name) for name in packages},
        },
    }


def _this_command() -> list[str]:
    """The script that runs, without the folders above the project, and its arguments."""
    script = Path(sys.argv[0]).resolve()
    inside = script.relative_to(_ROOT) if script.is_relative_to(_ROOT) else script.name
    return [str(inside), *sys.argv[1:]]


def commit() -> str | None:
    """Give the project's commit, with ``+`` behind it if files differ; None if nobody knows.

    An archive of the project has no git; the file ``COMMIT`` in it says which one it is.
    """
    note = _ROOT / "COMMIT"
    if note.is_file():
        return note.read_text(encoding="utf-8").strip()
    head = _said("git", "-C", str(_ROOT), "rev-parse", "HEAD")
    if not head:
        return None
    changes = _said("git", "-C", str(_ROOT), "status", "--porcelain", "halfbits")
    return head[:12] + ("+" if changes else "")


def device_name(device: torch.device) -> str:
    """Name a GPU or the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "Apple GPU" if device.type == "mps" else processor()


def gpu(device: torch.device) -> dict[str, Any]:
    """Describe a CUDA GPU."""
    properties = torch.cuda.get_device_properties(device)
    return {
        "memory_bytes": properties.total_memory,
        "capability": f"{properties.major}.{properties.minor}",
        "driver": _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
    }


def processor() -> str:
    """Name the processor, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    if not names and sys.platform == "darwin":
        names = [_said("sysctl", "-n", "machdep.cpu.brand_string") or ""]
    return (names and names[0]) or platform.processor() or platform.machine()


def _said(*command: str) -> str | None:
    """First line that a command prints, None if it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().partition("\n")[0] or None
