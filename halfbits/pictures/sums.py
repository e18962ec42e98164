"""Running sums of equal terms, or of 1/k: where each format's sum stops growing, and why."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise

import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.exact import Real
from halfbits.formats import FORMATS, Format, Which, get_format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color, style
from halfbits.pictures.page import for_page, page_module, page_style
from halfbits.pictures.widget import TextWidget
from halfbits.summation import HARMONIC, running_sum, terms_of
from halfbits.text import power, short, significant

MOST = 100_000
_FORMATS = ("fp32", "fp16", "bf16")
_BESIDE = {"xytext": (7, 0), "textcoords": "offset points", "va": "center", "fontsize": SMALL}


class SumExplorer(TextWidget):
    """Running sums to play with; made by :func:`sum_explorer`.

    Attributes
    ----------
    term, count
        What is added and how often; the page changes them.
    formats : list of dict
        Formats that are shown, as the page needs them.
    """

    _esm = page_module("sums")
    _css = page_style("sums")

    term = traitlets.Unicode("0.01").tag(sync=True)
    count = traitlets.Int(10_000).tag(sync=True)
    formats = traitlets.List(traitlets.Dict()).tag(sync=True)
    others = traitlets.List(traitlets.Dict()).tag(sync=True)
    most = traitlets.Int(MOST).tag(sync=True)

    def __str__(self) -> str:
        """Return the sentences that the page shows, one format a line."""
        formats = [get_format(each["name"]) for each in self.formats]
        return "\n".join(_sentences(self.term, self.count, formats))


def sum_explorer(
    term: str = "0.01", count: int = 10_000, formats: tuple[Which, ...] = _FORMATS
) -> SumExplorer:
    """Show running sums in the browser: choose the term, how many, and the formats.

    Parameters
    ----------
    term
        A positive number as typed, or ``"1/k"`` for the harmonic series.
    count
        How many terms, 10 to 100,000.
    formats
        The course's formats that are shown first; others can be switched on.

    Raises
    ------
    ValueError
        If an argument is not of this kind. :func:`running_sums` is the same without a kernel.
    """
    term, shown = _checked(term, count, formats)
    more = [name for name in (*_FORMATS, "fp8_e4m3fn", "fp8_e5m2") if get_format(name) not in shown]
    return SumExplorer(term=term, count=count, formats=for_page(shown), others=for_page(more))


@style()
def running_sums(
    term: str = "0.01", count: int = 10_000, formats: tuple[Which, ...] = _FORMATS
) -> Picture:
    """Draw running sums in some formats, the exact sum as a line beneath them.

    Parameters
    ----------
    term, count, formats
        As in :func:`sum_explorer`.

    Raises
    ------
    ValueError
        If an argument is not of this kind.
    """
    term, shown = _checked(term, count, formats)
    places = _places(term, count)
    exact = _exact_sums(term, count)
    figure = Figure(figsize=(WIDTH, 3.7))
    axes = figure.subplots()
    dots = {"color": "black", "linewidth": 1.2, "linestyle": (0, (1, 2)), "zorder": 3}
    axes.plot(places, [exact[n - 1] for n in places], **dots)
    ends = [(exact[-1], "exact (dotted)")]
    for fmt in shown:
        sums = running_sum(term, count, fmt).tolist()
        _draw_curve(axes, fmt, places, sums)
        if math.isfinite(sums[-1]):
            ends.append((sums[-1], f"{fmt.name}: {_digits(sums[-1])}"))
    if term == HARMONIC:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.yaxis.set_major_formatter(lambda y, _: _digits(y) if y else "0")
    axes.set_xlim(places[0] if term == HARMONIC else 0, count)
    axes.set_ylim(0, max(value for value, _ in ends) * 1.08)
    axes.set_xlabel("terms added" + (", logarithmic" if term == HARMONIC else ""))
    axes.set_ylabel(f"sum of {'1/k' if term == HARMONIC else term}, rounded each time")
    _name_ends(axes, ends, count)
    return Picture(figure, " ".join(_sentences(term, count, shown)))


def _checked(term: str, count: int, formats: tuple[Which, ...]) -> tuple[str, list[Format]]:
    """Give the term without spaces and the formats; raise ValueError for what does not fit."""
    term = str(term).replace(" ", "")
    if term != HARMONIC:
        value = terms_of(term, 1)[0]
        if not 0 < value < math.inf:
            raise ValueError(f"the term is a positive number or '1/k', not {term}")
    if not isinstance(count, int) or not 10 <= count <= MOST:
        raise ValueError(f"count is from 10 to {MOST:,} terms, not {count}")
    shown = [get_format(each) for each in ([formats] if isinstance(formats, str) else formats)]
    if not shown or any(FORMATS.get(fmt.name) != fmt for fmt in shown):
        raise ValueError(f"choose formats from {', '.join(FORMATS)}")
    return term, shown


def _places(term: str, count: int) -> list[int]:
    """At most 800 numbers of terms at which a curve is drawn, evenly spaced on its axis."""
    even = np.geomspace if term == HARMONIC else np.linspace
    return np.unique(even(1, count, 800).round().astype(int)).tolist()


def _exact_sums(term: str, count: int) -> list[float]:
    """Exact partial sums as floats; of 1/k to about fourteen digits."""
    terms = terms_of(term, count)
    if term == HARMONIC:
        return [*accumulate(terms[:-1]), math.fsum(terms)]
    return [float(terms[0] * n) for n in range(1, count + 1)]


def _stall(sums: list[float]) -> int | None:
    """Number of additions after which the next one changes nothing; None where there is none."""
    if sums[0] == 0:
        return 0
    return next((n for n, (a, b) in enumerate(pairwise(sums), 1) if a == b), None)


def _draw_curve(axes: Axes, fmt: Format, places: list[int], sums: list[float]) -> None:
    """Draw the finite sums, with a dot where they stop growing."""
    heights = [sums[n - 1] if math.isfinite(sums[n - 1]) else math.nan for n in places]
    axes.plot(places, heights, color=color(fmt), linestyle="solid")
    stall = _stall(sums)
    if stall and math.isfinite(sums[stall - 1]):
        axes.plot(stall, sums[stall - 1], "o", color=color(fmt), markersize=5)


def _name_ends(axes: Axes, ends: list[tuple[float, str]], count: int) -> None:
    """Write names to the right of the curves, the upper ones higher, none over another."""
    apart = (axes.get_ylim()[1] - axes.get_ylim()[0]) * 0.062
    lowest = -math.inf
    for value, text in sorted(ends):
        lowest = max(value, lowest + apart)
        axes.annotate(text, (count, lowest), **_BESIDE)


def _sentences(term: str, count: int, formats: list[Format]) -> list[str]:
    """Say what the sum is and what each format makes of it; sums.js says the same."""
    terms = terms_of(term, count)
    exact = _exact_sums(term, count)[-1]
    sum_text = f"1 + 1/2 + … + 1/{count:,}" if term == HARMONIC else f"{count:,} × {term}"
    told = [_tell(fmt, term, terms, exact) for fmt in formats]
    return [f"{sum_text} = {_digits(exact)}.", *told]


def _tell(fmt: Format, term: str, terms: list[Real], exact: float) -> str:
    sums = running_sum(terms, None, fmt).tolist()
    beyond = next((n for n, total in enumerate(sums, 1) if not math.isfinite(total)), None)
    if beyond:
        sign = "∞" if fmt.infinities else "NaN"
        largest = short(fmt.max)
        return f"{fmt.name} is {sign} from term {beyond:,} on: its largest number is {largest}."
    stall = _stall(sums)
    if stall is None:
        return f"{fmt.name} reaches {_digits(sums[-1])}, {_difference(sums[-1] - exact)}."
    if stall == 0:
        half = f"half of its smallest number, {_gap(fmt.smallest_subnormal)}"
        return f"{fmt.name} stays at 0: {term} is no more than {half}."
    total, lost = sums[stall - 1], terms[stall]
    places = 4 if term == HARMONIC else 3  # 1/k is close to half of the gap
    name = f"1/{stall + 1:,} = {short(lost, places)}" if term == HARMONIC else term
    half, rounded = fmt.ulp(total) / 2, fmt.round(lost)
    if (lost < half) != (rounded < half):
        name = f"{name}, rounded to {_digits(rounded)},"
    size = "is less than half of it"
    if rounded == half:
        size = "is exactly half of it, a tie, which goes to the even last bit"
    return (
        f"{fmt.name} stops at {_digits(total)} after {stall:,} additions: "
        f"the gap there is {_gap(2 * half, places)}, and {name} {size}."
    )


def _difference(error: float) -> str:
    if error == 0:
        return "exactly"
    return f"{short(abs(error))} too {'much' if error > 0 else 'little'}"


def _gap(gap: float, places: int = 3) -> str:
    exponent = math.frexp(gap)[1] - 1
    return f"{power(2, exponent)} = {short(gap, places)}" if gap < 1 else short(gap)


def _digits(value: float) -> str:
    """Eight digits, enough to tell fp32's sums from exact ones."""
    return significant(value, 8) if 1e-4 <= value < 1e8 else short(value)
