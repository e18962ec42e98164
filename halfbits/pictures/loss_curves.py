"""Losses of the same training in several precision settings, and how far they are from fp32's."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.theme import ALERT, FORMAT_COLORS
from halfbits.precision import SETTINGS
from halfbits.text import power, short
from halfbits.training import Run

_BASE = "32-true"
_DASHES = {"mixed": "solid", "true": (0, (4, 1.5))}


def distance(run: Run, base: Run) -> float:
    """Mean absolute difference of two loss curves, over the steps that both have; may be NaN."""
    pairs = zip(run.losses, base.losses, strict=False)
    return float(np.mean([abs(a - b) for a, b in pairs]))


@style()
def loss_curves(runs: Mapping[str, Run | Exception | str]) -> Picture:
    """Draw the losses of each setting, and their distance from those of 32-true.

    Parameters
    ----------
    runs
        By setting, as :func:`halfbits.training.fit` gives them, from the same seed and the same
        batches. What is no run is left out.

    Raises
    ------
    ValueError
        If there is no run in 32-true.
    """
    done = {name: run for name, run in runs.items() if isinstance(run, Run) and run.losses}
    if _BASE not in done or not set(done) <= set(SETTINGS):
        raise ValueError(f"curves are compared with {_BASE}: give its run, too")
    figure = Figure(figsize=(WIDTH, 3.7))
    left, right = figure.subplots(1, 2)
    for name, run in done.items():
        x = np.arange(1, run.steps + 1)
        left.plot(x, run.losses, label=name, **_look(name))
        if name != _BASE:
            base = done[_BASE].losses[: run.steps]
            apart = np.abs(np.array(run.losses[: len(base)]) - base)
            right.plot(x[: len(base)], np.where(apart > 0, apart, np.nan), **_look(name))
        _mark_end(left, run)
    left.set(xlabel="step", ylabel="loss in nats", ylim=(0, None))
    left.legend(loc="upper right", handlelength=2.6, fontsize=SMALL)
    right.set_yscale("log")
    right.yaxis.set_major_formatter(lambda y, _: power(10, round(math.log10(y))) if y > 0 else "")
    right.minorticks_off()
    right.set(xlabel="step", ylabel="difference from the loss of 32-true")
    return Picture(figure, _describe(done))


def _look(name: str) -> dict:
    setting = SETTINGS[name]
    kind = "true" if setting.autocast is None and setting.parameters.itemsize == 2 else "mixed"
    width = 3.2 if name == _BASE else 1.6
    alpha = 0.55 if name == _BASE else 1.0
    ink = FORMAT_COLORS[setting.format]
    return {"color": ink, "linestyle": _DASHES[kind], "linewidth": width, "alpha": alpha}


def _mark_end(axes: Axes, run: Run) -> None:
    """A cross where a training has diverged."""
    if run.diverged is None:
        return
    finite = [loss for loss in run.losses if math.isfinite(loss)]
    place = (max(len(finite), 1), finite[-1] if finite else 0)
    axes.plot(*place, "x", color=ALERT, markersize=9, markeredgewidth=2.2)
    beside = {"xytext": (9, 1), "textcoords": "offset points", "va": "center", "fontsize": SMALL}
    axes.annotate(f"{run.precision}: NaN", place, color=ALERT, **beside)


def _describe(done: dict[str, Run]) -> str:
    said = []
    for name, run in done.items():
        if run.diverged is not None:
            said.append(f"{name} has diverged: {run.diverged}")
            continue
        apart = "" if name == _BASE else f", on average {_apart(run, done[_BASE])} from {_BASE}"
        said.append(f"{name} ends at {run.losses[-1]:.3f}{apart}")
    return f"Losses of the same training: {'; '.join(said)}."


def _apart(run: Run, base: Run) -> str:
    return short(distance(run, base), 2)
