"""A picture of a student's stall thresholds: which sums fall back to a number."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.formats import Format, Which, get_format
from halfbits.pictures.attempts import ASTRAY, RIGHT, results_of
from halfbits.pictures.figure import WIDTH, Picture, style
from halfbits.text import short

TRUTH = {"color": "black", "alpha": 0.3, "linewidth": 7, "markersize": 11}


@style()
def draw_stalls(stall_threshold: Callable, which: Which = "fp16", w: float = 1.0) -> Picture:
    """Show which sums fall back to the numbers around ``w``, by ``stall_threshold`` and in truth.

    Parameters
    ----------
    stall_threshold
        The student's function of (w, dtype, sign); it may raise, or return anything.
    which
        Format with a PyTorch dtype.
    w
        A positive normal number of the format.

    Raises
    ------
    ValueError
        If the format has no dtype, or ``w`` is no such number.
    """
    fmt = get_format(which)
    if fmt.dtype is None or not fmt.infinities:
        raise ValueError(f"stalls are drawn for PyTorch's formats with infinities, not {fmt.name}")
    if not 16 * fmt.smallest_normal <= w <= fmt.max / 16 or fmt.round(w) != w:
        raise ValueError(f"w is a normal {fmt.name} number away from the ends, not {w}")
    middle = fmt.encode(w)
    numbers = [fmt.decode(middle + k) for k in range(-4, 5)]
    calls = [(number, sign) for number in numbers for sign in (-1, 1)]
    yours, problem = results_of(lambda at: stall_threshold(at[0], fmt.dtype, at[1]), calls)
    unit = fmt.ulp(w)
    figure = Figure(figsize=(WIDTH, 3.6))
    axes = figure.subplots()
    right = 0
    for place, (number, sign) in enumerate(calls):
        row, half = place // 2, _half_gap(fmt, number, sign)
        falls_back = fmt.round(Fraction(number) + Fraction(sign * half)) == number
        start = (number - w) / unit
        _bar(axes, row, start, sign * half / unit, falls_back, TRUTH)
        if place < len(yours) and isinstance(yours[place], int | float):
            truth = half if falls_back else fmt.neighbours(fmt.encode(half))[0]
            right += yours[place] == truth
            reach = max(-2.0, min(2.0, yours[place] / unit))
            ink = RIGHT if yours[place] == truth else ASTRAY
            closed = yours[place] >= half
            _bar(axes, row, start, sign * reach, closed, {"color": ink, "markersize": 6})
    axes.plot([(n - w) / unit for n in numbers], range(len(numbers)), "|", color="black", ms=16)
    axes.set_yticks(range(len(numbers)), [_row(n, w, fmt) for n in numbers])
    axes.set_xlabel(f"w + Δ, counted from {short(w)} in units of {short(unit)}")
    axes.grid(axis="y", visible=False)
    said = problem or f"{right} of {len(calls)} thresholds are right"
    axes.set_title(
        "sums that fall back to w (broad and grey: true; thin: yours); "
        f"full dot: the tie, too\n{said}",
        parse_math=False,
    )
    alt = (
        f"For nine neighbouring {fmt.name} numbers around {short(w)}, a bar from half the gap "
        "below to half the gap above. Ends are full, tie included, where the number is even, and "
        f"empty where it is odd. Your thresholds over it: {said}."
    )
    return Picture(figure, alt)


def _half_gap(fmt: Format, number: float, sign: int) -> float:
    beside = fmt.neighbours(fmt.encode(number))[sign > 0]
    return abs(beside - number) / 2


def _row(number: float, w: float, fmt: Format) -> str:
    digit = "odd" if fmt.encode(number) % 2 else "even"
    return f"{number:.8g}, {digit}" if number != w else f"w = {number:.8g}, {digit}"


def _bar(axes: Axes, row: int, start: float, reach: float, closed: bool, look: dict) -> None:
    line = {"linewidth": 1.8, "linestyle": "solid"} | look
    size = line.pop("markersize")
    axes.plot([start, start + reach], [row, row], **line)
    face = line["color"] if closed else "none"
    edge = {"markeredgecolor": line["color"], "markerfacecolor": face, "alpha": line.get("alpha")}
    axes.plot(start + reach, row, "o", markersize=size, **edge)
