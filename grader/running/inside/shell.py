"""An IPython without a terminal and without a kernel: it runs cells and returns their outputs."""

from __future__ import annotations

import builtins
import os
import sys
import types
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from outputs import Outputs, Stream
from traitlets.config import Config


class _Hook(DisplayHook):
    def start_displayhook(self) -> None:
        pass

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict, md_dict: dict | None = None) -> None:
        self.shell.outputs.result(self.prompt_count, format_dict, md_dict or {})

    def finish_displayhook(self) -> None:
        pass


class _Formatter(DisplayFormatter):
    """Draws what is shown, or nothing, where nobody would look at it."""

    draws = True

    def format(self, obj: Any, *args: Any, **kwargs: Any) -> tuple[dict, dict]:
        return super().format(obj, *args, **kwargs) if self.draws else ({}, {})


class _Publisher(DisplayPublisher):
    def publish(self, data: dict, metadata: dict | None = None, **_: Any) -> None:
        self.shell.outputs.display(data, metadata or {})

    def clear_output(self, wait: bool = False) -> None:
        self.shell.outputs.clear()


class Shell(InteractiveShell):
    """One namespace for the cells of one notebook; made before the fork, used once after it."""

    def __init__(self) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "NoColor"
        self.outputs = Outputs()
        main = types.ModuleType("__main__")
        super().__init__(
            config=config,
            user_module=main,
            displayhook_class=_Hook,
            display_pub_class=_Publisher,
        )

    def enable_pictures(self) -> None:
        """Show pyplot's figures after each cell, as a notebook does."""
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
        self.enable_matplotlib("inline")

    def init_display_formatter(self) -> None:
        self.display_formatter = _Formatter(parent=self)
        self.configurables.append(self.display_formatter)

    def run(self, source: str, draws: bool = True) -> list[dict[str, Any]]:
        """Run one cell; return its outputs, an exception among them.

        Without ``draws`` nothing is drawn of pictures and tables: that is most of a lesson's time.
        """
        self.display_formatter.draws = draws
        self.outputs.found = []
        self.outputs = Outputs()
        before = sys.stdout, sys.stderr, builtins.input
        sys.stdout, sys.stderr = Stream(self.outputs, "stdout"), Stream(self.outputs, "stderr")
        builtins.input = _no_input
        try:
            self.run_cell(source, store_history=True)
        finally:
            sys.stdout, sys.stderr, builtins.input = before
        return self.outputs.found

    def _showtraceback(self, etype: type, evalue: BaseException, stb: Any) -> None:
        lines = stb.splitlines() if isinstance(stb, str) else list(stb)
        self.outputs.error(etype.__name__, str(evalue), lines)

    def enable_gui(self, gui: str | None = None) -> None:
        """There is no window to show anything in."""

    def ask_exit(self) -> None:
        """``exit`` and ``quit`` do nothing here: the cells that follow still run."""


def _no_input(*_: Any) -> str:
    raise RuntimeError("nobody answers input() while a notebook is graded")
