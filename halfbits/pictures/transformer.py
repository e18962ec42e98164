"""A real transformer's numbers, as recorded: its activations, and what fine-tuning it gave."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from halfbits.benchmark.results import gpu_records, read_finetuning
from halfbits.benchmark.show import title
from halfbits.formats import FORMATS
from halfbits.intervals import wilson
from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.theme import ALERT, FORMAT_COLORS
from halfbits.text import power, short

_DATA = Path(__file__).parents[1] / "data"
_WINDOW = 20  # steps that a point of a smoothed curve is the mean of
_LOOKS = {
    "32-true": ("fp32", "solid", 3.6),
    "tf32": ("tf32", (0, (1, 1)), 1.8),
    "16-mixed": ("fp16", (0, (3, 1)), 1.8),
    "bf16-mixed": ("bf16", (0, (5, 1.5)), 1.8),
}


@functools.cache
def transformer_record(name: str) -> dict:
    """Read what ``tools/record_finetuning.py`` or ``benchmarks/finetuning.py`` recorded on a CPU.

    Parameters
    ----------
    name
        ``"minilm_activations"``: ``layers``, for each a dict from a place to the magnitudes
        named in ``columns``. ``"finetuning"``: ``settings`` and ``runs``, each with ``setting``,
        ``resolved``, ``seed``, ``seconds``, ``right`` (of the test sentences) and ``losses``.

    Raises
    ------
    ValueError
        If nothing of that name was recorded.
    """
    if name not in ("minilm_activations", "finetuning"):
        raise ValueError(f"recorded are 'minilm_activations' and 'finetuning', not {name!r}")
    return json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))


@style()
def activation_ranges() -> Picture:
    """Draw the magnitudes of MiniLM's activations, layer by layer, in the window of fp16."""
    record = transformer_record("minilm_activations")
    places = list(record["layers"][0])
    figure = Figure(figsize=(WIDTH, 4.6))
    axes = figure.subplots()
    _draw_window(axes, len(record["layers"]))
    for place, name in enumerate(places):
        _draw_place(axes, place, len(places), [layer[name] for layer in record["layers"]], name)
    axes.set_yscale("log", base=2)
    axes.set(xlabel=f"layer\n{_when(record)}", ylabel="magnitude", xlim=(-0.5, 6.6))
    axes.set_ylim(2.0**-30, 2.0**19)
    powers = (-25, -14, -7, 0, 7, 16)
    axes.set_yticks([2.0**k for k in powers], [power(2, k) for k in powers])
    axes.set_xticks(range(len(record["layers"])), range(1, len(record["layers"]) + 1))
    axes.grid(visible=False, axis="x")
    figure.legend(
        loc="outside upper left", ncols=3, fontsize=SMALL, handlelength=1.2, title_fontsize=SMALL
    )
    return Picture(figure, _describe_ranges(record))


_INKS = ("#1f83c4", "#8a70d6", "#149170", "#d4660e", "#7d7d7d")


def _draw_window(axes: Axes, layers: int) -> None:
    fp16 = FORMATS["fp16"]
    for value, text in ((fp16.max, "fp16: infinite"), (fp16.smallest_subnormal / 2, "")):
        axes.axhline(value, color=ALERT, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(text, (layers - 0.4, value), (0, 4), **_NOTE)
    axes.axhline(fp16.smallest_normal, color="black", linewidth=0.8, linestyle=(0, (1, 2)))
    axes.annotate("fp16: subnormal", (layers - 0.4, fp16.smallest_normal), (0, -12), **_NOTE)
    axes.annotate("fp16: flushed", (layers - 0.4, fp16.smallest_subnormal / 2), (0, -12), **_NOTE)


_NOTE = {"textcoords": "offset points", "fontsize": SMALL}


def _draw_place(axes: Axes, place: int, count: int, layers: list[list[float]], name: str) -> None:
    ink = _INKS[place % len(_INKS)]
    for layer, (least, low, median, high, most) in enumerate(layers):
        x = layer + 0.15 * (place - (count - 1) / 2)
        look = {"color": ink, "linestyle": "solid", "solid_capstyle": "butt"}
        axes.plot([x, x], [max(least, 2.0**-29), most], linewidth=1.4, **look)
        axes.plot([x, x], [low, high], linewidth=6, label=None if layer else name, **look)
        axes.plot(x, median, "_", color="black", markersize=8, markeredgewidth=1.4)


def _describe_ranges(record: dict) -> str:
    name, layer, most = max(
        ((name, number, values[-1]) for number, layer in enumerate(record["layers"], 1)
         for name, values in layer.items()),
        key=lambda each: each[-1],
    )  # fmt: skip
    flushed = sum(min(v[0] for v in layer.values()) < 2.0**-25 for layer in record["layers"])
    every = [values for layer in record["layers"] for values in layer.values()]
    return (
        f"Magnitudes of activations. {record['about']}. At every place the middle 98 % lie between "
        f"{short(min(v[1] for v in every))} and {short(max(v[3] for v in every))}. The largest of "
        f"all is {short(most)}: {name}, layer {layer}. fp16 reaches to 65504 and flushes below "
        f"{power(2, -25)}, which happens in {flushed} of {len(record['layers'])} layers. "
        f"{_when(record)}"
    )


@style()
def finetuning_runs(records: Sequence[str | Path] | None = None) -> Picture:
    """Show recorded fine-tunings of MiniLM: loss curves, and test accuracies with intervals.

    Parameters
    ----------
    records
        Of ``benchmarks/finetuning.py``, shown below the CPU's that comes with the course; by
        default those of GPUs that lie in the project's ``benchmarks/results``.

    Raises
    ------
    ValueError
        If a file is no such record.
    """
    found = gpu_records("finetuning") if records is None else records
    shown = [transformer_record("finetuning"), *map(read_finetuning, found)]
    heights = [1.4 + _ROW * len(record["runs"]) for record in shown]
    figure = Figure(figsize=(WIDTH, sum(heights)))
    parts = figure.subfigures(len(shown), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, record in zip(parts, shown, strict=True):
        _draw_runs(part, record)
    return Picture(figure, " ".join(map(_describe_runs, shown)))


_ROW = 0.3  # inches


def _draw_runs(part: SubFigure, record: dict) -> None:
    test = record["settings"]["test"]
    curves, dots = part.subplots(1, 2, width_ratios=[1.5, 1])
    labelled: set[str] = set()
    runs = _in_order(record["runs"])
    for row, run in enumerate(runs):
        fmt, line, width = _LOOKS[run["setting"]]
        look = {"color": FORMAT_COLORS[fmt], "linestyle": line, "linewidth": width}
        losses = np.array(run["losses"], dtype=float)  # None: NaN
        smooth = np.convolve(losses, np.full(_WINDOW, 1 / _WINDOW), mode="valid")
        label = None if run["setting"] in labelled else run["setting"]
        labelled.add(run["setting"])
        x = np.arange(_WINDOW, _WINDOW + len(smooth))
        curves.plot(x, smooth, alpha=0.55 if fmt == "fp32" else 1, label=label, **look)
        low, high = (100 * end for end in wilson(run["right"] / test, test))
        bar = {"color": look["color"], "linestyle": "solid", "solid_capstyle": "butt"}
        dots.plot([low, high], [row, row], linewidth=7, alpha=0.4, **bar)
        dots.plot(100 * run["right"] / test, row, "o", color=look["color"], markersize=6)
    dots.set_yticks(range(len(runs)), [f"{run['setting']}, seed {run['seed']}" for run in runs])
    dots.set(ylim=(len(runs) - 0.5, -0.5), xlabel=f"test accuracy in %, n = {test:,}")
    dots.grid(visible=False, axis="y")
    curves.legend(loc="upper right", handlelength=2.6)
    curves.set(xlabel=f"step\n{_when(record)}", ylabel=f"loss, mean of {_WINDOW} steps")


def _in_order(runs: list[dict]) -> list[dict]:
    return sorted(runs, key=lambda run: (run["seed"], list(_LOOKS).index(run["setting"])))


def _describe_runs(record: dict) -> str:
    test = record["settings"]["test"]
    parts = []
    for run in _in_order(record["runs"]):
        last = np.mean(np.array(run["losses"][-_WINDOW:], dtype=float))
        said = f"{100 * run['right'] / test:.1f} % right, last loss {last:.3f}"
        parts.append(f"{run['setting']}, seed {run['seed']}: {said}")
    error = 100 * math.sqrt(0.86 * 0.14 / test)
    return (
        f"{record['about']}, {record['settings']['train']} to train on, {test} to test. "
        f"{'; '.join(parts)}. One standard error is {error:.1f} percentage points. {_when(record)}."
    )


def _when(record: dict) -> str:
    if "provenance" not in record:
        return f"recorded {record['date'][:10]}, {title(record).split(', torch')[0]}"
    about = record["provenance"]
    return f"recorded {about['date']}, {about['machine'].split(',')[0]}, CPU"
