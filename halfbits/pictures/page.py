"""Interactive pictures that the browser computes: ``page/shared.js`` and one module for each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from halfbits.formats import Format, Which, get_format
from halfbits.pictures.theme import FORMAT_COLORS

_FOLDER = Path(__file__).parent / "page"


def page_module(name: str) -> str:
    """The JavaScript module of a widget: what all share, then ``page/NAME.js``."""
    return _read("shared.js") + "\n" + _read(f"{name}.js")


def page_style(name: str | None = None) -> str:
    """The style sheet of a widget: what all share, then ``page/NAME.css`` where given."""
    return _read("shared.css") + ("\n" + _read(f"{name}.css") if name else "")


def for_page(formats: Iterable[Which]) -> list[dict]:
    """What the page needs to know about formats.

    Raises
    ------
    ValueError
        If a format is unknown.
    """
    return [_describe(get_format(each)) for each in formats]


def _describe(fmt: Format) -> dict:
    return {
        "name": fmt.name,
        "exp_bits": fmt.exp_bits,
        "man_bits": fmt.man_bits,
        "infinities": fmt.infinities,
        "color": FORMAT_COLORS.get(fmt.name, FORMAT_COLORS["fp64"]),
    }


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
