"""Plain tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[object]], indent: str = "") -> str:
    """Align rows in columns; numbers to the right."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    numeric = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        return indent + "  ".join(padded).rstrip()

    rule = indent + "  ".join("─" * width for width in widths)
    return "\n".join([line(header), rule, *map(line, texts)])


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or str(cell) == "—"
