"""Results as tables for the terminal; "from fp32" is the mean distance of losses from fp32's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_HEAD = ("", "ms a step", "middle half", "× fp32", "per second", "memory", "GFLOP/s", "of ceiling")
_HEAD += ("last loss", "from fp32", "skipped")


def show_table(result: dict[str, Any]) -> str:
    """Write a result as tables: matrix products, each workload, each ladder of changes."""
    parts = [title(result)]
    if result["matmul"]:
        parts.append(_matmul(result["matmul"]))
    for name, workload in result["workloads"].items():
        parts.append(f"{name}: {workload['about']}")
        parts.append(_settings(workload["settings"]) + _steadiness(workload))
    for name, ladder in result.get("tune", {}).items():
        parts.append(f"{name}, tuned: {ladder['about']}")
        parts.append(_settings(ladder["rungs"]))
    if not result.get("complete", True):
        parts.append("This measurement was interrupted.")
    return "\n\n".join(parts)


def title(result: dict[str, Any]) -> str:
    """Name a result: device, date, torch."""
    machine, torch = result["machine"], result["versions"]["torch"]
    small = ", small shapes" if result.get("quick") else ""
    cpu = ""
    if result.get("device") == "cpu":
        cpu = f", {machine['threads']} thread{'s' if machine['threads'] > 1 else ''}"
    return f"{machine['device']}{cpu}, torch {torch}, {result['date'][:10]}{small}"


def _matmul(matmul: dict[str, Any]) -> str:
    rows, notes = [], []
    for name, entry in matmul.items():
        if "not_measured" in entry:
            rows.append((name, "—", "—"))
            notes.append(f"  not measured: {entry['not_measured']}")
            continue
        best = max(entry["ladder"], key=lambda step: step["flops_per_second"])
        rows.append((name, f"{entry['ceiling'] / 1e9:,.1f}", str(best["size"])))
    return "\n".join([table(("matrix products", "GFLOP/s at best", "at size"), rows), *notes])


def _settings(settings: dict[str, Any]) -> str:
    """Write a table of settings, and below it what there is to say of each."""
    remarks: dict[str, list[str]] = {}
    for name, entry in settings.items():
        for remark in _remarks(entry):
            remarks.setdefault(remark, []).append(name)
    notes = [f"  {', '.join(names)}: {remark}" for remark, names in remarks.items()]
    return "\n".join([table(_HEAD, [_row(*each) for each in settings.items()]), *notes])


def _remarks(entry: dict[str, Any]) -> list[str]:
    if "not_measured" in entry:
        return [f"not measured: {entry['not_measured']}"]
    found = [f"diverged: {entry['diverged']}"] if entry["diverged"] else []
    return [*found, entry["hint"]] if entry["hint"] else found


def _row(name: str, entry: dict[str, Any]) -> tuple[str, ...]:
    if "not_measured" in entry:
        return (name, *["—"] * (len(_HEAD) - 1))
    quartiles = entry["quartiles_ms"]
    return (
        name,
        _number(entry["step_ms"]),
        f"{_number(quartiles[0])} to {_number(quartiles[1])}" if quartiles else "—",
        _number(entry.get("speedup"), ".2f"),
        f"{_number(entry['per_second'], ',.0f')} {entry['unit']}",
        f"{entry['peak_bytes'] / 1e6:,.1f} MB" if entry["peak_bytes"] else "—",
        _number(entry["flops_per_second"] and entry["flops_per_second"] / 1e9, ",.1f"),
        _number(entry["share_of_ceiling"], ".0%"),
        "NaN" if entry["losses"][-1] is None else _number(entry["losses"][-1], ".4f"),
        _number(entry.get("loss_gap"), ".4f"),
        str(len(entry["skipped"])),
    )


def _steadiness(workload: dict[str, Any]) -> str:
    """Say how far fp32 measured first and last lie apart: less than that means nothing."""
    first = workload["settings"]["32-true"].get("step_ms")
    if not first or not workload["again_ms"]:
        return ""
    share = workload["again_ms"] / first
    return f"\nfp32 once more at the end took {share:.2f} times as long as at the start."


def _number(value: float | None, how: str = "") -> str:
    if value is None:
        return "—"
    return format(value, how or (",.0f" if abs(value) >= 100 else ".3g"))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align rows in columns, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return "  ".join([cells[0].ljust(widths[0]), *padded[1:]])

    return "\n".join([line(header), "  ".join("─" * width for width in widths), *map(line, rows)])
