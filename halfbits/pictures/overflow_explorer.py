"""The tracer of infinities and NaN: a picture of one pass, and one with a slider for the scale."""

from __future__ import annotations

import math

import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from halfbits.formats import Format, Which, get_format
from halfbits.overflow import ENDINGS, POWERS, STEPS, Trace, scale_name, trace
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color, style
from halfbits.pictures.page import for_page, page_module, page_style
from halfbits.pictures.theme import ALERT
from halfbits.pictures.widget import TextWidget
from halfbits.text import power, short
from halfbits.trace import Row

_CHOICES = ("fp16", "bf16")


class OverflowExplorer(TextWidget):
    """A network whose input is scaled by a slider; made by :func:`overflow_explorer`.

    Attributes
    ----------
    traces : dict
        For each format and ending (``"fp16 softmax"``): the names of the rows, how many elements
        each has, and for each scale the rows' numbers and the sentence.
    steps : dict
        For each step how it is called and what it computes.
    formats, endings
        What the page offers.
    powers : list of int
        Exponents of the scales.
    power : int
        Exponent of the scale shown first.
    """

    _esm = page_module("overflow")
    _css = page_style("overflow")

    traces = traitlets.Dict().tag(sync=True)
    steps = traitlets.Dict().tag(sync=True)
    formats = traitlets.List(traitlets.Dict()).tag(sync=True)
    endings = traitlets.List(traitlets.Unicode()).tag(sync=True)
    powers = traitlets.List(traitlets.Int()).tag(sync=True)
    power = traitlets.Int().tag(sync=True)

    def __str__(self) -> str:
        lines = ["A small network, its input times a scale:"]
        for key, found in self.traces.items():
            lines += [f"{key}, scale {scale_name(p)}: {found['passes'][p - self.powers[0]]['said']}"
                      for p in (-16, 0, 3, 8, 16)]  # fmt: skip
        return "\n".join(lines)


def overflow_explorer(scale: float = 1) -> OverflowExplorer:
    """Make a slider that scales a network's input, and shows where ∞ and NaN arise.

    Every pass, forward and backward, is run when the widget is made. A first call takes a second.

    Parameters
    ----------
    scale
        Shown first, a power of two from 2**-16 to 2**16. :func:`overflow_trace` is the same
        without a kernel.

    Raises
    ------
    ValueError
        If the scale is another.
    """
    start = _exponent(scale)
    keys = [(fmt, ending) for fmt in _CHOICES for ending in ENDINGS]
    return OverflowExplorer(
        traces={f"{fmt} {ending}": _for_page(fmt, ending) for fmt, ending in keys},
        steps={
            name: [called, formula, _after_shift(formula)]
            for name, (called, formula, *_) in STEPS.items()
        },
        formats=for_page(_CHOICES),
        endings=list(ENDINGS),
        powers=list(POWERS),
        power=start,
    )


def _called(name: str, shifted: bool) -> tuple[str, str]:
    """How a step is called and what it computes, of z or, in a stable ending, of z − max."""
    called, formula, *_ = STEPS[name]
    return called, _after_shift(formula) if shifted else formula


def _after_shift(formula: str) -> str:
    return formula.replace("exp(z)", "exp(z − max)").replace("= z −", "= z − max −")


@style()
def overflow_trace(scale: float = 8, fmt: Which = "fp16", ending: str = "softmax") -> Picture:
    """Show one pass through a small network whose input is scaled: the first ∞ and the first NaN.

    Parameters
    ----------
    scale
        What the input is multiplied by, a power of two from 2**-16 to 2**16.
    fmt
        fp16, bf16 or fp32.
    ending
        ``"softmax"``, ``"stable softmax"`` or ``"log-softmax"``: how the loss is computed.

    Raises
    ------
    ValueError
        If an argument is another.
    """
    exponent, fmt = _exponent(scale), get_format(fmt)
    found = trace(exponent, fmt, ending)
    figure = Figure(figsize=(WIDTH, 0.95 + 0.3 * len(found.rows)))
    axes = figure.subplots()
    for y, row in enumerate(found.rows):
        _draw_row(axes, y, row, fmt)
    axes.set_ylim(len(found.rows) - 0.4, -0.6)
    _draw_limits(axes, fmt)
    shifted = any(row.name == "shift" for row in found.rows)
    labels = [": ".join(_called(row.name, shifted)) for row in found.rows]
    axes.set_yticks(range(len(found.rows)), labels)
    axes.tick_params(axis="y", length=0)
    for tick, row in zip(axes.get_yticklabels(), found.rows, strict=True):
        tick.set_fontweight("normal" if row.finite else "bold")
    _draw_firsts(axes, found.rows)
    axes.set_title(f"{fmt.name}, {ending}, input × {scale_name(exponent)}")
    for place, title in _COLUMNS.items():
        axes.annotate(title, (1, 1), (place, 6), ha="right", **_RIGHT)
    return Picture(figure, _describe(exponent, fmt, ending, found))


_RIGHT = {"xycoords": "axes fraction", "textcoords": "offset points"}
_COLUMNS = {46: "∞", 92: "NaN", 138: "zeros"}  # points to the right of the axes


def _draw_row(axes: Axes, y: int, row: Row, fmt: Format) -> None:
    low = math.log2(fmt.smallest_subnormal)
    look = {"color": color(fmt)} if row.finite else {"color": ALERT}
    if row.largest > 0:
        axes.barh(y, math.log2(row.largest) - low, left=low, height=0.55, **look)
    text = "—" if math.isnan(row.largest) else short(row.largest)
    end = math.log2(row.largest) if row.largest > 0 else low
    limit = math.log2(fmt.max)
    end = end if end < limit - 0.12 * (limit - low) else limit  # beside the line, not across it
    axes.annotate(text, (end, y), (4, 0), textcoords="offset points", va="center")
    right = _RIGHT | {"xycoords": ("axes fraction", "data")}
    for place, count in zip(_COLUMNS, (row.infs, row.nans, row.zeros), strict=True):
        bad = count and place != max(_COLUMNS)
        mark = {"color": ALERT, "weight": "bold"} if bad else {"alpha": 1 if count else 0.5}
        axes.annotate(str(count), (1, y), (place, 0), ha="right", va="center", **right, **mark)


def _draw_firsts(axes: Axes, rows: list[Row]) -> None:
    """Name the first row with an infinity and the first with NaN, at the left end of their bars."""
    firsts: dict[int, list[str]] = {}
    for name, counts in (("∞", [r.infs for r in rows]), ("NaN", [r.nans for r in rows])):
        found = [y for y, count in enumerate(counts) if count]
        if found:
            firsts.setdefault(found[0], []).append(name)
    for y, names in firsts.items():
        where = axes.get_xlim()[0]
        box = {"boxstyle": "round,pad=0.2", "facecolor": "#b3261e", "edgecolor": "none"}
        axes.annotate(f"first {' and '.join(names)}", (where, y), (26, 0), bbox=box, va="center",
                      textcoords="offset points", color="white", fontsize=SMALL)  # fmt: skip


def _draw_limits(axes: Axes, fmt: Format) -> None:
    ends = [fmt.lowest_exponent, fmt.min_exponent, 0, fmt.max_exponent + 1]
    axes.set_xlim(ends[0], ends[-1] + (ends[-1] - ends[0]) * 0.08)
    axes.xaxis.set_major_locator(FixedLocator(ends))
    axes.xaxis.set_major_formatter(lambda e, _: power(2, round(e)) if e else "1")
    axes.axvline(math.log2(fmt.max), color=ALERT, linestyle="solid", linewidth=1.2)
    axes.set_xlabel(f"largest finite magnitude (red line: {fmt.name} ends at {short(fmt.max)})")
    axes.grid(visible=False, axis="y")


def _describe(exponent: int, fmt: Format, ending: str, found: Trace) -> str:
    sizes = {STEPS[row.name][0]: row.largest for row in found.rows}
    rows = "; ".join(f"{k} {'none' if math.isnan(v) else short(v)}" for k, v in sizes.items())
    return (
        f"A network in {fmt.name} that ends in {ending}, input times {scale_name(exponent)}. "
        f"{found.said} Largest finite magnitudes: {rows}."
    )


def _exponent(scale: float) -> int:
    half, exponent = math.frexp(scale)
    if half != 0.5 or exponent - 1 not in POWERS:
        raise ValueError(f"the scale is a power of two from 2**-16 to 2**16, not {scale}")
    return exponent - 1


def _for_page(fmt: str, ending: str) -> dict:
    passes = [trace(p, fmt, ending) for p in POWERS]
    names = [row.name for row in passes[0].rows]
    return {"names": names, "counts": [row.count for row in passes[0].rows], "passes": [
        {"rows": [_numbers(row) for row in each.rows], "said": each.said} for each in passes
    ]}  # fmt: skip


def _numbers(row: Row) -> list[float | None]:
    largest = None if math.isnan(row.largest) else row.largest  # JSON has no NaN
    return [largest, row.infs, row.nans, row.zeros]
