"""A kernel from the warm process shows what an ordinary one shows, and none stays behind."""

import json
import os
import re
import time

import nbformat
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient
from warm_kernels import warm_kernels

CELLS = [
    "import os, sys, threading; sys.path, os.getcwd(), sys.argv[1::2], __name__",
    "sorted(os.environ.keys() - {'JUPYTER_PATH'}), threading.active_count()",
    "import torch; torch.get_num_threads()",
    "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.title('a line');",
    "import subprocess; _ = subprocess.run('echo out; echo err >&2', shell=True)",
    "raise ValueError('wrong')",
    "while True: pass",
    "input()",
    "2 + 2",
]


def test_a_notebook_meets_an_ordinary_kernel(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with warm_kernels(["numpy"]):
        warm = outputs(tmp_path)
    assert warm == outputs(tmp_path)
    assert "image/png" in warm and "KeyboardInterrupt" in warm and warm.count("wrong") > 1


def outputs(folder) -> str:
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    for number, cell in enumerate(cells):
        cell.id = str(number)
    NotebookClient(
        notebook := nbformat.v4.new_notebook(cells=cells),
        timeout_func=lambda cell: 1 if "while" in cell.source else 60,
        interrupt_on_timeout=True,
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    shown = json.dumps([cell.outputs for cell in notebook.cells], indent=1)
    return re.sub(r"ipykernel_\d+|/\S+\.json", "", shown)


def test_no_kernel_stays_behind():
    with warm_kernels([]):
        manager, pid = started()
        manager.shutdown_kernel(now=True)
        assert ends(pid)
        manager, pid = started()
    manager.shutdown_kernel(now=True)
    assert ends(pid)


def started() -> tuple[KernelManager, int]:
    """A kernel, and the process that runs its cells."""
    manager, client = start_new_kernel()
    asked = {"pid": "__import__('os').getpid()"}
    reply = client.execute("", user_expressions=asked, silent=True, reply=True, timeout=60)
    client.stop_channels()
    return manager, int(reply["content"]["user_expressions"]["pid"]["data"]["text/plain"])


def ends(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
