"""Where, when and with what a result was measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

_ROOT = Path(__file__).resolve().parents[2]


def provenance(device: torch.device, arguments: list[str]) -> dict[str, Any]:
    """Describe a measurement: date, command, commit, machine and versions.

    Parameters
    ----------
    device
        What is measured.
    arguments
        Of ``python -m halfbits.benchmark``.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "halfbits.benchmark", *arguments]),
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
            "halfbits": importlib.metadata.version("halfbits"),
            "cuda": torch.version.cuda,
        },
    }


def commit() -> str | None:
    """Give the project's commit, with ``+`` behind it if files differ; None without git."""
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
