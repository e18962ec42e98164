"""What a function gives for a few inputs, as a table, also while it is not solved yet."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from halfbits.checking.differences import as_text
from halfbits.pictures.shown import Shown
from halfbits.text import short

_CELL = "padding:4px 12px 4px 0;text-align:left;vertical-align:top;"
_LINE = "border-bottom:1px solid var(--jp-border-color2, #8886);"
_LONGEST = 90  # characters of a result or of an error


def results(function: Callable, calls: Mapping[str, tuple]) -> Shown:
    """Call a function with each tuple of arguments and show what comes back.

    Parameters
    ----------
    function
        The student's function; it may raise, or return anything. A dict of numbers takes a column
        for each key.
    calls
        What stands at the beginning of a row, and the arguments of that row's call.

    Raises
    ------
    ValueError
        If there is no call.
    """
    if not calls:
        raise ValueError("give at least one call, such as {'of 3 and 4': (3.0, 4.0)}")
    name = getattr(function, "__name__", "function")
    rows = {label: _try(function, args) for label, args in calls.items()}
    keys = _common_keys(rows.values())
    table = [(name, *(keys or ["result"]))]
    for label, result in rows.items():
        cells = [result[key] for key in keys] if keys else [result]
        table.append((label, *map(_say, cells)))
    return Shown(_to_html(table), _to_text(table))


class _Problem(str):
    """Why there is no result."""


def _try(function: Callable, args: tuple) -> Any:
    try:
        return function(*args)
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:
            return _Problem("not attempted yet")
        said = " ".join(str(error).split())
        return _Problem(f"raises {type(error).__name__}: {said}"[:_LONGEST].rstrip(": "))


def _common_keys(found: Any) -> list[str]:
    """The keys of the results, if every result is a dict with the same ones."""
    found = list(found)
    if not all(isinstance(each, dict) and each for each in found):
        return []
    keys = list(found[0])
    return keys if all(list(each) == keys for each in found) else []


def _say(value: Any) -> str:
    if isinstance(value, _Problem):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, torch.Tensor) and value.is_floating_point() and 0 < value.numel() <= 12:
        return _nested(value.tolist()) + f"  ({str(value.dtype).removeprefix('torch.')})"
    return as_text(value, _LONGEST)


def _nested(values: Any) -> str:
    if not isinstance(values, list):
        return _number(values)
    return f"[{', '.join(map(_nested, values))}]"


def _number(value: float) -> str:
    if value != value:
        return "NaN"
    if abs(value) == float("inf"):
        return "∞" if value > 0 else "−∞"
    return re.sub(r"\.?0+×", "×", short(value, 4))  # 3.900×10⁻⁴


def _to_html(table: list[tuple[str, ...]]) -> str:
    header, *rows = table
    heads = "".join(
        f'<th scope="col" style="{_CELL}{_LINE}">{html.escape(cell)}</th>' for cell in header
    )
    body = "".join(
        f'<tr><th scope="row" style="{_CELL}{_LINE}font-weight:normal">{html.escape(label)}</th>'
        + "".join(f'<td style="{_CELL}{_LINE}">{html.escape(cell)}</td>' for cell in cells)
        + "</tr>"
        for label, *cells in rows
    )
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;color:inherit;'
        'font-size:var(--jp-ui-font-size1, 13px);font-variant-numeric:tabular-nums">'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _to_text(table: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )
