"""Cancellation: two close numbers, their difference in a format, and a microscope to play with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import traitlets

from halfbits.formats import FORMATS, Format, Which, get_format
from halfbits.pictures.page import for_page, page_module, page_style
from halfbits.pictures.widget import TextWidget
from halfbits.text import power, short, significant

_SHOWN = ("fp32", "fp16", "bf16")
_LENGTH = 48  # fraction bits of the exact numbers

# First bits that both numbers share: those of √2; then 1 and those of e, or 0 and those of π.
_SHARED = "0110101000001001111001100110011111110011101111001100"
_REST_A = "1011011111100001010100010110001010001010111011010010"
_REST_B = "0010010000111111011010101000100010000101101000110000"


@dataclass(frozen=True)
class Difference:
    """What subtracting two numbers in a format gives.

    Attributes
    ----------
    a, b, exact
        Two numbers in [1, 2) and their difference, which fp64 holds exactly.
    near_a, near_b, result
        The numbers rounded to the format, and their difference in it: an exact one
        (Sterbenz 1974, Floating-Point Computation).
    """

    fmt: Format
    a: float
    b: float

    @property
    def exact(self) -> float:
        return self.a - self.b

    @property
    def near_a(self) -> float:
        return self.fmt.round(self.a)

    @property
    def near_b(self) -> float:
        return self.fmt.round(self.b)

    @property
    def result(self) -> float:
        return self.fmt.round(self.near_a - self.near_b)

    @property
    def error(self) -> float:
        """Relative error of the result."""
        return abs(self.result - self.exact) / self.exact

    @property
    def bound(self) -> float:
        """Largest relative error that rounding a and b can lead to: an ulp over the difference."""
        return self.fmt.eps / self.exact


class CancellationExplorer(TextWidget):
    """The microscope; made by :func:`cancellation_explorer`.

    Attributes
    ----------
    format : str
        Name of the format.
    agree : int
        In how many bits, from the first, the two numbers agree.
    pairs : list of list of float
        The exact numbers: ``pairs[i]`` agree in i + 1 bits.
    """

    _esm = page_module("cancellation")
    _css = page_style("cancellation")

    formats = traitlets.List(traitlets.Dict()).tag(sync=True)
    format = traitlets.Unicode("fp16").tag(sync=True)
    agree = traitlets.Int(8).tag(sync=True)
    pairs = traitlets.List().tag(sync=True)

    def __str__(self) -> str:
        """Return what the subtraction keeps and how large its error is."""
        fmt = get_format(self.format)
        return tell(Difference(fmt, *self.pairs[self.agree - 1]), self.agree)


def cancellation_explorer(fmt: Which = "fp16", agree: int = 8) -> CancellationExplorer:
    """Subtract two numbers that agree in their first bits and see what is left.

    Parameters
    ----------
    fmt
        ``"fp16"``, ``"bf16"`` or ``"fp32"``; the page can switch.
    agree
        In how many bits they agree at first, 1 to the format's bits and 4 more.

    Raises
    ------
    ValueError
        If an argument does not fit. ``cancellation`` is the same without a kernel.
    """
    fmt = checked(fmt, agree)
    most = max(FORMATS[name].man_bits for name in _SHOWN) + 5
    pairs = [list(close_pair(n)) for n in range(1, most + 1)]
    return CancellationExplorer(formats=for_page(_SHOWN), format=fmt.name, agree=agree, pairs=pairs)


def close_pair(agree: int) -> tuple[float, float]:
    """Make two numbers in [1, 2) that agree in exactly so many leading bits, the larger first."""
    shared = "1" + _SHARED[: agree - 1]
    whole = [(shared + end)[: _LENGTH + 1] for end in ("1" + _REST_A, "0" + _REST_B)]
    a, b = (math.ldexp(int(bits, 2), -_LENGTH) for bits in whole)
    return a, b


def tell(d: Difference, agree: int) -> str:
    """Say what the subtraction keeps and how large its error is; cancellation.js says the same."""
    fmt, bits, unit = d.fmt, d.fmt.man_bits + 1, d.fmt.eps / 2
    shared = f"a and b agree in {agree} bit{'s' * (agree > 1)}"
    inputs = f"Rounding changed a and b by at most {_power(unit)} = {percent(unit)}."
    if d.result == 0:
        same = f"both became {significant(d.near_a, 8)}, and their difference is 0"
        return f"{shared}, and {fmt.name} keeps {bits}: {same}. {inputs} The result is off by 100%."
    left = max(0, fmt.man_bits + math.frexp(d.result)[1])
    cancel = f"{shared}, which cancel"
    if bits - left != agree:
        cancel = f"{shared}; rounded to {fmt.name}, the first {bits - left} cancel"
    return (
        f"{cancel}: {left} of the result's {bits} bits come "
        f"from a and b, {bits - left} are zeros shifted in. {inputs} The subtraction itself is "
        f"exact, yet its result is off by {percent(d.error)}, {short(d.error / unit)} times as "
        "much."
    )


def checked(fmt: Which, agree: int) -> Format:
    """Look up one of the formats that are shown; raise ValueError for what does not fit."""
    fmt = get_format(fmt)
    if fmt.name not in _SHOWN or FORMATS[fmt.name] != fmt:
        raise ValueError(f"choose one of {', '.join(_SHOWN)}, not {fmt.name}")
    most = fmt.man_bits + 5
    if not isinstance(agree, int) or not 1 <= agree <= most:
        raise ValueError(f"agree is from 1 to {most} bits in {fmt.name}, not {agree}")
    return fmt


def _power(value: float) -> str:
    return power(2, math.frexp(value)[1] - 1)


def percent(share: float) -> str:
    """Write a share in percent, in three digits."""
    return f"{short(100 * share)}%"
