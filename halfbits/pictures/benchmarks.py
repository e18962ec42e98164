"""Results of the benchmark as a picture: how fast each setting trains, beside fp32."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.benchmark.show import title
from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.theme import FORMAT_COLORS
from halfbits.precision import SETTINGS

_ROW = 0.27  # inches


@style()
def benchmark_speed(*results: dict[str, Any]) -> Picture:
    """Show steps per second of each setting as a multiple of fp32's, for any number of results.

    Parameters
    ----------
    results
        As :func:`halfbits.benchmark.read_result` gives them; each workload has a panel.

    Raises
    ------
    ValueError
        If no result has a workload in it.
    """
    panels = [
        (title(result), name, workload["settings"])
        for result in results
        for name, workload in result["workloads"].items()
    ]
    if not panels:
        raise ValueError("these results have matrix products only: nothing to draw")
    rows = [len(settings) for _, _, settings in panels]
    figure = Figure(figsize=(WIDTH, sum(_ROW * count + 0.75 for count in rows)))
    every = figure.subplots(len(panels), squeeze=False, height_ratios=rows)[:, 0]
    for axes, (machine, name, settings) in zip(every, panels, strict=True):
        _draw(axes, settings)
        axes.set_title(f"{name} · {machine}")
    every[-1].set_xlabel("steps per second, fp32 = 1")
    return Picture(figure, " ".join(_say(*panel) for panel in panels))


def _draw(axes: Axes, settings: dict[str, Any]) -> None:
    beside = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "fontsize": SMALL}
    most = max((entry.get("speedup", 0) for entry in settings.values()), default=0) or 1
    for row, (name, entry) in enumerate(settings.items()):
        speedup = entry.get("speedup", 0)
        ink = FORMAT_COLORS[SETTINGS[name].format]
        axes.barh(row, speedup, height=0.62, color=ink, linewidth=0)
        axes.annotate(_label(entry), (speedup, row), **beside)
    axes.axvline(1, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(settings)), list(settings))
    axes.set(ylim=(len(settings) - 0.5, -0.5), xlim=(0, 1.35 * most))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _label(entry: dict[str, Any]) -> str:
    if "not_measured" in entry:
        return "not measured"
    diverged = ", diverged" if entry["diverged"] else ""
    faster = f"{entry['speedup']:.2f} × · " if "speedup" in entry else ""
    return f"{faster}{entry['step_ms']:.3g} ms{diverged}"


def _say(machine: str, name: str, settings: dict[str, Any]) -> str:
    parts = ", ".join(f"{setting} {_label(entry)}" for setting, entry in settings.items())
    return f"{name} on {machine}: {parts}."
