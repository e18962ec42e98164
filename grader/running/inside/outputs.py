"""Collect what a cell shows as nbformat outputs, in the order in which it appears."""

from __future__ import annotations

import io
from typing import Any

MAX_TEXT = 200_000  # characters of a cell's printed text that are kept
MAX_DATA = 4_000_000  # characters of one picture or table
MAX_OUTPUTS = 500  # pieces in a cell
CUT = "\n… more was printed and is not kept\n"


class Outputs:
    """The outputs of one cell; what goes beyond the limits is left out, and said once."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self._text = 0

    def stream(self, name: str, text: str) -> None:
        """Text on ``stdout`` or ``stderr``."""
        if self._text > MAX_TEXT:
            return
        self._text += len(text)
        if self._text > MAX_TEXT:
            text = text[: max(0, len(text) - (self._text - MAX_TEXT))] + CUT
        last = self.found[-1] if self.found else {}
        if last.get("output_type") == "stream" and last["name"] == name:
            last["text"] += text
        else:
            self._add({"output_type": "stream", "name": name, "text": text})

    def display(self, data: dict, metadata: dict) -> None:
        """A picture or table that ``display`` shows."""
        shown = {"output_type": "display_data", "data": _small(data), "metadata": metadata or {}}
        self._add(shown)

    def result(self, count: int, data: dict, metadata: dict) -> None:
        """The value of a cell's last line."""
        head = {"output_type": "execute_result", "execution_count": count}
        self._add(head | {"data": _small(data), "metadata": metadata or {}})

    def error(self, name: str, value: str, traceback: list[str]) -> None:
        """The exception that ended a cell."""
        lines = [line[:MAX_TEXT] for line in traceback[:100]]
        said = {"ename": name[:200], "evalue": value[:MAX_TEXT], "traceback": lines}
        self._add({"output_type": "error"} | said)

    def clear(self) -> None:
        """Forget what was shown, as ``clear_output`` asks."""
        self.found.clear()

    def _add(self, output: dict[str, Any]) -> None:
        if len(self.found) < MAX_OUTPUTS:
            self.found.append(output)


class Stream(io.TextIOBase):
    """A file object for ``sys.stdout`` and ``sys.stderr`` that writes into :class:`Outputs`."""

    encoding = "utf-8"

    def __init__(self, outputs: Outputs, name: str) -> None:
        self._outputs, self._name = outputs, name

    def write(self, text: str) -> int:
        self._outputs.stream(self._name, str(text))
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False


def _small(data: dict) -> dict:
    return {
        kind: value if len(str(value)) <= MAX_DATA else "(too large to keep)"
        for kind, value in data.items()
    }
