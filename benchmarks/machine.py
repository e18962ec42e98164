"""Where, when and with what something was measured: every recorded figure carries it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from typing import Any

from halfbits.benchmark.provenance import commit, processor


def measured_here(*packages: str) -> dict[str, Any]:
    """Describe this measurement: date, command, commit, machine, load, versions of packages."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit(),
        "machine": {
            "cpu": processor(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "load": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        },
        "versions": {"python": platform.python_version()} | versions,
    }
