"""The slider that splits sixteen bits: one kept figure whose artists move."""

from __future__ import annotations

import math
import threading

import ipywidgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from halfbits.formats import FORMATS, Format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color, hatched, style, ticks
from halfbits.pictures.splits import EXPLAINED, all_splits, decade_ticks, position
from halfbits.pictures.theme import FIELD_COLORS
from halfbits.text import power, short

_LAST = 1.125  # end of the piece of the number line that starts at 1


def split_explorer(bits: int = 16) -> ipywidgets.VBox:
    """Make a slider for the number of exponent bits, with a picture of what it buys and costs.

    Parameters
    ----------
    bits
        Width of the formats, 6 to 32. :func:`splits` is the same without a kernel.

    Returns
    -------
    ipywidgets.VBox
        Its children are the slider and the HTML with the picture.

    Raises
    ------
    ValueError
        If ``bits`` is out of range.
    """
    every = all_splits(bits)
    drawing = _SplitDrawing(every)
    slider = ipywidgets.IntSlider(
        value=5 if 5 in every else min(every),
        min=min(every),
        max=max(every),
        description="exponent bits",
        style={"description_width": "initial"},
        layout={"width": "420px", "max_width": "100%"},
    )
    output = ipywidgets.HTML(drawing.draw(every[slider.value]))
    slider.observe(
        lambda change: output.set_trait("value", drawing.draw(every[change.new])), "value"
    )
    return ipywidgets.VBox([slider, output])


class _SplitDrawing:
    """One figure that is kept; a new split moves its artists, which is faster than a new figure."""

    @style()
    def __init__(self, every: dict[int, Format]) -> None:
        self._lock = threading.Lock()  # widget callbacks may come on several threads
        self._figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
        rows = self._figure.subplots(3, height_ratios=[0.7, 1, 0.8])
        for axes in rows:
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
        self._make_bits(rows[0], next(iter(every.values())).bits)
        self._make_range(rows[1], every)
        self._make_near_one(rows[2])
        self._figure.draw_without_rendering()  # lays the panels out, once
        self._figure.set_layout_engine("none")

    def _make_bits(self, axes: Axes, bits: int) -> None:
        self._layout = axes
        self._cells = [
            axes.add_patch(Rectangle((k + 0.06, 0), 0.88, 1, linewidth=0)) for k in range(bits)
        ]
        axes.set(xlim=(0, max(bits, 24)), ylim=(-0.1, 1.1), xticks=[])
        axes.spines["bottom"].set_visible(False)
        self._names = [
            axes.text(0, -0.2, "bits", ha="left", va="top", fontsize=SMALL) for _ in range(2)
        ]

    def _make_range(self, axes: Axes, every: dict[int, Format]) -> None:
        low = min(position(f.smallest_subnormal) for f in every.values())
        high = max(position(f.max) for f in every.values())
        self._range = axes
        self._bars = [axes.add_patch(Rectangle((0, 0.45), 1, 0.5, linewidth=0)) for _ in range(2)]
        known = [f for f in every.values() if f.name in FORMATS]
        for k, fmt in enumerate(known):
            y = 0.28 - 0.2 * k
            ends = (position(fmt.smallest_subnormal), position(fmt.max))
            axes.plot(ends, (y, y), color=color(fmt), linestyle="solid", marker="|", markersize=6)
            axes.text(ends[1] + 0.1, y, fmt.name, va="center", fontsize=SMALL)
        axes.set(xlim=(low - 0.1, high + 0.9), ylim=(-0.1, 1))
        axes.set_xticks(*decade_ticks(1e-320, 1e308))
        axes.set_xlabel(
            f"range, hatched: subnormal (axis logarithmic in the exponent: {EXPLAINED})", labelpad=2
        )

    def _make_near_one(self, axes: Axes) -> None:
        self._near = axes
        self._ticks = ticks(axes, [], 0, 1)
        axes.set(xlim=(0.999, _LAST + 0.001), ylim=(0, 1))
        axes.grid(visible=False)
        axes.set_xlabel("every number from 1 to 1.125", labelpad=2)

    def draw(self, fmt: Format) -> str:
        """Move everything to another split; return HTML."""
        with self._lock:
            self._move_bits(fmt)
            self._move_range(fmt)
            count = int((_LAST - 1) / fmt.eps) + 1
            places = [1 + k * fmt.eps for k in range(0, count, max(1, count // 1024))]
            xs = [x for place in places for x in (place, place, math.nan)]
            self._ticks.set_data(xs, [0, 1, math.nan] * len(places))
            self._ticks.set_color(color(fmt))
            shown = Picture(self._figure, _describe_split(fmt)).html
        return f'{shown}<p role="status" style="margin:4px 0">{_summary(fmt)}</p>'

    def _move_bits(self, fmt: Format) -> None:
        fields = ["sign"] + ["exponent"] * fmt.exp_bits + ["fraction"] * fmt.man_bits
        for cell, field in zip(self._cells, fields, strict=True):
            cell.set_color(FIELD_COLORS[field])
        exponent, fraction = self._names
        exponent.set(x=1.06, text=f"{fmt.exp_bits} exponent bits")
        room = 3 * max(fmt.bits, 24) / 24  # that the words before it take
        fraction.set(x=1.06 + max(fmt.exp_bits, room), text=f"{fmt.man_bits} fraction bits")

    def _move_range(self, fmt: Format) -> None:
        numbers = (fmt.smallest_subnormal, fmt.smallest_normal, fmt.max)
        low, normal, high = (position(x) for x in numbers)
        subnormal, whole = self._bars
        subnormal.set(x=low, width=normal - low, **hatched(fmt))
        whole.set(x=normal, width=high - normal, facecolor=color(fmt))


def _summary(fmt: Format) -> str:
    known = f"<b>{fmt.name}</b>: " if fmt.name in FORMATS else ""
    return (
        f"{known}max {short(fmt.max)}, smallest normal {short(fmt.smallest_normal)}, "
        f"smallest subnormal {short(fmt.smallest_subnormal)}, "
        f"eps {power(2, -fmt.man_bits)} = {short(fmt.eps)}"
    )


def _describe_split(fmt: Format) -> str:
    return (
        f"{fmt.bits} bits with {fmt.exp_bits} exponent and {fmt.man_bits} fraction bits reach from "
        f"{short(fmt.smallest_subnormal)} to {short(fmt.max)}; the gap above 1 is {short(fmt.eps)}."
    )
