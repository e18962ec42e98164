"""Markdown with TeX as HTML that needs neither a network nor a script: formulas become MathML."""

from __future__ import annotations

import html

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

MAX_TEX = 5_000  # characters of one formula


class BadTex(ValueError):
    """A formula that cannot be read, or a dollar sign that belongs to none."""


def render(text: str) -> str:
    """Paragraphs, lists, tables; raw HTML is shown as text.

    Raises
    ------
    BadTex
        If a formula cannot be read, or a ``$`` outside of code belongs to none.
    """
    return _checked(text, _MARKDOWN.parse(text.strip()))


def render_line(text: str) -> str:
    """One line, which may stand inside a button; raises as :func:`render` does."""
    return _checked(text, _MARKDOWN.parseInline(text.strip()))


def render_any(text: str) -> str:
    """Markdown as anybody may have written it, raw HTML included: not safe before it is cleaned.

    A formula that cannot be read is shown as it was typed.
    """
    return _LENIENT.render(text).strip()


def _checked(text: str, tokens: list[Token]) -> str:
    """The tokens as HTML, in which no half of a formula has stayed behind as text."""
    inline = (part for token in tokens for part in token.children or ())
    if any(part.type == "text" and "$" in part.content for part in inline):
        raise BadTex(f"a $ without its other half: {text.strip()[:60]!r}")
    return _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}).strip()


def _mathml(tex: str, options: dict) -> str:
    try:
        return convert(tex, display="block" if options["display_mode"] else "inline")
    except Exception as error:  # latex2mathml has a class for each mistake, and lets others through
        reason = str(error) or type(error).__name__
        raise BadTex(f"TeX that cannot be read: {tex[:60]!r} ({reason})") from None


def _mathml_or_source(tex: str, options: dict) -> str:
    try:
        if len(tex) > MAX_TEX:
            raise BadTex("too long")
        return _mathml(tex, options)
    except BadTex:
        return f"<code>{html.escape(tex)}</code>"


_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False})
    .enable("table")
    .use(dollarmath_plugin, renderer=_mathml)
)

_LENIENT = (
    MarkdownIt("commonmark", {"html": True})
    .enable(["table", "strikethrough"])
    .use(dollarmath_plugin, renderer=_mathml_or_source, double_inline=True)
)
