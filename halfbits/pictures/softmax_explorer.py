"""Softmax step by step, naive beside stable: a picture, and one with sliders."""

from __future__ import annotations

import math
from collections.abc import Sequence

import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.formats import Which
from halfbits.pictures.figure import WIDTH, Picture, color, style
from halfbits.pictures.page import for_page, page_module, page_style
from halfbits.pictures.theme import ALERT
from halfbits.pictures.widget import TextWidget
from halfbits.softmax import (
    CHOICES,
    FORMULAS,
    LIMIT,
    STEPS,
    TEMPERATURES,
    Softmax,
    as_text,
    check_arguments,
    compute,
    write,
)


class SoftmaxExplorer(TextWidget):
    """Softmax of a few logits with sliders; made by :func:`softmax_explorer`.

    Attributes
    ----------
    logits : list of float
        The logits shown first.
    formats, temperatures, formulas
        What the page offers.
    """

    _esm = page_module("softmax")
    _css = page_style("softmax")

    logits = traitlets.List(traitlets.Float()).tag(sync=True)
    formats = traitlets.List(traitlets.Dict()).tag(sync=True)
    temperatures = traitlets.List(traitlets.Float()).tag(sync=True)
    formulas = traitlets.Dict().tag(sync=True)
    limit = traitlets.Float(LIMIT).tag(sync=True)

    def __str__(self) -> str:
        ways = [compute(way, self.logits, fmt) for fmt in CHOICES for way in FORMULAS]
        return "\n\n".join(map(as_text, ways))


def softmax_explorer(logits: Sequence[float] = (12, 11, 10)) -> SoftmaxExplorer:
    """Make sliders for logits and temperature that show every step of softmax, naive and stable.

    Parameters
    ----------
    logits
        Three to five numbers from −100 to 100. :func:`softmax_steps` is the same without a kernel.

    Raises
    ------
    ValueError
        If there are more or fewer, or one is beyond ±100.
    """
    check_arguments(logits, "fp16", 1)
    return SoftmaxExplorer(
        logits=[float(x) for x in logits],
        formats=for_page(CHOICES),
        temperatures=list(TEMPERATURES),
        formulas=FORMULAS,
    )


@style()
def softmax_steps(
    logits: Sequence[float] = (12, 11, 10), fmt: Which = "fp16", temperature: float = 1
) -> Picture:
    """Show every step of softmax in one format, naive beside stable.

    Parameters
    ----------
    logits
        Three to five numbers from −100 to 100.
    fmt
        fp16, bf16 or fp32.
    temperature
        What the logits are divided by, a positive number.

    Raises
    ------
    ValueError
        If an argument is another.
    """
    ways = [compute(way, logits, fmt, temperature) for way in FORMULAS]
    figure = Figure(figsize=(WIDTH, 3.7))
    rows = figure.subplots(2, 2, height_ratios=[1.25, 1], sharex=True)
    for table, bars, way in zip(*rows, ways, strict=True):
        _draw_table(table, way)
        _draw_bars(bars, way)
    rows[1][0].set_ylabel("probability")
    return Picture(figure, "\n".join(map(as_text, ways)))


def _draw_table(axes: Axes, way: Softmax) -> None:
    axes.set_axis_off()
    axes.set(ylim=(len(STEPS) - 0.4, -0.6))
    axes.set_title(f"{way.way}, {way.fmt.name}:  {FORMULAS[way.way]}", weight="bold")
    for y, name in enumerate(STEPS):
        axes.text(-0.62, y, name, ha="right", va="center")
        values = way.steps.get(name, [None] * len(way.exact))
        places = range(len(values)) if len(values) > 1 else [(len(way.exact) - 1) / 2]
        lost = name == "÷ sum" and way.steps["sum"] == [math.inf]
        for x, value in zip(places, values, strict=True):
            bad = value is not None and (lost or not math.isfinite(value))
            look = {"color": ALERT, "weight": "bold"} if bad else {}
            text = "—" if value is None else write(value)
            axes.text(x, y, text, ha="center", va="center", **look)


def _draw_bars(axes: Axes, way: Softmax) -> None:
    for x, (p, exact) in enumerate(zip(way.probabilities, way.exact, strict=True)):
        axes.bar(x, 0 if math.isnan(p) else p, width=0.6, color=color(way.fmt))
        axes.plot([x - 0.38, x + 0.38], [exact, exact], color="black", linestyle=(0, (3, 2)))
        if math.isnan(p):
            axes.text(x, 0.03, "NaN", ha="center", va="bottom", color=ALERT, weight="bold")
    axes.set(xlim=(-0.55, len(way.exact) - 0.45), ylim=(0, 1.05), yticks=[0, 0.5, 1])
    axes.set_xticks(range(len(way.exact)), [f"x{'₁₂₃₄₅'[i]}" for i in range(len(way.exact))])
    axes.set_xlabel("dashed: exact probability")
    axes.grid(visible=False, axis="x")
