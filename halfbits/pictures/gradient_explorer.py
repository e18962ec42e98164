"""The histogram of recorded gradients in fp16's window: a picture, and one to drag."""

from __future__ import annotations

import math

import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.formats import FORMATS
from halfbits.gradients import KINDS, GradientReport, Histogram, recorded_histogram
from halfbits.pictures.figure import WIDTH, Picture, color, hatched, style
from halfbits.pictures.page import page_module, page_style
from halfbits.pictures.theme import ALERT, FORMAT_COLORS
from halfbits.pictures.widget import TextWidget
from halfbits.text import power

LARGEST = 32  # exponent of the largest loss scale
_LOW, _HIGH = -42, 22  # exponents at the ends of the axis
_TICKS = (-40, -35, -30, -25, -20, -14, -10, -5, 0, 5, 10, 16, 20)
_ZONES = {
    "flushed to 0": (_LOW, -25, "black", 0.04),
    "subnormal": (-25, -14, FORMAT_COLORS["fp16"], 0.07),
    "normal": (-14, 16, FORMAT_COLORS["fp16"], 0.14),
    "overflow": (16, _HIGH, ALERT, 0.13),
}


class GradientExplorer(TextWidget):
    """Histogram of gradients with a loss scale to slide; made by :func:`gradient_explorer`.

    Attributes
    ----------
    recorded : dict
        For each kind of gradients: ``total``, ``zeros``, and ``rows`` with one list for each power
        of two, the exponent and the four counts of :class:`~halfbits.gradients.Histogram`.
    kind : str
        The kind shown first.
    power : int
        Exponent of the loss scale shown first.
    color : str
        fp16's colour.
    """

    _esm = page_module("gradients")
    _css = page_style("gradients")

    recorded = traitlets.Dict().tag(sync=True)
    kind = traitlets.Unicode("weights").tag(sync=True)
    power = traitlets.Int(0).tag(sync=True)
    color = traitlets.Unicode(FORMAT_COLORS["fp16"]).tag(sync=True)

    def __str__(self) -> str:
        scales = [2.0**p for p in (0, 3, 8, 16, 24, 32)]
        return "\n\n".join(
            "\n".join([f"gradients of {kind}:", *(describe(kind, scale) for scale in scales)])
            for kind in KINDS
        )


def gradient_explorer(scale: float = 1) -> GradientExplorer:
    """Make a histogram of MiniLM's gradients over fp16's window, with a loss scale to slide.

    Parameters
    ----------
    scale
        Loss scale shown first, a power of two from 1 to 2**32. :func:`gradient_histogram` is the
        same without a kernel.

    Raises
    ------
    ValueError
        If the scale is another.
    """
    recorded = {kind: _for_page(recorded_histogram(kind)) for kind in KINDS}
    return GradientExplorer(recorded=recorded, power=_exponent(scale))


@style()
def gradient_histogram(scale: float = 1, kind: str = "weights") -> Picture:
    """Show MiniLM's gradients under a loss scale: which of them fp16 loses, which it keeps.

    Parameters
    ----------
    scale
        Loss scale, a power of two from 1 to 2**32.
    kind
        ``"weights"`` or ``"activations"``: what the gradients are of.

    Raises
    ------
    ValueError
        If the scale or the kind is another.
    """
    shift = _exponent(scale)
    histogram = recorded_histogram(kind)
    figure = Figure(figsize=(WIDTH, 3.5))
    apart, axes = figure.subplots(1, 2, width_ratios=[0.09, 1])
    tallest = _draw_bars(axes, histogram, shift)
    for name, (low, high, ink, alpha) in _ZONES.items():
        axes.axvspan(low, high, color=ink, alpha=alpha, linewidth=0, zorder=0)
        x, ha = (high - 0.2, "right") if name == "overflow" else ((low + high) / 2, "center")
        axes.text(x, tallest * 1.12, name, ha=ha, va="center", weight="bold")
    axes.set(xlim=(_LOW, _HIGH), ylim=(0, tallest * 1.2))
    axes.set_xticks(_TICKS, [power(2, e) if e else "1" for e in _TICKS])
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}%")
    axes.set_xlabel(f"magnitude of gradient × {_name(shift)}, by power of two")
    axes.set_ylabel("share of all gradients")
    axes.grid(visible=False, axis="x")
    _draw_zeros(apart, histogram)
    return Picture(figure, f"Gradients of {kind} of MiniLM, {describe(kind, scale)}")


def _draw_bars(axes: Axes, histogram: Histogram, shift: int) -> float:
    """Draw one bar for each power of two, coloured by its zone; return the tallest, in percent."""
    shares = {e + shift: 100 * n[0] / histogram.total for e, n in histogram.rows().items()}
    looks = {
        "flushed": {"color": "black", "alpha": 0.45},
        "subnormal": hatched(FORMATS["fp16"]),
        "normal": {"color": color(FORMATS["fp16"])},
        "overflow": {"color": ALERT},
    }
    for (low, high, *_), look in zip(_ZONES.values(), looks.values(), strict=True):
        part = {e: share for e, share in shares.items() if low <= e < high}
        axes.bar(part.keys(), part.values(), width=0.86, align="edge", **look)
    return max(shares.values())


def _draw_zeros(axes: Axes, histogram: Histogram) -> None:
    axes.bar(0, 100, width=0.6, fill=False, edgecolor="black", linestyle="--")
    axes.bar(0, 100 * histogram.zeros / histogram.total, width=0.6, color="black", alpha=0.45)
    axes.set(xlim=(-0.5, 0.5), ylim=(0, 120), yticks=[0, 50, 100])
    axes.set_xticks([0], ["0"])
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}%")
    share = histogram.zeros / histogram.total
    axes.text(0, 112, f"{percent(share)}", ha="center", va="center", weight="bold")
    axes.set_xlabel("exactly 0")
    axes.grid(visible=False)


def describe(kind: str, scale: float) -> str:
    """Say in one sentence what fp16 makes of the recorded gradients under a loss scale."""
    found = recorded_histogram(kind).report(scale)
    parts = ", ".join(f"{percent(share)} {name}" for name, share in in_words(found).items())
    return f"loss scale {_name(_exponent(scale))}: {parts}."


def in_words(found: GradientReport) -> dict[str, float]:
    """The parts of a report under the names that the pictures give them."""
    return {
        "exactly 0, which no scale can bring back": found.zero,
        "flushed to 0": found.flushed,
        "subnormal": found.subnormal,
        "normal": found.normal,
        "overflow": found.overflow,
    }


def percent(share: float) -> str:
    """Write a fraction in percent; what is not nothing is never written 0%."""
    size = 100 * share
    if size in (0, 100):
        return f"{size:g}%"
    if size >= 10:
        return f"{size:.1f}%"
    return f"{np.format_float_positional(float(f'{size:.2g}'), trim='-')}%"


def _name(exponent: int) -> str:
    return power(2, exponent) if exponent else "1"


def _exponent(scale: float) -> int:
    half, exponent = math.frexp(scale)
    if half != 0.5 or not 1 <= exponent <= LARGEST + 1:
        raise ValueError(f"the loss scale is a power of two from 1 to 2**{LARGEST}, not {scale}")
    return exponent - 1


def _for_page(histogram: Histogram) -> dict:
    rows = [[e, *counts] for e, counts in histogram.rows().items()]
    return {"total": histogram.total, "zeros": histogram.zeros, "rows": rows}
