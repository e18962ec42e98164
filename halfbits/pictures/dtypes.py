"""A small network coloured by the dtype of what comes out of each layer under autocast."""

from __future__ import annotations

from typing import NamedTuple

import torch
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from halfbits.autocast_table import output_dtype
from halfbits.formats import get_format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.page import page_module, page_style
from halfbits.pictures.theme import FORMAT_COLORS
from halfbits.pictures.widget import TextWidget

_DEVICES = {"cpu": "CPU", "cuda": "CUDA"}
_AMP = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Layer(NamedTuple):
    """One layer of the network that is shown."""

    name: str
    op: str  # its operation in the autocast tables
    weights: bool  # whether it has parameters
    after: int  # place of the layer that feeds it, −1 for the input


NETWORK = (
    Layer("Linear", "linear", True, -1),
    Layer("LayerNorm", "layer_norm", True, 0),
    Layer("GELU", "gelu", False, 1),
    Layer("Linear", "linear", True, 2),
    Layer("softmax", "softmax", False, 3),
    Layer("cross-entropy", "cross_entropy", False, 3),
)


def network_dtypes(device_type: str = "cpu", dtype: str | None = "bf16") -> list[str]:
    """Look up what comes out of each layer of :data:`NETWORK` for an input in fp32.

    Parameters
    ----------
    device_type
        ``"cpu"`` or ``"cuda"``.
    dtype
        Of autocast, ``"bf16"`` or ``"fp16"``; None: without autocast.

    Returns
    -------
    list of str
        The name of a format for each layer, from the tables of :mod:`halfbits.autocast_table`.

    Raises
    ------
    ValueError
        If there is no such device or autocast dtype.
    """
    if device_type not in _DEVICES:
        raise ValueError(f"device_type is 'cpu' or 'cuda', not {device_type!r}")
    if dtype is None:
        return ["fp32"] * len(NETWORK)
    if dtype not in _AMP:
        raise ValueError(f"dtype is 'bf16', 'fp16' or None, not {dtype!r}")
    found: list[torch.dtype] = []
    for layer in NETWORK:
        before = torch.float32 if layer.after < 0 else found[layer.after]
        inputs = (before, torch.float32) if layer.op == "linear" else (before,)
        found.append(output_dtype(layer.op, inputs, device_type, _AMP[dtype]))
    return [get_format(each).name for each in found]


@style()
def dtype_diagram(device_type: str = "cpu", dtype: str | None = "bf16") -> Picture:
    """Draw the network, each layer in the colour of what comes out of it.

    Parameters
    ----------
    device_type, dtype
        As in :func:`network_dtypes`.

    Raises
    ------
    ValueError
        As there.
    """
    formats = network_dtypes(device_type, dtype)
    figure = Figure(figsize=(WIDTH, 2.3))
    axes = figure.subplots()
    axes.set(xlim=(-1.08, 4.52), ylim=(-0.98, 0.98), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(_title(device_type, dtype))
    places = [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0.5), (4, -0.5)]
    _box(axes, (-0.82, 0), "input", "fp32", False, 0.36)
    _join(axes, (-0.64, 0), (-0.41, 0))
    for layer, fmt, place in zip(NETWORK, formats, places, strict=True):
        _box(axes, place, layer.name, fmt, layer.weights)
        if layer.after >= 0:
            start = places[layer.after]
            _join(axes, (start[0] + 0.41, start[1]), (place[0] - 0.41, place[1]))
    return Picture(figure, _describe(device_type, dtype))


def _box(
    axes: Axes, place: tuple[float, float], name: str, fmt: str, weights: bool, width: float = 0.82
) -> None:
    x, y = place
    ink = FORMAT_COLORS[fmt]
    corner, shape = (x - width / 2, y - 0.4), "round,pad=0,rounding_size=.06"
    fill = FancyBboxPatch(corner, width, 0.8, shape, facecolor=ink, alpha=0.25, linewidth=0)
    edge = FancyBboxPatch(corner, width, 0.8, shape, facecolor="none", edgecolor=ink, linewidth=2)
    axes.add_patch(fill)
    axes.add_patch(edge)
    axes.text(x, y + 0.2, name, ha="center", va="center", fontsize=SMALL)
    axes.text(x, y - 0.05, fmt, ha="center", va="center", weight="bold", fontsize=11)
    if weights:
        axes.text(x, y - 0.27, "weights fp32", ha="center", va="center", fontsize=SMALL)


def _join(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    look = {"arrowstyle": "-|>", "color": "black", "linewidth": 1, "shrinkA": 1, "shrinkB": 1}
    axes.annotate("", end, start, arrowprops=look)


def _title(device_type: str, dtype: str | None) -> str:
    context = f"autocast to {dtype}" if dtype else "without autocast"
    return f"What comes out of each layer: {_DEVICES[device_type]}, {context}"


def _describe(device_type: str, dtype: str | None) -> str:
    formats = network_dtypes(device_type, dtype)
    parts = [f"{layer.name} {fmt}" for layer, fmt in zip(NETWORK, formats, strict=True)]
    return f"{_title(device_type, dtype)}: {', '.join(parts)}. Input and all weights are fp32."


class DtypeExplorer(TextWidget):
    """The network with a CPU/CUDA toggle; made by :func:`dtype_explorer`.

    Attributes
    ----------
    layers : list of dict
        ``name`` and ``weights`` of each layer.
    states : dict
        What comes out of each layer, by ``"cpu bf16"`` and so on; ``"cpu off"`` without autocast.
    device, dtype : str
        What is shown first.
    colors : dict of str to str
        The formats' colours.
    """

    _esm = page_module("dtypes")
    _css = page_style("dtypes")

    layers = traitlets.List(traitlets.Dict()).tag(sync=True)
    states = traitlets.Dict().tag(sync=True)
    device = traitlets.Unicode("cpu").tag(sync=True)
    dtype = traitlets.Unicode("bf16").tag(sync=True)
    colors = traitlets.Dict({k: FORMAT_COLORS[k] for k in ("fp32", *_AMP)}).tag(sync=True)

    def __str__(self) -> str:
        return "\n".join(_describe(device, dtype) for dtype in _AMP for device in _DEVICES)


def dtype_explorer(device_type: str = "cpu", dtype: str = "bf16") -> DtypeExplorer:
    """Make a network coloured by dtype: switch between CPU and CUDA, bf16, fp16 and no autocast.

    Parameters
    ----------
    device_type, dtype
        What is shown first: ``"cpu"`` or ``"cuda"``, ``"bf16"`` or ``"fp16"``.
        :func:`dtype_diagram` is the same without a kernel.

    Raises
    ------
    ValueError
        If an argument is another.
    """
    network_dtypes(device_type, dtype)
    states = {
        f"{device} {amp or 'off'}": network_dtypes(device, amp)
        for device in _DEVICES
        for amp in (*_AMP, None)
    }
    layers = [{"name": layer.name, "weights": layer.weights} for layer in NETWORK]
    return DtypeExplorer(layers=layers, states=states, device=device_type, dtype=dtype or "off")
