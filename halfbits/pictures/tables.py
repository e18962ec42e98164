"""The same number in several formats, as a table."""

from __future__ import annotations

import html
import math
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from halfbits import exact
from halfbits.exact import Real
from halfbits.formats import FORMATS, Format, Which, get_format
from halfbits.pictures.shown import Shown
from halfbits.pictures.theme import FIELD_COLORS
from halfbits.text import power, short
from halfbits.typed import parse

_HEADS = ("format", "bits", "stored value", "error", "relative", "in ulps")
_DIGITS = 20  # of a stored value that are written before it is cut
_CELL = "padding:4px 8px;white-space:nowrap;"
_LINE = "border-bottom:1px solid var(--jp-border-color2, #8886);"


class Row(NamedTuple):
    """One format's answer; errors are exact, None where the number is not stored as a number.

    Attributes
    ----------
    fmt, pattern
        Format and the nearest number's bits in it.
    stored
        What the bits stand for.
    error, relative
        Stored minus true value, absolute and divided by the true value (None if that is 0).
    ulps
        The absolute error's size in units of ``fmt.ulp(value)``: at most ½.
    """

    fmt: Format
    pattern: int
    stored: float
    error: Fraction | None
    relative: Fraction | None
    ulps: Fraction | None

    @property
    def note(self) -> str:
        """What happened beside rounding: "subnormal", "underflow", "overflow" or nothing."""
        kind = self.fmt.kind(self.pattern)
        if kind == "zero":
            return "underflow" if self.error else ""
        return {"subnormal": kind, "infinity": "overflow"}.get(kind, "")


class Comparison(Shown):
    """A table for a notebook or a terminal, with its ``rows`` as data."""

    def __init__(self, value: str, rows: list[Row]) -> None:
        self.rows = rows
        super().__init__(_to_html(value, rows), _to_text(value, rows))


def compare(value: Real | str, *formats: Which) -> Comparison:
    """Round one number to several formats and show what each stores.

    Parameters
    ----------
    value
        A number, or text such as ``"0.1"``, ``"1/3"`` or ``"2^-24"``, which is taken exactly:
        the float 0.1 is itself rounded, the text ``"0.1"`` is one tenth.
    formats
        By default all but fp64.

    Returns
    -------
    Comparison
        Shown as the last line of a cell; ``rows`` holds the exact numbers.

    Raises
    ------
    ValueError
        If a format is unknown or the text is not a number.
    """
    shown = [get_format(each) for each in formats or [n for n in FORMATS if n != "fp64"]]
    number = parse(value) if isinstance(value, str) else exact.as_real(value)
    return Comparison(str(value), [_round(number, each) for each in shown])


def _round(number: Real, fmt: Format) -> Row:
    pattern = fmt.encode(number)
    stored = fmt.decode(pattern)
    if not math.isfinite(stored):
        return Row(fmt, pattern, stored, None, None, None)
    true = Fraction(number)
    error = Fraction(stored) - true
    relative = error / abs(true) if true else None
    return Row(fmt, pattern, stored, error, relative, abs(error) / Fraction(fmt.ulp(number)))


def _decimal(stored: float) -> str:
    """Write all decimals of a number if it has up to 20 digits, else the first ones and "…"."""
    if not math.isfinite(stored):
        return {"inf": "∞", "-inf": "−∞"}.get(str(stored), "NaN")
    number = Decimal(stored)
    digits = len(number.normalize().as_tuple().digits)
    small = 1e-6 < abs(stored) < 1e9 or stored == 0
    if digits <= _DIGITS and small:
        text = f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"
    elif small:
        text = f"{stored:.{_DIGITS - 8}g}…"
    else:
        mantissa, exponent = f"{stored:.8e}".split("e")
        text = f"{mantissa}…×{power(10, int(exponent))}"
    return text.replace("-", "−")


def _cells(row: Row) -> list[str]:
    error, relative = (_signed(part) for part in (row.error, row.relative))
    ulps = "–" if row.ulps is None else short(float(row.ulps), 3)
    stored = _decimal(row.stored) + (f" ({row.note})" if row.note else "")
    return [stored, error, relative, ulps]


def _signed(part: Fraction | None) -> str:
    if part is None:
        return "–"
    return ("+" if part > 0 else "") + short(float(part), 3)


def _to_html(value: str, rows: list[Row]) -> str:
    sides = ["left", "left", *["right"] * 4]
    heads = "".join(
        f'<th scope="col" style="{_CELL}{_LINE}text-align:{side}">{head}</th>'
        for head, side in zip(_HEADS, sides, strict=True)
    )
    body = "".join(_row_html(row) for row in rows)
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;'
        "font-size:var(--jp-ui-font-size1, 13px);font-variant-numeric:tabular-nums;"
        'color:inherit">'
        f'<caption style="text-align:left;color:inherit">{html.escape(value)} in '
        f"{len(rows)} format{'s' * (len(rows) != 1)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row_html(row: Row) -> str:
    words = row.fmt.bit_string(row.pattern).split()
    bits = " ".join(
        f'<span style="border-bottom:3px solid {shade}">{word}</span>'
        for word, shade in zip(words, FIELD_COLORS.values(), strict=True)
    )
    numbers = "".join(
        f'<td style="{_CELL}{_LINE}text-align:right">{cell}</td>' for cell in _cells(row)
    )
    return (
        f'<tr><th scope="row" style="{_CELL}{_LINE}text-align:left">{row.fmt.name}</th>'
        f'<td style="{_CELL}{_LINE}text-align:left;font-family:var(--jp-code-font-family, '
        f'monospace)">{bits}</td>{numbers}</tr>'
    )


def _to_text(value: str, rows: list[Row]) -> str:
    table = [_HEADS, *([r.fmt.name, r.fmt.bit_string(r.pattern), *_cells(r)] for r in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            f"{cell:<{width}}" if k < 2 else f"{cell:>{width}}"
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in table
    ]
    return "\n".join([f"{value} in {len(rows)} format{'s' * (len(rows) != 1)}", *lines])
