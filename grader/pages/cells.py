"""What a graded notebook's cells look like on a feedback page: safe HTML, made without a browser.

Everything here may come from a student. Whatever a cell shows becomes one of: text, HTML that
:mod:`grader.pages.sanitize` has cleaned, a picture in base64. Widgets, scripts and unknown kinds
become the text that their output has beside them.
"""

from __future__ import annotations

import html
import re
from typing import Any

from nbconvert.filters import ansi2html, strip_ansi
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from grader.pages.markdown import render_any
from grader.pages.sanitize import clean, picture
from halfbits.checking.report import RESULT

WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_TEXT = "an interactive picture: see it in JupyterLab"
MAX_TEXT = 20_000  # characters of printed text, and of an explanation
MAX_SOURCE = 100_000
MAX_SHOWN = 100  # outputs of a cell
TOO_LARGE = '<p class="cut">what this showed is too large for this page</p>'
CUT = "\n… the rest is in the graded notebook"

_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def cell_html(cell: NotebookNode, plain: bool = False) -> str:
    """A Markdown or raw cell, or the source of a code cell."""
    source = _string(cell.source)
    if cell.cell_type == "markdown" and not plain:
        return markdown_html(source)
    if cell.cell_type != "code":
        return _pre(source)
    if not source.strip():
        return ""
    if plain or len(source) > MAX_SOURCE:
        return _pre(source, "source")
    code = highlight(source, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    return f'<pre class="source">{code}</pre>'


def outputs_html(cell: NotebookNode, plain: bool = False) -> str:
    """All that a code cell showed, in order; ``plain`` keeps the text only."""
    outputs = cell.get("outputs", [])
    shown = [_output(output, plain) for output in outputs[:MAX_SHOWN]]
    if len(outputs) > MAX_SHOWN:
        shown.append(f'<p class="cut">{len(outputs) - MAX_SHOWN} more outputs are left out</p>')
    return "\n".join(filter(None, shown))


def result_of(cell: NotebookNode) -> dict[str, Any]:
    """What a check says of itself, as far as it is what checks say: says, hint, failed."""
    for output in cell.get("outputs", []):
        data = output.get("data", {}).get(RESULT)
        if isinstance(data, dict):
            failed = data.get("failed")
            return {
                "says": _string(data.get("says"))[:300],
                "hint": _code(_string(data.get("hint"))[:1000]),
                "failed": [_string(kind)[:200] for kind in failed[:50]]
                if isinstance(failed, list)
                else [],
            }
    return {"says": "", "hint": "", "failed": []}


def _output(output: NotebookNode, plain: bool) -> str:
    if output.output_type == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return _pre(strip_ansi(_string(output.text)), name)
    if output.output_type == "error":
        text = "\n".join(map(_string, output.traceback)) or f"{output.ename}: {output.evalue}"
        return f'<pre class="error">{clean(ansi2html(_cut(text)))}</pre>'
    data = {kind: _string(value) for kind, value in output.get("data", {}).items()}
    text = data.get("text/plain", "")
    if WIDGET in data and "(" in text[:12]:
        return _pre(WIDGET_TEXT)
    return _pre(text) if plain else _shown(data)


def _shown(data: dict[str, str]) -> str:
    """The first kind of a display's data that a page can show."""
    try:
        for kind in ("text/html", "image/svg+xml"):
            if data.get(kind):
                return f'<div class="output">{clean(_bare(data[kind]))}</div>'
        for kind in _PICTURES:
            if found := picture(kind, data.get(kind, "")) if data.get(kind) else "":
                return f'<div class="output">{found}</div>'
    except ValueError:
        return _pre(data["text/plain"]) if data.get("text/plain") else TOO_LARGE
    for kind in ("text/markdown", "text/latex"):
        if data.get(kind):
            return f'<div class="output">{markdown_html(data[kind])}</div>'
    return _pre(data.get("text/plain", ""))


def _bare(text: str) -> str:
    """Without the declarations that an SVG file begins with."""
    return re.sub(r"^\s*<\?xml[^>]*>|<!DOCTYPE[^>]*>", "", text)


def markdown_html(text: str) -> str:
    """Markdown, formulas included, as safe HTML; as it is where it is too long or too deep."""
    if len(text) > MAX_TEXT:
        return _pre(text)
    try:
        return clean(render_any(text))
    except (ValueError, RecursionError):
        return _pre(text)


def _pre(text: str, kind: str = "text") -> str:
    return f'<pre class="{kind}">{html.escape(_cut(text))}</pre>' if text.strip() else ""


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + CUT


def _code(sentence: str) -> str:
    """A sentence as HTML; what stands between backticks is code."""
    pieces = html.escape(sentence).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(pieces))


def _string(value: Any) -> str:
    """Text without lone surrogates; what is no text is nothing."""
    lines = value if isinstance(value, list) else [value]
    text = "".join(line for line in lines if isinstance(line, str))
    return text.encode("utf-8", "replace").decode("utf-8")
