"""Pictures of a student's own function beside the truth, whatever the function does so far."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.formats import Format, Which, get_format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color
from halfbits.pictures.theme import FORMAT_COLORS
from halfbits.text import power, short

RIGHT, ASTRAY = FORMAT_COLORS["fp32"], FORMAT_COLORS["fp16"]
HUGE = 2.0**100  # gaps from here on are wrong and would leave no room for the right ones


def draw_decoded(
    decode: Callable, exp_bits: int, man_bits: int, zoom: tuple[float, float] = (0, 4)
) -> Picture:
    """Show the values that ``decode(bits, exp_bits, man_bits)`` gives for every pattern.

    Parameters
    ----------
    decode
        The student's function; it may raise, or return anything.
    exp_bits, man_bits
        Widths of a small format: at most 10 bits in all.
    zoom
        Ends of the axis.

    Raises
    ------
    ValueError
        If the format has more than 10 bits or ``zoom`` does not ascend.
    """
    fmt = Format("this format", exp_bits, man_bits)
    if fmt.bits > 10:
        raise ValueError(f"{fmt.bits} bits are too many to draw; use at most 10")
    if not zoom[0] < zoom[1]:
        raise ValueError(f"zoom is a pair such as (0, 4) with the smaller end first, not {zoom}")
    patterns = range(2**fmt.bits)
    truth = [fmt.decode(bits) for bits in patterns]
    yours, problem = results_of(lambda bits: decode(bits, exp_bits, man_bits), patterns)
    right = [y for y, t in zip(yours, truth, strict=False) if _same(y, t)]
    astray = [y for y, t in zip(yours, truth, strict=False) if not _same(y, t)]
    ends = f"from {short(zoom[0])} to {short(zoom[1])}"
    said = problem or f"{len(right)} of all {len(patterns)} patterns are right"
    wrong = "; long and orange: wrong" if _inside(astray, zoom) else ""
    title = f"your values {ends}; {said}{wrong}"
    alt = f"Values of your decode {ends} over those of the format: {said}. {_undrawn(truth, zoom)}"
    return Picture(partial(_figure_of_decoded, truth, right, astray, zoom, title), alt)


def _figure_of_decoded(
    truth: list[float], right: list, astray: list, zoom: tuple[float, float], title: str
) -> Figure:
    figure = Figure(figsize=(WIDTH, 1.5))
    axes = figure.subplots()
    _ticks(axes, 0, _inside(truth, zoom), "black")
    _ticks(axes, 1, _inside(right, zoom), RIGHT)
    _ticks(axes, 1, _inside(astray, zoom), ASTRAY, reach=0.48)
    axes.set_yticks([1, 0], ["your decode", "the format"])
    axes.set(xlim=_widened(zoom), ylim=(-0.6, 1.6), xlabel="value")
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(title, parse_math=False)
    return figure


def _undrawn(truth: Sequence[float], zoom: tuple[float, float]) -> str:
    """Say which patterns of a format have no place on the axis."""
    special = sum(not math.isfinite(t) for t in truth)
    outside = len(truth) - special - len(_inside(truth, zoom))
    return (
        f"Of the format's {len(truth)} patterns {outside} lie outside the axis, and {special} are "
        "infinities or NaN, which cannot be drawn."
    )


def draw_ulp(ulp: Callable, which: Which) -> Picture:
    """Show ``ulp(x, dtype)`` over the true gaps around a format's smallest normal number.

    Raises
    ------
    ValueError
        If the format is unknown or PyTorch has no dtype for it.
    """
    fmt = get_format(which)
    if fmt.dtype is None:
        raise ValueError(f"PyTorch has no dtype for {fmt.name}")
    places = _places(fmt)
    yours, problem = results_of(lambda x: ulp(x, fmt.dtype), places)
    truth = [fmt.ulp(x) for x in places]
    right = sum(map(_same, yours, truth))
    said = problem or f"{right} of {len(places)} gaps are right"
    alt = (
        f"The gaps of {fmt.name} as a staircase that is level up to twice the smallest normal "
        f"number, {power(2, fmt.min_exponent)}, and then doubles at each power of two; "
        f"your ulp over it: {said}."
    )
    return Picture(partial(_figure_of_ulp, fmt, places, truth, yours, said), alt)


def _figure_of_ulp(
    fmt: Format, places: list[float], truth: list[float], yours: list, said: str
) -> Figure:
    figure = Figure(figsize=(WIDTH, 3))
    axes = figure.subplots()
    # Each gap holds from its number to the next one.
    step = {"drawstyle": "steps-post", "linestyle": "solid"}
    axes.plot(places, truth, color="black", alpha=0.3, linewidth=7, **step)
    drawable = [y if _is_drawable(y) and 0 < y < HUGE else math.nan for y in yours]
    axes.plot(places[: len(drawable)], drawable, color=color(fmt), **step)
    axes.axvline(fmt.smallest_normal, color="black", linestyle="dashed", linewidth=1)
    axes.annotate(
        f"smallest normal, {power(2, fmt.min_exponent)}",
        (fmt.smallest_normal, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-5, -3),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=SMALL,
    )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.minorticks_off()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_power_label)
    axes.set(xlabel="x", ylabel="gap at x")
    axes.set_title(
        f"broad and grey: the gaps of {fmt.name}; thin: your ulp ({said})", parse_math=False
    )
    return figure


def _power_label(x: float, _: int | None = None) -> str:
    if not 0 < x < math.inf:  # beyond the ends of an axis
        return ""
    return power(2, round(math.log2(x))) if x != 1 else "1"


def _places(fmt: Format) -> list[float]:
    """Numbers around the smallest normal one: powers of two, those below them, some between."""
    low = max(fmt.min_exponent - 4, fmt.lowest_exponent)
    high = fmt.min_exponent + 6
    between = np.exp2(np.linspace(low, high, 40 * (high - low) + 1)[:-1]).tolist()
    last = [2.0**e - fmt.ulp(2.0 ** (e - 1)) for e in range(low + 1, high + 1)]
    return sorted({fmt.round(x) for x in [*between, *last] if x >= 2.0**low} - {2.0**high})


def results_of(function: Callable, places: Sequence) -> tuple[list, str]:
    """A student's results up to the first that is not given, and why it stopped."""
    values = []
    for place in places:
        try:
            value = function(place)
        except NotImplementedError:
            return values, "not attempted yet"
        except Exception as error:
            return values, _one_line(f"your function raises {type(error).__name__}: {error}")
        # As in checks, a NumPy scalar counts as the Python number that it holds.
        values.append(value.item() if isinstance(value, np.generic) else value)
    return values, ""


def _one_line(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:80].rstrip(": ")


def _same(yours: object, truth: float) -> bool:
    return isinstance(yours, float) and yours.hex() == truth.hex()


def _is_drawable(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max


def _inside(values: Sequence, zoom: tuple[float, float]) -> list[float]:
    return [v for v in values if _is_drawable(v) and zoom[0] <= v <= zoom[1]]


def _ticks(axes: Axes, row: int, places: list[float], ink: str, reach: float = 0.32) -> None:
    axes.vlines(places, row - reach, row + reach, color=ink, linewidth=1.8)


def _widened(zoom: tuple[float, float]) -> tuple[float, float]:
    margin = (zoom[1] - zoom[0]) * 0.02
    return zoom[0] - margin, zoom[1] + margin
