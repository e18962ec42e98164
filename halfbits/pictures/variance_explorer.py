"""Variance in three ways as the mean grows: a picture, and one with a slider."""

from __future__ import annotations

import math

import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.formats import Which, get_format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color, style
from halfbits.pictures.page import for_page, page_module, page_style
from halfbits.pictures.theme import ALERT
from halfbits.pictures.widget import TextWidget
from halfbits.softmax import write
from halfbits.text import power
from halfbits.variance import COUNT, MEANS, WAYS, Variances, all_variances, mean_name

_CHOICES = ("fp32", "fp16", "bf16")
_MARKERS = {"naive": "o", "two passes": "s", "Welford": "x"}
_LOW, _HIGH = 1e-3, 1e11  # ends of the axis of variances


class VarianceExplorer(TextWidget):
    """Three variances against the mean, with a slider; made by :func:`variance_explorer`.

    Attributes
    ----------
    formats : list of dict
        What the page offers.
    means : list of float
        The places of the slider.
    names : list of str
        The means as they are written.
    computed : dict
        For each format and mean: the exact variance, those of the three ways, and the sentence.
        What is not finite is text.
    ways : dict
        What each way computes.
    """

    _esm = page_module("variance")
    _css = page_style("variance")

    formats = traitlets.List(traitlets.Dict()).tag(sync=True)
    means = traitlets.List(traitlets.Float()).tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    computed = traitlets.Dict().tag(sync=True)
    ways = traitlets.Dict().tag(sync=True)

    def __str__(self) -> str:
        chosen = [self.means.index(mean) for mean in (0, 1e2, 1e4, 1e6)]
        return "\n".join(
            f"{name}. {row[i]['said']}" for name, row in self.computed.items() for i in chosen
        )


def variance_explorer() -> VarianceExplorer:
    """Make a slider for the mean of 1000 numbers whose variance is computed in three ways.

    :func:`variances` is the same without a kernel.
    """
    return VarianceExplorer(
        formats=for_page(_CHOICES),
        means=list(MEANS),
        names=[mean_name(mean) for mean in MEANS],
        computed={
            name: [_for_page(v) for v in all_variances(get_format(name))] for name in _CHOICES
        },
        ways=WAYS,
    )


@style()
def variances(fmt: Which = "fp32") -> Picture:
    """Show the variance of 1000 numbers, computed in three ways, as their mean grows.

    Parameters
    ----------
    fmt
        fp32, fp16 or bf16.

    Raises
    ------
    ValueError
        If the format is another.
    """
    fmt = get_format(fmt)
    if fmt.name not in _CHOICES:
        raise ValueError(f"variances are shown in {', '.join(_CHOICES)}, not in {fmt.name}")
    found = all_variances(fmt)
    figure = Figure(figsize=(WIDTH, 3.8))
    axes = figure.subplots()
    places = [_place(each.mean) for each in found]
    axes.plot(places, [_clip(v.exact) for v in found], color="black", linewidth=1, label="exact")
    for way, marker in _MARKERS.items():
        _draw_way(axes, places, [v.by_way[way] for v in found], (way, marker), color(fmt))
    axes.set(yscale="log", ylim=(_LOW / 3, _HIGH * 3), xlim=(-1.1, 6.15))
    axes.set_xticks(range(-1, 7), ["0", "1", "10", *(power(10, e) for e in range(2, 7))])
    axes.set_yticks([10.0**e for e in range(-3, 12, 2)])
    axes.yaxis.set_major_formatter(lambda y, _: _size_name(y))
    axes.minorticks_off()
    axes.set_xlabel(f"mean of the {COUNT} numbers; their standard deviation is 1")
    axes.set_ylabel("variance, magnitude")
    axes.set_title(f"{fmt.name} (∞ and NaN lie at the upper edge)")
    figure.legend(loc="outside lower center", ncols=5, fontsize=SMALL, handlelength=1.4)
    chosen = [v.said() for v in found if v.mean in (1.0, 1e2, 1e4, 1e6)]
    return Picture(figure, f"Variance in {fmt.name}, standard deviation 1. {' '.join(chosen)}")


def _draw_way(
    axes: Axes, places: list[float], values: list[float], named: tuple[str, str], ink: str
) -> None:
    """Draw one way's points, and those below zero as red triangles."""
    way, marker = named
    look = {"linewidth": 1.4} if way == "naive" else {"linewidth": 0, "markerfacecolor": "none"}
    sizes = [_clip(value) for value in values]
    axes.plot(places, sizes, marker=marker, color=ink, linestyle="solid", markersize=6,
              label=f"{way}: {WAYS[way]}", **look)  # fmt: skip
    below = [(x, _clip(v)) for x, v in zip(places, values, strict=True) if v < 0]
    if below:
        axes.plot(*zip(*below, strict=True), "v", color=ALERT, markersize=9, label="negative!")


def _place(mean: float) -> float:
    """Place on the logarithmic axis of means, where 0 is one decade below 1."""
    return math.log10(mean) if mean else -1


def _size_name(size: float) -> str:
    edges = {_LOW: "0", _HIGH: "∞", 10.0: "10"}
    return edges.get(size, power(10, round(math.log10(size))))


def _clip(value: float) -> float:
    """Size on the axis of variances; 0 lies at its lower edge, ∞ and NaN at its upper."""
    return min(max(abs(value), _LOW), _HIGH) if math.isfinite(value) else _HIGH


def _for_page(found: Variances) -> dict:
    numbers = {"exact": found.exact, **found.by_way}
    plain = {k: v if math.isfinite(v) else write(v) for k, v in numbers.items()}
    return {**plain, "said": found.said()}
