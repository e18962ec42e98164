"""Kernels that need no time to start, for whoever starts many: they come from a warm process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from ipykernel.kernelspec import get_kernel_dict

KERNELS = Path(__file__).parent / "kernels"


@contextmanager
def warm_kernels(modules: Iterable[str]) -> Iterator[None]:
    """Keep a process that has imported these modules; kernels start as forks of it meanwhile.

    Jupyter's kernel ``python3`` is then an ordinary ipykernel in such a fork. On a system that
    lacks what this takes, kernels start as ever.
    """
    if not hasattr(os, "pidfd_open"):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:  # a socket's path must be short
        place = f"{folder}/socket"
        with _parent(place, modules) as parent:  # which ends when its standard input does
            if parent.stdout.readline() != b"ready\n":
                raise RuntimeError("no warm process: it says why on standard error")
            _write_kernelspec(Path(folder) / "kernels" / "python3", place)
            first = os.pathsep.join(filter(None, [folder, os.environ.get("JUPYTER_PATH")]))
            with patch.dict(os.environ, JUPYTER_PATH=first):
                yield


def _parent(place: str, modules: Iterable[str]) -> subprocess.Popen:
    """Start the warm process; it computes with one thread, as one with more cannot be forked."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    inline = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # as kernels say later
    return subprocess.Popen(
        [sys.executable, KERNELS / "parent.py", place, *sorted(modules)],
        env=inline | dict(os.environ) | threads,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # an interrupt of the tests is not for it
    )


def _write_kernelspec(folder: Path, place: str) -> None:
    launch = [sys.executable, "-IS", str(KERNELS / "launcher.py"), place, "-f"]
    folder.mkdir(parents=True)
    spec = get_kernel_dict() | {"argv": [*launch, "{connection_file}"]}
    (folder / "kernel.json").write_text(json.dumps(spec))
