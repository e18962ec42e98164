"""The dynamic loss scale as a control loop: a picture of its trace, and one to step through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import traitlets
from matplotlib.figure import Figure

from halfbits.formats import FORMATS
from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.page import page_module, page_style
from halfbits.pictures.theme import ALERT, FORMAT_COLORS
from halfbits.pictures.widget import TextWidget
from halfbits.text import power, short

OVERFLOW = 65520  # the smallest magnitude that fp16 rounds to infinity
_FP32_MAX = FORMATS["fp32"].max


class Step(NamedTuple):
    """One training step under a dynamic loss scale."""

    scale: float  # that the loss was multiplied by
    skipped: bool  # whether there was an inf or NaN among the gradients


def scale_trace(
    steps: int,
    overflows: Iterable[int] = (),
    init_scale: float = 2.0**16,
    growth_factor: float = 2.0,
    backoff_factor: float = 0.5,
    growth_interval: int = 2000,
    largest_gradient: float = 0.0,
) -> list[Step]:
    """Follow the loss scale that ``torch.amp.GradScaler`` would use.

    After a step with an inf or NaN gradient the scale is multiplied by ``backoff_factor``, after
    ``growth_interval`` good steps in a row by ``growth_factor``, unless that would be infinite.

    Parameters
    ----------
    steps
        How many.
    overflows
        Steps, counted from 0, in which there is an inf from elsewhere.
    init_scale, growth_factor, backoff_factor, growth_interval
        As in ``torch.amp.GradScaler``, whose defaults they have.
    largest_gradient
        Magnitude of the largest unscaled gradient: times the scale it overflows in fp16 from 65520.

    Returns
    -------
    list of Step

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """
    _check(init_scale, growth_factor, backoff_factor, growth_interval)
    injected = set(overflows)
    scale, good = float(np.float32(init_scale)), 0
    trace = []
    for number in range(steps):
        skipped = number in injected or scale * largest_gradient >= OVERFLOW
        trace.append(Step(scale, skipped))
        good = 0 if skipped else good + 1
        if skipped:
            scale = float(np.float32(scale * backoff_factor))
        elif good == growth_interval:
            good = 0
            grown = scale * growth_factor
            scale = float(np.float32(grown)) if grown <= _FP32_MAX else scale
    return trace


def _check(init: float, growth: float, backoff: float, interval: int) -> None:
    if not 0 < init <= _FP32_MAX:
        raise ValueError(f"init_scale is a positive fp32 number, not {init}")
    if growth <= 1:
        raise ValueError(f"growth_factor must be above 1, not {growth}")
    if not 0 < backoff < 1:
        raise ValueError(f"backoff_factor must lie between 0 and 1, not {backoff}")
    if interval < 1:
        raise ValueError(f"growth_interval is at least 1 step, not {interval}")


@style()
def scaler_trace(
    steps: int = 120,
    overflows: Iterable[int] = (),
    init_scale: float = 2.0**16,
    growth_factor: float = 2.0,
    backoff_factor: float = 0.5,
    growth_interval: int = 10,
    largest_gradient: float = 2.0**-4,
) -> Picture:
    """Draw the dynamic loss scale over the steps, and mark the steps that are skipped.

    Parameters
    ----------
    steps, overflows, init_scale, growth_factor, backoff_factor, growth_interval, largest_gradient
        As in :func:`scale_trace`; the interval is shorter than torch's 2000 so that something
        happens.

    Raises
    ------
    ValueError
        If a parameter is out of range or there is no step.
    """
    if steps < 1:
        raise ValueError(f"draw at least one step, not {steps}")
    settings = (init_scale, growth_factor, backoff_factor, growth_interval, largest_gradient)
    trace = scale_trace(steps, overflows, *settings)
    scales = [step.scale for step in trace]
    skipped = [number for number, step in enumerate(trace) if step.skipped]
    figure = Figure(figsize=(WIDTH, 3.3))
    axes = figure.subplots()
    axes.step(range(steps), scales, where="mid", color=FORMAT_COLORS["fp16"], linestyle="solid")
    look = {"color": ALERT, "linestyle": "none", "marker": "x", "markersize": 8}
    axes.plot(skipped, [scales[k] for k in skipped], markeredgewidth=2, label="skipped", **look)
    if largest_gradient > 0:
        ceiling = OVERFLOW / largest_gradient
        axes.axhline(ceiling, color=ALERT, linestyle=(0, (5, 2)), linewidth=1.2)
        above = {"xytext": (0, 4), "textcoords": "offset points", "fontsize": SMALL}
        axes.annotate(f"overflow: scale × {short(largest_gradient)} ≥ 65520", (0, ceiling), **above)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(lambda y, _: power(2, round(np.log2(y))) if y > 0 else "")
    axes.set_ylim(min(scales) / 2, max(*scales, OVERFLOW / (largest_gradient or OVERFLOW)) * 4)
    axes.set(xlabel="step", ylabel="loss scale")
    if skipped:
        axes.legend(loc="lower right", handlelength=1)
    return Picture(figure, _describe(trace, skipped, growth_interval))


def _describe(trace: list[Step], skipped: list[int], interval: int) -> str:
    scales = [step.scale for step in trace]
    which = ", ".join(map(str, skipped[:8])) + (" and more" if len(skipped) > 8 else "")
    lost = f"{len(skipped)} steps are skipped ({which})" if skipped else "no step is skipped"
    return (
        f"Loss scale over {len(trace)} steps: it starts at {short(scales[0])}, grows after "
        f"{interval} good steps in a row, shrinks after each skipped step, and stays between "
        f"{short(min(scales))} and {short(max(scales))}; {lost}."
    )


class ScalerExplorer(TextWidget):
    """A dynamic loss scale to step through; made by :func:`scaler_explorer`.

    Attributes
    ----------
    settings : dict
        ``init`` and ``gradient`` as powers of two, ``growth``, ``backoff``, ``interval``.
    color : str
        fp16's colour.
    """

    _esm = page_module("scaler")
    _css = page_style("scaler")

    settings = traitlets.Dict().tag(sync=True)
    color = traitlets.Unicode(FORMAT_COLORS["fp16"]).tag(sync=True)

    def __str__(self) -> str:
        s = self.settings
        values = (2.0 ** s["init"], s["growth"], s["backoff"], s["interval"], 2.0 ** s["gradient"])
        trace = scale_trace(120, (), *values)
        skipped = [number for number, step in enumerate(trace) if step.skipped]
        return _describe(trace, skipped, s["interval"])


def scaler_explorer(
    init_scale: float = 2.0**16,
    growth_factor: float = 2.0,
    backoff_factor: float = 0.5,
    growth_interval: int = 10,
    largest_gradient: float = 2.0**-4,
) -> ScalerExplorer:
    """Make a dynamic loss scale to step through: inject an inf and see what it does.

    Parameters
    ----------
    init_scale, growth_factor, backoff_factor, growth_interval
        As in ``torch.amp.GradScaler``. :func:`scaler_trace` is the same without a kernel.
    largest_gradient
        Magnitude of the largest unscaled gradient, a power of two from 2**-20 to 16.

    Raises
    ------
    ValueError
        If a parameter is out of range, or ``init_scale`` is no power of two from 1 to 2**24.
    """
    _check(init_scale, growth_factor, backoff_factor, growth_interval)
    settings = {
        "init": _exponent(init_scale, 0, 24, "init_scale"),
        "gradient": _exponent(largest_gradient, -20, 4, "largest_gradient"),
        "growth": growth_factor,
        "backoff": backoff_factor,
        "interval": growth_interval,
    }
    return ScalerExplorer(settings=settings)


def _exponent(value: float, low: int, high: int, name: str) -> int:
    half, exponent = np.frexp(value)
    if half != 0.5 or not low < exponent <= high + 1:
        raise ValueError(f"{name} is a power of two from 2**{low} to 2**{high}, not {value}")
    return int(exponent) - 1
