"""Pictures of where the bytes go: per parameter by training mode, and saved for backward."""

from __future__ import annotations

import traitlets
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from halfbits.memory import activation_bytes_of, parameter_bytes, parameter_table
from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.page import page_module, page_style
from halfbits.pictures.theme import FORMAT_COLORS
from halfbits.pictures.widget import TextWidget
from halfbits.text import short

_COLORS = {"fp32": FORMAT_COLORS["fp32"], "16 bit": FORMAT_COLORS["bf16"]}
_NAMES = {"parameters": "weights", "master": "master weights"}
_BATCHES = [2**k for k in range(2, 13)]


@style()
def bytes_per_parameter(optimizer: str = "Adam") -> Picture:
    """Show what training keeps for one parameter in each mode, as stacked bars.

    Parameters
    ----------
    optimizer
        ``"SGD"``, ``"SGD with momentum"`` or ``"Adam"``.

    Raises
    ------
    ValueError
        If the optimizer is another.
    """
    modes = parameter_table()["modes"]
    costs = {mode: parameter_bytes(mode, optimizer) for mode in modes}
    figure = Figure(figsize=(WIDTH, 3.1))
    axes = figure.subplots()
    most = max(cost.total for cost in costs.values())
    for row, (mode, cost) in enumerate(costs.items()):
        start = 0
        for part, size in cost._asdict().items():
            if size:
                ink = _COLORS[modes[mode][part]]
                axes.barh(row, size, left=start, height=0.66, color=ink, alpha=0.3, linewidth=0)
                axes.barh(row, size, left=start, height=0.66, fill=False, edgecolor=ink)
                axes.text(start + size / 2, row, _label(part, size), ha="center", va="center")
            start += size
        axes.text(
            start + 0.015 * most, row, f"{cost.total}", va="center", weight="bold", fontsize=11
        )
    axes.set_yticks(range(len(costs)), [mode.replace(" and", "\nand") for mode in costs])
    axes.set_ylim(len(costs) - 0.5, -0.5)
    axes.set_xlim(0, most * 1.08)
    axes.set_xticks(range(0, most + 1, 2))
    axes.set_xlabel(f"bytes for one parameter, optimizer {optimizer}")
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    key = [
        Patch(facecolor=(*_rgb(ink), 0.3), edgecolor=ink, label=name)
        for name, ink in _COLORS.items()
    ]
    axes.legend(handles=key, loc="lower right", ncols=2, handlelength=1.2)
    return Picture(figure, f"With {optimizer}: " + " ".join(_say(m, c) for m, c in costs.items()))


def _label(part: str, size: int) -> str:
    name = _NAMES.get(part, part)
    short_name = {"gradients": "grads", "master weights": "master"}.get(name, name)
    if size >= 4:
        return f"{name if size > 4 else short_name} {size}"
    return f"{short_name}\n{size}"


def _rgb(ink: str) -> tuple[float, ...]:
    return tuple(int(ink[k : k + 2], 16) / 255 for k in (1, 3, 5))


def _say(mode: str, cost: tuple[int, ...]) -> str:
    parts = [f"{_NAMES.get(part, part)} {size}" for part, size in cost._asdict().items() if size]
    return f"{mode}: {cost.total} bytes ({', '.join(parts)})."


@style()
def activation_bytes(width: int = 256, depth: int = 5, activation: str = "GELU") -> Picture:
    """Show the bytes that an MLP saves for backward against the batch size, fp32 and autocast.

    Parameters
    ----------
    width, depth, activation
        Of the MLP: ``depth`` square linear layers of ``width``, each with an activation,
        ``"GELU"`` or ``"ReLU"``.

    Raises
    ------
    ValueError
        If the activation is another.
    """
    costs = [activation_bytes_of(batch, width, depth, activation) for batch in _BATCHES]
    figure = Figure(figsize=(WIDTH, 3.6))
    axes = figure.subplots()
    for key, fmt, name in (("fp32", "fp32", "fp32"), ("autocast", "bf16", "bf16 autocast")):
        sizes = [cost[key] for cost in costs]
        look = {"color": FORMAT_COLORS[fmt], "linestyle": "solid" if fmt == "fp32" else (0, (5, 1))}
        axes.plot(_BATCHES, sizes, **look)
        beside = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(name, (_BATCHES[-1], sizes[-1]), **beside)
    casts = costs[0]["weight casts"]
    axes.axhline(casts, color=FORMAT_COLORS["bf16"], linestyle=(0, (1, 1.5)), linewidth=1.2)
    below = {"xytext": (0, -4), "textcoords": "offset points", "va": "top", "ha": "right"}
    label = f"16-bit copies of weights: {_bytes(casts)}"
    axes.annotate(label, (_BATCHES[-1], casts), fontsize=SMALL, **below)
    crossing = crossing_batch(width, depth, activation)
    axes.axvline(crossing, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
    top = {"xycoords": ("data", "axes fraction"), "xytext": (5, -2), "textcoords": "offset points"}
    axes.annotate(f"equal at batch {crossing:.0f}", (crossing, 1), va="top", fontsize=SMALL, **top)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(_BATCHES[::2], [str(batch) for batch in _BATCHES[::2]])
    axes.set_yticks(*_byte_ticks(costs))
    axes.minorticks_off()
    axes.set(xlabel="batch size", ylabel="saved for backward")
    about = f"{depth} linear layers of {width} × {width}, each with {activation}"
    axes.set_title(f"MLP: {about}")
    return Picture(
        figure, f"Bytes saved for backward by {about}. {_compare(width, depth, activation)}"
    )


def crossing_batch(width: int, depth: int, activation: str = "GELU") -> float:
    """Batch size at which fp32 and autocast keep equally much; below it autocast keeps more."""
    one = activation_bytes_of(1, width, depth, activation)
    return one["weight casts"] / (one["fp32"] / 2)


def _compare(width: int, depth: int, activation: str) -> str:
    parts = []
    for batch in (64, 1024):
        cost = activation_bytes_of(batch, width, depth, activation)
        parts.append(
            f"at batch {batch} fp32 keeps {_bytes(cost['fp32'])}, "
            f"bf16 autocast {_bytes(cost['autocast'])}"
        )
    where = crossing_batch(width, depth, activation)
    return f"{'; '.join(parts)}; equal at batch {where:.0f}."


def _bytes(count: float) -> str:
    """Write bytes in kB or MB, of 1000: ``"656 kB"``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{short(count / size)} {unit}"
    return f"{count} B"


def _byte_ticks(costs: list[dict[str, int]]) -> tuple[list[float], list[str]]:
    sizes = [size for cost in costs for size in (cost["fp32"], cost["autocast"])]
    ticks = [m * 10**k for k in range(3, 12) for m in (1, 3)]
    ticks = [tick for tick in ticks if min(sizes) <= tick <= max(sizes)]
    return ticks, [_bytes(tick) for tick in ticks]


class ActivationExplorer(TextWidget):
    """Bytes saved for backward, to play with; made by :func:`activation_explorer`.

    Attributes
    ----------
    width, depth, batch : int
        What is shown first.
    activation : str
        ``"GELU"`` or ``"ReLU"``.
    colors : dict of str to str
        Colours of fp32 and bf16.
    """

    _esm = page_module("activations")
    _css = page_style("activations")

    width = traitlets.Int(256).tag(sync=True)
    depth = traitlets.Int(5).tag(sync=True)
    batch = traitlets.Int(64).tag(sync=True)
    activation = traitlets.Unicode("GELU").tag(sync=True)
    colors = traitlets.Dict({k: FORMAT_COLORS[k] for k in ("fp32", "bf16")}).tag(sync=True)

    def __str__(self) -> str:
        about = f"{self.depth} linear layers of {self.width}, each with {self.activation}: "
        return about + _compare(self.width, self.depth, self.activation)


def activation_explorer(
    width: int = 256, depth: int = 5, batch: int = 64, activation: str = "GELU"
) -> ActivationExplorer:
    """Make curves of the bytes saved for backward, with sliders for width, depth and batch size.

    Parameters
    ----------
    width
        Of every layer, a power of two from 32 to 4096.
    depth
        Layers, 1 to 24.
    batch
        A power of two from 1 to 4096.
    activation
        ``"GELU"`` or ``"ReLU"``. :func:`activation_bytes` is the same without a kernel.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """
    activation_bytes_of(batch, width, depth, activation)
    for name, value, low, high in (("width", width, 32, 4096), ("batch", batch, 1, 4096)):
        if value not in [2**k for k in range(13)] or not low <= value <= high:
            raise ValueError(f"{name} is a power of two from {low} to {high}, not {value}")
    if not 1 <= depth <= 24:
        raise ValueError(f"depth is from 1 to 24 layers, not {depth}")
    return ActivationExplorer(width=width, depth=depth, batch=batch, activation=activation)
