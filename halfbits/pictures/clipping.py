"""Clipping a scaled gradient: before the unscale it is wrong, after it is right; as arrows."""

from __future__ import annotations

import math
from typing import NamedTuple

import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.page import page_module, page_style
from halfbits.pictures.theme import ALERT, FORMAT_COLORS
from halfbits.pictures.widget import TextWidget
from halfbits.text import short

RIGHT = FORMAT_COLORS["fp32"]
_EPS = 1e-6  # what torch.nn.utils.clip_grad_norm_ adds to the norm
Vector = tuple[float, float]


class Orders(NamedTuple):
    """What is left of a gradient in each of the two orders."""

    unscale_first: Vector
    clip_first: Vector


def clip_orders(gradient: Vector, scale: float, max_norm: float) -> Orders:
    """Unscale and clip a scaled gradient, in both orders, as ``clip_grad_norm_`` clips.

    Parameters
    ----------
    gradient
        The true one, two numbers. Backward gives it times ``scale``.
    scale
        Loss scale.
    max_norm
        Of ``torch.nn.utils.clip_grad_norm_``.

    Raises
    ------
    ValueError
        If the gradient has not two finite numbers, or a parameter is not positive.
    """
    if len(gradient) != 2 or not all(map(math.isfinite, gradient)):
        raise ValueError(f"the gradient is a pair of finite numbers, not {gradient}")
    if not (scale > 0 and max_norm > 0):
        raise ValueError(f"scale and max_norm are positive, not {scale} and {max_norm}")
    scaled = _times(gradient, scale)
    return Orders(
        unscale_first=_clip(_times(scaled, 1 / scale), max_norm),
        clip_first=_times(_clip(scaled, max_norm), 1 / scale),
    )


def _clip(vector: Vector, max_norm: float) -> Vector:
    return _times(vector, min(1.0, max_norm / (math.hypot(*vector) + _EPS)))


def _times(vector: Vector, factor: float) -> Vector:
    return vector[0] * factor, vector[1] * factor


@style()
def clipping(
    gradient: Vector = (0.9, 1.2), scale: float = 1024.0, max_norm: float = 1.0
) -> Picture:
    """Draw a gradient and what is left of it when it is clipped after and before the unscale.

    Parameters
    ----------
    gradient, scale, max_norm
        As in :func:`clip_orders`.

    Raises
    ------
    ValueError
        As there.
    """
    orders = clip_orders(gradient, scale, max_norm)
    figure = Figure(figsize=(WIDTH, 3.9))
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    titles = ("right: unscale, then clip", "wrong: clip, then unscale")
    for axes, title, kept, ink in zip(panels, titles, orders, (RIGHT, ALERT), strict=True):
        _draw_plane(axes, gradient, max_norm)
        _arrow(axes, kept, ink, 3)
        axes.set_title(title)
        axes.set_xlabel(f"gradient of weight 1\nlength kept: {short(math.hypot(*kept))}")
    reach = 1.25 * max(max_norm, *map(abs, gradient))
    panels[0].set(xlim=(-reach, reach), ylim=(-reach, reach), ylabel="gradient of weight 2")
    return Picture(figure, _describe(gradient, scale, max_norm))


def _draw_plane(axes: Axes, gradient: Vector, max_norm: float) -> None:
    axes.set_aspect("equal")
    axes.add_patch(Circle((0, 0), max_norm, fill=False, edgecolor="black", linestyle=(0, (4, 3))))
    axes.annotate(
        f"max norm {short(max_norm)}",
        (0, -max_norm),
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
        fontsize=SMALL,
    )
    _arrow(axes, gradient, "#7d7d7d", 1.5)
    axes.annotate(
        "gradient",
        gradient,
        xytext=(5, 3),
        textcoords="offset points",
        fontsize=SMALL,
    )


def _arrow(axes: Axes, tip: Vector, ink: str, width: float) -> None:
    if math.hypot(*tip) < 0.05:  # shorter than its head
        axes.plot(*tip, "o", color=ink, markersize=5)
        return
    look = {"color": ink, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "-|>,head_width=.3", **look})


def _describe(gradient: Vector, scale: float, max_norm: float) -> str:
    orders = clip_orders(gradient, scale, max_norm)
    norm = math.hypot(*gradient)
    return (
        f"A gradient of length {short(norm)} under a loss scale of {short(scale)}, clipped to "
        f"{short(max_norm)}. Unscaled first, then clipped, its length is "
        f"{short(math.hypot(*orders.unscale_first))}. Clipped first, at length "
        f"{short(norm * scale)}, then unscaled, {short(math.hypot(*orders.clip_first))} is left."
    )


class ClipExplorer(TextWidget):
    """Both orders of unscale and clip to play with; made by :func:`clip_explorer`.

    Attributes
    ----------
    gradient : list of float
        The true gradient, two numbers from −2 to 2.
    power : int
        Exponent of the loss scale.
    max_norm : float
        Where it is clipped.
    colors : dict
        ``right`` and ``wrong``.
    """

    _esm = page_module("clipping")
    _css = page_style("clipping")

    gradient = traitlets.List(traitlets.Float()).tag(sync=True)
    power = traitlets.Int(10).tag(sync=True)
    max_norm = traitlets.Float(1.0).tag(sync=True)
    color = traitlets.Unicode(RIGHT).tag(sync=True)

    def __str__(self) -> str:
        return _describe(tuple(self.gradient), 2.0**self.power, self.max_norm)


def clip_explorer(
    gradient: Vector = (0.9, 1.2), scale: float = 1024.0, max_norm: float = 1.0
) -> ClipExplorer:
    """Make arrows to play with: a gradient clipped before and after the unscale.

    Parameters
    ----------
    gradient
        Two numbers from −2 to 2; in the picture it can be dragged.
    scale
        Loss scale, a power of two from 1 to 2**16.
    max_norm
        From 0.1 to 2. :func:`clipping` is the same without a kernel.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """
    clip_orders(gradient, scale, max_norm)
    half, exponent = math.frexp(scale)
    if half != 0.5 or not 1 <= exponent <= 17:
        raise ValueError(f"the loss scale is a power of two from 1 to 2**16, not {scale}")
    if max(map(abs, gradient)) > 2 or not 0.1 <= max_norm <= 2:
        raise ValueError("the gradient's numbers reach from −2 to 2, max_norm from 0.1 to 2")
    return ClipExplorer(gradient=list(gradient), power=exponent - 1, max_norm=max_norm)
