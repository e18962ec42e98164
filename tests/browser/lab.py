"""Drive a real JupyterLab: a server with its own directories, and a page to steer it.

    lab = Lab(page, server)             # in tests: the fixture ``lab``
    lab.open_notebook("unit.ipynb")     # waits for an idle kernel
    lab.run_all()                       # waits for the end
    assert lab.cell_errors() == []

Notebook state is read from JupyterLab's own models rather than from menus and pixels.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

import nbformat
from playwright.sync_api import Locator, Page

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NO_CHROMIUM = "no Chromium: apt-get install chromium, or set HALFBITS_CHROMIUM=/path/to/it"
START_SECONDS = 60
PAGE_MS = 60_000

# Nothing may call home or write behind a test's back.
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {
        "checkForUpdates": False,
        "fetchNews": "false",
    },
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}


def write_notebook(path: Path, *sources: str) -> Path:
    """Write a notebook with one code cell for each source."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, path)
    return path


class LabServer:
    """A JupyterLab on a free loopback port that sees none of the user's settings.

    Parameters
    ----------
    home
        An empty directory: settings and logs go here, notebooks to ``home / "notebooks"``.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.notebooks = home / "notebooks"
        self.notebooks.mkdir()
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.log = home / "jupyter.log"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        for plugin, values in SETTINGS.items():
            package, name = plugin.split(":")
            path = self.home / "settings" / package / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                self._command(), env=self._environment(), stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End the server; its kernels go with it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def add(self, source: Path, *, name: str | None = None) -> str:
        """Copy a notebook or a folder into the server's root; return its path there."""
        target = self.notebooks / (name or source.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
        return target.relative_to(self.notebooks).as_posix()

    def url(self, path: str) -> str:
        """Address that opens one notebook in a fresh workspace."""
        return f"{self._base}/lab/workspaces/t/tree/{quote(path)}?reset&token={self.token}"

    def api(self, method: str, path: str) -> list | dict | None:
        """Call Jupyter Server's REST API."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self._base}/api/{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as reply:
            body = reply.read()
        return json.loads(body) if body else None

    def end_sessions(self) -> None:
        """Shut down every kernel that a test has left."""
        for session in self.api("GET", "sessions"):
            self.api("DELETE", f"sessions/{session['id']}")

    @property
    def _base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        try:
            return bool(self.api("GET", "status"))
        except OSError:
            return False

    def _command(self) -> list[str]:
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": self.port,
            "ServerApp.port_retries": 0,
            "ServerApp.open_browser": False,
            "ServerApp.allow_root": True,
            "ServerApp.root_dir": self.notebooks,
            "IdentityProvider.token": self.token,
            "LabApp.expose_app_in_browser": True,
            "LabApp.user_settings_dir": self.home / "settings",
            "LabApp.workspaces_dir": self.home / "workspaces",
        }
        return [sys.executable, "-m", "jupyterlab", *(f"--{k}={v}" for k, v in options.items())]

    def _environment(self) -> dict[str, str]:
        own = {
            f"JUPYTER_{kind.upper()}_DIR": str(self.home / kind)
            for kind in ("config", "data", "runtime")
        }
        own |= {"IPYTHONDIR": str(self.home / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1"}
        return {**os.environ, **own}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lab:
    """One browser page on a :class:`LabServer`.

    Attributes
    ----------
    page
        Playwright's page, for anything that has no method here.
    problems : list of str
        JavaScript errors the page has raised so far; the ``lab`` fixture asserts it empty.
    """

    def __init__(self, page: Page, server: LabServer) -> None:
        self.page = page
        self.server = server
        self.problems: list[str] = []
        page.set_default_timeout(PAGE_MS)
        page.on("pageerror", lambda error: self.problems.append(error.stack or str(error)))

    def open_notebook(self, path: str | Path) -> None:
        """Open a notebook and wait for its idle kernel.

        Parameters
        ----------
        path
            Relative to the server's root; an existing file elsewhere is copied there first.
        """
        relative = self.server.add(path) if isinstance(path, Path) else path
        self.page.goto(self.server.url(relative))
        self._wait_idle()

    def run_all(self) -> None:
        """Run all cells and wait for the end; errors are left for :meth:`cell_errors`."""
        self.command("notebook:run-all-cells")
        self._wait_idle()

    def command(self, name: str) -> None:
        """Execute a JupyterLab command on the current notebook and wait for it."""
        run = "name => window.jupyterapp.commands.execute(name).then(() => null)"
        self.page.evaluate(run, name)

    def cell_errors(self) -> list[str]:
        """Errors in the outputs of all cells, as ``"NameError: name 'x' is not defined"``."""
        return [
            f"{output['ename']}: {output['evalue']}"
            for outputs in self.outputs()
            for output in outputs
            if output["output_type"] == "error"
        ]

    def outputs(self) -> list[list[dict]]:
        """Outputs of every cell in nbformat's form, an empty list for a Markdown cell."""
        return self._notebook("cells => cells.map(c => c.model.outputs?.toJSON() ?? [])")

    def output_text(self, index: int) -> str:
        """What one cell has printed or returned as text."""
        pieces = []
        for output in self.outputs()[index]:
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            pieces.append("".join(text))
        return "".join(pieces)

    def cell_count(self) -> int:
        """Count the cells of the notebook."""
        return self._notebook("cells => cells.length")

    def run_code(self, source: str) -> str:
        """Run code in a new last cell of the notebook and return its text output."""
        self.page.evaluate(
            """async source => {
                const { content } = window.jupyterapp.shell.currentWidget;
                content.activeCellIndex = content.widgets.length - 1;
                const run = name => window.jupyterapp.commands.execute(name);
                await run("notebook:insert-cell-below");
                content.activeCell.model.sharedModel.setSource(source);
                await run("notebook:run-cell");
            }""",
            source,
        )
        self._wait_idle()
        return self.output_text(self.cell_count() - 1)

    def cell(self, index: int) -> Locator:
        """Locate one cell of the notebook, scrolled into view."""
        self.page.evaluate(
            """index => {
                const { content } = window.jupyterapp.shell.currentWidget;
                content.scrollToItem(index);
            }""",
            index,
        )
        return self.page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{index}"]')

    def set_theme(self, name: str) -> None:
        """Switch to ``"JupyterLab Light"`` or ``"JupyterLab Dark"``."""
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
            ".then(() => null)",
            name,
        )
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)

    def validate(self) -> str:
        """Click nbgrader's Validate button; return the text of the dialog and close it."""
        self.page.get_by_role("button", name="Validate").first.click()
        dialog = self.page.locator(".jp-Dialog-content")
        dialog.wait_for()
        text = dialog.inner_text()
        dialog.locator(".jp-mod-accept, .jp-mod-reject").first.click()
        dialog.wait_for(state="detached")
        return text

    def screenshot(self, path: str | Path, locator: Locator | None = None) -> None:
        """Save a picture of the page, or of one element."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        (locator or self.page).screenshot(path=path)

    def _notebook(self, function: str) -> object:
        """Call a JavaScript function with the notebook's cell widgets."""
        widgets = "window.jupyterapp.shell.currentWidget.content.widgets"
        return self.page.evaluate(f"() => ({function})({widgets})")

    def _wait_idle(self) -> None:
        # Not an async function: Playwright would take its promise for a yes.
        self.page.wait_for_function(
            """() => {
                const app = window.jupyterapp;
                const context = app?.shell?.currentWidget?.sessionContext;
                const ready = context?.isReady && app.commands.hasCommand("notebook:run-all-cells");
                return ready && context.session?.kernel?.status === "idle";
            }"""
        )
