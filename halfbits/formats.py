"""Binary floating-point formats: a sign bit, exponent bits, fraction bits.

A finite number is (−1)^sign × significand × 2^exponent. The stored exponent is biased, a zero in it
marks zero and the subnormals, and all ones mark infinity and NaN (IEEE 754-2019). Everything
here is exact: values are Python floats (fp64), which hold every number of every format in
``FORMATS``, and rounding works on integers of any size.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from halfbits import exact
from halfbits.exact import Real


class Fields(NamedTuple):
    """The three stored fields of a number, as unsigned integers."""

    sign: int
    exponent: int
    fraction: int


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    Parameters
    ----------
    name
        As the course writes it: ``"fp16"``.
    exp_bits, man_bits
        Widths of the exponent (2 to 11) and of the stored fraction (1 to 52), in bits.
    infinities
        False for formats such as ``fp8_e4m3fn`` that spend the top exponent on numbers: they have
        no infinity, and NaN only where all bits below the sign are ones (OCP OFP8 v1.0).
    dtype
        PyTorch's dtype, or None where it has none (tf32 lives inside float32 tensors).

    Raises
    ------
    ValueError
        If a width is out of range, so that values would not fit in fp64.
    """

    name: str
    exp_bits: int
    man_bits: int
    infinities: bool = True
    dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        if not (2 <= self.exp_bits <= 11 and 1 <= self.man_bits <= 52):
            widths = f"{self.exp_bits} exponent and {self.man_bits} fraction bits"
            raise ValueError(f"{self.name}: use 2–11 exponent and 1–52 fraction bits, not {widths}")

    # The format's numbers.

    @property
    def bits(self) -> int:
        """Total width: sign, exponent and fraction."""
        return 1 + self.exp_bits + self.man_bits

    @property
    def bias(self) -> int:
        """What is added to the exponent when it is stored: 2^(E−1) − 1."""
        return 2 ** (self.exp_bits - 1) - 1

    @property
    def min_exponent(self) -> int:
        """Exponent of the smallest normal number and of all subnormals: 1 − bias."""
        return 1 - self.bias

    @property
    def max_exponent(self) -> int:
        """Exponent of the largest finite number."""
        return self.bias if self.infinities else self.bias + 1

    @property
    def lowest_exponent(self) -> int:
        """Exponent of the smallest positive number, a subnormal: 1 − bias − M."""
        return self.min_exponent - self.man_bits

    @property
    def max(self) -> float:
        """Largest finite number."""
        return self.decode(self._max_pattern)

    @property
    def min(self) -> float:
        """Most negative finite number, as in ``torch.finfo``: −max."""
        return -self.max

    @property
    def smallest_normal(self) -> float:
        """Smallest positive number with a leading 1: 2^(1−bias)."""
        return math.ldexp(1.0, self.min_exponent)

    @property
    def smallest_subnormal(self) -> float:
        """Smallest positive number: 2^(1−bias−M)."""
        return math.ldexp(1.0, self.lowest_exponent)

    @property
    def eps(self) -> float:
        """Distance from 1 to the next larger number: 2^−M."""
        return math.ldexp(1.0, -self.man_bits)

    @property
    def _max_pattern(self) -> int:
        top = 2**self.exp_bits - 1 << self.man_bits
        return top - 1 if self.infinities else 2 ** (self.bits - 1) - 2

    # Patterns: the bits of one number, read as an unsigned integer.

    def fields(self, pattern: int) -> Fields:
        """Split a pattern into sign, exponent and fraction.

        Raises
        ------
        TypeError, ValueError
            If ``pattern`` is not an integer from 0 to 2^bits − 1. All methods that take a pattern
            raise these.
        """
        try:
            pattern = operator.index(pattern)
        except TypeError:
            kind = type(pattern).__name__
            raise TypeError(f"a bit pattern is an int such as 0x3C00, not a {kind}") from None
        if not 0 <= pattern < 2**self.bits:
            limit = 2**self.bits - 1
            raise ValueError(f"{self.name} has patterns from 0 to {limit:#x}, not {pattern}")
        exponent = pattern >> self.man_bits & 2**self.exp_bits - 1
        return Fields(pattern >> self.bits - 1, exponent, pattern & 2**self.man_bits - 1)

    def kind(self, pattern: int) -> str:
        """Classify a pattern as "zero", "subnormal", "normal", "infinity" or "nan"."""
        _, exponent, fraction = self.fields(pattern)
        magnitude = exponent << self.man_bits | fraction
        if magnitude > self._max_pattern:
            return "infinity" if self.infinities and fraction == 0 else "nan"
        if exponent:
            return "normal"
        return "subnormal" if fraction else "zero"

    def decode(self, pattern: int) -> float:
        """Value of a pattern, exactly; the sign of zero is kept."""
        sign, exponent, fraction = self.fields(pattern)
        if (exponent << self.man_bits | fraction) > self._max_pattern:
            magnitude = math.inf if self.kind(pattern) == "infinity" else math.nan
        else:
            significand = fraction | (exponent > 0) << self.man_bits
            unit = max(exponent, 1) - self.bias - self.man_bits
            magnitude = math.ldexp(significand, unit)
        return -magnitude if sign else magnitude

    def encode(self, value: Real) -> int:
        """Pattern of the nearest number; of two equally near, the one with an even last bit.

        This is roundTiesToEven of IEEE 754-2019, in a single step from the exact value.
        Beyond the last rounding boundary come infinity or, where a format has none, NaN (as in
        ``ml_dtypes``; ``torch`` ≥ 2.12 saturates float8_e4m3fn instead).

        Parameters
        ----------
        value
            Any real number; NumPy scalars and tensors with one element work too. A NaN of either
            sign gives the positive quiet NaN.

        Raises
        ------
        TypeError
            If ``value`` is not a real number.
        """
        value = exact.as_real(value)
        if value != value:
            return self._max_pattern + 1 | (self.infinities << self.man_bits - 1)
        sign = exact.is_negative(value) << self.bits - 1
        if value in (math.inf, -math.inf):
            return sign | self._max_pattern + 1
        exponent = max(exact.exponent(value), self.min_exponent) if value else self.min_exponent
        steps = exact.round_to_even(value, exponent - self.man_bits)
        # Patterns count upwards like the numbers do, so a carry moves into the exponent by itself.
        pattern = (exponent - self.min_exponent << self.man_bits) + steps
        return sign | min(pattern, self._max_pattern + 1)

    def round(self, value: Real) -> float:
        """Nearest number of the format, by the rule of :meth:`encode`."""
        return self.decode(self.encode(value))

    def neighbours(self, pattern: int) -> tuple[float, float]:
        """Next number below and next number above, both NaN at NaN.

        These are nextDown and nextUp of IEEE 754-2019: both zeros have the smallest
        subnormals as neighbours, and infinity follows the largest number (NaN where a format has
        no infinity) and itself.
        """
        kind, sign = self.kind(pattern), self.fields(pattern).sign
        if kind == "nan":
            return math.nan, math.nan
        if kind == "zero":
            return -self.smallest_subnormal, self.smallest_subnormal
        inner = self.decode(pattern - 1)
        outer = self.decode(pattern if kind == "infinity" else pattern + 1)
        return (outer, inner) if sign else (inner, outer)

    def ulp(self, value: Real) -> float:
        """Unit in the last place: the gap from |value| to the next number away from zero.

        For 2^e ≤ |value| < 2^(e+1) this is 2^(e−M), with e kept between the exponents of the
        smallest normal and of the largest number (Goldberg 1991; Muller et al.,
        Handbook of Floating-Point Arithmetic, 2018). So ulp(0) is the smallest
        subnormal, a value between two numbers takes the gap that it lies in, and beyond the
        largest number the last gap holds. It is inf for infinities and NaN for NaN.
        """
        value = exact.as_real(value)
        if value != value or value in (math.inf, -math.inf):
            return abs(float(value))
        exponent = exact.exponent(value) if value else self.min_exponent
        exponent = min(max(exponent, self.min_exponent), self.max_exponent)
        return math.ldexp(1.0, exponent - self.man_bits)

    def bit_string(self, pattern: int) -> str:
        """Bits with a space between the fields: ``"0 01111 0000000000"`` is 1 in fp16."""
        sign, exponent, fraction = self.fields(pattern)
        return f"{sign} {exponent:0{self.exp_bits}b} {fraction:0{self.man_bits}b}"

    def finite_values(self) -> np.ndarray:
        """All finite values, ascending, zero once: float64, shape (2 × patterns − 1,).

        Raises
        ------
        ValueError
            If the format has more than 20 bits: there would be too many.
        """
        if self.bits > 20:
            raise ValueError(f"{self.name} has 2^{self.bits} patterns, too many to list")
        patterns = np.arange(self._max_pattern + 1)
        exponents, fractions = patterns >> self.man_bits, patterns & 2**self.man_bits - 1
        significands = (fractions | (exponents > 0) << self.man_bits).astype(np.float64)
        values = np.ldexp(significands, np.maximum(exponents, 1) - self.bias - self.man_bits)
        return np.concatenate([-values[:0:-1], values])


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("fp64", 11, 52, dtype=torch.float64),
        Format("fp32", 8, 23, dtype=torch.float32),
        Format("tf32", 8, 10),
        Format("fp16", 5, 10, dtype=torch.float16),
        Format("bf16", 8, 7, dtype=torch.bfloat16),
        Format("fp8_e4m3fn", 4, 3, infinities=False, dtype=torch.float8_e4m3fn),
        Format("fp8_e5m2", 5, 2, dtype=torch.float8_e5m2),
    )
}


Which = str | torch.dtype | Format


def get_format(which: Which) -> Format:
    """Look up a format by its name or its PyTorch dtype; a ``Format`` is returned as it is.

    Raises
    ------
    ValueError
        If there is none, with the names that there are.
    """
    if isinstance(which, Format):
        return which
    if isinstance(which, str) and which in FORMATS:
        return FORMATS[which]
    for each in FORMATS.values():
        if which is not None and which == each.dtype:
            return each
    raise ValueError(f"no format {str(which)!r}; choose one of {', '.join(FORMATS)}")
