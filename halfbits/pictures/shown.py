"""What a cell shows as HTML, and a terminal as text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property


class Shown:
    """Something that a notebook shows as HTML and a terminal as text.

    Parameters
    ----------
    html, text
        The two forms; both must say the same. The HTML may be a function that makes it, called when
        it is first looked at: a grader that runs a lesson need not draw its pictures.
    """

    def __init__(self, html: str | Callable[[], str], text: str) -> None:
        self._html = html
        self.text = text

    @cached_property
    def html(self) -> str:
        """The form for notebooks."""
        return self._html if isinstance(self._html, str) else self._html()

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text
