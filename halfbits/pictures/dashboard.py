"""Settings side by side: accuracy, time, memory and skipped steps; measured, recorded and cited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from halfbits.benchmark.provenance import device_name
from halfbits.benchmark.results import gpu_records, published, read_result
from halfbits.benchmark.show import title
from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.theme import ALERT, FORMAT_COLORS
from halfbits.precision import SETTINGS
from halfbits.text import short
from halfbits.training import Run

NO_RECORD = "This course has no record of its own from a GPU yet: what is shown of one is cited."
_HEADS = ("test accuracy", "time, 32-true = 1", "memory, 32-true = 1", "steps skipped")
_ROW = 0.27  # inches


class Line(NamedTuple):
    """A setting's line; what is None is not known, and ``note`` says why.

    Attributes
    ----------
    name, setting
        ``"16-mixed"``; in a group with two sources ``"16-mixed, blog"``.
    accuracy
        0 to 1.
    time, memory
        As numbers to compare within a group, and in words: ``(1.33, "1.33 ms")``.
    skipped
        Steps that the scaler left out.
    note
        ``"diverged"``, ``"not possible here"``.
    source
        Whose figure it is, in a group that has several.
    """

    name: str
    setting: str
    accuracy: float | None = None
    time: tuple[float, str] | None = None
    memory: tuple[float, str] | None = None
    skipped: int | None = None
    note: str = ""
    source: str = ""


class Group(NamedTuple):
    """Lines that were made on one machine with one network."""

    title: str
    lines: list[Line]


@style()
def dashboard(
    runs: Mapping[str, Run | Exception | str], records: Sequence[str | Path] | None = None
) -> Picture:
    """Show accuracy, time, memory and skipped steps of each setting, beside what is recorded.

    Parameters
    ----------
    runs
        By setting: what :func:`halfbits.training.fit` gave, or the error or reason instead.
    records
        Result files of ``python -m halfbits.benchmark``; by default those of GPUs that lie in the
        project's ``benchmarks/results``.

    Raises
    ------
    ValueError
        If there are no runs, or a setting or a file is unknown.
    """
    if not runs or not set(runs) <= set(SETTINGS):
        raise ValueError(f"give runs by setting: {', '.join(SETTINGS)}")
    if records is None:
        records = [*gpu_records("distilbert"), *gpu_records("tune_distilbert")]
    recorded = [group for path in records for group in _of_record(read_result(path))]
    remark = "" if recorded else NO_RECORD
    groups = [_of_runs(runs), *recorded, _of_the_source()]
    heights = [_ROW * len(group.lines) + 0.85 for group in groups]
    heights[-1] += 0.2 if remark else 0
    figure = Figure(figsize=(WIDTH, sum(heights)))
    parts = figure.subfigures(len(groups), 1, height_ratios=heights, squeeze=False)
    for part, group in zip(parts[:, 0], groups, strict=True):
        _draw(part, group, remark if group is groups[-1] else "")
    return Picture(figure, " ".join([*map(_describe, groups), remark]).strip())


def _of_runs(runs: Mapping[str, Run | Exception | str]) -> Group:
    lines = [_of_run(name, run) for name, run in runs.items()]
    device = next((run.device for run in runs.values() if isinstance(run, Run)), "cpu")
    kind = torch.device(device)
    version = torch.__version__.split("+")[0]
    return Group(f"Measured now, here: {device_name(kind)}, torch {version}", lines)


def _of_run(name: str, run: Run | Exception | str) -> Line:
    if not isinstance(run, Run):
        return Line(name, name, note="not possible here")
    diverged = run.diverged is not None
    return Line(
        name,
        name,
        accuracy=None if diverged else run.accuracy,
        time=(run.median_ms, f"{short(run.median_ms, 2)} ms") if run.median_ms else None,
        memory=(run.peak_bytes, _bytes(run.peak_bytes)) if run.peak_bytes else None,
        skipped=len(run.skipped) if run.scales else None,
        note=f"diverged, step {run.diverged.step + 1}" if diverged else "",
    )


def _of_record(result: dict) -> Iterator[Group]:
    """All settings, if they are in a result, and the way to the fastest step, if that is."""
    about = f"DistilBERT's shape: {title(result)}"
    if every := result["workloads"].get("distilbert"):
        lines = [_of_entry(name, name, entry) for name, entry in every["settings"].items()]
        yield Group(f"Recorded, {about}", lines)
    if ladder := result.get("tune", {}).get("distilbert"):
        rungs = ladder["rungs"].items()
        lines = [_of_entry(change, entry["precision"], entry) for change, entry in rungs]
        yield Group(f"Recorded, what each change brought, {about}", lines)


def _of_entry(name: str, setting: str, entry: dict) -> Line:
    if "not_measured" in entry:
        return Line(name, setting, note="not measured")
    return Line(
        name,
        setting,
        time=(entry["step_ms"], f"{short(entry['step_ms'])} ms"),
        memory=(entry["peak_bytes"], _bytes(entry["peak_bytes"])) if entry["peak_bytes"] else None,
        skipped=len(entry["skipped"]) if SETTINGS[setting].scaled else None,
        note="diverged" if entry["diverged"] else "",
    )


def _of_the_source() -> Group:
    lines = [
        Line(
            f"{run['setting']}, {run['source']}",
            run["setting"],
            accuracy=run["test_accuracy"],
            time=(run["minutes"], f"{run['minutes']} min"),
            memory=(run["gigabytes"], f"{run['gigabytes']} GB") if "gigabytes" in run else None,
            note="loss is NaN" if "note" in run else "",
            source=run["source"],
        )
        for run in published()["runs"]
    ]
    return Group("Cited, not measured here: DistilBERT on IMDb, one A100, torch 2.0", lines)


def _draw(part: SubFigure, group: Group, remark: str) -> None:
    heading = "\n".join(filter(None, (group.title, remark)))
    part.suptitle(heading, x=0.01, ha="left", fontsize=10)
    panels = part.subplots(1, 4, sharey=True, width_ratios=[1, 1, 1, 0.55])
    for row, line in enumerate(group.lines):
        ink = FORMAT_COLORS[SETTINGS[line.setting].format]
        share = None if line.accuracy is None else (line.accuracy, f"{line.accuracy:.2%}")
        _bar(panels[0], row, ink, share, 1.0, line.note)
        _bar(panels[1], row, ink, line.time, _base(group, line, "time"))
        _bar(panels[2], row, ink, line.memory, _base(group, line, "memory"))
        skipped = None if line.skipped is None else (line.skipped, str(line.skipped))
        _bar(panels[3], row, ink, skipped, 1.0)
    panels[0].set_yticks(range(len(group.lines)), [line.name for line in group.lines])
    panels[0].set_ylim(len(group.lines) - 0.5, -0.5)
    for axes, head in zip(panels, _HEADS, strict=True):
        axes.set_xlabel(head)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, max(axes.dataLim.x1 if axes.patches else 0, 1) * 1.6)
    panels[0].set_xlim(0, 1.6)
    panels[0].set_xticks([0, 0.5, 1], ["0", "50%", "100%"])
    panels[3].set_xticks([])


def _base(group: Group, line: Line, what: str) -> float | None:
    """What 32-true of the same source took."""
    for each in group.lines:
        if each.setting == "32-true" and each.source == line.source:
            return (getattr(each, what) or (None,))[0]
    return None


def _bar(
    axes: Axes, row: int, ink: str, value: tuple[float, str] | None, base: float | None, note=""
) -> None:
    """Draw a bar with its words, or a dash; a note stands beside it in red."""
    size = 0.0 if value is None or not base else value[0] / base
    axes.barh(row, size, height=0.62, color=ink, alpha=0.35, linewidth=0)
    axes.barh(row, size, height=0.62, fill=False, edgecolor=ink)
    beside = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": SMALL}
    words = value[1] if value else ("" if note else "–")
    text = axes.annotate(words, (size, row), **beside)
    if note:
        ahead = 4 + 5.2 * len(words) + (4 if words else 0)
        text = axes.annotate(note, (size, row), **beside | {"xytext": (ahead, 0)}, color=ALERT)
    text.set_in_layout(False)


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{short(count / size)} {unit}"
    return f"{short(count / 1e3)} kB"


def _describe(group: Group) -> str:
    said = []
    for line in group.lines:
        parts = [f"accuracy {line.accuracy:.2%}"] if line.accuracy is not None else []
        parts += [pair[1] for pair in (line.time, line.memory) if pair]
        parts += [f"{line.skipped} skipped"] if line.skipped is not None else []
        parts += [line.note] if line.note else []
        said.append(f"{line.name}: {', '.join(parts)}")
    return f"{group.title}. {'; '.join(said)}."
