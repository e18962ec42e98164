"""Accuracies with their intervals: a picture, and one with a slider for the number of examples."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import traitlets
from matplotlib.figure import Figure

from halfbits.intervals import Z95, gap_in_errors, published, wilson
from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.page import page_module, page_style
from halfbits.pictures.theme import FORMAT_COLORS
from halfbits.pictures.widget import TextWidget

LEAST, MOST = 100, 1_000_000  # test examples that the slider goes through
STEPS = 40  # of the slider, equal factors


@style()
def accuracy_intervals(n: int = 10_000, accuracies: Mapping[str, float] | None = None) -> Picture:
    """Draw accuracies with their 95 % intervals, and the gap of each pair in standard errors.

    Parameters
    ----------
    n
        Number of test examples.
    accuracies
        Shares from 0 to 1, by the name of a format; by default those of the notebooks that the
        course began with.

    Raises
    ------
    ValueError
        If n is not positive or a share is not from 0 to 1.
    """
    shown = _shown(accuracies)
    figure = Figure(figsize=(WIDTH, 0.75 + 0.52 * len(shown)))
    axes = figure.subplots()
    for row, (name, share) in enumerate(shown.items()):
        low, high = (100 * end for end in wilson(share, n))
        ink = FORMAT_COLORS.get(name, FORMAT_COLORS["fp64"])
        look = {"color": ink, "linestyle": "solid", "solid_capstyle": "butt"}
        axes.plot([low, high], [row, row], linewidth=8, alpha=0.4, **look)
        axes.plot(100 * share, row, "o", color=ink, markersize=8)
        note = f"{100 * share:.2f} %"
        axes.annotate(note, (100 * share, row), (0, 8), **_CENTRED)
    axes.set_yticks(range(len(shown)), list(shown))
    axes.set(ylim=(len(shown) - 0.6, -0.75), xlabel=f"test accuracy in %, n = {n:,}")
    axes.grid(visible=False, axis="y")
    return Picture(figure, describe(n, shown))


_CENTRED = {"textcoords": "offset points", "ha": "center", "fontsize": SMALL}


def describe(n: int, accuracies: Mapping[str, float]) -> str:
    """Say the intervals and gaps in words."""
    parts = []
    for name, share in accuracies.items():
        low, high = wilson(share, n)
        parts.append(f"{name} {100 * share:.2f} % ({100 * low:.2f} to {100 * high:.2f})")
    gaps = []
    for a, b in itertools.combinations(accuracies, 2):
        z = abs(gap_in_errors(accuracies[a], accuracies[b], n))
        gaps.append(f"{a} and {b}: |z| = {z:.2f}, {'' if z >= Z95 else 'not '}significant at 5 %")
    said = f"Accuracies on {n:,} test examples with 95 % intervals: {', '.join(parts)}."
    return f"{said} {'; '.join(gaps)}." if gaps else said


def _shown(accuracies: Mapping[str, float] | None) -> dict[str, float]:
    shown = dict(published() if accuracies is None else accuracies)
    if not shown:
        raise ValueError("give at least one accuracy, such as {'fp32': 0.92}")
    return shown


class IntervalExplorer(TextWidget):
    """Accuracies whose intervals shrink as the test set grows; made by :func:`interval_explorer`.

    Attributes
    ----------
    accuracies : list of dict
        ``name``, ``share`` and ``color`` of each.
    step : int
        Place of the slider: 100 × 10⁴ˢᵗᵉᵖ⁄⁴⁰ test examples.
    """

    _esm = page_module("intervals")
    _css = page_style("intervals")

    accuracies = traitlets.List(traitlets.Dict()).tag(sync=True)
    step = traitlets.Int(20).tag(sync=True)

    def __str__(self) -> str:
        shown = {each["name"]: each["share"] for each in self.accuracies}
        return describe(examples_at(self.step), shown)


def examples_at(step: int) -> int:
    """Number of test examples at a place of the slider, in two digits: 100, 130, 160 …"""
    return int(float(f"{LEAST * (MOST / LEAST) ** (step / STEPS):.1e}"))


def interval_explorer(accuracies: Mapping[str, float] | None = None) -> IntervalExplorer:
    """Make accuracies with intervals and a slider for the number of test examples.

    Parameters
    ----------
    accuracies
        As in :func:`accuracy_intervals`, which is the same without a kernel.

    Raises
    ------
    ValueError
        If a share is not from 0 to 1.
    """
    shown = _shown(accuracies)
    describe(LEAST, shown)
    grey = FORMAT_COLORS["fp64"]
    return IntervalExplorer(
        accuracies=[
            {"name": name, "share": share, "color": FORMAT_COLORS.get(name, grey)}
            for name, share in shown.items()
        ]
    )
