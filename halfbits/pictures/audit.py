"""Which formats a training used, one row for each precision setting, in the formats' colours."""

from __future__ import annotations

import html
import warnings
from collections.abc import Callable, Sequence

import torch

from halfbits.formats import get_format
from halfbits.pictures.shown import Shown
from halfbits.pictures.theme import FORMAT_COLORS

SETTINGS = ("32-true", "64-true", "16-true", "bf16-true", "16-mixed", "bf16-mixed")
COLUMNS = ("precision", "weights", "outputs of Linear", "gradients", "moments")
_HEADS = ("asked for", "resolved", *COLUMNS[1:])
_CELL = "padding:5px 12px 5px 0;text-align:left;white-space:nowrap;"
_LINE = "border-bottom:1px solid var(--jp-border-color2, #8886);"
_LONGEST = 90  # characters of an error


def dtype_audit(function: Callable[[str], dict], settings: Sequence[str] = SETTINGS) -> Shown:
    """Train in each setting and show which formats the weights, layers and gradients had.

    Parameters
    ----------
    function
        Takes a precision setting and returns a report: a dict with ``"precision"``, the setting
        in use, and lists of dtype names for ``"weights"``, ``"outputs of Linear"``,
        ``"gradients"`` and ``"moments"``. It may raise, or not be solved yet.
    settings
        By default all six of Lightning's.

    Raises
    ------
    ValueError
        If there is no setting.
    """
    if not settings:
        raise ValueError("give at least one setting, such as '32-true'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [(str(setting), _try(function, setting)) for setting in settings]
    return Shown(_to_html(rows), _to_text(rows))


def _try(function: Callable[[str], dict], setting: str) -> list[list[str]] | str:
    """A list of names for each column, or why there is none."""
    try:
        report = function(setting)
        return [_names(report[column]) for column in COLUMNS]
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:
            return "not attempted yet"
        said = " ".join(str(error).split())
        return f"raises {type(error).__name__}: {said}"[:_LONGEST].rstrip(": ")


def _names(entry: object) -> list[str]:
    return [_short(name) for name in ([entry] if isinstance(entry, str) else list(entry))]


def _short(name: object) -> str:
    """The course's name of a dtype's name; anything else as it is."""
    dtype = getattr(torch, str(name), None)
    return get_format(dtype).name if isinstance(dtype, torch.dtype) else str(name)


def _to_html(rows: list[tuple[str, list[list[str]] | str]]) -> str:
    heads = "".join(f'<th scope="col" style="{_CELL}{_LINE}">{head}</th>' for head in _HEADS)
    body = "".join(_row_html(setting, found) for setting, found in rows)
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;color:inherit;'
        'font-size:var(--jp-ui-font-size1, 13px)">'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row_html(setting: str, found: list[list[str]] | str) -> str:
    first = f'<th scope="row" style="{_CELL}{_LINE}font-weight:normal">{html.escape(setting)}</th>'
    if isinstance(found, str):
        note = f'<td colspan="5" style="{_CELL}{_LINE}">{html.escape(found)}</td>'
        return f"<tr>{first}{note}</tr>"
    resolved = html.escape(", ".join(found[0]))
    resolved = resolved if resolved == html.escape(setting) else f"<strong>{resolved}</strong>"
    cells = [resolved, *(", ".join(map(_coloured, names)) or "none" for names in found[1:])]
    body = "".join(f'<td style="{_CELL}{_LINE}">{cell}</td>' for cell in cells)
    return f"<tr>{first}{body}</tr>"


def _coloured(name: str) -> str:
    ink = FORMAT_COLORS.get(name)
    rim = f"border-bottom:3px solid {ink}" if ink else ""
    return f'<span style="{rim}">{html.escape(name)}</span>'


def _to_text(rows: list[tuple[str, list[list[str]] | str]]) -> str:
    table = [_HEADS]
    for setting, found in rows:
        cells = [found] if isinstance(found, str) else [", ".join(n) or "none" for n in found]
        table.append((setting, *cells))
    widths = [max(len(r[k]) for r in table if len(r) == len(_HEADS)) for k in range(len(_HEADS))]
    lines = (zip(row, widths, strict=False) for row in table)
    return "\n".join("  ".join(c.ljust(w) for c, w in line).rstrip() for line in lines)
