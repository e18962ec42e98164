"""The number line of a format: where its numbers lie, whole or through a magnifying glass."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.formats import Format, Which, get_format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color, hatched, style, ticks
from halfbits.text import power, short

_PIXELS = 700  # that an axis is about wide
_BRACKET = {"arrowstyle": "|-|,widthA=.25,widthB=.25", "linewidth": 0.8, "shrinkA": 1, "shrinkB": 1}


def number_line(
    *formats: Which,
    zoom: tuple[float, float] | None = None,
) -> Picture:
    """Show where the numbers of some formats lie.

    The whole line has logarithmic axes: for each power of two, how many numbers follow it up to
    the next one. With ``zoom`` the axis is linear, from
    ``zoom[0]`` to ``zoom[1]``, and every number is one tick.

    Parameters
    ----------
    formats
        By default fp16 and bf16, with ``zoom`` fp8_e4m3fn.
    zoom
        Ends of a linear axis, for instance ``(0, 2)`` or ``(0, 2**-12)``.

    Raises
    ------
    ValueError
        If a format is unknown or ``zoom`` is not a pair that ascends.
    """
    if zoom is None:
        return _whole_line([get_format(each) for each in formats or ("fp16", "bf16")])
    if not (len(zoom) == 2 and -math.inf < zoom[0] < zoom[1] < math.inf):
        raise ValueError(f"zoom is a pair such as (0, 2) with the smaller end first, not {zoom}")
    return _zoomed_line([get_format(each) for each in formats or ("fp8_e4m3fn",)], *zoom)


@style()
def _whole_line(formats: list[Format]) -> Picture:
    figure = Figure(figsize=(WIDTH, max(3, 0.9 + 1.35 * len(formats))))
    rows = figure.subplots(len(formats), sharex=True, squeeze=False)[:, 0]
    low = min(each.lowest_exponent for each in formats) - 1
    high = max(each.max_exponent for each in formats) + 2
    tallest = max(each.man_bits for each in formats)
    for axes, fmt in zip(rows, formats, strict=True):
        _skyline(axes, fmt)
        axes.axvspan(low, 0, color="black", alpha=0.2, linewidth=0, zorder=0)
        axes.axvline(0, color="black", linestyle="solid", linewidth=1)
        inside, total = _count_up_to_one(fmt)
        axes.set_title(f"{fmt.name}: {inside / total:.1%} of {total:,} finite numbers in [−1, 1]")
        axes.set_yticks(*_count_ticks(fmt.man_bits))
        axes.grid(axis="x", visible=False)
        axes.set_ylim(0, tallest * 1.12)
        _mark(axes, fmt, high - low)
    rows[-1].set_xlim(low, high)
    rows[-1].set_xticks(*_power_ticks(low, high))
    rows[-1].set_xlabel(
        "magnitude, logarithmic (shaded: up to 1; hatched: subnormal; negative numbers: the same)"
    )
    figure.supylabel("numbers per power of 2, logarithmic", fontsize=9.5)
    return Picture(figure, " ".join(_describe_line(each) for each in formats))


def _counts(fmt: Format) -> dict[int, int]:
    """How many positive numbers lie in [2^e, 2^(e+1)), by e."""
    counts = {
        e: 2 ** (e - fmt.lowest_exponent) for e in range(fmt.lowest_exponent, fmt.min_exponent)
    }
    counts |= dict.fromkeys(range(fmt.min_exponent, fmt.max_exponent + 1), 2**fmt.man_bits)
    if not fmt.infinities:
        counts[fmt.max_exponent] -= 1  # the last one is NaN
    return counts


def _skyline(axes: Axes, fmt: Format) -> None:
    counts = _counts(fmt)
    for subnormal in (True, False):
        part = [e for e in counts if (e < fmt.min_exponent) == subnormal]
        heights = [math.log2(counts[e]) for e in part]  # a single number is a line on the axis
        look = hatched(fmt) if subnormal else {"color": color(fmt), "linewidth": 0}
        edges = [*part, part[-1] + 1]
        axes.stairs(heights, edges, baseline=0, fill=True, clip_on=False, **look)


def _mark(axes: Axes, fmt: Format, span: float) -> None:
    """Name the parts, where there is room for words."""
    middle = fmt.man_bits
    if fmt.man_bits / span > 0.1:
        axes.text(fmt.lowest_exponent, middle, "subnormal", va="top", fontsize=SMALL)
    axes.annotate(
        f"max {short(fmt.max)}",
        (fmt.max_exponent + 1, middle / 2),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
    )


def _count_ticks(tallest: int) -> tuple[list[float], list[str]]:
    heights: list[float] = [0, tallest // 2, tallest] if tallest >= 8 else [0, tallest]
    return heights, [f"{2**h:,}" for h in heights]


def _power_ticks(low: int, high: int) -> tuple[list[int], list[str]]:
    step = next(s for s in (1, 2, 4, 8, 16, 32, 64, 128, 256) if (high - low) / s <= 11)
    ticks = [e for e in range(-2048, 2048, step) if low <= e <= high]
    return ticks, [power(2, e) if e else "1" for e in ticks]


def _count_up_to_one(fmt: Format) -> tuple[int, int]:
    """How many finite numbers lie in [−1, 1], and how many there are; zero counts once."""
    return 2 * fmt.encode(1) + 1, 2 * fmt.encode(fmt.max) + 1


def _describe_line(fmt: Format) -> str:
    inside, total = _count_up_to_one(fmt)
    return (
        f"Number line of {fmt.name}: {total:,} finite numbers from {short(fmt.min)} to "
        f"{short(fmt.max)}; {inside:,} of them ({inside / total:.1%}) lie in [−1, 1]. Each power "
        f"of two from {power(2, fmt.min_exponent)} up holds {2**fmt.man_bits:,} numbers; below, "
        f"each holds half as many, down to {power(2, fmt.lowest_exponent)}."
    )


@style()
def _zoomed_line(formats: list[Format], low: float, high: float) -> Picture:
    figure = Figure(figsize=(WIDTH, 0.75 + 1.15 * len(formats)))
    rows = figure.subplots(len(formats), sharex=True, squeeze=False)[:, 0]
    for axes, fmt in zip(rows, formats, strict=True):
        axes.set_xlim(low, high)
        axes.set_ylim(0, 2.5)
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_title(_count(fmt, low, high))
        _shade_subnormals(axes, fmt, low, high)
        _every_number(axes, fmt, low, high)
        _name_gaps(axes, fmt, low, high)
    shaded = any(_subnormals(fmt, low, high) for fmt in formats)
    also = "; shaded: subnormal" if shaded else ""
    rows[-1].set_xlabel(f"value, linear (tall ticks: powers of two{also})")
    _label_ends(rows[-1], low, high)
    return Picture(figure, " ".join(_describe_zoom(each, low, high) for each in formats))


def _every_number(axes: Axes, fmt: Format, low: float, high: float) -> None:
    """Draw each number as a tick, or one of those that would share half a pixel."""
    if fmt.bits <= 20:
        values = fmt.finite_values()
        values = values[(low <= values) & (values <= high)]
    else:
        values = np.array([fmt.round(x) for x in np.linspace(low, high, 4 * _PIXELS)])
    tall = np.frexp(np.abs(values))[0] == 0.5
    for part, top in ((values[~tall], 0.8), (values[tall], 1.15)):
        _, first = np.unique(np.round(part * (2 * _PIXELS / (high - low))), return_index=True)
        places = part[first].tolist()
        ticks(axes, places, 0, top, color=color(fmt), rasterized=len(places) > 1000)


def _subnormals(fmt: Format, low: float, high: float) -> tuple[float, float] | None:
    """The stretch around zero below the smallest normal number, as far as it is in sight."""
    start, end = max(low, -fmt.smallest_normal), min(high, fmt.smallest_normal)
    return (start, end) if end - start > (high - low) / _PIXELS else None


def _shade_subnormals(axes: Axes, fmt: Format, low: float, high: float) -> None:
    stretch = _subnormals(fmt, low, high)
    if stretch is None:
        return
    start, end = stretch
    axes.axvspan(start, end, color="black", alpha=0.2, linewidth=0, zorder=0)
    side = "left" if start == low else "right" if end == high else "center"
    side = "center" if (end - start) / (high - low) > 0.1 else side
    x = {"left": start, "right": end, "center": (start + end) / 2}[side]
    axes.text(x, 2.42, " subnormal ", ha=side, va="top", fontsize=SMALL)


def _name_gaps(axes: Axes, fmt: Format, low: float, high: float) -> None:
    """Write the gap over every stretch of equal spacing that is wide enough for it."""
    edges = [0.0, *(2.0**e for e in range(fmt.min_exponent + 1, fmt.max_exponent + 1)), fmt.max]
    for start, end in pairwise(edges):
        for a, b in ((start, end), (-end, -start)):
            a, b = max(a, low), min(b, high)
            if (b - a) / (high - low) < 0.055:
                continue
            axes.annotate("", (a, 1.4), (b, 1.4), arrowprops=_BRACKET)
            label = _gap(fmt.ulp(start))
            label = f"gap {label}" if (b - a) / (high - low) > 0.1 else label
            axes.text((a + b) / 2, 1.5, label, ha="center", va="bottom", fontsize=SMALL)


def _gap(gap: float) -> str:
    return power(2, math.frexp(gap)[1] - 1) if gap < 1 else short(gap)


def _label_ends(axes: Axes, low: float, high: float) -> None:
    """Label powers of two where the axis ends are powers of two below 1/64."""
    if low == 0 and high < 2**-6 and math.frexp(high)[0] == 0.5:
        exponent = math.frexp(high)[1] - 1
        axes.set_xticks(
            [0, high / 4, high / 2, high],
            ["0", *(power(2, exponent - k) for k in (2, 1, 0))],
        )


def _describe_zoom(fmt: Format, low: float, high: float) -> str:
    top, bottom = min(high, fmt.max), max(low, fmt.min)
    if bottom > top:
        return f"Linear number line: {_count(fmt, low, high)}."
    nearest = 0.0 if bottom <= 0 <= top else min(abs(bottom), abs(top))
    furthest = max(abs(bottom), abs(top))
    smallest, largest = fmt.ulp(nearest), fmt.ulp(math.nextafter(furthest, 0))
    return (
        f"Linear number line: {_count(fmt, low, high)}; the gap is {_gap(smallest)} next "
        f"to {short(nearest)} and grows to {_gap(largest)}, doubling at powers of two."
        f"{_describe_subnormals(fmt, low, high)}"
    )


def _describe_subnormals(fmt: Format, low: float, high: float) -> str:
    if _subnormals(fmt, low, high) is None:
        return ""
    return f" Shaded: the subnormal range, magnitudes below {short(fmt.smallest_normal)}."


def _count(fmt: Format, low: float, high: float) -> str:
    inside = _place(fmt, high) + _place(fmt, -low) + 1
    total = 2 * fmt.encode(fmt.max) + 1
    numbers = f"{inside:,} of the {total:,} finite numbers of {fmt.name}"
    return f"{numbers}, from {short(low)} to {short(high)}"


def _place(fmt: Format, value: float) -> int:
    """Place of the largest number that is not above a value; zero has place 0."""
    place = fmt.encode(min(abs(value), fmt.max))
    number = fmt.decode(place)
    place, number = (-place, -number) if value < 0 else (place, number)
    return place - (number > value)
