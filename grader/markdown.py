"""Markdown with TeX as HTML that needs neither a network nor a script: formulas become MathML."""

from __future__ import annotations

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin


class BadTex(ValueError):
    """A formula that cannot be read."""


def render(text: str) -> str:
    """Paragraphs, lists, tables; raw HTML is shown as text.

    Raises
    ------
    BadTex
        If a formula cannot be read.
    """
    return _MARKDOWN.render(text.strip()).strip()


def render_line(text: str) -> str:
    """One line, which may stand inside a button; raises as :func:`render` does."""
    return _MARKDOWN.renderInline(text.strip()).strip()


def _mathml(tex: str, options: dict) -> str:
    try:
        return convert(tex, display="block" if options["display_mode"] else "inline")
    except Exception as error:  # latex2mathml has a class for each mistake, and lets others through
        reason = str(error) or type(error).__name__
        raise BadTex(f"TeX that cannot be read: {tex[:60]!r} ({reason})") from None


_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False})
    .enable("table")
    .use(dollarmath_plugin, renderer=_mathml)
)
