"""Stochastic rounding of one number: its mean goes to the number, unlike nearest's fixed error."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.exact import Real, as_real
from halfbits.formats import Format, Which, get_format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color, style
from halfbits.pictures.page import for_page, page_module, page_style
from halfbits.pictures.widget import TextWidget
from halfbits.rounding import round_to
from halfbits.text import short, significant
from halfbits.typed import parse

_COUNT = 10_000


class StochasticExplorer(TextWidget):
    """One number to round again and again; made by :func:`stochastic_explorer`.

    Attributes
    ----------
    low, high : float
        The neighbours of x in the format.
    share : float
        Where x lies between them: 0.125 is an eighth of the gap above ``low``.
    """

    _esm = page_module("stochastic")
    _css = page_style("stochastic")

    formats = traitlets.List(traitlets.Dict()).tag(sync=True)
    low = traitlets.Float().tag(sync=True)
    high = traitlets.Float().tag(sync=True)
    share = traitlets.Float().tag(sync=True)

    def __str__(self) -> str:
        """Return where x lies and what both rules make of it."""
        return _describe(get_format(self.formats[0]["name"]), self.low, self.high, self.share)


def stochastic_explorer(fmt: Which = "bf16", x: Real | str = "1+2^-10") -> StochasticExplorer:
    """Round x stochastically in the browser, once or a thousand times.

    Parameters
    ----------
    fmt
        One of the course's formats.
    x
        A number between two numbers of the format, or a text such as ``"1+2^-10"``.

    Raises
    ------
    ValueError
        If the format or x does not fit. :func:`stochastic_roundings` needs no kernel.
    """
    fmt, low, high, share = _between(fmt, x)
    return StochasticExplorer(formats=for_page([fmt]), low=low, high=high, share=share)


@style()
def stochastic_roundings(
    fmt: Which = "bf16", x: Real | str = "1+2^-10", count: int = _COUNT, seed: int = 0
) -> Picture:
    """Draw many stochastic roundings of x: how often each neighbour, and the running mean.

    Parameters
    ----------
    fmt, x
        As in :func:`stochastic_explorer`.
    count
        How many roundings, 10 to 1,000,000.
    seed
        Of torch's generator.

    Raises
    ------
    ValueError
        If an argument does not fit.
    """
    fmt, low, high, share = _between(fmt, x)
    if not isinstance(count, int) or not 10 <= count <= 1_000_000:
        raise ValueError(f"count is from 10 to 1,000,000 roundings, not {count}")
    exact = torch.full((count,), low + share * (high - low), dtype=torch.float64)
    rounded = round_to(exact, fmt, "stochastic", torch.Generator().manual_seed(seed))
    went_up = (rounded == high).double().cumsum(0)
    figure = Figure(figsize=(WIDTH, 3.4))
    bars, means = figure.subplots(1, 2, width_ratios=[1, 2.1])
    ups = int(went_up[-1])
    _draw_bars(bars, fmt, (low, high), (count - ups, ups), share)
    mean = low + went_up / torch.arange(1, count + 1) * (high - low)
    _draw_means(means, fmt, mean.numpy(), (low, high), share)
    error = abs(float(mean[-1]) - float(exact[0]))
    said = (
        f"{count:,} stochastic roundings: {ups:,} went up, {count - ups:,} down; "
        f"their mean is {_digits(float(mean[-1]))}, {short(error)} off."
    )
    return Picture(figure, f"{_describe(fmt, low, high, share)} {said}")


def _draw_bars(
    axes: Axes, fmt: Format, ends: tuple[float, float], counts: tuple[int, int], share: float
) -> None:
    axes.bar((0, 1), counts, color=color(fmt), width=0.6)
    for place, times, expected in zip((0, 1), counts, (1 - share, share), strict=True):
        expected *= sum(counts)
        top = (place, max(times, expected))
        axes.annotate(f"{times:,}", top, xytext=(0, 4), textcoords="offset points", ha="center")
        axes.plot((place - 0.4, place + 0.4), (expected, expected), color="black", linestyle="--")
    axes.set_xticks((0, 1), [_digits(end) for end in ends])
    axes.set_ylim(0, max(counts) * 1.12)
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}")
    axes.set_xlabel(f"rounded to ({fmt.name}; dashed: expected)")
    axes.set_ylabel("how often")
    axes.grid(axis="x", visible=False)


def _draw_means(
    axes: Axes, fmt: Format, mean: np.ndarray, ends: tuple[float, float], share: float
) -> None:
    low, high = ends
    gap, count = high - low, len(mean)
    x = low + share * gap
    places = np.unique(np.geomspace(1, count, 500).round().astype(int))
    error = 2 * gap * np.sqrt(share * (1 - share) / places)
    band = {"color": "black", "alpha": 0.1, "linewidth": 0}
    axes.fill_between(places, np.maximum(x - error, low), np.minimum(x + error, high), **band)
    axes.axhline(x, color="black", linewidth=1.2, linestyle="--")
    nearest = fmt.round(Fraction(low) + Fraction(share) * Fraction(gap))
    axes.axhline(nearest, color="black", linewidth=1.4, linestyle="solid")
    axes.annotate(
        "rounded to nearest: always here", (1, nearest), xycoords=("axes fraction", "data"),
        xytext=(-4, 4 if nearest == high else -4), textcoords="offset points", ha="right",
        va="bottom" if nearest == high else "top", fontsize=SMALL,
    )  # fmt: skip
    axes.plot(places, mean[places - 1], color=color(fmt), linestyle="solid")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
    axes.set_xlim(1, count)
    axes.set_ylim(low - 0.13 * gap, high + 0.13 * gap)
    ticks = [y for y in (low, high) if abs(y - x) > 0.07 * gap]
    axes.set_yticks([*ticks, x], [*map(_digits, ticks), f"x = {_digits(x)}"])
    axes.set_xlabel("roundings, logarithmic (shaded: within 2 standard errors of x)")
    axes.set_title("mean of all roundings so far")


def _between(fmt: Which, x: Real | str) -> tuple[Format, float, float, float]:
    """Give the format, x's neighbours in it, and where x lies between them."""
    fmt = get_format(fmt)
    exact = parse(x) if isinstance(x, str) else as_real(x)
    nearest = fmt.round(exact)
    if exact - exact != 0 or abs(exact) >= fmt.max:
        raise ValueError(
            f"x is a number within ±{short(fmt.max)}, the range of {fmt.name}, not {x}"
        )
    if nearest == exact:
        raise ValueError(f"{x} is a number of {fmt.name}: choose one between two of its numbers")
    below, above = fmt.neighbours(fmt.encode(nearest))
    low, high = (nearest, above) if nearest < exact else (below, nearest)
    share = (Fraction(exact) - Fraction(low)) / (Fraction(high) - Fraction(low))
    return fmt, low, high, float(share)


def _describe(fmt: Format, low: float, high: float, share: float) -> str:
    x = low + share * (high - low)
    nearest = fmt.round(Fraction(low) + Fraction(share) * (Fraction(high) - Fraction(low)))
    if share in (0, 1):
        return (
            f"x = {_digits(x)} is a number of {fmt.name} and stays what it is: every rule leaves "
            "it alone."
        )
    return (
        f"x = {_digits(x)} lies {short(share)} of the way up from {_digits(low)} in {fmt.name}. "
        f"Stochastic rounding gives {_digits(high)} with probability {short(share)}, else "
        f"{_digits(low)}: on average x. Rounding to nearest gives {_digits(nearest)} every time, "
        f"{short(abs(nearest - x))} off."
    )


def _digits(value: float) -> str:
    return significant(value, 9)
