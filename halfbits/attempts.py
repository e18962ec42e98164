"""Pictures of a student's own function beside the truth, whatever the function does so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.figure import WIDTH, Picture, color, style
from halfbits.formats import Format, Which, get_format
from halfbits.theme import FORMAT_COLORS

RIGHT, ASTRAY = FORMAT_COLORS["fp32"], FORMAT_COLORS["fp16"]


@style()
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
        If the format has more than 10 bits.
    """
    fmt = Format("this format", exp_bits, man_bits)
    if fmt.bits > 10:
        raise ValueError(f"{fmt.bits} bits are too many to draw; use at most 10")
    patterns = range(2**fmt.bits)
    truth = [fmt.decode(bits) for bits in patterns]
    yours, problem = _values(lambda bits: decode(bits, exp_bits, man_bits), patterns)
    right = [y for y, t in zip(yours, truth, strict=False) if _same(y, t)]
    astray = [y for y, t in zip(yours, truth, strict=False) if not _same(y, t)]
    figure = Figure(figsize=(WIDTH, 1.5))
    axes = figure.subplots()
    for row, values, ink in ((1, right, RIGHT), (1, astray, ASTRAY), (0, truth, "black")):
        _ticks(axes, row, values, zoom, ink)
    axes.set_yticks([1, 0], ["your decode", "the format"])
    axes.set(xlim=_widened(zoom), ylim=(-0.6, 1.6), xlabel="value")
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    said = problem or f"{len(right)} of {len(patterns)} patterns are right"
    axes.set_title(said)
    alt = f"Values of your decode between {zoom[0]} and {zoom[1]} over those of the format: {said}."
    return Picture(figure, alt)


@style()
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
    places = np.geomspace(fmt.smallest_normal / 16, fmt.smallest_normal * 64, 401)
    places = [fmt.round(float(x)) for x in places]
    yours, problem = _values(lambda x: ulp(x, fmt.dtype), places)
    truth = [fmt.ulp(x) for x in places]
    right = sum(map(_same, yours, truth))
    figure = Figure(figsize=(WIDTH, 3))
    axes = figure.subplots()
    axes.plot(places, truth, color="black", alpha=0.3, linewidth=7, linestyle="solid")
    drawable = [y if isinstance(y, int | float) and y > 0 else math.nan for y in yours]
    axes.plot(places[: len(drawable)], drawable, color=color(fmt), linestyle="solid")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.minorticks_off()
    axes.set(xlabel="x", ylabel="gap after x")
    said = problem or f"{right} of {len(places)} gaps are right"
    axes.set_title(f"broad and grey: the gaps of {fmt.name}; thin: your ulp ({said})")
    return Picture(figure, f"The gaps of {fmt.name} as a staircase, and your ulp over it: {said}.")


def _values(function: Callable, places: Sequence) -> tuple[list, str]:
    """The function's results up to the first that it does not give, and why it stopped."""
    values = []
    for place in places:
        try:
            values.append(function(place))
        except NotImplementedError:
            return values, "not attempted yet"
        except Exception as error:
            return values, f"your function raises {type(error).__name__}: {error}"[:90]
    return values, ""


def _same(yours: object, truth: float) -> bool:
    return isinstance(yours, float) and (yours.hex() == truth.hex())


def _ticks(axes: Axes, row: int, values: Sequence, zoom: tuple[float, float], ink: str) -> None:
    drawable = [v for v in values if isinstance(v, int | float) and zoom[0] <= v <= zoom[1]]
    axes.vlines(drawable, row - 0.32, row + 0.32, color=ink, linewidth=1.8)


def _widened(zoom: tuple[float, float]) -> tuple[float, float]:
    margin = (zoom[1] - zoom[0]) * 0.02
    return zoom[0] - margin, zoom[1] + margin
