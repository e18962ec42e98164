"""The one way in which the course shows a figure: an SVG that follows the page's theme.

What is black in a figure takes the colour of the text around it, the background is transparent,
and every picture says in words what it shows. The same figure always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import html
import io
import math
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from halfbits.formats import Format
from halfbits.pictures.shown import Shown
from halfbits.pictures.theme import FORMAT_COLORS

WIDTH = 8.4  # inches: 806 CSS pixels, so that 9 pt are 12 px
SMALL = 8.8  # points: notes inside a picture

DASHES = {
    "fp32": "solid",
    "fp16": (0, (7, 1)),
    "bf16": (0, (4, 1.2)),
    "tf32": (0, (3, 1, 1, 1)),
    "fp8_e4m3fn": (0, (3, 1.5, 1, 1.5)),
    "fp8_e5m2": (0, (1.5, 1)),
    "fp64": (0, (1, 1)),
}

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "black",
    "grid.alpha": 0.15,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "figure.figsize": (WIDTH, 3.4),
    "figure.dpi": 150,  # of what is rasterized
    "figure.constrained_layout.use": True,
    "axes.prop_cycle": mpl.cycler(
        color=[FORMAT_COLORS[name] for name in DASHES], linestyle=[*DASHES.values()]
    ),
    "svg.fonttype": "none",
    "svg.hashsalt": "halfbits",
}


def style() -> AbstractContextManager:
    """Course style for matplotlib, to draw in: ``with style(): ...`` or ``@style()``."""
    return mpl.rc_context(STYLE)


def color(fmt: Format) -> str:
    """Colour of a format, grey for formats that the course has no colour for."""
    return FORMAT_COLORS.get(fmt.name, FORMAT_COLORS["fp64"])


def hatched(fmt: Format) -> dict[str, Any]:
    """Look of a patch that stands for subnormal numbers; hatching is the same in both themes."""
    ink = color(fmt)
    return {"facecolor": "none", "edgecolor": ink, "hatch": "//////", "linewidth": 0.8}


def ticks(axes: Axes, places: Iterable[float], low: float, high: float, **look: Any) -> Line2D:
    """Draw vertical strokes from ``low`` to ``high``, all as one path; return it."""
    xs = [x for place in places for x in (place, place, math.nan)]
    look = {"linestyle": "solid", "linewidth": 1.2, "clip_on": False} | look
    (line,) = axes.plot(xs, [low, high, math.nan] * (len(xs) // 3), **look)
    return line


_ROOT = (
    "max-width:100%;height:auto;stroke-linejoin:round;stroke-linecap:butt;"
    "font-family:var(--jp-ui-font-family, system-ui, sans-serif)"
)


class Picture(Shown):
    """A matplotlib figure as a picture; as the last line of a cell it is shown.

    Parameters
    ----------
    figure
        Drawn under :func:`style`, or a function that draws it when it is first looked at. It is
        closed for pyplot, so that it appears once only.
    alt
        What the picture shows, in words and numbers, for those who cannot see it.

    Raises
    ------
    ValueError
        If ``alt`` is empty.
    """

    def __init__(self, figure: Figure | Callable[[], Figure], alt: str) -> None:
        if not alt.strip():
            raise ValueError("say in alt what the picture shows")
        super().__init__(self._element, alt)
        if isinstance(figure, Figure):
            self.figure = figure
            _close(figure)
        else:
            self._draw = figure

    @cached_property
    def figure(self) -> Figure:
        """The figure itself."""
        with style():
            return self._draw()

    @cached_property
    def svg(self) -> str:
        """The picture as an ``<svg>`` element."""
        return to_svg(self.figure)

    def _element(self) -> str:
        label = html.escape(self.text, quote=True)
        return f'<figure role="img" aria-label="{label}" style="margin:0">{self.svg}</figure>'


def to_svg(figure: Figure) -> str:
    """Render a figure as an ``<svg>`` element that can stand in any page beside any other."""
    buffer = io.StringIO()
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_facecolor("none")
    with style():
        # Twice as fast as figure.savefig, which draws everything once more to lay it out.
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # matplotlib's style sheet and its ids would apply to the whole page.
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r"<defs>\s*</defs>", "", svg)
    svg = _private_ids(svg).replace("#000000", "currentColor")
    svg = re.sub(r" ?font-family: [^;\"]*;?", "", svg)
    root = f'<svg fill="currentColor" style="{_ROOT}"'
    return re.sub(r"\n\s*", "\n", svg.replace("<svg", root, 1)).strip()


def _private_ids(svg: str) -> str:
    """Drop ids that nothing refers to; the others get a prefix made of the picture itself."""
    used = set(re.findall(r"#([A-Za-z][\w.-]*)[\")]", svg))
    prefix = "hb" + hashlib.sha256(svg.encode()).hexdigest()[:10]
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", svg)
    return re.sub(r"(href=\"|url\()#", rf"\g<1>#{prefix}-", svg)


def _close(figure: Figure) -> None:
    if getattr(figure, "number", None) is not None:  # made by pyplot
        import matplotlib.pyplot as plt

        plt.close(figure)
