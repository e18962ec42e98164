"""Recorded trainings: pictures of what ``tools/record_experiments.py`` measured, and where."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.theme import ALERT, FORMAT_COLORS
from halfbits.text import power

_DATA = Path(__file__).parents[1] / "data"
_RUNS = {
    "fp32": ("fp32", "fp32", "solid", 4.2),
    "mixed": ("bf16 autocast, fp32 master weights", "bf16", (0, (5, 1.5)), 1.8),
    "pure bf16": ("pure bf16", "bf16", "solid", 1.8),
}
_WINDOW = 10  # steps that a point of a smoothed curve is the mean of


@functools.cache
def recording(name: str) -> dict:
    """Read a recorded experiment.

    Parameters
    ----------
    name
        ``"master_weights"`` or ``"scale_sweep"``.

    Returns
    -------
    dict
        ``provenance`` (command, date, machine, versions), ``about``, ``settings``, and the
        results: ``runs`` by mode, each a list with ``losses`` and ``unchanged`` for every seed; or
        ``points`` with ``log2_scale``, ``accuracy``, ``loss`` (None: NaN), ``zeros`` and ``bad``
        for every scale, and the same in ``fp32``.

    Raises
    ------
    ValueError
        If nothing of that name was recorded.
    """
    if name not in ("master_weights", "scale_sweep"):
        raise ValueError(f"recorded are 'master_weights' and 'scale_sweep', not {name!r}")
    return json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))


def final_losses(mode: str) -> list[float]:
    """Mean loss of the last 20 steps of each recorded run of the small GPT, one for each seed.

    Parameters
    ----------
    mode
        ``"fp32"``, ``"mixed"`` or ``"pure bf16"``.

    Raises
    ------
    ValueError
        If the mode is another.
    """
    runs = recording("master_weights")["runs"]
    if mode not in runs:
        raise ValueError(f"mode is one of {', '.join(runs)}, not {mode!r}")
    return [float(np.mean(run["losses"][-20:])) for run in runs[mode]]


@style()
def master_weight_curves() -> Picture:
    """Show recorded losses of a small GPT: in fp32, with fp32 master weights, and in pure bf16."""
    recorded = recording("master_weights")
    figure = Figure(figsize=(WIDTH, 3.9))
    axes = figure.subplots()
    for mode, (name, fmt, line, width) in _RUNS.items():
        curves = np.array([run["losses"] for run in recorded["runs"][mode]])
        smooth = np.array([_smooth(curve) for curve in curves])
        x = np.arange(_WINDOW - 1, curves.shape[1])
        ink = FORMAT_COLORS[fmt]
        axes.fill_between(x, smooth.min(0), smooth.max(0), color=ink, alpha=0.25, linewidth=0)
        look = {"color": ink, "linestyle": line, "linewidth": width, "label": name}
        axes.plot(x, smooth.mean(0), alpha=0.6 if mode == "fp32" else 1, **look)
    axes.legend(loc="upper right", handlelength=3)
    axes.set(xlabel=f"step\n{_when(recorded)}", ylabel="loss in nats", xlim=(0, curves.shape[1]))
    rate = recorded["settings"]["lr"]
    axes.set_title(
        f"Small GPT on first names, Adam, learning rate {rate:g}, mean of {_WINDOW} steps"
    )
    return Picture(figure, _describe_curves(recorded))


def _smooth(losses: np.ndarray) -> np.ndarray:
    return np.convolve(losses, np.full(_WINDOW, 1 / _WINDOW), mode="valid")


def _describe_curves(recorded: dict) -> str:
    ends = [f"{name} {np.mean(final_losses(mode)):.2f}" for mode, (name, *_) in _RUNS.items()]
    stuck = np.mean([run["unchanged"] for run in recorded["runs"]["pure bf16"]])
    moved = np.mean([run["unchanged"] for run in recorded["runs"]["fp32"]])
    return (
        f"Losses of a small GPT on first names over {recorded['settings']['steps']} steps. Means "
        f"of the last 20, over {len(recorded['settings']['seeds'])} seeds: {'; '.join(ends)}. "
        f"The last step leaves {stuck:.0%} of the pure bf16 weights unchanged, {moved:.1%} of the "
        f"fp32 weights. {_when(recorded)}"
    )


@style()
def scale_sweep() -> Picture:
    """Show recorded accuracies against the static loss scale: too small, right, too large."""
    recorded = recording("scale_sweep")
    points = recorded["points"]
    powers = [point["log2_scale"] for point in points]
    figure = Figure(figsize=(WIDTH, 4.6))
    above, below = figure.subplots(2, sharex=True, height_ratios=[1.6, 1])
    dead = [point for point in points if point["loss"] is None]
    alive = [point for point in points if point["loss"] is not None]
    look = {"color": FORMAT_COLORS["fp16"], "linestyle": "solid", "marker": "o", "markersize": 5}
    above.plot(
        [point["log2_scale"] for point in alive],
        [100 * point["accuracy"] for point in alive],
        **look,
    )
    above.plot([p["log2_scale"] for p in dead], [0] * len(dead), "x", color=ALERT, markersize=8)
    if dead:
        beside = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center"}
        middle = np.mean([point["log2_scale"] for point in dead])
        above.annotate("NaN", (middle, 0), fontsize=SMALL, **beside)
    reference = 100 * recorded["fp32"]["accuracy"]
    above.axhline(reference, color=FORMAT_COLORS["fp32"], linestyle=(0, (5, 2)), linewidth=1.3)
    right = {"xytext": (0, 4), "textcoords": "offset points", "ha": "left", "fontsize": SMALL}
    label = f"fp32 without a scale: {reference:.1f}%"
    above.annotate(label, (powers[-1], reference), **right | {"ha": "right", "xytext": (0, 6)})
    above.set(ylabel="test accuracy", ylim=(-4, 108))
    bars = {"width": 1.5, "linewidth": 0}
    below.bar(powers, [100 * p["zeros"] for p in points], color="black", alpha=0.45, **bars)
    floor = [100 * p["zeros"] for p in points]
    below.bar(powers, [100 * p["bad"] for p in points], bottom=floor, color=ALERT, **bars)
    zeros = 100 * recorded["fp32"]["zeros"]
    below.axhline(zeros, color=FORMAT_COLORS["fp32"], linestyle=(0, (5, 2)), linewidth=1.3)
    above_line = right | {"ha": "right", "xytext": (0, 3)}
    below.annotate(f"fp32: {zeros:.0f}% zero", (powers[-2], zeros), **above_line)
    below.set(ylabel="gradients at step 1", ylim=(0, 112), yticks=[0, 50, 100])
    below.annotate("zero", (powers[0], 100), **right | {"ha": "center", "xytext": (0, 2)})
    if points[-1]["bad"]:
        below.annotate("inf or NaN", (powers[-1], 100), **right | {"ha": "right", "xytext": (8, 2)})
    for axes in (above, below):
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}%")
    below.set_xticks(powers[::2], [power(2, k) if k else "1" for k in powers[::2]])
    below.set_xlabel(f"static loss scale\n{_when(recorded)}")
    above.set_title("Digits, fp16 autocast, loss × 2⁻²⁰ × scale")
    return Picture(figure, _describe_sweep(recorded))


def _describe_sweep(recorded: dict) -> str:
    good = [p for p in recorded["points"] if p["accuracy"] >= recorded["fp32"]["accuracy"] - 0.02]
    parts = [
        f"2^{p['log2_scale']} {'NaN' if p['loss'] is None else format(p['accuracy'], '.1%')}"
        for p in recorded["points"]
    ]
    return (
        f"Test accuracy on digits against the static loss scale, for a loss times 2⁻²⁰ in fp16: "
        f"{', '.join(parts)}. A plateau from 2^{good[0]['log2_scale']} to "
        f"2^{good[-1]['log2_scale']} is as good as fp32 ({recorded['fp32']['accuracy']:.1%}); "
        f"below it gradients are zero, above it some are inf or NaN. In fp32 "
        f"{recorded['fp32']['zeros']:.0%} are zero, too. {_when(recorded)}"
    )


def _when(recorded: dict) -> str:
    of = recorded["provenance"]
    version = of["torch"].split("+")[0]
    return f"Recorded {of['date']}, torch {version}, {of['machine']}."
