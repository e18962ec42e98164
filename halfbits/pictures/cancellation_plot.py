"""Cancellation as a picture: the bits of two close numbers and their difference, and its error."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from halfbits.formats import Format, Which
from halfbits.pictures.cancellation import Difference, checked, close_pair, percent, tell
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color, style
from halfbits.text import power

_BEYOND = 8  # places shown after the format's last one


@style()
def cancellation(fmt: Which = "fp16", agree: int = 8) -> Picture:
    """Draw the bits of two close numbers and of their difference, and its relative error.

    Parameters
    ----------
    fmt, agree
        As in :func:`halfbits.pictures.cancellation.cancellation_explorer`.

    Raises
    ------
    ValueError
        If an argument does not fit.
    """
    fmt = checked(fmt, agree)
    every = [Difference(fmt, *close_pair(n)) for n in range(1, fmt.man_bits + 6)]
    figure = Figure(figsize=(WIDTH, 5.0))
    bits, errors = figure.subplots(2, height_ratios=[1.05, 1])
    _draw_bits(bits, every[agree - 1], agree)
    _draw_errors(errors, every, agree)
    return Picture(figure, tell(every[agree - 1], agree))


def _draw_bits(axes: Axes, d: Difference, agree: int) -> None:
    """One row of bits for each number; where the format ends is a line."""
    fmt, last = d.fmt, d.fmt.man_bits
    columns = last + 1 + _BEYOND
    lead = math.inf if d.result == 0 else 1 - math.frexp(d.result)[1]
    true_lead = 1 - math.frexp(d.exact)[1]
    rows = [
        ("a exactly", d.a, 0, agree, columns),
        (f"a in {fmt.name}", d.near_a, 1, lead, last + 1),
        ("b exactly", d.b, 0, agree, columns),
        (f"b in {fmt.name}", d.near_b, 1, lead, last + 1),
        (f"a − b in {fmt.name}", d.result, 1, lead, min(lead + last + 1, columns)),
        ("a − b exactly", d.exact, 0, true_lead, columns),
    ]
    for row, (_, value, boxed, gone, end) in enumerate(rows):
        for place in range(end):
            kind = "cancelled" if place < gone else "real" if place <= last else "shifted"
            _draw_bit(axes, fmt, (place, row), math.floor(value * 2**place) % 2, kind, bool(boxed))
    axes.axvline(last + 0.5, color="black", linewidth=1, linestyle="solid")
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    marks = range(0, columns, 4)
    axes.set_xticks(marks, [power(2, -p) if p else "1" for p in marks])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(
        f"grey: cancels · filled: from a and b · outlined: zero shifted in · line: {fmt.name} ends",
        fontsize=SMALL,
    )


def _draw_bit(
    axes: Axes, fmt: Format, at: tuple[int, int], bit: int, kind: str, boxed: bool
) -> None:
    look = {
        "cancelled": {"facecolor": "black", "alpha": 0.1, "linewidth": 0},
        "real": {"facecolor": color(fmt), "linewidth": 0},
        "shifted": {"facecolor": "none", "edgecolor": color(fmt), "linestyle": "--"},
    }[kind]
    if boxed:
        axes.add_patch(Rectangle((at[0] - 0.46, at[1] - 0.4), 0.92, 0.8, **look))
    bold = {"color": "white", "fontweight": "bold"} if boxed and kind == "real" else {}
    faint = {"alpha": 0.5} if kind == "cancelled" else {}
    axes.text(*at, str(bit), ha="center", va="center", fontsize=SMALL, **bold, **faint)


def _draw_errors(axes: Axes, every: list[Difference], agree: int) -> None:
    fmt = every[0].fmt
    unit, places = fmt.eps / 2, range(1, len(every) + 1)
    axes.axhline(unit, color="black", linewidth=1.2, linestyle="solid")
    axes.annotate(
        f"of a and b, at most: {power(2, -fmt.man_bits - 1)} = {percent(unit)}", (1, unit),
        xycoords=("axes fraction", "data"), xytext=(-4, -4), textcoords="offset points",
        ha="right", va="top", fontsize=SMALL,
    )  # fmt: skip
    low = unit * (unit / 4) ** 0.17  # room for the words under the inputs' line
    middle = round(0.45 * len(every))
    bounds = [d.bound for d in every]
    axes.plot(places, bounds, color="black", linewidth=1.2, linestyle="--")
    axes.annotate(
        "of a − b, at most", (middle + 1, bounds[middle]), xytext=(-10, 4), ha="right",
        textcoords="offset points", fontsize=SMALL,
    )  # fmt: skip
    errors = [max(low, d.error) for d in every]
    axes.plot(places, errors, "o", color=color(fmt), markersize=5, linestyle="none")
    axes.plot(
        agree, errors[agree - 1], "o", color=color(fmt), markersize=10, markeredgecolor="black"
    )
    axes.annotate(
        percent(every[agree - 1].error), (agree, errors[agree - 1]), xytext=(0, -20),
        textcoords="offset points", ha="center", fontweight="bold",
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(low, 4)
    axes.set_xlim(0.5, len(every) + 0.5)
    axes.set_xticks(places)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(
        lambda y, _: f"{100 * y:g}%" if y > 9e-6 else f"{power(10, round(math.log10(y)) + 2)}%"
    )
    axes.set_xlabel("bits in which a and b agree")
    axes.set_ylabel("relative error")
