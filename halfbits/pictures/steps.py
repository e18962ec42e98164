"""One step w + Δ on a format's number line: where it snaps to, and when it is lost."""

from __future__ import annotations

import math
from fractions import Fraction

import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.exact import Real, as_real
from halfbits.formats import FORMATS, Format, Which, get_format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color, style
from halfbits.pictures.page import for_page, page_module, page_style
from halfbits.pictures.widget import TextWidget
from halfbits.text import power, short, significant
from halfbits.typed import parse

_SHOWN = ("fp32", "fp16", "bf16", "fp8_e4m3fn", "fp8_e5m2")
_STEPS = (-0.5, -0.375, -0.25, 0.375, 0.5, 0.625, 1.25)  # in ulps of w
_REACH = 2.25


class StepExplorer(TextWidget):
    """A step to drag on a number line; made by :func:`step_explorer`.

    Attributes
    ----------
    format : str
        Name of the format.
    w, delta : float
        Where the step begins, a number of the format, and how far it goes.
    """

    _esm = page_module("steps")
    _css = page_style("steps")

    formats = traitlets.List(traitlets.Dict()).tag(sync=True)
    format = traitlets.Unicode("fp16").tag(sync=True)
    w = traitlets.Float(1.0).tag(sync=True)
    delta = traitlets.Float(0.0).tag(sync=True)

    def __str__(self) -> str:
        """Return what becomes of the step."""
        return tell(get_format(self.format), self.w, self.delta)


def step_explorer(fmt: Which = "fp16", w: Real | str = 1) -> StepExplorer:
    """Show a number line around w: drag a step Δ and see where w + Δ is rounded to.

    Parameters
    ----------
    fmt
        One of the course's formats; the page can switch to others.
    w
        A positive number, rounded to the format, where the step begins.

    Raises
    ------
    ValueError
        If the format or w does not fit. :func:`steps` is the same without a kernel.
    """
    fmt, w = _checked(fmt, w)
    names = dict.fromkeys([*_SHOWN, fmt.name])
    return StepExplorer(formats=for_page(names), format=fmt.name, w=w, delta=0.375 * fmt.ulp(w))


@style()
def steps(fmt: Which = "fp16", w: Real | str = 1) -> Picture:
    """Draw steps from w, each with the number that w + Δ is rounded to.

    Parameters
    ----------
    fmt, w
        As in :func:`step_explorer`.

    Raises
    ------
    ValueError
        If the format or w does not fit.
    """
    fmt, w = _checked(fmt, w)
    ulp = fmt.ulp(w)
    figure = Figure(figsize=(WIDTH, 3.6))
    axes = figure.subplots()
    low, high = w - gap_below(fmt, w) / 2, w + ulp / 2
    axes.axvspan(low, high, color=color(fmt), alpha=0.16, linewidth=0)
    numbers = _numbers(fmt, w - 1.4 * ulp, w + _REACH * ulp)
    axes.vlines(numbers, -0.7, len(_STEPS), color=color(fmt), linewidth=1.2)
    for row, share in enumerate(_STEPS):
        _draw_step(axes, fmt, w, share * ulp, row)
    axes.set_xlim(w - 1.4 * ulp, w + _REACH * ulp)
    axes.set_ylim(len(_STEPS) - 0.2, -1.5)
    axes.set_yticks(range(len(_STEPS)), [_in_ulps(share) for share in _STEPS])
    axes.text(w, -0.85, "w", ha="center", fontweight="bold")
    for x, half in (((low + w) / 2, w - low), ((high + w) / 2, high - w)):
        axes.text(x, -0.75, power(2, math.frexp(half)[1] - 1), ha="center", fontsize=SMALL)
    axes.set_xticks(
        numbers, [_digits(x) if x in (w, numbers[-1], numbers[0]) else "" for x in numbers]
    )
    axes.set_xlabel(
        f"every number of {fmt.name} near w (○ w + Δ exactly, ● where it is rounded to; "
        "shaded: lost)"
    )
    axes.set_ylabel("step Δ")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return Picture(figure, " ".join(tell(fmt, w, share * ulp) for share in _STEPS))


def _draw_step(axes: Axes, fmt: Format, w: float, delta: float, row: int) -> None:
    exact, result = w + delta, fmt.round(Fraction(w) + Fraction(delta))
    axes.plot([w, exact], [row, row], color="black", linewidth=1.6, linestyle="solid")
    if math.isfinite(result):
        axes.plot([exact, result], [row, row], color="black", linewidth=1, linestyle=":")
        axes.plot(result, row, "o", color=color(fmt), markersize=8)
    axes.plot(exact, row, "o", color="black", markersize=5, fillstyle="none")
    said = "lost" if result == w else "exact" if result == exact else "rounded"
    said = said if math.isfinite(result) else "overflow"
    axes.annotate(
        said, (1, row), xycoords=("axes fraction", "data"), xytext=(4, 0),
        textcoords="offset points", va="center", fontsize=SMALL,
    )  # fmt: skip


def tell(fmt: Format, w: float, delta: float) -> str:
    """Say what becomes of a step; steps.js says the same."""
    if delta == 0:
        return "Δ is 0: drag the step's end, or move the slider."
    exact = Fraction(w) + Fraction(delta)
    result = fmt.round(exact)
    sign = "−" if delta < 0 else "+"
    total = f"w + Δ = {_digits(w)} {sign} {short(abs(delta))} = {_digits(float(exact))}"
    half = (fmt.ulp(w) if delta > 0 else gap_below(fmt, w)) / 2
    side = "above" if delta > 0 else "below"
    half_text = f"half the gap {side} w, {power(2, math.frexp(half)[1] - 1)} = {short(half)}"
    if not math.isfinite(result):
        end = "∞" if fmt.infinities else "NaN"
        largest = f"{short(fmt.max)}, the largest number of {fmt.name}"
        return f"{total} is beyond {largest}: the result is {end}."
    if result == exact:
        return f"{total} is a number of {fmt.name}: nothing is rounded."
    tie = abs(Fraction(result) - exact) * 2 == Fraction(fmt.ulp(min(result, float(exact))))
    moved = f"w moves by {short(abs(result - w))}"
    if tie and result == w:
        return (
            f"{total} is a tie, and w has the even last bit. "
            f"The step is lost: Δ is exactly {half_text}."
        )
    if tie:
        return f"{total} is a tie: it goes to the even last bit, {_digits(result)}. {moved}."
    if result == w:
        return (
            f"{total} is rounded back to {_digits(w)}. "
            f"The step is lost: Δ is less than {half_text}."
        )
    times = significant((result - w) / delta, 3)
    return f"{total} is rounded to {_digits(result)}: {moved}, {times} times Δ."


def gap_below(fmt: Format, w: float) -> float:
    """Gap from a positive number down to the next one: half an ulp at powers of two."""
    below, _ = fmt.neighbours(fmt.encode(w))
    return w - below


def _checked(fmt: Which, w: Real | str) -> tuple[Format, float]:
    fmt = get_format(fmt)
    if FORMATS.get(fmt.name) != fmt or fmt.man_bits > 23:
        raise ValueError(f"choose a format of up to 32 bits, not {fmt.name}")
    value = fmt.round(parse(w) if isinstance(w, str) else as_real(w))
    if not 0 < value <= fmt.max:
        raise ValueError(f"w is a positive number in the range of {fmt.name}, not {w}")
    return fmt, value


def _numbers(fmt: Format, low: float, high: float) -> list[float]:
    """Numbers of a format between two places, at most the largest one."""
    pattern = fmt.encode(max(low, 0.0))
    numbers = []
    while pattern <= fmt.encode(fmt.max) and fmt.decode(pattern) <= high:
        numbers.append(fmt.decode(pattern))
        pattern += 1
    return [x for x in numbers if x >= low]


def _in_ulps(share: float) -> str:
    return f"{'+' if share > 0 else '−'}{abs(share):g} ulp"


def _digits(value: float) -> str:
    """Ten digits: a sixteenth of fp32's ulp shows."""
    return significant(value, 10)
