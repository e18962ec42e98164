"""Pictures of number formats: how far apart their numbers are and how far they reach.

Together with :mod:`halfbits.pictures.numberline` and the splits of 16 bits, all importable from
here. Every function takes formats by name, PyTorch dtype or :class:`~halfbits.formats.Format` and
returns a :class:`~halfbits.pictures.figure.Picture`, computed from the formats' definitions.
"""

from __future__ import annotations

import math
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from halfbits.formats import FORMATS, Format, Which, get_format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color, hatched, style
from halfbits.pictures.numberline import number_line
from halfbits.pictures.split_explorer import split_explorer
from halfbits.pictures.splits import splits
from halfbits.pictures.theme import FIELD_COLORS
from halfbits.text import power, short

__all__ = ["number_line", "range_vs_precision", "spacing", "split_explorer", "splits"]

_BESIDE = {"xytext": (6, 0), "textcoords": "offset points", "va": "center", "fontsize": SMALL}
_TIGHT = {"fontsize": SMALL, "handlelength": 0.8, "handletextpad": 0.4, "columnspacing": 1.0}


@style()
def spacing(*formats: Which, limits: tuple[float, float] | None = None) -> Picture:
    """Show the gap between neighbouring numbers, absolute and relative to the numbers.

    Parameters
    ----------
    formats
        By default fp16 and bf16.
    limits
        Magnitudes at the ends of the axis; by default those of the format with the smallest range
        and a little more.

    Raises
    ------
    ValueError
        If a format is unknown.
    """
    shown = [get_format(each) for each in formats or ("fp16", "bf16")]
    narrow = min(shown, key=lambda each: each.exp_bits)
    low, high = limits or (narrow.smallest_subnormal / 8, narrow.max * 256)
    figure = Figure(figsize=(WIDTH, 5.4))
    absolute, relative = figure.subplots(2, sharex=True, height_ratios=[1.4, 1])
    for number, fmt in enumerate(shown):
        x, gap = _staircase(fmt, low, high)
        # Formats with equal gaps lie on each other: the first ones show as a rim.
        covers = sum(other.man_bits == fmt.man_bits for other in shown[number + 1 :])
        look = {"color": color(fmt), "linestyle": "solid", "linewidth": 1.8 + 2.2 * covers}
        absolute.plot(x, gap, **look)
        relative.plot(x, [g / v for g, v in zip(gap, x, strict=True)], **look)
        _name_ends(absolute, relative, fmt, low, high)
    for gap in {fmt.ulp(high) for fmt in shown if fmt.max >= high}:
        names = ", ".join(f.name for f in shown if f.max >= high and f.ulp(high) == gap)
        absolute.annotate(names, (high, gap), **_BESIDE)
    for eps in {fmt.eps for fmt in shown}:
        names = ", ".join(fmt.name for fmt in shown if fmt.eps == eps)
        relative.annotate(names, (high, eps * 0.7), **_BESIDE)
    _finish_spacing(absolute, relative, shown, (low, high))
    return Picture(figure, " ".join(_describe_spacing(each) for each in shown))


def _staircase(fmt: Format, low: float, high: float) -> tuple[list[float], list[float]]:
    """Corners of the gap as a function of the magnitude, both as lists of the same length."""
    powers = range(fmt.lowest_exponent, fmt.max_exponent + 1)
    edges = [2.0**e for e in powers if low / 2 <= 2.0**e <= high * 2]
    edges += [fmt.max] if fmt.max <= high * 2 else []
    x = [x for pair in pairwise(edges) for x in pair]
    return x, [fmt.ulp(start) for start in edges[:-1] for _ in range(2)]


def _name_ends(absolute: Axes, relative: Axes, fmt: Format, low: float, high: float) -> None:
    """Mark where a format begins and ends within the limits."""
    if fmt.max < high:
        gap = fmt.ulp(fmt.max)
        dot = {"color": color(fmt), "markersize": 5}
        absolute.plot(fmt.max, gap, "o", **dot)
        absolute.annotate(fmt.name, (fmt.max, gap), **_BESIDE | {"xytext": (7, -2)})
        relative.plot(fmt.max, gap / fmt.max, "o", **dot)
        below = _BESIDE | {"xytext": (5, -5), "va": "top", "ha": "right"}
        relative.annotate(f"{fmt.name} ends at {short(fmt.max)}", (fmt.max, gap / fmt.max), **below)
    if fmt.smallest_subnormal > low:
        start = (fmt.smallest_subnormal, fmt.smallest_subnormal)
        absolute.annotate("subnormal", start, **_BESIDE | {"xytext": (0, 4), "va": "bottom"})


def _finish_spacing(
    absolute: Axes, relative: Axes, formats: list[Format], limits: tuple[float, float]
) -> None:
    absolute.set_ylabel("gap to the next number")
    relative.set_ylabel("gap ÷ number")
    relative.set_xlabel("number (magnitude, logarithmic)")
    for axes in (absolute, relative):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.minorticks_off()
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda x, _: power(2, round(math.log2(x))) if x != 1 else "1")
    absolute.set_xlim(*limits)
    relative.set_yticks([1.0, *{fmt.eps for fmt in formats}])
    relative.set_ylim(min(fmt.eps for fmt in formats) / 8, 1.8)


def _describe_spacing(fmt: Format) -> str:
    return (
        f"Spacing of {fmt.name}: a staircase that doubles at every power of two, from "
        f"{short(fmt.smallest_subnormal)} among the subnormals to {short(fmt.ulp(fmt.max))} at its "
        f"end, {short(fmt.max)}. Relative to the number it stays between {short(fmt.eps / 2)} and "
        f"eps = {short(fmt.eps)}, and rises to 1 below {short(fmt.smallest_normal)}."
    )


@style()
def range_vs_precision(*formats: Which) -> Picture:
    """Compare formats: their bits, the range that the exponent buys and the digits left over.

    Parameters
    ----------
    formats
        By default all but fp64, whose range would dwarf the others.

    Raises
    ------
    ValueError
        If a format is unknown.
    """
    names = formats or [name for name in FORMATS if name != "fp64"]
    shown = [get_format(each) for each in names]
    figure = Figure(figsize=(WIDTH, 1.05 + 0.4 * len(shown)))
    widest = max(each.bits for each in shown)
    bits, bars = figure.subplots(1, 2, sharey=True, width_ratios=[1.1 + widest / 32, 3.4])
    for row, fmt in enumerate(shown):
        _draw_bits(bits, row, fmt)
        _draw_range(bars, row, fmt)
    bits.set(xlim=(0, widest), ylim=(len(shown) - 0.5, -0.5), xticks=[], title="bits")
    bits.set_yticks(range(len(shown)), [f"{each.name}  " for each in shown])
    handles = [
        Rectangle((0, 0), 1, 1, color=c, linewidth=0, label=f) for f, c in FIELD_COLORS.items()
    ]
    bits.legend(handles=handles, loc="upper left", bbox_to_anchor=(-0.02, 0), ncols=3, **_TIGHT)
    bars.set(title="positive range (hatched: subnormal)", xlabel="magnitude, logarithmic")
    bars.xaxis.set_major_formatter(lambda x, _: power(10, round(x)) if x else "1")
    above = _BESIDE | {"xycoords": "axes fraction"}
    bars.annotate("digits", (1, 1), **above | {"xytext": (44, 7), "ha": "right"})
    bars.annotate("eps", (1, 1), **above | {"xytext": (60, 7)})
    for axes in (bits, bars):
        axes.tick_params(axis="y", length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.grid(axis="y", visible=False)
    return Picture(figure, " ".join(_describe_format(each) for each in shown))


def _draw_bits(axes: Axes, row: int, fmt: Format) -> None:
    start = 0
    for field, width in (("sign", 1), ("exponent", fmt.exp_bits), ("fraction", fmt.man_bits)):
        for bit in range(start, start + width):
            axes.add_patch(
                Rectangle(
                    (bit + 0.08, row - 0.28), 0.84, 0.56, color=FIELD_COLORS[field], linewidth=0
                )
            )
        start += width


def _draw_range(axes: Axes, row: int, fmt: Format) -> None:
    low, normal, high = (
        math.log10(x) for x in (fmt.smallest_subnormal, fmt.smallest_normal, fmt.max)
    )
    axes.barh(row, normal - low, left=low, height=0.56, **hatched(fmt))
    axes.barh(row, high - normal, left=normal, height=0.56, color=color(fmt), linewidth=0)
    right = {"xycoords": ("axes fraction", "data")} | _BESIDE
    axes.annotate(f"{_digits(fmt):.1f}", (1, row), **right | {"xytext": (38, 0), "ha": "right"})
    axes.annotate(power(2, -fmt.man_bits), (1, row), **right | {"xytext": (60, 0)})


def _digits(fmt: Format) -> float:
    """Decimal digits that a significand of M + 1 bits is worth: (M + 1) log10 2."""
    return (fmt.man_bits + 1) * math.log10(2)


def _describe_format(fmt: Format) -> str:
    return (
        f"{fmt.name}: {fmt.exp_bits} exponent and {fmt.man_bits} fraction bits, from "
        f"{short(fmt.smallest_subnormal)} (normal from {short(fmt.smallest_normal)}) to "
        f"{short(fmt.max)}, {_digits(fmt):.1f} decimal digits, eps {short(fmt.eps)}."
    )
