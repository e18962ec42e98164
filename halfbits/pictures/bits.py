"""The bit explorer: the bits of one number in several formats, to click, type and step through.

The arithmetic of the page is in ``bits.js``: once displayed, it needs no kernel. Python parses the
same typed texts, so that ``w.value = "1/3"`` and the text form work without a browser.
"""

from __future__ import annotations

import html
import json
import threading
from fractions import Fraction
from pathlib import Path

import torch
import traitlets

from halfbits.formats import Format, get_format
from halfbits.pictures.theme import FORMAT_COLORS
from halfbits.pictures.widget import TextWidget
from halfbits.typed import parse

_HERE = Path(__file__).parent


class BitExplorer(TextWidget):
    """Clickable bits of one number in several formats; made by :func:`explore`.

    Attributes
    ----------
    value : str
        The number as typed, for instance ``"0.1"``. Setting it rounds it to every format.
    patterns : dict of str to str
        The bits that are shown, by format name: ``{"fp16": "0 01011 1001100110"}``.
    linked : bool
        Whether the other formats follow when a bit is flipped.
    formats : list of dict
        What the page needs to know about each format.
    """

    _esm = _HERE / "bits.js"
    _css = _HERE / "bits.css"

    formats = traitlets.List(traitlets.Dict()).tag(sync=True)
    value = traitlets.Unicode("0.1").tag(sync=True)
    patterns = traitlets.Dict(key_trait=traitlets.Unicode()).tag(sync=True)
    linked = traitlets.Bool(True).tag(sync=True)

    # Messages from the page may arrive on a thread of their own.
    _page_thread: int | None = None

    def __init__(self, formats: list[Format], value: str) -> None:
        super().__init__(formats=[_describe(each) for each in formats], value=value)
        self._round_to_all()

    @traitlets.validate("value")
    def _check_value(self, proposal: dict) -> str:
        parse(proposal["value"])
        return proposal["value"]

    @traitlets.observe("value")
    def _value_changed(self, change: dict) -> None:
        # The page sends its own patterns along: a flipped NaN keeps its exact bits.
        if self._page_thread != threading.get_ident():
            self._round_to_all()

    def set_state(self, sync_data: dict) -> None:
        """Take over what the page sends."""
        self._page_thread = threading.get_ident()
        try:
            super().set_state(sync_data)
        finally:
            self._page_thread = None

    def _round_to_all(self) -> None:
        number = parse(self.value)
        self.patterns = {
            each.name: each.bit_string(each.encode(number)) for each in self._formats()
        }

    def _formats(self) -> list[Format]:
        widths = ("name", "exp_bits", "man_bits", "infinities")
        return [Format(**{key: each[key] for key in widths}) for each in self.formats]

    def __str__(self) -> str:
        """Return the bits as text, one format a line."""
        rows = []
        for fmt in self._formats():
            bits = self.patterns[fmt.name]
            pattern = int(bits.replace(" ", ""), 2)
            rows.append((fmt.name, bits, repr(fmt.decode(pattern)), fmt.kind(pattern)))
        names, widths = (max(len(row[i]) for row in rows) for i in (0, 1))
        lines = [f"{n:{names}}  {b:{widths}}  = {v}  {kind}" for n, b, v, kind in rows]
        return "\n".join([f"{self.value} as sign, exponent and fraction bits:", *lines])

    def to_html(self) -> str:
        """One HTML page with the explorer as it stands; it needs no kernel and no network."""
        state = {name: getattr(self, name) for name in ("formats", "value", "patterns", "linked")}
        return _PAGE.format(
            css=(_HERE / "bits.css").read_text(encoding="utf-8"),
            script=(_HERE / "bits.js").read_text(encoding="utf-8"),
            state=json.dumps(state).replace("<", "\\u003c"),
            text=html.escape(str(self)),
        )

    def save_html(self, path: str | Path) -> Path:
        """Write :meth:`to_html` to a file and return its path."""
        path = Path(path)
        path.write_text(self.to_html(), encoding="utf-8")
        return path


def _describe(fmt: Format) -> dict:
    return {
        "name": fmt.name,
        "label": fmt.name,
        "exp_bits": fmt.exp_bits,
        "man_bits": fmt.man_bits,
        "infinities": fmt.infinities,
        "color": FORMAT_COLORS.get(fmt.name, "#7d7d7d"),
    }


def explore(
    *formats: str | torch.dtype | Format, value: str | float | Fraction = "0.1"
) -> BitExplorer:
    """Show the bits of a number, to flip them and to see what each format makes of it.

    Parameters
    ----------
    formats
        Names such as ``"fp16"``, or PyTorch dtypes; fp16 and bf16 if none is given.
    value
        A number, or a text to be rounded exactly as typed: ``"1/3"``, ``"2^-24"``, ``"1+2^-11"``.

    Raises
    ------
    ValueError
        If a format or the value is not known.

    Examples
    --------
    >>> explore("fp16", "bf16", value=0.1)
    0.1 as sign, exponent and fraction bits:
    fp16  0 01011 1001100110  = 0.0999755859375  normal
    bf16  0 01111011 1001101  = 0.10009765625  normal
    """
    found = [get_format(each) for each in formats or ("fp16", "bf16")]
    unique = list({each.name: each for each in found}.values())
    value = value.item() if hasattr(value, "item") else value
    return BitExplorer(unique, value if isinstance(value, str) else str(value))


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bit explorer – Half the Bits</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ max-width: 60rem; margin: 1.5rem auto; padding: 0 1rem; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #16181c; color: #e8eaed; }} }}
{css}</style>
<body>
<div id="explorer"></div>
<noscript><pre>{text}</pre></noscript>
<script type="module">
{script}
show(document.getElementById("explorer"), {state});
</script>
</body>
</html>
"""
