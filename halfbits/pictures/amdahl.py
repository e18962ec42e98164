"""Amdahl's law: what faster matrix products bring to a whole training step."""

from __future__ import annotations

import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.benchmark.results import published
from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.page import page_module, page_style
from halfbits.pictures.theme import FORMAT_COLORS
from halfbits.pictures.widget import TextWidget
from halfbits.text import short

_FAST, _REST = FORMAT_COLORS["bf16"], FORMAT_COLORS["fp64"]
_FACTORS = [2 ** (k / 8) for k in range(49)]  # 1 to 64
_MODES = {"16-mixed": "fp16", "bf16-mixed": "bf16"}


def amdahl_speedup(share: float, factor: float) -> float:
    """How many times faster a step becomes.

    Parameters
    ----------
    share
        Of the step's time, 0 to 1, that becomes faster.
    factor
        How many times faster that part becomes.

    Raises
    ------
    ValueError
        If the share is not from 0 to 1 or the factor is below 1.

    Notes
    -----
    G. M. Amdahl, *Validity of the single processor approach to achieving large scale computing
    capabilities*, AFIPS 1967.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share of the time is from 0 to 1, not {share}")
    if not factor >= 1:
        raise ValueError(f"the factor is at least 1, not {factor}")
    return 1 / (1 - share + share / factor)


def amdahl_share(speedup: float, factor: float) -> float:
    """The share of the time that must become ``factor`` times faster for a given speed-up.

    Raises
    ------
    ValueError
        If the speed-up is not from 1 to the factor, which no share can exceed.
    """
    if not 1 <= speedup <= factor:
        raise ValueError(f"with a factor of {factor} speed-ups are from 1 to it, not {speedup}")
    return 1.0 if factor == speedup else (1 - 1 / speedup) / (1 - 1 / factor)


def published_speedups() -> dict[str, float]:
    """Minutes in 32-true over minutes in each mixed setting, of the source course's notebooks."""
    runs = published()["runs"]
    minutes = {run["setting"]: run["minutes"] for run in runs if run["source"] == "course"}
    return {name: minutes["32-true"] / minutes[name] for name in _MODES}


@style()
def amdahl(share: float = 0.8, factor: float = 8.0) -> Picture:
    """Draw a step before and after its matrix products became faster, and the speed-up.

    Parameters
    ----------
    share, factor
        As in :func:`amdahl_speedup`; the factor is at most 64.

    Raises
    ------
    ValueError
        As there, and for a larger factor.
    """
    total = _check(share, factor)
    figure = Figure(figsize=(WIDTH, 4.4))
    above, below = figure.subplots(2, height_ratios=[1, 2.6])
    _draw_step(above, share, factor)
    _draw_curve(below, share, factor, total)
    return Picture(figure, _describe(share, factor))


def _check(share: float, factor: float) -> float:
    total = amdahl_speedup(share, factor)
    if factor > 64:
        raise ValueError(f"the picture reaches to a factor of 64, not {factor}")
    return total


def _draw_step(axes: Axes, share: float, factor: float) -> None:
    for row, fast in enumerate((share, share / factor)):
        for start, size, ink in ((0, fast, _FAST), (fast, 1 - share, _REST)):
            axes.barh(row, size, left=start, height=0.6, color=ink, alpha=0.35, linewidth=0)
            axes.barh(row, size, left=start, height=0.6, fill=False, edgecolor=ink)
    for start, size, name in ((0, share, "products"), (share, 1 - share, "all else")):
        if size > 0.12:
            axes.text(start + size / 2, 0, name, ha="center", va="center", fontsize=SMALL)
    after = 1 - share + share / factor
    if after < 0.8:
        axes.text(after + 0.01, 1, f"{1 / after:.2f} times faster", va="center", fontsize=SMALL)
    axes.set_yticks([0, 1], ["before", "after"])
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1), ylim=(1.5, -0.5), xlabel="time of a step, before = 1")
    axes.grid(visible=False, axis="y")


def _draw_curve(axes: Axes, share: float, factor: float, total: float) -> None:
    axes.plot(_FACTORS, [amdahl_speedup(share, f) for f in _FACTORS], color=_FAST, ls="solid")
    axes.plot([factor], [total], "o", color=_FAST, markersize=8)
    if share < 1:
        limit = 1 / (1 - share)
        if limit < 8.5:
            axes.axhline(limit, color="black", linewidth=0.9, linestyle=(0, (1, 2)))
            _note(axes, f"limit {short(limit)}", (1, limit), ha="left")
    ends = {"16-mixed": ("bottom", 3), "bf16-mixed": ("top", -3)}
    for name, speedup in published_speedups().items():
        ink = FORMAT_COLORS[_MODES[name]]
        axes.axhline(speedup, color=ink, linewidth=1.3, linestyle=(0, (5, 2)))
        side, shift = ends[name]
        label = f"the source's {name}: {speedup:.2f}"
        _note(axes, label, (64, speedup), ha="right", va=side, shift=shift)
    axes.set_xscale("log", base=2)
    axes.set_xticks([2**k for k in range(7)], [str(2**k) for k in range(7)])
    axes.set(xlim=(1, 64), ylim=(0, 9), ylabel="whole step is faster by")
    axes.set_xlabel("products are faster by")


def _note(
    axes: Axes, text: str, place: tuple[float, float], ha: str, va: str = "bottom", shift: int = 3
) -> None:
    look = {"textcoords": "offset points", "fontsize": SMALL, "ha": ha, "va": va}
    axes.annotate(text, place, xytext=(4 if ha == "left" else -4, shift), **look)


def _describe(share: float, factor: float) -> str:
    needed = [
        f"{speedup:.2f} ({name}) takes a share of {amdahl_share(speedup, factor):.0%}"
        if speedup <= factor
        else f"{speedup:.2f} ({name}) cannot be reached"
        for name, speedup in published_speedups().items()
    ]
    limit = f"at most {short(1 / (1 - share))}" if share < 1 else "without limit"
    return (
        f"Matrix products take {share:.0%} of a step and become {short(factor)} times faster: the "
        f"whole step becomes {amdahl_speedup(share, factor):.2f} times faster, and {limit} however "
        f"fast they are. With this factor the source's {' and '.join(needed)}."
    )


class AmdahlExplorer(TextWidget):
    """A step and its matrix products, to play with; made by :func:`amdahl_explorer`.

    Attributes
    ----------
    share, factor : float
        What is shown first.
    targets : list of dict
        The source's speed-ups: ``name``, ``speedup`` and ``color``.
    colors : dict of str to str
        Of the products and of all else.
    """

    _esm = page_module("amdahl")
    _css = page_style("amdahl")

    share = traitlets.Float(0.8).tag(sync=True)
    factor = traitlets.Float(8.0).tag(sync=True)
    targets = traitlets.List().tag(sync=True)
    colors = traitlets.Dict({"fast": _FAST, "rest": _REST}).tag(sync=True)

    def __str__(self) -> str:
        return _describe(self.share, self.factor)


def amdahl_explorer(share: float = 0.8, factor: float = 8.0) -> AmdahlExplorer:
    """Make sliders for the share of matrix products in a step and for how much faster they become.

    Parameters
    ----------
    share, factor
        As in :func:`amdahl`, which is the same without a kernel.

    Raises
    ------
    ValueError
        As there.
    """
    _check(share, factor)
    targets = [
        {"name": name, "speedup": speedup, "color": FORMAT_COLORS[_MODES[name]]}
        for name, speedup in published_speedups().items()
    ]
    return AmdahlExplorer(share=share, factor=factor, targets=targets)
